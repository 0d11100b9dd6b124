"""Parts of a nest's axes, and what the code of a piece reads.

Role: the arithmetic of cutting. Input: a `Nest`, axes, a wish for a number of pieces. Output:
`Cut`s, and the range of each axis for a piece whose number is known only when it runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gemel.codegen.emitter import Typed
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.nest import Expr, Nest
from gemel.codegen.nests.loops import UNROLL, NestEmitter, row_block
from gemel.codegen.nests.tiles import tile_axis
from gemel.codegen.sizes import hint

LINE = 64  # bytes of a cache line


@dataclass(frozen=True)
class Cut:
    """An axis in `count` parts of `step` indices each; the last may be shorter."""

    axis: int
    size: int
    count: int
    step: int


@dataclass
class Context:
    """What a piece's code reads besides the nest: see `NestEmitter`."""

    f: Function
    pointers: list[Value]
    scalars: Callable[[Function, Expr], Typed]
    fault: Callable
    shared: Value | None

    def emitter(self, nest: Nest, ranges=None) -> NestEmitter:
        return NestEmitter(self.f, nest, self.pointers, self.scalars, self.fault, ranges)


def cut_axes(nest: Nest, axes: Sequence[int], pieces: int) -> tuple[Cut, ...]:
    """Parts of the outermost axes, about as many as wanted; () when there is nothing to cut."""
    cuts = []
    across = tile_axis(nest)
    for axis in axes:
        size = nest.sizes[axis]
        grain = nest.width if axis == across else 1
        if axis == nest.lanes:
            grain = _lane_grain(nest)
        parts = min(pieces, -(-hint(size) // grain))
        if parts < 2:
            continue
        step = -(-size // (parts * grain)) * grain
        cuts.append(Cut(axis, size, -(-size // step), step))
        pieces //= hint(cuts[-1].count)
    return tuple(cuts)


def _lane_grain(nest: Nest) -> int:
    """Cells along the lanes that a loop takes in one turn."""
    return nest.width * (row_block(nest) if nest.lanes in nest.rows else UNROLL)


def count(cuts: Sequence[Cut]) -> int:
    return math.prod(cut.count for cut in cuts)


def ranges(f: Function, cuts: Sequence[Cut], piece: Operand) -> dict[int, tuple]:
    """The part of each axis that a piece walks; neighbouring pieces differ in the last axis."""
    out = {}
    for k, cut in reversed(list(enumerate(cuts))):
        part = f.urem(piece, cut.count) if k else piece
        piece = f.udiv(piece, cut.count) if k else piece
        low = f.mul(part, cut.step)
        out[cut.axis] = (low, f.min(f.add(low, cut.step), cut.size))
    return out


def padded(size: int) -> int:
    """Whole cache lines: pieces do not write to each other's."""
    return -(-size // LINE) * LINE
