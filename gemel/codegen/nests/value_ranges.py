"""Between which bounds the values of a nest lie, where that is certain.

Role: tells the emitter where a cheaper instruction sequence is exact. Input: expressions, arguments
before users. Output: an interval per expression, (-inf, inf) where nothing is known; it holds for
every value that is not NaN. What matters in practice: x - max(x) is at most 0, exp of that at most
1, and a sum of those at least 1, since the largest term is exp(0).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from gemel.codegen.nest import Expr
from gemel.codegen.sizes import is_size

Range = tuple[float, float]
ANY: Range = (-math.inf, math.inf)
MOST_CELLS = 2.0**40  # of an axis whose size is known when the program runs
FAR = 2.0**60  # within this and its inverse quotients neither overflow nor lose bits


class Ranges:
    """Intervals of the expressions of one nest. `sizes`: cells along each axis."""

    def __init__(self, exprs: Iterable[Expr], sizes: dict[int, int]):
        self.sizes = sizes
        self.known: dict[int, Range] = {}
        for e in exprs:
            self.known[id(e)] = self._range(e) if e.dtype.is_float else ANY

    def moderate(self, e: Expr) -> bool:
        """Is it certainly finite, and its inverse too?"""
        low, high = self.known[id(e)]
        return 1 / FAR <= low and high <= FAR

    def small(self, e: Expr) -> bool:
        """Is it certainly finite and not huge?"""
        low, high = self.known[id(e)]
        return -FAR <= low and high <= FAR

    def _range(self, e: Expr) -> Range:
        if e.kind == "const":
            return e.payload, e.payload
        if e.kind == "reduce":
            return self._reduced(e)
        if e.kind == "apply" and e.payload[0] == "sub" and _is_top(e.args[1], e.args[0]):
            return -math.inf, 0.0
        if e.kind == "apply" and e.payload[0] == "exp":
            _, high = self.known[id(e.args[0])]
            return 0.0, 1.0 if high <= 0 else math.inf
        return ANY

    def _reduced(self, e: Expr) -> Range:
        name, over = e.payload
        low, high = self.known[id(e.args[0])]
        if name in ("max", "min"):
            return low, high
        if name == "sum" and low >= 0:
            count = math.prod(_most_cells(self.sizes[a]) for a in over)
            return (1.0 if _holds_one(e) else 0.0), high * count
        return ANY


def _most_cells(size: int) -> float:
    return MOST_CELLS if is_size(size) else size


def _is_top(top: Expr, x: Expr) -> bool:
    """Is `top` the maximum of x?"""
    return top.kind == "reduce" and top.payload[0] == "max" and top.args[0] is x


def _holds_one(total: Expr) -> bool:
    """Is one of the summands exp(0)?"""
    (x,) = total.args
    if x.kind != "apply" or x.payload[0] != "exp":
        return False
    (d,) = x.args
    shifted = d.kind == "apply" and d.payload[0] == "sub" and _is_top(d.args[1], d.args[0])
    return shifted and d.args[1].payload[1] == total.payload[1]
