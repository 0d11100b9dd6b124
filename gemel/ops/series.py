"""Chebyshev series of nodes. A series is as long as the element type's precision needs."""

from __future__ import annotations

from collections.abc import Sequence

from gemel.graph.node import Node

from .elementwise import FMA, const, lift

# terms below this part of the largest do not change the result
_LEAST = {2: 1e-9, 4: 1e-9, 8: 0.0}


def chebyshev(t: Node, coefficients: Sequence[float]) -> Node:
    """The series at t in [-1, 1], lowest order first, by Clenshaw's recurrence."""
    least = _LEAST[t.dtype.itemsize] * max(abs(c) for c in coefficients)
    kept = list(coefficients)
    while len(kept) > 2 and abs(kept[-1]) < least:
        kept.pop()
    twice = t + t
    after: Node | float = 0.0
    last: Node = const(kept[-1], t.dtype)
    for c in kept[-2:0:-1]:
        rest = c - after if isinstance(after, Node) else const(c - after, t.dtype)
        last, after = FMA(twice, last, rest), last
    return FMA(t, last, lift(kept[0] - after, t.dtype))


def polynomial(x: Node, coefficients: Sequence[float]) -> Node:
    """Horner's rule, lowest power first."""
    total = const(coefficients[-1], x.dtype)
    for c in coefficients[-2::-1]:
        total = FMA(total, x, const(c, x.dtype))
    return total
