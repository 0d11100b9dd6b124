"""Functions built from exp, log, sin, cos and pow, as composites over floating-point nodes.

Where a formula is stated for the positive half, the sign is put back with `where` and not with
`sign`, so that the gradient at zero is that of the function.
"""

from __future__ import annotations

import math

from gemel.graph.form import float32
from gemel.graph.node import Node

from .declared import declares, with_gradient
from .elementwise import (
    ABS,
    COS,
    EXP,
    EXPM1,
    LOG,
    LOG1P,
    NOT,
    ROUND,
    SIGNED_BITS,
    SIN,
    SQRT,
    and_,
    cast,
    const,
    eq,
    ge,
    gt,
    is_nan,
    le,
    lt,
    maximum,
    minimum,
    ne,
    or_,
    rsqrt,
    stop_gradient,
    where,
)
from .float_parts import scaled
from .predicates import is_finite, sign_bit
from .record import with_complex_rule

_LARGE = 1e30
_SQUARED = 1e10  # its square adds nothing to 1, and does not overflow


def log2(x: Node) -> Node:
    return LOG(x) / math.log(2)


def log10(x: Node) -> Node:
    return LOG(x) / math.log(10)


def exp2(x: Node) -> Node:
    """2**x, by e to the fraction of x: a quarter of the time of a power."""
    if x.dtype.is_complex:
        return EXP(x * math.log(2))
    if x.dtype.half:
        return cast(exp2(cast(x, float32)), x.dtype)
    far = 250.0 if x.dtype.itemsize == 4 else 2000.0  # beyond, the result is 0 or infinite
    whole = stop_gradient(maximum(minimum(ROUND(x), far), -far))
    power = cast(where(is_nan(whole), 0.0, whole), SIGNED_BITS[x.dtype.itemsize])
    return scaled(EXP((x - whole) * math.log(2)), power)


def cbrt(x: Node) -> Node:
    """The real cube root; zeros, infinities and NaN are their own."""

    def positive(a):
        own = or_(eq(a, 0.0), ge(a, math.inf))
        root = EXP(LOG(where(own, 1.0, a)) * (1 / 3))
        root = root - (root - a / (root * root)) * (1 / 3)  # a step of Newton's, for the last bits
        return where(own, a, root)

    return _odd(x, positive)


def reciprocal(x: Node) -> Node:
    return 1.0 / x


@with_complex_rule
def tan(x: Node) -> Node:
    return SIN(x) / COS(x)


def _odd(x: Node, positive) -> Node:
    """An odd function from its formula for x >= 0; zeros keep their sign."""
    below = sign_bit(x)
    y = positive(where(below, -x, x))
    return where(below, -y, y)


@with_complex_rule
def sinh(x: Node) -> Node:
    def positive(a):
        """2 sinh(a/2) cosh(a/2), which overflows no earlier than the result."""
        e = EXPM1(a * 0.5)
        small = minimum(e, _LARGE)
        return (e + small / (small + 1.0)) * 0.5 * (e + 1.0 + 1.0 / (e + 1.0))

    return _odd(x, positive)


@with_complex_rule
def cosh(x: Node) -> Node:
    half = EXP(ABS(x) * 0.5)
    return half * 0.5 * half + 0.5 / half / half


@with_complex_rule
@declares(lambda x, y: rsqrt(x * x + 1.0))
def asinh(x: Node) -> Node:
    def positive(a):
        near = minimum(a, _SQUARED)  # above, a * a + 1 is a * a, or infinite
        exact = LOG1P(near + near * near / (SQRT(near * near + 1.0) + 1.0))
        return where(gt(a, _SQUARED), LOG(a) + math.log(2.0), exact)

    return _odd(x, positive)


@with_complex_rule
@declares(lambda x, y: rsqrt(x * x - 1.0))
def acosh(x: Node) -> Node:
    far = gt(x, 1e9)
    above = where(far, 0.0, x - 1.0)
    return where(far, LOG(x) + math.log(2), LOG1P(above + SQRT(above) * SQRT(x + 1.0)))


