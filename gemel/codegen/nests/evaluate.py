"""Expressions as instructions: what a nest's loops and a product's epilogue share.

A `Place` names the cell: an index per axis, how many cells lie side by side along the lane axis,
which of them exist. Values are remembered per place, so a shared subexpression is emitted once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from gemel.codegen.emitter import Emitter, Typed, element
from gemel.codegen.llvm import Function, Value
from gemel.codegen.nest import Access, Bound, Expr, Store
from gemel.codegen.sizes import is_size
from gemel.runtime.dtype import int64

SPACED = 4  # steps between cells up to which whole vectors are loaded instead of single cells


@dataclass
class Place:
    """A cell, or `lanes` neighbouring cells along the lane axis of which `mask` exist."""

    index: dict[int, object]
    lanes: int
    mask: Value | None
    memo: dict[int, Typed]
    outer: Place | None = None

    def at(self, axis: int, index, lanes: int | None = None, mask=None) -> Place:
        """A place inside this one, with one more index."""
        if lanes is None:
            lanes, mask = self.lanes, self.mask
        return Place({**self.index, axis: index}, lanes, mask, {}, self)

    def known(self, e: Expr) -> Typed | None:
        place: Place | None = self
        while place is not None:
            found = place.memo.get(id(e))
            if found is not None:
                return found
            place = place.outer
        return None


class Evaluator:
    """Emits expressions, loads and stores.

    pointers  buffer number -> pointer
    lane_axis the axis along which vectors run, or None
    scalars   (f, expr) -> Typed: a run-time number
    fault     (f, bad, value, fault) or None where the kernel checks nothing
    """

    def __init__(self, f: Function, pointers, lane_axis: int | None, scalars, fault: Callable):
        self.f = f
        self.pointers = pointers
        self.lane_axis = lane_axis
        self.scalars = scalars
        self.fault = fault
        self.emit = Emitter(f, self._on_fault)
        self._here: Place | None = None

    def value(self, e: Expr, place: Place) -> Typed:
        """The expression's value at the place: a scalar, or a vector where it varies by lane."""
        found = place.known(e)
        if found is None:
            found = place.memo[id(e)] = getattr(self, "_" + e.kind)(e, place)
        return found

    # ---------- kinds of expressions ----------
    def _const(self, e: Expr, place: Place) -> Typed:
        return self.emit.constant(e.payload, e.dtype)

    def _scalar(self, e: Expr, place: Place) -> Typed:
        return self.scalars(self.f, e)

    def _index(self, e: Expr, place: Place) -> Typed:
        axis, scale, offset = e.payload
        value = self.f.add(self.f.mul(self.position(axis, place), scale), offset)
        return self.emit.convert(Typed(value, int64), e.dtype)

    def position(self, axis: int, place: Place) -> Value:
        """The index along an axis as an i64, one per lane along the lane axis."""
        base = self.integer(place.index[axis])
        if axis != self.lane_axis or place.lanes == 1:
            return base
        return self.f.add(self.f.lanes_index(place.lanes, "i64"), base)

    def integer(self, x) -> Value:
        return x if isinstance(x, Value) else self.f.constant(x, "i64")

    def _apply(self, e: Expr, place: Place) -> Typed:
        _, lower, attrs = e.payload
        args = [self.value(a, place) for a in e.args]
        self._here = place
        return lower(self.emit, attrs, *args)

    def _load(self, e: Expr, place: Place) -> Typed:
        elem = element(e.dtype)
        pointer = self.address(e.payload, place, elem)
        return Typed(self._vector(pointer, elem, self._lane_stride(e.payload), place), e.dtype)

    def _edge(self, e: Expr, place: Place) -> Typed:
        """A load that touches no memory where an index falls outside."""
        a, bounds, number = e.payload
        elem = element(e.dtype)
        outside = self.emit.constant(number, e.dtype).value
        inside = [self._within(b, place) for b in bounds]
        single = [m for m in inside if m.lanes == 1]
        stride = self._lane_stride(a)
        pointer = self.address(a, place, elem)
        if place.lanes == 1 or (stride == 0 and len(single) == len(inside)):
            mask = reduce(lambda m, n: self.f.binary("and", m, n), single)
            return Typed(self.f.load(pointer, elem, mask=mask, other=outside), e.dtype)
        masks = [self.f.splat(m, place.lanes) for m in inside]
        if place.mask is not None:
            masks.append(place.mask)
        mask = reduce(lambda m, n: self.f.binary("and", m, n), masks)
        if stride == 1:
            other = self.f.splat(outside, place.lanes)
            found = self.f.load(pointer, elem, place.lanes, mask=mask, other=other)
            return Typed(found, e.dtype)
        there = Place(place.index, place.lanes, mask, {})
        found = self._vector(pointer, elem, stride, there) if stride else None
        if found is None:
            found = self.f.gather(pointer, self._steps(place.lanes, 0), elem, mask)
        return Typed(self.f.select(mask, found, self.f.splat(outside, place.lanes)), e.dtype)

    def _within(self, bound: Bound, place: Place) -> Value:
        """Is an index inside? One truth value, or one per lane."""
        at: object = bound.start
        step = 0
        for axis, s in bound.steps:
            at = self.f.add(at, self.f.mul(place.index[axis], s))
            step += s if axis == self.lane_axis else 0
        near = self.f.convert(self.integer(at), "i32")
        if step and place.lanes > 1:
            steps = self.f.constants([i * step for i in range(place.lanes)], "i32")
            near = self.f.add(steps, near)
        size = self.f.constant(bound.size, "i32", near.lanes)
        return self.f.compare("<", near, size, unsigned=True)

    def _pick(self, e: Expr, place: Place) -> Typed:
        """A load at a data-dependent further offset."""
        a, stride, _ = e.payload
        elem = element(e.dtype)
        pointer = self.address(a, place, elem)
        inner = self._lane_stride(a)
        far = self._far(self.value(e.args[0], place), stride)
        if far.lanes == 1:
            pointer = self.f.gep(pointer, far, elem)
            return Typed(self._vector(pointer, elem, inner, place), e.dtype)
        if inner:
            far = self.f.add(far, self._steps(place.lanes, inner))
        return Typed(self.f.gather(pointer, far, elem, place.mask), e.dtype)

    def _reduce(self, e: Expr, place: Place) -> Typed:
        raise AssertionError(f"{e} is read before it is complete")

    _product = _reduce

    # ---------- memory ----------
    def address(self, a: Access, place: Place, elem: str) -> Value:
        offset = a.offset
        for axis, stride in a.strides:
            offset = self.f.add(offset, self.f.mul(place.index[axis], stride))
        return self.f.gep(self.pointers[a.buffer], offset, elem)

    def _lane_stride(self, a: Access) -> int:
        return a.stride(self.lane_axis) if self.lane_axis is not None else 0

    def _steps(self, lanes: int, stride: int) -> Value:
        if is_size(stride):
            return self.f.mul(self.f.lanes_index(lanes, "i64"), stride)
        return self.f.constants([i * stride for i in range(lanes)], "i64")

    def _far(self, index: Typed, stride: int) -> Value:
        wide = self.f.convert(index.value, "i64", signed=index.dtype.kind != "u")
        return self.f.mul(wide, self.integer(stride)) if stride != 1 else wide

    def _vector(self, pointer: Value, elem: str, stride: int, place: Place) -> Value:
        if stride == 0 or place.lanes == 1:
            return self.f.load(pointer, elem)
        if stride == 1:
            return self.f.load(pointer, elem, place.lanes, mask=place.mask)
        if not is_size(stride) and 1 < stride <= SPACED:
            return load_spaced(self.f, pointer, elem, stride, place)
        return self.f.gather(pointer, self._steps(place.lanes, stride), elem, place.mask)

    def store_all(self, stores: list[Store], place: Place) -> None:
        """Store several values; all are computed first: a store may overwrite what is read."""
        for s in stores:
            self.value(s.value, place)
        for s in stores:
            self.store(s, place)

    def store(self, s: Store, place: Place) -> None:
        x = self.value(s.value, place)
        pointer = self.address(s.target, place, x.value.elem)
        if s.index is not None:
            far = self._far(self.value(s.index, place), s.stride)
            pointer = self.f.gep(pointer, far, x.value.elem)
        stride = self._lane_stride(s.target)
        if place.lanes == 1 or stride == 0:
            self._put(s, self.f.extract(x.value, 0), pointer, None)
        elif stride == 1:
            self._put(s, self.f.splat(x.value, place.lanes), pointer, place.mask)
        else:
            value = self.f.splat(x.value, place.lanes)
            if not is_size(stride) and 1 < stride <= SPACED and not s.adding:
                store_spaced(self.f, value, pointer, stride, place)
                return
            steps = self._steps(place.lanes, stride)
            if s.adding:
                before = self.f.gather(pointer, steps, value.elem, place.mask)
                value = self._joined(s, before, value)
            self.f.scatter(value, pointer, steps, place.mask)

    def _put(self, s: Store, value: Value, pointer: Value, mask) -> None:
        if s.adding:
            before = self.f.load(pointer, value.elem, value.lanes, mask=mask)
            value = self._joined(s, before, value)
        self.f.store(value, pointer, mask=mask)

    def _joined(self, s: Store, before: Value, value: Value) -> Value:
        dtype = s.value.dtype
        return self.emit.arith(s.how, Typed(before, dtype), Typed(value, dtype)).value

    # ---------- checks ----------
    def _on_fault(self, bad: Value, value: Value, fault) -> None:
        mask = self._here.mask
        if mask is not None and bad.lanes > 1:
            bad = bad & mask
        self.fault(self.f, bad, value, fault)


