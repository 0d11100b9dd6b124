"""Positions of flattened axes: offsets of one position, and of a vector of neighbours.

Role: turn a place in a group of axes into values of its forms (see `windows_plan`). Scalars are
Python numbers where they are known; vectors are integers per lane, with the mask of the lanes that
exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gemel.codegen.blocks import split, stepped
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.windows.plan import Check, Depth, count

Forms = list[Operand]


def advance(f: Function, forms: Sequence[Operand], axis: Axis, index: Operand) -> Forms:
    """All forms, `index` steps further along an axis."""
    return stepped(f, forms, axis.strides, index)


def _places(f: Function, index: Operand, sizes: Sequence[int]) -> list[Operand]:
    """The indices of a flat position along axes of these sizes."""
    return split(f, index, sizes[1:]) if sizes else []


def locate(f: Function, forms: Sequence[Operand], axes: Sequence[Axis], index: Operand) -> Forms:
    """All forms at a flat position of a group."""
    moved = list(forms)
    places = _places(f, index, [axis.size for axis in axes])
    for axis, place in zip(axes, places, strict=True):
        moved = advance(f, moved, axis, place)
    return moved


def locate_block(
    f: Function, depth: Depth, index: Operand, forms: Sequence[Operand]
) -> tuple[list[Operand], Forms]:
    """The sizes of a block of k along its axes, and all forms at its start."""
    sizes: list[Operand] = []
    moved = list(forms)
    places = _places(f, index, depth.counts)
    for axis, chunk, place in zip(depth.axes, depth.chunks, places, strict=True):
        start = f.mul(place, chunk)
        moved = advance(f, moved, axis, start)
        whole = axis.size % chunk == 0
        sizes.append(chunk if whole else f.min(f.sub(axis.size, start), chunk))
    return sizes, moved


@dataclass(frozen=True)
class KBlock:
    """A block of k: its number, its sizes, all forms there, its first panel of weights.

    `batch` are the forms of the batch entry alone.
    """

    index: Operand
    sizes: list[Operand]
    forms: Forms
    weights: Operand
    batch: Forms


class Lanes:
    """`lanes` neighbouring positions of a group from a flat position on.

    `valid` is the mask of those that exist (None: all do).
    """

    def __init__(self, f: Function, axes: Sequence[Axis], first: Operand, lanes: int):
        self.function = f
        self.axes = axes
        self.lanes = lanes
        self._elem = "i32" if _extent(axes) < 1 << 31 else "i64"
        total = count(axes)
        aligned = total % lanes == 0 and (isinstance(first, int) and first % lanes == 0)
        self.valid = None if aligned else f.lanes_below(f.sub(total, first), lanes)
        self._indices = self._split(first)

    def _split(self, first: Operand) -> list[Value]:
        f = self.function
        start = f.splat(f.convert(first, self._elem), self.lanes, self._elem)
        index = f.add(f.lanes_index(self.lanes, self._elem), start)
        return _places(f, index, [axis.size for axis in self.axes])

    def form(self, number: int) -> Value | None:
        """One form relative to the group's start; None: the same in every lane (0)."""
        f = self.function
        total: Value | None = None
        for axis, index in zip(self.axes, self._indices, strict=True):
            stride = axis.strides[number]
            if stride:
                term = f.mul(index, f.constant(stride, self._elem, self.lanes))
                total = term if total is None else f.add(total, term)
        return total


def _extent(axes: Sequence[Axis]) -> int:
    """A bound of all positions and of all forms of a group."""
    forms = zip(*(axis.strides for axis in axes), strict=True)
    spans = [
        sum(abs(stride) * axis.size for stride, axis in zip(form, axes, strict=True))
        for form in forms
    ]
    return max([count(axes), *spans])


def inside(f: Function, check: Check, place: Operand, along: Value | None) -> Value:
    """Whether a bound holds: for all lanes at once, or lane by lane."""
    if along is None:
        return f.compare("<", f.lift(place, f.constant(0, "i64").type), check.size, unsigned=True)
    here = f.convert(place, along.elem)
    spread = f.splat(here, along.lanes, along.elem)
    return f.compare("<", f.add(along, spread), check.size, unsigned=True)
