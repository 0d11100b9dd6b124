"""Blocks of an image copied into scratch, with zeros where the image has no elements.

Role: after the copy, every element that a block of a windowed contraction reads lies at an address
that is affine in its indices; no check is left in the inner loops. Input: the roles of the axes and
how many indices of each the block holds. Output: the block's strides, and code that fills it. The
prologue runs here, once per element; a place outside of the image is 0 whatever it computes.

A block is laid out as [depth...][channel][place...] (planes), or, where channels are neighbours in
memory and places are not, as [depth...][channel / width][place...][width]. The lines of a plane may
be dealt into phases: with a window that advances by two places, all even places come first, so
that neighbouring positions of the window are neighbours in the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

from gemel.codegen.blocks import each, stepped
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.products.contraction_spec import Access
from gemel.codegen.products.packing import Join, load_strided
from gemel.codegen.windows.axes import Roles, Window

# Vectors of a line that are written out one by one; a longer run of whole vectors is a loop.
_UNROLLED = 6


@dataclass(frozen=True)
class Block:
    """Which indices a block holds: of each depth axis, of channels, and (summed, kept) per window.

    `width`: channels side by side, 0 for planes. `channel`: the group of axes that channels are.
    `phases`, `line`: of a plane's line, and at least how many elements each phase has.
    """

    roles: Roles
    elem: str
    lanes: int
    depth: tuple[int, ...]
    channels: int
    windows: tuple[tuple[int, int], ...]
    width: int = 0
    channel: str = "rows"
    phases: int = 1
    line: int = 0

    @cached_property
    def extents(self) -> tuple[int, ...]:
        """Places per window."""
        pairs = zip(self.roles.windows, self.windows, strict=True)
        return tuple(window.span(*counts)[1] for window, counts in pairs)

    @property
    def origin(self) -> int:
        """The element of all indices 0 of the block (with one phase)."""
        pairs = zip(self.lowest, self.place_strides, strict=True)
        return sum(-low * stride for low, stride in pairs)

    @cached_property
    def lowest(self) -> tuple[int, ...]:
        """Per window, the block's first place relative to the place of its indices 0."""
        pairs = zip(self.roles.windows, self.windows, strict=True)
        return tuple(window.span(*counts)[0] for window, counts in pairs)

    @cached_property
    def phase(self) -> int:
        """Elements of a line's phase: whole vectors."""
        return ceil(max(self.line, ceil(self.extents[-1] / self.phases)) / self.lanes) * self.lanes

    @cached_property
    def line_elements(self) -> int:
        return self.extents[-1] * self.width if self.width else self.phases * self.phase

    @cached_property
    def place_strides(self) -> tuple[int, ...]:
        strides, step = [self.width or 1], self.line_elements
        for extent in reversed(self.extents[:-1]):
            strides.append(step)
            step *= extent
        return tuple(reversed(strides))

    @property
    def channel_stride(self) -> int:
        """From one channel to the next, or from one group of `width` channels to the next."""
        return self.line_elements * prod(self.extents[:-1])

    @property
    def channels_axis(self) -> Axis:
        return self.roles.single(self.channel)

    @property
    def channel_groups(self) -> int:
        return ceil(self.channels / self.width) if self.width else self.channels

    @cached_property
    def depth_strides(self) -> tuple[int, ...]:
        strides, step = [], self.channel_stride * self.channel_groups
        for size in reversed(self.depth):
            strides.append(step)
            step *= size
        return tuple(reversed(strides))

    @property
    def elements(self) -> int:
        """With slack: the last vector of a line may write beyond its end."""
        whole = self.channel_stride * self.channel_groups * prod(self.depth)
        return whole + 2 * self.lanes


@dataclass(frozen=True)
class Start:
    """Where a block begins: indices of the depth axes, the first channel, (summed, kept) indices
    per window. `counts`, `live`: how many indices of each depth axis, how many channels exist.
    `offsets`: what else is added to the image's pointers."""

    depth: Sequence[Operand]
    counts: Sequence[Operand]
    channel: Operand
    live: Operand
    windows: Sequence[tuple[Operand, Operand]]
    offsets: Sequence[Operand]


