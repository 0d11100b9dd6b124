"""One tile of a contraction: partial sums and the epilogue's view of it.

Role: hand the sums of `mr` rows by `nr` columns to the epilogue, vector by vector, or keep them
for the next block of k. Input: a plan, the sums, where results belong. Output: instructions in the
caller's function. Invariants: every element of the result is visited by exactly one epilogue call;
the last row tile starts early enough to be full, and its first rows, which the tile before it has
already done, are not visited again (an epilogue may overwrite what it reads).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gemel.codegen.blocks import LINE
from gemel.codegen.llvm import I64, SIZES, Function, Operand, Value
from gemel.codegen.products.contraction_plan import Plan
from gemel.codegen.products.packing import lane_offsets, load_strided
from gemel.runtime.machine import machine

Epilogue = Callable[["Tile", Value], None]

# An epilogue of at most this many instructions is repeated for each vector of the tile; a longer
# one is emitted once, in a loop over the tile on the stack.
_INLINE_LINES = 12


class Tile:
    """What an epilogue sees: one vector of results and where it belongs.

    `function` emits code, `lanes` is the vector length, `mask` the live lanes (None: all).
    """

    def __init__(
        self,
        f: Function,
        plan: Plan,
        pointers: Sequence[Value],
        offsets: Sequence[Operand],
        live: Operand | None,
    ):
        self.function = f
        self.lanes = plan.lanes
        self.mask: Value | None = None
        self._accesses = plan.contraction.tile
        first = len(plan.left) + len(plan.right)
        self._row_strides = plan.rows[-1].strides[first:]
        self._lane_strides = plan.columns[-1].strides[first:]
        self._pointers = pointers
        self._offsets = offsets
        self._live = live
        self._row: Operand = 0
        self._column: Operand = 0
        self._past: tuple[int, ...] = ()

    def place(self, row: Operand, vector: Operand) -> None:
        """Move to a row and a vector of the tile (for the generator)."""
        f = self.function
        self._row = row
        self._column = f.mul(vector, self.lanes)
        if self._live is not None:
            self.mask = f.lanes_below(f.sub(self._live, self._column), self.lanes)

    @contextmanager
    def widened(self, columns: int) -> Iterator[int]:
        """The vectors' length: two at a time where the machine's are narrow, as processors that
        look less far ahead find independent instructions side by side (for the generator)."""
        lanes = self.lanes
        whole = self._live is None and not self._past and columns % (2 * lanes) == 0
        straight = all(stride in (0, 1) for stride in self._lane_strides)
        if whole and straight and machine().vector_bytes < LINE:
            self.lanes = 2 * lanes
        yield self.lanes
        self.lanes = lanes

    def ask(self, slots: Sequence[int], rows: int, columns: int) -> None:
        """Ask for the lines of these arrays (for the generator)."""
        f = self.function
        for slot in slots:
            elem = self._accesses[slot].elem
            start = f.gep(self._pointers[slot], self._offsets[slot], elem)
            for row in range(rows):
                at = f.mul(row, self._row_strides[slot])
                for column in range(0, columns, LINE // SIZES[elem]):
                    f.prefetch(f.gep(start, f.add(at, column), elem))

    def store_past(self, slots: Sequence[int]) -> None:
        """Stores to these arrays leave the caches alone from here on (for the generator)."""
        self._past = tuple(slots)

    def aligned(self, slots: Sequence[int]) -> Value:
        """Do whole vectors of these arrays start at multiples of their size? (for the generator)"""
        f = self.function
        bits = f.constant(0, "i64")
        for slot in slots:
            bits = bits | f.value(f"ptrtoint ptr {self._pointers[slot]} to i64", I64)
        vector = self.lanes * SIZES[self._accesses[slots[0]].elem]
        return f.compare("==", bits & (vector - 1), 0)

    def live(self, most: int) -> Operand:
        """How many columns of a tile of `most` columns exist (for the generator)."""
        return most if self._live is None else self.function.min(self._live, most)

    def offset(self, slot: int) -> Operand:
        """Element offset of lane 0 in array `slot`; lane i is `i * lane_stride(slot)` further."""
        f = self.function
        along_rows = f.mul(self._row, self._row_strides[slot])
        along_lanes = f.mul(self._column, self._lane_strides[slot])
        return f.add(self._offsets[slot], f.add(along_rows, along_lanes))

    def lane_stride(self, slot: int) -> int:
        return self._lane_strides[slot]

    def load(self, slot: int) -> Value:
        """The elements of array `slot` that belong to the results (its own element type)."""
        f = self.function
        elem = self._accesses[slot].elem
        place = f.gep(self._pointers[slot], self.offset(slot), elem)
        return load_strided(f, place, elem, self.lanes, self._lane_strides[slot], self.mask)

    def store(self, slot: int, value: Value) -> None:
        """Write a vector to array `slot`; the value must have that array's element type."""
        f = self.function
        elem = self._accesses[slot].elem
        if value.elem != elem:
            raise TypeError(f"array {slot} holds {elem}, the value is {value.type}")
        place = f.gep(self._pointers[slot], self.offset(slot), elem)
        stride = self._lane_strides[slot]
        if slot in self._past:
            f.stream(value, place)
        elif stride == 1 or self.lanes == 1:
            f.store(value, place, mask=self.mask)
        else:
            f.scatter(value, place, lane_offsets(f, self.lanes, stride), self.mask)


