"""Products of bfloat16 operands, plain or windowed, on matrix tiles.

Role: the strategy for every contraction of two bfloat16 arrays where the machine has matrix tiles.
Groups of axes are flat (`windows/plan.py`): a tile may begin in one image and end in the next, and
k is one axis. The operand of the rows is packed in a first stage into memory that all pieces share;
a piece packs a panel of columns, block of k by block of k, and multiplies it with all its rows.
Sums stay in float32 from the first product to the epilogue. Invariant: pieces and blocks follow
from sizes alone, so the order of additions is fixed.
"""

from __future__ import annotations

from math import ceil

from gemel.codegen.blocks import LINE, even_block, extent, lines, split
from gemel.codegen.dots import tile_unit
from gemel.codegen.dots.pairs import PairReader, tiles_along
from gemel.codegen.dots.tile_unit import BYTES, ROWS
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.windows.lanes import Forms, locate
from gemel.codegen.windows.plan import Groups, count, group
from gemel.codegen.windows.tile import Delivery, Shape, Spot
from gemel.runtime.machine import Machine

_COLUMN_TILES = 64  # of a block of k, for each 16 columns: with two of them a sixteenth of 2 MB
_ROW_PANELS = 32  # of a piece: their sums wait in its scratch
_PACKING_PIECES = 64
_TILE_PACKED = 150.0  # nanoseconds to pack a tile, about
_DOT = 8.0  # nanoseconds of a product of two tiles
_DELIVERED = 0.15  # nanoseconds per result


class TileProduct:
    """Tiles of up to 32 rows by 32 columns."""

    def __init__(self, spec: Contraction, machine: Machine):
        self.groups = max((group(spec, swapped) for swapped in (False, True)), key=_columns_first)
        groups = self.groups
        self.rows, self.columns = count(groups.rows), count(groups.columns)
        self.high = 1 if self.rows <= ROWS else 2
        self.wide = 1 if self.columns <= ROWS else 2
        self.shape = Shape(spec.elem, ROWS * self.high, self.wide, ROWS)
        self.tiles = tiles_along(groups.k)
        self.block = even_block(self.tiles, _COLUMN_TILES)
        self.blocks = ceil(self.tiles / max(1, self.block))
        self.row_panels = ceil(self.rows / self.shape.mr)
        self.row_block = even_block(self.row_panels, _ROW_PANELS)
        self.column_panels = ceil(self.columns / self.shape.nr)
        self.batches = count(groups.batch)

    @property
    def prepares(self) -> str:
        """The operand that the first stage reads."""
        return "right" if self.groups.swapped else "left"

    @property
    def counts(self) -> list[int]:
        """Pieces along the batch, the row blocks and the column panels."""
        return [self.batches, ceil(self.row_panels / max(1, self.row_block)), self.column_panels]

    @property
    def group_size(self) -> int:
        """Row panels that one piece packs."""
        return ceil(self.batches * self.row_panels / _PACKING_PIECES)

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
        return lines(self.wide * self.block * BYTES, LINE)

    @property
    def scratch_bytes(self) -> int:
        return self._column_bytes + self.row_block * self.shape.size * 4

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
        """One panel of columns by a block of rows."""
        f, plan = self.f, self.plan
        batch, row_block, column = split(f, piece, plan.counts[1:])
        forms = self._batch(batch)
        first, rows = extent(f, row_block, plan.row_block, plan.row_panels)
        start = f.mul(column, plan.shape.nr)
        assert self.pointers.scratch is not None
        sums = f.gep(self.pointers.scratch, plan._column_bytes, "i8")
        if plan.groups.void:
            f.clear_bytes(sums, f.mul(rows, plan.shape.size * 4))
        else:
            unit = f.add(f.mul(batch, plan.row_panels), first)
            with f.loop(0, plan.blocks) as block:
                self._block(forms, start, unit, rows, block.index, sums)
        delivery = Delivery(f, plan.groups, plan.shape, self.pointers.tile, self.epilogue)
        with f.loop(0, rows, nonempty=True) as loop:
            row = f.mul(f.add(first, loop.index), plan.shape.mr)
            delivery.memory(self._sums(sums, loop.index), Spot(row, start, forms))

    def _sums(self, sums: Value, panel: Operand) -> Value:
        return self.f.gep(sums, self.f.mul(panel, self.plan.shape.size * 4), "i8")

    def _block(
        self,
        forms: Forms,
        start: Operand,
        unit: Operand,
        rows: Operand,
        block: Operand,
        sums: Value,
    ) -> None:
        """A block of k: the columns are packed and meet all rows."""
        f, plan = self.f, self.plan
        first, tiles = extent(f, block, plan.block, plan.tiles)
        with f.loop(0, plan.wide) as half:
            target = f.gep(self.pointers.scratch, f.mul(half.index, plan.block * BYTES), "i8")
            column = f.add(start, f.mul(half.index, ROWS))
            self.right.read(forms, column, first, tiles, target)
        tile_unit.configure(f)
        with f.loop(0, rows, nonempty=True) as loop:
            sixteen = f.mul(f.add(unit, loop.index), plan.high)
            self._multiply(sixteen, first, tiles, block, self._sums(sums, loop.index))
        tile_unit.release(f)

    def _multiply(
        self, sixteen: Operand, first: Operand, tiles: Operand, block: Operand, sums: Value
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
        lefts = [self._row_tiles(f.add(sixteen, i), first) for i in range(plan.high)]
        size = plan.block * BYTES
        rights = [f.gep(self.pointers.scratch, j * size, "i8") for j in range(plan.wide)]
        with f.loop(0, tiles, nonempty=True) as loop:
            ahead = f.mul(loop.index, BYTES)
            for i, left in enumerate(lefts):
                tile_unit.load(f, 4 + i, f.gep(left, ahead, "i8"))
            for j, right in enumerate(rights):
                tile_unit.load(f, 6 + j, f.gep(right, ahead, "i8"))
            for number, (i, j) in enumerate(places):
                tile_unit.dot(f, number, 4 + i, 6 + j)
        for number, place in enumerate(at):
            tile_unit.store(f, number, place, apart)
