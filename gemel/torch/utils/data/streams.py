"""Random numbers that loaders and splits take from PyTorch's streams."""

from __future__ import annotations

import numpy as np

from gemel.graph.form import float64, int64
from gemel.tensor import array_of, random
from gemel.torch.tensor import Tensor

Generator = random.Generator


def _or_default(generator):
    return random.default_generator if generator is None else generator


def seed64(generator=None) -> int:
    """A seed drawn from a generator (default: the global one)."""
    return _or_default(generator).random64()


def permutation(n: int, generator=None) -> np.ndarray:
    """0..n-1 in random order, int64."""
    return array_of(random.permutation(_or_default(generator), Tensor, n, int64))


def integers(n: int, high: int, generator) -> np.ndarray:
    """n numbers of [0, high)."""
    return array_of(random.integers(_or_default(generator), Tensor, (n,), int64, 0, high))


def doubles(n: int, generator) -> np.ndarray:
    """n uniforms of [0, 1)."""
    return array_of(random.uniform(_or_default(generator), Tensor, (n,), float64))
