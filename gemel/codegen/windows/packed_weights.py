"""Weights packed once, in a stage of its own, into memory that all pieces share.

Role: what the implicit products have in common: how many pieces their work makes, the panels of
weights in the order batch entry, block of k, panel, and where each lies. Input: how many panels of
how many elements. Invariant: pieces follow from sizes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, prod

from gemel.codegen.blocks import extent, split
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.windows.lanes import Forms, locate, locate_block
from gemel.codegen.windows.plan import Depth, Groups

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

    @contextmanager
    def each(
        self, f: Function, piece: Operand, groups: Groups, start: Forms, depth: Depth
    ) -> Iterator[tuple[Operand, Operand, list[Operand], Forms]]:
        """Every panel that a piece packs: its number, which of its block it is, the sizes of the
        block of k, and all forms there; `start`: all forms at indices 0."""
        first, number = extent(f, piece, self.group, prod(self.counts))
        with f.loop(0, number, nonempty=True) as loop:
            panel = f.add(first, loop.index)
            batch, block, member = split(f, panel, self.counts[1:])
            forms = locate(f, start, groups.batch, batch)
            sizes, forms = locate_block(f, depth, block, forms)
            yield panel, member, sizes, forms

    def place(self, f: Function, shared: Value | None, panel: Operand) -> Value:
        """Where a panel lies."""
        assert shared is not None
        return f.gep(shared, f.mul(panel, self.size), self.elem)
