"""How windows with few output channels per group are computed: lanes, tile, blocks.

Role: all decisions; `depthwise` emits them. With few output channels nothing is gained by packing:
each element of the image meets few weights. A bordered block of lines is copied to scratch, and
sums are formed in registers straight from it. Vectors lie

* along the innermost dimension of the windows ("places"): a weight is spread to all lanes, and a
  tile is some output channels by `rows` lines by `vectors` vectors of a line, or
* along the groups ("channels"), where channels are neighbours in memory: one vector of weights per
  tap and channel of a group, and a tile is `rows` lines by `vectors` neighbouring positions.

Lines of a tile share what they load: a line of the image meets several taps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

from gemel.codegen.blocks import even_block
from gemel.codegen.depthwise.pieces import PIECES, wanted_pieces
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.values import SIZES
from gemel.codegen.windows.axes import Roles, Window
from gemel.codegen.windows.bordered import Block
from gemel.runtime.machine import Machine

NANOSECONDS = 0.4  # of a cycle, about
_MOST_OUTPUTS = 4  # more channels are worth packing
_UNROLLED = 400  # FMA instructions in the body of a loop


@dataclass(frozen=True)
class LineTile:
    """Sums in registers: `rows` lines by `vectors` vectors for each output channel.

    `taps`: how many of the innermost dimensions of taps are unrolled.
    """

    rows: int
    vectors: int
    taps: int
    cycles: float


@dataclass(frozen=True)
class DirectPlan:
    """The decisions. A unit is one block: (groups, image, positions of outer windows, lines)."""

    roles: Roles
    elem: str
    lanes: int
    along: str
    tile: LineTile
    block: Block
    lines: int
    together: int  # groups, or vectors of groups, in a unit

    @property
    def outputs(self) -> int:
        """Output channels of a group."""
        return self.roles.single("columns").size

    @property
    def inner(self) -> Window:
        return self.roles.windows[-1]

    @property
    def row_window(self) -> Window | None:
        """The dimension that lines are counted in."""
        return self.roles.windows[-2] if len(self.roles.windows) > 1 else None

    @property
    def rows(self) -> int:
        return self.row_window.kept.size if self.row_window is not None else 1

    @cached_property
    def outer(self) -> tuple[Axis, ...]:
        """Axes of the result around the lines, one index per unit."""
        return (self.roles.single("rows"), *(w.kept for w in self.roles.windows[:-2]))

    @cached_property
    def unit_counts(self) -> tuple[int, ...]:
        """Indices of a unit: sets of groups, outer axes, parts of the lines."""
        sets = ceil(self.groups / self.together)
        return (sets, *(axis.size for axis in self.outer), ceil(self.rows / self.lines))

    @property
    def groups(self) -> int:
        """Groups, or vectors of groups."""
        size = self.roles.single("batch").size
        return ceil(size / self.lanes) if self.along == "channels" else size

    @property
    def units(self) -> int:
        return prod(self.unit_counts)

    @property
    def step(self) -> int:
        """Positions of a line in one vector."""
        return self.lanes if self.along == "places" else 1

    @property
    def whole_tiles(self) -> bool:
        """Whether no tile has lines or vectors that do not exist (but for one at each line's end,
        where a line is one tile)."""
        size, wide = self.inner.kept.size, self.tile.vectors * self.step
        return self.rows % self.tile.rows == 0 and (size <= wide or size % wide == 0)

    @property
    def cycles(self) -> float:
        """All units: tiles, copies, and what memory takes."""
        tiles = ceil(self.rows / self.tile.rows) * ceil(
            self.inner.kept.size / (self.tile.vectors * self.step)
        )
        copied = self.block.elements * ceil(self.rows / self.lines) / self.lanes * 4
        blocks = self.units / ceil(self.rows / self.lines)
        return blocks * (tiles * self.tile.cycles * self.together + copied)

    @cached_property
    def unit_step(self) -> int:
        """Units of a piece."""
        wanted = max(1, min(wanted_pieces(self.cycles, PIECES), self.units))
        return ceil(self.units / wanted)

    @property
    def pieces(self) -> int:
        return ceil(self.units / self.unit_step)

    @property
    def weights(self) -> int:
        """Weights of a group and one output channel."""
        taps = prod(window.summed.size for window in self.roles.windows)
        return self.roles.single("depth").size * taps


def direct_plan(roles: Roles, machine: Machine) -> DirectPlan | None:
    """Decide; None where there are more output channels, or lanes lie along nothing."""
    lanes = machine.lanes(SIZES.get(roles.contraction.elem, 1))
    along = _lanes_along(roles, lanes) if _matches(roles) else None
    if along is None:
        return None
    decision = _Decision(roles, machine, along)
    tiles = list(decision.tiles())
    chosen = decision.plan(tiles) if tiles else None
    # Lines are never cut: long ones of many channels are for others.
    if chosen is None or chosen.block.elements * SIZES[chosen.elem] > 4 * machine.l2:
        return None
    return chosen


def _matches(roles: Roles) -> bool:
    spec = roles.contraction
    groups = (roles.batch, roles.rows, roles.columns, roles.depth)
    kept = prod(window.kept.size for window in roles.windows)
    summed = prod(window.summed.size for window in roles.windows)
    return (
        spec.elem in ("float", "double")
        and all(len(group) <= 1 for group in groups)
        and all(window.kept_step > 0 for window in roles.windows)
        and kept > summed
        and roles.single("columns").size <= _MOST_OUTPUTS
    )


def _lanes_along(roles: Roles, lanes: int) -> str | None:
    """Along the places where those are neighbours, along the groups where there are many."""
    if roles.windows[-1].unit[0] == 1:
        return "places"
    groups, depth = roles.single("batch"), roles.single("depth").size
    worth = groups.strides[0] == 1 or 2 * groups.size >= lanes
    return "channels" if worth and depth <= _MOST_OUTPUTS else None


class _Decision:
    def __init__(self, roles: Roles, machine: Machine, along: str):
        self.roles = roles
        self.machine = machine
        self.along = along
        self.elem = roles.contraction.elem
        self.lanes = machine.lanes(SIZES[self.elem])
        self.step = self.lanes if along == "places" else 1
        self.outputs = roles.single("columns").size
        self.depth = roles.single("depth").size
        self.inner = roles.windows[-1]
        self.rows = roles.windows[-2].kept.size if len(roles.windows) > 1 else 1

    def plan(self, tiles: list[LineTile]) -> DirectPlan:
        tile = min(tiles, key=self._total)
        together = self._together(tile)
        lines = self._lines(tile, together)
        block = self._block(tile, lines, together)
        return DirectPlan(
            self.roles, self.elem, self.lanes, self.along, tile, block, lines, together
        )

    def _together(self, tile: LineTile) -> int:
        """Vectors of groups are neighbours in memory: as many at once as the cache holds."""
        if self.along == "places":
            return 1
        size = self._block(tile, tile.rows, 1).elements * SIZES[self.elem]
        groups = ceil(self.roles.single("batch").size / self.lanes)
        return even_block(groups, max(1, self.machine.l2 // 3 // size))

    def _total(self, tile: LineTile) -> float:
        along = ceil(self.inner.kept.size / (tile.vectors * self.step))
        return ceil(self.rows / tile.rows) * along * tile.cycles

    def tiles(self) -> Iterator[LineTile]:
        # The other half of the registers holds weights and what is loaded.
        room = self.machine.vector_registers // 2
        for rows in range(1, min(self.rows, 8) + 1):
            for vectors in range(1, 13):
                whole = vectors > 1 and (vectors - 1) * self.step >= self.inner.kept.size
                if whole or self.outputs * rows * vectors > max(room, 1):
                    break
                tile = self._tile(rows, vectors)
                if tile is not None:
                    yield tile

    def _tile(self, rows: int, vectors: int) -> LineTile | None:
        """Cycles: two FMA, two loads each; a vector that straddles lines is loaded twice."""
        sizes = [window.summed.size for window in self.roles.windows]
        sums = self.outputs * rows * vectors
        taps = 0
        while taps < min(2, len(sizes)) and sums * prod(sizes[-taps - 1 :]) <= _UNROLLED:
            taps += 1
        if taps == 0 or (rows > 1 and taps < 2):
            return None
        distinct = rows
        if len(sizes) > 1:
            distinct = rows * sizes[-2] if taps < 2 else len(self._line_offsets(rows))
        loads = distinct * sizes[-1] * vectors * (1.5 if self.along == "places" else 1.0)
        loads += self.outputs * prod(sizes[-2:])
        fmas = sums * prod(sizes[-2:])
        around = self.depth * prod(sizes[:-2])
        steps = max(fmas / 2, loads / 2, (fmas + loads) / 5, 4.0 * prod(sizes[-2:])) + 2
        return LineTile(rows, vectors, taps, around * steps + 4 * sums + 15)

    def _line_offsets(self, rows: int) -> set[int]:
        window = self.roles.windows[-2]
        return {
            row * window.kept_step + tap * window.summed_step
            for row in range(rows)
            for tap in range(window.summed.size)
        }

    def _lines(self, tile: LineTile, together: int) -> int:
        """Lines of a block: whole tiles, and the copy stays in the caches."""
        deep = self.depth > 1 or together > 1
        room = (self.machine.l2 // 4 if deep else self.machine.l1 // 2) // SIZES[self.elem]
        most = ceil(self.rows / tile.rows)
        sizes = {n: self._block(tile, n * tile.rows, together).elements for n in range(1, most + 1)}
        best = max((n for n, size in sizes.items() if size <= room), default=1)
        return ceil(most / ceil(most / best)) * tile.rows

    def _block(self, tile: LineTile, lines: int, together: int) -> Block:
        windows = self.roles.windows
        kept = [1] * (len(windows) - 2) + [lines] * (len(windows) > 1) + [self.inner.kept.size]
        along = ceil(self.inner.kept.size / (tile.vectors * self.step)) * tile.vectors * self.step
        # What the last vector of a tile reads beyond the line is there, and 0.
        kept[-1] = along
        counts = tuple((w.summed.size, n) for w, n in zip(windows, kept, strict=True))
        places = self.along == "places"
        return Block(
            self.roles,
            self.elem,
            self.lanes,
            (self.depth,) if self.roles.depth else (),
            1 if places else self.lanes * together,
            counts,
            width=0 if places else self.lanes,
            channel="rows" if places else "batch",
            phases=self.inner.kept_step if places else 1,
        )
