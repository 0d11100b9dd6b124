"""The contraction generator: matmul, batched matmul, einsum of two operands, unpadded windows.

Role: emit code for `result = epilogue(sum over k of left * right)` at the builder's current
position. Input: a `Contraction` (sizes, strides, element types; see `contraction_plan`), pointers,
a prologue per operand and an epilogue as Python callbacks. Output: instructions; nothing is
stored except by the epilogue.

    # relu(x @ w + bias), x (M, K), w (K, N), bias (N,); axes in the order m, n, k
    spec = Contraction(
        sizes=(M, N, K), reduced=(False, False, True), elem="float",
        left=(Access("float", (K, 0, 1)),),
        right=(Access("float", (0, 1, N)),),
        tile=(Access("float", (N, 1, 0)), Access("float", (0, 1, 0))),   # result, bias
    )

    def epilogue(tile, value):             # value: the finished sums, a vector of tile.lanes
        f = tile.function
        tile.store(0, f.maxnum(value + tile.load(1), 0.0))

    chosen = plan(spec, machine())
    pointers = Pointers(left=(x,), right=(w,), tile=(y, bias), scratch=s, shared=t)
    for stage, pieces in enumerate(chosen.stages()):
        with f.loop(0, pieces) as loop:
            emit(f, chosen, stage, loop.index, pointers, epilogue)

`chosen.scratch_bytes` bytes must lie at `s` and `chosen.shared_bytes` at `t`, 64-byte aligned (None
when it is 0).
`tile.load(slot)` and `tile.store(slot, value)` address `spec.tile[slot]` at the current results
whatever its strides are (0 repeats a value along an axis); `tile.offset(slot)` is the element
offset of lane 0, for random numbers and indices. An epilogue may store any number of arrays, and
an array it stores may be the memory of one that it loads at the same element. It is a pure function
of its arguments: it is called several times, and must leave the builder in straight-line code or
closed blocks.

A prologue `join(f, values) -> value` combines the arrays of one operand, one loaded value (vector
or scalar, in its own element type) each; without one the single array is converted to `elem`.

Invariants: sums over k are taken in one fixed order, given by the sizes alone. Results must not
overlap the operands. All sizes (also 0 and 1) are allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gemel.codegen.blocks import covering, each, extent
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.products import ahead
from gemel.codegen.products.contraction_memory import results_ahead
from gemel.codegen.products.contraction_pieces import TOGETHER
from gemel.codegen.products.contraction_plan import Axis, Plan, panels, plan
from gemel.codegen.products.contraction_spec import Access, Bound, Contraction
from gemel.codegen.products.contraction_sums import Panel, multiply
from gemel.codegen.products.contraction_tile import Epilogue, Sums, Tile, finish
from gemel.codegen.products.dot_tile import emit_dot_tile
from gemel.codegen.products.packing import Join, Source, each_k, pack_panel, pack_row, pack_rows
from gemel.codegen.sizes import common_divisor, divides

__all__ = [
    "Access",
    "Bound",
    "Contraction",
    "Epilogue",
    "Join",
    "Joins",
    "Plan",
    "Pointers",
    "Tile",
    "emit",
    "plan",
]

# The prologues of the spec's left and right operand.
Joins = tuple[Join | None, Join | None]


@dataclass(frozen=True)
class Pointers:
    """The addresses of a contraction's arrays, in the order of its accesses, and its memory.

    `scratch` belongs to the running thread, `shared` to all pieces of the contraction.
    """

    left: Sequence[Value]
    right: Sequence[Value]
    tile: Sequence[Value]
    scratch: Value | None = None
    shared: Value | None = None


def emit(
    f: Function,
    chosen: Plan,
    stage: int,
    piece: Operand,
    pointers: Pointers,
    epilogue: Epilogue,
    joins: Joins = (None, None),
) -> None:
    """Emit one piece of a stage. The joins belong to the spec's left and right operand."""
    _check_pointers(chosen, pointers)
    stages = chosen.stages()
    emitter = _Emitter(f, chosen, pointers, epilogue, joins)
    if stages[stage] == 1:
        piece = 0
    if stage < len(stages) - 1:
        emitter.pack(piece)
    else:
        emitter.multiply(piece)


