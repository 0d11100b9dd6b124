"""Few rows with long columns: every pass over the columns is a stage, cut along them.

Role: the way of `pieces.py` for nests whose rows cannot be shared out. Each piece of a stage
walks its part of the columns in all rows and leaves the states of its reductions in shared memory;
later stages join them, in the order of the pieces, wherever they read them. What is stored once a
row is a last stage of one piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gemel.codegen.llvm import Operand, Type, Value
from gemel.codegen.nest import Expr, Nest
from gemel.codegen.nests.cuts import Context, Cut, count, padded, ranges
from gemel.codegen.nests.evaluate import Place
from gemel.codegen.nests.loops import NestEmitter
from gemel.codegen.nests.reduce_rules import join, result, state_types
from gemel.codegen.nests.timing import Timing

STATE_BYTES = 8  # of one number of a state


class Passes:
    """A stage per pass over the columns.

    Shared: for each number of each reduction's state, a table with a row per piece that has an
    entry per row of the nest.
    """

    name = "by passes"

    def __init__(self, nest: Nest, cuts: Sequence[Cut]):
        self.nest = nest
        self.cuts = cuts
        self.pieces = count(cuts)
        timing = Timing(nest)
        busy = [p for p in range(timing.passes) if timing.sums_of(p) or timing.cell_stores_of(p)]
        self.passes = busy
        self.ends = [timing.passes] if timing.row_stores() else []
        self.stages = (self.pieces,) * len(busy) + (1,) * len(self.ends)
        self.piece_bytes = padded(STATE_BYTES * math.prod(nest.sizes[a] for a in nest.rows))
        self.tables: dict[tuple[int, int], int] = {}
        for e in timing.row_sums:
            for k in range(len(state_types(e, 1))):
                self.tables[id(e), k] = len(self.tables) * self.pieces * self.piece_bytes
        self.shared_bytes = len(self.tables) * self.pieces * self.piece_bytes

    def emit(self, context: Context, stage: int, piece: Operand) -> None:
        p = [*self.passes, *self.ends][stage]
        parts = {} if p in self.ends else ranges(context.f, self.cuts, piece)
        _PassEmitter(self, context, p, piece, parts).run()


class _PassEmitter(NestEmitter):
    """One pass of every row; earlier passes are known from shared memory."""

    def __init__(self, way: Passes, context: Context, p: int, piece: Operand, parts: dict):
        c = context
        super().__init__(c.f, way.nest, c.pointers, c.scalars, c.fault, parts, spills=False)
        self.way = way
        self.shared = context.shared
        self.p = p
        self.piece = piece

    def _row(self, place: Place, carry: list) -> list:
        self._recall(place)
        if self.p in self.way.ends:
            self.store_all(self.timing.row_stores(), place)
        for e, state in self.one_pass(self.p, place, None, {}):
            self._keep(e, state, place)
        return []

    def _block(self, places: list[Place], carry: list) -> list:
        for place in places:
            self._recall(place)
            if self.p in self.way.ends:
                self.store_all(self.timing.row_stores(), place)
        for place, e, state in self.block_pass(self.p, places):
            self._keep(e, state, place)
        return carry

    def _recall(self, place: Place) -> None:
        """What earlier passes make known."""
        for q in range(self.p + 1):
            for e in self.timing.sums_of(q - 1):
                place.memo[id(e)] = result(self.emit, e, self._joined(e, place))
            self.row_values(place, q)

    def _joined(self, e: Expr, place: Place) -> list[Value]:
        f = self.f
        types = state_types(e, place.lanes)

        def state(piece: Operand) -> list[Value]:
            slots = self._slots(e, types, piece, place)
            pairs = zip(slots, types, strict=True)
            return [f.load(at, t.elem, t.lanes, mask=place.mask) for at, t in pairs]

        with f.loop(1, self.way.pieces, 1, state(0)) as loop:
            loop.next = join(self.emit, e, loop.values, state(loop.index))
        return loop.out

    def _keep(self, e: Expr, state: list[Value], place: Place) -> None:
        slots = self._slots(e, [x.type for x in state], self.piece, place)
        for x, at in zip(state, slots, strict=True):
            self.f.store(x, at, mask=place.mask)

    def _slots(self, e: Expr, types: list[Type], piece: Operand, place: Place) -> Iterator[Value]:
        """Where the numbers of a row's state lie."""
        f, row = self.f, 0
        for a in self.nest.rows:
            row = f.add(f.mul(row, self.nest.sizes[a]), place.index[a])
        for k, t in enumerate(types):
            table = f.add(f.mul(piece, self.way.piece_bytes), self.way.tables[id(e), k])
            yield f.gep(f.gep(self.shared, table, "i8"), row, t.elem)
