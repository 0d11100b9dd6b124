"""Weight gradients with few output channels per group: what vectors lie along, tile, pieces.

Role: all decisions; `folded_gradient` emits them. With few columns, vectors cannot lie along
them. They lie along the positions of the innermost dimension ("places"), and the lanes of a sum are
folded at the very end; or along the groups ("channels"), where those are neighbours in memory. A
tile is some rows (channels of the image and taps) by some columns, one vector of sums each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

from gemel.codegen.blocks import even_block
from gemel.codegen.depthwise.pieces import PARTS, wanted_pieces
from gemel.codegen.values import SIZES
from gemel.codegen.weight_gradients.plan import Positions
from gemel.codegen.windows.axes import Roles, count
from gemel.codegen.windows.bordered import Block
from gemel.runtime.machine import Machine

NANOSECONDS = 0.4  # of a cycle, about
_MOST_COLUMNS = 7
_MOST_BESIDE = 4  # channels of a group, with vectors along the groups


@dataclass(frozen=True)
class FoldTile:
    """`chunk` of row axis `axis` and all of the axes after it, by `columns` columns."""

    axis: int
    chunk: int
    rows: int
    columns: int
    cycles: float


@dataclass(frozen=True)
class FoldPlan:
    """The decisions. Row axes are the channels of a group and the taps of each window."""

    roles: Roles
    elem: str
    lanes: int
    along: str
    tile: FoldTile
    positions: Positions  # all summed axes but the innermost
    block: Block
    wanted: int

    @cached_property
    def row_sizes(self) -> tuple[int, ...]:
        taps = (window.kept.size for window in self.roles.windows)
        return (self.roles.single("rows").size, *taps)

    @property
    def copies(self) -> int:
        """Blocks side by side: with vectors along the groups, one per channel of a group."""
        return self.roles.single("rows").size if self.along == "channels" else 1

    @property
    def columns(self) -> int:
        return self.roles.single("columns").size

    @property
    def groups(self) -> int:
        """Groups, or vectors of groups."""
        size = self.roles.single("batch").size
        return ceil(size / self.lanes) if self.along == "channels" else size

    @property
    def cells(self) -> int:
        """Vectors of sums in a group: [row][column]."""
        return prod(self.row_sizes) * self.columns

    @property
    def partial(self) -> int:
        """Elements of one set of partial sums."""
        return self.groups * self.cells * self.lanes

    @cached_property
    def share(self) -> int:
        """Blocks of positions in a piece."""
        wanted = self.wanted // (self.groups if self.along == "places" else 1)
        most = (16 << 20) // (self.partial * SIZES[self.elem])
        splits = max(1, min(wanted, most, self.positions.blocks))
        return ceil(self.positions.blocks / splits)

    @property
    def units(self) -> int:
        """Shares; of each group, or of all vectors of groups, which share lines of the cache."""
        return self.splits * (self.groups if self.along == "places" else 1)

    @property
    def splits(self) -> int:
        return ceil(self.positions.blocks / self.share)

    @property
    def cycles(self) -> float:
        return self.groups * (self.tile.cycles + 30.0 * self.cells)


def fold_plan(roles: Roles, machine: Machine) -> FoldPlan | None:
    """Decide; None where the contraction has another form or more columns."""
    lanes = machine.lanes(SIZES.get(roles.contraction.elem, 1))
    along = _lanes_along(roles, lanes) if _matches(roles) else None
    if along is None:
        return None
    decision = _Decision(roles, machine, along)
    tiles = list(decision.tiles())
    if not tiles:
        return None
    chosen = decision.plan(min(tiles, key=lambda tile: tile.cycles))
    # Lines are never cut: long ones of many channels are for others.
    held = chosen.block.elements * chosen.copies * SIZES[chosen.elem]
    return chosen if held <= 4 * machine.l2 else None


def _matches(roles: Roles) -> bool:
    spec = roles.contraction
    groups = (roles.batch, roles.rows, roles.columns)
    return (
        spec.elem in ("float", "double")
        and all(len(group) <= 1 for group in groups)
        and all(window.summed_step > 0 and window.kept_step > 0 for window in roles.windows)
        and roles.single("columns").size <= _MOST_COLUMNS
    )


def _lanes_along(roles: Roles, lanes: int) -> str | None:
    inner, groups = roles.windows[-1], roles.single("batch")
    plain = inner.summed.strides[roles.of_plain]
    if inner.unit[0] == 1 and set(plain) <= {0, 1} and inner.summed.size > 1:
        return "places"
    worth = groups.strides[0] == 1 or 2 * groups.size >= lanes
    few = max(roles.single("columns").size, roles.single("rows").size) <= _MOST_BESIDE
    return "channels" if worth and few else None


class _Decision:
    def __init__(self, roles: Roles, machine: Machine, along: str):
        self.roles = roles
        self.machine = machine
        self.along = along
        self.elem = roles.contraction.elem
        self.lanes = machine.lanes(SIZES[self.elem])
        self.inner = roles.windows[-1]
        self.positions = self._positions()

    def _positions(self) -> Positions:
        """Blocks of whole lines; the image's share of one group stays in the first cache, that of
        all vectors of groups in the second."""
        window, size = self.inner, SIZES[self.elem]
        line = window.span(window.summed.size, window.kept.size)[1] + self.lanes
        line *= self.roles.single("rows").size if self.along == "places" else self.lanes
        most = max(1, self.machine.l1 // 2 // (line * size))
        if self.along == "channels":
            groups = ceil(self.roles.single("batch").size / self.lanes)
            groups *= self.roles.single("rows").size
            most = max(1, min(most, self.machine.l2 // 4 // (line * size * groups)))
        outer = [*self.roles.depth, *(w.summed for w in self.roles.windows[:-1])]
        sizes = tuple(axis.size for axis in outer) or (1,)
        inner = 1
        for axis in range(len(sizes) - 1, -1, -1):
            if inner * sizes[axis] > most * 3 // 2 or axis == 0:
                return Positions(sizes, axis, even_block(sizes[axis], max(1, most // inner)))
            inner *= sizes[axis]
        raise AssertionError("the first axis always ends the search")

    def tiles(self) -> Iterator[FoldTile]:
        room = self.machine.vector_registers - 4
        sizes = (self.roles.single("rows").size, *(w.kept.size for w in self.roles.windows))
        columns = self.roles.single("columns").size
        for wide in (n for n in range(1, columns + 1) if columns % n == 0):
            inner = 1
            for axis in range(len(sizes) - 1, -1, -1):
                for chunk in range(1, sizes[axis] + 1):
                    fits = inner * chunk * wide <= room
                    if fits and sizes[axis] % chunk == 0 and self._allowed(axis, chunk, sizes):
                        cells = prod(sizes) * columns
                        yield self._tile(axis, chunk, inner * chunk, wide, cells)
                inner *= sizes[axis]

    def _allowed(self, axis: int, chunk: int, sizes: tuple[int, ...]) -> bool:
        """Taps of a line that is dealt into phases are not evenly spaced: all in one tile."""
        dealt = self.along == "places" and self.inner.summed_step > 1
        return not dealt or axis < len(sizes) - 1 or chunk == sizes[-1]

    def _tile(self, axis: int, chunk: int, rows: int, columns: int, cells: int) -> FoldTile:
        """Cycles of a group: an FMA reads the image from memory."""
        sums = rows * columns
        loads = rows * (1.5 if self.along == "places" else 1.0) + columns
        step = max(sums / 2, loads / 2, (sums + loads) / 5, 4.0) + 1
        along = self.lanes if self.along == "places" else 1
        vectors = ceil(self.inner.summed.size / along)
        lines = prod(self.positions.sizes)
        tiles = cells / sums
        blocks = self.positions.blocks
        cycles = tiles * (lines * (vectors * step + 3) + blocks * (12 + 2 * sums))
        return FoldTile(axis, chunk, rows, columns, cycles)

    def plan(self, tile: FoldTile) -> FoldPlan:
        total = tile.cycles * count(self.roles.batch)
        wanted = max(1, wanted_pieces(total, PARTS))
        block = self._block()
        return FoldPlan(
            self.roles, self.elem, self.lanes, self.along, tile, self.positions, block, wanted
        )

    def _block(self) -> Block:
        roles, places = self.roles, self.along == "places"
        deep = len(roles.depth)
        held = self.positions.block[:deep]
        lines = (*self.positions.block[deep:], self.inner.summed.size)
        windows = tuple(
            (size, window.kept.size)
            for size, window in zip(lines[-len(roles.windows) :], roles.windows, strict=True)
        )
        return Block(
            roles,
            self.elem,
            self.lanes,
            held,
            roles.single("rows").size if places else roles.single("batch").size,
            windows,
            width=0 if places else self.lanes,
            channel="rows" if places else "batch",
            phases=self.inner.summed_step if places else 1,
        )
