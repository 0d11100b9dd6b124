"""Lines of memory that are asked for while a tile is multiplied, long before they are read.

Role: memory is slow to answer, and the lines of a panel are too far apart for a machine to foresee.
So every tile asks for its share of the panel that comes next, evenly: a few lines in each turn of
its inner loop. Input: where the next panel lies. Output: a `Later`, which the inner loop runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from gemel.codegen.blocks import LINE
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.packing import Source

# Steps of k in a turn of the inner loop: fewer branches, and their last one is foreseen.
STEPS = 4


@dataclass(frozen=True)
class Later:
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


def rows(f: Function, source: Source, width: int, depth: int, tiles: int, tile: Operand) -> Later:
    """`width` rows that are contiguous along k, shared out among the tiles of their columns."""
    elem = source.accesses[0].elem
    if source.lane_strides[0] != depth:
        return _along_k(f, source, width, tiles, tile)
    # Nothing lies between them: line after line.
    line = LINE // SIZES[elem]
    each = ceil(STEPS * width / line / tiles)
    pointer = f.gep(source.pointers[0], f.mul(tile, depth // STEPS * each * line), elem)
    return Later(pointer, elem, each * line // STEPS, tuple(range(0, each * line, line)), cache=1)


def _along_k(f: Function, source: Source, width: int, tiles: int, tile: Operand) -> Later:
    elem, stride = source.accesses[0].elem, source.lane_strides[0]
    turns = max(1, LINE // SIZES[elem] // STEPS)
    each = ceil(width / (turns * tiles))
    first = f.mul(f.min(tile, ceil(width / (turns * each)) - 1), turns * each)
    pointer = f.gep(source.pointers[0], f.mul(first, stride), elem)
    return Later(pointer, elem, 1, tuple(row * stride for row in range(each)), each * stride)


def columns(f: Function, source: Source, width: int, tiles: int, tile: Operand) -> Later:
    """A panel of columns for the second cache, shared out among the tiles of its rows."""
    if source.along_k:
        return _along_k(f, source, width, tiles, tile)
    elem, stride = source.accesses[0].elem, source.k_strides[-1][0]
    line = LINE // SIZES[elem]
    count = ceil(width / line)
    # Four tiles ask for one value of k in every turn; more of them share its lines.
    groups = max(1, min(count, tiles // STEPS))
    steps = ceil(STEPS / tiles)
    each = ceil(count / groups)
    of_k = f.mul(f.urem(tile, STEPS // steps), steps * stride)
    of_line = f.mul(f.min(f.udiv(tile, STEPS), groups - 1), each * line)
    pointer = f.gep(source.pointers[0], f.add(of_k, of_line), elem)
    # The last element of each: where panels straddle lines, the one before has asked for the first.
    lasts = [min(i * line + line, width) - 1 for i in range(each)]
    spots = tuple(step * stride + last for step in range(steps) for last in lasts)
    return Later(pointer, elem, stride, spots)
