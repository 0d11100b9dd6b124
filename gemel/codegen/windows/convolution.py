"""Convolution as an implicit product: weights by rows, output positions by lanes.

Role: the strategy for windows whose results lie closely along the positions (images as planes of
channels): forward, and the input gradient with stride 1 or phase by phase. Nothing is unrolled in
memory: a panel of positions is read from the images tap by tap (see `convolution_pack`) into a
block that stays in the cache while all row panels of the piece use it. The weights are packed once,
in a first stage that reads nothing else, into memory that all pieces share.

Invariant: pieces and blocks follow from sizes and strides, so the order of additions is fixed.
"""

from __future__ import annotations

from math import ceil

from gemel.codegen.blocks import LINE, even_block, lines, product
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.windows.convolution_pack import PixelPanel, way_to_read
from gemel.codegen.windows.implicit_product import ImplicitProduct, ProductEmitter
from gemel.codegen.windows.lanes import KBlock
from gemel.codegen.windows.pack import pack_gathered
from gemel.codegen.windows.packed_weights import PackedWeights, pieces_of
from gemel.codegen.windows.plan import Depth, Groups, Side, chunked, count, cut, group, tile_shape
from gemel.codegen.windows.tile import Delivery, Shape, Spot, Sums, multiply, zero_sums
from gemel.runtime.machine import Machine

_PANEL = 0.625  # of the first cache is for the packed columns of a block of k
_LEAST = 4, 32  # panels of columns and of rows in a block
_FLOPS = 100.0  # per nanosecond, about, with 16 lanes
_PACKED = 0.4  # nanoseconds per packed weight


