"""Panels of pixels: neighbouring positions of images as vectors of masked loads.

Role: write a block of k of `width` neighbouring output positions as `[k][width]`, for an operand
whose elements lie one or two apart along the positions. A vector of positions that crosses from a
row or an image into the next consists of *segments*, each affine in memory and read with its own
mask. What the bounds forbid is cut out of the masks; they are computed once per tap (the k axes
that bounds mention) and serve all channels. Positions further apart are gathered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.products.packing import each_k, transpose_function
from gemel.codegen.windows.lanes import Forms, Lanes, advance, inside, locate
from gemel.codegen.windows.pack import Reader
from gemel.codegen.windows.plan import Depth, Side, inner_run

_MOST_SEGMENTS = 4


@dataclass(frozen=True)
class Way:
    """How a vector of positions is read: segments (None: gathered), and their lane stride."""

    segments: int | None
    stride: int
    run: int
    outer: tuple[Axis, ...]


def way_to_read(side: Side, columns: Sequence[Axis], lanes: int) -> Way:
    """The cheapest way for vectors of `lanes` positions of a group."""
    run, outer = inner_run(columns, [side.first])
    stride = columns[-1].strides[side.first] if columns else 1
    segments: int | None = 1
    if outer and run % lanes:
        segments = 2 + (lanes - 2) // run
    if stride not in (1, 2) or segments > _MOST_SEGMENTS:
        segments = None
    return Way(segments, stride, run, outer)


@dataclass(frozen=True)
class _Part:
    """One vector of a panel: offset and mask of its segments, and its lanes' forms."""

    lanes: Lanes
    offsets: list[Operand]
    masks: list[Value | None]
    along: Value | None
    checks: list[Value | None]


