"""Weights packed once, in a stage of its own, into memory that all pieces share.

Role: what the implicit products have in common: how many pieces their work makes, the panels of
weights in the order batch entry, block of k, panel, and where each lies. Input: how many panels of
how many elements. Invariant: pieces follow from sizes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from gemel.codegen.llvm import SIZES, Function, Operand, Value

_PIECES = 192
_PIECE = 30_000.0  # nanoseconds


def pieces_of(work: float) -> int:
    """How many pieces so many nanoseconds make at most."""
    return min(_PIECES, int(work / _PIECE))


@dataclass(frozen=True)
class PackedWeights:
    """counts: batch entries, blocks of k, panels; size: elements of a panel; cost: nanoseconds to
    pack one."""

    elem: str
    counts: tuple[int, int, int]
    size: int
    cost: float

    @property
    def group(self) -> int:
        """Panels that are packed by one piece."""
        least = ceil(_PIECE / (self.size * self.cost))
        return min(prod(self.counts), max(least, ceil(prod(self.counts) / _PIECES)))

    @property
    def pieces(self) -> int:
        return ceil(prod(self.counts) / self.group)

    @property
    def bytes(self) -> int:
        return prod(self.counts) * self.size * SIZES[self.elem]

    def place(self, f: Function, shared: Value | None, panel: Operand) -> Value:
        """Where a panel lies."""
        assert shared is not None
        return f.gep(shared, f.mul(panel, self.size), self.elem)
