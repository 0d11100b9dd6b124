"""Partial sums of a weight gradient become results.

Role: the last stage of `weight_gradient`: sets of partial sums, laid out as tiles leave them
([share][batch][panel of columns][row][nr]), are added in the order of the shares, and the epilogue
runs on vectors of them. Vectors lie along the columns, unless the result is contiguous along the
rows and not along the columns: then squares of sums are transposed first.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

from gemel.codegen.blocks import each, stepped
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.products.contraction import Pointers
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.products.packing import transpose_function
from gemel.codegen.weight_gradients.plan import GradientPlan
from gemel.codegen.windows.result_lanes import ResultLanes

_PIECE = 60_000  # cycles


class PartialSums:
    """Units of work are (batch, vector of columns, part of the rows)."""

    def __init__(self, chosen: GradientPlan):
        self.plan = chosen
        roles = chosen.roles
        self.batch = roles.single("batch")
        self.columns = roles.single("columns")
        self.vectors = ceil(self.columns.size / chosen.lanes)
        self.turned = self._turns()
        rows = [axis.size for axis in chosen.rows]
        # A square of rows, or one index of the first row axis.
        self.parts = ceil(prod(rows) / chosen.lanes) if self.turned else rows[0]
        self.units = self.batch.size * self.vectors * self.parts
        each_unit = (chosen.lanes if self.turned else prod(rows[1:])) * (
            8 + 2 * chosen.pieces.splits
        )
        wanted = max(1, min(64, self.units * each_unit // _PIECE, self.units))
        self.step = ceil(self.units / wanted)
        self.pieces = ceil(self.units / self.step)

    def _turns(self) -> bool:
        """Rows are one run in every array, and better than the columns."""
        roles = self.plan.roles
        rows = [axis for axis in self.plan.rows if axis.size > 1]
        along = self.columns.strides[roles.of_tile]
        if set(along) <= {0, 1} or not rows or self.plan.lanes == 1:
            return False
        for wide, near in zip(rows, rows[1:], strict=False):
            if wide.tile != tuple(near.size * stride for stride in near.tile):
                return False
        return set(rows[-1].tile) <= {0, 1} and not self._dead_lanes()

    def _dead_lanes(self) -> bool:
        """Whether channels side by side do not fill their last group."""
        block = self.plan.block
        width = block.width if block is not None else 0
        return bool(width) and self.plan.roles.single("rows").size % width != 0

    def emit(self, f: Function, piece: Operand, pointers: Pointers, epilogue: Epilogue) -> None:
        """Emit one piece."""
        work = _Combine(f, self, pointers, epilogue)
        first = f.mul(piece, self.step)
        left: Operand = self.step
        if self.units % self.step:
            left = f.min(f.sub(self.units, first), self.step)
        with each(f, left) as index:
            work.unit(f.add(first, index))


class _Combine:
    """Emits units."""

    def __init__(self, f: Function, owner: PartialSums, pointers: Pointers, epilogue: Epilogue):
        self.f = f
        self.owner = owner
        self.plan = owner.plan
        self.pointers = pointers
        self.epilogue = epilogue

    def unit(self, number: Operand) -> None:
        f, owner, p = self.f, self.owner, self.plan
        part = f.urem(number, owner.parts) if owner.parts > 1 else 0
        number = f.udiv(number, owner.parts)
        vector = f.urem(number, owner.vectors) if owner.vectors > 1 else 0
        batch = f.udiv(number, owner.vectors)
        column = f.mul(vector, p.lanes)
        panel = f.add(f.mul(batch, p.column_panels), f.udiv(column, p.nr))
        at = f.add(f.mul(panel, p.panel), f.urem(column, p.nr) if p.nr > p.lanes else 0)
        offsets = self._moved([0] * len(self.pointers.tile), owner.batch.strides, batch)
        offsets = self._moved(offsets, owner.columns.strides, column)
        live = f.sub(owner.columns.size, column)
        if owner.turned:
            self._square(at, f.mul(part, p.lanes), offsets, f.min(live, p.lanes))
        else:
            mask = None if owner.columns.size % p.lanes == 0 else f.lanes_below(live, p.lanes)
            offsets = self._along(offsets, p.rows[0].tile, part)
            self._cells(1, at, part, part, offsets, mask)

    def _moved(self, offsets: list, strides: Sequence[int], index: Operand) -> list:
        return self._along(offsets, strides[self.plan.roles.of_tile], index)

    def _along(self, offsets: list, strides: Sequence[int], index: Operand) -> list:
        return stepped(self.f, offsets, strides, index)

    def _total(self, at: Operand, row: Operand) -> Value:
        """One vector of columns, all shares added in order."""
        f, p = self.f, self.plan
        place = f.gep(self.pointers.shared, f.add(at, f.mul(row, p.nr)), p.elem)
        first = f.load(place, p.elem, p.lanes)
        with f.loop(1, p.pieces.splits, carry=[first]) as loop:
            there = f.gep(place, f.mul(loop.index, p.partial), p.elem)
            loop.next = [loop.values[0] + f.load(there, p.elem, p.lanes)]
        return loop.out[0]

    def _cells(
        self,
        level: int,
        at: Operand,
        flat: Operand,
        first: Operand,
        offsets: list,
        mask: Value | None,
    ) -> None:
        """Loops over the row axes from the second on; a vector of columns for each row."""
        f, p = self.f, self.plan
        if level == len(p.rows):
            strides = self.owner.columns.strides[p.roles.of_tile]
            self._deliver(self._total(at, flat), offsets, strides, mask)
            return
        axis = p.rows[level]
        count: Operand = axis.size
        if level == len(p.rows) - 1 and self.owner._dead_lanes():
            count = f.min(f.sub(p.roles.single("rows").size, f.mul(first, axis.size)), axis.size)
        with each(f, count) as index:
            row = f.add(f.mul(flat, p.row_sizes[level]), index)
            self._cells(level + 1, at, row, first, self._along(offsets, axis.tile, index), mask)

    def _deliver(
        self, value: Value, offsets: list, strides: Sequence[int], mask: Value | None
    ) -> None:
        tile = self.plan.roles.contraction.tile
        lanes = self.plan.lanes
        view = ResultLanes(self.f, tile, self.pointers.tile, offsets, strides, lanes, mask)
        self.epilogue(view, value)

    def _square(self, at: Operand, first: Operand, offsets: list, live: Operand) -> None:
        """A square of sums, transposed: vectors along the rows, one per column."""
        f, p = self.f, self.plan
        total = prod(axis.size for axis in p.rows)
        rows = f.min(f.sub(total, first), p.lanes)
        before = f.alloca(p.elem, p.lanes * p.lanes)
        after = f.alloca(p.elem, p.lanes * p.lanes)
        with each(f, rows) as index:
            value = self._total(at, f.add(first, index))
            f.store(value, f.gep(before, f.mul(index, p.lanes), p.elem))
        turn = transpose_function(f.module, p.elem, p.lanes)
        f.call(turn, before, p.lanes, after, p.lanes, rows, live)
        along = next(axis.tile for axis in reversed(p.rows) if axis.size > 1)
        offsets = self._along(offsets, along, first)
        mask = None if total % p.lanes == 0 else f.lanes_below(rows, p.lanes)
        with each(f, live) as index:
            value = f.load(f.gep(after, f.mul(index, p.lanes), p.elem), p.elem, p.lanes)
            self._deliver(
                value, self._moved(offsets, self.owner.columns.strides, index), along, mask
            )
