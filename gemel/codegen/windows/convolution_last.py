"""Convolution as an implicit product: output positions by rows, weights by lanes.

Role: the strategy for windows whose results lie closely along the channels (channels last):
forward, and the input gradient. Pixels are read where they are, one broadcast element each: for
every row of a tile and every tap a table holds the address of the pixel's channels, or that of a
row of zeros where the bounds forbid it. The tables of a piece serve all its column panels. The
weights are packed once, in a first stage, into memory that all pieces share.

Invariant: pieces and blocks follow from sizes and strides, so the order of additions is fixed.
"""

from __future__ import annotations

from math import ceil, prod

from gemel.codegen.blocks import even_block, lines, product
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.products.packing import each_k
from gemel.codegen.windows.convolution_pack import (
    PixelPanel,
    pack_transposed,
    transposes,
    way_to_read,
)
from gemel.codegen.windows.implicit_product import ImplicitProduct, ProductEmitter
from gemel.codegen.windows.lanes import KBlock, Lanes, inside
from gemel.codegen.windows.packed_weights import PackedWeights, pieces_of
from gemel.codegen.windows.plan import Depth, Groups, count, cut, divided, group, tile_shape
from gemel.codegen.windows.tile import Delivery, Shape, Spot, Sums, unrolled, zero_sums
from gemel.runtime.machine import Machine

_LEAST = 16, 1  # panels of rows and of columns in a block
_FLOPS = 100.0  # per nanosecond, about, with 16 lanes
_PACKED = 0.3  # nanoseconds per packed weight
_PANEL = 0.75  # of the first cache is for the packed weights of a block of k
_MOST_ROWS = 8  # their addresses stay in registers


