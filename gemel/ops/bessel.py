"""Bessel functions of the first and second kind, orders 0 and 1; the spherical one; Airy's.

Up to 8 they are series of the square, from there on waves with slowly changing amplitudes.
"""

from __future__ import annotations

import math

from gemel.graph.node import Node

from . import bessel_series as table
from .elementwise import ABS, COS, EXP, LOG, SIN, SQRT, eq, gt, le, lt, maximum, minimum, where
from .series import chebyshev, polynomial

_TURNS = {0: (table.WAVE_P0, table.WAVE_Q0), 1: (table.WAVE_P1, table.WAVE_Q1)}
_ROOT_HALF = math.sqrt(0.5)


def _waves(order: int, size: Node) -> tuple[Node, Node]:
    """(J, Y) of the order for size > 8."""
    size = maximum(size, 8.0)
    v = 8.0 / size
    t = v * v * 2.0 - 1.0
    p, q = (chebyshev(t, series) for series in _TURNS[order])
    q = q / size
    s, c = SIN(size) * _ROOT_HALF, COS(size) * _ROOT_HALF
    # cosine and sine of the angle less pi/4, or less 3 pi/4
    cosine, sine = (c + s, s - c) if order == 0 else (s - c, -(s + c))
    amplitude = SQRT((2 / math.pi) / size)
    return amplitude * (p * cosine - q * sine), amplitude * (p * sine + q * cosine)


def _square(size: Node) -> Node:
    low = minimum(size, 8.0)
    return low * low * (1 / 32) - 1.0


def j0(x: Node) -> Node:
    size = ABS(x)
    far = where(eq(size, math.inf), 0.0, _waves(0, size)[0])
    return where(le(size, 8.0), chebyshev(_square(size), table.J0), far)


def _near_j1(size: Node) -> Node:
    return chebyshev(_square(size), table.J1) * minimum(size, 8.0)


def j1(x: Node) -> Node:
    size = ABS(x)
    far = where(eq(size, math.inf), 0.0, _waves(1, size)[0])
    found = where(le(size, 8.0), _near_j1(size), far)
    return where(lt(x, 0.0), -found, found)


def _second_kind(x: Node, near: Node, far: Node) -> Node:
    found = where(le(x, 8.0), near, where(eq(x, math.inf), 0.0, far))
    return where(lt(x, 0.0), math.nan, where(eq(x, 0.0), -math.inf, found))


def y0(x: Node) -> Node:
    """-infinity at 0, NaN below."""
    low = minimum(x, 8.0)
    near = chebyshev(_square(x), table.Y0)
    near = near + LOG(low) * chebyshev(_square(x), table.J0) * (2 / math.pi)
    return _second_kind(x, near, _waves(0, x)[1])


def y1(x: Node) -> Node:
    """-infinity at 0, NaN below."""
    low = minimum(x, 8.0)
    known = (LOG(low) * _near_j1(x) - 1.0 / low) * (2 / math.pi)
    return _second_kind(x, chebyshev(_square(x), table.Y1) * low + known, _waves(1, x)[1])


def spherical_j0(x: Node) -> Node:
    """sin(x) / x."""
    near = lt(ABS(x), 0.5)
    terms = [(-1) ** k / math.factorial(2 * k + 1) for k in range(8)]
    small = where(near, x, 0.0)
    y = where(near, 1.0, x)
    far = where(eq(ABS(x), math.inf), 0.0, SIN(y) / y)
    return where(near, polynomial(small * small, terms), far)


# ---------- Airy ----------
_ZETA_2 = 2 / 3 * 2**1.5
_ZETA_6 = 2 / 3 * 6**1.5


def _airy_decay(x: Node) -> Node:
    """For x >= 2."""
    x = maximum(x, 2.0)
    root = SQRT(x)
    zeta = x * root * (2 / 3)
    scale = EXP(-zeta) / (SQRT(root) * (2 * math.sqrt(math.pi)))
    return chebyshev(2 * _ZETA_2 / zeta - 1.0, table.AIRY_DECAY) * scale


def _airy_waves(size: Node) -> Node:
    """Ai(-size) for size >= 6."""
    size = maximum(size, 6.0)
    root = SQRT(size)
    zeta = size * root * (2 / 3)
    v = _ZETA_6 / zeta
    t = v * v * 2.0 - 1.0
    p, q = chebyshev(t, table.AIRY_P), chebyshev(t, table.AIRY_Q) / zeta
    s, c = SIN(zeta) * _ROOT_HALF, COS(zeta) * _ROOT_HALF
    return ((s + c) * p - (c - s) * q) / (SQRT(root) * math.sqrt(math.pi))


def airy(x: Node) -> Node:
    """Ai(x), the solution of y'' = x y that decays."""
    middle = chebyshev(minimum(maximum(x, -6.0), 2.0) * 0.25 + 0.5, table.AIRY)
    found = where(lt(x, -6.0), _airy_waves(-x), where(gt(x, 2.0), _airy_decay(x), middle))
    return where(eq(ABS(x), math.inf), math.nan, found)
