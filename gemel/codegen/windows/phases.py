"""The phases of a strided input gradient: which axes they are, and the taps of each.

Role: what the strategy for strided input gradients knows about a `Contraction` before it decides
anything. Along a window of stride s the place `s * q + phase` of the result meets some pairs of a
tap and a step `q + shift`; both are indices of their own here, and where no tap belongs to a phase
and a shift, a bound of the weights says so. All sizes are small and known, so the pairs that exist
are listed. Results of neighbouring phases are neighbours in memory: the phases of the last window
count as lanes beside the positions q.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.windows.plan import Groups, Side, count, group, merge

_MOST_PAIRS = 4096  # of phases and shifts
_MANY_ROWS = 8  # each phase needs so many where nothing else tells phases from other rows
_MOST_LANES = 4  # neighbouring phases whose vectors are turned in registers


@dataclass(frozen=True)
class Tap:
    """A shift of the steps (its number), and where the weights of the tap begin."""

    shift: int
    weights: int


@dataclass(frozen=True)
class Phases:
    """groups    the contraction; `left` are the weights
    rows      channels of the result
    outer     phases whose results lie apart
    lane      how many phases lie side by side
    shifts    summed axes of both operands' windows
    channels  the other summed axes
    taps      per phase, the last one of `lane` fastest
    result    the groups as the result sees them: columns are positions with their side by side
              phases
    """

    groups: Groups
    rows: tuple[Axis, ...]
    outer: tuple[Axis, ...]
    lane: int
    shifts: tuple[Axis, ...]
    channels: tuple[Axis, ...]
    taps: tuple[tuple[Tap, ...], ...]
    result: Groups

    @property
    def pairs(self) -> int:
        """Pairs of a phase and a tap."""
        return sum(map(len, self.taps))


def phases(spec: Contraction) -> Phases | None:
    """The phases of a contraction; None where it has another form."""
    for swapped in (False, True):
        groups = group(spec, swapped)
        if _suits(groups):
            found = _sorted(groups)
            if found is not None:
                return found
    return None


def _suits(groups: Groups) -> bool:
    if groups.empty or groups.void or not groups.columns:
        return False
    if len(groups.left.accesses) != 1 or len(groups.right.accesses) != 1 or not groups.tile:
        return False
    return all(_of_phases(groups, check.form) for check in groups.left.checks)


def _of_phases(groups: Groups, form: int) -> bool:
    """Whether a bound of the weights is one of phases: fewer than the places of a shift."""
    kept = [axis.size for axis in groups.rows if axis.strides[form]]
    steps = [abs(axis.strides[form]) for axis in groups.k if axis.strides[form]]
    others = any(axis.strides[form] for axis in groups.batch)
    return not others and all(size <= min(steps, default=_MOST_LANES) for size in kept)


def _checked(axis: Axis, *sides: Side) -> bool:
    return any(axis.strides[check.form] for side in sides for check in side.checks)


def _sorted(groups: Groups) -> Phases | None:
    left, right = groups.left, groups.right
    side_by_side = [axis for axis in groups.rows if _neighbours(groups, axis)][:1]
    outer = tuple(axis for axis in groups.rows if _checked(axis, left) and axis not in side_by_side)
    own = (*outer, *side_by_side)
    shifts = tuple(axis for axis in groups.k if _checked(axis, left, right))
    if not own or count(own) * count(shifts) > _MOST_PAIRS:
        return None
    rows = tuple(axis for axis in groups.rows if axis not in own)
    taps = tuple(_taps(groups, own, shifts))
    if not any(taps) or not (left.checks or count(rows) >= _MANY_ROWS):
        return None
    return Phases(
        groups,
        rows,
        outer,
        count(side_by_side),
        shifts,
        tuple(axis for axis in groups.k if axis not in shifts),
        taps,
        replace(groups, rows=rows, columns=_interleaved(groups, side_by_side)),
    )


def _neighbours(groups: Groups, axis: Axis) -> bool:
    """Whether the phases of an axis lie between neighbouring positions, for every array."""
    arrays = range(groups.first_tile, groups.first_tile + len(groups.tile))
    wide = groups.columns[-1]
    between = all(wide.strides[i] == axis.size * axis.strides[i] for i in arrays)
    return between and axis.size <= _MOST_LANES and axis.strides[groups.first_tile] == 1


def _interleaved(groups: Groups, side_by_side: list[Axis]) -> tuple[Axis, ...]:
    """Positions with their phases, in the order of the result; only its strides count."""
    first, after = groups.first_tile, groups.first_tile + len(groups.tile)
    axes = [
        Axis(axis.size, tuple(s * (first <= i < after) for i, s in enumerate(axis.strides)))
        for axis in (*groups.columns, *side_by_side)
    ]
    return merge(axes, (first,))


def _taps(groups: Groups, own: Sequence[Axis], shifts: Sequence[Axis]) -> list[tuple[Tap, ...]]:
    """Per phase the shifts whose weights exist."""
    axes = (*own, *shifts)
    found: list[list[Tap]] = [[] for _ in range(count(own))]
    inner = prod(axis.size for axis in shifts)
    for number, index in enumerate(product(*(range(axis.size) for axis in axes))):
        forms = list(groups.start)
        for axis, i in zip(axes, index, strict=True):
            forms = [form + i * s for form, s in zip(forms, axis.strides, strict=True)]
        if all(0 <= forms[check.form] < check.size for check in groups.left.checks):
            phase, shift = divmod(number, inner)
            found[phase].append(Tap(shift, forms[groups.left.first]))
    return [tuple(taps) for taps in found]
