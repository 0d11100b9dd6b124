"""The networks as a user of PyTorch writes them. Runs under PyTorch and under `gemel run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .workload import Job, weights

CHECKED = 3  # steps whose losses are compared


class Mlp(nn.Module):
    """Linear layers with ReLU between; widths from input to classes."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        pairs = zip(widths, widths[1:], strict=False)
        self.layers = nn.ModuleList([nn.Linear(i, o) for i, o in pairs])

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


class Cnn(nn.Module):
    """Two convolutions, pooling, two linear layers; images (batch, 1, 28, 28)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(64 * 12 * 12, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, and a way around them (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.way = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.way = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.way(x))


class ResNet18(nn.Module):
    """He et al. 2015; `small`: the form for 32x32 images, which starts with a 3x3 convolution."""

    def __init__(self, classes: int, small: bool):
        super().__init__()
        self.small = small
        size, stride = (3, 1) if small else (7, 2)
        self.conv1 = nn.Conv2d(3, 64, size, stride, size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        blocks, inputs = [], 64
        for outputs, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [Block(inputs, outputs, first), Block(outputs, outputs, 1)]
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if not self.small:
            x = F.max_pool2d(x, 3, 2, 1)
        x = self.blocks(x)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def start(model: nn.Module) -> nn.Module:
    """Give every parameter and buffer its value by its name."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if "num_batches" not in name:
                shape = tuple(value.shape)
                inputs = int(np.prod(shape[1:]))
                value.copy_(torch.from_numpy(weights(name, shape, inputs)))
    return model


def batches(images: np.ndarray, labels: np.ndarray) -> list:
    """Pairs of tensors; the arrays have a leading axis of batches."""
    pairs = zip(images, labels, strict=True)
    return [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in pairs]


def training_step(model: nn.Module, optimizer) -> Callable:
    """One step as a user writes it."""
    criterion = nn.CrossEntropyLoss()

    def step(x, y):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def training(model: nn.Module, optimizer, data: list, compiled: bool = False) -> Job:
    """A user's training loop over the batches, again and again."""
    step = training_step(model, optimizer)
    if compiled:
        step = torch.compile(step)

    def run(steps: int) -> None:
        for i in range(steps):
            x, y = data[i % len(data)]
            loss = step(x, y)
        loss.item()

    def results() -> list[np.ndarray]:
        return [np.array([step(x, y).item() for x, y in (data * CHECKED)[:CHECKED]])]

    return Job(run, results)


def inference(model: nn.Module, images: np.ndarray, compiled: bool = False) -> Job:
    """The model applied to one batch, evaluated."""
    model.eval()
    x = torch.from_numpy(images)
    apply: Callable = torch.compile(model) if compiled else model

    def run(steps: int) -> None:
        with torch.no_grad():
            for _ in range(steps):
                apply(x).data_ptr()

    def results() -> list[np.ndarray]:
        with torch.no_grad():
            return [apply(x).numpy()]

    return Job(run, results)


def in_bulk(job_step: Callable, data: list) -> Job:
    """All batches in one call of `gemel.compile(step, steps=n)`, which only Gemel has."""
    import gemel

    step = gemel.compile(job_step, steps=len(data))
    images, labels = (torch.stack(parts) for parts in zip(*data, strict=True))

    def run(steps: int) -> None:
        for _ in range(steps // len(data)):
            losses = step(images, labels)
        losses[-1].item()

    def results() -> list[np.ndarray]:
        return [step(images[:CHECKED], labels[:CHECKED]).numpy()]

    return Job(run, results, len(data))


def train_mlp(widths, images, labels, compiled=False, bulk=False, **options) -> Job:
    """Adam on a multilayer perceptron."""
    model = start(Mlp(widths))
    optimizer = torch.optim.Adam(model.parameters(), **options)
    if bulk:
        return in_bulk(training_step(model, optimizer), batches(images, labels))
    return training(model, optimizer, batches(images, labels), compiled)


def train_cnn(images, labels, compiled=False) -> Job:
    """Adam on the convolutional network; images (batches, batch, 28, 28, 1)."""
    model = start(Cnn())
    images = np.ascontiguousarray(images.transpose(0, 1, 4, 2, 3))
    optimizer = torch.optim.Adam(model.parameters())
    return training(model, optimizer, batches(images, labels), compiled)


def train_resnet(images, labels, compiled=False) -> Job:
    """SGD with momentum on ResNet-18; images (batches, batch, 32, 32, 3)."""
    model = start(ResNet18(10, small=True))
    images = np.ascontiguousarray(images.transpose(0, 1, 4, 2, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return training(model, optimizer, batches(images, labels), compiled)


def infer_resnet(images, compiled=False) -> Job:
    """ResNet-18 on images (batch, 224, 224, 3)."""
    model = start(ResNet18(1000, small=False))
    return inference(model, np.ascontiguousarray(images.transpose(0, 3, 1, 2)), compiled)


def update(compiled=False, **options) -> Job:
    """Adam's update of ResNet-18's parameters alone, gradients given."""
    model = start(ResNet18(1000, small=False))
    parameters = list(model.parameters())
    for i, p in enumerate(parameters):
        p.grad = torch.from_numpy(weights(f"gradient {i}", (int(p.numel()), 1), 2)).view(p.shape)
    optimizer = torch.optim.Adam(parameters, **options)
    step = torch.compile(optimizer.step) if compiled else optimizer.step

    def run(steps: int) -> None:
        for _ in range(steps):
            step()
            parameters[0].data_ptr()

    def results() -> list[np.ndarray]:
        for _ in range(CHECKED):
            step()
        return [parameters[k].detach().numpy().copy() for k in (0, 4, -1)]

    return Job(run, results)
