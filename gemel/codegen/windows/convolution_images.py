"""Convolution of many small images as an implicit product: weights by rows, images by lanes.

Role: the strategy for planes of channels of which a batch has whole vectors: forward, and the input
gradient with stride 1. A first stage packs the weights; a second one lays the pixels so that the
same pixel of neighbouring images is one vector, channel by channel. Products then read both in the
order in which they lie, and a tap that falls outside is left out for all lanes at once. Finished
sums of a block are turned back, so that the epilogue sees neighbouring positions.

Invariant: pieces and blocks follow from sizes and strides, so the order of additions is fixed.
"""

from __future__ import annotations

from math import ceil, prod

from gemel.codegen.blocks import LINE, extent, lines, split
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.products.packing import each_k, transpose_function
from gemel.codegen.windows.convolution_images_plan import Blocks, Planes, blocks_of, planes_of
from gemel.codegen.windows.lanes import Forms, advance, inside, locate, locate_block
from gemel.codegen.windows.pack import pack_gathered, readers
from gemel.codegen.windows.packed_weights import PackedWeights, pieces_of
from gemel.codegen.windows.plan import Groups, count, group
from gemel.codegen.windows.tile import FlatTile, accumulate, multiply, zero_sums
from gemel.runtime.machine import Machine

_FLOPS = 100.0  # per nanosecond, about, with 16 lanes
_PACKED = 0.4  # nanoseconds per packed weight
_AHEAD = 2  # channels or rows ahead that memory is asked for
_LAID = 0.3  # nanoseconds per pixel


class ImageConvolution:
    """Tiles of weights by images; pieces are blocks of rows by blocks of positions."""

    def __init__(self, groups: Groups, planes: Planes, blocks: Blocks):
        self.groups = groups
        self.planes = planes
        self.blocks = blocks
        self.shape = blocks.shape
        self.prepares = "right" if groups.swapped else "left"

    @property
    def weights(self) -> PackedWeights:
        """The row panels of weights."""
        depth = self.blocks.depth
        counts = count(self.groups.batch), depth.blocks, self.blocks.row_panels
        size = (depth.block * self.shape.mr + 15) // 16 * 16
        return PackedWeights(self.shape.elem, counts, size, _PACKED)

    @property
    def plane_counts(self) -> list[int]:
        """Planes that are laid: batch entries, blocks of channels, panels of images."""
        return [count(self.groups.batch), self.blocks.depth.blocks, self.blocks.lane_panels]

    @property
    def plane_size(self) -> int:
        """Elements of one of them: pixels by channels by images."""
        return self.planes.pixels * self.blocks.chunk * self.shape.nr

    @property
    def plane_share(self) -> int:
        """Planes that a piece lays."""
        pieces = max(1, pieces_of(prod(self.plane_counts) * self.plane_size * _LAID))
        return ceil(prod(self.plane_counts) / pieces)

    @property
    def counts(self) -> list[int]:
        """Blocks: batch entries, panels of images, blocks of rows, blocks of positions."""
        blocks = self.blocks
        rows = ceil(blocks.row_panels / blocks.row_block)
        positions = ceil(self.planes.run.size / blocks.position_block)
        return [count(self.groups.batch), blocks.lane_panels, rows, positions]

    @property
    def stages(self) -> tuple[int, ...]:
        """Weights are packed, pixels laid, then both used."""
        laid = ceil(prod(self.plane_counts) / self.plane_share)
        return (self.weights.pieces, laid, prod(self.counts))

    @property
    def sums_bytes(self) -> int:
        rows = self.blocks.row_block * self.shape.mr
        return lines(rows * self.blocks.pitch * SIZES[self.shape.elem])

    @property
    def scratch_bytes(self) -> int:
        """The sums of a block, and a square of them turned."""
        return self.sums_bytes + self.shape.lanes**2 * SIZES[self.shape.elem]

    @property
    def weights_bytes(self) -> int:
        # Vectors of a row panel may be written past its end.
        return lines(self.weights.bytes, LINE)

    @property
    def shared_bytes(self) -> int:
        pixels = prod(self.plane_counts) * self.plane_size * SIZES[self.shape.elem]
        return self.weights_bytes + pixels

    @property
    def work(self) -> float:
        """Estimated nanoseconds on one core."""
        groups = self.groups
        outer = count(groups.batch) * count(groups.rows)
        terms = outer * count(groups.columns) * groups.depth
        laid = prod(self.plane_counts) * self.plane_size
        speed = _FLOPS * self.shape.lanes / 16
        return 2 * terms / speed + _LAID * laid + _PACKED * outer * groups.depth

    def describe(self) -> str:
        """One line for people: tile, blocks, pieces."""
        shape, blocks = self.shape, self.blocks
        roles = ", roles exchanged" if self.groups.swapped else ""
        return (
            f"implicit product, {shape.mr}x{shape.nr} tile{roles}, images in lanes, "
            f"k in {blocks.depth.blocks} blocks of {blocks.depth.block}, blocks of "
            f"{blocks.row_block} panels by {blocks.position_block} positions, pieces {self.stages}"
        )

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
        emitter = _Emitter(f, self, pointers, epilogue)
        (emitter.pack_weights, emitter.lay_planes, emitter.block)[stage](piece)


