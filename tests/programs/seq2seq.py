"""Sequences turned round by a GRU encoder and a decoder that attends (Bahdanau and others)."""

import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

random.seed(2)
torch.manual_seed(2)
PAD, SOS, EOS, WORDS, LONGEST = 0, 1, 2, 13, 7


def pair():
    words = [random.randint(3, WORDS - 1) for _ in range(random.randint(3, LONGEST - 1))]
    return words + [EOS], words[::-1] + [EOS]


class Encoder(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, size, padding_idx=PAD)
        self.gru = nn.GRU(size, size, batch_first=True)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(
            self.embedding(x), lengths, batch_first=True, enforce_sorted=False
        )
        states, hidden = self.gru(packed)
        states, _ = pad_packed_sequence(states, batch_first=True)
        return states, hidden


class Decoder(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, size, padding_idx=PAD)
        self.query, self.key = nn.Linear(size, size), nn.Linear(size, size)
        self.energy = nn.Linear(size, 1)
        self.gru = nn.GRU(2 * size, size, batch_first=True)
        self.out = nn.Linear(size, WORDS)

    def forward(self, word, hidden, states, mask):
        scores = self.energy(torch.tanh(self.query(hidden.transpose(0, 1)) + self.key(states)))
        scores = scores.squeeze(2).masked_fill(mask, float("-inf"))
        weights = F.softmax(scores, dim=1).unsqueeze(1)
        context = torch.bmm(weights, states)
        y, hidden = self.gru(torch.cat([self.embedding(word), context], dim=2), hidden)
        return F.log_softmax(self.out(y.squeeze(1)), dim=1), hidden


def collate(pairs):
    sources, targets = zip(*[(torch.tensor(s), torch.tensor(t)) for s, t in pairs])
    source = pad_sequence(sources, batch_first=True, padding_value=PAD)
    target = pad_sequence(targets, batch_first=True, padding_value=PAD)
    lengths = torch.tensor([len(s) for s in sources])
    return source, lengths, target, source == PAD


encoder, decoder = Encoder(32), Decoder(32)
parameters = [*encoder.parameters(), *decoder.parameters()]
optimizer = optim.Adam(parameters, lr=5e-3)
criterion = nn.NLLLoss(ignore_index=PAD)

for step in range(1, 121):
    source, lengths, target, mask = collate([pair() for _ in range(32)])
    optimizer.zero_grad()
    states, hidden = encoder(source, lengths)
    word = torch.full((32, 1), SOS)
    teach = random.random() < 0.5
    loss = 0
    for t in range(target.shape[1]):
        out, hidden = decoder(word, hidden, states, mask)
        loss = loss + criterion(out, target[:, t])
        word = target[:, t : t + 1] if teach else out.topk(1)[1].detach()
    loss.backward()
    torch.nn.utils.clip_grad_value_(parameters, 1.0)
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step} loss {loss.item() / target.shape[1]:.4f}")

with torch.no_grad():
    source, lengths, target, mask = collate([pair() for _ in range(64)])
    states, hidden = encoder(source, lengths)
    word, found = torch.full((64, 1), SOS), []
    for _ in range(target.shape[1]):
        out, hidden = decoder(word, hidden, states, mask)
        word = out.argmax(1, keepdim=True)
        found.append(word)
    found = torch.cat(found, dim=1)
    kept = target != PAD
print(f"right {(found == target)[kept].float().mean().item():.3f}")