class BorderedCopy:
    """Fills one block. `pointers`: the image's arrays at all indices 0."""

    def __init__(
        self, f: Function, block: Block, pointers: Sequence[Value], target: Value, join: Join | None
    ):
        self.f = f
        self.block = block
        self.roles = block.roles
        self.pointers = pointers
        self.target = target
        self.join = join

    def run(self, start: Start) -> None:
        """Copy the block that begins at `start`."""
        f, block = self.f, self.block
        offsets = list(start.offsets)
        for axis, index in zip(self.roles.depth, start.depth, strict=True):
            offsets = stepped(self.f, offsets, axis.strides[self.roles.of_image], index)
        channels = self.block.channels_axis.strides[self.roles.of_image]
        offsets = stepped(self.f, offsets, channels, start.channel)
        places = []
        pairs = zip(self.roles.windows, block.windows, start.windows, strict=True)
        for window, counts, (summed, kept) in pairs:
            relative = f.add(f.mul(summed, window.summed_step), f.mul(kept, window.kept_step))
            relative = f.add(relative, window.span(*counts)[0])
            places.append(f.add(relative, window.start))
            offsets = stepped(self.f, offsets, window.unit, relative)
        self._depths(start, 0, offsets, 0, places)

    def _depths(
        self, start: Start, level: int, offsets: list, to: Operand, places: list[Operand]
    ) -> None:
        if level == len(self.block.depth):
            self._channels(offsets, to, places, start.live)
            return
        strides = self.roles.depth[level].strides[self.roles.of_image]
        with each(self.f, start.counts[level]) as index:
            there = self.f.add(to, self.f.mul(index, self.block.depth_strides[level]))
            self._depths(start, level + 1, stepped(self.f, offsets, strides, index), there, places)

    def _channels(self, offsets: list, to: Operand, places: list[Operand], live: Operand) -> None:
        f, block = self.f, self.block
        if block.width:
            # Groups are looped over inside: they lie side by side in memory.
            self._lines(0, offsets, to, places, live)
            return
        strides = block.channels_axis.strides[self.roles.of_image]
        with each(f, live) as channel:
            there = f.add(to, f.mul(channel, block.channel_stride))
            self._lines(0, stepped(self.f, offsets, strides, channel), there, places, 1)

    def _groups(self, live: Operand) -> Operand:
        """How many groups of channels there are (planes are one)."""
        width = self.block.width
        return self.f.udiv(self.f.add(live, width - 1), width) if width else 1

    def _lines(
        self, level: int, offsets: list, to: Operand, places: list[Operand], live: Operand
    ) -> None:
        """Loops over all windows but the last: places that exist, and zeros around them."""
        f, block = self.f, self.block
        if level == len(block.extents) - 1:
            line = self._plane_line if not block.width else self._channel_line
            line(offsets, to, places[level], live)
            return
        window, extent = self.roles.windows[level], block.extents[level]
        low, high = self._existing(places[level], extent, window)
        # In ascending order, because the last vector of a line may overrun it.
        self._zeros(level, to, 0, low, live)
        with f.loop(low, high) as loop:
            there = f.add(to, f.mul(loop.index, block.place_strides[level]))
            moved = stepped(self.f, offsets, window.unit, loop.index)
            self._lines(level + 1, moved, there, places, live)
        self._zeros(level, to, high, extent, live)

    def _existing(self, place: Operand, extent: int, window: Window) -> tuple[Operand, Operand]:
        """Which of `extent` places from `place` on exist: from, to."""
        f = self.f
        low = f.min(f.max(f.sub(0, place), 0), extent)
        return low, f.max(f.min(f.sub(window.size, place), extent), low)

    def _zeros(self, level: int, to: Operand, low: Operand, high: Operand, live: Operand) -> None:
        """Zeros for all places of a window from `low` to `high`."""
        f, block = self.f, self.block
        if isinstance(low, int) and isinstance(high, int) and low >= high:
            return
        step = block.place_strides[level]
        zero = f.constant(0, block.elem, block.lanes)
        with each(f, self._groups(live)) as group:
            first = f.add(f.add(to, f.mul(low, step)), f.mul(group, block.channel_stride))
            with f.loop(0, f.mul(f.sub(high, low), step), block.lanes) as loop:
                self._store(zero, f.add(first, loop.index))

    def _store(self, value: Value, at: Operand) -> None:
        self.f.store(value, self.f.gep(self.target, at, self.block.elem))

    # One line of places in a plane: vectors along the places.

    def _plane_line(self, offsets: list, to: Operand, place: Operand, live: Operand) -> None:
        unit = self.roles.windows[-1].unit
        for phase in range(self.block.phases):
            there = self.f.add(to, phase * self.block.phase)
            moved = stepped(self.f, offsets, unit, phase)
            self._phase(moved, there, self.f.add(place, phase))

    def _phase(self, offsets: list, to: Operand, place: Operand) -> None:
        """Every `phases`-th place of a line."""
        f, lanes, window, phases = (
            self.f,
            self.block.lanes,
            self.roles.windows[-1],
            self.block.phases,
        )
        count = self.block.phase // lanes
        strides = [unit * phases for unit in window.unit]

        def vector(index: Operand, mask: Value | None) -> None:
            at = f.mul(index, lanes)
            self._store(
                self._value(stepped(self.f, offsets, strides, at), strides, mask), f.add(to, at)
            )

        def masked(index: Operand) -> None:
            vector(index, self._inside(f.add(place, f.mul(index, lanes * phases)), window))

        whole = [j for j in range(count) if self._whole(place, j, window)]
        if len(whole) > _UNROLLED:
            for j in range(whole[0]):
                masked(j)
            with f.loop(whole[0], whole[-1] + 1) as loop:
                vector(loop.index, None)
            for j in range(whole[-1] + 1, count):
                masked(j)
        elif count > 2 * _UNROLLED:
            with f.loop(0, count) as loop:
                masked(loop.index)
        else:
            for j in range(count):
                if j in whole:
                    vector(j, None)
                else:
                    masked(j)

    def _whole(self, place: Operand, index: int, window: Window) -> bool:
        """Whether all lanes of a vector exist."""
        if not isinstance(place, int):
            return False
        step = self.block.phases * self.block.lanes
        first, last = place + index * step, place + (index + 1) * step - self.block.phases
        return first >= 0 and last < window.size

    def _inside(self, place: Operand, window: Window) -> Value:
        f, lanes, phases = self.f, self.block.lanes, self.block.phases
        if isinstance(place, int):
            return f.constants([0 <= place + i * phases < window.size for i in range(lanes)], "i1")
        steps = f.constants([i * phases for i in range(lanes)], "i32")
        index = f.add(steps, f.splat(f.convert(place, "i32"), lanes))
        return f.compare("<", index, window.size, unsigned=True)

    # One line of places, `width` channels each: vectors along the channels.

    def _channel_line(self, offsets: list, to: Operand, place: Operand, live: Operand) -> None:
        f, block, window = self.f, self.block, self.roles.windows[-1]
        low, high = self._existing(place, block.extents[-1], window)
        level = len(block.extents) - 1
        # In ascending order: a vector may be wider than the channels, and what it writes beyond
        # them is written again.
        self._zeros(level, to, 0, low, live)
        with f.loop(low, high) as loop:
            moved = stepped(self.f, offsets, window.unit, loop.index)
            there = f.add(to, f.mul(loop.index, block.width))
            with each(f, self._groups(live)) as group:
                self._channel_vector(moved, there, group, live)
        self._zeros(level, to, high, block.extents[-1], live)

    def _channel_vector(self, offsets: list, to: Operand, group: Operand, live: Operand) -> None:
        f, block = self.f, self.block
        strides = block.channels_axis.strides[self.roles.of_image]
        first = f.mul(group, block.width)
        mask = None
        if block.width < block.lanes or block.channels_axis.size % block.width:
            mask = f.lanes_below(f.min(f.sub(live, first), block.width), block.lanes)
        value = self._value(stepped(self.f, offsets, strides, first), strides, mask)
        self._store(value, f.add(to, f.mul(group, block.channel_stride)))

    def _value(self, offsets: list, strides: Sequence[int], mask: Value | None) -> Value:
        """A vector of the image; lanes outside of the mask are 0."""
        f, block = self.f, self.block
        values = []
        arrays = zip(self.roles.image, self.pointers, offsets, strides, strict=True)
        for access, pointer, offset, stride in arrays:
            place = f.gep(pointer, offset, access.elem)
            values.append(load_strided(f, place, access.elem, block.lanes, stride, mask))
        made = combined(f, self.roles.image, values, block.elem, self.join)
        # A repeated element (stride 0) is loaded without the mask.
        if mask is None or (self.join is None and 0 not in strides):
            return made
        return f.select(mask, made, f.zero(made.type))


def combined(
    f: Function, accesses: Sequence[Access], values: list[Value], elem: str, join: Join | None
) -> Value:
    """An operand's value from the loaded ones: the prologue, or a conversion."""
    if join is not None:
        return join(f, values)
    return f.convert(values[0], elem, signed=accesses[0].signed)
