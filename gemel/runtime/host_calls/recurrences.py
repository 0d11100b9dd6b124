"""Orthogonal polynomials by their recurrences, whose length depends on the values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import host_call


def _fused(a, b, c):
    """a * b - c, for float32 with one rounding, as processors compute it."""
    if c.dtype != np.float32:
        return a * b - c
    return (a.astype(np.float64) * b - c).astype(np.float32)


# family -> (p1(x), (k, x, p(k), p(k - 1)) -> p(k + 1)); p0 is 1
FAMILIES: dict[str, tuple[Callable, Callable]] = {
    "hermite_h": (lambda x: x + x, lambda k, x, p, q: _fused(x + x, p, 2 * k * q)),
    "hermite_he": (lambda x: x, lambda k, x, p, q: _fused(x, p, k * q)),
    "laguerre": (
        lambda x: 1 - x,
        lambda k, x, p, q: _fused(2 * k + (1 - x), p, k * q) / (k + 1),
    ),
    "legendre": (
        lambda x: x,
        lambda k, x, p, q: _fused((2 * k + 1) * x, p, k * q) / (k + 1),
    ),
}


@host_call
def polynomial(settings, out, x, n):
    """The polynomial of degree n of the family in x, cell by cell; 0 for n < 0. settings: the
    family. n is int64."""
    first, step = FAMILIES[settings[0]]
    out[...] = np.where(n < 0, 0.0, 1.0)
    before = np.ones_like(x)
    with np.errstate(all="ignore"):
        current = first(x)
        for k in range(1, int(n.max(initial=0)) + 1):
            out[n == k] = current[n == k]
            before, current = current, step(k, x, current, before)
