"""Tiles: memory whose neighbours lie along another axis than the lanes, turned in registers.

Role: lets a nest read and write transposed arrays in whole vectors. Input: a nest whose lanes step
over an array by a stride, while neighbours of that array lie along an axis `across`. Before its
cells are computed a square of the array is turned into a buffer on the stack, a row per index of
`across`; what the cells store is collected the same way and turned back. The stack stays in the
first cache, so a cell costs a load and a few shuffles.
"""

from __future__ import annotations

import math
from dataclasses import replace

from gemel.codegen.emitter import element
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.nest import Access, Expr, Nest, accesses, children
from gemel.codegen.nests.evaluate import SPACED, Place
from gemel.codegen.products.packing import transpose_function
from gemel.codegen.sizes import hint, is_size
from gemel.runtime.machine import machine

LEAST_ROW, LEAST_ACROSS = 3, 8  # cells: fewer are not worth turning
LINE = 64  # bytes of a cache line
WAY = 4096  # bytes after which cache lines fall into the same set of the first cache
MOST_ACROSS = 96  # cells of a row of which vectors are held
SHORT_ROW = 16  # cells of a row that is better a lane than a vector
MACRO = 64  # cells along both sides of a square that is walked at once


def tile_axis(nest: Nest) -> int | None:
    """The axis across the lanes along which arrays of the nest have their neighbours, if there is
    one and its cells can be tiled: nothing is reduced, or vectors of short rows are."""
    if nest.lanes is None or nest.width < 4 or hint(nest.sizes[nest.lanes]) < nest.width // 2:
        return None
    exprs = children(nest.stores)
    reduces = any(e.kind == "reduce" for e in exprs)
    for axis in nest.cols:
        size = nest.sizes[axis]
        short = nest.cols == (axis,) and not is_size(size) and size <= MOST_ACROSS
        if axis == nest.lanes or not turned(nest, axis):
            continue
        if reduces or nest.rows:
            if short and nest.lanes in nest.rows and size >= LEAST_ROW:
                return axis
        elif hint(size) >= LEAST_ACROSS and not _gathers(nest, axis):
            return axis
    return None


def _gathers(nest: Nest, across: int) -> bool:
    """Is gathering as good: reads only, of so few cache lines that they stay in the first cache
    until the next cells read them again?"""
    if any(lies_across(nest, s.target, s.value.dtype, across) for s in nest.stores):
        return False
    ways = machine().l1 // WAY
    for a, dtype in turned(nest, across):
        apart = max(LINE, math.gcd(hint(a.stride(nest.lanes)) * dtype.itemsize, WAY))
        if hint(nest.sizes[nest.lanes]) > WAY // apart * ways * 3 // 4:
            return False
    return nest.cols[-2:-1] == (across,)


def turned(nest: Nest, across: int) -> list[tuple[Access, object]]:
    """(access, type) of every array that lies across the lanes with neighbours along `across`."""
    found: dict[Access, object] = {}
    for e in children(nest.stores):
        if e.kind == "load" and lies_across(nest, e.payload, e.dtype, across):
            found[e.payload] = e.dtype
    for s in nest.stores:
        if s.index is None and lies_across(nest, s.target, s.value.dtype, across):
            found[s.target] = s.value.dtype
    return list(found.items())


def lies_across(nest: Nest, a: Access, dtype, across: int) -> bool:
    wide = dtype.itemsize >= 4 and dtype.name != "bool"
    return wide and a.stride(nest.lanes) not in (0, 1) and a.stride(across) == 1


