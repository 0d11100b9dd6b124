"""Weight gradients of windows over one channel that advance by one: rows straight from memory.

Role: the strategy for the weights of depthwise convolutions, and of one input channel, where a
plane's lines are neighbours in memory (see `walk`). All sums of an output channel stay in
registers, vectors along the positions; a row of the image meets the last rows of the plain operand,
which stay in registers too. Stage 0: each piece forms vectors of sums for a share of the images of
an output channel; stage 1: shares are added in order, lanes folded, the epilogue runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

from gemel.codegen.blocks import each, lines, remaining, split
from gemel.codegen.depthwise.folded_plan import NANOSECONDS
from gemel.codegen.depthwise.pieces import CELLS, PARTS, wanted_pieces
from gemel.codegen.depthwise.walk import FEW, FILLED, Walk, walk
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.windows.axes import Roles, roles
from gemel.codegen.windows.result_lanes import ResultLanes
from gemel.runtime.machine import Machine


def gradient_by_rows(spec: Contraction, machine: Machine, joined: bool) -> GradientRows | None:
    """The strategy, or None where the contraction is something else."""
    found = roles(spec) if spec.elem in ("float", "double") and not joined else None
    if found is None or not _matches(found):
        return None
    taps, across = (window.kept.size for window in found.windows)
    most = (machine.vector_registers - 1 - taps * across) // taps
    chosen = walk(found, False, spec.elem, machine.lanes(SIZES[spec.elem]), most)
    if chosen is None or chosen.columns.position.strides[1] != 1:
        return None
    if found.single("columns").size > FEW and chosen.filled < FILLED:
        return None
    return GradientRows(found, chosen)


def _matches(found: Roles) -> bool:
    return (
        len(found.windows) == 2
        and not found.rows
        and all(len(group) <= 1 for group in (found.batch, found.columns, found.depth))
        and len(found.plain) == 1
    )


class GradientRows:
    """See the module."""

    def __init__(self, found: Roles, chosen: Walk):
        self.roles = found
        self.walk = chosen
        self.outputs = [found.single("batch"), found.single("columns")]
        self.groups = prod(axis.size for axis in self.outputs)
        self.cells = chosen.taps * chosen.columns.tap.size
        self.images = found.single("depth").size
        rows = chosen.rows.position.size * (chosen.vectors * self.cells / 2 + 6) + 50
        cycles = self.groups * self.images * rows
        wanted = max(1, wanted_pieces(cycles, PARTS))
        batch = self.outputs[0].size
        self.share = ceil(self.images / max(1, min(wanted // batch, self.images)))
        self.splits = ceil(self.images / self.share)
        self.units = batch * self.splits
        self.step = ceil(self.units / wanted)
        self.partial = self.groups * self.cells * chosen.lanes
        self.stages = (ceil(self.units / self.step), ceil(self.groups * self.cells / CELLS))
        self.scratch_bytes = 0
        self.shared_bytes = lines(self.splits * self.partial * SIZES[chosen.elem])
        self.work = (cycles + 30 * self.groups * self.cells) * NANOSECONDS

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
        work = _Group(f, self, pointers, epilogue)
        total, step = self.units, self.step
        if stage == 1:
            total, step = self.groups * self.cells, CELLS
        first = f.mul(piece, step)
        with each(f, remaining(f, total, step, first)) as index:
            (work.share, work.finish)[stage](f.add(first, index))

    def describe(self) -> str:
        """One line for people."""
        w = self.walk
        return (
            f"weight gradient of depthwise rows, {self.cells} sums, {len(w.chunks)} parts of at "
            f"most {w.wide} vectors, {self.splits} partial sums, {self.stages[0]} pieces"
        )


class _Group:
    """A group: a share of its images, or one of its results."""

    def __init__(self, f: Function, owner: GradientRows, pointers: Pointers, epilogue: Epilogue):
        self.f = f
        self.owner = owner
        self.walk = owner.walk
        self.roles = owner.roles
        self.image, self.plain = self.roles.sides((pointers.left[0], pointers.right[0]))
        self.pointers = pointers
        self.epilogue = epilogue

    def share(self, number: Operand) -> None:
        """The sums over a share of the images, for all output channels of a group."""
        f, w, owner = self.f, self.walk, self.owner
        batch, share = split(f, number, (owner.splits,))
        columns = owner.outputs[1].size
        group = f.mul(batch, columns)
        to = f.add(f.mul(share, owner.partial), f.mul(group, owner.cells * w.lanes))
        sums = f.gep(self.pointers.shared, to, w.elem)
        f.clear_bytes(sums, columns * owner.cells * w.lanes * SIZES[w.elem])
        first = f.mul(share, owner.share)
        count = remaining(f, owner.images, owner.share, first)
        with each(f, count) as index, each(f, columns) as column:
            self._plane([batch, column, f.add(first, index)])
            there = f.gep(sums, f.mul(column, owner.cells * w.lanes), w.elem)
            places = [f.gep(there, i * w.lanes, w.elem) for i in range(owner.cells)]
            totals = [f.load(place, w.elem, w.lanes) for place in places]
            for chunk in w.chunks:
                totals = self._part(chunk, totals)
            for value, place in zip(totals, places, strict=True):
                f.store(value, place)

    def _plane(self, indices: Sequence[Operand]) -> None:
        """Go to a group, an output channel, and an image."""
        f, w, owner = self.f, self.walk, self.owner
        depth = self.roles.single("depth")
        at = self.roles.offsets(f, slice(0, 2), [*owner.outputs, depth], indices)
        self.base = f.gep(self.image, at[0], w.elem)
        self.other = f.gep(self.plain, at[1], w.elem)
        # The planes that follow: of the next output channel, or of the next image.
        follows = owner.outputs[1] if owner.outputs[1].size > 1 else depth
        self.further = follows.strides[:2]

    def _part(self, chunk: Sequence[int], sums: list[Value]) -> list[Value]:
        """All rows: those of the upper border, the steady ones, those of the lower border."""
        f, w = self.f, self.walk
        count, taps, cells = w.rows.position.size, w.taps, self.owner.cells
        # Rows of the plain operand, the youngest first.
        held: list[list[Value]] = []
        for row in range(taps - 1):
            held = [self._others(row, chunk), *held]
            if row >= w.rows.first:
                sums = self._row(row, held, chunk, sums)
        carry = [*sums, *(value for values in held for value in values)]
        with f.loop(taps - 1, count, carry=carry) as loop:
            held = _apart(loop.values[cells:], len(chunk))
            held = [self._others(loop.index, chunk), *held]
            sums = self._row(loop.index, held, chunk, loop.values[:cells])
            loop.next = [*sums, *(value for values in held[:-1] for value in values)]
        sums, held = loop.out[:cells], _apart(loop.out[cells:], len(chunk))
        for row in range(count, w.rows.last):
            gone = row - count + 1
            sums = self._row(row, [[], *([[]] * (gone - 1)), *held[: taps - gone]], chunk, sums)
        return sums

    def _others(self, row: Operand, chunk: Sequence[int]) -> list[Value]:
        """A row of the plain operand."""
        f, w = self.f, self.walk
        at = f.opaque(f.gep(self.other, f.mul(row, w.rows.position.strides[1]), w.elem))
        if self.further[1]:
            w.fetch(f, at, chunk, self.further[1])
        return [
            f.load(f.gep(at, j * w.lanes, w.elem), w.elem, w.lanes, mask=w.live(f, j))
            for j in chunk
        ]

    def _row(
        self,
        number: Operand,
        held: list[list[Value]],
        chunk: Sequence[int],
        sums: Sequence[Value],
    ) -> list[Value]:
        """One row of the image by the rows of the plain operand that lie so far behind it."""
        f, w = self.f, self.walk
        row = w.row(f, self.base, number)
        if self.further[0]:
            w.fetch(f, row, chunk, self.further[0])
        out, across = list(sums), w.columns.tap.size
        for tap in range(across):
            for j, vector in enumerate(chunk):
                value = w.load(f, row, vector, tap)
                for behind, others in enumerate(held):
                    if others:
                        cell = w.rows.order[behind] * across + tap
                        out[cell] = f.fma(value, others[j], out[cell])
        return out

    def finish(self, number: Operand) -> None:
        """One result: shares in order, then the lanes."""
        f, w, owner, roles = self.f, self.walk, self.owner, self.roles
        place = f.gep(self.pointers.shared, f.mul(number, w.lanes), w.elem)
        with f.loop(1, owner.splits, carry=[f.load(place, w.elem, w.lanes)]) as loop:
            there = f.gep(place, f.mul(loop.index, owner.partial), w.elem)
            loop.next = [loop.values[0] + f.load(there, w.elem, w.lanes)]
        value = f.reduce(f.add, loop.out[0])
        indices = split(f, number, (owner.outputs[1].size, w.taps, w.columns.tap.size))
        axes = [*owner.outputs, w.rows.tap, w.columns.tap]
        offsets = roles.offsets(f, roles.of_tile, axes, indices)
        tile = roles.contraction.tile
        view = ResultLanes(
            f, tile, self.pointers.tile, offsets, axes[0].strides[roles.of_tile], 1, None
        )
        self.epilogue(view, value)


def _apart(values: Sequence[Value], size: int) -> list[list[Value]]:
    """Values in groups of a size."""
    return [list(values[i : i + size]) for i in range(0, len(values), size)]
