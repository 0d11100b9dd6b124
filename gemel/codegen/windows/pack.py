"""Gathered panels: any operand, any bounds, element by element.

Role: write `width` neighbouring positions of a flattened group for a block of k as `[k][width]`.
Nothing is assumed about strides; elements outside of a bound are not touched and read as 0, and
lanes that do not exist hold zeros, too. The prologue runs here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.products.packing import Join, each_k
from gemel.codegen.windows.lanes import Lanes, inside
from gemel.codegen.windows.plan import Groups, Side


@dataclass(frozen=True)
class Reader:
    """An operand at a place: its arrays' addresses, and the element type after its prologue."""

    side: Side
    pointers: Sequence[Value]
    elem: str
    join: Join | None

    @property
    def plain(self) -> bool:
        """One array of the right element and no prologue: bytes can be moved as they are."""
        only = len(self.side.accesses) == 1 and self.join is None
        return only and self.side.accesses[0].elem == self.elem

    def value(self, f: Function, loaded: list[Value]) -> Value:
        """The operand's value from the loaded ones: the prologue, or a conversion."""
        if self.join is not None:
            return self.join(f, loaded)
        return f.convert(loaded[0], self.elem, signed=self.side.accesses[0].signed)


def readers(groups: Groups, pointers: Pointers, joins: Joins) -> tuple[Reader, Reader]:
    """The operand of the rows and that of the columns."""
    operands = [(pointers.left, joins[0]), (pointers.right, joins[1])]
    if groups.swapped:
        operands.reverse()
    (left, first), (right, second) = operands
    return (
        Reader(groups.left, left, groups.elem, first),
        Reader(groups.right, right, groups.elem, second),
    )


def pack_gathered(
    f: Function,
    reader: Reader,
    axes: Sequence[Axis],
    first: Operand,
    width: int,
    target: Value,
    k: Sequence[Axis],
    k_sizes: Sequence[Operand],
    forms: Sequence[Operand],
    lanes: int,
) -> None:
    """The panel of `width` positions of `axes` from `first` on, for a k block at `forms`."""
    side = reader.side
    starts = range(0, width, lanes)
    parts = [Lanes(f, axes, f.add(first, start), min(lanes, width - start)) for start in starts]
    along = [{form: part.form(form) for form in side.forms} for part in parts]

    def copy(linear: Operand, places: list[Operand], _: list[Value]) -> None:
        here = dict(zip(side.forms, places, strict=True))
        row = f.gep(target, f.mul(linear, width), reader.elem)
        for start, part, offsets in zip(starts, parts, along, strict=True):
            value = _gathered(f, reader, part, offsets, here)
            f.store(value, f.gep(row, start, reader.elem))

    strides = [[axis.strides[form] for form in side.forms] for axis in k]
    each_k(f, k_sizes, strides, [forms[form] for form in side.forms], copy)


def _gathered(
    f: Function,
    reader: Reader,
    part: Lanes,
    along: dict[int, Value | None],
    here: dict[int, Operand],
) -> Value:
    """One vector of the operand at one k."""
    side = reader.side
    loaded = []
    for number, access in enumerate(side.accesses):
        mask = part.valid
        for check in side.checks:
            if check.array == number:
                holds = inside(f, check, here[check.form], along[check.form])
                holds = f.splat(holds, part.lanes)
                mask = holds if mask is None else mask & holds
        place = f.gep(reader.pointers[number], here[side.first + number], access.elem)
        offsets = along[side.first + number]
        if offsets is None:
            offsets = f.constants([0] * part.lanes, "i32")
        loaded.append(f.gather(place, offsets, access.elem, mask))
    return reader.value(f, loaded)
