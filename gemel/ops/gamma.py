"""The gamma function's logarithm and the derivatives of that.

Arguments below 8 are brought near 2 by the recurrence, larger ones take Stirling's series, negative
ones the reflection formula.
"""

from __future__ import annotations

import math

from gemel.graph.form import float32, float64
from gemel.graph.node import Node

from . import gamma_series as table
from .declared import with_derivative
from .elementwise import ABS, COS, LOG, ROUND, SIN, cast, const, eq, ge, lt, or_, where
from .rounding import static_power
from .series import chebyshev, polynomial

# digamma's positive zero, in two parts
_ZERO, _ZERO_REST = 1.4616321449683622, 9.549995429965697e-17
_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
# B(2k) / (2k)! of the Euler-Maclaurin formula
EULER_MACLAURIN = (
    0.08333333333333333,
    -0.001388888888888889,
    3.306878306878307e-05,
    -8.267195767195768e-07,
    2.08767569878681e-08,
    -5.284190138687493e-10,
    1.3382536530684679e-11,
    -3.3896802963225827e-13,
    8.586062056277845e-15,
    -2.174868698558062e-16,
)
FIRST_TERMS = 10


# ---------- lgamma ----------
def _to_two(x: Node) -> tuple[Node, Node, Node]:
    """(y in [2, 3), rise, fall): gamma(x) = gamma(y) rise / fall, for 0 < x < 8."""
    one = const(1, x.dtype)
    rise, y = one, x
    for _ in range(5):
        high = ge(y, 3.0)
        rise = where(high, rise * (y - 1.0), rise)
        y = where(high, y - 1.0, y)
    fall = where(lt(x, 1.0), x * (x + 1.0), where(lt(x, 2.0), x, one))
    y = where(lt(x, 1.0), x + 2.0, where(lt(x, 2.0), x + 1.0, y))
    return y, rise, fall


def _far_square(x: Node) -> Node:
    """2 (8 / x)**2 - 1, the variable of the series from 8 on."""
    v = 8.0 / x
    return v * v * 2.0 - 1.0


def positive_lgamma(x: Node) -> Node:
    """log(gamma(x)) for x >= 0."""
    far = ge(x, 8.0)
    y, rise, fall = _to_two(where(far, 2.5, x))
    up = LOG(where(eq(rise, 1.0), fall, rise))
    up = where(eq(rise, 1.0), -up, up)
    near = (y - 2.0) * chebyshev(y * 2.0 - 5.0, table.LGAMMA) + up
    large = where(far, x, 8.0)
    rest = chebyshev(_far_square(large), table.STIRLING) / large
    stirling = (LOG(large) - 1.0) * (large - 0.5) + (rest + (_HALF_LOG_TAU - 0.5))
    return where(far, stirling, near)


def _turned(x: Node) -> Node:
    """pi (x - the nearest whole number): sine and tangent of pi x are, but for a sign, its."""
    return (x - ROUND(x)) * math.pi


def _lgamma(x: Node) -> Node:
    size = ABS(x)
    found = positive_lgamma(size)
    sine = ABS(SIN(_turned(size)))
    mirrored = math.log(math.pi) - LOG(sine) - (LOG(size) + found)
    mirrored = where(or_(eq(sine, 0.0), eq(size, math.inf)), math.inf, mirrored)
    return where(lt(x, 0.0), mirrored, found)


def lgamma(x: Node) -> Node:
    """log(|gamma(x)|); infinite at 0 and the negative whole numbers."""
    return with_derivative("lgamma", _lgamma, x, lambda x, y: digamma(x))


def multivariate_lgamma(x: Node, p: int) -> Node:
    """The logarithm of the gamma function of p variables."""
    total = const(p * (p - 1) / 4 * math.log(math.pi), x.dtype)
    for j in range(p):
        total = total + lgamma(x - j / 2)
    return total


