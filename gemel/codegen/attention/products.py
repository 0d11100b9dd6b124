"""Small products of blocks: rows are broadcast element by element, lanes lie beside each other.

Role: the micro-kernel of attention. Input: addresses and strides; what is known of the sizes.
Output: calls of internal functions, one for each set of strides in a module. The result is written
where it belongs, or added to what is there. Invariant: sums are taken in the order of the depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.native import shared
from gemel.codegen.sizes import NeedsConstants, is_size
from gemel.runtime.machine import machine

_DEEP = 4  # steps of depth per turn


@dataclass(frozen=True)
class Block:
    """result[row][lane] (+)= sum over depth of left[row][depth] * right[depth][lane].

    left_row, left_step   distances of neighbours of the left side along rows and depth
    right_step, out_step  distances along the depth of the right side and along result rows
    width                 lanes
    rows, depth           where they are known when code is emitted
    adding                to what the result holds
    again                 the last rows may be computed twice, and memory before the first rows
                          may be written, rather than row by row
    """

    elem: str
    left_row: int
    left_step: int
    right_step: int
    out_step: int
    width: int
    rows: int | None = None
    depth: int | None = None
    adding: bool = False
    again: bool = False

    @property
    def name(self) -> str:
        parts = (self.left_row, self.left_step, self.right_step, self.out_step, self.width)
        known = (self.rows or "r", self.depth or "d", int(self.adding), int(self.again))
        return "_".join(map(str, ("block", self.elem, *parts, *known)))


def vectors_together() -> int:
    """Vectors of one tile at most."""
    return 4 if machine().vector_registers >= 32 else 2


def tile_rows(vectors: int) -> int:
    """Rows of a tile that many vectors wide."""
    if machine().vector_registers >= 32:
        return 4 if vectors > 3 else 8
    return 4


def most_rows(width: int, lanes: int) -> int:
    """Rows of the highest tile of a block that many lanes wide."""
    vectors = -(-width // lanes)
    rest = vectors % vectors_together()
    counts = {min(vectors, vectors_together()), rest} - {0}
    return max(map(tile_rows, counts))


def multiply(
    f: Function,
    block: Block,
    left: Value,
    right: Value,
    out: Value,
    rows: Operand,
    depth: Operand,
) -> None:
    """Call the block's function."""
    if any(map(is_size, (block.left_row, block.left_step, block.right_step, block.out_step))):
        raise NeedsConstants("rows of attention lie at distances that differ")
    head = [("ptr", "left"), ("ptr", "right"), ("ptr", "out"), ("i64", "rows"), ("i64", "depth")]
    found = shared(f.module, block.name, head, lambda g, *given: _build(g, block, *given))
    f.call(found, left, right, out, rows, depth)


def _build(
    f: Function, block: Block, left: Value, right: Value, out: Value, rows: Value, depth: Value
) -> None:
    lanes = machine().vector_bytes // (4 if block.elem == "float" else 8)
    rows = block.rows or rows
    depth = block.depth or depth
    vectors = -(-block.width // lanes)
    for first in range(0, vectors, vectors_together()):
        count = min(vectors_together(), vectors - first)
        panel = _Panel(f, block, lanes, first, count, depth)
        panel.place(left, right, out)
        _each_tile(f, block, panel, rows, tile_rows(count))


def _each_tile(f: Function, block: Block, panel: _Panel, rows: Operand, high: int) -> None:
    if block.again:
        with f.loop(0, rows, high) as loop:
            panel.tile(f.min(loop.index, f.sub(rows, high)), high)
        return
    whole = f.sub(rows, f.urem(rows, high))
    if not isinstance(whole, int) or whole:
        with f.loop(0, whole, high) as loop:
            panel.tile(loop.index, high)
    if not isinstance(whole, int) or whole < rows:
        with f.loop(whole, rows) as loop:
            panel.tile(loop.index, 1)


class _Panel:
    """Some vectors of the lanes, all rows."""

    def __init__(self, f: Function, block: Block, lanes: int, first: int, count: int, depth):
        self.f = f
        self.block = block
        self.lanes = lanes
        self.count = count
        self.depth = depth
        self.first = first * lanes
        live = block.width - self.first - (count - 1) * lanes
        self.masks: list[Value | None] = [None] * count
        if live < lanes:
            self.masks[-1] = f.lanes_below(live, lanes)

    def place(self, left: Value, right: Value, out: Value) -> None:
        elem = self.block.elem
        self.left = left
        self.right = self.f.gep(right, self.first, elem)
        self.out = self.f.gep(out, self.first, elem)

    def _vectors(self, at: Value) -> list[Value]:
        f, elem = self.f, self.block.elem
        return [
            f.load(f.gep(at, j * self.lanes, elem), elem, self.lanes, mask=mask)
            for j, mask in enumerate(self.masks)
        ]

    def tile(self, row: Operand, high: int) -> None:
        """`high` rows from `row` on."""
        f, block = self.f, self.block
        left = f.gep(self.left, f.mul(row, block.left_row), block.elem)
        out = f.gep(self.out, f.mul(row, block.out_step), block.elem)
        places = [f.gep(out, i * block.out_step, block.elem) for i in range(high)]
        if block.adding:
            sums = [x for place in places for x in self._vectors(place)]
        else:
            sums = [f.constant(0, block.elem, self.lanes)] * (high * self.count)
        sums = self._summed(left, high, sums)
        for i, place in enumerate(places):
            for j, mask in enumerate(self.masks):
                to = f.gep(place, j * self.lanes, block.elem)
                f.store(sums[i * self.count + j], to, mask=mask)

    def _summed(self, left: Value, high: int, sums: list[Value]) -> list[Value]:
        f, depth = self.f, self.depth
        whole = f.sub(depth, f.urem(depth, _DEEP))
        if not isinstance(whole, int) or whole:
            with f.loop(0, whole, _DEEP, carry=sums) as loop:
                loop.next = self._turn(left, loop.index, _DEEP, high, loop.values)
            sums = loop.out
        if isinstance(whole, int) and isinstance(depth, int):
            return self._turn(left, whole, depth - whole, high, sums) if whole < depth else sums
        with f.loop(whole, depth, carry=sums) as loop:
            loop.next = self._turn(left, loop.index, 1, high, loop.values)
        return loop.out

    def _turn(
        self, left: Value, at: Operand, steps: int, high: int, sums: Sequence[Value]
    ) -> list[Value]:
        """Some steps of depth."""
        f, block = self.f, self.block
        a = f.gep(left, f.mul(at, block.left_step), block.elem)
        b = f.gep(self.right, f.mul(at, block.right_step), block.elem)
        found = list(sums)
        for step in range(steps):
            columns = self._vectors(f.gep(b, step * block.right_step, block.elem))
            for i in range(high):
                near = i * block.left_row + step * block.left_step
                x = f.splat(f.load(f.gep(a, near, block.elem), block.elem), self.lanes)
                for j, column in enumerate(columns):
                    k = i * self.count + j
                    found[k] = f.fma(x, column, found[k])
        return found
