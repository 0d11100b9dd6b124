"""Windows that frames of a signal are weighted with. Harris, On the use of windows for harmonic
analysis with the discrete Fourier transform (1978).

Each is a vector of `size` values. symmetric: it ends as it begins; else it is one period of a
window that repeats. They are computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gemel.graph.form import float64
from gemel.graph.node import Node

from .elementwise import ABS, COS, EXP, SIN, SQRT, maximum
from .modified_bessel import i0
from .movement import arange, full


def _period(size: int, symmetric: bool) -> int:
    """Steps until the window repeats."""
    return size - 1 if symmetric or size == 1 else size


def _steps(size: int) -> Node:
    return arange(size, float64)


def cosines(size: int, weights: Sequence[float], symmetric: bool) -> Node:
    """The sum of weights[i] (-1)^i cos(i k) over a period."""
    if size <= 1:
        return full((size,), 1.0, float64)
    angle = _steps(size) * (2 * math.pi / _period(size, symmetric))
    found = full((size,), float(weights[0]), float64)
    for i, weight in enumerate(weights[1:], 1):
        found = found + COS(angle * float(i)) * (float(weight) * (-1) ** i)
    return found


def bartlett(size: int, symmetric: bool) -> Node:
    """A triangle."""
    if size <= 1:
        return full((size,), 1.0, float64)
    return 1.0 - ABS(_steps(size) * (2.0 / _period(size, symmetric)) - 1.0)


def cosine(size: int, symmetric: bool) -> Node:
    """Half a wave."""
    steps = size + 1 if not symmetric and size > 1 else size
    return SIN((_steps(size) + 0.5) * (math.pi / max(steps, 1)))


def exponential(size: int, center: float | None, tau: float, symmetric: bool) -> Node:
    """exp(-|n - center| / tau)."""
    middle = _period(size, symmetric) / 2 if center is None else center
    return EXP(ABS(_steps(size) - middle) * (-1.0 / tau))


def gaussian(size: int, deviation: float, symmetric: bool) -> Node:
    """A bell around the middle."""
    away = (_steps(size) - _period(size, symmetric) / 2) * (1 / (deviation * math.sqrt(2)))
    return EXP(-(away * away))


def kaiser(size: int, beta: float, symmetric: bool) -> Node:
    """Kaiser and Schafer, On the use of the I0-sinh window for spectrum analysis (1980)."""
    if size <= 1:
        return full((size,), 1.0, float64)
    away = _steps(size) * (2.0 / _period(size, symmetric)) - 1.0
    inside = SQRT(maximum(1.0 - away * away, 0.0))
    return i0(inside * beta) / i0(full((), beta, float64))
