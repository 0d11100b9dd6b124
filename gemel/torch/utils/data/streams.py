"""Random numbers that loaders and splits take from PyTorch's streams."""

from __future__ import annotations

import numpy as np

from gemel.graph.form import int64
from gemel.tensor import array_of, from_array, random
from gemel.torch.drawing import multinomial
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


def chosen(weights: np.ndarray, n: int, again: bool, generator) -> np.ndarray:
    """n positions drawn by weight, each perhaps again. RuntimeError for what are no weights."""
    held = from_array(weights, Tensor)
    return array_of(multinomial(held, n, again, generator=_or_default(generator)))
