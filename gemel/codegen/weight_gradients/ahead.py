"""The next block of a weight gradient is fetched while one is computed.

Role: a part of `weight_gradient`. A block reads short runs of memory, one per channel and one per
column, that lie too far apart for the machine to foresee. Each tile asks for its share of the lines
of both operands in the block after its own. Only runs of neighbouring positions are fetched: where
channels are neighbours, a block is one run, and nothing needs to be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

from gemel.codegen.blocks import LINE, split
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.weight_gradients.plan import GradientPlan

_CYCLES = 40  # of a tile, for a line at least: more lines would hold it up


@dataclass(frozen=True)
class Runs:
    """Runs of neighbouring elements: `lanes` of them (channels or columns) in `images` images.

    `lead`: elements from the block's start to the first run.
    """

    elem: str
    lanes: int
    lane_stride: int
    images: int
    image_stride: int
    lead: int
    elements: int

    @property
    def lines(self) -> int:
        """Cache lines of a run."""
        return ceil(self.elements * SIZES[self.elem] / LINE)

    @property
    def total(self) -> int:
        return self.lanes * self.images * self.lines


class NextBlock:
    """What is fetched; `tiles`: of a panel in a whole piece."""

    def __init__(self, plan: GradientPlan, tiles: int):
        self.tiles = tiles
        slots = tiles * plan.pieces.columns, tiles
        most = plan.positions.depth * plan.tile.rows * plan.tile.vectors / 2 / _CYCLES
        found = (_image_runs(plan), _plain_runs(plan))
        self.runs = [
            runs if runs is not None and 0 < runs.total <= most * count else None
            for runs, count in zip(found, slots, strict=True)
        ]
        self.slots = slots

    def fetch(self, f: Function, places: Sequence[Value], panel: Operand, tile: Operand) -> None:
        """The share of tile `tile` of panel `panel`; `places`: where the next block begins in both
        operands (in the plain one, at the panel's first column)."""
        numbers = f.add(f.mul(panel, self.tiles), tile), tile
        for runs, place, number, slots in zip(self.runs, places, numbers, self.slots, strict=True):
            if runs is not None:
                self._share(f, runs, place, number, ceil(runs.total / slots))

    def _share(self, f: Function, runs: Runs, place: Value, number: Operand, each: int) -> None:
        size = SIZES[runs.elem]
        with f.loop(0, each, nonempty=True) as loop:
            line = f.add(f.mul(number, each), loop.index)
            lane, image, line = split(f, line, (runs.images, runs.lines))
            at = f.add(f.mul(lane, runs.lane_stride * size), f.mul(line, LINE))
            at = f.add(at, f.mul(image, runs.image_stride * size))
            f.prefetch(f.gep(place, f.add(at, runs.lead * size), "i8"), cache=2)


def _image_runs(plan: GradientPlan) -> Runs | None:
    """Per channel; places that the block before has read are left out."""
    roles, positions = plan.roles, plan.positions
    width = plan.block.width if plan.block is not None else 0
    if len(roles.image) != 1 or width or roles.windows[-1].unit[0] != 1:
        return None
    elem, stride = roles.image[0].elem, roles.single("rows").strides[0]
    outer = positions.axis - len(roles.depth)
    if outer >= 0:
        window = roles.windows[outer]
        lead = (window.kept.size - 1) * window.kept_step * window.unit[0]
        run = positions.chunk * window.summed_step * window.unit[0]
        return Runs(elem, plan.pieces.channels, stride, 1, 0, lead, run)
    if len(roles.depth) != 1:
        return None
    (depth,) = roles.depth
    lead = -sum(window.start * window.unit[0] for window in roles.windows)
    run = max(window.size * window.unit[0] for window in roles.windows)
    images = positions.chunk
    return Runs(elem, plan.pieces.channels, stride, images, depth.strides[0], lead, run)


def _plain_runs(plan: GradientPlan) -> Runs | None:
    """Per column."""
    roles, positions = plan.roles, plan.positions
    number = len(roles.image)
    if len(roles.plain) != 1 or roles.windows[-1].summed.strides[number] != 1:
        return None
    elem, stride = roles.plain[0].elem, roles.single("columns").strides[number]
    outer = positions.axis - len(roles.depth)
    if outer >= 0:
        run = positions.chunk * roles.windows[outer].summed.strides[number]
        return Runs(elem, plan.nr, stride, 1, 0, 0, run)
    if len(roles.depth) != 1:
        return None
    (depth,) = roles.depth
    run = prod(window.summed.size for window in roles.windows)
    return Runs(elem, plan.nr, stride, positions.chunk, depth.strides[number], 0, run)
