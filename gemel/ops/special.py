"""Hyperbolic, inverse and other less common functions as composites of the primitives.

In and out: floating-point nodes. Each is written so that it keeps its relative accuracy near zero
and does not overflow before its result does.
"""

from __future__ import annotations

import math

from gemel.graph.node import Node

from .elementwise import (
    ABS,
    COS,
    EXP,
    EXPM1,
    LOG,
    LOG1P,
    SIN,
    SQRT,
    const,
    eq,
    ge,
    gt,
    lt,
    maximum,
    ne,
    sign,
    where,
)
from .error_functions import erfc as erfc
from .error_functions import erfinv as erfinv
from .record import with_complex_rule

# atan(z) = z + z^3 p(z^2) for |z| <= tan(pi/8): a Chebyshev fit, relative error 2.3e-16
_ATAN = (
    -0.33333333333333287,
    0.19999999999970927,
    -0.14285714281590217,
    0.11111110834123067,
    -0.09090898593253283,
    0.07692063300572119,
    -0.06663002000862532,
    0.05846142027194467,
    -0.0502689957907568,
    0.03763430899607435,
    -0.01731021738335697,
)


def polynomial(x: Node, coefficients) -> Node:
    """Horner's rule, highest power first."""
    out = const(coefficients[0], x.dtype)
    for c in coefficients[1:]:
        out = out * x + c
    return out


def _with_sign(size: Node, x: Node) -> Node:
    return where(lt(x, 0.0), -size, size)


def exp2(x: Node) -> Node:
    return EXP(x * math.log(2))


def log2(x: Node) -> Node:
    return LOG(x) * (1 / math.log(2))


def log10(x: Node) -> Node:
    return LOG(x) * (1 / math.log(10))


@with_complex_rule
def tan(x: Node) -> Node:
    return SIN(x) / COS(x)


@with_complex_rule
def sinh(x: Node) -> Node:
    size = ABS(x)
    near = EXPM1(where(gt(size, 20.0), 0.0, size))
    half = EXP(size * 0.5)
    small = (near + near / (near + 1.0)) * 0.5
    return _with_sign(where(gt(size, 20.0), half * 0.5 * half, small), x)


@with_complex_rule
def cosh(x: Node) -> Node:
    half = EXP(ABS(x) * 0.5)
    return half * 0.5 * half + 0.5 / half / half


@with_complex_rule
def atan(x: Node) -> Node:
    """The angle in (-pi/2, pi/2) whose tangent is x."""
    size = ABS(x)
    far = gt(size, 1 + math.sqrt(2))
    middle = gt(size, math.sqrt(2) - 1)
    inner = where(middle, (size - 1.0) / (size + 1.0), size)
    z = where(far, -1.0 / where(far, size, 1.0), inner)
    base = where(far, const(math.pi / 2, x.dtype), where(middle, const(math.pi / 4, x.dtype), 0.0))
    u = z * z
    return _with_sign(base + (z + z * u * polynomial(u, _ATAN[::-1])), x)


def atan2(y: Node, x: Node) -> Node:
    """The angle of the point (x, y) in [-pi, pi]; 0 at the origin with x >= 0."""
    steep = gt(ABS(y), ABS(x))
    top = where(steep, x, y)
    bottom = where(steep, y, x)
    slope = atan(top / where(eq(bottom, 0.0), const(1, x.dtype), bottom))
    turned = _with_sign(const(math.pi / 2, x.dtype), y) - slope
    behind = slope + _with_sign(const(math.pi, x.dtype), y)
    return where(steep, turned, where(lt(x, 0.0), behind, slope))


@with_complex_rule
def asin(x: Node) -> Node:
    return atan(x / SQRT((1.0 - x) * (1.0 + x)))


@with_complex_rule
def acos(x: Node) -> Node:
    return atan(SQRT((1.0 - x) / (1.0 + x))) * 2.0


@with_complex_rule
def asinh(x: Node) -> Node:
    size = ABS(x)
    far = gt(size, 1e9)
    near = where(far, 0.0, size)
    small = LOG1P(near + near * near / (1.0 + SQRT(near * near + 1.0)))
    return _with_sign(where(far, LOG(where(far, size, 1.0)) + math.log(2), small), x)


@with_complex_rule
def acosh(x: Node) -> Node:
    far = gt(x, 1e9)
    d = where(far, 0.0, x - 1.0)
    return where(far, LOG(where(far, x, 1.0)) + math.log(2), LOG1P(d + SQRT(d * (d + 2.0))))


@with_complex_rule
def atanh(x: Node) -> Node:
    return (LOG1P(x) - LOG1P(-x)) * 0.5


def cbrt(x: Node) -> Node:
    size = ABS(x)
    root = EXP(LOG(where(eq(size, 0.0), const(1, x.dtype), size)) * (1 / 3))
    # one Newton step brings the last bits back
    root = root - (root - size / (root * root)) * (1 / 3)
    return sign(x) * where(eq(size, 0.0), 0.0, root)


def hypot(x: Node, y: Node) -> Node:
    """sqrt(x^2 + y^2) without overflow in the squares."""
    a = ABS(x)
    b = ABS(y)
    top = maximum(a, b)
    safe = where(eq(top, 0.0), const(1, x.dtype), top)
    p = a / safe
    q = b / safe
    return where(eq(top, 0.0), top, where(eq(top, math.inf), top, safe * SQRT(p * p + q * q)))


def log_add_exp(a: Node, b: Node) -> Node:
    top = maximum(a, b)
    gap = -ABS(a - b)
    return where(eq(a, b), a + math.log(2), top + LOG1P(EXP(gap)))


def sinc(x: Node) -> Node:
    """sin(pi x) / (pi x), 1 at 0."""
    z = where(eq(x, 0.0), const(1, x.dtype), x * math.pi)
    return where(eq(x, 0.0), const(1, x.dtype), SIN(z) / z)


def is_inf(x: Node) -> Node:
    return eq(ABS(x), math.inf)


def is_finite(x: Node) -> Node:
    return lt(ABS(x), math.inf)


def heaviside(x: Node, at_zero: Node) -> Node:
    step = where(lt(x, 0), const(0, x.dtype), where(gt(x, 0), const(1, x.dtype), at_zero))
    return where(ne(x, x), x, step)


def soft_shrink(x: Node, width: float) -> Node:
    return where(gt(x, width), x - width, where(lt(x, -width), x + width, 0.0))


def hard_shrink(x: Node, width: float) -> Node:
    return where(gt(ABS(x), width), x, 0.0)


def square_plus(x: Node, b: float) -> Node:
    return (x + SQRT(x * x + b)) * 0.5


def sparse_plus(x: Node) -> Node:
    bend = (x + 1.0) * (x + 1.0) * 0.25
    return where(lt(x, -1.0), 0.0, where(lt(x, 1.0), bend, x))


def sparse_sigmoid(x: Node) -> Node:
    return where(lt(x, -1.0), 0.0, where(ge(x, 1.0), const(1, x.dtype), (x + 1.0) * 0.5))
