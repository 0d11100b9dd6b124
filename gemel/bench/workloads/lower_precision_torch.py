"""Training under `torch.autocast` as a user of PyTorch writes it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .networks_torch import CHECKED, Mlp, ResNet18, batches, start
from .workload import Job


def training(model: nn.Module, optimizer, data: list, lower: bool) -> Job:
    """A training loop; `lower`: the forward pass computes in bfloat16 where that is good enough."""
    criterion = nn.CrossEntropyLoss()

    def step(x, y):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=lower):
            loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def run(steps: int) -> None:
        for i in range(steps):
            x, y = data[i % len(data)]
            loss = step(x, y)
        loss.item()

    def results() -> list[np.ndarray]:
        return [np.array([step(x, y).item() for x, y in (data * CHECKED)[:CHECKED]])]

    return Job(run, results)


def train_mlp(widths, images, labels, lower: bool) -> Job:
    """Adam on a multilayer perceptron."""
    model = start(Mlp(widths))
    optimizer = torch.optim.Adam(model.parameters())
    return training(model, optimizer, batches(images, labels), lower)


def train_resnet(images, labels, lower: bool) -> Job:
    """SGD with momentum on ResNet-18; images (batches, batch, 32, 32, 3)."""
    model = start(ResNet18(10, small=True))
    images = np.ascontiguousarray(images.transpose(0, 1, 4, 2, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return training(model, optimizer, batches(images, labels), lower)