# ---------- digamma ----------
def _to_one(x: Node) -> tuple[Node, Node]:
    """(y in [1, 2), digamma(x) - digamma(y)), for 0 < x < 8."""
    low = lt(x, 1.0)
    y = where(low, x + 1.0, x)
    total = where(low, const(-1, x.dtype), 0.0)
    under = where(low, x, 1.0)
    for _ in range(6):
        high = ge(y, 2.0)
        y = where(high, y - 1.0, y)
        total = where(high, total * y + under, total)
        under = where(high, under * y, under)
    return y, total / under


def _positive_digamma(x: Node) -> Node:
    far = ge(x, 8.0)
    y, shift = _to_one(where(far, 1.5, x))
    near = (y - _ZERO - _ZERO_REST) * chebyshev(y * 2.0 - 3.0, table.DIGAMMA) + shift
    large = where(far, x, 8.0)
    rest = chebyshev(_far_square(large), table.DIGAMMA_FAR) / large - 0.5
    return where(far, LOG(large) + rest / large, near)


def _digamma(x: Node) -> Node:
    below = lt(x, 0.0)
    found = _positive_digamma(where(below, 1.0 - x, x))
    turn = _turned(x)
    mirrored = found - COS(turn) * math.pi / SIN(turn)
    mirrored = where(eq(turn, 0.0), math.nan, mirrored)
    zero = -(1.0 / x)  # infinite, with the other sign
    return where(eq(x, 0.0), zero, where(below, mirrored, found))


def digamma(x: Node) -> Node:
    """The derivative of lgamma; NaN at the negative whole numbers."""
    return with_derivative("digamma", _digamma, x, lambda x, y: polygamma(1, x))


# ---------- polygamma ----------
def _positive_zeta(s: int, x: Node) -> Node:
    """The sum over k >= 0 of (x + k)**-s for x > 0, s >= 2: ten terms and Euler-Maclaurin."""
    total = static_power(1.0 / x, s)
    for k in range(1, FIRST_TERMS):
        total = total + static_power(1.0 / (x + float(k)), s)
    inverse = 1.0 / (x + float(FIRST_TERMS))
    corrections = []
    factor = 1.0
    for k, b in enumerate(EULER_MACLAURIN):
        factor *= s if k == 0 else (s + 2 * k - 1) * (s + 2 * k)
        corrections.append(b * factor)
    tail = polynomial(inverse * inverse, corrections) * inverse * inverse
    tail = tail + inverse * 0.5 + 1 / (s - 1)
    return total + static_power(inverse, s - 1) * tail


def _cotangent_derivative(n: int) -> list[float]:
    """Coefficients p with (d/dx)**n cot(x) = p(cot(x)), lowest power first."""
    p = [0.0, 1.0]
    for _ in range(n):
        slope = [k * c for k, c in enumerate(p)][1:]
        p = [0.0] * (len(slope) + 2)
        for k, c in enumerate(slope):
            p[k] -= c
            p[k + 2] -= c
    return p


def _polygamma(n: int, x: Node) -> Node:
    if n > 1 and x.dtype is float32:  # high powers
        return cast(_polygamma(n, cast(x, float64)), float32)
    below = lt(x, 0.0)
    scale = math.factorial(n) * (1.0 if n % 2 else -1.0)
    found = _positive_zeta(n + 1, where(below, 1.0 - x, x)) * scale
    turn = _turned(x)
    if n == 1:  # with pi x as it is: the rounding that the faces' originals have
        sine = SIN(x * math.pi)
        pole = -((math.pi * math.pi) / (sine * sine))
        return where(below, -found - pole, found)
    cotangent = COS(turn) / SIN(turn)
    pole = polynomial(cotangent, _cotangent_derivative(n)) * math.pi ** (n + 1)
    mirrored = (found if n % 2 == 0 else -found) - pole
    mirrored = where(eq(turn, 0.0), scale * math.inf, mirrored)
    return where(below, mirrored, found)


def polygamma(n: int, x: Node) -> Node:
    """The n-th derivative of digamma, n >= 0."""
    if n == 0:
        return digamma(x)
    return with_derivative(
        f"polygamma {n}", lambda x: _polygamma(n, x), x, lambda x, y: polygamma(n + 1, x)
    )
