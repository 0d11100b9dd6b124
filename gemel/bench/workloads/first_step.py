"""A script: seconds of the first training step of a network, in a process that has done nothing.

Runs under PyTorch and under `gemel run`. Input: the network's name. Output: the seconds from the
step's beginning to its loss, the import and the building of the network left out; those of the
quickest of a few later steps; the first loss.
"""

import sys
import time

import torch
from torch import nn

from gemel.bench.workloads.gpt_torch import CONTEXT, VOCABULARY, Gpt
from gemel.bench.workloads.networks_torch import Mlp, ResNet18, start
from gemel.bench.workloads.recurrent import BATCH, STEPS, WIDTH, WORDS
from gemel.bench.workloads.recurrent_torch import LanguageModel
from gemel.bench.workloads.workload import numbers

NETWORKS = {  # how it is made, the shape of what it is given, how many words it knows
    "mlp": (lambda: Mlp((64, 64, 10)), (32, 64), 0),
    "resnet": (lambda: ResNet18(10, small=True), (32, 3, 32, 32), 0),
    "lstm": (lambda: Texts(LanguageModel(WORDS, WIDTH)), (BATCH, STEPS), WORDS),
    "gpt": (lambda: Texts(Gpt()), (16, CONTEXT), VOCABULARY),
}
LATER = 3


class Texts(nn.Module):
    """A language model, with one row of scores per word."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, words):
        return self.model(words).flatten(0, 1)


def data(shape: tuple[int, ...], words: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and labels: images and their classes, or words and the ones after them."""
    if not words:
        return torch.from_numpy(numbers("images", shape)), torch.arange(shape[0]) % 10
    text = torch.arange(shape[0] * shape[1]) % words
    return text.reshape(shape), (text + 1) % words


def main() -> None:
    """Print the figures."""
    make, shape, words = NETWORKS[sys.argv[1]]
    model = start(make())
    optimizer: torch.optim.Optimizer
    if words == VOCABULARY:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    x, y = data(shape, words)

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
