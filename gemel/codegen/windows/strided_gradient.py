"""Input gradients of strided convolutions: all phases of the places at once.

Role: the strategy for strided input gradients (and transposed convolutions) whose results lie
closely along the positions. The phases (see `phases`) read the same few shifted positions of the
output's gradient: a panel of positions is packed once per shift, into the first cache, and every
phase of every row panel multiplies it by the weights of its own taps. The sums of all phases of a
tile are then laid side by side, so that whole rows of the result are written.
The weights are packed once, tap by tap, in a first stage, into memory that all pieces share.

Invariant: pieces and blocks follow from sizes and strides, so the order of additions is fixed.
"""

from __future__ import annotations

from math import ceil, prod

from gemel.codegen.blocks import LINE, even_block, lines, product
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.products.packing import each_k
from gemel.codegen.windows.convolution_pack import PixelPanel, way_to_read
from gemel.codegen.windows.implicit_product import ImplicitProduct, ProductEmitter
from gemel.codegen.windows.lanes import KBlock, Lanes, locate
from gemel.codegen.windows.packed_weights import PackedWeights, pieces_of
from gemel.codegen.windows.phases import Phases, phases
from gemel.codegen.windows.plan import Depth, chunked, count, tile_shape
from gemel.codegen.windows.tile import Delivery, Shape, Spot, multiply, zero_sums
from gemel.runtime.machine import Machine

_PANEL = 0.7  # of the first cache is for the packed positions of a block of k
_NEAR = 4  # part of the second cache for the sums of a piece, and for the weights of a block of k
# Where there are fewer pieces, or longer ones (in nanoseconds), they have fewer rows, ...
_MANY_PIECES, _LONG = 16, 200_000.0
_LEAST = 12  # ... but so many panels of rows at least.
_FLOPS = 100.0  # per nanosecond, about, with 16 lanes
_PACKED = 0.4  # nanoseconds per packed weight