@dataclass(frozen=True)
class Sums:
    """The accumulators of a tile, row by row, and how its partial sums are treated."""

    values: list[Value]
    partial: Value | None
    is_first: Value | None
    is_last: Value | None


def finish(
    f: Function, plan: Plan, sums: Sums, tile: Tile, epilogue: Epilogue, first_row: Operand
) -> None:
    """Add the partial sums of earlier k blocks; after the last block run the epilogue."""
    if sums.partial is None:
        _deliver(f, plan, sums.values, tile, epilogue, first_row)
        return
    elem, size = plan.contraction.elem, plan.lanes
    places = [f.gep(sums.partial, i * size, elem) for i in range(len(sums.values))]

    def add_earlier() -> list[Value]:
        earlier = [f.load(place, elem, size) for place in places]
        return [a + b for a, b in zip(sums.values, earlier, strict=True)]

    values = f.if_else(sums.is_first, lambda: sums.values, add_earlier)

    def keep() -> None:
        for value, place in zip(values, places, strict=True):
            f.store(value, place)

    f.if_else(sums.is_last, lambda: _deliver(f, plan, values, tile, epilogue, first_row), keep)


def _deliver(
    f: Function,
    plan: Plan,
    values: list[Value],
    tile: Tile,
    epilogue: Epilogue,
    first_row: Operand,
) -> None:
    """Run the epilogue on every vector of the tile, from `first_row` on."""
    if not plan.past:
        _deliver_as_told(f, plan, values, tile, epilogue, first_row)
        return

    def deliver(slots: Sequence[int]) -> None:
        tile.store_past(slots)
        _deliver_as_told(f, plan, values, tile, epilogue, first_row)

    f.if_else(tile.aligned(plan.past), lambda: deliver(plan.past), lambda: deliver(()))


def _deliver_as_told(
    f: Function,
    plan: Plan,
    values: list[Value],
    tile: Tile,
    epilogue: Epilogue,
    first_row: Operand,
) -> None:
    def one() -> None:
        tile.place(0, 0)
        epilogue(tile, values[0])

    def inline() -> None:
        for row in range(plan.mr):
            for j in range(plan.vectors):
                tile.place(row, j)
                epilogue(tile, values[row * plan.vectors + j])

    def staged() -> None:
        elem = plan.contraction.elem
        stage = f.alloca(elem, plan.mr * plan.nr)
        for i, value in enumerate(values):
            f.store(value, f.gep(stage, i * plan.lanes, elem))
        deliver_staged(f, plan, stage, tile, epilogue, first_row)

    if f.trial(one) > _INLINE_LINES:
        staged()
    elif isinstance(first_row, int):
        inline()
    else:
        f.if_else(f.compare("==", first_row, 0), inline, staged)


def deliver_staged(
    f: Function, plan: Plan, stage: Value, tile: Tile, epilogue: Epilogue, first_row: Operand
) -> None:
    """Run the epilogue, emitted once, over a tile of sums in memory (`[mr][nr]`)."""
    elem = plan.contraction.elem
    with tile.widened(plan.nr) as lanes, f.loop(first_row, plan.mr, nonempty=True) as rows:
        at = f.gep(stage, f.mul(rows.index, plan.nr), elem)
        with f.loop(0, plan.nr // lanes) as vectors:
            value = f.load(f.gep(at, f.mul(vectors.index, lanes), elem), elem, lanes)
            tile.place(rows.index, vectors.index)
            epilogue(tile, value)
