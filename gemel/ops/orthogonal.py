"""Orthogonal polynomials of a degree that is a tensor. No gradient is known, as in the original.

Chebyshev's four kinds have closed forms: of the angle acos(x) inside [-1, 1], of the hyperbolic one
outside. The others follow their recurrences, as a host call.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gemel.graph.form import float64, int64
from gemel.graph.node import Node

from .declared import with_gradient
from .elementwise import (
    ABS,
    EXP,
    LOG,
    ROUND,
    SIN,
    SQRT,
    broadcast_shapes,
    cast,
    const,
    eq,
    gt,
    le,
    lt,
    maximum,
    minimum,
    ne,
    trunc,
    where,
)
from .host import Host
from .inverse_trigonometry import acos
from .movement import expand, reshape

_RECURRENCE = Host("recurrences.polynomial")


def _sine_ratio(multiple: Node, angle: Node) -> Node:
    """sin(multiple angle) / sin(angle), also at the multiples of pi that acos gives."""
    below = SIN(angle)
    flat = eq(below, 0.0)
    return where(flat, multiple, SIN(multiple * angle) / where(flat, const(1, angle.dtype), below))


def _wide_ratio(multiple: Node, angle: Node) -> Node:
    """sinh(multiple angle) / sinh(angle) for angle > 0, by exponentials that do not overflow."""
    upper = 1.0 - EXP(multiple * angle * -2.0)
    return EXP((multiple - 1.0) * angle) * upper / (1.0 - EXP(angle * -2.0))


def _first(n: Node, angle: Node, wide: Node) -> tuple[Node, Node]:
    """T: cos(n angle) and cosh(n wide)."""
    half = (EXP(n * wide) + EXP(-(n * wide))) * 0.5
    return SIN(math.pi / 2 - n * angle), half


def _second(n: Node, angle: Node, wide: Node) -> tuple[Node, Node]:
    """U."""
    return _sine_ratio(n + 1.0, angle), _wide_ratio(n + 1.0, wide)


def _fourth(n: Node, angle: Node, wide: Node) -> tuple[Node, Node]:
    """W: the ratio of sines of (n + 1/2) angle and angle / 2."""
    return _sine_ratio(n * 2.0 + 1.0, angle * 0.5), _wide_ratio(n * 2.0 + 1.0, wide * 0.5)


_KINDS: dict[str, Callable] = {"t": _first, "u": _second, "v": _fourth, "w": _fourth}


def _chebyshev(kind: str, x: Node, n: Node) -> Node:
    """In float64. x below 0 follows from symmetry: V and W change places there."""
    size = ABS(x)
    odd = ne(ROUND(n * 0.5) * 2.0, n)
    angle = acos(minimum(size, 1.0))
    away = maximum(size, 1.0)
    wide = maximum(LOG(away + SQRT((away - 1.0) * (away + 1.0))), 1e-300)
    inside, outside = _KINDS[kind](n, angle, wide)
    found = where(le(size, 1.0), inside, outside)
    if kind in "vw":
        other = where(le(size, 1.0), *_third(n, angle, wide))
        same = lt(x, 0.0) if kind == "v" else eq(lt(x, 0.0), False)
        found = where(same, found, other)
    found = where(lt(x, 0.0), where(odd, -found, found), found)
    return where(lt(n, 0.0), 0.0, where(eq(n, 0.0), 1.0, found))


def _third(n: Node, angle: Node, wide: Node) -> tuple[Node, Node]:
    """V: the ratio of cosines of (n + 1/2) angle and angle / 2, for angle up to pi / 2."""
    half, m = angle * 0.5, n + 0.5
    inside = SIN(math.pi / 2 - m * angle) / SIN(math.pi / 2 - half)
    top = EXP(n * wide) * (1.0 + EXP(m * wide * -2.0))
    return inside, top / (1.0 + EXP(-wide))


def _declared(name: str, x: Node, n: Node, value: Node) -> Node:
    return with_gradient(name, cast(value, x.dtype), (x, n), None, None)


def chebyshev(kind: str, x: Node, n: Node, shifted: bool = False) -> Node:
    """T, U, V or W of degree n (cut to a whole number); shifted: of 2 x - 1."""
    wide = cast(x, float64)
    wide = wide * 2.0 - 1.0 if shifted else wide
    value = _chebyshev(kind, wide, trunc(cast(n, float64)))
    return _declared(f"chebyshev_polynomial_{kind}", x, n, value)


def by_recurrence(family: str, x: Node, n: Node, limit: int | None = None) -> Node:
    """A polynomial of `runtime.host_calls.recurrences`; NaN above the degree `limit`."""
    shape = broadcast_shapes(family, x.form, n.form)
    flat = (math.prod(shape),)
    wide = reshape(expand(x, shape), flat)
    degree = known = reshape(expand(cast(n, int64), shape), flat)
    if limit is not None:
        known = where(gt(degree, limit), const(0, int64), degree)
    value = _RECURRENCE(flat, x.dtype, wide, known, settings=(family,))
    if limit is not None:
        value = where(gt(degree, limit), math.nan, value)
    return _declared(f"{family}_polynomial", x, n, reshape(value, shape))
