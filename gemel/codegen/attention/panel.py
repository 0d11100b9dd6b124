"""32 queries of a long block, the columns of one group of tiles.

Role: what the two passes on matrix tiles share. Input: the problem, the block's queries, the memory
of the running thread, the panel's number. Output: addresses and vectors of the panel's numbers.
Invariant: products of parts are finite where no number passes `LARGE`; elsewhere blocks are
multiplied in float32, which says what an infinity gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gemel.codegen.attention.masks import Seen, look, matters
from gemel.codegen.attention.parted import GROUP
from gemel.codegen.attention.problem import Problem
from gemel.codegen.attention.scores import Span
from gemel.codegen.llvm import SIZES, Function, Operand, Value

STEP = GROUP * SIZES["float"]  # bytes of a row of 32 queries
# dS is a product of all: with these it stays below 2**80, and its products below 2**127
LARGE = {"query": 2.0**40, "key": 2.0**40, "value": 2.0**24, "gradient": 2.0**24, "sums": 2.0**40}


class Panel:
    """p: the problem with 32 queries in a block; block: the one with as many as are laid out
    together."""

    def __init__(
        self, f: Function, block: Problem, span: Span, places: dict[str, Value], number: Operand
    ):
        self.f = f
        self.p = block.panel(GROUP)
        self.block = block
        self.number = number
        start = f.mul(number, GROUP)
        live = f.min(f.sub(span.live, start), GROUP)
        self.span = Span(f.add(span.first, start), live, span.arrays)
        self.room = places

    def at(self, name: str, size: int = STEP) -> Value:
        """Where the panel's part of an array begins; size: bytes of such a part."""
        return self.f.gep(self.room[name], self.f.mul(self.number, size), "i8")

    def row(self, start: Value, row: Operand) -> list[Value]:
        """Where the vectors of a row of 32 queries lie."""
        f, p = self.f, self.p
        at = f.gep(start, f.mul(row, GROUP), p.elem)
        return [f.gep(at, j * p.lanes, p.elem) for j in range(p.vectors)]

    def numbers(self, name: str) -> list[Value]:
        """The vectors of a number per query."""
        return [self.f.load(at, self.p.elem, self.p.lanes) for at in self.row(self.at(name), 0)]

    def put(self, name: str, values: list[Value]) -> None:
        """Store a number per query."""
        for value, at in zip(values, self.row(self.at(name), 0), strict=True):
            self.f.store(value, at)

    def seen_keys(self, first: Operand, count: Operand) -> Operand:
        """How many keys of a block its last query sees."""
        if not self.p.causal:
            return count
        end = self.f.add(self.span.first, self.span.live)
        return self.f.min(count, self.f.sub(end, first))

    def unless_hidden(
        self, first: Operand, count: Operand, levels: list[Value], body: Callable[[Seen], None]
    ) -> None:
        """A block of keys, unless the mask hides all of it."""
        seen = look(self.f, self.p, self.span, first, count)
        needed = matters(self.f, self.p, seen, levels)
        if needed is None:
            body(seen)
            return
        with self.f.when(needed):
            body(seen)

    def hide_missing(self, scores: Value, count: Operand, blocks: Operand) -> None:
        """Scores of keys that there are not, up to whole blocks."""
        f, p = self.f, self.p
        with f.loop(count, f.mul(blocks, GROUP)) as loop:
            for at in self.row(scores, loop.index):
                f.store(f.constant(-math.inf, p.elem, p.lanes), at)


def is_moderate(f: Function, name: str, largest: Value) -> Value:
    """Are all numbers that were laid out small enough?"""
    limit = f.bitcast(f.constant(LARGE[name], "float"), "i32")
    return f.compare("<", f.load(largest, "i32"), limit)
