"""Tiles of flattened rows and columns: their sums, and the epilogue's view of them.

Role: what a strategy over flattened axes does with one register tile: add its products, keep or
add partial sums, hand finished sums to the epilogue. A tile whose columns are affine in memory is
delivered from registers or in plain vectors; one that crosses from a row or an image into the next
goes vector by vector with an offset per lane. Invariant: every element of the result is visited by
exactly one epilogue call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gemel.codegen.blocks import LINE
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.products.contraction_spec import Access
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.products.packing import lane_offsets, load_strided
from gemel.codegen.windows.lanes import Lanes, locate
from gemel.codegen.windows.plan import Groups, count, inner_run

# An epilogue of at most this many instructions is repeated for each vector of the tile; a longer
# one is emitted once, in a loop over the tile on the stack.
_INLINE_LINES = 8


@dataclass(frozen=True)
class Shape:
    """The register tile: `mr` rows of `vectors` vectors of `lanes` elements."""

    elem: str
    mr: int
    vectors: int
    lanes: int

    @property
    def nr(self) -> int:
        return self.vectors * self.lanes

    @property
    def size(self) -> int:
        return self.mr * self.nr


def multiply(
    f: Function,
    shape: Shape,
    left: Value,
    right: Value,
    depth: Operand,
    start: list[Value],
    turns: int | None = None,
) -> list[Value]:
    """Add the products of two packed panels, `[k][mr]` and `[k][nr]`, to the sums of a tile.

    `turns`: what divides a depth that is not known and may be 0.
    """
    elem = shape.elem
    left, right = f.opaque(left), f.opaque(right)

    def step(index: Operand, ahead: int, sums: list[Value]) -> list[Value]:
        # The constant part comes last, so that it folds into the loads' addresses.
        rows = f.gep(f.gep(left, f.mul(index, shape.mr), elem), ahead * shape.mr, elem)
        columns = f.gep(f.gep(right, f.mul(index, shape.nr), elem), ahead * shape.nr, elem)
        vectors = [
            f.load(f.gep(columns, j * shape.lanes, elem), elem, shape.lanes)
            for j in range(shape.vectors)
        ]
        out = []
        for row in range(shape.mr):
            spread = f.splat(f.load(f.gep(rows, row, elem), elem), shape.lanes)
            for j, vector in enumerate(vectors):
                out.append(f.fma(spread, vector, sums[row * shape.vectors + j]))
        return out

    return unrolled(f, depth, start, step, turns)


def unrolled(
    f: Function,
    size: Operand,
    start: list[Value],
    step: Callable[[Operand, int, list[Value]], list[Value]],
    turns: int | None = None,
) -> list[Value]:
    """Carry values through `step(index, ahead, values)` for every index + ahead below `size`: a
    few steps at a turn where the size, or what divides it, is known."""
    times = turns or 1
    if isinstance(size, int):
        times = next(n for n in (4, 3, 2, 1) if size % n == 0)
    with f.loop(0, size, times, carry=start, nonempty=turns is None) as loop:
        values = loop.values
        for ahead in range(times):
            values = step(loop.index, ahead, values)
        loop.next = values
    return loop.out


def zero_sums(f: Function, shape: Shape) -> list[Value]:
    return [f.constant(0, shape.elem, shape.lanes)] * (shape.mr * shape.vectors)


def accumulate(f: Function, block: Operand, sums: list[Value], places: list[Value]) -> None:
    """Add sums to what earlier blocks of k left in memory; the first one only stores."""

    def add_earlier() -> list[Value]:
        earlier = [f.load(at, value.elem, value.lanes) for at, value in pairs]
        return [a + b for a, b in zip(sums, earlier, strict=True)]

    pairs = list(zip(places, sums, strict=True))
    total = f.if_else(f.compare("==", block, 0), lambda: sums, add_earlier)
    for value, at in zip(total, places, strict=True):
        f.store(value, at)


class FlatTile:
    """What an epilogue sees: one vector of results and where it belongs.

    `function` emits code, `lanes` is the vector length, `mask` the live lanes (None: all).
    """

    def __init__(
        self, f: Function, arrays: Sequence[Access], pointers: Sequence[Value], lanes: int
    ):
        self.function = f
        self.lanes = lanes
        self.mask: Value | None = None
        self._arrays = arrays
        self._pointers = pointers
        self._places: list[Operand] = []
        self._strides: list[int] | None = None
        self._along: list[Value | None] = []

    def run(self, places: Sequence[Operand], strides: list[int], mask: Value | None) -> None:
        """Move to a vector whose elements are equally far apart (for the generator)."""
        self._places, self._strides, self.mask = list(places), strides, mask

    def scattered(
        self, places: Sequence[Operand], along: list[Value | None], mask: Value | None
    ) -> None:
        """Move to a vector with an offset per lane (for the generator)."""
        self._places, self._along, self.mask = list(places), along, mask
        self._strides = None

    def load(self, slot: int) -> Value:
        """The elements of array `slot` that belong to the results (its own element type)."""
        f, elem = self.function, self._arrays[slot].elem
        place = f.gep(self._pointers[slot], self._places[slot], elem)
        if self._strides is not None and self._strides[slot] == 2:
            wide = f.load(place, elem, 2 * self.lanes, mask=self._every_second())
            return f.shuffle(wide, None, range(0, 2 * self.lanes, 2))
        if self._strides is not None:
            return load_strided(f, place, elem, self.lanes, self._strides[slot], self.mask)
        along = self._along[slot]
        if along is None:
            return load_strided(f, place, elem, self.lanes, 0, self.mask)
        return f.gather(place, along, elem, self.mask)

    def store(self, slot: int, value: Value) -> None:
        """Write a vector to array `slot`; the value must have that array's element type."""
        f, elem = self.function, self._arrays[slot].elem
        if value.elem != elem:
            raise TypeError(f"array {slot} holds {elem}, the value is {value.type}")
        place = f.gep(self._pointers[slot], self._places[slot], elem)
        if self._strides is not None and self._strides[slot] == 1:
            f.store(value, place, mask=self.mask)
            return
        if self._strides is not None and self._strides[slot] == 2:
            wide = f.shuffle(value, None, [lane // 2 for lane in range(2 * self.lanes)])
            f.store(wide, place, mask=self._every_second())
            return
        if self._strides is not None:
            along: Value | None = lane_offsets(f, self.lanes, self._strides[slot])
        else:
            along = self._along[slot]
        if along is None:
            along = lane_offsets(f, self.lanes, 0)
        f.scatter(value, place, along, self.mask)

    def expect(self, slot: int, place: Operand, width: int) -> None:
        """Start to fetch `width` neighbouring elements of an array; the first array is written."""
        f, elem = self.function, self._arrays[slot].elem
        at = f.gep(self._pointers[slot], place, elem)
        for ahead in range(0, width * SIZES[elem], LINE):
            f.prefetch(f.gep(at, ahead, "i8"), write=slot == 0)

    def _every_second(self) -> Value:
        """The mask of twice as many lanes of which the even ones are live."""
        f = self.function
        even = f.constants([lane % 2 == 0 for lane in range(2 * self.lanes)], "i1")
        if self.mask is None:
            return even
        return even & f.shuffle(self.mask, None, [lane // 2 for lane in range(2 * self.lanes)])


@dataclass(frozen=True)
class Spot:
    """Where a tile of sums belongs: its first row and column, and all forms of its batch."""

    row: Operand
    column: Operand
    forms: list[Operand]


class Delivery:
    """Hands the finished sums of tiles to the epilogue."""

    def __init__(
        self,
        f: Function,
        groups: Groups,
        shape: Shape,
        pointers: Sequence[Value],
        epilogue: Epilogue,
    ):
        self.f = f
        self.groups = groups
        self.shape = shape
        self.epilogue = epilogue
        self.tile = FlatTile(f, groups.tile, pointers, shape.lanes)
        first = groups.first_tile
        self.slots = slice(first, first + len(groups.tile))
        forms = range(first, first + len(groups.tile))
        self.length, self.outer = inner_run(groups.columns, forms)
        self.strides = [1] * len(forms)
        if groups.columns:
            self.strides = list(groups.columns[-1].strides[self.slots])
        length, outer = inner_run(groups.rows, forms)
        self.row_axes = outer
        if groups.rows:
            self.row_axes = (*outer, Axis(length, groups.rows[-1].strides))
        self.rows = count(groups.rows)
        self.columns = count(groups.columns)

    def registers(self, sums: list[Value], spot: Spot) -> None:
        """The sums of a tile in registers."""
        plain = self._plain(spot)
        apart = any(stride not in (0, 1) for stride in self.strides)
        if apart or len(self.row_axes) > 1 or plain is False or self._lines(spot) > _INLINE_LINES:
            self._staged(sums, spot)
        elif plain is True:
            self._inline(sums, spot)
        else:
            self.f.if_else(
                plain, lambda: self._inline(sums, spot), lambda: self._staged(sums, spot)
            )

    def expect(self, spot: Spot) -> None:
        """Ask for the lines that the epilogue will touch: results are written to slow memory.

        A tile that crosses into another row or image is not followed there.
        """
        f, shape = self.f, self.shape
        columns = self._column_places(spot)
        with f.loop(0, shape.mr) as rows:
            starts = self._row_places(spot, f.add(spot.row, rows.index))
            for slot, (start, column) in enumerate(zip(starts, columns, strict=True)):
                if self.strides[slot] == 1:
                    self.tile.expect(slot, f.add(start, column), shape.nr)

    def _plain(self, spot: Spot) -> Value | bool:
        """Whether the tile is full, and its columns one affine run."""
        f, shape = self.f, self.shape
        affine = self._affine(spot.column, shape.nr)
        if self.rows % shape.mr == 0 or affine is False:
            return affine
        full = f.compare("<=", f.add(spot.row, shape.mr), self.rows)
        return full if affine is True else full & affine

    def _affine(self, column: Operand, width: int) -> Value | bool:
        """Whether `width` columns from one on exist and are equally far apart."""
        f = self.f
        if self.length < width:
            return False
        exist: Value | bool = True
        if self.columns % self.shape.nr:
            exist = f.compare("<=", f.add(column, width), self.columns)
        if not self.outer or self.length % width == 0:
            return exist
        together = f.compare("<=", f.add(f.urem(column, self.length), width), self.length)
        return together if exist is True else together & exist

    def _lines(self, spot: Spot) -> int:
        f = self.f

        def one() -> None:
            self._place_run(spot.forms[self.slots], 0, None)
            self.epilogue(self.tile, f.zero(f.constant(0, self.shape.elem, self.shape.lanes).type))

        return f.trial(one)

    def _place_run(self, places: Sequence[Operand], column: int, mask: Value | None) -> None:
        f = self.f
        moved = [
            f.add(place, column * stride)
            for place, stride in zip(places, self.strides, strict=True)
        ]
        self.tile.run(moved, self.strides, mask)

    def _row_places(self, spot: Spot, row: Operand) -> list[Operand]:
        forms = locate(self.f, spot.forms, self.row_axes, row)
        return forms[self.slots]

    def _column_places(self, spot: Spot) -> list[Operand]:
        """Offsets of the tile's arrays at its first column, relative to the row's."""
        if not self.groups.columns:
            return [0] * len(self.groups.tile)
        last = Axis(self.length, self.groups.columns[-1].strides)
        forms = [0] * self.groups.forms
        return locate(self.f, forms, (*self.outer, last), spot.column)[self.slots]

    def _inline(self, sums: list[Value], spot: Spot) -> None:
        f, shape = self.f, self.shape
        rows, columns = self._row_places(spot, spot.row), self._column_places(spot)
        places = [f.add(a, b) for a, b in zip(rows, columns, strict=True)]
        strides = [0] * len(places)
        if self.row_axes:
            strides = list(self.row_axes[0].strides[self.slots])
        for row in range(shape.mr):
            at = [f.add(place, row * stride) for place, stride in zip(places, strides, strict=True)]
            for j in range(shape.vectors):
                self._place_run(at, j * shape.lanes, None)
                self.epilogue(self.tile, sums[row * shape.vectors + j])

    def _staged(self, sums: list[Value], spot: Spot) -> None:
        f, shape = self.f, self.shape
        stage = f.alloca(shape.elem, shape.size)
        for i, value in enumerate(sums):
            f.store(value, f.gep(stage, i * shape.lanes, shape.elem))
        self.memory(stage, spot)

    def memory(self, stage: Value, spot: Spot) -> None:
        """The sums of a tile in memory, `[mr][nr]`."""
        plain = self._plain(spot)
        if plain is True:
            self._whole_rows(stage, spot)
        elif plain is False:
            self._each_vector(stage, spot)
        else:
            self.f.if_else(
                plain,
                lambda: self._whole_rows(stage, spot),
                lambda: self._each_vector(stage, spot),
            )

    def _whole_rows(self, stage: Value, spot: Spot) -> None:
        f, shape = self.f, self.shape
        start = self._column_places(spot)
        with f.loop(0, shape.mr) as rows:
            places = self._row_places(spot, f.add(spot.row, rows.index))
            places = [f.add(a, b) for a, b in zip(places, start, strict=True)]
            at = f.gep(stage, f.mul(rows.index, shape.nr), shape.elem)
            for j in range(shape.vectors):
                place = f.gep(at, j * shape.lanes, shape.elem)
                value = f.load(place, shape.elem, shape.lanes)
                self._place_run(places, j * shape.lanes, None)
                self.epilogue(self.tile, value)

    def _each_vector(self, stage: Value, spot: Spot) -> None:
        f, shape = self.f, self.shape
        with f.loop(0, shape.vectors) as vectors:
            ahead = f.mul(vectors.index, shape.lanes)
            sums = f.gep(stage, ahead, shape.elem)
            here = Spot(spot.row, f.add(spot.column, ahead), spot.forms)
            affine = self._affine(here.column, shape.lanes)
            if affine is True:
                self._run_rows(sums, here)
            elif affine is False:
                self._scattered_rows(sums, here)
            else:
                f.if_else(
                    affine,
                    lambda: self._run_rows(sums, here),
                    lambda: self._scattered_rows(sums, here),
                )

    def _each_row(self, sums: Value, spot: Spot, place: Callable[[Operand], None]) -> None:
        """Call the epilogue on one vector of every row that exists."""
        f, shape = self.f, self.shape
        live = shape.mr
        if self.rows % shape.mr:
            live = f.min(f.sub(self.rows, spot.row), shape.mr)
        with f.loop(0, live, nonempty=True) as rows:
            at = f.gep(sums, f.mul(rows.index, shape.nr), shape.elem)
            value = f.load(at, shape.elem, shape.lanes)
            place(f.add(spot.row, rows.index))
            self.epilogue(self.tile, value)

    def _run_rows(self, sums: Value, spot: Spot) -> None:
        start = self._column_places(spot)

        def place(row: Operand) -> None:
            places = self._row_places(spot, row)
            moved = [self.f.add(a, b) for a, b in zip(places, start, strict=True)]
            self.tile.run(moved, self.strides, None)

        self._each_row(sums, spot, place)

    def _scattered_rows(self, sums: Value, spot: Spot) -> None:
        f = self.f
        lanes = Lanes(f, self.groups.columns, spot.column, self.shape.lanes)
        first = self.groups.first_tile
        along = [lanes.form(first + slot) for slot in range(len(self.groups.tile))]

        def place(row: Operand) -> None:
            self.tile.scattered(self._row_places(spot, row), along, lanes.valid)

        self._each_row(sums, spot, place)


class Sums:
    """The sums of a piece's tiles between its blocks of k, in memory."""

    def __init__(self, f: Function, shape: Shape, room: Value, blocks: int, delivery: Delivery):
        self.f = f
        self.shape = shape
        self.room = room
        self.blocks = blocks
        self.delivery = delivery

    def expect(self, block: Operand, spot: Spot) -> None:
        """Before the products of the last block: ask for what the delivery touches."""
        if self.blocks == 1:
            self.delivery.expect(spot)
            return
        with self.f.when(self.f.compare("==", block, self.blocks - 1)):
            self.delivery.expect(spot)

    def finish(self, block: Operand, sums: list[Value], spot: Spot, number: Operand) -> None:
        """Add to what earlier blocks left of tile `number`; the last block delivers."""
        f, shape = self.f, self.shape
        if self.blocks == 1:
            self.delivery.registers(sums, spot)
            return
        place = f.gep(self.room, f.mul(number, shape.size), shape.elem)
        places = [f.gep(place, i * shape.lanes, shape.elem) for i in range(len(sums))]

        accumulate(f, block, sums, places)
        with f.when(f.compare("==", block, self.blocks - 1)):
            self.delivery.memory(place, spot)
