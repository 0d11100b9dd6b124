"""Modified Bessel functions of the first and second kind, orders 0 and 1."""

from __future__ import annotations

import math

from gemel.graph.node import Node

from . import bessel_series as table
from .declared import with_derivative
from .elementwise import ABS, EXP, LOG, SQRT, const, eq, le, lt, maximum, minimum, sign, where
from .series import chebyshev


def _near(x: Node, series) -> Node:
    return chebyshev(minimum(x, 8.0) * 0.25 - 1.0, series)


def _far(x: Node, series) -> Node:
    x = maximum(x, 8.0)
    return chebyshev(16.0 / x - 1.0, series) / SQRT(x)


def _scaled_i0(x: Node) -> Node:
    """exp(-|x|) I0(x)."""
    size = ABS(x)
    return where(le(size, 8.0), _near(size, table.I0_NEAR), _far(size, table.I0_FAR))


def _scaled_i1(x: Node) -> Node:
    """exp(-|x|) I1(x)."""
    size = ABS(x)
    found = where(le(size, 8.0), _near(size, table.I1_NEAR) * size, _far(size, table.I1_FAR))
    return where(lt(x, 0.0), -found, found)


def _grown(x: Node, scaled: Node) -> Node:
    """exp(|x|) times the scaled value, in two steps so that it overflows where the product does."""
    half = EXP(ABS(x) * 0.5)
    return scaled * half * half


def i0(x: Node) -> Node:
    return with_derivative("i0", lambda x: _grown(x, _scaled_i0(x)), x, lambda x, y: i1(x))


def i0e(x: Node) -> Node:
    """exp(-|x|) I0(x)."""
    return with_derivative("i0e", _scaled_i0, x, lambda x, y: i1e(x) - sign(x) * y)


def _ratio(x: Node, y: Node) -> Node:
    """y / x, a half at 0."""
    zero = eq(x, 0.0)
    return where(zero, const(0.5, x.dtype), y / where(zero, const(1, x.dtype), x))


def i1(x: Node) -> Node:
    value = _grown(x, _scaled_i1(x))
    return with_derivative("i1", lambda _: value, x, lambda x, y: i0(x) - _ratio(x, y))


def i1e(x: Node) -> Node:
    """exp(-|x|) I1(x)."""
    return with_derivative("i1e", _scaled_i1, x, lambda x, y: i0e(x) - sign(x) * y - _ratio(x, y))


def _second_kind(order: int, x: Node, scaled: bool) -> Node:
    """K of the order, or exp(x) K; infinite at 0, NaN below."""
    near_series, far_series = (
        (table.K0_NEAR, table.K0_FAR) if order == 0 else (table.K1_NEAR, table.K1_FAR)
    )
    low = where(le(x, 2.0), x, 2.0)
    first = _scaled_i0(low) if order == 0 else _scaled_i1(low)
    logarithm = LOG(low * 0.5) * _grown(low, first)
    near = chebyshev(low * low * 0.5 - 1.0, near_series)
    near = near - logarithm if order == 0 else logarithm + near / low
    high = maximum(x, 2.0)
    far = chebyshev(4.0 / high - 1.0, far_series) / SQRT(high)
    if scaled:
        near = near * EXP(low)
    else:
        half = EXP(high * -0.5)
        far = far * half * half
    found = where(le(x, 2.0), near, far)
    return where(lt(x, 0.0), math.nan, where(eq(x, 0.0), math.inf, found))


def k0(x: Node) -> Node:
    return _second_kind(0, x, False)


def k1(x: Node) -> Node:
    return _second_kind(1, x, False)


def k0e(x: Node) -> Node:
    """exp(x) K0(x)."""
    return _second_kind(0, x, True)


def k1e(x: Node) -> Node:
    """exp(x) K1(x)."""
    return _second_kind(1, x, True)
