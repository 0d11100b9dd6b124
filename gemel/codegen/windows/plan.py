"""Contractions over flattened axes: groups, linear forms, tile and blocks.

Role: the decisions that the strategies for windows (convolution and its gradients) share. Input: a
`Contraction`, whose operands may be bounded. Output: `Groups` of axes, a tile shape, chunks of k.

Everything that is affine in the indices is a *form*: the element offset of an array, and the index
that a bound checks. An `Axis` has one stride per form, so that axes merge only where every array
and every bound allows it. Unlike in plain tiles, all axes of a group count as one long axis: a tile
may begin in one image and end in the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

from gemel.codegen.blocks import even_block
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.products.contraction_spec import Access, Contraction


@dataclass(frozen=True)
class Check:
    """A bound of one of a side's arrays: `0 <= form + start < size`."""

    array: int
    form: int
    start: int
    size: int


@dataclass(frozen=True)
class Side:
    """An operand: its arrays have the forms `first`, `first + 1` ..., its bounds those named."""

    accesses: tuple[Access, ...]
    first: int
    checks: tuple[Check, ...]

    @property
    def forms(self) -> list[int]:
        return [*range(self.first, self.first + len(self.accesses)), *(c.form for c in self.checks)]

    def uses(self, strides: Sequence[int]) -> bool:
        return any(strides[form] for form in self.forms)


@dataclass(frozen=True)
class Groups:
    """The axes of a contraction by use, and its arrays as forms. `left` belongs to the rows."""

    elem: str
    swapped: bool
    left: Side
    right: Side
    tile: tuple[Access, ...]
    first_tile: int
    forms: int
    batch: tuple[Axis, ...]
    rows: tuple[Axis, ...]
    columns: tuple[Axis, ...]
    k: tuple[Axis, ...]

    @property
    def empty(self) -> bool:
        return any(axis.size == 0 for axis in (*self.batch, *self.rows, *self.columns))

    @property
    def void(self) -> bool:
        """The sum has no terms."""
        return any(axis.size == 0 for axis in self.k)

    @property
    def depth(self) -> int:
        return count(self.k)

    @property
    def start(self) -> list[int]:
        """The value of every form at all indices 0."""
        values = [0] * self.forms
        for check in (*self.left.checks, *self.right.checks):
            values[check.form] = check.start
        return values


def count(axes: Sequence[Axis]) -> int:
    """How many index combinations a group has."""
    return prod(axis.size for axis in axes)


def group(spec: Contraction, swapped: bool) -> Groups:
    """Sort the axes by the operands that use them; `swapped` exchanges the operands' roles."""
    arrays = (spec.right, spec.left) if swapped else (spec.left, spec.right)
    first_tile = len(arrays[0]) + len(arrays[1])
    first_check = first_tile + len(spec.tile)
    left = _side(arrays[0], 0, first_check)
    right = _side(arrays[1], len(arrays[0]), first_check + len(left.checks))
    sorted_axes: dict[str, list[Axis]] = {"batch": [], "rows": [], "columns": [], "k": []}
    for axis, reduced in zip(_axes(spec, arrays), spec.reduced, strict=True):
        if axis.size != 1:
            sorted_axes[_name(axis, reduced, left, right)].append(axis)
    key = (first_tile,)
    return Groups(
        elem=spec.elem,
        swapped=swapped,
        left=left,
        right=right,
        tile=spec.tile,
        first_tile=first_tile,
        forms=first_check + len(left.checks) + len(right.checks),
        batch=merge(sorted_axes["batch"], key),
        rows=merge(sorted_axes["rows"], key),
        columns=merge(sorted_axes["columns"], key),
        k=merge(sorted_axes["k"], (right.first, left.first)),
    )


def _side(accesses: tuple[Access, ...], first: int, first_check: int) -> Side:
    bounds = [(i, bound) for i, access in enumerate(accesses) for bound in access.bounds]
    checks = [
        Check(array, first_check + number, bound.start, bound.size)
        for number, (array, bound) in enumerate(bounds)
    ]
    return Side(accesses, first, tuple(checks))


def _axes(spec: Contraction, arrays: tuple[tuple[Access, ...], ...]) -> list[Axis]:
    """Every axis with its stride in every form."""
    operands = (*arrays[0], *arrays[1])
    rows = [access.strides for access in (*operands, *spec.tile)]
    rows += [bound.steps for access in operands for bound in access.bounds]
    if any(len(row) != len(spec.sizes) for row in (*rows, spec.reduced)):
        raise ValueError(f"{len(spec.sizes)} axes, but an access, bound or flag counts others")
    return [Axis(size, tuple(row[i] for row in rows)) for i, size in enumerate(spec.sizes)]


