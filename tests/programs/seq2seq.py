"""Sequences turned round by a GRU encoder and a decoder that attends (Bahdanau and others)."""

import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim

random.seed(2)
torch.manual_seed(2)
SOS, EOS, WORDS, LONGEST = 0, 1, 12, 7


def pair():
    words = [random.randint(2, WORDS - 1) for _ in range(random.randint(3, LONGEST - 1))]
    return words + [EOS], words[::-1] + [EOS]


class Encoder(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, size)
        self.gru = nn.GRU(size, size, batch_first=True)

    def forward(self, x):
        return self.gru(self.embedding(x))


class Decoder(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, size)
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


def padded(rows):
    return torch.tensor([row + [EOS] * (LONGEST - len(row)) for row in rows])


def batch(count):
    sources, targets = zip(*[pair() for _ in range(count)])
    source, target = padded(sources), padded(targets)
    lengths = torch.tensor([len(s) for s in sources])
    return source, target, torch.arange(LONGEST)[None, :] >= lengths[:, None]


encoder, decoder = Encoder(32), Decoder(32)
parameters = [*encoder.parameters(), *decoder.parameters()]
optimizer = optim.Adam(parameters, lr=5e-3)
criterion = nn.NLLLoss()

for step in range(1, 121):
    source, target, mask = batch(32)
    optimizer.zero_grad()
    states, hidden = encoder(source)
    word = torch.full((32, 1), SOS)
    teach = random.random() < 0.5
    loss = 0
    for t in range(LONGEST):
        out, hidden = decoder(word, hidden, states, mask)
        loss = loss + criterion(out, target[:, t])
        word = target[:, t : t + 1] if teach else out.topk(1)[1].detach()
    loss.backward()
    torch.nn.utils.clip_grad_value_(parameters, 1.0)
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step} loss {loss.item() / LONGEST:.4f}")

with torch.no_grad():
    source, target, mask = batch(64)
    states, hidden = encoder(source)
    word, found = torch.full((64, 1), SOS), []
    for _ in range(LONGEST):
        out, hidden = decoder(word, hidden, states, mask)
        word = out.argmax(1, keepdim=True)
        found.append(word)
    found = torch.cat(found, dim=1)
print(f"right {(found == target).float().mean().item():.3f}")
