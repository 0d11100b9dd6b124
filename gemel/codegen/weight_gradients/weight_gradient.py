"""The gradient of a window's weights: tiles in registers over blocks of positions.

Role: the strategy for `result[row, column] = sum over positions of image * plain`, with few results
and many positions (see `plan`). Stage 0: each piece sums a share of the positions
into partial sums of its own. Stage 1: the shares are added in order, the epilogue runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, prod

from gemel.codegen.blocks import LINE, each, lines, remaining, split
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.products.packing import Source, each_k, pack_panel
from gemel.codegen.weight_gradients.ahead import NextBlock
from gemel.codegen.weight_gradients.partial_sums import PartialSums
from gemel.codegen.weight_gradients.plan import NANOSECONDS, GradientPlan, gradient_plan
from gemel.codegen.windows.axes import roles
from gemel.codegen.windows.bordered import BorderedCopy, Start
from gemel.runtime.machine import Machine


def weight_gradient(spec: Contraction, machine: Machine, joined: bool) -> WeightGradient | None:
    """The strategy, or None where the contraction is something else."""
    found = roles(spec)
    chosen = gradient_plan(found, machine, joined) if found is not None else None
    return WeightGradient(chosen) if chosen is not None else None


class WeightGradient:
    """See the module."""

    def __init__(self, chosen: GradientPlan):
        self.plan = chosen
        pieces, size = chosen.pieces, SIZES[chosen.elem]
        groups = pieces.column_groups * pieces.channel_groups
        self.sums = PartialSums(chosen)
        batch = chosen.roles.single("batch").size
        self.units = batch * groups * pieces.splits
        self.step = ceil(self.units / max(1, min(self.units, pieces.wanted)))
        self.stages = (ceil(self.units / self.step), self.sums.pieces)
        self.panel_bytes = lines((chosen.positions.depth + chosen.lanes) * chosen.nr * size, LINE)
        block = chosen.block.elements * size if chosen.block is not None else 0
        self.scratch_bytes = self.panel_bytes + lines(block, LINE)
        self.shared_bytes = lines(pieces.splits * chosen.partial * size, LINE)
        self.work = chosen.cycles * NANOSECONDS

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
        if stage == 0:
            first = f.mul(piece, self.step)
            with each(f, remaining(f, self.units, self.step, first)) as index:
                _Emitter(f, self, pointers, joins).run(f.add(first, index))
        else:
            self.sums.emit(f, piece, pointers, epilogue)

    def describe(self) -> str:
        """One line for people."""
        p, tile = self.plan, self.plan.tile
        image = "in place" if p.block is None else "bordered copy"
        return (
            f"weight gradient, {tile.rows}x{p.nr} tile, image {image}, "
            f"{p.positions.blocks} blocks of {p.positions.depth} positions, "
            f"{p.pieces.splits} partial sums, {self.stages[0]} pieces"
        )


class _Emitter:
    """One unit of stage 0: a share of the positions for a group of columns and of channels."""

    def __init__(self, f: Function, owner: WeightGradient, pointers: Pointers, joins: Joins):
        self.f = f
        self.plan = owner.plan
        self.roles = owner.plan.roles
        self.image, self.plain = self.roles.sides((pointers.left, pointers.right))
        self.image_join, self.plain_join = self.roles.sides(joins)
        self.panel = pointers.scratch
        self.copy = f.gep(pointers.scratch, owner.panel_bytes, "i8")
        self.shared = pointers.shared
        self.ahead = NextBlock(self.plan, self._tiles())

    def run(self, number: Operand) -> None:
        f, p = self.f, self.plan
        pieces = p.pieces
        counts = (pieces.column_groups, pieces.channel_groups, pieces.splits)
        batch, columns, channels, share = split(f, number, counts)
        self.batch, self.share = batch, share
        self.first_panel = f.mul(columns, pieces.columns)
        self.panels = remaining(f, p.column_panels, pieces.columns, self.first_panel)
        self.first_channel = f.mul(channels, pieces.channels)
        size = self.roles.single("rows").size
        self.channels = remaining(f, size, pieces.channels, self.first_channel)
        self._clear()
        first = f.mul(share, pieces.blocks)
        count = remaining(f, p.positions.blocks, pieces.blocks, first)
        with each(f, count) as index:
            self.is_first = f.compare("==", index, 0)
            self._block(f.add(first, index))

    # The rows of this piece along the first row axis.

    def _row_units(self, channels: Operand) -> Operand:
        """Channels as indices of the first row axis."""
        width = self.plan.block.width if self.plan.block is not None else 0
        if self._all_channels:
            return self.plan.rows[0].size
        return self.f.udiv(self.f.add(channels, width - 1), width) if width else channels

    @property
    def _all_channels(self) -> bool:
        """Whether the first row axis is whole in each piece."""
        return self.plan.block is None and self.plan.pieces.channel_groups == 1

    def _clear(self) -> None:
        """Channels that only fill up a tile are never copied."""
        p = self.plan
        if p.block is not None and p.tile.axis == 0 and p.rows[0].size % p.tile.chunk:
            self.f.clear_bytes(self.copy, p.block.elements * SIZES[p.elem])

    def _first_row(self, inner: int) -> Operand:
        width = self.plan.block.width if self.plan.block is not None else 0
        if self.plan.pieces.channel_groups == 1:
            return 0
        first = self.f.udiv(self.first_channel, width) if width else self.first_channel
        return self.f.mul(first, inner)

    def _chunks(self, units: Operand) -> Operand:
        chunk = self.plan.tile.chunk
        return self.f.udiv(self.f.add(units, chunk - 1), chunk)

    def _partial(self, panel: Operand) -> Value:
        """The partial sums of one panel in this share."""
        f, p = self.f, self.plan
        number = f.add(f.mul(self.batch, p.column_panels), panel)
        at = f.add(f.mul(self.share, p.partial), f.mul(number, p.panel))
        return f.gep(self.shared, at, p.elem)

    # One block of positions.

    def _block(self, index: Operand) -> None:
        f = self.f
        firsts, sizes = self._positions(index)
        following, _ = self._positions(f.add(index, 1))
        next_image, next_plain = self._starts(following)
        image = self._image(firsts, sizes)
        with each(f, self.panels) as panel:
            number = f.add(self.first_panel, panel)
            self._pack(number, firsts, sizes)
            self.panel_number = panel
            stride = self.roles.single("columns").strides[self.roles.of_plain][0]
            column = f.mul(number, self.plan.nr * stride)
            next_panel = f.gep(next_plain, column, self.roles.plain[0].elem)
            self.following = next_image, next_panel
            self._rows(image, self._partial(number), sizes)

    def _starts(self, firsts: Sequence[Operand]) -> list[Value]:
        """Where a block begins in the first array of both operands: this batch, first channel."""
        f, roles = self.f, self.roles
        found = []
        for pointer, access, side in (
            (self.image[0], roles.image[0], roles.of_image),
            (self.plain[0], roles.plain[0], roles.of_plain),
        ):
            axes = [roles.single("batch"), roles.single("rows"), *self._axes()]
            indices = [self.batch, self.first_channel, *firsts]
            offset: Operand = 0
            for axis, index in zip(axes, indices, strict=True):
                offset = f.add(offset, f.mul(index, axis.strides[side][0]))
            found.append(f.gep(pointer, offset, access.elem))
        return found

    def _positions(self, index: Operand) -> tuple[list[Operand], list[Operand]]:
        """The first index and the size of a block along each summed axis."""
        f, positions = self.f, self.plan.positions
        outer = positions.sizes[: positions.axis]
        chunks = -(-positions.sizes[positions.axis] // positions.chunk)
        *places, chunk = split(f, index, (*outer[1:], chunks) if outer else ())
        start = f.mul(chunk, positions.chunk)
        length = remaining(f, positions.sizes[positions.axis], positions.chunk, start)
        inner = positions.sizes[positions.axis + 1 :]
        firsts = [*places, start, *(0 for _ in inner)]
        return firsts, [*(1 for _ in places), length, *inner]

    def _image(self, firsts: Sequence[Operand], sizes: Sequence[Operand]) -> Value:
        """The address of the block's indices 0: in the image, or in its copy."""
        f, roles, block = self.f, self.roles, self.plan.block
        batch = roles.single("batch").strides[roles.of_image]
        offsets = [f.mul(self.batch, stride) for stride in batch]
        deep = len(roles.depth)
        if block is not None:
            start = Start(
                firsts[:deep],
                sizes[:deep],
                self.first_channel,
                self.channels,
                [(first, 0) for first in firsts[deep:]],
                offsets,
            )
            copy = BorderedCopy(f, block, self.image, self.copy, self.image_join)
            copy.run(start)
            return f.gep(self.copy, block.origin, self.plan.elem)
        (offset,) = offsets
        for axis, first in zip(self._axes(), firsts, strict=True):
            offset = f.add(offset, f.mul(first, axis.strides[0]))
        stride = roles.single("rows").strides[0]
        offset = f.add(offset, f.mul(self.first_channel, stride))
        return f.gep(self.image[0], offset, self.plan.elem)

    def _axes(self) -> list:
        return [*self.roles.depth, *(window.summed for window in self.roles.windows)]

    def _pack(self, panel: Operand, firsts: Sequence[Operand], sizes: Sequence[Operand]) -> None:
        """The plain operand's columns of one panel as [position][nr]."""
        f, p, roles = self.f, self.plan, self.roles
        column = f.mul(panel, p.nr)
        live = p.nr
        if roles.single("columns").size % p.nr:
            live = f.sub(roles.single("columns").size, column)
        lane_strides = roles.single("columns").strides[roles.of_plain]
        offsets = [f.mul(column, stride) for stride in lane_strides]
        batch = roles.single("batch").strides[roles.of_plain]
        offsets = [f.add(o, f.mul(self.batch, s)) for o, s in zip(offsets, batch, strict=True)]
        strides = [axis.strides[roles.of_plain] for axis in self._axes()]
        for first, steps in zip(firsts, strides, strict=True):
            offsets = [f.add(o, f.mul(first, s)) for o, s in zip(offsets, steps, strict=True)]
        places = zip(self.plain, offsets, roles.plain, strict=True)
        k_sizes, k_strides = joined_axes(f, sizes, strides)
        source = Source(
            accesses=roles.plain,
            pointers=tuple(f.gep(base, offset, a.elem) for base, offset, a in places),
            lane_strides=lane_strides,
            k_strides=tuple(k_strides),
            elem=p.elem,
            join=self.plain_join,
        )
        pack_panel(f, source, self.panel, p.nr, live, k_sizes, p.lanes)
        if len(k_sizes) == 1 and lane_strides == (1,):
            self._fetch_next(source, k_sizes[0])

    def _fetch_next(self, source: Source, count: Operand) -> None:
        """The same columns of the next block: lines far apart, that no cache fetches by itself."""
        f, p = self.f, self.plan
        (access,), (pointer,), ((stride,),) = source.accesses, source.pointers, source.k_strides
        ahead = f.gep(pointer, p.positions.depth * stride, access.elem)
        with f.loop(0, count) as loop:
            place = f.gep(ahead, f.mul(loop.index, stride), access.elem)
            for line in range(0, p.nr * SIZES[access.elem], 64):
                f.prefetch(f.gep(place, line, "i8"), cache=2)

    # The tiles of one panel.

    def _rows(self, image: Value, partial: Value, sizes: Sequence[Operand]) -> None:
        self._row_axis(0, image, 0, self._first_row(1), 0, partial, sizes)

    def _tiles(self) -> int:
        """Tiles of a panel in a whole piece."""
        p = self.plan
        width = p.block.width if p.block is not None else 0
        whole = p.rows[0].size if self._all_channels else p.pieces.channels // (width or 1)
        counts = [whole, *(axis.size for axis in p.rows[1 : p.tile.axis + 1])]
        counts[-1] = ceil(counts[-1] / p.tile.chunk)
        return prod(counts)

    def _row_axis(
        self,
        level: int,
        image: Value,
        offset: Operand,
        flat: Operand,
        number: Operand,
        partial: Value,
        sizes: Sequence[Operand],
    ) -> None:
        """Loops over the row axes up to the tile's; `number` counts turns."""
        f, p = self.f, self.plan
        axis, chunk = p.rows[level], 1
        count: Operand = self._row_units(self.channels) if level == 0 else axis.size
        last = level == p.tile.axis
        if last:
            chunk, count = p.tile.chunk, self._chunks(count)
        with each(f, count) as index:
            start = f.mul(index, chunk)
            there = f.add(offset, f.mul(start, axis.stride))
            row = f.add(flat, start)
            turn = f.add(f.mul(number, count), index)
            if last:
                self.ahead.fetch(f, self.following, self.panel_number, turn)
                inner = prod(p.row_sizes[level + 1 :])
                self._tile(image, there, f.gep(partial, f.mul(row, inner * p.nr), p.elem), sizes)
            else:
                following = f.mul(row, p.row_sizes[level + 1])
                self._row_axis(level + 1, image, there, following, turn, partial, sizes)

    def _tile(self, image: Value, offset: Operand, sums: Value, sizes: Sequence[Operand]) -> None:
        f, p = self.f, self.plan
        lanes = p.lanes
        rows = tile_rows(p)
        at = f.opaque(f.gep(image, offset, p.elem))
        k_sizes, k_strides = joined_axes(f, sizes, [(s,) for s in self._image_strides()])
        run, (along,) = k_sizes[-1], k_strides[-1]

        def line(linear: Operand, offsets: list[Operand], held: list[Value]) -> list[Value]:
            here = f.gep(at, offsets[0], p.elem)
            panel = f.gep(self.panel, f.mul(f.mul(linear, run), p.nr), p.elem)

            def step(index: Operand, further: int, held: Sequence[Value]) -> list[Value]:
                places = (f.gep(here, f.mul(index, along), p.elem), further * along)
                columns = (f.gep(panel, f.mul(index, p.nr), p.elem), further * p.nr)
                return self._step(rows, places, columns, held)

            return unrolled(f, run, step, held)

        start = [f.constant(0, p.elem, lanes)] * (len(rows) * p.tile.vectors)
        totals = each_k(f, k_sizes[:-1], k_strides[:-1], [0], line, start)
        places = [f.gep(sums, i * lanes, p.elem) for i in range(len(totals))]

        def added() -> list[Value]:
            pairs = zip(totals, places, strict=True)
            return [total + f.load(place, p.elem, lanes) for total, place in pairs]

        for value, place in zip(
            f.if_else(self.is_first, lambda: totals, added), places, strict=True
        ):
            f.store(value, place)

    def _step(
        self,
        rows: Sequence[int],
        place: tuple[Value, int],
        line: tuple[Value, int],
        held: Sequence[Value],
    ) -> list[Value]:
        """One position; addresses are a pointer and known elements beyond it."""
        f, p = self.f, self.plan
        lanes, vectors = p.lanes, p.tile.vectors
        (here, further), (panel, beyond) = place, line
        columns = [
            f.load(f.gep(panel, beyond + j * lanes, p.elem), p.elem, lanes) for j in range(vectors)
        ]
        out = []
        for i, row in enumerate(rows):
            spread = f.splat(f.load(f.gep(here, further + row, p.elem), p.elem), lanes)
            pairs = zip(columns, held[i * vectors : (i + 1) * vectors], strict=True)
            out += [f.fma(spread, column, total) for column, total in pairs]
        return out

    def _image_strides(self) -> list[int]:
        """Per summed axis, from position to position in the block."""
        roles, block = self.roles, self.plan.block
        if block is None:
            return [axis.strides[0] for axis in self._axes()]
        pairs = zip(roles.windows, block.place_strides, strict=True)
        return [*block.depth_strides, *(window.summed_step * s for window, s in pairs)]


