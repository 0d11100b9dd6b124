"""Elementary functions of complex numbers, on their parts.

Branch cuts and the signs of zeros are C's (ISO C, annex G). Formulas of the arc functions after
W. Kahan, "Branch cuts for complex elementary functions, or much ado about nothing's sign bit"
(1987). Each is written so that its gradient by the chain rule is finite wherever the derivative is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gemel.graph.node import Node

from .complex import from_parts, imaginary, over_i, parts, real, times_i
from .complex_arithmetic import magnitude, quotient, sorted_parts
from .elementwise import (
    COS,
    EXP,
    EXPM1,
    LOG,
    LOG1P,
    SIN,
    SQRT,
    and_,
    const,
    eq,
    gt,
    lt,
    maximum,
    minimum,
    where,
)
from .inverse_trigonometry import atan2
from .predicates import sign_bit
from .transcendental import asinh as real_asinh
from .transcendental import cosh as real_cosh
from .transcendental import sinh as real_sinh

_LARGE = 1e37


def _times_zero(size: Node, wave: Node, angle: Node) -> Node:
    """size * wave, where wave is the sine of an angle: 0 at 0 even if the size is infinite."""
    finite = maximum(minimum(size, _LARGE), -_LARGE)
    return where(eq(angle, 0.0), finite * angle, size * wave)


# ---------- exponentials and logarithms ----------
def exp(z: Node) -> Node:
    re, im = parts(z)
    size = EXP(re)
    return from_parts(size * COS(im), _times_zero(size, SIN(im), im))


def expm1(z: Node) -> Node:
    """exp(z) - 1 without cancellation near 0."""
    re, im = parts(z)
    half = SIN(im * 0.5)
    low = EXPM1(re)
    return from_parts(low * COS(im) - half * half * 2.0, _times_zero(low + 1.0, SIN(im), im))


def log(z: Node) -> Node:
    """(log |z|, argument); |z| by its larger part, and near 1 by what it differs from 1."""
    re, im = parts(z)
    large, small = sorted_parts(z)
    around = and_(gt(large, 0.5), lt(large, 2.0))
    near = LOG1P((large - 1.0) * (large + 1.0) + small * small) * 0.5
    plain = and_(lt(0.0, large), lt(large, math.inf))
    ratio = where(plain, small, 0.0) / where(plain, large, 1.0)
    far = LOG(large) + LOG1P(ratio * ratio) * 0.5
    infinite = eq(magnitude(im), math.inf)
    far = where(infinite, magnitude(im), far)
    return from_parts(where(around, near, far), atan2(im, re))


def log1p(z: Node) -> Node:
    re, im = parts(z)
    close = and_(lt(magnitude(re), 0.5), lt(magnitude(im), 0.5))
    x, y = where(close, re, 0.0), where(close, im, 0.0)
    near = LOG1P(x * (x + 2.0) + y * y) * 0.5
    far = log(from_parts(re + 1.0, im))
    return from_parts(where(close, near, real(far)), imaginary(far))


def log_add_exp(a: Node, b: Node) -> Node:
    """log(exp(a) + exp(b)) without overflow: the imaginary part counts from that of the larger."""
    first = lt(real(a), real(b))
    low, high = where(first, a, b), where(first, b, a)
    level = and_(eq(real(low), real(high)), eq(magnitude(real(low)), math.inf))
    zero = const(0, a.dtype)
    found = log1p(exp(where(level, zero, low - high))) + high
    top = and_(level, gt(real(low), 0.0))
    both = [exp(where(top, x, zero)) for x in (low, high)]
    limit = where(top, log(both[0] + both[1]), low)
    return where(level, limit, found)


def power(a: Node, b: Node) -> Node:
    """exp(b log a); 0 to a power with positive real part is 0, anything to the power 0 is 1."""
    nothing, none = eq(a, 0.0), eq(b, 0.0)
    found = exp(b * log(where(nothing, const(1, a.dtype), a)))
    zero = where(gt(real(b), 0.0), const(0, a.dtype), const(complex(math.nan, math.nan), a.dtype))
    return where(none, const(1, a.dtype), where(nothing, zero, found))


# ---------- roots ----------
def sqrt(z: Node) -> Node:
    """The root in the right half plane; on the cut the sign of the imaginary part is kept."""
    re, im = parts(z)
    across, up = magnitude(re), magnitude(im)
    large, small = sorted_parts(z)
    plain = and_(lt(0.0, large), lt(large, math.inf))
    base = where(plain, large, 1.0)
    ratio = where(plain, small, 0.0) / base
    size = SQRT(ratio * ratio + 1.0)  # |z| / large
    share = where(plain, across, 0.0) / base
    root = SQRT(base) * SQRT((share + size) * 0.5)
    root = where(plain, root, where(eq(large, 0.0), const(0, re.dtype), SQRT(across)))
    other = up / where(eq(root, 0.0), 1.0, root + root)
    left = lt(re, 0.0)
    x, y = where(left, other, root), where(left, root, other)
    infinite = eq(up, math.inf)
    x, y = where(infinite, up, x), where(infinite, up, y)
    return from_parts(x, where(sign_bit(im), -y, y))


# ---------- trigonometric and hyperbolic ----------
def sinh(z: Node) -> Node:
    re, im = parts(z)
    return from_parts(real_sinh(re) * COS(im), _times_zero(real_cosh(re), SIN(im), im))


def cosh(z: Node) -> Node:
    re, im = parts(z)
    return from_parts(real_cosh(re) * COS(im), _times_zero(real_sinh(re), SIN(im), im))


def tanh(z: Node) -> Node:
    """(sinh x cosh x + i sin y cos y) / (sinh^2 x + cos^2 y); far from 0 by its limit."""
    re, im = parts(z)
    far = gt(magnitude(re), 20.0)
    x = where(far, 0.0, re)
    s, c, wave = real_sinh(x), COS(im), SIN(im)
    below = s * s + c * c
    limit = EXP(magnitude(re) * -2.0) * 4.0 * (wave * c)
    one = where(sign_bit(re), const(-1, re.dtype), const(1, re.dtype))
    up = where(far, limit, wave * c / where(far, 1.0, below))
    return from_parts(where(far, one, s * real_cosh(x) / where(far, 1.0, below)), up)


def sin(z: Node) -> Node:
    return over_i(sinh(times_i(z)))


def cos(z: Node) -> Node:
    return cosh(times_i(z))


def tan(z: Node) -> Node:
    return over_i(tanh(times_i(z)))


def sigmoid(z: Node) -> Node:
    return quotient(const(1, z.dtype), exp(-z) + 1.0)


# ---------- arc functions ----------
def _roots(z: Node) -> tuple[tuple[Node, Node], tuple[Node, Node]]:
    """The parts of sqrt(1 - z) and sqrt(1 + z)."""
    re, im = parts(z)
    return parts(sqrt(from_parts(1.0 - re, -im))), parts(sqrt(from_parts(re + 1.0, im)))


def asin(z: Node) -> Node:
    (ar, ai), (br, bi) = _roots(z)
    return from_parts(atan2(real(z), ar * br - ai * bi), real_asinh(ar * bi - ai * br))


def acos(z: Node) -> Node:
    (ar, ai), (br, bi) = _roots(z)
    return from_parts(atan2(ar, br) * 2.0, real_asinh(br * ai - bi * ar))


def acosh(z: Node) -> Node:
    re, im = parts(z)
    ar, ai = parts(sqrt(from_parts(re - 1.0, im)))
    br, bi = parts(sqrt(from_parts(re + 1.0, im)))
    return from_parts(real_asinh(ar * br + ai * bi), atan2(ai, br) * 2.0)


def atanh(z: Node) -> Node:
    """Far from 0 by its limit: 1 / z, a quarter turn away from the real axis."""
    re, im = parts(z)
    far = gt(sorted_parts(z)[0], 1e8)
    x, y = where(far, 0.0, magnitude(re)), where(far, 0.0, im)
    beside = (1.0 - x) * (1.0 - x) + y * y
    pole = eq(beside, 0.0)
    near = LOG1P(x * 4.0 / where(pole, 1.0, beside)) * 0.25
    near = where(pole, const(math.inf, re.dtype), near)
    near = where(sign_bit(re), -near, near)
    turn = atan2(y * 2.0, (1.0 - x) * (x + 1.0) - y * y) * 0.5
    quarter = const(math.pi / 2, re.dtype)
    tiny = real(quotient(const(1, z.dtype), z))
    limit = where(sign_bit(im), -quarter, quarter)
    return from_parts(where(far, tiny, near), where(far, limit, turn))


def asinh(z: Node) -> Node:
    return over_i(asin(times_i(z)))


def atan(z: Node) -> Node:
    return over_i(atanh(times_i(z)))


_ONE = (exp, expm1, log, log1p, sqrt, sin, cos, tan, sinh, cosh, tanh)
_ONE += (asin, acos, atan, asinh, acosh, atanh, sigmoid)
RULES: dict[str, Callable] = {
    function.__name__: lambda attrs, z, function=function: function(z) for function in _ONE
}
RULES["log_add_exp"] = lambda attrs, a, b: log_add_exp(a, b)
RULES["pow"] = lambda attrs, a, b: power(a, b)