class _Emitter:
    """Emits pieces of one convolution."""

    def __init__(self, f: Function, plan: ImageConvolution, pointers: Pointers, epilogue: Epilogue):
        self.f = f
        self.plan = plan
        self.pointers = pointers
        self.epilogue = epilogue
        self.left, self.right = readers(plan.groups, pointers, (None, None))
        assert pointers.shared is not None
        self.laid = f.gep(pointers.shared, plan.weights_bytes, "i8")

    # The weights.

    def pack_weights(self, piece: Operand) -> None:
        """Some panels of weights, in the order of batch, block of k, row panel."""
        f, plan, depth = self.f, self.plan, self.plan.blocks.depth
        panels, shape = plan.weights, plan.shape
        walk = panels.each(f, piece, plan.groups, list(plan.planes.start), depth)
        with walk as (panel, row, sizes, forms):
            start, place = f.mul(row, shape.mr), panels.place(f, self.pointers.shared, panel)
            k = depth.axes, sizes, forms, shape.lanes
            pack_gathered(f, self.left, plan.groups.rows, start, shape.mr, place, *k)

    # The pixels.

    def lay_planes(self, piece: Operand) -> None:
        """Some planes, `[pixel][channel][image]`."""
        f, plan = self.f, self.plan
        first, number = extent(f, piece, plan.plane_share, prod(plan.plane_counts))
        with f.loop(0, number, nonempty=True) as loop:
            self._lay(f.add(first, loop.index))

    def _lay(self, plane: Operand) -> None:
        f, plan, shape = self.f, self.plan, self.plan.shape
        batch, block, panel = split(f, plane, plan.plane_counts[1:])
        form = plan.groups.right.first
        forms: Forms = [0] * plan.groups.forms
        forms[form] = plan.planes.origin
        forms = locate(f, forms, plan.groups.batch, batch)
        forms = advance(f, forms, plan.planes.images, f.mul(panel, shape.nr))
        sizes, forms = locate_block(f, plan.blocks.depth, block, forms)
        target, last = self._plane(plane), plan.planes.pixels - shape.lanes
        with f.loop(0, plan.planes.pixels, shape.lanes) as pixels:
            # The last square may overlap the one before.
            pixel = f.min(pixels.index, last)
            with f.loop(0, sizes[-1], nonempty=True) as channels:
                place = advance(f, forms, plan.planes.channels, channels.index)[form]
                source = f.gep(self.right.pointers[0], f.add(place, pixel), shape.elem)
                to = f.add(f.mul(pixel, sizes[-1]), channels.index)
                to = f.gep(target, f.mul(to, shape.nr), shape.elem)
                self._turn_pixels(source, to, f.mul(sizes[-1], shape.nr))

    def _turn_pixels(self, source: Value, target: Value, pitch: Operand) -> None:
        """Neighbouring pixels of all images of a panel, in one channel; they lie `pitch` apart."""
        f, plan, shape = self.f, self.plan, self.plan.shape
        stride = plan.planes.images.strides[plan.groups.right.first]
        later = _AHEAD * plan.planes.channels.strides[plan.groups.right.first]
        self._expect(f.gep(source, later, shape.elem), stride, shape.nr, False)
        for lane in range(0, shape.nr, shape.lanes):
            self._expect(
                f.gep(target, _AHEAD * shape.nr + lane, shape.elem), pitch, shape.lanes, True
            )
        turn = transpose_function(f.module, shape.elem, shape.lanes)
        for lane in range(0, shape.nr, shape.lanes):
            come = f.gep(source, lane * stride, shape.elem), stride
            go = f.gep(target, lane, shape.elem), pitch
            f.call(turn, *come, *go, shape.lanes, shape.lanes)

    def _expect(self, first: Value, stride: Operand, number: int, write: bool) -> None:
        """Fetch what a later channel needs."""
        f, elem = self.f, self.plan.shape.elem
        with f.loop(0, number) as loop:
            f.prefetch(f.gep(first, f.mul(loop.index, stride), elem), write=write)

    def _plane(self, plane: Operand) -> Value:
        return self.f.gep(self.laid, self.f.mul(plane, self.plan.plane_size), self.plan.shape.elem)

    # The products.

    def block(self, piece: Operand) -> None:
        """A block of rows by a block of positions, over all of k."""
        f, plan, blocks = self.f, self.plan, self.plan.blocks
        batch, panel, row_block, position_block = split(f, piece, plan.counts[1:])
        forms = locate(f, plan.planes.start, plan.groups.batch, batch)
        rows = extent(f, row_block, blocks.row_block, blocks.row_panels)
        places = extent(f, position_block, blocks.position_block, plan.planes.run.size)
        with f.loop(0, blocks.depth.blocks) as chunks:
            sizes, _ = locate_block(f, blocks.depth, chunks.index, forms)
            number = f.add(f.mul(batch, blocks.depth.blocks), chunks.index)
            plane = self._plane(f.add(f.mul(number, blocks.lane_panels), panel))
            weights = f.add(f.mul(number, blocks.row_panels), rows[0])
            with f.loop(0, places[1], nonempty=True) as loop:
                position = f.add(places[0], loop.index)
                here = locate(f, forms, plan.planes.positions, position)
                self._position((plane, weights, chunks.index), sizes, here, loop.index, rows[1])
        self._deliver(forms, panel, rows, places)

    def _position(
        self,
        at: tuple[Value, Operand, Operand],
        sizes: list[Operand],
        forms: Forms,
        local: Operand,
        rows: Operand,
    ) -> None:
        """Add a block of k to the sums of one position."""
        f, plan, shape = self.f, self.plan, self.plan.shape
        plane, weights, chunk = at
        with f.loop(0, rows, nonempty=True) as loop:
            left = plan.weights.place(f, self.pointers.shared, f.add(weights, loop.index))
            first = self._sums(f.mul(loop.index, shape.mr), local)
            places = [
                f.gep(first, row * plan.blocks.pitch + j * shape.lanes, shape.elem)
                for row in range(shape.mr)
                for j in range(shape.vectors)
            ]
            for place in places:
                f.prefetch(place, write=True)
            sums = self._taps(plane, left, sizes, forms)
            accumulate(f, chunk, sums, places)

    def _sums(self, row: Operand, position: Operand) -> Value:
        """Where the sums of a row and position of the block lie, image by image."""
        f, plan = self.f, self.plan
        assert self.pointers.scratch is not None
        index = f.add(f.mul(row, plan.blocks.pitch), f.mul(position, plan.shape.nr))
        return f.gep(self.pointers.scratch, index, plan.shape.elem)

    def _taps(self, plane: Value, left: Value, sizes: list[Operand], forms: Forms) -> list[Value]:
        """The products of all taps that meet the image, row by row of taps."""
        f, plan = self.f, self.plan
        outer, chunk = plan.planes.taps[:-1], sizes[-1]
        strides = [axis.strides for axis in outer]

        def row(linear: Operand, here: Forms, sums: list[Value]) -> list[Value]:
            return self._row_of_taps(plane, left, chunk, (linear, here), sums)

        sizes = [axis.size for axis in outer]
        return each_k(f, sizes, strides, forms, row, zero_sums(f, plan.shape))

    def _row_of_taps(
        self,
        plane: Value,
        left: Value,
        chunk: Operand,
        at: tuple[Operand, Forms],
        sums: list[Value],
    ) -> list[Value]:
        """Neighbouring taps are one run of products: pixels and weights both lie closely."""
        f, plan, shape = self.f, self.plan, self.plan.shape
        linear, forms = at
        checks, taps = plan.groups.right.checks, plan.planes.taps[-1].size
        inner, size = forms[checks[-1].form], checks[-1].size
        first = f.max(f.sub(0, inner), 0)
        number = f.max(f.sub(f.min(f.sub(size, inner), taps), first), 0)
        pixel: Operand = 0
        for check in checks:
            pixel = f.add(f.mul(pixel, check.size), forms[check.form])
        for check in checks[:-1]:
            number = f.select(inside(f, check, forms[check.form], None), number, 0)
        tap = f.add(f.mul(linear, taps), first)
        weights = f.gep(left, f.mul(f.mul(tap, chunk), shape.mr), shape.elem)
        pixel = f.mul(f.mul(f.add(pixel, first), chunk), shape.nr)
        vectors = f.gep(plane, pixel, shape.elem)
        times = plan.blocks.turns
        return multiply(f, shape, weights, vectors, f.mul(number, chunk), sums, times)

    # The results.

    def _deliver(
        self,
        forms: Forms,
        panel: Operand,
        rows: tuple[Operand, Operand],
        places: tuple[Operand, Operand],
    ) -> None:
        """Hand the sums of a block to the epilogue, row by row, square by square."""
        f, plan, shape = self.f, self.plan, self.plan.shape
        first = f.mul(rows[0], shape.mr)
        live = f.min(f.sub(count(plan.groups.rows), first), f.mul(rows[1], shape.mr))
        images = plan.planes.images
        with f.loop(0, shape.nr, shape.lanes) as lanes:
            image = f.add(f.mul(panel, shape.nr), lanes.index)
            with f.loop(0, live, nonempty=True) as loop:
                row = locate(f, forms, plan.groups.rows, f.add(first, loop.index))
                with f.loop(0, places[1], shape.lanes, nonempty=True) as loops:
                    at = advance(f, row, images, image)
                    at = advance(f, at, plan.planes.run, f.add(places[0], loops.index))
                    sums = f.gep(self._sums(loop.index, loops.index), lanes.index, shape.elem)
                    self._square(sums, at, f.sub(places[1], loops.index))

    def _square(self, sums: Value, forms: Forms, left: Operand) -> None:
        """Positions by images, turned: one vector of positions per image."""
        f, plan, shape = self.f, self.plan, self.plan.shape
        turn = transpose_function(f.module, shape.elem, shape.lanes)
        stage = f.gep(self.pointers.scratch, plan.sums_bytes, "i8")
        lanes = shape.lanes
        f.call(turn, sums, shape.nr, stage, lanes, f.min(left, lanes), lanes)
        groups = plan.groups
        tile = FlatTile(f, groups.tile, self.pointers.tile, lanes)
        slots = slice(groups.first_tile, groups.first_tile + len(groups.tile))
        strides = list(plan.planes.run.strides[slots])
        mask = f.lanes_below(left, lanes)
        with f.loop(0, lanes) as loop:
            places = advance(f, forms, plan.planes.images, loop.index)[slots]
            value = f.load(f.gep(stage, f.mul(loop.index, lanes), shape.elem), shape.elem, lanes)
            tile.run(places, strides, mask)
            self.epilogue(tile, value)
            self._expect_row(places)

    def _expect_row(self, places: list[Operand]) -> None:
        """Fetch what a later row needs of the epilogue's arrays; the first one is written."""
        f, groups = self.f, self.plan.groups
        for slot, (pointer, access) in enumerate(zip(self.pointers.tile, groups.tile, strict=True)):
            later = _AHEAD * groups.rows[-1].strides[groups.first_tile + slot]
            place = f.gep(pointer, f.add(places[slot], later), access.elem)
            f.prefetch(place, write=slot == 0)


def image_convolution(spec: Contraction, machine: Machine, joined: bool) -> ImageConvolution | None:
    """The strategy where the batch has whole vectors of images, and many taps fall outside."""
    for swapped in (False, True):
        groups = group(spec, swapped)
        if not joined and _suits(groups):
            planes = planes_of(groups)
            blocks = blocks_of(groups, planes, machine) if planes else None
            if planes and blocks:
                return ImageConvolution(groups, planes, blocks)
    return None


def _suits(groups: Groups) -> bool:
    left, right = groups.left, groups.right
    if groups.empty or groups.void or left.checks or not right.checks:
        return False
    plain = len(right.accesses) == 1 and right.accesses[0].elem == groups.elem
    return plain and len(left.accesses) == 1 and bool(groups.rows)
