"""The regularised incomplete gamma functions P(a, x) and Q(a, x) = 1 - P(a, x), in float64.

Three ways, each exact in its part of the quadrant: the power series for x below about a, Legendre's
continued fraction above, and for a >= 20 with x near a the expansion around the normal distribution
(N. Temme, The asymptotic expansion of the incomplete gamma functions, 1979), its rest as a fit.
"""

from __future__ import annotations

import math

from gemel.graph.form import float64
from gemel.graph.node import Node

from . import temme_series as table
from .declared import with_gradient
from .elementwise import (
    ABS,
    EXP,
    FMA,
    LOG,
    LOG1P,
    SQRT,
    and_,
    cast,
    const,
    eq,
    ge,
    gt,
    le,
    lt,
    maximum,
    or_,
    where,
)
from .error_functions import erfc
from .gamma import lgamma, positive_lgamma
from .series import chebyshev

SERIES_TERMS = 56
FRACTION_TERMS = 56
_LEAST = 20.0  # of a, for the expansion


def _power(a: Node, x: Node) -> Node:
    """x**a exp(-x) / gamma(a + 1)."""
    return EXP(a * LOG(x) - x - positive_lgamma(a + 1.0))


def _series(a: Node, x: Node) -> Node:
    """P by its power series, from the last term to the first."""
    total = const(1, x.dtype)
    for n in range(SERIES_TERMS, 0, -1):
        total = FMA(x / (a + float(n)), total, const(1, x.dtype))
    return _power(a, x) * total


def _fraction(a: Node, x: Node) -> Node:
    """Q by Legendre's continued fraction, from its end."""
    rest = x - a
    below = rest + (2.0 * FRACTION_TERMS + 1)
    for k in range(FRACTION_TERMS, 0, -1):
        below = rest + (2.0 * k - 1) - (float(k) - a) * float(k) / below
    return _power(a, x) * a / below


def _normal(a: Node, x: Node, upper: bool) -> Node:
    """Q (upper) or P by the normal distribution and a rest, for a >= 20 and x near a."""
    away = (x - a) / a
    half = maximum(away - LOG1P(away), 0.0)
    size = SQRT(half + half)
    y = where(lt(away, 0.0), -size, size)
    low, high = table.ETA
    outer = (y - (low + high) / 2) * (2 / (high - low))
    inner = 2 * _LEAST / a - 1.0
    rest = _product_series(outer, inner) / SQRT(a * (2 * math.pi)) * EXP(-(a * half))
    turn = 1.0 if upper else -1.0
    return erfc(y * SQRT(a * 0.5) * turn) * 0.5 + rest * turn


def _product_series(s: Node, t: Node) -> Node:
    """The sum of T_i(s) T_j(t) with the table's coefficients: Clenshaw's recurrence in s."""
    twice = s + s
    after = last = const(0, s.dtype)
    for row in table.TEMME[:0:-1]:
        c = chebyshev(t, row) if len(row) > 1 else const(row[0], s.dtype)
        last, after = FMA(twice, last, c - after), last
    return FMA(s, last, chebyshev(t, table.TEMME[0]) - after)


def _inside(a: Node, x: Node, upper: bool) -> Node:
    """P or Q for a and x positive and finite."""
    central = and_(ge(a, _LEAST), lt(ABS(x - a), a * 0.5))
    low = le(x, maximum(a + 1.0, 1.5))
    small = where(central, 1.0, a)
    p = _series(small, where(and_(low, lt(x, small + 2.0)), x, small))
    q = _fraction(small, where(low, small + 2.0, x))
    far = where(low, 1.0 - p, q) if upper else where(low, p, 1.0 - q)
    large = where(central, a, _LEAST)
    return where(central, _normal(large, where(central, x, _LEAST), upper), far)


def _regularised(a: Node, x: Node, upper: bool) -> Node:
    infinite_a, infinite_x = eq(a, math.inf), eq(x, math.inf)
    edge = or_(or_(infinite_a, infinite_x), or_(eq(a, 0.0), eq(x, 0.0)))
    usual = and_(and_(gt(a, 0.0), gt(x, 0.0)), eq(edge, False))
    found = _inside(where(usual, a, 1.0), where(usual, x, 1.0), upper)
    nothing = where(or_(eq(x, 0.0), infinite_a), const(0, a.dtype), 1.0)  # P at the edges
    unknown = or_(and_(eq(a, 0.0), eq(x, 0.0)), and_(infinite_a, infinite_x))
    known = where(unknown, math.nan, 1.0 - nothing if upper else nothing)
    outside = or_(or_(lt(a, 0.0), lt(x, 0.0)), or_(eq(eq(a, a), False), eq(eq(x, x), False)))
    return where(outside, math.nan, where(usual, found, known))


def _declared(name: str, a: Node, x: Node, upper: bool) -> Node:
    wide = _regularised(cast(a, float64), cast(x, float64), upper)

    def rule(g: Node, y: Node, a: Node, x: Node) -> Node:
        slope = EXP((a - 1.0) * LOG(x) - x - lgamma(a))
        return -(g * slope) if upper else g * slope

    return with_gradient(name, cast(wide, a.dtype), (a, x), None, rule)


def lower(a: Node, x: Node) -> Node:
    """P(a, x); the gradient goes to x only."""
    return _declared("igamma", a, x, False)


def upper(a: Node, x: Node) -> Node:
    """Q(a, x); the gradient goes to x only."""
    return _declared("igammac", a, x, True)
