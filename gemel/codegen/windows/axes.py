"""The roles of a windowed contraction's axes.

Role: what the strategies for weight gradients and for few channels have in common before they
decide anything. Input: a `Contraction` one of whose operands is bounded. Output: `Roles`, or None
where the contraction has another form.

The bounded operand is called the image, the other one the plain operand. Along each window a place
of the image follows from two axes, one summed and one kept:
`place = start + summed_step * summed + kept_step * kept`. In a weight gradient the summed axis
counts the window's positions and the kept one its taps; in a convolution it is the other way round.
The remaining axes are merged into one axis per group where they are contiguous for every array:

    batch    kept, in both operands (groups of channels)
    rows     kept, in the image only
    columns  kept, in the plain operand only
    depth    summed, in both operands, without a window
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeVar

from gemel.codegen.blocks import stepped
from gemel.codegen.llvm import Function, Operand
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.products.contraction_spec import Access, Bound, Contraction

T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """One dimension in which the image is cut. `unit`: elements per place, for each of its arrays.

    The axes have one stride per array: those of the image, of the plain operand, of the tile. A
    place outside of [0, size) is read as 0.
    """

    summed: Axis
    kept: Axis
    summed_step: int
    kept_step: int
    start: int
    size: int
    unit: tuple[int, ...]

    def span(self, summed: int, kept: int) -> tuple[int, int]:
        """The smallest place of so many indices along each axis, from indices 0 on, relative to
        the place of indices 0; and how many places they span."""
        reach = ((summed - 1) * self.summed_step, (kept - 1) * self.kept_step)
        return sum(min(0, r) for r in reach), sum(abs(r) for r in reach) + 1

    @property
    def leaves(self) -> bool:
        """Whether some place lies outside."""
        below, extent = self.span(self.summed.size, self.kept.size)
        return self.start + below < 0 or self.start + below + extent > self.size


@dataclass(frozen=True)
class Roles:
    """Axes by role; every group may be empty. `swapped`: the image is the right operand."""

    contraction: Contraction
    swapped: bool
    windows: tuple[Window, ...]
    batch: tuple[Axis, ...]
    rows: tuple[Axis, ...]
    columns: tuple[Axis, ...]
    depth: tuple[Axis, ...]

    @property
    def image(self) -> tuple[Access, ...]:
        return self.contraction.right if self.swapped else self.contraction.left

    @property
    def plain(self) -> tuple[Access, ...]:
        return self.contraction.left if self.swapped else self.contraction.right

    @property
    def of_image(self) -> slice:
        """Which strides of an axis are the image's."""
        return slice(0, len(self.image))

    @property
    def of_plain(self) -> slice:
        return slice(len(self.image), len(self.image) + len(self.plain))

    @property
    def of_tile(self) -> slice:
        return slice(len(self.image) + len(self.plain), None)

    @property
    def leaves(self) -> bool:
        """Whether some window reaches places that do not exist."""
        return any(window.leaves for window in self.windows)

    def sides(self, pair: Sequence[T]) -> tuple[T, T]:
        """What belongs to the image and what to the plain operand, of (left, right)."""
        left, right = pair
        return (right, left) if self.swapped else (left, right)

    def offsets(
        self, f: Function, arrays: slice, axes: Sequence[Axis], indices: Sequence[Operand]
    ) -> list[Operand]:
        """Element offsets at indices of axes, one per array of a part of them."""
        out: list[Operand] = [0] * len(self.windows[0].summed.strides[arrays])
        for axis, index in zip(axes, indices, strict=True):
            out = stepped(f, out, axis.strides[arrays], index)
        return out

    def single(self, name: str) -> Axis:
        """The one axis of a group; size 1 where it is empty."""
        group = getattr(self, name)
        count = len(self.image) + len(self.plain) + len(self.contraction.tile)
        return group[0] if group else Axis(1, (0,) * count)