# ---------- cells that lie a small step apart ----------
def load_spaced(f: Function, pointer: Value, elem: str, stride: int, place: Place) -> Value:
    """Every `stride`-th element, from masked vectors that touch nothing else: far quicker than a
    gather."""
    lanes = place.lanes
    parts = [
        f.load(f.gep(pointer, k * lanes, elem), elem, lanes, mask=_part_mask(f, k, stride, place))
        for k in range(stride)
    ]
    places = [divmod(i * stride, lanes) for i in range(lanes)]
    out = f.shuffle(parts[0], parts[1], [k * lanes + j if k < 2 else 0 for k, j in places])
    for k, part in enumerate(parts[2:], 2):
        taken = [lanes + j if at == k else i for i, (at, j) in enumerate(places)]
        out = f.shuffle(out, part, taken)
    return out


def store_spaced(f: Function, x: Value, pointer: Value, stride: int, place: Place) -> None:
    """Store lane i to element `i * stride`; the elements between are left alone."""
    lanes = place.lanes
    for k in range(stride):
        part = f.shuffle(x, None, [(k * lanes + j) // stride for j in range(lanes)])
        mask = _part_mask(f, k, stride, place)
        f.store(part, f.gep(pointer, k * lanes, x.elem), mask=mask)


def _part_mask(f: Function, k: int, stride: int, place: Place) -> Value:
    """Which elements of part k belong to lanes that exist."""
    lanes = place.lanes
    cells = range(k * lanes, (k + 1) * lanes)
    if place.mask is None:
        return f.constants([e % stride == 0 for e in cells], "i1")
    nowhere = f.constant(False, "i1", lanes)
    lane_of = [e // stride if e % stride == 0 else lanes for e in cells]
    return f.shuffle(place.mask, nowhere, lane_of)
