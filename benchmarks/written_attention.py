"""Attention that a program writes out, beside PyTorch, on one core.

    GEMEL_NUM_THREADS=1 python benchmarks/written_attention.py [--heads 8] [--places 2048]

Causal by a mask tensor: a product, a scale, `masked_fill`, a softmax, a product; forward and
backward. Both libraries take turns in one process; the row tells medians in milliseconds and the
most memory that Gemel's step holds.
"""

from __future__ import annotations

import argparse
import importlib
import math
import statistics
import time

import gemel
import gemel.torch as gemel_torch

WIDTH = 64


def step_of(t, heads: int, places: int):
    """A training step on the library's own tensors."""
    softmax = importlib.import_module(f"{t.__name__}.nn.functional").softmax
    t.manual_seed(0)
    sides = [t.randn(1, heads, places, WIDTH).requires_grad_() for _ in range(3)]
    gradient = t.randn(1, heads, places, WIDTH)
    mask = t.tril(t.ones(places, places)).view(1, 1, places, places)
    sum(x.sum() for x in (*sides, gradient, mask)).item()

    def attention(query, key, value):
        scores = (query @ key.transpose(-2, -1)) * (1 / math.sqrt(WIDTH))
        scores = scores.masked_fill(mask == 0, float("-inf"))
        return softmax(scores, dim=-1) @ value

    def step() -> float:
        for x in sides:
            x.grad = None
        attention(*sides).backward(gradient)
        return sides[0].grad.sum().item()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--places", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    steps = {n: step_of(t, asked.heads, asked.places) for n, t in
             (("gemel", gemel_torch), ("torch", torch))}  # fmt: skip
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(asked.rounds + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if turn > 1:
                taken[name].append(1e3 * (time.perf_counter() - start))
    told = "  ".join(f"{name} {statistics.median(x):.2f} ms" for name, x in taken.items())
    peak = gemel.explain(steps["gemel"], calls=0).peak
    print(f"{asked.heads} * {asked.places}x{asked.places}x{WIDTH}  {told}  peak {peak >> 20} MB")


if __name__ == "__main__":
    main()