class Tiles:
    """The buffers of one nest: `rows` indices of the axis across, `width` lanes each."""

    def __init__(self, f: Function, nest: Nest, across: int, rows: int):
        self.f = f
        self.nest = nest
        self.across = across
        self.width = nest.width
        self.rows = -(-rows // self.width) * self.width
        self.kinds = {a: element(dtype) for a, dtype in turned(nest, across)}
        self.stacks = {a: f.alloca(k, self.rows * self.width) for a, k in self.kinds.items()}
        self.read = [e.payload for e in children(nest.stores) if e.kind == "load"]
        self.read = [a for a in dict.fromkeys(self.read) if a in self.kinds]
        self.written = [s.target for s in nest.stores if s.target in self.kinds]
        self.start: Operand = 0

    def row(self, a: Access, index: Operand) -> Value:
        """Where the lanes of an index of the axis across lie."""
        f = self.f
        at = f.mul(f.sub(index, self.start), self.width)
        return f.gep(self.stacks[a], at, self.kinds[a])

    def fill(self, address, place: Place, live: Operand, count: Operand) -> None:
        """Turn `count` cells along the axis across, for `live` lanes, into the buffers."""
        f, width = self.f, self.width
        for a in self.read:
            elem, lane = self.kinds[a], a.stride(self.nest.lanes)
            block = transpose_function(f.module, elem, width)
            with f.loop(0, count, width, nonempty=True) as loop:
                source = f.gep(address(a, place, elem), loop.index, elem)
                target = f.gep(self.stacks[a], f.mul(loop.index, width), elem)
                columns = f.min(f.sub(count, loop.index), width)
                f.call(block, source, lane, target, width, live, columns)

    def flush(self, address, place: Place, live: Operand, count: Operand) -> None:
        """Turn what was collected back into memory."""
        f, width = self.f, self.width
        known = type(count) is int
        whole = count // width * width if known else count
        for a in self.written:
            lanes = address(a, place, self.kinds[a])
            with f.loop(0, whole, width, nonempty=not known) as loop:
                columns = width if known else f.min(f.sub(count, loop.index), width)
                self._turn_back(a, lanes, loop.index, live, columns)
            if known and whole < count:
                self._turn_back(a, lanes, whole, live, count - whole)

    def _turn_back(
        self, a: Access, lanes: Value, at: Operand, live: Operand, columns: Operand
    ) -> None:
        """Some columns from `at` on, of all lanes. lanes: where their first cells lie."""
        f, width, elem = self.f, self.width, self.kinds[a]
        block = transpose_function(f.module, elem, width)
        stage = f.alloca(elem, width * width)
        source = f.gep(self.stacks[a], f.mul(at, width), elem)
        f.call(block, source, width, stage, width, columns, live)
        target, apart = f.gep(lanes, at, elem), a.stride(self.nest.lanes)
        # a mask that is known costs little, and none nothing
        mask = None if columns == width else f.lanes_below(columns, width)
        with f.loop(0, live, nonempty=True) as line:
            x = f.load(f.gep(stage, f.mul(line.index, width), elem), elem, width)
            f.store(x, f.gep(target, f.mul(line.index, apart), elem), mask=mask)


# ---------- other lanes ----------
def relaned(nest: Nest, late: bool) -> Nest:
    """The nest with lanes along another axis, where those it has are few: short rows become
    columns of vectors, each lane a row. late: also where values of the rows are reduced over all
    rows; such a nest stays whole."""
    if nest.lanes not in nest.cols or any(s.index is not None or s.adding for s in nest.stores):
        return nest
    sums = [e for e in children(nest.stores) if e.kind == "reduce"]
    over = {e.payload[1] for e in sums}
    size, least = nest.sizes[nest.lanes], 4 * nest.width
    if is_size(size):
        return nest
    if nest.rows:
        short = LEAST_ROW <= size <= SHORT_ROW and nest.cols == (nest.lanes,)
        if late and not any(sums_over_rows(nest, e) and nest.lanes in e.args[0].axes for e in sums):
            over.discard(frozenset(nest.rows))
        fits = short and over == {frozenset(nest.cols)}
        axes = nest.rows[-1:] if fits else ()
        least = 2 * nest.width
    else:
        apart = any(a.stride(nest.lanes) not in (0, 1) for a in accesses(nest.stores))
        few = 1 < size <= SPACED or (apart and LEAST_ACROSS <= size < nest.width)
        axes = nest.cols if few and not over else ()
    axes = [a for a in axes if hint(nest.sizes[a]) >= least]
    axes = [a for a in axes if a != nest.lanes and _turns_whole(nest, a)]
    if not axes:
        return nest
    lanes = max(axes, key=lambda a: hint(nest.sizes[a]))
    cols = nest.cols
    if lanes in cols:
        cols = (*(a for a in cols if a != lanes), lanes)
    return replace(nest, lanes=lanes, cols=cols)


def sums_over_rows(nest: Nest, e: Expr) -> bool:
    """Is a reduction complete only after the last row?"""
    return bool(nest.rows) and e.payload[1] >= frozenset(nest.rows)


def _turns_whole(nest: Nest, lanes: int) -> bool:
    """With these lanes, is every array read along them, in small steps, or turned?"""
    new = replace(nest, lanes=lanes)
    loads = [(e.payload, e.dtype) for e in children(nest.stores) if e.kind == "load"]
    arrays = loads + [(s.target, s.value.dtype) for s in nest.stores]
    if any(e.kind in ("pick", "edge") for e in children(nest.stores)):
        return False
    straight = [0 <= hint(a.stride(lanes)) <= SPACED for a, _ in arrays]
    across = [lies_across(new, a, dtype, nest.lanes) for a, dtype in arrays]
    return all(x or y for x, y in zip(straight, across, strict=True))
