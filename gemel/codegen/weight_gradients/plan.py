"""How the gradient of a window's weights is computed: tile, block of positions, pieces.

Role: all decisions; `weight_gradient` emits them. The sum runs over many positions (images times
pixels) and the result is small, so the sums of a tile stay in registers over a block of positions
and then join partial sums in memory. In a tile,

* vectors lie along the columns (output channels), from panels that are packed as [position][nr];
* rows are channels and taps of the image. A value of the image is one load that is spread to all
  lanes, from any address: taps overlap in place, nothing is unrolled into a matrix.

The image is read in place where no window leaves it, else from a bordered copy of the block. A
block of positions is as large as the first cache holds of a panel; a copy as the second one holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod, sqrt

from gemel.codegen.blocks import even_block
from gemel.codegen.values import SIZES
from gemel.codegen.windows.axes import Roles, count
from gemel.codegen.windows.bordered import Block
from gemel.runtime.machine import Machine

NANOSECONDS = 0.4  # of a cycle, about
_PIECE = 50_000  # cycles that a piece takes at least, if there is a choice
_SHARE = 1500  # positions at least in a set of partial sums: adding it up is then cheap
_PIECES = 64  # as many are wanted where the work is large


@dataclass(frozen=True)
class RowAxis:
    """An axis of the result's rows: its size, its stride in the block, its strides in the tile."""

    size: int
    stride: int
    tile: tuple[int, ...]


@dataclass(frozen=True)
class RowTile:
    """Which rows a tile has: `chunk` of axis `axis`, and all of the axes after it."""

    axis: int
    chunk: int
    rows: int
    vectors: int
    cycles: float


@dataclass(frozen=True)
class Positions:
    """The summed axes in blocks: those after `axis` are whole, those before advance one by one."""

    sizes: tuple[int, ...]
    axis: int
    chunk: int

    @cached_property
    def block(self) -> tuple[int, ...]:
        """Positions along each axis in one block."""
        ones = (1,) * self.axis
        return (*ones, self.chunk, *self.sizes[self.axis + 1 :])

    @property
    def blocks(self) -> int:
        return prod(self.sizes[: self.axis]) * ceil(self.sizes[self.axis] / self.chunk)

    @property
    def depth(self) -> int:
        """Positions in one block."""
        return prod(self.block)


@dataclass(frozen=True)
class Pieces:
    """How the work is cut: partial sums, groups of column panels, groups of channels; and how many
    pieces are wanted in all."""

    splits: int
    blocks: int  # of positions, in each split
    columns: int  # panels in a group
    column_groups: int
    channels: int  # in a group
    channel_groups: int
    wanted: int


@dataclass(frozen=True)
class GradientPlan:
    """The decisions. `block` is None where the image is read in place."""

    roles: Roles
    elem: str
    lanes: int
    rows: tuple[RowAxis, ...]
    tile: RowTile
    positions: Positions
    block: Block | None
    pieces: Pieces
    cycles: float

    @property
    def nr(self) -> int:
        return self.tile.vectors * self.lanes

    @property
    def column_panels(self) -> int:
        return ceil(self.roles.single("columns").size / self.nr)

    @property
    def row_sizes(self) -> tuple[int, ...]:
        """Axes of the rows as the partial sums hold them: whole tiles."""
        sizes = [axis.size for axis in self.rows]
        chunk = self.tile.chunk
        sizes[self.tile.axis] = ceil(sizes[self.tile.axis] / chunk) * chunk
        return tuple(sizes)

    @property
    def panel(self) -> int:
        """Partial sums of one panel of columns: [row][nr]."""
        return prod(self.row_sizes) * self.nr

    @property
    def partial(self) -> int:
        """Elements of one set of partial sums: [batch][panel][row][nr]."""
        return self.roles.single("batch").size * self.column_panels * self.panel


def gradient_plan(roles: Roles, machine: Machine, joined: bool) -> GradientPlan | None:
    """Decide; None where the contraction is no gradient of weights with enough columns."""
    if not _matches(roles, machine):
        return None
    options = [_Option(roles, machine, joined, vectors) for vectors in (1, 2, 3, 4)]
    fitting = [option for option in options if option.tile is not None]
    return min(fitting, key=lambda option: option.cycles).plan() if fitting else None