def tile_rows(p: GradientPlan) -> list[int]:
    """Where the rows of a tile lie, relative to its first."""
    places = [i * p.rows[p.tile.axis].stride for i in range(p.tile.chunk)]
    for axis in p.rows[p.tile.axis + 1 :]:
        places = [place + i * axis.stride for place in places for i in range(axis.size)]
    return places


def unrolled(
    f: Function,
    count: Operand,
    step: Callable[[Operand, int, Sequence[Value]], list[Value]],
    carry: Sequence[Value],
) -> list[Value]:
    """`step(index, further, values)` for each index + further below `count`, several in a turn."""
    known = isinstance(count, int)
    turn = next((n for n in (4, 5, 7, 6, 8) if count % n == 0), 4) if known else 4
    values = list(carry)
    whole = count // turn * turn if known else f.mul(f.udiv(count, turn), turn)
    if whole == turn:
        for further in range(turn):
            values = step(0, further, values)
    else:
        with f.loop(0, whole, turn, carry=values) as loop:
            values = list(loop.values)
            for further in range(turn):
                values = step(loop.index, further, values)
            loop.next = values
        values = loop.out
    if known:
        for index in range(whole, count):
            values = step(0, index, values)
        return values
    with f.loop(whole, count, carry=values) as loop:
        loop.next = step(loop.index, 0, loop.values)
    return loop.out


def joined_axes(
    f: Function, sizes: Sequence[Operand], strides: Sequence[Sequence[int]]
) -> tuple[list[Operand], list[tuple[int, ...]]]:
    """Loops without those of one turn; contiguous neighbours become one."""
    out_sizes: list[Operand] = []
    out_strides: list[tuple[int, ...]] = []
    for size, steps in zip(sizes, strides, strict=True):
        if isinstance(size, int) and size == 1:
            continue
        wide = tuple(size * s for s in steps) if isinstance(size, int) else None
        if out_strides and out_strides[-1] == wide:
            out_sizes[-1] = f.mul(out_sizes[-1], size)
            out_strides[-1] = tuple(steps)
        else:
            out_sizes.append(size)
            out_strides.append(tuple(steps))
    if not out_sizes:
        return [1], [tuple(0 for _ in strides[0])]
    return out_sizes, out_strides