class PixelPanel:
    """Packs panels of one width of positions."""

    def __init__(
        self,
        f: Function,
        reader: Reader,
        columns: Sequence[Axis],
        width: int,
        lanes: int,
        way: Way,
    ):
        self.f = f
        self.reader = reader
        self.side = reader.side
        self.columns = columns
        self.width = width
        self.lanes = lanes
        self.way = way

    def pack(
        self,
        first: Operand,
        target: Value,
        k: Sequence[Axis],
        k_sizes: Sequence[Operand],
        forms: Forms,
    ) -> None:
        """The panel from a flat position on; `forms` are those of the block of k."""
        taps = max((i + 1 for i, axis in enumerate(k) if self._is_tap(axis)), default=0)
        parts = [self._part(self.f.add(first, at)) for at in range(0, self.width, self.lanes)]
        self._walk(parts, target, list(zip(k, k_sizes, strict=True)), taps, 0, 0, forms, None)

    def _is_tap(self, axis: Axis) -> bool:
        return any(axis.strides[check.form] for check in self.side.checks)

    def _part(self, first: Operand) -> _Part:
        f, way = self.f, self.way
        lanes = Lanes(f, self.columns, first, self.lanes)
        checks = [lanes.form(check.form) for check in self.side.checks]
        if way.segments is None:
            along = lanes.form(self.side.first)
            return _Part(lanes, [0], [lanes.valid], along, checks)
        if way.segments == 1:
            last = Axis(way.run, self.columns[-1].strides) if self.columns else None
            axes = (*way.outer, last) if last else ()
            return _Part(lanes, [self._offset(axes, first)], [lanes.valid], None, checks)
        offsets, masks = self._segments(first, lanes)
        return _Part(lanes, offsets, masks, None, checks)

    def _offset(self, axes: Sequence[Axis], index: Operand) -> Operand:
        forms = [0] * (len(self.columns[-1].strides) if self.columns else self.side.first + 1)
        return locate(self.f, forms, axes, index)[self.side.first]

    def _segments(self, first: Operand, lanes: Lanes) -> tuple[list[Operand], list[Value | None]]:
        """Runs that a vector touches: where lane 0 would lie in each, and its lanes."""
        f, way = self.f, self.way
        assert way.segments is not None
        run = f.udiv(first, way.run)
        within = f.urem(first, way.run)
        start = f.splat(f.convert(within, "i32"), self.lanes, "i32")
        position = f.add(f.lanes_index(self.lanes), start)
        offsets, masks = [], []
        for number in range(way.segments):
            ahead = f.sub(within, number * way.run)
            place = self._offset(way.outer, f.add(run, number))
            offsets.append(f.add(place, f.mul(ahead, way.stride)))
            local = f.sub(position, number * way.run)
            mask = f.compare("<", local, way.run, unsigned=True)
            masks.append(mask if lanes.valid is None else mask & lanes.valid)
        return offsets, masks

    def _walk(
        self,
        parts: list[_Part],
        target: Value,
        loops: list[tuple[Axis, Operand]],
        taps: int,
        level: int,
        linear: Operand,
        forms: Forms,
        masks: list[list[Value | None]] | None,
    ) -> None:
        """Loops over k; the masks are settled inside the last tap."""
        if level == taps:
            masks = [self._tap_masks(part, forms) for part in parts]
        if level == len(loops):
            assert masks is not None
            row = self.f.gep(target, self.f.mul(linear, self.width), self.reader.elem)
            for number, part in enumerate(parts):
                value = self._vector(part, forms[self.side.first], masks[number])
                self.f.store(value, self.f.gep(row, number * self.lanes, self.reader.elem))
            return
        axis, size = loops[level]
        with self.f.loop(0, size, nonempty=True) as loop:
            inner = self.f.add(self.f.mul(linear, size), loop.index)
            moved = advance(self.f, forms, axis, loop.index)
            self._walk(parts, target, loops, taps, level + 1, inner, moved, masks)

    def _tap_masks(self, part: _Part, forms: Forms) -> list[Value | None]:
        f = self.f
        allowed: Value | None = None
        for check, along in zip(self.side.checks, part.checks, strict=True):
            holds = f.splat(inside(f, check, forms[check.form], along), self.lanes)
            allowed = holds if allowed is None else allowed & holds
        masks = []
        for mask in part.masks:
            both = mask if allowed is None else allowed if mask is None else mask & allowed
            masks.append(both)
        if self.way.stride == 2 and self.way.segments is not None:
            return [self._every_second(mask) for mask in masks]
        return masks

    def _every_second(self, mask: Value | None) -> Value:
        """The mask of twice as many lanes whose even ones are wanted."""
        f = self.f
        if mask is None:
            return f.constants([lane % 2 == 0 for lane in range(2 * self.lanes)], "i1")
        picks = [lane // 2 if lane % 2 == 0 else self.lanes for lane in range(2 * self.lanes)]
        return f.shuffle(mask, f.constant(False, "i1", self.lanes), picks)

    def _vector(self, part: _Part, offset: Operand, masks: list[Value | None]) -> Value:
        """One vector of the panel at one k."""
        f, access = self.f, self.side.accesses[0]
        pointer = f.gep(self.reader.pointers[0], offset, access.elem)
        if self.way.segments is None:
            along = part.along or f.constants([0] * self.lanes, "i32")
            return self.reader.value(f, [f.gather(pointer, along, access.elem, masks[0])])
        wide = self.lanes * self.way.stride
        value: Value | None = None
        for start, mask in zip(part.offsets, masks, strict=True):
            place = f.gep(pointer, start, access.elem)
            value = f.load(place, access.elem, wide, mask=mask, other=value)
        assert value is not None
        if self.way.stride == 2:
            value = f.shuffle(value, None, range(0, wide, 2))
        return self.reader.value(f, [value])


def transposes(reader: Reader, columns: Sequence[Axis], depth: Depth, lanes: int) -> bool:
    """Whether panels of an unbounded operand consist of whole square blocks, contiguous along k."""
    first = reader.side.first
    if not reader.plain or reader.side.checks or len(columns) != 1 or not depth.axes:
        return False
    axis, chunk = depth.axes[-1], depth.chunks[-1]
    along_k = axis.strides[first] == 1 and columns[0].strides[first] != 1
    return along_k and not columns[0].size % lanes and not axis.size % chunk and not chunk % lanes


def pack_transposed(
    f: Function,
    reader: Reader,
    columns: Axis,
    first: Operand,
    shape: tuple[int, int],
    target: Value,
    k: Sequence[Axis],
    k_sizes: Sequence[Operand],
    offset: Operand,
) -> None:
    """The panel of `shape` (width, lanes) from a column on, block by block (see `transposes`)."""
    width, lanes = shape
    form = reader.side.first
    block = transpose_function(f.module, reader.elem, lanes)
    stride = columns.strides[form]
    source = f.gep(reader.pointers[0], f.add(offset, f.mul(first, stride)), reader.elem)

    def line(linear: Operand, places: list[Operand], _: list[Value]) -> None:
        with f.loop(0, k_sizes[-1], lanes, nonempty=True) as loop:
            number = f.add(f.mul(linear, k_sizes[-1]), loop.index)
            row = f.gep(target, f.mul(number, width), reader.elem)
            at = f.gep(source, f.add(places[0], loop.index), reader.elem)
            for start in range(0, width, lanes):
                live = f.compare("<", f.add(first, start), columns.size)
                with f.when(live):
                    where = f.gep(at, start * stride, reader.elem), stride
                    out = f.gep(row, start, reader.elem), width
                    f.call(block, *where, *out, lanes, lanes)

    strides = [[axis.strides[form]] for axis in k[:-1]]
    each_k(f, k_sizes[:-1], strides, [0], line)