def _matches(roles: Roles, machine: Machine) -> bool:
    spec = roles.contraction
    if any(len(group) > 1 for group in (roles.batch, roles.rows, roles.columns)):
        return False
    if any(window.summed_step < 0 or window.kept_step < 0 for window in roles.windows):
        return False
    summed = prod(window.summed.size for window in roles.windows)
    kept = prod(window.kept.size for window in roles.windows)
    lanes = machine.lanes(SIZES[spec.elem])
    return (
        bool(roles.windows)
        and spec.elem in ("float", "double")
        and summed >= kept
        and summed * count(roles.depth) >= 32
        and roles.single("columns").size * 2 >= lanes
    )


class _Option:
    """The best way with a given number of vectors in a tile."""

    def __init__(self, roles: Roles, machine: Machine, joined: bool, vectors: int):
        self.roles = roles
        self.machine = machine
        self.elem = roles.contraction.elem
        self.lanes = machine.lanes(SIZES[self.elem])
        self.vectors = vectors
        self.axes = (*roles.depth, *(window.summed for window in roles.windows))
        self.columns = roles.single("columns").size
        same = len(roles.image) == 1 and roles.image[0].elem == self.elem
        self.in_place = same and not joined and not roles.leaves
        self.width = self._width()
        self.positions = self._positions()
        self.channels = roles.single("rows").size
        self.rows = self._rows(self._block(self.channels))
        self.tile = self._tile()
        if self.tile is not None:
            self.cycles = self._cycles()

    def _width(self) -> int:
        """Channels side by side in a copy: where they are neighbours in memory."""
        first = self.roles.of_image.start
        stride = self.roles.single("rows").strides[first]
        unit = self.roles.windows[-1].unit[0]
        side_by_side = stride == 1 and unit != 1
        return min(self.lanes, self.roles.single("rows").size) if side_by_side else 0

    def _positions(self) -> Positions:
        """A block: a panel of the columns fills two thirds of the first cache."""
        sizes = tuple(axis.size for axis in self.axes)
        most = self.machine.l1 * 2 // 3 // (self.vectors * self.machine.vector_bytes)
        inner = 1
        for axis in range(len(sizes) - 1, -1, -1):
            if inner * sizes[axis] > most * 3 // 2 or axis == 0:
                chunk = even_block(sizes[axis], max(1, most // inner))
                return Positions(sizes, axis, chunk)
            inner *= sizes[axis]
        raise AssertionError("the first axis always ends the search")

    def _block(self, channels: int) -> Block | None:
        if self.in_place:
            return None
        block, first = self.positions.block, len(self.roles.depth)
        kept = [window.kept.size for window in self.roles.windows]
        windows = tuple(zip(block[first:], kept, strict=True))
        return Block(
            self.roles, self.elem, self.lanes, block[:first], channels, windows, self.width
        )

    def _rows(self, block: Block | None) -> tuple[RowAxis, ...]:
        """The rows from outer to inner."""
        roles = self.roles
        channel = roles.single("rows")
        steps = [window.kept_step for window in roles.windows]
        units = [w.unit[0] for w in roles.windows] if block is None else block.place_strides
        taps = [
            RowAxis(window.kept.size, step * unit, window.kept.strides[roles.of_tile])
            for window, step, unit in zip(roles.windows, steps, units, strict=True)
        ]
        to = channel.strides[roles.of_tile]
        if block is None:
            place = RowAxis(channel.size, channel.strides[0], to)
            return (*taps, place) if self.width else (place, *taps)
        if not self.width:
            return (RowAxis(channel.size, block.channel_stride, to), *taps)
        wide = tuple(stride * self.width for stride in to)
        groups = RowAxis(ceil(channel.size / self.width), block.channel_stride, wide)
        return (groups, *taps, RowAxis(self.width, 1, to))

    def _tile(self) -> RowTile | None:
        found = list(self._tiles())
        return min(found, key=lambda tile: tile.cycles) if found else None

    def _tiles(self) -> Iterator[RowTile]:
        if self.vectors > 1 and (self.vectors - 1) * self.lanes >= self.columns:
            return
        room = (self.machine.vector_registers - 1) // self.vectors - 1
        inner = 1
        for axis in range(len(self.rows) - 1, -1, -1):
            size = self.rows[axis].size
            padded = axis == 0 and not self.in_place
            for chunk in range(1, min(size, room // inner) + 1):
                if padded or size % chunk == 0:
                    yield RowTile(
                        axis,
                        chunk,
                        chunk * inner,
                        self.vectors,
                        self._tile_cycles(
                            inner * chunk,
                            ceil(size / chunk),
                            prod(a.size for a in self.rows[:axis]),
                        ),
                    )
            inner *= size

    def _tile_cycles(self, rows: int, chunks: int, outer: int) -> float:
        """Cycles of all tiles: two FMA and two loads in each."""
        sums, loads = rows * self.vectors, rows + self.vectors
        step = max(sums / 2, loads / 2, (sums + loads + 3) / 5.5, 4.0) + 0.3
        depth = self.positions.depth
        blocks = prod(self.positions.sizes) / depth
        tiles = outer * chunks * ceil(self.columns / (self.vectors * self.lanes))
        return tiles * blocks * (depth * step + 12 + 2 * sums)

    def _cycles(self) -> float:
        depth = prod(self.positions.sizes)
        rows = prod(axis.size for axis in self.rows)
        pack = 0.4 * depth * self.columns
        combine = 1.5 * rows * self.columns
        copy = 0.0 if self.in_place else 0.5 * depth * self.channels
        return count(self.roles.batch) * (self.tile.cycles + pack + copy + combine)

    def plan(self) -> GradientPlan:
        pieces = self._pieces()
        block = self._block(pieces.channels)
        return GradientPlan(
            roles=self.roles,
            elem=self.elem,
            lanes=self.lanes,
            rows=self.rows,
            tile=self.tile,
            positions=self.positions,
            block=block,
            pieces=pieces,
            cycles=self.cycles,
        )

    def _pieces(self) -> Pieces:
        """Splits of the sum first (nothing is packed twice), as long as they are cheap to add."""
        batch = count(self.roles.batch)
        pieces = max(1, min(2 * _PIECES, int(self.cycles / _PIECE)))
        wanted = max(1, min(_PIECES, pieces) // batch)
        depth = prod(self.positions.sizes)
        cells = prod(axis.size for axis in self.rows) * self.columns * batch
        cheap = max(1, min(depth // _SHARE, (16 << 20) // (cells * SIZES[self.elem])))
        splits = _even_count(self.positions.blocks, min(wanted, cheap))
        each = ceil(self.positions.blocks / splits)
        panels = ceil(self.columns / (self.vectors * self.lanes))
        groups = max(1, ceil(wanted / splits))
        step = self._channel_step()
        fewest = self._fewest_channel_groups(step)
        channel_groups = max(fewest, min(ceil(self.channels / step), round(sqrt(groups))))
        columns = max(1, panels // ceil(groups / channel_groups))
        channels = even_block(ceil(self.channels / step), self._steps(channel_groups, step)) * step
        channels = min(channels, ceil(self.channels / step) * step)
        return Pieces(
            splits,
            each,
            columns,
            ceil(panels / columns),
            channels,
            ceil(self.channels / channels),
            pieces,
        )

    def _steps(self, groups: int, step: int) -> int:
        return max(1, ceil(ceil(self.channels / step) / groups))

    def _channel_step(self) -> int:
        """Channels are only cut at these multiples."""
        if self.width and self.in_place:
            return self.channels
        unit = self.width or 1
        return unit * (self.tile.chunk if self.tile.axis == 0 else 1)

    def _fewest_channel_groups(self, step: int) -> int:
        """A copied block of one group stays in half of the second cache."""
        if self.in_place:
            return 1
        size = self._block(step).elements * SIZES[self.elem]
        fitting = max(1, self.machine.l2 // 3 // size)
        return ceil(ceil(self.channels / step) / fitting)


def _even_count(total: int, most: int) -> int:
    """At most `most` shares: equal ones if there are nearly as many, else of at most even size."""
    most = min(most, total)
    equal = max(n for n in range(1, most + 1) if total % n == 0)
    return equal if 2 * equal > most else ceil(total / ceil(total / most))
