"""Resident memory of long runs: it has to be flat. Runs under PyTorch and under `gemel run`.

    gemel run benchmarks/long_runs.py [rebuilds] [policy steps]

rebuilds   a small model is built, trained, asked and forgotten (1,000 times)
policy     a policy-gradient loop, one state at a time (100,000 steps)
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from memory_programs import resident
from torch import nn

MARKS = 8  # of a run, at which the memory is told


def rebuilds() -> Callable[[], None]:
    def once() -> None:
        model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        optimizer = torch.optim.Adam(model.parameters())
        x, y = torch.randn(5, 8), torch.tensor([0, 1, 2, 3, 0])
        for _ in range(2):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            model(x).argmax(1).tolist()

    return once


def policy() -> Callable[[], None]:
    """A step: a state, a sampled action, its log-probability; an update every 20 steps."""
    model = nn.Sequential(nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 2))
    optimizer = torch.optim.Adam(model.parameters())
    kept: list = []

    def once() -> None:
        chances = torch.softmax(model(torch.rand(4)), 0)
        action = int(torch.multinomial(chances.detach(), 1).item())
        kept.append(chances[action].log() * (1.0 - action))
        if len(kept) == 20:
            optimizer.zero_grad()
            torch.stack(kept).sum().neg().backward()
            optimizer.step()
            kept.clear()

    return once


def told(name: str, once: Callable[[], None], count: int) -> None:
    """Run it, and print what is resident on the way."""
    sizes = []
    for k in range(1, count + 1):
        once()
        if k % max(1, count // MARKS) == 0:
            sizes.append(f"{resident() / 1e6:.1f}")
    print(f"{name}, {count} times: {' '.join(sizes)} MB", flush=True)


def main() -> None:
    counts = [int(text) for text in sys.argv[1:]] + [1000, 100_000][len(sys.argv) - 1 :]
    torch.set_num_threads(1)
    told("rebuilds", rebuilds(), counts[0])
    told("policy steps", policy(), counts[1])


if __name__ == "__main__":
    main()
