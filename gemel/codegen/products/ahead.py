"""Lines of memory that are asked for while a tile is multiplied, long before they are read.

Role: memory is slow to answer, and the lines of a panel are too far apart for a machine to foresee.
So every tile asks for its share of the panel that comes next, evenly: a few lines in each turn of
its inner loop. Input: where the next panel lies. Output: a `Later`, which the inner loop runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Protocol

from gemel.codegen.blocks import LINE
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.packing import Source

# Steps of k in a turn of the inner loop: fewer branches, and their last one is foreseen.
STEPS = 4


class Later(Protocol):
    """What a tile asks for."""

    def ask(self, f: Function, index: Operand) -> None:
        """Ask for the lines of the turn at a value of k."""


@dataclass(frozen=True)
class _Spots:
    """In the turn at k, the lines `spots` elements behind `pointer + k * stride`; of four turns
    that share a line along k, each takes the rows `swing` elements further. Lines wait in the
    second cache as a rule: the first one holds what is being multiplied."""

    pointer: Value
    elem: str
    stride: int
    spots: tuple[int, ...]
    swing: int = 0
    cache: int = 2

    def ask(self, f: Function, index: Operand) -> None:
        """Ask for the lines of one turn."""
        at = f.mul(index, self.stride)
        if self.swing:
            turn = f.urem(f.udiv(index, STEPS), LINE // SIZES[self.elem] // STEPS)
            at = f.add(at, f.mul(turn, self.swing))
        place = f.gep(self.pointer, at, self.elem)
        for spot in self.spots:
            f.prefetch(f.gep(place, spot, self.elem), cache=self.cache)


@dataclass(frozen=True)
class _Runs:
    """Runs of `width` elements, `stride` elements apart, line after line: each turn asks for
    `each` of them, the first one for number `first`. Memory answers neighbours faster."""

    pointer: Value
    elem: str
    stride: int
    width: int
    first: Operand
    each: int

    def ask(self, f: Function, index: Operand) -> None:
        """Ask for the lines of one turn."""
        line = LINE // SIZES[self.elem]
        count = ceil(self.width / line)
        first = f.add(self.first, f.mul(f.udiv(index, STEPS), self.each))
        for number in range(self.each):
            here = f.add(first, number)
            # The last element: where runs straddle lines, the one before has asked for the first.
            last = f.add(f.mul(f.urem(here, count), line), line - 1)
            if self.width % line:
                last = f.min(last, self.width - 1)
            at = f.add(f.mul(f.udiv(here, count), self.stride), last)
            f.prefetch(f.gep(self.pointer, at, self.elem), cache=2)


def rows(f: Function, source: Source, width: int, depth: int, tiles: int, tile: Operand) -> Later:
    """`width` rows that are contiguous along k, shared out among the tiles of their columns."""
    elem = source.accesses[0].elem
    if source.lane_strides[0] != depth:
        return _along_k(f, source, width, tiles, tile)
    # Nothing lies between them: line after line.
    line = LINE // SIZES[elem]
    each = ceil(STEPS * width / line / tiles)
    pointer = f.gep(source.pointers[0], f.mul(tile, depth // STEPS * each * line), elem)
    return _Spots(pointer, elem, each * line // STEPS, tuple(range(0, each * line, line)), cache=1)


def _along_k(f: Function, source: Source, width: int, tiles: int, tile: Operand) -> Later:
    elem, stride = source.accesses[0].elem, source.lane_strides[0]
    turns = max(1, LINE // SIZES[elem] // STEPS)
    each = ceil(width / (turns * tiles))
    first = f.mul(f.min(tile, ceil(width / (turns * each)) - 1), turns * each)
    pointer = f.gep(source.pointers[0], f.mul(first, stride), elem)
    return _Spots(pointer, elem, 1, tuple(row * stride for row in range(each)), each * stride)


def columns(
    f: Function, source: Source, width: int, depth: int, tiles: int, tile: Operand
) -> Later:
    """A panel of columns for the second cache, shared out among the tiles of its rows."""
    if source.along_k:
        return _along_k(f, source, width, tiles, tile)
    elem, stride = source.accesses[0].elem, source.k_strides[-1][0]
    turns = ceil(depth / STEPS)
    lines = depth * ceil(width * SIZES[elem] / LINE)
    each = ceil(lines / (turns * tiles))
    # Where tiles are many, the later ones ask once more for the last lines.
    first = f.min(f.mul(tile, turns * each), max(0, lines - turns * each))
    return _Runs(source.pointers[0], elem, stride, width, first, each)