class StridedGradient(ImplicitProduct):
    """Tiles of weights by positions, for all phases; pieces are blocks of columns by rows."""

    def __init__(self, found: Phases, machine: Machine):
        self.phases = found
        self.groups = groups = found.groups
        self.rows, self.columns = count(found.rows), count(groups.columns)
        size = SIZES[groups.elem]
        lanes = machine.lanes(size)
        mr, vectors = tile_shape(self.rows, self.columns, lanes, machine.vector_registers, 8)
        self.shape = Shape(groups.elem, mr, vectors, lanes)
        self.way = way_to_read(groups.right, groups.columns, lanes)
        self.depth = _depth(found, int(machine.l1 * _PANEL) // (self.shape.nr * size))
        self.row_panels = ceil(self.rows / mr)
        self.column_panels = ceil(self.columns / self.shape.nr)
        self._cut(machine)

    def _cut(self, machine: Machine) -> None:
        """Blocks of rows whose weights, and blocks of columns whose sums stay near."""
        size = SIZES[self.shape.elem]
        near = machine.l2 // _NEAR
        weights = self.phases.pairs * self.chunk * self.shape.mr * size
        self.row_block = even_block(self.row_panels, max(1, near // weights))
        sums = self.row_block * self.tile_size * size
        most = max(1, near // sums) if self.depth.blocks > 1 else self.column_panels
        blocks = count(self.groups.batch) * ceil(self.row_panels / self.row_block)
        share = ceil(self.column_panels * blocks / max(1, pieces_of(self.work)))
        self.column_block = even_block(self.column_panels, min(most, share))
        few = max(1, min(_MANY_PIECES, int(self.work / _LONG)))
        share = ceil(self.row_block * prod(self.counts) / few)
        self.row_block = even_block(self.row_panels, min(self.row_block, max(_LEAST, share)))

    @property
    def chunk(self) -> int:
        """Channels of a block of k."""
        return prod(self.depth.chunks[len(self.phases.shifts) :])

    @property
    def tile_size(self) -> int:
        """Sums of a tile, in all phases."""
        return self.shape.size * len(self.phases.taps)

    @property
    def weights(self) -> PackedWeights:
        """The row panels of weights."""
        counts = count(self.groups.batch), self.depth.blocks, self.row_panels
        size = (self.phases.pairs * self.chunk * self.shape.mr + 15) // 16 * 16
        return PackedWeights(self.shape.elem, counts, max(16, size), _PACKED)

    @property
    def _regions(self) -> list[int]:
        """Bytes of the packed positions, and of the sums of the tiles of a block."""
        size = SIZES[self.shape.elem]
        tiles = self.row_block * self.column_block if self.depth.blocks > 1 else 1
        return [
            lines(self.depth.block * self.shape.nr * size, LINE),
            lines(tiles * self.tile_size * size),
        ]

    @property
    def scratch_bytes(self) -> int:
        return sum(self._regions)

    @property
    def shared_bytes(self) -> int:
        return self.weights.bytes

    @property
    def work(self) -> float:
        """Estimated nanoseconds on one core."""
        weights = count(self.groups.batch) * self.rows * self.phases.pairs
        weights *= count(self.phases.channels)
        return 2 * weights * self.columns / _FLOPS / self.shape.lanes * 16 + _PACKED * weights

    def describe(self) -> str:
        """One line for people: tile, phases, blocks, pieces."""
        shape, found = self.shape, self.phases
        roles = ", roles exchanged" if self.groups.swapped else ""
        return (
            f"strided gradient, {shape.mr}x{shape.nr} tile{roles}, {len(found.taps)} phases "
            f"({found.lane} side by side) of {found.pairs} taps, {count(found.shifts)} shifts, "
            f"k in {self.depth.blocks} blocks of {self.chunk} channels, "
            f"{self.row_panels}x{self.column_panels} panels, pieces {self.stages}"
        )

    def emitter(
        self, f: Function, pointers: Pointers, epilogue: Epilogue, joins: Joins
    ) -> _Emitter:
        """What emits its pieces."""
        return _Emitter(f, self, pointers, epilogue, joins)


def _depth(found: Phases, most: int) -> Depth:
    """All shifts, and as many channels as a block holds beside them."""
    room = max(1, most // count(found.shifts))
    channels = chunked(found.channels[::-1], room)
    shifts = tuple(axis.size for axis in found.shifts)
    return Depth((*found.shifts, *channels.axes), (*shifts, *channels.chunks))


class _Emitter(ProductEmitter):
    """Emits pieces of one gradient."""

    plan: StridedGradient

    # The weights.

    def pack_weights(self, piece: Operand) -> None:
        """Some panels of weights, in the order of batch, block of k, row panel."""
        f, plan = self.f, self.plan
        walk = plan.weights.each(f, piece, plan.groups, plan.groups.start, plan.depth)
        with walk as (panel, row, sizes, forms):
            offset = forms[plan.groups.left.first]
            self._pack_row_panel(f.mul(row, plan.shape.mr), self.packed(panel), sizes, offset)

    def _pack_row_panel(
        self, row: Operand, panel: Value, sizes: list[Operand], offset: Operand
    ) -> None:
        """Weights as `[tap][channel][row]`; the taps of a channel are neighbours in memory."""
        f, plan = self.f, self.plan
        form, mr, elem = plan.groups.left.first, plan.shape.mr, plan.shape.elem
        lanes = Lanes(f, plan.phases.rows, row, mr)
        along = lanes.form(form)
        if along is None:
            along = f.constants([0] * mr, "i32")
        places = f.table("i64", [tap.weights for taps in plan.phases.taps for tap in taps])
        outer = len(plan.phases.shifts)
        channels = product(f, sizes[outer:])
        source = self.left.side.accesses[0].elem

        def pack(linear: Operand, at: list[Operand], _: list[Value]) -> None:
            with f.loop(0, plan.phases.pairs, nonempty=True) as taps:
                place = f.load(f.gep(places, taps.index, "i64"), "i64")
                start = f.gep(self.left.pointers[0], f.add(place, at[0]), source)
                value = self.left.value(f, [f.gather(start, along, source, lanes.valid)])
                number = f.add(f.mul(taps.index, channels), linear)
                f.store(value, f.gep(panel, f.mul(number, mr), elem))

        strides = [[axis.strides[form]] for axis in plan.depth.axes[outer:]]
        each_k(f, sizes[outer:], strides, [offset], pack)

    # The products.

    def begin(self, scratch: Value) -> None:
        """Divide the scratch."""
        f, plan, shape = self.f, self.plan, self.plan.shape
        self.room = scratch
        wide = Shape(shape.elem, shape.mr, shape.vectors * plan.phases.lane, shape.lanes)
        self.delivery = Delivery(f, plan.phases.result, wide, self.pointers.tile, self.epilogue)
        positions, sums = plan._regions
        self.sums = f.gep(self.room, positions, "i8")
        if not all(plan.phases.taps):  # nothing else is written to the sums of those
            f.clear_bytes(self.sums, sums)

    def products(
        self, k: KBlock, rows: tuple[Operand, Operand], columns: tuple[Operand, Operand]
    ) -> None:
        """Positions are packed panel by panel; all rows use them."""
        with self.f.loop(0, columns[1], nonempty=True) as loop:
            self._column_panel(k, rows, self.f.add(columns[0], loop.index), loop.index)

    def _column_panel(
        self, k: KBlock, rows: tuple[Operand, Operand], column: Operand, local: Operand
    ) -> None:
        f, plan, shape = self.f, self.plan, self.plan.shape
        start = f.mul(column, shape.nr)
        panel = PixelPanel(f, self.right, plan.groups.columns, shape.nr, shape.lanes, plan.way)
        panel.pack(start, self.room, plan.depth.axes, k.sizes, k.forms)
        with f.loop(0, rows[1], nonempty=True) as loop:
            row = f.add(rows[0], loop.index)
            sums = self.sums
            if plan.depth.blocks > 1:
                number = f.add(f.mul(local, plan.row_block), loop.index)
                sums = f.gep(sums, f.mul(number, plan.tile_size), shape.elem)
            spot = Spot(f.mul(row, shape.mr), f.mul(start, plan.phases.lane), k.batch)
            last = f.compare("==", k.index, plan.depth.blocks - 1)
            with f.when(last):
                self._fetch_results(spot)
            self._multiply(k, self.packed(f.add(k.weights, row)), sums)
            with f.when(last):
                self._deliver(sums, spot)

    def _fetch_results(self, spot: Spot) -> None:
        """Ask for the lines that a tile's results are written to."""
        f, plan, found = self.f, self.plan, self.plan.phases
        form, shape = plan.groups.first_tile, plan.shape
        elem = plan.groups.tile[0].elem
        with f.loop(0, shape.vectors * found.lane) as vectors:
            column = f.add(spot.column, f.mul(vectors.index, shape.lanes))
            forms = locate(f, spot.forms, found.result.columns, column)
            with f.loop(0, shape.mr) as rows:
                at = locate(f, forms, found.rows, f.add(spot.row, rows.index))
                with f.loop(0, count(found.outer)) as outer:
                    place = locate(f, at, found.outer, outer.index)[form]
                    f.prefetch(f.gep(self.pointers.tile[0], place, elem), write=True)

    def _multiply(self, k: KBlock, weights: Value, sums: Value) -> None:
        """Add the products of a block of k to the sums of a tile, phase by phase."""
        f, plan, shape = self.f, self.plan, self.plan.shape
        numbers, ends, shifts = _tables(plan.phases)
        numbers, ends, shifts = (f.table("i64", values) for values in (numbers, ends, shifts))
        channels = product(f, k.sizes[len(plan.phases.shifts) :])
        count_ = sum(map(bool, plan.phases.taps))
        with f.loop(0, count_) as loop:
            first, last = (f.load(f.gep(ends, f.add(loop.index, i), "i64"), "i64") for i in (0, 1))
            number = f.load(f.gep(numbers, loop.index, "i64"), "i64")
            place = f.gep(sums, f.mul(number, shape.size), shape.elem)
            start = self._earlier(k.index, place)
            with f.loop(first, last, carry=start, nonempty=True) as taps:
                shift = f.load(f.gep(shifts, taps.index, "i64"), "i64")
                at = f.mul(f.mul(taps.index, channels), shape.mr)
                left = f.gep(weights, at, shape.elem)
                at = f.mul(f.mul(shift, channels), shape.nr)
                right = f.gep(self.room, at, shape.elem)
                taps.next = multiply(f, shape, left, right, channels, taps.values)
            for i, value in enumerate(taps.out):
                f.store(value, f.gep(place, i * shape.lanes, shape.elem))

    def _earlier(self, block: Operand, place: Value) -> list[Value]:
        """The sums that earlier blocks of k left."""
        f, shape = self.f, self.plan.shape
        zeros = zero_sums(f, shape)
        if self.plan.depth.blocks == 1:
            return zeros

        def load() -> list[Value]:
            places = (f.gep(place, i * shape.lanes, shape.elem) for i in range(len(zeros)))
            return [f.load(at, shape.elem, shape.lanes) for at in places]

        return f.if_else(f.compare("==", block, 0), lambda: zeros, load)

    # The results.

    def _deliver(self, sums: Value, spot: Spot) -> None:
        """All phases of a tile to the epilogue."""
        f, found, shape = self.f, self.plan.phases, self.plan.shape
        size = shape.size * found.lane
        stage = f.alloca(shape.elem, size) if found.lane > 1 else sums
        sizes = [axis.size for axis in found.outer]
        with f.loop(0, prod(sizes)) as loop:
            forms = locate(f, spot.forms, found.outer, loop.index)
            place = f.gep(sums, f.mul(loop.index, size), shape.elem)
            if found.lane > 1:
                self._interleave(place, stage)
                place = stage
            self.delivery.memory(place, Spot(spot.row, spot.column, forms))

    def _interleave(self, sums: Value, stage: Value) -> None:
        """Tiles of phases, `[phase][mr][nr]`, as one of `[mr][nr][phase]`."""
        f, shape, lane = self.f, self.plan.shape, self.plan.phases.lane
        with f.loop(0, shape.mr * shape.vectors) as loop:
            place = f.gep(sums, f.mul(loop.index, shape.lanes), shape.elem)
            vectors = [
                f.load(f.gep(place, phase * shape.size, shape.elem), shape.elem, shape.lanes)
                for phase in range(lane)
            ]
            out = f.gep(stage, f.mul(loop.index, shape.lanes * lane), shape.elem)
            for number, value in enumerate(interleaved(f, vectors)):
                f.store(value, f.gep(out, number * shape.lanes, shape.elem))


def _tables(found: Phases) -> tuple[list[int], list[int], list[int]]:
    """The phases with taps, where the taps of each begin and end, and the shift of each tap."""
    some = [(number, taps) for number, taps in enumerate(found.taps) if taps]
    ends = [0]
    for _, taps in some:
        ends.append(ends[-1] + len(taps))
    return [number for number, _ in some], ends, [t.shift for _, taps in some for t in taps]


def interleaved(f: Function, vectors: list[Value]) -> list[Value]:
    """Vectors whose elements take turns: the first ones of all, the second ones of all, ..."""
    lanes, count_ = vectors[0].lanes, len(vectors)
    out = []
    for start in range(0, lanes * count_, lanes):
        value = vectors[0]
        picks = [divmod(start + lane, count_) for lane in range(lanes)]
        held = [at for at, _ in picks]  # where each lane is found so far
        for number in range(1, count_):
            turn = [lanes + at if of == number else held[i] for i, (at, of) in enumerate(picks)]
            value = f.shuffle(value, vectors[number], turn)
            held = list(range(lanes))
        out.append(value)
    return out


def strided_gradient(spec: Contraction, machine: Machine, joined: bool) -> StridedGradient | None:
    """The strategy where the weights are bounded: some phases lack some taps."""
    found = phases(spec)
    return StridedGradient(found, machine) if found is not None else None
