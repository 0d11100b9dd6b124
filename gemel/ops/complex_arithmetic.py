"""Products, quotients, modulus and argument of complex numbers, on their parts.

The quotient is Smith's (Algorithm 116: Complex division, 1962): it divides by the larger part of
the divisor, so that nothing overflows which the result does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gemel.graph.node import Node

from .complex import as_complex, as_real, from_parts, parts
from .elementwise import (
    COS,
    SIN,
    SQRT,
    and_,
    const,
    eq,
    ge,
    is_nan,
    lt,
    maximum,
    or_,
    sign,
    stop_gradient,
    where,
)
from .inverse_trigonometry import atan2
from .movement import reshape
from .predicates import sign_bit


def pairwise(x: Node) -> Node:
    """A real value as it meets pairs: with an axis of one at the end."""
    return reshape(x, (*x.shape, 1))


def product(a: Node, b: Node) -> Node:
    (ar, ai), (br, bi) = parts(a), parts(b)
    return from_parts(ar * br - ai * bi, ar * bi + ai * br)


def scaled(z: Node, factor) -> Node:
    """z times a real value of its part's type, or a number."""
    return as_complex(as_real(z) * (pairwise(factor) if isinstance(factor, Node) else factor))


def quotient(a: Node, b: Node) -> Node:
    (ar, ai), (br, bi) = parts(a), parts(b)
    first = ge(magnitude(br), magnitude(bi))  # is the real part the larger one?
    large, small = where(first, br, bi), where(first, bi, br)
    nothing = and_(eq(large, 0.0), eq(small, 0.0))
    ratio = where(nothing, 0.0, small) / where(nothing, 1.0, large)
    scale = 1.0 / (large + small * ratio)
    p, q = where(first, ar, ai), where(first, ai, ar)
    im = (q - p * ratio) * scale
    return from_parts((p + q * ratio) * scale, where(first, im, -im))


def magnitude(x: Node) -> Node:
    """|x| of a real value; its gradient at 0 is that of x."""
    return where(sign_bit(x), -x, x)


def sorted_parts(z: Node) -> tuple[Node, Node]:
    """The larger and the smaller of |re| and |im|."""
    re, im = map(magnitude, parts(z))
    first = ge(re, im)
    return where(first, re, im), where(first, im, re)


def _scale(re: Node, im: Node) -> Node:
    """A number to divide both parts by, so that their squares neither overflow nor vanish."""
    large = stop_gradient(maximum(magnitude(re), magnitude(im)))
    return where(and_(lt(large, math.inf), lt(0.0, large)), large, 1.0)


def modulus(z: Node) -> Node:
    """|z|; gradient 0 at 0. An infinite part gives infinity, also beside NaN."""
    re, im = parts(z)
    scale = _scale(re, im)
    u, v = re / scale, im / scale
    nothing = and_(eq(re, 0.0), eq(im, 0.0))
    found = where(nothing, 0.0, SQRT(where(nothing, 1.0, u * u + v * v)) * scale)
    infinite = or_(eq(magnitude(re), math.inf), eq(magnitude(im), math.inf))
    return where(infinite, const(math.inf, re.dtype), found)


def squared_modulus(x: Node) -> Node:
    """|x|^2 as a real value, of real and complex values."""
    if not x.dtype.is_complex:
        return x * x
    re, im = parts(x)
    return re * re + im * im


def angle(z: Node) -> Node:
    """The argument, from -pi to pi; of real values 0 or pi. NaN stays NaN. Gradient 0 at 0."""
    if z.dtype.is_complex:
        re, im = parts(z)
        found = atan2(im, re)
        return where(and_(eq(re, 0.0), eq(im, 0.0)), stop_gradient(found), found)
    flat = where(is_nan(z), z, const(0, z.dtype))
    return where(lt(z, 0.0), const(math.pi, z.dtype), flat)


def direction(z: Node) -> Node:
    """z / |z|, 0 at 0; the sign of a real value."""
    if not z.dtype.is_complex:
        return sign(z)
    size = modulus(z)
    nothing = eq(size, 0.0)
    unit = scaled(z, 1.0 / where(nothing, 1.0, size))
    return where(nothing, const(0, z.dtype), unit)


def polar(size: Node, turn: Node) -> Node:
    """The complex number of a modulus and an angle."""
    return from_parts(size * COS(turn), size * SIN(turn))


RULES: dict[str, Callable] = {
    "mul": lambda attrs, a, b: product(a, b),
    "div": lambda attrs, a, b: quotient(a, b),
    "fma": lambda attrs, a, b, c: product(a, b) + c,
    "abs": lambda attrs, z: modulus(z),
}
