"""Recurrent networks as a user of PyTorch writes them. Runs under PyTorch and under `gemel run`."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .networks_torch import CHECKED, inference
from .workload import Job, numbers


class LanguageModel(nn.Module):
    """Words in, scores of the next words out: an embedding, an LSTM of two layers, a decoder."""

    def __init__(self, words: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.decoder = nn.Linear(width, words)

    def forward(self, words):
        hidden, _ = self.lstm(self.embedding(words))
        return self.decoder(hidden)


def start(model: nn.Module) -> nn.Module:
    """Give every parameter its value by its name."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            shape = tuple(value.shape)
            value.copy_(torch.from_numpy(numbers(name, shape, shape[-1] ** -0.5)))
    return model


def train_lstm(texts: np.ndarray, words: int, width: int) -> Job:
    """Adam on the language model; texts (batches, batch, steps + 1)."""
    model = start(LanguageModel(words, width))
    optimizer = torch.optim.Adam(model.parameters())
    data = [torch.from_numpy(t) for t in texts]

    def step(text):
        scores = model(text[:, :-1])
        loss = F.cross_entropy(scores.reshape(-1, words), text[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def run(steps: int) -> None:
        for i in range(steps):
            loss = step(data[i % len(data)])
        loss.item()

    def results() -> list[np.ndarray]:
        return [np.array([step(t).item() for t in (data * CHECKED)[:CHECKED]])]

    return Job(run, results)


class States(nn.Module):
    """The hidden states of a recurrent layer over time."""

    def __init__(self, kind: str, width: int):
        super().__init__()
        self.layer = getattr(nn, kind)(width, width)

    def forward(self, x):
        return self.layer(x)[0]


def infer(kind: str, steps: int, width: int) -> Job:
    """A recurrent layer on one sequence."""
    return inference(start(States(kind, width)), numbers("sequence", (steps, 1, width)))
