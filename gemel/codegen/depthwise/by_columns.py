"""Depthwise windows that advance by one, channels last: columns straight from memory.

Role: the strategy for depthwise convolutions and their input gradients where channels are
neighbours in memory: vectors lie along the channels. A strip is some rows of the result; it is
walked from left to right, and a column of the image is loaded once for all taps. One stage; a piece
is a range of strips. Strips that meet rows that do not exist have code of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from gemel.codegen.blocks import LINE, each, lines, remaining, split, stepped
from gemel.codegen.depthwise.direct_plan import NANOSECONDS
from gemel.codegen.depthwise.pieces import PIECES, each_vector, wanted_pieces
from gemel.codegen.depthwise.walk import Line, Strips, line, strips
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.products.packing import load_strided
from gemel.codegen.windows.axes import Roles, roles
from gemel.codegen.windows.result_lanes import ResultLanes, are_many
from gemel.runtime.machine import Machine


def by_columns(spec: Contraction, machine: Machine, joined: bool) -> DepthwiseColumns | None:
    """The strategy, or None where the contraction is something else."""
    found = roles(spec) if spec.elem in ("float", "double") and not joined else None
    if found is None or not _matches(found):
        return None
    rows, columns = (line(window, True) for window in found.windows)
    if rows is None or columns is None or not rows.steady or not columns.steady:
        return None
    taps = rows.tap.size * columns.tap.size
    parts = strips(rows, max(2, (machine.vector_registers - 1 - taps) // columns.tap.size))
    if parts is None:
        return None
    return DepthwiseColumns(found, parts, columns, machine, are_many(spec, machine))


def _matches(found: Roles) -> bool:
    groups = found.single("batch")
    elem = found.contraction.elem
    return (
        len(found.windows) == 2
        and not found.depth
        and not found.columns
        and all(len(group) <= 1 for group in (found.batch, found.rows))
        and len(found.image) == len(found.plain) == 1
        and found.image[0].elem == found.plain[0].elem == elem
        and groups.strides[0] == 1
    )


class DepthwiseColumns:
    """See the module."""

    def __init__(self, found: Roles, parts: Strips, columns: Line, machine: Machine, ahead: bool):
        """`ahead`: whether the next strip is fetched."""
        self.roles = found
        self.rows = parts.rows
        self.columns = columns
        self.ahead = ahead
        self.elem = found.contraction.elem
        self.lanes = machine.lanes(SIZES[self.elem])
        self.taps = parts.rows.tap.size * columns.tap.size
        self.strips = parts
        self.high = parts.high
        self.groups = ceil(found.single("batch").size / self.lanes)
        self.units = found.single("rows").size * self.strips.count
        step = self.high * self.taps / 2 + 4
        cycles = self.units * self.groups * (columns.position.size * step + 40)
        wanted = max(1, min(wanted_pieces(cycles, PIECES), self.units))
        self.step = ceil(self.units / wanted)
        self.stages = (ceil(self.units / self.step),)
        self.scratch_bytes = lines(self.groups * self.taps * self.lanes * SIZES[self.elem], LINE)
        self.shared_bytes = 0
        self.work = cycles * NANOSECONDS

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
        work = _Strip(f, self, pointers, epilogue)
        work.keep_weights()
        first = f.mul(piece, self.step)
        with each(f, remaining(f, self.units, self.step, first)) as index:
            work.run(f.add(first, index))

    def describe(self) -> str:
        """One line for people."""
        return (
            f"depthwise columns, strips of {self.high} rows, {self.groups} vectors of channels, "
            f"{self.units} strips, {self.stages[0]} pieces"
        )


class _Strip:
    """One strip: a vector of channels after the other, each from left to right."""

    def __init__(
        self, f: Function, owner: DepthwiseColumns, pointers: Pointers, epilogue: Epilogue
    ):
        self.f = f
        self.owner = owner
        self.roles = owner.roles
        self.image, self.plain = self.roles.sides((pointers.left[0], pointers.right[0]))
        self.kept = pointers.scratch
        self.tiles = pointers.tile
        self.epilogue = epilogue

    def keep_weights(self) -> None:
        """A vector of weights per tap: [channels][column of taps, row of taps] as they are met."""
        f, o = self.f, self.owner
        stride = self.roles.single("batch").strides[1]
        with each(f, o.groups) as group:
            self._enter(group)
            first, number = f.mul(group, o.taps), 0
            for column in o.columns.order:
                for row in o.rows.order:
                    taps = (row, o.rows.tap), (column, o.columns.tap)
                    at = f.mul(self.channel, stride)
                    for index, axis in taps:
                        at = f.add(at, index * axis.strides[1])
                    place = f.gep(self.plain, at, o.elem)
                    value = load_strided(f, place, o.elem, o.lanes, stride, self.mask)
                    to = f.mul(f.add(first, number), o.lanes)
                    f.store(value, f.gep(self.kept, to, o.elem))
                    number += 1

    def _enter(self, group: Operand) -> None:
        """Go to a vector of channels."""
        f, o = self.f, self.owner
        size = self.roles.single("batch").size
        self.group, self.channel = group, f.mul(group, o.lanes)
        left = f.sub(size, self.channel)
        self.mask = f.lanes_below(left, o.lanes) if size % o.lanes else None

    def run(self, number: Operand) -> None:
        f, o = self.f, self.owner
        image, strip = split(f, number, (o.strips.count,))
        o.strips.run(f, strip, lambda n, live: self._strip(image, n, live))

    def _strip(self, image: Operand, strip: Operand, live: Sequence[int]) -> None:
        f, o = self.f, self.owner
        axes = [self.roles.single("rows"), o.rows.position, self.roles.single("batch")]
        self.following = self._following(image, strip)
        with each(f, o.groups) as group:
            self._enter(group)
            indices = [image, f.mul(strip, o.high), self.channel]
            offsets = self.roles.offsets(f, slice(None), axes, indices)
            low = o.rows.low * o.rows.unit + o.columns.low * o.columns.unit
            self.base = f.gep(self.image, f.add(offsets[0], low), o.elem)
            self.offsets = offsets[2:]
            first = f.mul(group, o.taps * o.lanes)
            places = [f.gep(self.kept, f.add(first, i * o.lanes), o.elem) for i in range(o.taps)]
            self.weights = [f.load(place, o.elem, o.lanes) for place in places]
            self._walk(live)

    def _following(self, image: Operand, strip: Operand) -> tuple[Value, Value]:
        """Where the next strip begins in the image, behind what this one reads, and the result."""
        f, o = self.f, self.owner
        axes = [self.roles.single("rows"), o.rows.position]
        indices = [image, f.mul(f.add(strip, 1), o.high)]
        places = []
        lead = (o.rows.low + o.rows.tap.size - 1) * o.rows.unit
        elem = self.roles.contraction.tile[0].elem
        for array, base, kind, at in ((0, self.image, o.elem, lead), (2, self.tiles[0], elem, 0)):
            offset: Operand = at
            for axis, index in zip(axes, indices, strict=True):
                offset = f.add(offset, f.mul(index, axis.strides[array]))
            places.append(f.gep(base, offset, kind))
        return places[0], places[1]

    def _walk(self, live: Sequence[int]) -> None:
        """All columns: those of the left border, the steady ones, those of the right border."""
        f, o = self.f, self.owner
        count, taps = o.columns.position.size, o.columns.tap.size
        zero = [f.constant(0, o.elem, o.lanes)] * o.high
        # Sums of the last columns of results, the youngest first.
        sums = [zero] * (taps - 1)
        for column in range(o.columns.first, taps - 1):
            sums = self._column(column, [zero, *sums], live, range(column + 1))[: taps - 1]
        carry = [value for held in sums for value in held]
        with f.loop(taps - 1, count, carry=carry) as loop:
            held = [loop.values[i : i + o.high] for i in range(0, len(carry), o.high)]
            made = self._column(loop.index, [zero, *held], live, range(taps))
            if o.ahead:
                self._fetch(loop.index)
            self._deliver(f.sub(loop.index, taps - 1), made[-1])
            loop.next = [value for held in made[:-1] for value in held]
        sums = [loop.out[i : i + o.high] for i in range(0, len(carry), o.high)]
        for column in range(count, count + taps - 1):
            if column < o.columns.last:
                met = range(column - count + 1, taps)
                sums = self._column(column, [zero, *sums], live, met)[1:]
            self._deliver(column - taps + 1, sums[-1])
            sums = [zero, *sums[:-1]]

    def _column(
        self, number: Operand, sums: list[list[Value]], live: Sequence[int], met: range
    ) -> list[list[Value]]:
        """One column of the image: what it adds to the columns of results so far behind it."""
        f, o = self.f, self.owner
        here = f.opaque(f.gep(self.base, f.mul(number, o.columns.unit), o.elem))
        out, high = [list(held) for held in sums], o.rows.tap.size
        for row in live:
            place = f.gep(here, row * o.rows.unit, o.elem)
            value = f.load(place, o.elem, o.lanes, mask=self.mask)
            for tap in range(high):
                to = row - tap
                if 0 <= to < o.high:
                    for behind in met:
                        weight = self.weights[behind * high + tap]
                        out[behind][to] = f.fma(value, weight, out[behind][to])
        return out

    def _fetch(self, column: Operand) -> None:
        """A share of the next strip, line by line as it lies in memory: of the image to be read,
        of the result to be written."""
        f, o = self.f, self.owner
        turn = f.add(f.mul(self.group, o.columns.position.size), column)
        at = f.mul(turn, o.high * LINE)
        source, target = (f.gep(place, at, "i8") for place in self.following)
        for i in range(o.high):
            f.prefetch(f.gep(source, i * LINE, "i8"), cache=2)
            f.prefetch(f.gep(target, i * LINE, "i8"), write=True)

    def _deliver(self, column: Operand, values: Sequence[Value]) -> None:
        """The epilogue for a column of a strip: row by row, or a loop of them."""
        f, o, tile = self.f, self.owner, self.roles.of_tile
        along = o.columns.position.strides[tile]
        offsets = stepped(f, self.offsets, along, column)
        each_vector(f, values, lambda row, value: self._vector(offsets, row, value))

    def _vector(self, offsets: Sequence[Operand], row: Operand, value: Value) -> None:
        f, o, roles = self.f, self.owner, self.roles
        rows = o.rows.position.strides[roles.of_tile]
        further = [0] * len(rows)
        if isinstance(row, int):
            further = [row * stride for stride in rows]
        else:
            offsets = [f.add(at, f.mul(row, s)) for at, s in zip(offsets, rows, strict=True)]
        along = roles.single("batch").strides[roles.of_tile]
        tile = roles.contraction.tile
        view = ResultLanes(f, tile, self.tiles, offsets, along, o.lanes, self.mask, further)
        self.epilogue(view, value)
