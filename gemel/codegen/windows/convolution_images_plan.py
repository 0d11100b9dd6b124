"""Which convolutions take images as lanes, and their blocks.

Role: decisions for `convolution_images`. Where an image is small, many taps of its border positions
fall outside. Lanes that are positions add those as products with 0; lanes that are images of one
position meet a tap all together or not at all, so that it can be left out. Input: the groups of a
contraction and the machine. Output: `Planes` and `Blocks`, or None where positions are as good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, gcd, prod

from gemel.codegen.blocks import even_block
from gemel.codegen.llvm import SIZES
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.windows.plan import Check, Depth, Groups, count, inner_run, tile_shape
from gemel.codegen.windows.tile import Shape
from gemel.runtime.machine import Machine

_PANEL = 0.8  # of the first cache is for the pixels of a block of channels that a position meets
_SUMS = 0.25  # of the second cache is for the sums of a block
_POSITIONS = 64  # in a block, about
_MET = 0.91  # of all taps, at most, meet the image
_DEEP = 256  # products that a pixel takes part in, at least, each time that it is moved
_PIECES = 16  # blocks in all, about, so that cores end at about the same time
_MOST_ROWS = 12


@dataclass(frozen=True)
class Planes:
    """The axes of a convolution by use; taps go forward through the image.

    start   all forms at indices 0, at the first taps
    origin  the first pixel of a plane from the bounded operand's pointer on
    sizes   of such a plane, one per check
    run     how all positions lie in the results
    """

    start: tuple[int, ...]
    origin: int
    images: Axis
    positions: tuple[Axis, ...]
    taps: tuple[Axis, ...]
    channels: Axis
    sizes: tuple[int, ...]
    run: Axis

    @property
    def pixels(self) -> int:
        return prod(self.sizes)


def planes_of(groups: Groups) -> Planes | None:
    """The axes, where each has one use, whole planes lie closely, and so do a row's taps."""
    images, positions = _parted(groups, groups.columns)
    channels, taps = _parted(groups, groups.k)
    moving = _parted(groups, (*groups.batch, *groups.rows))[1]
    if len(images) != 1 or len(channels) != 1 or not positions or not taps or moving:
        return None
    if not all(_follows(groups, axis) for axis in (*positions, *taps)):
        return None
    slots = range(groups.first_tile, groups.first_tile + len(groups.tile))
    length, outer = inner_run(positions, slots)
    if outer or positions[-1].strides[groups.first_tile] != 1:
        return None
    start, taps = _forward(groups, taps)
    checks = groups.right.checks
    if taps[-1].strides[checks[-1].form] != 1:
        return None
    sizes = tuple(check.size for check in checks)
    origin = -sum(check.start * prod(sizes[i + 1 :]) for i, check in enumerate(checks))
    run = Axis(length, positions[-1].strides)
    return Planes(start, origin, images[0], positions, taps, channels[0], sizes, run)


def _parted(groups: Groups, axes: Sequence[Axis]) -> tuple[tuple[Axis, ...], tuple[Axis, ...]]:
    """Those that no bound mentions, and the others."""
    forms = [check.form for check in groups.right.checks]
    bounded = [any(axis.strides[form] for form in forms) for axis in axes]
    free = tuple(axis for axis, is_bounded in zip(axes, bounded, strict=True) if not is_bounded)
    return free, tuple(axis for axis in axes if axis not in free)


def _follows(groups: Groups, axis: Axis) -> bool:
    """Whether a step along one check moves as far in memory as the plane's sizes say."""
    checks = groups.right.checks
    steps = [axis.strides[check.form] for check in checks]
    inner = [prod(check.size for check in checks[i + 1 :]) for i in range(len(checks))]
    moved = sum(step * size for step, size in zip(steps, inner, strict=True))
    return sum(map(bool, steps)) == 1 and axis.strides[groups.right.first] == moved


def _forward(groups: Groups, taps: tuple[Axis, ...]) -> tuple[tuple[int, ...], tuple[Axis, ...]]:
    """The start of all forms, and the taps, in the order in which pixels lie."""
    start, turned = list(groups.start), []
    for axis in taps:
        sign = -1 if axis.strides[groups.right.first] < 0 else 1
        if sign < 0:
            last = axis.size - 1
            start = [at + last * step for at, step in zip(start, axis.strides, strict=True)]
        turned.append(Axis(axis.size, tuple(sign * step for step in axis.strides)))
    return tuple(start), tuple(turned)


def _met(planes: Planes, checks: Sequence[Check]) -> float:
    """The part of all taps that meet the image."""
    part = 1.0
    for check in checks:
        values = [planes.start[check.form]]
        for axis in (*planes.positions, *planes.taps):
            step = axis.strides[check.form]
            if step:
                values = [value + i * step for value in values for i in range(axis.size)]
        part *= sum(0 <= value < check.size for value in values) / len(values)
    return part


@dataclass(frozen=True)
class Blocks:
    """Tile and blocks: `depth` has all taps and blocks of channels."""

    shape: Shape
    depth: Depth
    row_panels: int
    lane_panels: int
    row_block: int
    position_block: int

    @property
    def chunk(self) -> int:
        """Channels of a block."""
        return self.depth.chunks[-1]

    @property
    def turns(self) -> int:
        """Steps in a turn of the inner loop; all blocks have whole turns."""
        whole = gcd(self.chunk, self.depth.axes[-1].size)
        return next(n for n in (4, 3, 2, 1) if whole % n == 0)

    @property
    def pitch(self) -> int:
        """Elements from a row of sums to the next; powers of two would share few sets."""
        return self.position_block * self.shape.nr + self.shape.lanes


def blocks_of(groups: Groups, planes: Planes, machine: Machine) -> Blocks | None:
    """Tile and blocks, or None where images do not fill vectors or little is left out."""
    size = SIZES[groups.elem]
    lanes = machine.lanes(size)
    vectors, odd = divmod(planes.images.size, lanes)
    rows, taps = count(groups.rows), count(planes.taps)
    few = min(planes.run.size, planes.pixels) < lanes
    if odd or few or rows * taps < _DEEP or _met(planes, groups.right.checks) > _MET:
        return None
    wide = lanes * next(n for n in (2, 3, 1) if vectors % n == 0)
    mr, wide = tile_shape(rows, wide, lanes, machine.vector_registers, _MOST_ROWS)
    if vectors % wide:
        return None
    shape = Shape(groups.elem, mr, wide, lanes)
    chunk = _divisor(planes.channels.size, int(machine.l1 * _PANEL) // (taps * shape.nr * size))
    depth = Depth((*planes.taps, planes.channels), (*(a.size for a in planes.taps), chunk))
    panels, positions = ceil(rows / mr), even_block(planes.run.size, _POSITIONS)
    room = int(machine.l2 * _SUMS) // (positions * shape.size * size)
    others = count(groups.batch) * vectors // wide * ceil(planes.run.size / positions)
    fair = max(panels * others // _PIECES, ceil(_DEEP / (mr * taps)))
    row_block = even_block(panels, min(room, fair))
    return Blocks(shape, depth, panels, vectors // wide, row_block, positions)


def _divisor(total: int, most: int) -> int:
    """A block that divides the total, where one is not much smaller than `most`."""
    most = max(1, min(total, most))
    exact = max(size for size in range(1, most + 1) if total % size == 0)
    return exact if exact * 2 >= most else even_block(total, most)
