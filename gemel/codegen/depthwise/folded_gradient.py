"""Weight gradients with few output channels per group: sums as vectors along the positions.

Role: the strategy for the weights of depthwise convolutions and of those with few output channels
per group (see `folded_plan`). Stage 0: each piece forms vectors of sums for a share of
the positions of a group. Stage 1: shares are added in order, lanes folded, the epilogue runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

from gemel.codegen.blocks import LINE, each, lines, remaining, split
from gemel.codegen.depthwise.folded_plan import NANOSECONDS, FoldPlan, fold_plan
from gemel.codegen.depthwise.pieces import CELLS
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.products.packing import each_k, load_strided
from gemel.codegen.windows.axes import roles
from gemel.codegen.windows.bordered import BorderedCopy, Start, combined
from gemel.codegen.windows.result_lanes import ResultLanes
from gemel.runtime.machine import Machine

_AHEAD = 8  # positions that are fetched early


def folded_gradient(spec: Contraction, machine: Machine, joined: bool) -> FoldedGradient | None:
    """The strategy, or None where the contraction is something else."""
    found = roles(spec)
    if found is None:
        return None
    summed = prod(window.summed.size for window in found.windows)
    kept = prod(window.kept.size for window in found.windows)
    chosen = fold_plan(found, machine) if summed >= kept else None
    return FoldedGradient(chosen) if chosen is not None else None


class FoldedGradient:
    """See the module."""

    def __init__(self, chosen: FoldPlan):
        self.plan = chosen
        size = SIZES[chosen.elem]
        self.cells = chosen.groups * chosen.cells
        self.step = ceil(chosen.units / chosen.wanted)
        self.stages = (ceil(chosen.units / self.step), ceil(self.cells / CELLS))
        self.scratch_bytes = lines(chosen.block.elements * chosen.copies * size, LINE)
        self.shared_bytes = lines(chosen.splits * chosen.partial * size)
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
            with each(f, remaining(f, self.plan.units, self.step, first)) as index:
                _Share(f, self.plan, pointers, joins).run(f.add(first, index))
            return
        first = f.mul(piece, CELLS)
        with each(f, remaining(f, self.cells, CELLS, first)) as index:
            _finish(f, self.plan, f.add(first, index), pointers, epilogue)

    def describe(self) -> str:
        """One line for people."""
        p = self.plan
        return (
            f"weight gradient, lanes along {p.along}, {p.tile.rows}x{p.tile.columns} sums, "
            f"{p.positions.blocks} blocks, {p.splits} partial sums, {self.stages[0]} pieces"
        )


class _Share:
    """One unit of stage 0: a group and a share of its blocks."""

    def __init__(self, f: Function, plan: FoldPlan, pointers: Pointers, joins: Joins):
        self.f = f
        self.plan = plan
        self.roles = plan.roles
        self.image, self.plain = self.roles.sides((pointers.left, pointers.right))
        self.image_join, self.plain_join = self.roles.sides(joins)
        self.copy = pointers.scratch
        self.shared = pointers.shared

    def run(self, number: Operand) -> None:
        f, p = self.f, self.plan
        several = p.along == "channels"
        group, share = (0, number) if several else split(f, number, (p.splits,))
        at = f.add(f.mul(share, p.partial), f.mul(group, p.cells * p.lanes))
        self.sums = f.gep(self.shared, at, p.elem)
        count = p.cells * (p.groups if several else 1)
        f.clear_bytes(self.sums, count * p.lanes * SIZES[p.elem])
        first = f.mul(share, p.share)
        self._enter(group, 0)
        with each(f, remaining(f, p.positions.blocks, p.share, first)) as index:
            self._block(f.add(first, index), several)

    def _enter(self, group: Operand, member: Operand) -> None:
        """Go to a group, or to a vector of groups; `member` counts those of this unit."""
        f, p = self.f, self.plan
        self.partial = f.gep(self.sums, f.mul(member, p.cells * p.lanes), p.elem)
        self.place = f.mul(member, p.block.channel_stride)
        self.group, self.mask = group, None
        if p.along == "channels":
            self.group = f.mul(group, p.lanes)
            size = self.roles.single("batch").size
            if size % p.lanes:
                self.mask = f.lanes_below(f.sub(size, self.group), p.lanes)

    def _block(self, index: Operand, several: bool) -> None:
        f, positions = self.f, self.plan.positions
        outer = positions.sizes[: positions.axis]
        chunks = ceil(positions.sizes[positions.axis] / positions.chunk)
        *places, chunk = split(f, index, (*outer[1:], chunks) if outer else ())
        start = f.mul(chunk, positions.chunk)
        length = remaining(f, positions.sizes[positions.axis], positions.chunk, start)
        inner = positions.sizes[positions.axis + 1 :]
        firsts = [*places, start, *(0 for _ in inner)]
        sizes: list[Operand] = [*(1 for _ in places), length, *inner]
        self._fill(firsts, sizes)
        with each(f, self.plan.groups if several else 1) as member:
            if several:
                self._enter(member, member)
            self._sum(firsts, sizes)

    def _sum(self, firsts: Sequence[Operand], sizes: Sequence[Operand]) -> None:
        """All rows and columns of a group, over a block."""
        f, axes = self.f, self._axes()
        base = self.roles.offsets(f, self.roles.of_plain, axes, firsts[: len(axes)])
        groups = self.roles.single("batch").strides[self.roles.of_plain]
        base = [f.add(o, f.mul(self.group, s)) for o, s in zip(base, groups, strict=True)]
        columns = self.plan.columns // self.plan.tile.columns
        with each(f, columns) as column:
            self._rows(0, 0, 0, f.mul(column, self.plan.tile.columns), base, sizes)

    def _axes(self) -> list:
        """The summed axes but the innermost."""
        return [*self.roles.depth, *(window.summed for window in self.roles.windows[:-1])]

    def _fill(self, firsts: Sequence[Operand], sizes: Sequence[Operand]) -> None:
        f, p, roles = self.f, self.plan, self.roles
        deep = len(roles.depth)
        channels = p.along == "channels"
        groups = roles.single("batch")
        rows = roles.single("rows")
        inner = len(roles.windows) - 1
        with each(f, p.copies) as copy:
            along = [rows, copy] if channels else [groups, self.group]
            start = Start(
                depth=firsts[:deep],
                counts=sizes[:deep],
                channel=0,
                live=p.block.channels,
                windows=[*((first, 0) for first in firsts[deep : deep + inner]), (0, 0)],
                offsets=self.roles.offsets(f, roles.of_image, along[:1], along[1:]),
            )
            target = f.gep(self.copy, f.mul(copy, p.block.elements), p.elem)
            BorderedCopy(f, p.block, self.image, target, self.image_join).run(start)

    def _rows(
        self,
        level: int,
        at: Operand,
        flat: Operand,
        column: Operand,
        base: list[Operand],
        sizes: Sequence[Operand],
    ) -> None:
        """Loops over the row axes up to the tile's."""
        f, p = self.f, self.plan
        last = level == p.tile.axis
        chunk = p.tile.chunk if last else 1
        with each(f, p.row_sizes[level] // chunk) as index:
            start = f.mul(index, chunk)
            there = f.add(at, f.mul(start, self._row_stride(level)))
            row = f.add(flat, start)
            if last:
                row = f.mul(row, prod(p.row_sizes[level + 1 :]))
                self._tile(there, row, column, base, sizes)
            else:
                self._rows(
                    level + 1, there, f.mul(row, p.row_sizes[level + 1]), column, base, sizes
                )

    def _row_stride(self, level: int) -> int:
        """In the block, along a row axis (evenly spaced ones)."""
        block = self.plan.block
        if level == 0:
            return block.elements if block.width else block.channel_stride
        return self.roles.windows[level - 1].kept_step * block.place_strides[level - 1]

    def _tile_places(self) -> list[int]:
        """Where the rows of a tile lie relative to its first."""
        p = self.plan
        axis, last = p.tile.axis, len(p.row_sizes) - 1
        spans = [range(p.tile.chunk), *(range(size) for size in p.row_sizes[axis + 1 :])]
        places = [0]
        for level, span in enumerate(spans, axis):
            if level == last:
                steps = [self._shift(tap * self.roles.windows[-1].kept_step) for tap in span]
            else:
                steps = [i * self._row_stride(level) for i in span]
            places = [place + step for place in places for step in steps]
        return places

    def _shift(self, place: int) -> int:
        """Where a place of a line lies."""
        block = self.plan.block
        if block.width:
            return place * block.width
        return place % block.phases * block.phase + place // block.phases

    def _tile(
        self,
        at: Operand,
        row: Operand,
        column: Operand,
        base: list[Operand],
        sizes: Sequence[Operand],
    ) -> None:
        """Sums over the block for some rows and columns, added to the partial sums."""
        f, p, roles = self.f, self.plan, self.roles
        strides = [
            (stride, *axis.strides[roles.of_plain])
            for axis, stride in zip(self._axes(), self._position_strides(), strict=True)
        ]
        columns = roles.single("columns").strides[roles.of_plain]
        start = [f.add(o, f.mul(column, s)) for o, s in zip(base, columns, strict=True)]
        zero = f.constant(0, p.elem, p.lanes)
        cells = p.tile.rows * p.tile.columns

        def line(_: Operand, offsets: list[Operand], held: list[Value]) -> list[Value]:
            return self._line(offsets[0], offsets[1:], held)

        sums = each_k(f, sizes[: len(strides)], strides, [at, *start], line, [zero] * cells)
        for i, total in enumerate(sums):
            number = f.add(f.mul(f.add(row, i // p.tile.columns), p.columns), column)
            cell = f.mul(f.add(number, i % p.tile.columns), p.lanes)
            place = f.gep(self.partial, cell, p.elem)
            f.store(f.load(place, p.elem, p.lanes) + total, place)

    def _position_strides(self) -> list[int]:
        """In the block, from position to position along the summed axes but the innermost."""
        block, windows = self.plan.block, self.roles.windows[:-1]
        places = [w.summed_step * s for w, s in zip(windows, block.place_strides, strict=False)]
        return [*block.depth_strides, *places]

    def _line(self, at: Operand, plain: list[Operand], sums: list[Value]) -> list[Value]:
        f, p = self.f, self.plan
        size = self.roles.windows[-1].summed.size
        step = p.lanes if p.along == "places" else 1
        whole = size // step * step
        if whole:
            with f.loop(0, whole, step, carry=sums) as loop:
                loop.next = self._vectors(at, plain, loop.index, self.mask, loop.values)
            sums = loop.out
        if whole < size:
            sums = self._vectors(at, plain, whole, f.lanes_below(size - whole, p.lanes), sums)
        return sums

    def _vectors(
        self,
        at: Operand,
        plain: list[Operand],
        index: Operand,
        mask: Value | None,
        sums: Sequence[Value],
    ) -> list[Value]:
        """One vector of positions: every row of the tile by every column."""
        f, p, roles = self.f, self.plan, self.roles
        block = p.block
        step = roles.windows[-1].summed_step * block.width if block.width else 1
        here = f.add(f.add(at, self.place), f.mul(index, step))
        here = f.opaque(f.gep(self.copy, here, p.elem))
        # Lanes that do not exist are not even multiplied: they might hold an infinity.
        cut_image = mask if p.along == "places" else None
        inner = roles.windows[-1].summed.strides[roles.of_plain]
        moved = [f.add(o, f.mul(index, s)) for o, s in zip(plain, inner, strict=True)]
        if p.along == "channels":
            # Neighbours along the groups are far apart along the positions.
            ahead = f.add(moved[0], _AHEAD * inner[0])
            f.prefetch(f.gep(self.plain[0], ahead, roles.plain[0].elem))
        others = [self._plain(moved, column, mask) for column in range(p.tile.columns)]
        out = list(sums)
        for i, place in enumerate(self._tile_places()):
            value = f.load(f.gep(here, place, p.elem), p.elem, p.lanes, mask=cut_image)
            for j, other in enumerate(others):
                number = i * p.tile.columns + j
                out[number] = f.fma(value, other, out[number])
        return out

    def _plain(self, offsets: Sequence[Operand], column: int, mask: Value | None) -> Value:
        f, p, roles = self.f, self.plan, self.roles
        along = roles.windows[-1].summed if p.along == "places" else roles.single("batch")
        values = []
        columns = roles.single("columns").strides[roles.of_plain]
        strides = along.strides[roles.of_plain]
        arrays = zip(roles.plain, self.plain, offsets, columns, strides, strict=True)
        for access, pointer, offset, across, stride in arrays:
            place = f.gep(f.gep(pointer, offset, access.elem), column * across, access.elem)
            values.append(load_strided(f, place, access.elem, p.lanes, stride, mask))
        made = combined(f, roles.plain, values, p.elem, self.plain_join)
        if mask is None or p.along == "channels":
            return made
        return f.select(mask, made, f.zero(made.type)) if 0 in strides or self.plain_join else made


def _finish(
    f: Function, p: FoldPlan, number: Operand, pointers: Pointers, epilogue: Epilogue
) -> None:
    """One result, or one vector of results along the groups."""
    roles = p.roles
    group, *rows, column = split(f, number, (*p.row_sizes, p.columns))
    place = f.gep(pointers.shared, f.mul(number, p.lanes), p.elem)
    with f.loop(1, p.splits, carry=[f.load(place, p.elem, p.lanes)]) as loop:
        there = f.gep(place, f.mul(loop.index, p.partial), p.elem)
        loop.next = [loop.values[0] + f.load(there, p.elem, p.lanes)]
    (value,) = loop.out
    groups = roles.single("batch")
    axes = [roles.single("rows"), *(w.kept for w in roles.windows), roles.single("columns"), groups]
    lanes, mask = 1, None
    if p.along == "channels":
        lanes, group = p.lanes, f.mul(group, p.lanes)
        if groups.size % p.lanes:
            mask = f.lanes_below(f.sub(groups.size, group), p.lanes)
    else:
        value = f.reduce(f.add, value)
    offsets = roles.offsets(f, roles.of_tile, axes, [*rows, column, group])
    tile, along = roles.contraction.tile, groups.strides[roles.of_tile]
    epilogue(ResultLanes(f, tile, pointers.tile, offsets, along, lanes, mask), value)