def _name(axis: Axis, reduced: bool, left: Side, right: Side) -> str:
    if reduced:
        return "k"
    if left.uses(axis.strides) == right.uses(axis.strides):
        return "batch"
    return "rows" if left.uses(axis.strides) else "columns"


def merge(axes: Sequence[Axis], keys: Sequence[int]) -> tuple[Axis, ...]:
    """Axes from large to small stride of the key forms, contiguous neighbours joined."""
    merged: list[Axis] = []
    for axis in sorted(axes, key=lambda axis: [-abs(axis.strides[key]) for key in keys]):
        if merged and _continues(merged[-1], axis, range(len(axis.strides))):
            merged[-1] = Axis(merged[-1].size * axis.size, axis.strides)
        else:
            merged.append(axis)
    return tuple(merged)


def _continues(wide: Axis, near: Axis, forms: Sequence[int]) -> bool:
    return all(wide.strides[i] == near.size * near.strides[i] for i in forms)


def inner_run(axes: Sequence[Axis], forms: Sequence[int]) -> tuple[int, tuple[Axis, ...]]:
    """How many consecutive positions are affine in the given forms, and the axes around them."""
    if not axes:
        return 1, ()
    outer = list(axes)
    last = outer.pop()
    while outer and _continues(outer[-1], last, forms):
        wide = outer.pop()
        last = Axis(wide.size * last.size, last.strides)
    return last.size, tuple(outer)


def tile_shape(
    rows: int, columns: int, lanes: int, registers: int, most_rows: int = 14
) -> tuple[int, int]:
    """Rows and vectors of a register tile with the fewest cycles (two FMA, two loads in each)."""
    best = None
    # Tiles of many vectors need long panels and few rows; they are for few rows only.
    widest = 4 if rows >= 6 else 8
    for vectors in range(1, widest + 1):
        if vectors > 1 and (vectors - 1) * lanes >= columns:
            break
        for mr in range(1, min(rows, most_rows) + 1):
            if mr * vectors + vectors + 1 > max(registers, 3):
                break
            sums = mr * vectors
            # Bookkeeping costs each step a little; below eight sums the latency of FMA shows.
            step = max(sums / 2, (mr + vectors) / 2, 4.0) + 0.3 + 0.06 * (mr + vectors) + 1.0 / sums
            cycles = ceil(rows / mr) * ceil(columns / (vectors * lanes)) * step
            if best is None or cycles < best[0]:
                best = cycles, mr, vectors
    assert best is not None
    return best[1], best[2]


def divided(total: int, most: int) -> int:
    """The size of equal blocks as above; one that divides the total where it is not much smaller:
    loops over it have a known length."""
    block = even_block(total, most)
    exact = max(size for size in range(1, block + 1) if total % size == 0) if total else 1
    return exact if exact * 4 >= block * 3 else block


def cut(panels: tuple[int, int], least: tuple[int, int], most: int) -> tuple[int, int]:
    """Block sizes of two groups of panels for up to `most` blocks.

    The first group is cut first; no block is smaller than `least`, so that what is packed or
    fetched for a block is used often enough.
    """
    first = max(1, min(most, panels[0] // least[0]))
    second = max(1, min(most // first, panels[1] // least[1]))
    return ceil(panels[0] / first), ceil(panels[1] / second)


@dataclass(frozen=True)
class Depth:
    """k in blocks: a block has at most `chunks[i]` indices of axis i; loops run in this order."""

    axes: tuple[Axis, ...]
    chunks: tuple[int, ...]

    @property
    def counts(self) -> list[int]:
        return [ceil(a.size / chunk) for a, chunk in zip(self.axes, self.chunks, strict=True)]

    @property
    def blocks(self) -> int:
        return prod(self.counts)

    @property
    def block(self) -> int:
        """The largest number of k values in a block."""
        return prod(self.chunks)


def chunked(axes: tuple[Axis, ...], most: int) -> Depth:
    """Blocks of about `most` values, whole in as many outer axes as possible."""
    chunks = []
    room = most
    for axis in axes:
        chunks.append(divided(axis.size, room))
        room = max(1, room // chunks[-1])
    return Depth(axes, tuple(chunks))
