"""A character LSTM: truncated backpropagation with a state that is carried on, then samples."""

import torch
from torch import nn

TEXT = (
    "one for the rain that falls on the roof, two for the wind that pulls at the door, "
    "three for the light at the end of the lane, four for the steps on the sand of the shore. "
) * 24

torch.manual_seed(7)
letters = sorted(set(TEXT))
number = {c: i for i, c in enumerate(letters)}
encoded = torch.tensor([number[c] for c in TEXT])
rows, length = 8, 25
encoded = encoded[: len(encoded) // rows * rows].view(rows, -1)


class CharRNN(nn.Module):
    def __init__(self, size, hidden=96, layers=2):
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.embed = nn.Embedding(size, 32)
        self.lstm = nn.LSTM(32, hidden, layers, dropout=0.2, batch_first=True)
        self.out = nn.Linear(hidden, size)

    def forward(self, x, state):
        y, state = self.lstm(self.embed(x), state)
        return self.out(y), state

    def start(self, rows):
        shape = (self.layers, rows, self.hidden)
        return torch.zeros(shape), torch.zeros(shape)


model = CharRNN(len(letters))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.7)

for epoch in range(5):
    state = model.start(rows)
    total, count = 0.0, 0
    for at in range(0, encoded.size(1) - length - 1, length):
        x = encoded[:, at : at + length]
        y = encoded[:, at + 1 : at + length + 1]
        state = tuple(s.detach() for s in state)
        logits, state = model(x, state)
        loss = criterion(logits.reshape(-1, len(letters)), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        total += loss.item()
        count += 1
    scheduler.step()
    print(f"epoch {epoch + 1} lr {scheduler.get_last_lr()[0]:.5f} loss {total / count:.5f}")

model.eval()
with torch.no_grad():
    state = model.start(1)
    letter, text = torch.tensor([[number["o"]]]), "o"
    for _ in range(60):
        logits, state = model(letter, state)
        chance = torch.softmax(logits[:, -1] / 0.5, dim=-1)
        letter = torch.multinomial(chance, 1)
        text += letters[letter.item()]
print(text)
