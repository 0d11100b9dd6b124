"""Floating-point numbers taken apart and stepped along: frexp, ldexp, nextafter."""

from __future__ import annotations

from gemel.graph.form import DType, float32, int32
from gemel.graph.node import Node

from .declared import with_gradient
from .elementwise import (
    ABS,
    BITCAST,
    POW,
    SIGNED_BITS,
    and_,
    cast,
    const,
    eq,
    gt,
    is_nan,
    lt,
    or_,
    shl,
    shr,
    stop_gradient,
    sub,
    where,
    xor,
)
from .half_types import as_given

_FRACTION = {4: 23, 8: 52}
_BIAS = {4: 127, 8: 1023}


def _bits(x: Node) -> tuple[Node, DType]:
    whole = SIGNED_BITS[x.dtype.itemsize]
    return BITCAST(x, attrs=(whole,)), whole


def _exponent_field(bits: Node, itemsize: int) -> Node:
    width = itemsize * 8 - 1 - _FRACTION[itemsize]
    return and_(shr(bits, _FRACTION[itemsize]), (1 << width) - 1)


def split(x: Node) -> tuple[Node, Node]:
    """(m, e) with x = m * 2**e and 0.5 <= |m| < 1; 0, infinities and NaN are their own m. The
    gradient goes through m, with e fixed."""
    if x.dtype.half:
        m, e = split(cast(x, float32))
        return cast(m, x.dtype), e
    size = x.dtype.itemsize
    tiny = lt(ABS(x), 2.0 ** (2 - _BIAS[size]))
    lift = _FRACTION[size] + 2
    bits, whole = _bits(stop_gradient(where(tiny, x * 2.0**lift, x)))
    field = _exponent_field(bits, size)
    shift = where(tiny, const(lift, whole), 0)
    plain = or_(eq(x, 0.0), eq(field, (2 << (size * 8 - 2 - _FRACTION[size])) - 1))
    exponent = where(plain, const(0, whole), field - (_BIAS[size] - 1) - shift)
    return scaled(x, -exponent), cast(exponent, int32)


def scaled(x: Node, exponent: Node) -> Node:
    """x * 2**exponent for a whole exponent, in two steps so that neither factor overflows."""
    half = shr(exponent, 1)
    return x * _power_of_two(half, x) * _power_of_two(exponent - half, x)


def _power_of_two(n: Node, like: Node) -> Node:
    size = like.dtype.itemsize
    return BITCAST(shl(n + _BIAS[size], _FRACTION[size]), attrs=(like.dtype,))


def times_power_of_two(x: Node, exponent: Node) -> Node:
    """x * 2**exponent for any exponent of x's type."""
    return x * POW(const(2, x.dtype), exponent)


def _next(x: Node, towards: Node) -> Node:
    bits, whole = _bits(as_given(x))
    away = eq(gt(towards, x), gt(x, 0.0))  # in size, for x not 0
    stepped = where(away, bits + 1, sub(bits, 1))
    least = xor(const(1, whole), where(lt(towards, 0.0), const(-(1 << whole.bits - 1), whole), 0))
    stepped = where(eq(x, 0.0), least, stepped)
    found = BITCAST(stepped, attrs=(as_given(x).dtype,))
    found = where(eq(x, towards), towards, found)
    return where(or_(is_nan(x), is_nan(towards)), x + towards, found)


def next_after(x: Node, towards: Node) -> Node:
    """The next number from x in the direction of the other; it moves with x."""
    return with_gradient(
        "nextafter",
        _next(x, towards),
        (x, towards),
        lambda g, y, x, towards: where(eq(x, towards), 0.0, g),
        lambda g, y, x, towards: g * 0.0,
    )
