"""A script: seconds of the first training step of a network, in a process that has done nothing.

Runs under PyTorch and under `gemel run`. Input: the network's name. Output: the seconds from the
step's beginning to its loss, the import and the building of the network left out; those of the
quickest of a few later steps; the first loss.
"""

import sys
import time

import torch
from torch import nn

from gemel.bench.workloads.networks_torch import Mlp, ResNet18, start
from gemel.bench.workloads.recurrent import BATCH, STEPS, WIDTH, WORDS
from gemel.bench.workloads.recurrent_torch import LanguageModel
from gemel.bench.workloads.workload import numbers

NETWORKS = {
    "mlp": (lambda: Mlp((64, 64, 10)), (32, 64)),
    "resnet": (lambda: ResNet18(10, small=True), (32, 3, 32, 32)),
    "lstm": (lambda: Texts(WORDS, WIDTH), (BATCH, STEPS)),
}


LATER = 3


class Texts(LanguageModel):
    """The language model, with one row of scores per word."""

    def forward(self, words):
        return super().forward(words).flatten(0, 1)


def data(network: str, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and labels."""
    if network != "lstm":
        return torch.from_numpy(numbers("images", shape)), torch.arange(shape[0]) % 10
    words = torch.arange(shape[0] * shape[1]) % WORDS
    return words.reshape(shape), (words + 1) % WORDS


def main() -> None:
    """Print the figures."""
    make, shape = NETWORKS[sys.argv[1]]
    model = start(make())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    x, y = data(sys.argv[1], shape)

    def step() -> tuple[float, float]:
        started = time.perf_counter()
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        value = loss.item()
        return time.perf_counter() - started, value

    first, value = step()
    print(first, min(step()[0] for _ in range(LATER)), value)


main()
