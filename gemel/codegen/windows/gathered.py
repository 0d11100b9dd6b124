"""Any contraction of bounded accesses: both operands are gathered into panels.

Role: the strategy of last resort, right for every spec, for those that no faster one takes. A piece
is a block of columns by a block of rows of one batch entry; for each block of k a panel of columns
is packed once and meets the row panels of the piece. Invariant: the blocks follow from the sizes
alone, so the order of additions is fixed.
"""

from __future__ import annotations

from math import ceil

from gemel.codegen.blocks import LINE, even_block, lines, product, split
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.windows.lanes import locate, locate_block
from gemel.codegen.windows.pack import pack_gathered, readers
from gemel.codegen.windows.plan import Groups, chunked, count, group, tile_shape
from gemel.codegen.windows.tile import Delivery, Shape, Spot, multiply, zero_sums
from gemel.runtime.machine import Machine

_DEPTH = 256  # values of k in a block
_ROW_PANELS = 16  # of a piece
_NANOSECONDS = 1.0  # per packed element, about
_PIECES = 256


class Gathered:
    """Masked gathers into panels of both operands."""

    prepares: str | None = None

    def __init__(self, spec: Contraction, machine: Machine):
        self.groups = max((group(spec, swapped) for swapped in (False, True)), key=_columns_first)
        groups = self.groups
        self.rows, self.columns = count(groups.rows), count(groups.columns)
        lanes = machine.lanes(SIZES[spec.elem])
        mr, vectors = tile_shape(
            max(1, self.rows), max(1, self.columns), lanes, machine.vector_registers
        )
        self.shape = Shape(spec.elem, mr, vectors, lanes)
        self.depth = chunked(groups.k, _DEPTH)
        self.row_panels = ceil(self.rows / mr)
        self.row_block = even_block(self.row_panels, _ROW_PANELS)
        panels = ceil(self.columns / self.shape.nr)
        around = count(groups.batch) * ceil(self.row_panels / max(1, self.row_block))
        self.column_block = even_block(panels, max(1, ceil(panels * around / _PIECES)))
        self.column_panels = panels

    @property
    def _counts(self) -> list[int]:
        """Pieces along the batch, the row blocks and the column blocks."""
        blocks = [
            ceil(self.row_panels / max(1, self.row_block)),
            ceil(self.column_panels / max(1, self.column_block)),
        ]
        return [count(self.groups.batch), *blocks]

    @property
    def stages(self) -> tuple[int, ...]:
        """How many pieces each stage has."""
        if self.groups.empty:
            return ()
        batch, rows, columns = self._counts
        return (batch * rows * columns,)

    @property
    def _regions(self) -> list[int]:
        """Bytes of the packed left panel, the packed right one, and the sums of the row panels."""
        shape, block = self.shape, max(1, self.depth.block)
        elements = [block * shape.mr, block * shape.nr, self.row_block * shape.size]
        return [lines(n * SIZES[shape.elem], LINE) for n in elements]

    @property
    def scratch_bytes(self) -> int:
        return 0 if self.groups.empty else sum(self._regions)

    shared_bytes = 0

    @property
    def work(self) -> float:
        """Estimated nanoseconds."""
        terms = count(self.groups.batch) * self.rows * self.columns * self.groups.depth
        packed = terms / max(1, min(self.row_block * self.shape.mr, self.shape.nr))
        return terms * 0.02 + packed * _NANOSECONDS

    def describe(self) -> str:
        """One line for people: tile, panels."""
        shape = self.shape
        roles = ", roles exchanged" if self.groups.swapped else ""
        panels = f"{self.row_panels}x{self.column_panels} panels"
        return f"{shape.mr}x{shape.nr} tile{roles}, both operands gathered, {panels}"

    def emit(
        self,
        f: Function,
        stage: int,
        piece: Operand,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins = (None, None),
    ) -> None:
        """Emit one piece of a stage at the builder's position."""
        _Piece(f, self, pointers, epilogue, joins).run(piece)


def _columns_first(groups: Groups) -> tuple[bool, int]:
    """Prefer lanes along which the result lies closely, then many of them."""
    unit = bool(groups.columns) and abs(groups.columns[-1].strides[groups.first_tile]) == 1
    return unit, count(groups.columns)


class _Piece:
    """The loops of one piece."""

    def __init__(
        self,
        f: Function,
        plan: Gathered,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins,
    ):
        self.f = f
        self.plan = plan
        groups = plan.groups
        self.left, self.right = readers(groups, pointers, joins)
        self.delivery = Delivery(f, groups, plan.shape, pointers.tile, epilogue)
        left, right, _ = plan._regions
        assert pointers.scratch is not None
        self.left_room = pointers.scratch
        self.right_room = f.gep(pointers.scratch, left, "i8")
        self.sums = f.gep(pointers.scratch, left + right, "i8")

    def run(self, piece: Operand) -> None:
        f, plan = self.f, self.plan
        batch, row_block, column_block = split(f, piece, plan._counts[1:])
        forms = locate(f, plan.groups.start, plan.groups.batch, batch)
        row = f.mul(row_block, plan.row_block)
        rows = f.min(f.sub(plan.row_panels, row), plan.row_block)
        column = f.mul(column_block, plan.column_block)
        columns = f.min(f.sub(plan.column_panels, column), plan.column_block)
        with f.loop(0, columns, nonempty=True) as loop:
            self._column_panel(forms, row, rows, f.add(column, loop.index))

    def _column_panel(
        self, forms: list[Operand], row: Operand, rows: Operand, column: Operand
    ) -> None:
        f, plan = self.f, self.plan
        shape = plan.shape
        size = SIZES[shape.elem]
        f.clear_bytes(self.sums, f.mul(rows, shape.size * size))
        start = f.mul(column, shape.nr)
        if not plan.groups.void:
            with f.loop(0, plan.depth.blocks) as block:
                self._k_block(forms, row, rows, start, block.index)
        with f.loop(0, rows, nonempty=True) as panels:
            stage = f.gep(self.sums, f.mul(panels.index, shape.size), shape.elem)
            at = f.mul(f.add(row, panels.index), shape.mr)
            self.delivery.memory(stage, Spot(at, start, forms))

    def _k_block(
        self, forms: list[Operand], row: Operand, rows: Operand, start: Operand, block: Operand
    ) -> None:
        f, plan = self.f, self.plan
        shape = plan.shape
        sizes, moved = locate_block(f, plan.depth, block, forms)
        place = (plan.depth.axes, sizes, moved, shape.lanes)
        pack_gathered(f, self.right, plan.groups.columns, start, shape.nr, self.right_room, *place)
        with f.loop(0, rows, nonempty=True) as panels:
            first = f.mul(f.add(row, panels.index), shape.mr)
            pack_gathered(f, self.left, plan.groups.rows, first, shape.mr, self.left_room, *place)
            self._add(f.gep(self.sums, f.mul(panels.index, shape.size), shape.elem), sizes)

    def _add(self, stage: Value, sizes: list[Operand]) -> None:
        f, shape = self.f, self.plan.shape
        depth = product(f, sizes)
        zeros = zero_sums(f, shape)
        sums = multiply(f, shape, self.left_room, self.right_room, depth, zeros)
        for i, value in enumerate(sums):
            place = f.gep(stage, i * shape.lanes, shape.elem)
            f.store(value + f.load(place, shape.elem, shape.lanes), place)


def gathered(spec: Contraction, machine: Machine, joined: bool) -> Gathered:
    """The way that always applies."""
    return Gathered(spec, machine)
