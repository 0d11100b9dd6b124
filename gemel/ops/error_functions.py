"""The complementary error function, its scaled and inverse forms, and the normal distribution.

Domain of a fit: the argument is limited to it where another branch gives the result.
"""

from __future__ import annotations

import math

from gemel.graph.form import float32, float64
from gemel.graph.node import Node

from . import gamma_series as table
from .declared import with_derivative
from .elementwise import (
    ABS,
    ERF,
    EXP,
    FMA,
    LOG,
    LOG1P,
    SQRT,
    cast,
    const,
    eq,
    gt,
    lt,
    minimum,
    where,
)
from .series import chebyshev

ROOT_2 = math.sqrt(2)
ROOT_PI = math.sqrt(math.pi)


def _grown(x: Node, sign: int) -> Node:
    """exp(x * x) (sign 1) or exp(-x * x), with the rounding error of the square carried along."""
    x = minimum(ABS(x), 40.0)
    square = x * x
    rest = FMA(x, x, -square)
    return EXP(square) * (rest + 1.0) if sign > 0 else EXP(-square) * (1.0 - rest)


def _scaled_tail(x: Node) -> Node:
    """exp(x * x) erfc(x) for x >= 0."""
    return chebyshev(1.0 - 7.0 / (x + 3.5), table.ERFCX) / (x + x + 1.0)


def _erfc(x: Node) -> Node:
    size = ABS(x)
    tail = _scaled_tail(size) * _grown(size, -1)
    return where(lt(size, 0.5), 1.0 - ERF(x), where(lt(x, 0.0), 2.0 - tail, tail))


def erfc(x: Node) -> Node:
    """1 - erf(x), without cancellation."""
    slope = -2 / ROOT_PI
    return with_derivative("erfc", _erfc, x, lambda x, y: EXP(-(x * x)) * slope)


def _erfcx(x: Node) -> Node:
    tail = _scaled_tail(ABS(x))
    return where(lt(x, 0.0), _grown(x, 1) * 2.0 - tail, tail)


def erfcx(x: Node) -> Node:
    """exp(x * x) erfc(x)."""
    return with_derivative("erfcx", _erfcx, x, lambda x, y: x * y * 2.0 - 2 / ROOT_PI)


def _inverse_ratio(w: Node) -> Node:
    """erfinv(x) / x for w = -log(1 - x * x) from 0 to 750."""
    near = chebyshev(minimum(w, 5.0) * 0.4 - 1.0, table.ERFINV_NEAR)
    root = SQRT(w)
    middle = chebyshev(_unit(minimum(root, math.sqrt(40)), 5, 40), table.ERFINV_MIDDLE)
    if w.dtype.itemsize == 4:  # w is at most 110
        far = chebyshev(_unit(minimum(root, 11.0), 40, 750), table.ERFINV_FAR)
    else:
        far = chebyshev(_unit(minimum(root, math.sqrt(750)), 40, 750), table.ERFINV_FAR)
    return where(lt(w, 5.0), near, where(lt(w, 40.0), middle, far))


def _unit(x: Node, low: float, high: float) -> Node:
    """x of [sqrt(low), sqrt(high)] on [-1, 1]."""
    a, b = math.sqrt(low), math.sqrt(high)
    return (x - (a + b) / 2) * (2 / (b - a))


def _erfinv(x: Node) -> Node:
    if x.dtype is float32:  # the derivative exp(y * y) needs the last bit of y
        return cast(_erfinv(cast(x, float64)), float32)
    size = ABS(x)
    y = x * _inverse_ratio(-LOG((1.0 - x) * (x + 1.0)))
    return where(eq(size, 1.0), x * math.inf, where(gt(size, 1.0), math.nan, y))


def erfinv(x: Node) -> Node:
    """The y with erf(y) = x; infinite at -1 and 1, NaN outside."""
    return with_derivative("erfinv", _erfinv, x, lambda x, y: EXP(y * y) * (ROOT_PI / 2))


def normal_density(x: Node) -> Node:
    return EXP(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))


def ndtr(x: Node) -> Node:
    """The normal distribution's area left of x."""
    found = erfc(x * (-1 / ROOT_2)) * 0.5
    return with_derivative("ndtr", lambda _: found, x, lambda x, y: normal_density(x))


def _log_ndtr(x: Node) -> Node:
    t = x * (1 / ROOT_2)
    below = LOG(_scaled_tail(ABS(t)) * 0.5) - t * t
    return where(lt(x, -1.0), below, LOG1P(_erfc(t) * -0.5))


def log_ndtr(x: Node) -> Node:
    """log(ndtr(x)), without underflow."""

    def slope(x: Node, y: Node) -> Node:
        return EXP(-(y + x * x * 0.5)) * (1 / math.sqrt(2 * math.pi))

    return with_derivative("log_ndtr", _log_ndtr, x, slope)


def _ndtri(p: Node) -> Node:
    middle = p + p - 1.0
    y = middle * _inverse_ratio(-LOG(p * (1.0 - p) * 4.0)) * ROOT_2
    y = where(eq(p, 0.0), -math.inf, where(eq(p, 1.0), math.inf, y))
    return where(lt(ABS(middle), 1.0), y, where(eq(ABS(middle), 1.0), y, math.nan))


def ndtri(p: Node) -> Node:
    """The x with ndtr(x) = p; infinite at 0 and 1, NaN outside."""
    slope = math.sqrt(2 * math.pi)
    return with_derivative("ndtri", _ndtri, p, lambda p, y: EXP(y * y * 0.5) * slope)


def _entropy(x: Node) -> Node:
    inside = gt(x, 0.0)
    zero = where(lt(x, 0.0), const(-math.inf, x.dtype), x * 0.0)
    return where(inside, -(x * LOG(where(inside, x, 1.0))), zero)


def entropy(x: Node) -> Node:
    """-x log(x): 0 at 0, -infinity below."""
    return with_derivative("entr", _entropy, x, lambda x, y: -(LOG(x) + 1.0))