@with_complex_rule
@declares(lambda x, y: 1.0 / (1.0 - x * x))
def atanh(x: Node) -> Node:
    return LOG1P(x * 2.0 / (1.0 - x)) * 0.5


def logit(x: Node) -> Node:
    return LOG(x / (1.0 - x))


def sinc(x: Node) -> Node:
    """sin(pi x) / (pi x), 1 at 0."""
    zero = eq(x, 0.0)
    z = where(zero, const(1, x.dtype), x) * math.pi
    return where(zero, const(1, x.dtype), SIN(z) / z)


def hypot(a: Node, b: Node) -> Node:
    """The length of the vector (a, b); no square of them overflows."""
    return with_gradient(
        "hypot",
        _length(ABS(a), ABS(b)),
        (a, b),
        lambda g, y, a, b: g * (a / y),
        lambda g, y, a, b: g * (b / y),
    )


def _length(a: Node, b: Node) -> Node:
    long, short = maximum(a, b), minimum(a, b)
    ratio = short / where(eq(long, 0.0), const(1, long.dtype), long)
    found = long * SQRT(ratio * ratio + 1.0)
    return where(or_(eq(a, math.inf), eq(b, math.inf)), const(math.inf, long.dtype), found)


@with_complex_rule
def log_add_exp(a: Node, b: Node) -> Node:
    """log(exp(a) + exp(b)) without overflow."""
    top = maximum(a, b)
    infinite = eq(ABS(top), math.inf)
    value = where(infinite, top, top + LOG1P(EXP(-ABS(a - b))))
    return with_gradient(
        "logaddexp",
        value,
        (a, b),
        lambda g, y, a, b: g / (EXP(b - a) + 1.0),
        lambda g, y, a, b: g / (EXP(a - b) + 1.0),
    )


def log_add_exp2(a: Node, b: Node) -> Node:
    scale = math.log(2)
    return log_add_exp(a * scale, b * scale) / scale


def x_log_y(x: Node, y: Node) -> Node:
    """x log(y), 0 where x is 0 (unless y is NaN)."""
    nothing = and_(eq(x, 0.0), NOT(is_nan(y)))
    return where(nothing, const(0, x.dtype), x * LOG(where(nothing, const(1, y.dtype), y)))


def x_log1p_y(x: Node, y: Node) -> Node:
    """x log(1 + y), 0 where x is 0 (unless y is NaN)."""
    nothing = and_(eq(x, 0.0), NOT(is_nan(y)))
    return where(nothing, const(0, x.dtype), x * LOG1P(where(nothing, const(1, y.dtype), y)))


def lerp(a: Node, b: Node, weight: Node) -> Node:
    """a + weight (b - a), from the nearer end so that weight 1 gives b."""
    near = lt(ABS(weight), 0.5)
    d = b - a
    return where(near, a + weight * d, b - d * (1.0 - weight))


def heaviside(x: Node, at_zero: Node) -> Node:
    """0 below zero, 1 above, `at_zero` at zero; NaN counts as below."""
    step = where(gt(x, 0), const(1, x.dtype), const(0, x.dtype))
    return where(eq(x, 0), at_zero, step)


def nan_to_number(x: Node, nan: float, top: float, bottom: float) -> Node:
    """NaN and the infinities replaced by numbers."""
    x = where(ne(x, x), const(nan, x.dtype), x)
    x = where(eq(x, math.inf), const(top, x.dtype), x)
    return where(eq(x, -math.inf), const(bottom, x.dtype), x)


def near(a: Node, b: Node, relative: float, absolute: float, equal_nan: bool) -> Node:
    """|a - b| <= absolute + relative |b|, elementwise; infinities only equal themselves."""
    close = and_(is_finite(b), le(ABS(a - b), ABS(b) * relative + absolute))
    close = or_(eq(a, b), close)
    return or_(close, and_(is_nan(a), is_nan(b))) if equal_nan else close