class ConvolutionLast(ImplicitProduct):
    """Tiles of positions by weights; pieces are blocks of rows, with all columns."""

    weights_in_rows = False

    def __init__(self, groups: Groups, machine: Machine):
        self.groups = groups
        self.rows, self.columns = count(groups.rows), count(groups.columns)
        size = SIZES[groups.elem]
        lanes = machine.lanes(size)
        registers = machine.vector_registers
        mr, vectors = tile_shape(self.rows, self.columns, lanes, registers, _MOST_ROWS)
        self.shape = Shape(groups.elem, mr, vectors, lanes)
        self.row_panels = ceil(self.rows / mr)
        self.column_panels = ceil(self.columns / self.shape.nr)
        room = int(machine.l1 * _PANEL)
        self.taps, self.depth = _depth(groups, room // (self.shape.nr * size))
        self._cut(machine)

    def _cut(self, machine: Machine) -> None:
        """Blocks of rows by columns: enough for many threads, small enough for the caches."""
        most = max(1, pieces_of(self.work) // count(self.groups.batch))
        panels = (self.row_panels, self.column_panels)
        self.row_block, self.column_block = cut(panels, _LEAST, most)
        self.column_block = even_block(self.column_panels, self.column_block)
        tile = self.shape.size * SIZES[self.shape.elem] * (self.depth.blocks > 1)
        fitting = machine.l2 // 4 // (self.column_block * tile + self.table_size * 8)
        self.row_block = even_block(self.row_panels, max(1, min(self.row_block, fitting)))

    @property
    def weights(self) -> PackedWeights:
        """The column panels of weights."""
        counts = count(self.groups.batch), self.depth.blocks, self.column_panels
        size = self.depth.block * self.shape.nr
        return PackedWeights(self.shape.elem, counts, size, _PACKED)

    @property
    def lines(self) -> int:
        """Entries of the table for one tap."""
        return 1 << (self.shape.mr - 1).bit_length()

    @property
    def table_size(self) -> int:
        """Entries of the table of a row panel."""
        return prod(self.depth.chunks[: self.taps]) * self.lines

    @property
    def reach(self) -> tuple[int, int]:
        """How many elements before and behind a pixel's first one its channels lie."""
        first, before, after = self.groups.left.first, 0, 0
        inner = zip(self.depth.axes[self.taps :], self.depth.chunks[self.taps :], strict=True)
        for axis, chunk in inner:
            span = axis.strides[first] * (chunk - 1)
            before, after = before + max(0, -span), after + max(0, span)
        return before, after

    @property
    def _regions(self) -> list[int]:
        """Bytes of the row of zeros, the table of addresses, and the sums between blocks of k."""
        before, after = self.reach
        zeros = (before + after + 1) * SIZES[self.shape.elem]
        table = self.row_block * self.table_size * 8
        sums = self.row_block * self.column_block * self.shape.size * SIZES[self.shape.elem]
        regions = [zeros, table, sums if self.depth.blocks > 1 else 0]
        return [lines(size) for size in regions]

    @property
    def scratch_bytes(self) -> int:
        return 0 if self.groups.empty else sum(self._regions)

    @property
    def shared_bytes(self) -> int:
        return self.weights.bytes

    @property
    def work(self) -> float:
        """Estimated nanoseconds on one core."""
        terms = count(self.groups.batch) * self.rows * self.columns * self.groups.depth
        weights = count(self.groups.batch) * self.columns * self.groups.depth
        return 2 * terms / _FLOPS / self.shape.lanes * 16 + _PACKED * weights

    def describe(self) -> str:
        """One line for people: tile, blocks, pieces."""
        shape = self.shape
        roles = ", roles exchanged" if self.groups.swapped else ""
        return (
            f"implicit product, {shape.mr}x{shape.nr} tile{roles}, positions by address, "
            f"k in {self.depth.blocks} blocks of {self.depth.block}, "
            f"{self.row_panels}x{self.column_panels} panels, pieces {self.stages}"
        )

    def emitter(
        self, f: Function, pointers: Pointers, epilogue: Epilogue, joins: Joins
    ) -> _Emitter:
        """What emits its pieces."""
        return _Emitter(f, self, pointers, epilogue, joins)


def _depth(groups: Groups, most: int) -> tuple[int, Depth]:
    """The number of taps among the k axes (they come first), and blocks of about `most` values:
    as many channels as fit, then as many taps."""
    left = groups.left
    taps = [a for a in groups.k if any(a.strides[check.form] for check in left.checks)]
    others = [axis for axis in groups.k if axis not in taps]
    others.sort(key=lambda axis: -abs(axis.strides[left.first]))
    axes = (*taps, *others)
    chunks: list[int] = []
    room = most
    for axis in reversed(axes):
        chunks.append(divided(axis.size, room))
        room = max(1, room // chunks[-1])
    return len(taps), Depth(axes, tuple(reversed(chunks)))


class _Emitter(ProductEmitter):
    """Emits pieces of one convolution."""

    plan: ConvolutionLast

    def pack_weights(self, piece: Operand) -> None:
        """Some panels of weights, in the order of batch, block of k, column panel."""
        f, plan, shape = self.f, self.plan, self.plan.shape
        columns = plan.groups.columns
        way = way_to_read(plan.groups.right, columns, shape.lanes)
        walk = plan.weights.each(f, piece, plan.groups, plan.groups.start, plan.depth)
        with walk as (panel, column, sizes, forms):
            place, start = self.packed(panel), f.mul(column, shape.nr)
            k = place, plan.depth.axes, sizes
            if transposes(self.right, columns, plan.depth, shape.lanes):
                tile = shape.nr, shape.lanes
                offset = forms[plan.groups.right.first]
                pack_transposed(f, self.right, columns[0], start, tile, *k, offset)
            else:
                packer = PixelPanel(f, self.right, columns, shape.nr, shape.lanes, way)
                packer.pack(start, *k, forms)

    def begin(self, scratch: Value) -> None:
        """Divide the scratch; the row of zeros comes first."""
        f, plan = self.f, self.plan
        zeros, table, _ = plan._regions
        self.zeros = f.gep(scratch, plan.reach[0], plan.shape.elem)
        self.table = f.gep(scratch, zeros, "i8")
        delivery = Delivery(f, plan.groups, plan.shape, self.pointers.tile, self.epilogue)
        sums = f.gep(self.table, table, "i8")
        self.sums = Sums(f, plan.shape, sums, plan.depth.blocks, delivery)
        f.clear_bytes(scratch, zeros)

    def products(
        self, k: KBlock, rows: tuple[Operand, Operand], columns: tuple[Operand, Operand]
    ) -> None:
        """Addresses are found for all rows; all panels of weights use them."""
        f = self.f
        with f.loop(0, rows[1], nonempty=True) as loop:
            start = f.mul(f.add(rows[0], loop.index), self.plan.shape.mr)
            self._addresses(k, start, self._entries(loop.index))
        with f.loop(0, columns[1], nonempty=True) as outer:
            with f.loop(0, rows[1], nonempty=True) as loop:
                self._tile(k, (rows[0], columns[0]), (loop.index, outer.index))

    def _tile(self, k: KBlock, first: tuple, local: tuple) -> None:
        f, plan, shape = self.f, self.plan, self.plan.shape
        row, column = (f.add(a, b) for a, b in zip(first, local, strict=True))
        weights = self.packed(f.add(k.weights, column))
        sums = self._multiply(k, self._entries(local[0]), weights)
        spot = Spot(f.mul(row, shape.mr), f.mul(column, shape.nr), k.batch)
        number = f.add(f.mul(local[1], plan.row_block), local[0])
        self.sums.finish(k.index, sums, spot, number)

    def _entries(self, local: Operand) -> Value:
        """The table of a row panel of the piece."""
        return self.f.gep(self.table, self.f.mul(local, self.plan.table_size), "ptr")

    def _addresses(self, k: KBlock, start: Operand, table: Value) -> None:
        """Per tap and row, where the channels of the row's pixel begin."""
        f, plan = self.f, self.plan
        left, width = plan.groups.left, plan.lines
        lanes = Lanes(f, plan.groups.rows, start, width)
        along = [lanes.form(check.form) for check in left.checks]
        offsets = lanes.form(left.first)
        if offsets is None:
            offsets = f.constants([0] * width, "i32")
        nothing = f.splat(self.zeros, width)

        def tap(linear: Operand, places: list[Operand], _: list[Value]) -> None:
            here = dict(zip(left.forms, places, strict=True))
            mask = lanes.valid
            for check, lane_places in zip(left.checks, along, strict=True):
                holds = f.splat(inside(f, check, here[check.form], lane_places), width)
                mask = holds if mask is None else mask & holds
            base = f.gep(self.left.pointers[0], here[left.first], plan.shape.elem)
            pointers = f.addresses(base, offsets, plan.shape.elem)
            if mask is not None:
                pointers = f.select(mask, pointers, nothing)
            f.store(pointers, f.gep(table, f.mul(linear, width), "ptr"))

        strides = [[axis.strides[form] for form in left.forms] for axis in self._tap_axes()]
        forms = [k.forms[form] for form in left.forms]
        each_k(f, k.sizes[: plan.taps], strides, forms, tap)

    def _tap_axes(self) -> tuple[Axis, ...]:
        return self.plan.depth.axes[: self.plan.taps]

    def _multiply(self, k: KBlock, table: Value, weights: Value) -> list[Value]:
        """The sums of a tile over a block of k."""
        f, plan, shape = self.f, self.plan, self.plan.shape
        taps, channels = product(f, k.sizes[: plan.taps]), product(f, k.sizes[plan.taps :])
        weights = f.opaque(weights)
        with f.loop(0, taps, carry=zero_sums(f, shape), nonempty=True) as loop:
            entry = f.gep(table, f.mul(loop.index, plan.lines), "ptr")
            rows = [f.load(f.gep(entry, row, "ptr"), "ptr") for row in range(shape.mr)]
            first = f.mul(loop.index, channels)
            panel = f.gep(weights, f.mul(first, shape.nr), shape.elem)
            loop.next = self._channels(k, rows, panel, loop.values)
        return loop.out

    def _channels(
        self, k: KBlock, rows: list[Value], panel: Value, start: list[Value]
    ) -> list[Value]:
        """The products of one tap."""
        plan = self.plan
        inner, sizes = plan.depth.axes[plan.taps :], k.sizes[plan.taps :]
        strides = [[axis.strides[plan.groups.left.first]] for axis in inner]

        if len(inner) != 1:

            def one(linear: Operand, places: list[Operand], sums: list[Value]) -> list[Value]:
                return self._step(rows, panel, (linear, places[0]), (0, 0), sums)

            return each_k(self.f, sizes, strides, [0], one, start)
        stride = strides[0][0]

        def step(index: Operand, ahead: int, sums: list[Value]) -> list[Value]:
            at = index, self.f.mul(index, stride)
            return self._step(rows, panel, at, (ahead, ahead * stride), sums)

        return unrolled(self.f, sizes[0], start, step)

    def _step(
        self,
        rows: list[Value],
        panel: Value,
        at: tuple[Operand, Operand],
        ahead: tuple[int, int],
        sums: list[Value],
    ) -> list[Value]:
        """One channel, at a number and an offset: every row's element times the weights."""
        f, shape = self.f, self.plan.shape
        place = f.gep(panel, f.mul(at[0], shape.nr), shape.elem)
        place = f.gep(place, ahead[0] * shape.nr, shape.elem)
        vectors = [
            f.load(f.gep(place, j * shape.lanes, shape.elem), shape.elem, shape.lanes)
            for j in range(shape.vectors)
        ]
        out = []
        for row, pointer in enumerate(rows):
            place = f.gep(f.gep(pointer, at[1], shape.elem), ahead[1], shape.elem)
            element = f.load(place, shape.elem)
            spread = f.splat(element, shape.lanes)
            for j, vector in enumerate(vectors):
                out.append(f.fma(spread, vector, sums[row * shape.vectors + j]))
        return out


def convolution_last(spec: Contraction, machine: Machine, joined: bool) -> ConvolutionLast | None:
    """The strategy where one operand is bounded, and the result lies closely along the other's
    free axes."""
    for swapped in (False, True):
        groups = group(spec, swapped)
        if not joined and _suits(groups):
            return ConvolutionLast(groups, machine)
    return None


def _suits(groups: Groups) -> bool:
    left, right = groups.left, groups.right
    if groups.empty or groups.void or right.checks or not left.checks:
        return False
    if not groups.columns or not groups.rows or not groups.tile:
        return False
    plain = len(left.accesses) == 1 and left.accesses[0].elem == groups.elem
    return plain and len(right.accesses) == 1 and groups.columns[-1].strides[groups.first_tile] == 1
