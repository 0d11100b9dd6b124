"""Products of bfloat16 operands, plain or windowed, on matrix tiles.

Role: the strategy for every contraction of two bfloat16 arrays where the machine has matrix tiles.
Groups of axes are flat (`windows/plan.py`): a tile may begin in one image and end in the next, and
k is one axis. The operand of the rows is packed in a first stage into memory that all pieces share;
a piece packs a panel of columns, block of k by block of k, and multiplies it with all its rows.
Sums stay in float32 from the first product to the epilogue. Invariant: pieces and blocks follow
from sizes alone, so the order of additions is fixed.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from gemel.codegen.blocks import LINE, even_block, extent, lines, split
from gemel.codegen.dots import tile_unit
from gemel.codegen.dots.pairs import PairReader, is_steady, tiles_along
from gemel.codegen.dots.tile_unit import BYTES, ROWS
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.windows.lanes import Forms, locate
from gemel.codegen.windows.plan import Groups, count, group
from gemel.codegen.windows.tile import Delivery, Shape, Spot
from gemel.runtime.machine import Machine

# Tiles of a block of k: the panels that meet stay in the first cache. Longer blocks keep sums in
# registers for longer, where no cache is gained.
_TILES = 18
_LONGER = 36
_COLUMN_PANELS = 4  # of a piece: packed side by side, they stay in the second cache
_ROW_PANELS = 16  # of a piece: the sums of all its tiles wait in its scratch
_PIECES = 64
_TILE_PACKED = 150.0  # nanoseconds to pack a tile, about
_DOT = 8.0  # nanoseconds of a product of two tiles
_DELIVERED = 0.15  # nanoseconds per result


class TileProduct:
    """Tiles of up to 32 rows by 32 columns."""

    def __init__(self, spec: Contraction, machine: Machine):
        options = (group(spec, swapped) for swapped in (False, True))
        self.groups = _channels_last(max(options, key=_columns_first))
        groups = self.groups
        self.rows, self.columns = count(groups.rows), count(groups.columns)
        self.high = 1 if self.rows <= ROWS else 2
        self.wide = 1 if self.columns <= ROWS else 2
        self.shape = Shape(spec.elem, ROWS * self.high, self.wide, ROWS)
        self.tiles = tiles_along(groups.k)
        self.block = even_block(self.tiles, _LONGER if self.tiles <= _LONGER else _TILES)
        self.blocks = ceil(self.tiles / max(1, self.block))
        self.row_panels = ceil(self.rows / self.shape.mr)
        self.row_block = even_block(self.row_panels, _ROW_PANELS)
        self.column_panels = ceil(self.columns / self.shape.nr)
        self.batches = count(groups.batch)
        self.column_block = self._columns_together()

    def _columns_together(self) -> int:
        """Column panels of a piece: fewer where there would be few pieces."""
        blocks = self.batches * ceil(self.row_panels / max(1, self.row_block))
        most = max(1, self.column_panels * blocks // _PIECES)
        return even_block(self.column_panels, min(_COLUMN_PANELS, most))

    @property
    def prepares(self) -> str:
        """The operand that the first stage reads."""
        return "right" if self.groups.swapped else "left"

    @property
    def counts(self) -> list[int]:
        """Pieces along the batch, the row blocks and the column blocks."""
        rows = ceil(self.row_panels / max(1, self.row_block))
        return [self.batches, rows, ceil(self.column_panels / max(1, self.column_block))]

    @property
    def group_size(self) -> int:
        """Row panels that one piece packs."""
        return ceil(self.batches * self.row_panels / _PIECES)

    @property
    def stages(self) -> tuple[int, ...]:
        """Rows are packed, then multiplied."""
        if self.groups.empty:
            return ()
        units = self.batches * self.row_panels
        batch, rows, columns = self.counts
        return (ceil(units / self.group_size), batch * rows * columns)

    @property
    def shared_bytes(self) -> int:
        return self.batches * self.row_panels * self.high * self.tiles * BYTES

    @property
    def _column_bytes(self) -> int:
        return lines(self.column_block * self.wide * self.block * BYTES, LINE)

    @property
    def scratch_bytes(self) -> int:
        return self._column_bytes + self.row_block * self.column_block * self.shape.size * 4

    @property
    def work(self) -> float:
        """Estimated nanoseconds."""
        rows, columns = self.row_panels * self.high, self.column_panels * self.wide
        _, again, _ = self.counts
        packed = (rows + columns * again) * _TILE_PACKED + rows * columns * _DOT
        return self.batches * (packed * self.tiles + self.rows * self.columns * _DELIVERED)

    def describe(self) -> str:
        """One line for people: tile, panels."""
        shape = self.shape
        panels = f"{self.row_panels}x{self.column_panels} panels"
        blocks = f"k in {self.blocks} blocks of {self.block * 2 * ROWS}"
        return f"{shape.mr}x{shape.nr} matrix tiles of bfloat16, {blocks}, {panels}"

    def emit(
        self,
        f: Function,
        stage: int,
        piece: Operand,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins = (None, None),
    ) -> None:
        """Emit one piece of a stage at the builder's position. The operands' joins, which widen,
        are not needed."""
        emitter = _Emitter(f, self, pointers, epilogue)
        if stage == 0:
            emitter.pack_rows(piece)
        else:
            emitter.piece(piece)


def _columns_first(groups: Groups) -> tuple[bool, int]:
    """Prefer columns along which the result lies closely, then many of them."""
    unit = bool(groups.columns) and abs(groups.columns[-1].strides[groups.first_tile]) == 1
    return unit, count(groups.columns)


def _channels_last(groups: Groups) -> Groups:
    """k in the order in which bounds change rarely: tap by tap, all channels of each."""
    sides = (groups.left, groups.right)
    if not (groups.left.checks or groups.right.checks):
        return groups
    for axis in groups.k:
        order = (*(other for other in groups.k if other is not axis), axis)
        if is_steady(order, sides):
            return replace(groups, k=order)
    return groups


class _Emitter:
    def __init__(self, f: Function, plan: TileProduct, pointers: Pointers, epilogue: Epilogue):
        self.f = f
        self.plan = plan
        self.pointers = pointers
        groups = plan.groups
        left, right = pointers.left[0], pointers.right[0]
        if groups.swapped:
            left, right = right, left
        self.left = PairReader(f, groups.left, left, groups.rows, groups.k, False)
        self.right = PairReader(f, groups.right, right, groups.columns, groups.k, True)
        self.epilogue = epilogue
        self.sums = left  # where the sums of a piece wait, once it has begun

    def _batch(self, batch: Operand) -> Forms:
        return locate(self.f, self.plan.groups.start, self.plan.groups.batch, batch)

    # ---------- rows ----------
    def pack_rows(self, piece: Operand) -> None:
        """Some row panels, all of k each."""
        f, plan = self.f, self.plan
        units = plan.batches * plan.row_panels
        first, number = extent(f, piece, plan.group_size, units)
        if plan.groups.void:
            return
        with f.loop(0, number, nonempty=True) as loop:
            unit = f.add(first, loop.index)
            batch, panel = split(f, unit, [plan.row_panels])
            forms = self._batch(batch)
            with f.loop(0, plan.high) as half:
                row = f.add(f.mul(panel, plan.shape.mr), f.mul(half.index, ROWS))
                target = self._row_tiles(f.add(f.mul(unit, plan.high), half.index), 0)
                self.left.read(forms, row, 0, plan.tiles, target)

    def _row_tiles(self, sixteen: Operand, tile: Operand) -> Value:
        """Where the tiles of 16 rows lie, from one tile on."""
        f = self.f
        assert self.pointers.shared is not None
        number = f.add(f.mul(sixteen, self.plan.tiles), tile)
        return f.gep(self.pointers.shared, f.mul(number, BYTES), "i8")

    # ---------- a panel of columns with its rows ----------
    def piece(self, piece: Operand) -> None:
        """A block of columns by a block of rows."""
        f, plan = self.f, self.plan
        batch, row_block, column_block = split(f, piece, plan.counts[1:])
        forms = self._batch(batch)
        rows = extent(f, row_block, plan.row_block, plan.row_panels)
        columns = extent(f, column_block, plan.column_block, plan.column_panels)
        assert self.pointers.scratch is not None
        self.sums = f.gep(self.pointers.scratch, plan._column_bytes, "i8")
        if plan.groups.void:
            f.clear_bytes(self.sums, plan.row_block * plan.column_block * plan.shape.size * 4)
        else:
            unit = f.add(f.mul(batch, plan.row_panels), rows[0])
            with f.loop(0, plan.blocks) as block:
                self._block(forms, columns, unit, rows[1], block.index)
        self._deliver(forms, rows, columns)

    def _deliver(
        self, forms: Forms, rows: tuple[Operand, Operand], columns: tuple[Operand, Operand]
    ) -> None:
        f, plan = self.f, self.plan
        delivery = Delivery(f, plan.groups, plan.shape, self.pointers.tile, self.epilogue)
        with (
            f.loop(0, rows[1], nonempty=True) as row,
            f.loop(0, columns[1], nonempty=True) as column,
        ):
            first = f.mul(f.add(rows[0], row.index), plan.shape.mr)
            start = f.mul(f.add(columns[0], column.index), plan.shape.nr)
            delivery.memory(self._sums(row.index, column.index), Spot(first, start, forms))

    def _sums(self, row: Operand, column: Operand) -> Value:
        """Where the sums of a tile wait."""
        f, plan = self.f, self.plan
        number = f.add(f.mul(row, plan.column_block), column)
        return f.gep(self.sums, f.mul(number, plan.shape.size * 4), "i8")

    def _column_tiles(self, sixteen: Operand) -> Value:
        """Where the packed tiles of 16 columns lie."""
        assert self.pointers.scratch is not None
        size = self.plan.block * BYTES
        return self.f.gep(self.pointers.scratch, self.f.mul(sixteen, size), "i8")

    def _block(
        self,
        forms: Forms,
        columns: tuple[Operand, Operand],
        unit: Operand,
        rows: Operand,
        block: Operand,
    ) -> None:
        """A block of k: the columns are packed and meet all rows."""
        f, plan = self.f, self.plan
        first, tiles = extent(f, block, plan.block, plan.tiles)
        start = f.mul(columns[0], plan.shape.nr)
        with f.loop(0, f.mul(columns[1], plan.wide), nonempty=True) as half:
            column = f.add(start, f.mul(half.index, ROWS))
            self.right.read(forms, column, first, tiles, self._column_tiles(half.index))
        tile_unit.configure(f)
        with f.loop(0, rows, nonempty=True) as row, f.loop(0, columns[1], nonempty=True) as column:
            sixteen = f.mul(f.add(unit, row.index), plan.high)
            right = self._column_tiles(f.mul(column.index, plan.wide))
            sums = self._sums(row.index, column.index)
            self._multiply(self._row_tiles(sixteen, first), right, tiles, block, sums)
        tile_unit.release(f)

    def _multiply(
        self, left: Value, right: Value, tiles: Operand, block: Operand, sums: Value
    ) -> None:
        """The sums of a row panel grow by a block's products: tiles 0 to 3 hold them."""
        f, plan = self.f, self.plan
        places = [(i, j) for i in range(plan.high) for j in range(plan.wide)]
        apart = plan.shape.nr * 4
        at = [f.gep(sums, i * ROWS * apart + j * ROWS * 4, "i8") for i, j in places]

        def begin() -> None:
            for number in range(len(places)):
                tile_unit.zero(f, number)

        def resume() -> None:
            for number, place in enumerate(at):
                tile_unit.load(f, number, place, apart)

        if plan.blocks == 1:
            begin()
        else:
            f.if_else(f.compare("==", block, 0), begin, resume)
        lefts = [f.gep(left, i * plan.tiles * BYTES, "i8") for i in range(plan.high)]
        rights = [f.gep(right, j * plan.block * BYTES, "i8") for j in range(plan.wide)]
        with f.loop(0, tiles, nonempty=True) as loop:
            ahead = f.mul(loop.index, BYTES)
            for i, place in enumerate(lefts):
                tile_unit.load(f, 4 + i, f.gep(place, ahead, "i8"))
            for j, place in enumerate(rights):
                tile_unit.load(f, 6 + j, f.gep(place, ahead, "i8"))
            for number, (i, j) in enumerate(places):
                tile_unit.dot(f, number, 4 + i, 6 + j)
        for number, place in enumerate(at):
            tile_unit.store(f, number, place, apart)
