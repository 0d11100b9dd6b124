"""How a contraction is computed: axes in groups, tile, blocks, packing.

Role: everything that is decided before code is emitted. Input: a `Contraction` and the machine
description. Output: a `Plan`. Invariants: the plan depends on sizes and strides only, never on
timing or thread count, so the order of additions over k is fixed.

Groups. An axis that is summed is a k axis; one that only the left operand uses is a row axis, one
that only the right operand uses is a lane axis, the others are batch axes. "Right" is the operand
whose elements fill vector lanes, "left" the one that is broadcast: A and B take either role.
Axes of a group that are contiguous for every access are merged into one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, prod

from gemel.codegen.blocks import LINE, covering, even_block, lines
from gemel.codegen.products import contraction_memory as memory
from gemel.codegen.products.contraction_axes import (
    Axis,
    Groups,
    k_chunk_of,
    merged_axes,
    panels,
    plain_stride,
)
from gemel.codegen.products.contraction_pieces import TOGETHER, Pieces, cut, packing_block
from gemel.codegen.products.contraction_spec import (
    PLAIN,
    Access,
    Contraction,
    Joined,
    check,
    runs_along,
)
from gemel.codegen.sizes import LEAST, hint, is_size
from gemel.codegen.values import SIZES
from gemel.runtime.machine import Machine

# Rows of a tile where their number is known when the program runs and is not small.
EVEN_ROWS = 8
# One core's share of the memory's speed, about.
_BYTES_A_CYCLE = 10
_BYTES_FROM_L2 = 24.0  # a cycle
_FEW_ROWS = 4


@dataclass(frozen=True)
class Plan:
    """The decisions. Row and column groups end with their tiled axis; counts are in panels.

    `dot`: vectors run along k and the lanes are folded at the end. `void`: the sum is empty.
    `few_rows`: a panel of columns is packed right before the rows use it, all of them in one piece.
    `prefetch`: how many steps of k ahead a panel of columns is asked for.
    `ask_rows`, `ask_columns`: the panel that is read next is asked for while one is multiplied.
    `past`: the tile arrays that are stored past the caches where they are aligned.
    `columns_past`: so are columns of a matrix that are packed ahead.
    `cycles` estimates the work on one core.
    """

    contraction: Contraction
    swapped: bool
    lanes: int
    batch: tuple[Axis, ...]
    rows: tuple[Axis, ...]
    columns: tuple[Axis, ...]
    k: tuple[Axis, ...]
    mr: int
    vectors: int
    dot: bool
    void: bool
    pack_left: bool
    pack_right: bool
    k_axis: int
    k_chunk: int
    row_block: int
    column_block: int
    row_group: int
    few_rows: bool
    prefetch: int
    ask_rows: bool
    ask_columns: bool
    past: tuple[int, ...]
    columns_past: bool
    cycles: float
    pieces: Pieces = Pieces(1, 1, 1)

    @property
    def left(self) -> tuple[Access, ...]:
        return self.contraction.right if self.swapped else self.contraction.left

    @property
    def right(self) -> tuple[Access, ...]:
        return self.contraction.left if self.swapped else self.contraction.right

    @property
    def nr(self) -> int:
        """Columns of a tile."""
        return self.vectors * self.lanes

    @property
    def row_panels(self) -> int:
        return panels(self.rows, self.mr)

    @property
    def column_panels(self) -> int:
        return panels(self.columns, self.nr)

    @property
    def k_inner(self) -> int:
        """Values of k below the chunked axis."""
        return prod(axis.size for axis in self.k[self.k_axis + 1 :])

    @property
    def k_block(self) -> int:
        """The largest number of k values in one block."""
        return self.k_chunk * self.k_inner if self.k else 1

    @property
    def k_blocks(self) -> int:
        if not self.k:
            return 1
        outer = prod(axis.size for axis in self.k[: self.k_axis])
        return outer * covering(self.k[self.k_axis].size, self.k_chunk)

    @property
    def empty(self) -> bool:
        return any(axis.size == 0 for axis in (*self.batch, *self.rows, *self.columns))

    @property
    def batches(self) -> int:
        return panels(self.batch, 1) if self.batch else 1

    @property
    def fetched(self) -> int:
        """Bytes of a matrix that so few rows use that the work is to fetch it; else 0."""
        if hint(prod(axis.size for axis in self.rows)) > _FEW_ROWS or hint(self.batches) > 1:
            return 0
        columns = prod(axis.size for axis in self.columns)
        return hint(columns * self.depth) * SIZES[self.contraction.elem]

    @property
    def work(self) -> float:
        """Cycles on one core, where a matrix that only few rows use comes from memory."""
        return max(self.cycles, self.fetched / _BYTES_A_CYCLE)

    @property
    def depth(self) -> int:
        """All values of k."""
        return prod(axis.size for axis in self.k)

    def counts(self) -> tuple[int, int, int]:
        """Pieces along the batches, the columns and the rows."""
        cut_ = self.pieces
        columns = covering(self.column_panels, cut_.columns)
        rows = covering(self.row_panels, cut_.rows)
        return covering(self.batches, cut_.batches), columns, rows

    def packs_across(self) -> tuple[bool, bool]:
        """Is the left, the right operand a matrix that is packed as it lies: all panels together,
        k by k?"""
        count = len(self.left)
        left = self.rows[-1].strides[:count]
        right = self.columns[-1].strides[count : count + len(self.right)]
        cut_, single = self.pieces, len(self.k) == 1
        return (
            cut_.ahead_left and single and len(self.rows) == 1 and set(left) <= {0, 1},
            cut_.ahead_right and single and len(self.columns) == 1 and set(right) <= {0, 1},
        )

    def packing(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """For left and right: panels that a piece of the packing stage packs, and its pieces.

        Of matrices that are packed across, values of k instead of panels.
        """
        out = []
        sides = (
            (self.pieces.ahead_left, self.rows, self.mr),
            (self.pieces.ahead_right, self.columns, self.nr),
        )
        for (ahead, group, width), across in zip(sides, self.packs_across(), strict=True):
            count = panels(group, width)
            block = packing_block(hint(count), hint(self.panel(width)))
            if width == self.mr and self.row_group > 1:
                block = ceil(block / self.row_group) * self.row_group
            if across:
                count = self.depth
                block = packing_block(hint(count), hint(group[-1].size), TOGETHER)
            out.append((block, self.batches * covering(count, block) if ahead else 0))
        return out[0], out[1]

    def stages(self) -> tuple[int, ...]:
        """How many pieces pack, if any, and how many multiply."""
        if self.empty:
            return ()
        (_, left), (_, right) = self.packing()
        return (left + right, prod(self.counts())) if left + right else (prod(self.counts()),)

    def panel(self, width: int) -> int:
        """Elements of a panel packed ahead: all of k, and what a last block of lanes overruns."""
        inner = self.k[-1].size if self.k else 1
        end = self.depth - inner + covering(inner, self.lanes) * self.lanes
        return covering(end, self.lanes) * self.lanes * width + self.lanes

    def ahead_bytes(self, left: bool, right: bool) -> int:
        """Memory of operands that are packed by a stage of their own."""
        return sum(self._ahead_bytes(left, right))

    def _ahead_bytes(self, left: bool, right: bool) -> tuple[int, int]:
        size = SIZES[self.contraction.elem] * self.batches
        rows = self.row_panels * self.panel(self.mr) * size if left else 0
        columns = self.column_panels * self.panel(self.nr) * size if right else 0
        return lines(rows, LINE), lines(columns, LINE)

    def shared_regions(self) -> tuple[int, int]:
        """Shared bytes for the left and the right operand."""
        return self._ahead_bytes(self.pieces.ahead_left, self.pieces.ahead_right)

    def region_bytes(self) -> tuple[int, int, int]:
        """Scratch for the packed left panel, the packed right block and the partial sums."""
        size = SIZES[self.contraction.elem]
        # A transposing pack writes whole blocks of lanes, so both ends of a panel have slack.
        slack = self.lanes * max(self.nr, self.mr) * size
        left = right = partial = 0
        if self.pack_left and not self.pieces.ahead_left:
            left = self.row_group * self.k_block * self.mr * size + slack
        if self.pack_right and not self.pieces.ahead_right:
            right = self.column_block * self.k_block * self.nr * size + slack
        if self.k_blocks != 1 and not self.dot:
            partial = self.row_block * self.column_block * self.mr * self.nr * size
        return lines(left, LINE), lines(right, LINE), lines(partial, LINE)

    @property
    def scratch_bytes(self) -> int:
        """How much scratch a piece needs (64-byte aligned)."""
        return sum(self.region_bytes())

    @property
    def shared_bytes(self) -> int:
        """How much memory the pieces share (64-byte aligned)."""
        return sum(self.shared_regions())

    def describe(self) -> str:
        """One line for people: tile, packing, blocks."""
        kind = "dot" if self.dot else f"{self.mr}x{self.nr} tile"
        packed = [name for name in ("left", "right") if getattr(self, f"pack_{name}")]
        return (
            f"{kind}{', roles exchanged' if self.swapped else ''}, "
            f"packed: {' and '.join(packed) or 'nothing'}, "
            f"k in {self.k_blocks} blocks of {self.k_block}, "
            f"{self.row_panels}x{self.column_panels} panels, "
            f"{self.pieces.rows}x{self.pieces.columns} in a piece"
        )


def plan(contraction: Contraction, machine: Machine, *, joined: Joined = PLAIN) -> Plan:
    """Decide. `joined`: on which side a prologue computes on loaded elements."""
    check(contraction)
    return cheapest(contraction, machine, joined).plan()


def cheapest(contraction: Contraction, machine: Machine, joined: Joined) -> Option:
    """The better one of the two assignments."""
    options = [
        Option(contraction, machine, False, joined),
        Option(contraction, machine, True, joined[::-1]),
    ]
    return min(options, key=lambda option: option.cost)


class Option:
    """One assignment of the operands to roles, with its estimated cycles. height: the rows of a
    tile, where they are given."""

    def __init__(
        self,
        contraction: Contraction,
        machine: Machine,
        swapped: bool,
        joined: Joined,
        height: int | None = None,
    ):
        self.height = height
        self.contraction = contraction
        self.machine = machine
        self.swapped = swapped
        self.joined = joined
        self.lasting = contraction.lasting[::-1] if swapped else contraction.lasting
        self.itemsize = SIZES[contraction.elem]
        self.lanes = machine.lanes(self.itemsize)
        self._group()
        self.sized = Groups(self.batch, self.rows, self.columns, self.k)
        self._take_hints()
        self.depth = prod(axis.size for axis in self.k)
        self.dot = self._wants_dot()
        self.large = memory.large_results(self)
        self.mr, self.vectors, cycles = self._tile()
        self.cost = cycles + self._store_cost() + self._pack_cost()

    def _group(self) -> None:
        """Sort the axes into groups; strides are reordered to left, right, tile arrays."""
        c = self.contraction
        left, right = (c.right, c.left) if self.swapped else (c.left, c.right)
        self.left_count, self.right_count = len(left), len(right)
        groups: dict[str, list[Axis]] = {"batch": [], "rows": [], "columns": [], "k": []}
        for position, size in enumerate(c.sizes):
            if size == 1:
                continue
            strides = tuple(access.strides[position] for access in (*left, *right, *c.tile))
            name = self._group_of(strides, c.reduced[position])
            groups[name].append(Axis(size, strides))
        first_tile = len(left) + len(right)
        count = first_tile + len(c.tile)
        self.batch = merged_axes(groups["batch"], first_tile)
        self.void = any(axis.size == 0 for axis in groups["k"])
        self.k = () if self.void else merged_axes(groups["k"], self.left_count, 0)
        self.rows = merged_axes(groups["rows"], first_tile) or (Axis(1, (0,) * count),)
        # Without a lane axis the one column is a masked vector of consecutive elements.
        self.columns = merged_axes(groups["columns"], first_tile) or (Axis(1, (1,) * count),)

    def _take_hints(self) -> None:
        """Everything is decided for the sizes at hand. What is decided is right for all sizes, but
        for rows, of which there must be as many as a tile has."""
        self.batch, self.rows, self.columns, self.k = (
            tuple(Axis(hint(a.size), tuple(map(plain_stride, a.strides))) for a in group)
            for group in self.sized
        )
        self.varies = self.sized != (self.batch, self.rows, self.columns, self.k)
        self.rows_vary = is_size(self.sized.rows[-1].size)

    def _group_of(self, strides: tuple[int, ...], reduced: bool) -> str:
        if reduced:
            return "k"
        uses_left = any(strides[: self.left_count])
        uses_right = any(strides[self.left_count : self.left_count + self.right_count])
        if uses_left == uses_right:
            return "batch"
        return "rows" if uses_left else "columns"

    def _operand_strides(self, axis: Axis, side: str) -> tuple[int, ...]:
        if side == "left":
            return axis.strides[: self.left_count]
        return axis.strides[self.left_count : self.left_count + self.right_count]

    def _wants_dot(self) -> bool:
        """Vectors run along k: the right operand is contiguous there, and too few rows to pay
        packing it. A left operand that is not is copied."""
        if not self.k or self.k[-1].size < self.lanes or self.height is not None:
            return False
        rows = prod(axis.size for axis in self.rows)
        few = 1 if self.lasting[1] else 4
        return runs_along(self._operand_strides(self.k[-1], "right")) and rows <= few

    def _tile(self) -> tuple[int, int, float]:
        """Rows and vectors of a tile, and the cycles of all tiles (two FMA and two loads each)."""
        rows, columns = self.rows[-1].size, self.columns[-1].size
        if self.dot:
            mr = 1 if self.rows_vary else min(rows, 4)
            count = panels(self.rows, mr) * panels(self.columns, 1)
            return mr, 1, count * mr * (self.depth / self.lanes / 2 + 8)
        best = None
        registers = self.machine.vector_registers
        room = registers - (2 if registers < 32 else 3)
        tallest = self._tallest()
        for vectors in range(1, 17):
            if vectors > 1 and (vectors - 1) * self.lanes >= columns:
                break
            for mr in self._heights(min(rows, tallest)):
                if mr * vectors + vectors > room:
                    break
                cycles = self._tile_cycles(mr, vectors)
                if best is None or cycles < best[2]:
                    best = mr, vectors, cycles
        if best is None:
            best = 1, 1, self._tile_cycles(1, 1)
        return best

    def _heights(self, most: int) -> Sequence[int]:
        """Rows that a tile may have; one of two numbers where more rows may come, or fewer."""
        if self.height is not None:
            return (self.height,)
        if not self.rows_vary:
            return range(1, most + 1)
        return (EVEN_ROWS,) if most >= EVEN_ROWS else (LEAST,)

    def _tallest(self) -> int:
        """Rows that may be read side by side: few sets of the first cache hold lines that are a
        power of two apart."""
        apart = [abs(stride) for stride in self._operand_strides(self.rows[-1], "left")]
        return 14 if any(stride * self.itemsize % 1024 == 0 for stride in apart) else 28

    def _tile_cycles(self, mr: int, vectors: int) -> float:
        sums = mr * vectors
        loads = mr + vectors
        # A core that is shared feels every instruction, so that loads count beside their FMAs.
        step = max(sums / 2, loads / 2, 4.0) + 0.35 + 0.12 * loads
        if self.lasting[1]:  # its panels come from the second cache
            step = max(step, vectors * self.lanes * self.itemsize / _BYTES_FROM_L2)
        nr = vectors * self.lanes
        count = panels(self.rows, mr) * panels(self.columns, nr)
        # Tiles that do not fit the rows have a second epilogue.
        ragged = 1.01 if self.rows[-1].size % mr else 1.0
        # Only whole vectors go past the caches.
        ragged += 0.05 if self.large and self.columns[-1].size % nr else 0.0
        return ragged * count * (self.depth * step + 12 + (1 + memory.parts_of_k(self, nr)) * sums)

    def _store_cost(self) -> float:
        """Arrays of the epilogue that are strided along the lanes cost cycles per element."""
        elements = prod(axis.size for axis in (*self.rows, *self.columns))
        tiled = self.columns[-1].strides[self.left_count + self.right_count :]
        return 3.0 * elements * sum(stride not in (0, 1) for stride in tiled)

    def _pack_cost(self) -> float:
        pack_left, pack_right = self._packing()
        pack_left &= not self.lasting[0]
        pack_right &= not self.lasting[1]
        if self.dot:
            return 2.0 * pack_left * self.depth * prod(axis.size for axis in self.rows)
        cost = 0.0
        if pack_left:
            cost += 0.15 * self.depth * prod(axis.size for axis in self.rows)
        if self.lasting[1]:
            return cost
        strides = set(self._operand_strides(self.columns[-1], "right"))
        elements = self.depth * prod(axis.size for axis in self.columns)
        if strides <= {0, 1}:
            return cost + 0.1 * elements * pack_right
        along_k = bool(self.k) and runs_along(self._operand_strides(self.k[-1], "right"))
        return cost + (0.4 if along_k else 1.5) * elements

    # The rest turns the option into a plan.

    def plan(self) -> Plan:
        pack_left, pack_right = self._packing()
        k_axis, k_chunk = self._k_blocks()
        k_block = k_chunk * prod(axis.size for axis in self.k[k_axis + 1 :])
        nr = self.vectors * self.lanes
        column_panels = panels(self.columns, nr)
        panel_bytes = max(1, k_block * nr * self.itemsize)
        column_block = column_panels
        by_use = pack_right and self.few_rows() and not self.lasting[1]
        if by_use:
            column_block = 1
        elif pack_right:
            fitting = max(1, self.machine.l2 // 2 // panel_bytes)
            column_block = even_block(column_panels, fitting)
        # Blocks along one axis.
        along = bool(self.k) and k_axis + (k_chunk == 1) >= len(self.k) - 1
        row_panels = panels(self.rows, self.mr)
        row_block = row_panels
        if k_block < self.depth:
            room = min(self.machine.l3 // 4, 4 << 20)
            if not pack_right:
                wide = self.machine.l2 // 4 // (row_panels * self.mr * nr * self.itemsize)
                column_block = even_block(column_panels, max(1, wide))
            tile_bytes = column_block * self.mr * nr * self.itemsize
            row_block = even_block(row_panels, max(1, room // tile_bytes))
        made = Plan(
            contraction=self.contraction,
            swapped=self.swapped,
            lanes=self.lanes,
            batch=self.batch,
            rows=self.rows,
            columns=self.columns,
            k=self.k,
            mr=self.mr,
            vectors=self.vectors,
            dot=self.dot,
            void=self.void,
            pack_left=pack_left,
            pack_right=pack_right,
            k_axis=k_axis,
            k_chunk=k_chunk,
            row_block=row_block,
            column_block=column_block,
            row_group=self._row_group(k_block) if pack_left and not self.dot else 1,
            few_rows=by_use,
            prefetch=memory.steps_ahead(self, panel_bytes, pack_right),
            ask_rows=along and not pack_left and memory.ask_rows(self, column_panels),
            ask_columns=along and pack_right and memory.ask_columns(self),
            past=() if self.columns[-1].size % nr else self.large,
            columns_past=memory.columns_past(self),
            cycles=self._cycles(),
        )
        cut_ = cut(made)
        made = replace(
            made,
            pieces=cut_,
            row_block=min(row_block, cut_.rows),
            column_block=min(column_block, cut_.columns),
        )
        return self._for_sizes(made) if self.varies else made

    def _for_sizes(self, made: Plan) -> Plan:
        """The plan with the sizes that it was made for put back. What is asked for ahead or stored
        past the caches needs to know where lines begin."""
        sized, chunk = self.sized, made.k_chunk
        if self.rows_vary and self.height is None and sized.rows[-1].size < made.mr:
            raise AssertionError("a tile is higher than the rows that it was chosen for")
        if self.k and chunk == self.k[made.k_axis].size:
            chunk = sized.k[made.k_axis].size
        return replace(
            made,
            batch=sized.batch,
            rows=sized.rows,
            columns=sized.columns,
            k=sized.k,
            k_chunk=chunk,
            prefetch=0,
            ask_rows=False,
            ask_columns=False,
            past=(),
            columns_past=False,
        )

    def _cycles(self) -> float:
        """Of all batches; operands that outgrow the cache are fetched at some bytes a cycle."""
        rows, columns = (prod(axis.size for axis in x) for x in (self.rows, self.columns))
        batches = prod(axis.size for axis in self.batch)
        size = (rows + columns) * self.depth * self.itemsize * batches
        return max(self.cost * batches, size / _BYTES_A_CYCLE if size > self.machine.l2 else 0)

    def few_rows(self) -> bool:
        """So few that each panel of columns is packed into the first cache when it is used."""
        return prod(axis.size for axis in self.rows) <= self.machine.l2 >> 13

    def _row_group(self, k_block: int) -> int:
        """Row panels packed together: several where a line per k, shared by neighbouring panels,
        would not stay in the cache because all of them fall into few of its sets."""
        unit = set(self._operand_strides(self.rows[-1], "left")) <= {0, 1}
        apart = self._operand_strides(self.k[-1], "left")[0] * self.itemsize
        if not unit or len(self.rows) > 1 or apart == 0 or apart % 1024:
            return 1
        fitting = self.machine.l2 // 8 // (k_block * self.mr * self.itemsize)
        return max(1, min(16, fitting, panels(self.rows, self.mr)))

    def _packing(self) -> tuple[bool, bool]:
        if not self.k:
            return False, False
        if self.dot:
            straight = runs_along(self._operand_strides(self.k[-1], "left"))
            return self.joined[0] or not straight, False
        return self._packs_left(), not self._reads_right_directly()

    def _packs_left(self) -> bool:
        """Rows contiguous along k are read as fast as a packed panel; others not for long."""
        column_panels = panels(self.columns, self.vectors * self.lanes)
        if self.joined[0]:
            return True
        if set(self._operand_strides(self.k[-1], "left")) == {1}:
            return False
        row_bytes = prod(axis.size for axis in self.rows) * self.depth * self.itemsize
        return column_panels > 2 and row_bytes > 32 << 10

    def _reads_right_directly(self) -> bool:
        """Columns must be contiguous; then packing has to be worth its copy."""
        if not set(self._operand_strides(self.columns[-1], "right")) <= {0, 1}:
            return False
        row_panels = panels(self.rows, self.mr)
        if row_panels <= 2:
            return True
        if self.lasting[1]:
            return False
        rows = prod(axis.size for axis in self.rows)
        few = self.plain() and rows <= memory.FEW_ROWS
        if self.joined[1]:
            return few
        if memory.column_bytes(self) <= 64 << 10 and rows <= 256:
            return True
        return few or (self.plain() and memory.near_columns(self))

    def plain(self) -> bool:
        """Both free axes of the right operand are single: a matrix."""
        return len(self.columns) == len(self.k) == 1

    def _streamed_rows(self) -> int | None:
        """How many rows of a direct matrix are used at a time, so that they stay in the cache."""
        if self.dot or not self.plain() or self._packing()[1] or memory.near_columns(self):
            return None
        return memory.rows_at_a_time(self)

    def _k_blocks(self) -> tuple[int, int]:
        """Which k axis is cut, and its chunk: one block when the panels stay in the caches."""
        if not self.k:
            return 0, 1
        most, whole = memory.most_of_k(self, *self._packing())
        streamed = self._streamed_rows()
        if streamed is not None and streamed < self.depth:
            most = streamed
        elif self.dot or self.depth <= whole:
            return 0, max(1, self.k[0].size)
        inner = 1
        for position in range(len(self.k) - 1, -1, -1):
            size = self.k[position].size
            if inner * size > most or position == 0:
                return position, k_chunk_of(size, max(1, most // inner))
            inner *= size
        raise AssertionError("the first axis always ends the search")