class Convolution(ImplicitProduct):
    """Tiles of weights by positions; pieces are blocks of columns by blocks of rows."""

    def __init__(self, groups: Groups, machine: Machine):
        self.groups = groups
        self.rows, self.columns = count(groups.rows), count(groups.columns)
        size = SIZES[groups.elem]
        lanes = machine.lanes(size)
        mr, vectors = tile_shape(self.rows, self.columns, lanes, machine.vector_registers, 8)
        self.shape = Shape(groups.elem, mr, vectors, lanes)
        self.way = way_to_read(groups.right, groups.columns, lanes)
        self.depth = _depth(groups, int(machine.l1 * _PANEL) // (self.shape.nr * size))
        self.row_panels = ceil(self.rows / mr)
        self.column_panels = ceil(self.columns / self.shape.nr)
        self._cut(machine)

    def _cut(self, machine: Machine) -> None:
        """Blocks of columns by rows: enough for many threads, small enough for the caches."""
        size = SIZES[self.shape.elem]
        most = max(1, pieces_of(self.work) // count(self.groups.batch))
        panels = (self.column_panels, self.row_panels)
        # Weights that stay in the second cache need not be used by many columns of a block.
        near = self.rows * self.groups.depth * size <= machine.l2 // 2
        least = (
            1 if near else _LEAST[0],
            _LEAST[1] if self.column_panels > 8 else _LEAST[1] // 2,
        )
        self.column_block, self.row_block = cut(panels, least, most)
        room = machine.l2 // 2 // (self.depth.block * self.shape.mr * size)
        self.row_block = even_block(self.row_panels, min(self.row_block, room))
        if self.depth.blocks > 1:
            sums = machine.l2 // 4 // (self.row_block * self.shape.size * size)
            self.column_block = min(self.column_block, max(1, sums))
        self.column_block = even_block(self.column_panels, self.column_block)

    @property
    def weights(self) -> PackedWeights:
        """The row panels of weights."""
        counts = count(self.groups.batch), self.depth.blocks, self.row_panels
        size = (self.depth.block * self.shape.mr + 15) // 16 * 16
        return PackedWeights(self.shape.elem, counts, size, _PACKED)

    @property
    def _regions(self) -> list[int]:
        """Bytes of the packed columns, and of the sums between blocks of k."""
        size = SIZES[self.shape.elem]
        columns = self.depth.block * self.shape.nr * size
        sums = self.row_block * self.column_block * self.shape.size * size
        return [lines(columns, LINE), sums if self.depth.blocks > 1 else 0]

    @property
    def scratch_bytes(self) -> int:
        return 0 if self.groups.empty else sum(self._regions)

    @property
    def shared_bytes(self) -> int:
        # Vectors of a row panel may be written past its end.
        return self.weights.bytes + LINE

    @property
    def work(self) -> float:
        """Estimated nanoseconds on one core."""
        terms = count(self.groups.batch) * self.rows * self.columns * self.groups.depth
        weights = count(self.groups.batch) * self.rows * self.groups.depth
        packed = terms / max(1, self.rows)
        return 2 * terms / _FLOPS / self.shape.lanes * 16 + 0.15 * packed + _PACKED * weights

    def describe(self) -> str:
        """One line for people: tile, reading, blocks, pieces."""
        shape, way = self.shape, self.way
        read = "gathered" if way.segments is None else f"{way.segments} masked loads"
        roles = ", roles exchanged" if self.groups.swapped else ""
        return (
            f"implicit product, {shape.mr}x{shape.nr} tile{roles}, positions in {read}, "
            f"k in {self.depth.blocks} blocks of {self.depth.block}, "
            f"{self.row_panels}x{self.column_panels} panels, pieces {self.stages}"
        )

    def emitter(
        self, f: Function, pointers: Pointers, epilogue: Epilogue, joins: Joins
    ) -> _Emitter:
        """What emits its pieces."""
        return _Emitter(f, self, pointers, epilogue, joins)


def _depth(groups: Groups, most: int) -> Depth:
    """Taps outside (their masks serve all channels), as many channels inside as a block holds."""
    taps = [axis for axis in groups.k if _bounded(axis, groups.right)]
    others = [axis for axis in groups.k if not _bounded(axis, groups.right)]
    if groups.depth <= most:
        return chunked((*taps, *others), max(1, groups.depth))
    return chunked((*taps, *others[::-1]), most)


def _bounded(axis: Axis, side: Side) -> bool:
    return any(axis.strides[check.form] for check in side.checks)


class _Emitter(ProductEmitter):
    """Emits pieces of one convolution."""

    plan: Convolution

    # The weights.

    def pack_weights(self, piece: Operand) -> None:
        """Some panels of weights, in the order of batch, block of k, row panel."""
        f, plan = self.f, self.plan
        walk = plan.weights.each(f, piece, plan.groups, plan.groups.start, plan.depth)
        with walk as (panel, row, sizes, forms):
            shape = plan.shape
            pack_gathered(
                f,
                self.left,
                plan.groups.rows,
                f.mul(row, shape.mr),
                shape.mr,
                self.packed(panel),
                plan.depth.axes,
                sizes,
                forms,
                shape.lanes,
            )

    # The products.

    def begin(self, scratch: Value) -> None:
        """Divide the scratch."""
        f, plan = self.f, self.plan
        self.room = scratch
        delivery = Delivery(f, plan.groups, plan.shape, self.pointers.tile, self.epilogue)
        sums = f.gep(self.room, plan._regions[0], "i8")
        self.sums = Sums(f, plan.shape, sums, plan.depth.blocks, delivery)

    def products(
        self, k: KBlock, rows: tuple[Operand, Operand], columns: tuple[Operand, Operand]
    ) -> None:
        """Positions are packed panel by panel; all rows use them."""
        with self.f.loop(0, columns[1], nonempty=True) as loop:
            self._column_panel(k, rows, self.f.add(columns[0], loop.index), loop.index)

    def _column_panel(
        self, k: KBlock, rows: tuple[Operand, Operand], column: Operand, local: Operand
    ) -> None:
        f, plan = self.f, self.plan
        shape, groups = plan.shape, plan.groups
        start = f.mul(column, shape.nr)
        panel = PixelPanel(f, self.right, groups.columns, shape.nr, shape.lanes, plan.way)
        panel.pack(start, self.room, plan.depth.axes, k.sizes, k.forms)
        depth = product(f, k.sizes)
        with f.loop(0, rows[1], nonempty=True) as loop:
            row = f.add(rows[0], loop.index)
            weights = self.packed(f.add(k.weights, row))
            spot = Spot(f.mul(row, shape.mr), start, k.batch)
            self.sums.expect(k.index, spot)
            sums = multiply(f, shape, weights, self.room, depth, zero_sums(f, shape))
            number = f.add(f.mul(local, plan.row_block), loop.index)
            self.sums.finish(k.index, sums, spot, number)


def convolution(spec: Contraction, machine: Machine, joined: bool) -> Convolution | None:
    """The strategy where one operand is bounded, and the result lies closely along its lanes."""
    for swapped in (False, True):
        groups = group(spec, swapped)
        if _suits(groups):
            return Convolution(groups, machine)
    return None


def _suits(groups: Groups) -> bool:
    right, left = groups.right, groups.left
    if groups.empty or groups.void or left.checks or not right.checks:
        return False
    if len(right.accesses) != 1 or not groups.columns or not groups.k:
        return False
    return True