def roles(spec: Contraction) -> Roles | None:
    """Sort the axes; None unless exactly one operand has windows, each of two axes."""
    if 0 in spec.sizes:
        return None
    left, right = _bounds(spec.left), _bounds(spec.right)
    if bool(left) == bool(right):
        return None
    return _sorted(spec, left or right, swapped=bool(right))


def _bounds(side: tuple[Access, ...]) -> list[Bound]:
    return list(dict.fromkeys(bound for access in side for bound in access.bounds))


def _sorted(spec: Contraction, bounds: list[Bound], swapped: bool) -> Roles | None:
    image, plain = (spec.right, spec.left) if swapped else (spec.left, spec.right)
    arrays = (*image, *plain, *spec.tile)
    axes = [Axis(n, tuple(a.strides[i] for a in arrays)) for i, n in enumerate(spec.sizes)]
    windows, used = [], set()
    for bound in bounds:
        members = [i for i, step in enumerate(bound.steps) if step and axes[i].size > 1]
        window = _window(bound, members, axes, spec, len(image), len(plain))
        if window is None or used & set(members):
            return None
        used |= set(members)
        windows.append(window)
    groups: dict[str, list[Axis]] = {"batch": [], "rows": [], "columns": [], "depth": []}
    for i, axis in enumerate(axes):
        if axis.size > 1 and i not in used:
            name = _group(axis, spec.reduced[i], len(image), len(plain))
            if name is None:
                return None
            groups[name].append(axis)
    # From outer to inner in memory; a dimension of one place comes first.
    windows.sort(key=lambda window: -abs(window.unit[0]) if window.unit[0] else -(1 << 62))
    merged = {name: merge(group) for name, group in groups.items()}
    return Roles(spec, swapped, tuple(windows), **merged)


def _window(
    bound: Bound,
    members: list[int],
    axes: list[Axis],
    spec: Contraction,
    images: int,
    plains: int,
) -> Window | None:
    """The window of a bound: at most one summed and one kept axis, with a common unit."""
    by_kind = {True: [], False: []}
    for i in members:
        by_kind[spec.reduced[i]].append(i)
    if any(len(kind) > 1 for kind in by_kind.values()) or not members:
        return None
    none = Axis(1, (0,) * len(axes[0].strides))
    summed, kept = (axes[by_kind[k][0]] if by_kind[k] else none for k in (True, False))
    steps = [bound.steps[by_kind[k][0]] if by_kind[k] else 1 for k in (True, False)]
    if any(kept.strides[images : images + plains]):
        return None
    unit = []
    for array in range(images):
        pairs = [(a.strides[array], step) for a, step in zip((summed, kept), steps, strict=True)]
        found = {stride // step for stride, step in pairs if stride}
        if len(found) > 1 or any(stride % step for stride, step in pairs):
            return None
        unit.append(found.pop() if found else 0)
    return Window(summed, kept, steps[0], steps[1], bound.start, bound.size, tuple(unit))


def _group(axis: Axis, reduced: bool, images: int, plains: int) -> str | None:
    in_image = any(axis.strides[:images])
    in_plain = any(axis.strides[images : images + plains])
    if reduced:
        return "depth" if in_image and in_plain else None
    if in_image == in_plain:
        return "batch" if in_image else None
    return "rows" if in_image else "columns"


def merge(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Axes from large to small strides, neighbours that are contiguous in every array joined."""
    merged: list[Axis] = []
    for axis in sorted(axes, key=lambda axis: [-abs(s) for s in axis.strides]):
        wide = merged[-1] if merged else None
        if wide and wide.strides == tuple(axis.size * stride for stride in axis.strides):
            merged[-1] = Axis(wide.size * axis.size, axis.strides)
        else:
            merged.append(axis)
    return tuple(merged)


def count(axes: Sequence[Axis]) -> int:
    """How many cells a group has."""
    return prod(axis.size for axis in axes)
