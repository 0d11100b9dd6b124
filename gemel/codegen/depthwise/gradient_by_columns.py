"""Weight gradients of depthwise windows that advance by one, channels last: columns from memory.

Role: the strategy for the weights of depthwise convolutions where channels are neighbours in
memory: vectors lie along the channels. All sums of a vector of channels stay in registers while a
strip of rows is walked from left to right; a column of the image meets the last columns of the
plain operand, which stay in registers too. Stage 0: each piece sums a share of the strips of all
images; stage 1: shares are added in order, the epilogue runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from gemel.codegen.blocks import LINE, each, lines, remaining, split
from gemel.codegen.depthwise.folded_plan import NANOSECONDS
from gemel.codegen.depthwise.pieces import CELLS, PARTS, wanted_pieces
from gemel.codegen.depthwise.walk import Line, Strips, line, strips
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.windows.axes import Roles, roles
from gemel.codegen.windows.result_lanes import ResultLanes
from gemel.runtime.machine import Machine


def gradient_by_columns(
    spec: Contraction, machine: Machine, joined: bool
) -> GradientColumns | None:
    """The strategy, or None where the contraction is something else."""
    found = roles(spec) if spec.elem in ("float", "double") and not joined else None
    if found is None or not _matches(found):
        return None
    rows, columns = (line(window, False) for window in found.windows)
    if rows is None or columns is None or not rows.steady or not columns.steady:
        return None
    # Registers hold all sums, and the last columns of the plain operand.
    room = machine.vector_registers - 1 - rows.tap.size * columns.tap.size
    parts = strips(rows, room // columns.tap.size) if room >= columns.tap.size else None
    return GradientColumns(found, parts, columns, machine) if parts is not None else None


def _matches(found: Roles) -> bool:
    groups = found.single("batch")
    elem = found.contraction.elem
    return (
        len(found.windows) == 2
        and not found.rows
        and not found.columns
        and all(len(group) <= 1 for group in (found.batch, found.depth))
        and len(found.image) == len(found.plain) == 1
        and found.image[0].elem == found.plain[0].elem == elem
        and groups.strides[0] == groups.strides[1] == 1
    )


class GradientColumns:
    """See the module."""

    def __init__(self, found: Roles, parts: Strips, columns: Line, machine: Machine):
        self.roles = found
        self.strips = parts
        self.rows = parts.rows
        self.columns = columns
        self.elem = found.contraction.elem
        size = SIZES[self.elem]
        self.lanes = machine.lanes(size)
        self.cells = parts.rows.tap.size * columns.tap.size
        self.groups = ceil(found.single("batch").size / self.lanes)
        self.units = found.single("depth").size * parts.count
        self.partial = self.groups * self.cells * self.lanes
        width = columns.position.size
        cycles = self.units * self.groups * (width * (parts.high * self.cells / 2 + 4) + 60)
        self.ahead = self.units * parts.high * width * self.groups * self.lanes * size > machine.l2
        most = (16 << 20) // (self.partial * size)
        wanted = max(1, min(wanted_pieces(cycles, PARTS), most, self.units))
        self.step = ceil(self.units / wanted)
        self.splits = ceil(self.units / self.step)
        self.stages = (self.splits, ceil(self.groups * self.cells / CELLS))
        self.scratch_bytes = 0
        self.shared_bytes = lines(self.splits * self.partial * size)
        self.work = (cycles + 8 * self.splits * self.groups * self.cells) * NANOSECONDS

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
        work = _Share(f, self, pointers)
        if stage == 0:
            work.run(piece)
            return
        total = self.groups * self.cells
        first = f.mul(piece, CELLS)
        with each(f, remaining(f, total, CELLS, first)) as index:
            work.finish(f.add(first, index), epilogue)

    def describe(self) -> str:
        """One line for people."""
        return (
            f"weight gradient of depthwise columns, {self.cells} sums, strips of "
            f"{self.strips.high} rows, {self.groups} vectors of channels, "
            f"{self.splits} partial sums"
        )


class _Share:
    """A share of the strips, or one vector of results."""

    def __init__(self, f: Function, owner: GradientColumns, pointers: Pointers):
        self.f = f
        self.owner = owner
        self.roles = owner.roles
        self.image, self.plain = self.roles.sides((pointers.left[0], pointers.right[0]))
        self.pointers = pointers

    def run(self, share: Operand) -> None:
        """The sums over a share."""
        f, o = self.f, self.owner
        self.sums = f.gep(self.pointers.shared, f.mul(share, o.partial), o.elem)
        f.clear_bytes(self.sums, o.partial * SIZES[o.elem])
        first = f.mul(share, o.step)
        with each(f, remaining(f, o.units, o.step, first)) as index:
            image, strip = split(f, f.add(first, index), (o.strips.count,))
            o.strips.run(f, strip, lambda n, live: self._strip(image, n, live))

    def _strip(self, image: Operand, strip: Operand, live: Sequence[int]) -> None:
        f, o = self.f, self.owner
        self.live = live
        low = o.rows.low * o.rows.unit + o.columns.low * o.columns.unit
        bases = self._starts(image, strip)
        behind = (o.rows.low + o.rows.tap.size - 1) * o.rows.unit
        following = self._starts(image, f.add(strip, 1))
        self.following = f.gep(following[0], behind, o.elem), following[1]
        with each(f, o.groups) as group:
            self.group = group
            channel = f.mul(group, o.lanes)
            self.mask = self._mask(channel)
            self.base = f.gep(bases[0], f.add(channel, low), o.elem)
            self.other = f.gep(bases[1], channel, o.elem)
            at = f.mul(group, o.cells * o.lanes)
            places = [f.gep(self.sums, f.add(at, i * o.lanes), o.elem) for i in range(o.cells)]
            totals = self._walk([f.load(place, o.elem, o.lanes) for place in places])
            for value, place in zip(totals, places, strict=True):
                f.store(value, place)

    def _starts(self, image: Operand, strip: Operand) -> list[Value]:
        """The addresses of a strip in both operands."""
        f, o = self.f, self.owner
        axes, row = [self.roles.single("depth"), o.rows.position], f.mul(strip, o.strips.high)
        found = []
        for i, base in enumerate((self.image, self.plain)):
            at = f.add(f.mul(image, axes[0].strides[i]), f.mul(row, axes[1].strides[i]))
            found.append(f.gep(base, at, o.elem))
        return found

    def _mask(self, channel: Operand) -> Value | None:
        size, lanes = self.roles.single("batch").size, self.owner.lanes
        return self.f.lanes_below(self.f.sub(size, channel), lanes) if size % lanes else None

    def _walk(self, sums: list[Value]) -> list[Value]:
        """All columns: those of the left border, the steady ones, those of the right border."""
        f, o = self.f, self.owner
        count, taps, high = o.columns.position.size, o.columns.tap.size, o.strips.high
        # Columns of the plain operand, the youngest first.
        held: list[list[Value]] = []
        for column in range(taps - 1):
            held = [self._others(column), *held]
            if column >= o.columns.first:
                sums = self._column(column, held, sums)
        carry = [*sums, *(value for values in held for value in values)]
        with f.loop(taps - 1, count, carry=carry) as loop:
            held = [loop.values[i : i + high] for i in range(o.cells, len(carry), high)]
            held = [self._others(loop.index), *held]
            sums = self._column(loop.index, held, loop.values[: o.cells])
            if o.ahead:
                self._fetch(loop.index)
            loop.next = [*sums, *(value for values in held[:-1] for value in values)]
        sums = loop.out[: o.cells]
        held = [loop.out[i : i + high] for i in range(o.cells, len(carry), high)]
        for column in range(count, o.columns.last):
            gone = column - count + 1
            sums = self._column(column, [*([[]] * gone), *held[: taps - gone]], sums)
        return sums

    def _others(self, column: Operand) -> list[Value]:
        """A column of the plain operand."""
        f, o = self.f, self.owner
        at = f.mul(column, o.columns.position.strides[1])
        here = f.opaque(f.gep(self.other, at, o.elem))
        rows = [row * o.rows.position.strides[1] for row in range(o.strips.high)]
        return [f.load(f.gep(here, row, o.elem), o.elem, o.lanes, mask=self.mask) for row in rows]

    def _column(
        self, number: Operand, held: Sequence[Sequence[Value]], sums: Sequence[Value]
    ) -> list[Value]:
        """One column of the image by the columns of the plain operand so far behind it."""
        f, o = self.f, self.owner
        here = f.opaque(f.gep(self.base, f.mul(number, o.columns.unit), o.elem))
        out = list(sums)
        for row in self.live:
            place = f.gep(here, row * o.rows.unit, o.elem)
            value = f.load(place, o.elem, o.lanes, mask=self.mask)
            for down, tap in enumerate(o.rows.order):
                if not 0 <= row - down < o.strips.high:
                    continue
                for others, across in zip(held, o.columns.order, strict=False):
                    cell = tap * o.columns.tap.size + across
                    if others:
                        out[cell] = f.fma(value, others[row - down], out[cell])
        return out

    def _fetch(self, column: Operand) -> None:
        """A share of the next strip of both operands, line by line as it lies in memory."""
        f, o = self.f, self.owner
        turn = f.add(f.mul(self.group, o.columns.position.size), column)
        at = f.mul(turn, o.strips.high * LINE)
        for place in self.following:
            for i in range(o.strips.high):
                f.prefetch(f.gep(f.gep(place, at, "i8"), i * LINE, "i8"), cache=2)

    def finish(self, number: Operand, epilogue: Epilogue) -> None:
        """One vector of results: shares in order."""
        f, o, roles = self.f, self.owner, self.roles
        place = f.gep(self.pointers.shared, f.mul(number, o.lanes), o.elem)
        with f.loop(1, o.splits, carry=[f.load(place, o.elem, o.lanes)]) as loop:
            there = f.gep(place, f.mul(loop.index, o.partial), o.elem)
            loop.next = [loop.values[0] + f.load(there, o.elem, o.lanes)]
        group, row, column = split(f, number, (o.rows.tap.size, o.columns.tap.size))
        channel = f.mul(group, o.lanes)
        axes, indices = [roles.single("batch"), o.rows.tap, o.columns.tap], [channel, row, column]
        offsets = roles.offsets(f, roles.of_tile, axes, indices)
        along, tile = axes[0].strides[roles.of_tile], roles.contraction.tile
        mask = self._mask(channel)
        view = ResultLanes(f, tile, self.pointers.tile, offsets, along, o.lanes, mask)
        epilogue(view, loop.out[0])