def _check_pointers(chosen: Plan, pointers: Pointers) -> None:
    spec = chosen.contraction
    for name in ("left", "right", "tile"):
        expected, given = len(getattr(spec, name)), len(getattr(pointers, name))
        if expected != given:
            raise ValueError(f"{name}: {expected} arrays but {given} pointers")
    if chosen.scratch_bytes and pointers.scratch is None:
        raise ValueError(f"the contraction needs {chosen.scratch_bytes} bytes of scratch")
    if chosen.shared_bytes and pointers.shared is None:
        raise ValueError(f"the contraction needs {chosen.shared_bytes} bytes of shared memory")


@dataclass(frozen=True)
class _KBlock:
    """One block of k of one batch: axis sizes, the arrays' offsets, values of k before it."""

    index: Operand
    outside: list[Operand]
    batch: Operand
    before: Operand
    sizes: list[Operand]
    offsets: list[Operand]
    is_first: Value | None
    is_last: Value | None


class _Emitter:
    """The loops around the tiles. Offsets are lists with one entry per array of the plan."""

    def __init__(
        self,
        f: Function,
        chosen: Plan,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins,
    ):
        self.f = f
        self.plan = chosen
        self.epilogue = epilogue
        left, right = pointers.left, pointers.right
        self.joins = joins
        if chosen.swapped:
            left, right, self.joins = right, left, joins[::-1]
        self.bases = [*left, *right, *pointers.tile]
        self.left_count = len(left)
        self.first_tile = len(left) + len(right)
        self._divide_scratch(pointers.scratch)
        self.ahead = (chosen.pieces.ahead_left, chosen.pieces.ahead_right)
        self.shared = [pointers.shared, pointers.shared]
        if all(self.ahead):
            self.shared[1] = f.gep(pointers.shared, chosen.shared_regions()[0], "i8")

    def _divide_scratch(self, scratch: Value | None) -> None:
        left, right, _ = self.plan.region_bytes()
        f = self.f
        self.left_room = self.right_room = self.partial_room = scratch
        if scratch is not None:
            self.right_room = f.gep(scratch, left, "i8")
            self.partial_room = f.gep(scratch, left + right, "i8")

    def multiply(self, piece: Operand) -> None:
        """One block of batches, columns and rows; rows vary fastest."""
        chosen, f, cut_ = self.plan, self.f, self.plan.pieces
        _, wide, high = chosen.counts()
        rows = extent(f, f.urem(piece, high), cut_.rows, chosen.row_panels)
        rest = f.udiv(piece, high)
        columns = extent(f, f.urem(rest, wide), cut_.columns, chosen.column_panels)
        batches = extent(f, f.udiv(rest, wide), cut_.batches, chosen.batches)
        with each(f, batches[1]) as number:
            batch, offsets = self._batch(f.add(batches[0], number))
            with _blocks(f, columns, cut_.columns, chosen.column_block) as some_columns:
                with _blocks(f, rows, cut_.rows, chosen.row_block) as some_rows:
                    self._each_k_block(batch, offsets, some_rows, some_columns)
        if chosen.past:
            f.settle()

    def _batch(self, index: Operand) -> tuple[Operand, list[Operand]]:
        offsets: list[Operand] = [0] * len(self.bases)
        if self.plan.batch:
            offsets, _ = self._position(self.plan.batch, index, 1, offsets)
        return index, offsets

    def _each_k_block(self, batch: Operand, offsets: list, rows: tuple, columns: tuple) -> None:
        f = self.f
        with each(f, self.plan.k_blocks) as index:
            block = self._k_block(index, batch, offsets)
            if self.plan.pack_right and not self.ahead[1]:
                with each(f, columns[1]) as column:
                    target = self._right_panel(block, 0, column)
                    self._pack_right(block, f.add(columns[0], column), target)
            # Rows that come packed, or are not packed, need no groups.
            group = 1 if self.ahead[0] else self.plan.row_group
            with _blocks(f, rows, None, group) as (first, count):
                if group > 1:
                    self._pack_rows(block, first, count)
                with each(f, count) as member:
                    panel = f.add(first, member)
                    self._row_panel(block, panel, f.sub(panel, rows[0]), columns, member)

    def _k_block(self, index: Operand, batch: Operand, offsets: list) -> _KBlock:
        chosen, f = self.plan, self.f
        if not chosen.k:
            return _KBlock(index, offsets, batch, 0, [], offsets, None, None)
        outer = chosen.k[: chosen.k_axis + 1]
        moved, start = self._position(outer, index, chosen.k_chunk, offsets)
        size = outer[-1].size
        if size == chosen.k_chunk or divides(chosen.k_chunk, size):
            length: Operand = chosen.k_chunk
        else:
            length = f.min(f.sub(size, start), chosen.k_chunk)
        inner = [axis.size for axis in chosen.k[chosen.k_axis + 1 :]]
        sizes = inner if inner and chosen.k_chunk == 1 else [length, *inner]
        if chosen.k_blocks == 1:
            return _KBlock(index, offsets, batch, 0, sizes, moved, None, None)
        row = f.mul(f.udiv(index, panels(outer[-1:], chosen.k_chunk)), size)
        before = f.mul(f.add(row, start), chosen.k_inner)
        is_first = f.compare("==", index, 0)
        is_last = f.compare("==", index, chosen.k_blocks - 1)
        return _KBlock(index, offsets, batch, before, sizes, moved, is_first, is_last)

    def pack(self, piece: Operand) -> None:
        """Some panels of one operand, with all of k, into the shared memory."""
        f = self.f
        (high, left), (wide, right) = self.plan.packing()
        if left and right:
            f.if_else(
                f.compare("<", piece, left),
                lambda: self._pack_some(0, piece, high),
                lambda: self._pack_some(1, f.sub(piece, left), wide),
            )
        elif left:
            self._pack_some(0, piece, high)
        else:
            self._pack_some(1, piece, wide)

    def _pack_across(self, side: int, piece: Operand, size: int) -> None:
        """Some values of k of a matrix, into all panels: memory is read as it lies."""
        chosen, f = self.plan, self.f
        blocks = covering(chosen.depth, size)
        batch, outside = self._batch(f.udiv(piece, blocks))
        first, count = extent(f, f.urem(piece, blocks), size, chosen.depth)
        # Whole lines of narrow panels; a prologue is not repeated for each.
        together = common_divisor(chosen.depth, TOGETHER) if self.joins[side] is None else 1
        with f.loop(0, count, together, nonempty=True) as loop:
            at = f.add(first, loop.index)
            offsets = list(outside)
            self._advance(offsets, chosen.k[0], at)
            block = _KBlock(0, offsets, batch, at, [chosen.depth], offsets, None, None)
            with each(f, (chosen.row_panels, chosen.column_panels)[side]) as panel:
                self._pack_steps(side, block, panel, together)
        if side == 1 and chosen.columns_past:
            f.settle()

    def _pack_steps(self, side: int, block: _KBlock, panel: Operand, count: int) -> None:
        """The next values of k of a panel."""
        chosen, f = self.plan, self.f
        past, masks = False, None
        if side == 0:
            source = self._source(0, self._row_offsets(block, panel)[0], block)
            target, width = self._left_panel(block, panel, 0), chosen.mr
        else:
            source, start = self._column_source(block, panel)
            target, width = self._right_panel(block, panel, 0), chosen.nr
            past, size = chosen.columns_past, chosen.columns[-1].size
            masks = None if divides(width, size) else self._masks(f.sub(size, start))
        for step in range(count):
            offsets = [step * stride for stride in source.k_strides[-1]]
            row = f.gep(target, step * width, source.elem)
            pack_row(f, source, offsets, row, width, chosen.lanes, masks, past)

    def _masks(self, live: Operand) -> list[Value]:
        """The vectors of a panel of which so many columns exist."""
        chosen, f = self.plan, self.f
        starts = range(0, chosen.nr, chosen.lanes)
        return [f.lanes_below(f.sub(live, at), chosen.lanes) for at in starts]

    def _pack_some(self, side: int, piece: Operand, size: int) -> None:
        chosen, f = self.plan, self.f
        if chosen.packs_across()[side]:
            self._pack_across(side, piece, size)
            return
        total = (chosen.row_panels, chosen.column_panels)[side]
        blocks = covering(total, size)
        batch, offsets = self._batch(f.udiv(piece, blocks))
        first, count = extent(f, f.urem(piece, blocks), size, total)
        block = _KBlock(0, offsets, batch, 0, [axis.size for axis in chosen.k], offsets, None, None)
        if side == 0 and chosen.row_group > 1:
            with _blocks(f, (first, count), size, chosen.row_group) as (start, some):
                self._pack_rows(block, start, some)
            return
        with each(f, count) as number:
            panel = f.add(first, number)
            if side == 1:
                self._pack_right(block, panel, self._right_panel(block, panel, 0))
            else:
                at, _ = self._row_offsets(block, panel)
                source = self._source(0, at, block)
                target = self._left_panel(block, panel, 0)
                pack_panel(f, source, target, chosen.mr, chosen.mr, block.sizes, chosen.lanes)

    def _position(
        self, group: Sequence[Axis], index: Operand, tile: int, offsets: Sequence[Operand]
    ) -> tuple[list[Operand], Operand]:
        """Offsets at panel `index` of a group, and where that panel starts in the last axis."""
        f = self.f
        out = list(offsets)
        count = panels(group[-1:], tile)
        start = f.mul(f.urem(index, count) if len(group) > 1 else index, tile)
        if len(group) > 1:
            index = f.udiv(index, count)
        self._advance(out, group[-1], start)
        for position in range(len(group) - 2, -1, -1):
            axis = group[position]
            self._advance(out, axis, f.urem(index, axis.size) if position else index)
            index = f.udiv(index, axis.size) if position else index
        return out, start

    def _advance(self, offsets: list[Operand], axis: Axis, index: Operand) -> None:
        for slot, stride in enumerate(axis.strides):
            offsets[slot] = self.f.add(offsets[slot], self.f.mul(index, stride))

    # Operands of one panel.

    def _source(self, side: int, offsets: Sequence[Operand], block: _KBlock) -> Source:
        chosen, f = self.plan, self.f
        slots = slice(0, self.left_count) if side == 0 else slice(self.left_count, self.first_tile)
        accesses = (chosen.left, chosen.right)[side]
        axis = (chosen.rows, chosen.columns)[side][-1]
        places = zip(self.bases[slots], offsets[slots], accesses, strict=True)
        return Source(
            accesses=accesses,
            pointers=tuple(f.opaque(f.gep(base, offset, a.elem)) for base, offset, a in places),
            lane_strides=axis.strides[slots],
            k_strides=tuple(k.strides[slots] for k in chosen.k[-len(block.sizes) :]),
            elem=chosen.contraction.elem,
            join=self.joins[side],
        )

    def _pack_right(self, block: _KBlock, panel: Operand, target: Value) -> None:
        chosen = self.plan
        source, start = self._column_source(block, panel)
        live = self.f.sub(chosen.columns[-1].size, start)
        if divides(chosen.nr, chosen.columns[-1].size):
            live = chosen.nr
        pack_panel(self.f, source, target, chosen.nr, live, block.sizes, chosen.lanes)

    def _column_source(self, block: _KBlock, panel: Operand) -> tuple[Source, Operand]:
        """A panel of columns in memory, and its first column along the tiled axis."""
        chosen = self.plan
        offsets, start = self._position(chosen.columns, panel, chosen.nr, block.offsets)
        return self._source(1, offsets, block), start

    def _right_panel(self, block: _KBlock, panel: Operand, local: Operand) -> Value:
        if self.ahead[1]:
            return self._shared_panel(1, block, panel)
        step = self.plan.k_block * self.plan.nr
        return self.f.gep(self.right_room, self.f.mul(local, step), self.plan.contraction.elem)

    def _left_panel(self, block: _KBlock, panel: Operand, member: Operand) -> Value:
        if self.ahead[0]:
            return self._shared_panel(0, block, panel)
        step = self.plan.k_block * self.plan.mr
        return self.f.gep(self.left_room, self.f.mul(member, step), self.plan.contraction.elem)

    def _shared_panel(self, side: int, block: _KBlock, panel: Operand) -> Value:
        chosen, f = self.plan, self.f
        width = (chosen.mr, chosen.nr)[side]
        count = (chosen.row_panels, chosen.column_panels)[side]
        number = f.add(f.mul(block.batch, count), panel)
        at = f.add(f.mul(number, chosen.panel(width)), f.mul(block.before, width))
        return f.gep(self.shared[side], at, chosen.contraction.elem)

    def _pack_rows(self, block: _KBlock, first: Operand, count: Operand) -> None:
        """Several row panels together, k by k: whole cache lines are read while they are near."""
        chosen, f = self.plan, self.f
        source = self._source(0, block.offsets, block)
        size = chosen.rows[-1].size

        def copy(linear: Operand, offsets: list[Operand], _: list[Value]) -> None:
            with each(f, count) as member:
                panel = f.add(first, member)
                start = f.min(f.mul(panel, chosen.mr), size - chosen.mr)
                at = [
                    f.add(offset, f.mul(start, stride))
                    for offset, stride in zip(offsets, source.lane_strides, strict=True)
                ]
                target = self._left_panel(block, panel, member)
                row = f.gep(target, f.mul(linear, chosen.mr), source.elem)
                pack_row(f, source, at, row, chosen.mr, chosen.lanes)

        each_k(f, block.sizes, source.k_strides, [0] * len(source.accesses), copy)

    # One row panel against all columns of the block.

    def _row_offsets(self, block: _KBlock, panel: Operand) -> tuple[list[Operand], Operand]:
        """Where a row panel lies, and its first row that the panel before it does not have."""
        chosen, f = self.plan, self.f
        offsets, start = self._position(chosen.rows, panel, chosen.mr, block.offsets)
        size = chosen.rows[-1].size
        if divides(chosen.mr, size):
            return offsets, 0
        # The last tile starts early to be full.
        early = f.sub(f.min(start, size - chosen.mr), start)
        self._advance(offsets, chosen.rows[-1], early)
        return offsets, f.neg(early)

    def _row_panel(
        self, block: _KBlock, panel: Operand, local: Operand, columns: tuple, member: Operand
    ) -> None:
        chosen, f = self.plan, self.f
        offsets, first_row = self._row_offsets(block, panel)
        source = self._source(0, offsets, block)
        packed = self._left_panel(block, panel, member) if chosen.pack_left else None
        if packed is not None and chosen.dot:
            source = pack_rows(f, source, packed, chosen.mr, [axis.size for axis in chosen.k])
        elif packed is not None and chosen.row_group == 1 and not self.ahead[0]:
            pack_panel(f, source, packed, chosen.mr, chosen.mr, block.sizes, chosen.lanes)
        left = Panel(source, packed, chosen.mr)
        with each(f, columns[1]) as column:
            number = f.add(f.mul(local, chosen.column_block), column)
            where = f.add(columns[0], column)
            self._tile(block, offsets, left, first_row, where, column, number)

    def _tile(
        self,
        block: _KBlock,
        offsets: list[Operand],
        left: Panel,
        first_row: Operand,
        panel: Operand,
        local: Operand,
        number: Operand,
    ) -> None:
        chosen, f = self.plan, self.f
        size = chosen.columns[-1].size
        offsets, start = self._position(chosen.columns, panel, chosen.nr, offsets)
        live = None if divides(chosen.nr, size) else f.sub(size, start)
        tile = Tile(f, chosen, self.bases[self.first_tile :], offsets[self.first_tile :], live)
        source = self._source(1, offsets, block)
        if chosen.dot:
            emit_dot_tile(
                f, chosen, left.source, source, block.sizes, tile, self.epilogue, first_row
            )
            return
        packed = self._right_panel(block, panel, local) if chosen.pack_right else None
        masks = None
        if live is not None and packed is None:
            masks = self._masks(live)
        right = Panel(source, packed, chosen.nr, masks)
        later = self._later(block, left, panel, local, number)
        tile.ask(results_ahead(chosen), chosen.mr, chosen.nr)
        values = multiply(f, chosen, left, right, block.sizes, later)
        partial = None
        if chosen.k_blocks != 1:
            step = chosen.mr * chosen.nr
            partial = f.gep(self.partial_room, f.mul(number, step), chosen.contraction.elem)
        sums = Sums(values, partial, block.is_first, block.is_last)
        finish(f, chosen, sums, tile, self.epilogue, first_row)

    def _later(
        self, block: _KBlock, left: Panel, panel: Operand, local: Operand, number: Operand
    ) -> list[ahead.Later]:
        """What the tile of a row panel and a column asks for while it is multiplied."""
        chosen, f = self.plan, self.f
        out = []
        if chosen.ask_rows:
            source = left.source.moved(f, chosen.mr)
            depth = chosen.depth if chosen.k_blocks == 1 else 0
            out.append(ahead.rows(f, source, chosen.mr, depth, chosen.column_block, local))
        if chosen.ask_columns:
            if chosen.column_panels > 1:
                panel = f.add(panel, 1)
            else:
                block = self._k_block(f.add(block.index, 1), block.batch, block.outside)
            source, _ = self._column_source(block, panel)
            depth = chosen.k_block
            out.append(ahead.columns(f, source, chosen.nr, depth, chosen.row_panels, number))
        return out


@contextmanager
def _blocks(
    f: Function, span: tuple[Operand, Operand], most: int | None, block: int
) -> Iterator[tuple[Operand, Operand]]:
    """(start, length) of each block of at most `block` in a range that is never above `most`."""
    first, total = span
    known = type(total) is int
    if known and total <= block or most is not None and most <= block:
        yield span
        return
    with f.loop(0, total, block, nonempty=True) as loop:
        whole = block == 1 or (known and total % block == 0)
        length = block if whole else f.min(f.sub(total, loop.index), block)
        yield f.add(first, loop.index), length
