"""Arc functions as composites: the arc tangent is a polynomial on [0, tan(pi/8)], the others
follow from it.

The coefficients are a Chebyshev fit of atan(x)/x in x*x, good to 7e-16.
"""

from __future__ import annotations

import math

from gemel.graph.node import Node

from .declared import declares
from .elementwise import SQRT, and_, const, eq, gt, rsqrt, where
from .predicates import sign_bit
from .record import with_complex_rule

_NARROW = math.tan(math.pi / 8)
_COEFFICIENTS = (
    0.0065464016538740715,
    0.015575241989926901,
    -0.041464181611087496,
    0.05647619141279398,
    -0.06635220982333598,
    0.07689567207088524,
    -0.09090754633846673,
    0.11111105659048043,
    -0.14285714172951053,
    0.19999999998796017,
    -0.33333333333328286,
    1.0,
)


def _polynomial(t: Node) -> Node:
    """atan(t) for |t| <= tan(pi/8)."""
    z = t * t
    total = z * _COEFFICIENTS[0] + _COEFFICIENTS[1]
    for c in _COEFFICIENTS[2:]:
        total = total * z + c
    return total * t


def _positive(x: Node) -> Node:
    """atan(x) for x >= 0, by the angle sum with pi/4 or pi/2."""
    wide = gt(x, 1 / _NARROW)
    middle = gt(x, _NARROW)
    top = where(wide, const(-1, x.dtype), where(middle, x - 1.0, x))
    bottom = where(wide, x, where(middle, x + 1.0, const(1, x.dtype)))
    start = where(middle, const(math.pi / 4, x.dtype), const(0, x.dtype))
    start = where(wide, const(math.pi / 2, x.dtype), start)
    return start + _polynomial(top / bottom)


@with_complex_rule
@declares(lambda x, y: 1.0 / (x * x + 1.0))
def atan(x: Node) -> Node:
    below = sign_bit(x)  # zeros keep their sign
    y = _positive(where(below, -x, x))
    return where(below, -y, y)


@with_complex_rule
@declares(lambda x, y: rsqrt(1.0 - x * x))
def asin(x: Node) -> Node:
    return atan(x / SQRT((1.0 - x) * (x + 1.0)))


@with_complex_rule
@declares(lambda x, y: -rsqrt(1.0 - x * x))
def acos(x: Node) -> Node:
    """Twice the arc tangent of the half angle: exact near 1, where pi/2 - asin is not."""
    return _positive(SQRT((1.0 - x) / (x + 1.0))) * 2.0


def atan2(y: Node, x: Node) -> Node:
    """The angle of the point (x, y), from -pi to pi; signed zeros as in C."""
    left, below = sign_bit(x), sign_bit(y)
    across = where(left, -x, x)
    up = where(below, -y, y)
    far = and_(eq(up, math.inf), eq(across, math.inf))
    up, across = (where(far, const(1, x.dtype), a) for a in (up, across))
    steep = gt(up, across)
    bottom = where(steep, up, across)
    bottom = where(eq(bottom, 0.0), const(1, x.dtype), bottom)
    angle = _positive(where(steep, across, up) / bottom)
    angle = where(steep, (math.pi / 2) - angle, angle)
    angle = where(left, math.pi - angle, angle)
    return where(below, -angle, angle)
