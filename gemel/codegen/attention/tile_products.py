"""Products of blocks on matrix tiles: float32 operands in three parts, sums of float32.

Role: the micro-kernel of attention where the machine has matrix tiles. Input: operands as `parted`
lays them out. Output: calls of one internal function. Invariant: the tile unit is configured.

Four tiles are used of the eight there are: the more of them hold something, the fewer are left for
what is loaded ahead, and beside a busy neighbour on the same core twice as many take twice as long.
"""

from __future__ import annotations

from gemel.codegen.attention.parted import BLOCK, PART
from gemel.codegen.dots import tile_unit
from gemel.codegen.dots.parts import PRODUCTS
from gemel.codegen.dots.tile_unit import BYTES, ROWS
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.native import shared

_LEFT, _RIGHT = 2, 3  # tiles; 0 and 1 hold sums
_HEAD = [
    ("ptr", "left"), ("i64", "apart"), ("ptr", "right"), ("ptr", "out"), ("i64", "step"),
    ("i64", "groups"), ("i64", "tiles"), ("i1", "adding"),
]  # fmt: skip


def multiply_tiles(
    f: Function, left: Value, apart: Operand, right: Value, out: Value, step: Operand,
    sizes: tuple[Operand, Operand], adding: bool,
) -> None:  # fmt: skip
    """out[row][column] (+)= sum over k of left[row][k] * right[k][column], for 32 columns.

    apart  bytes from a group of rows of the left side to the next one
    step   bytes from row to row of the result
    sizes  groups of rows, blocks of k
    """
    found = shared(f.module, "multiply_tiles", _HEAD, _build)
    f.call(found, left, apart, right, out, step, *sizes, adding)


def _build(f: Function, left, apart, right, out, step, groups, tiles, adding) -> None:
    with f.loop(0, groups) as group, f.loop(0, 2) as half:
        rows = f.gep(left, f.mul(group.index, apart), "i8")
        rows = f.gep(rows, f.mul(half.index, BYTES), "i8")
        first = f.mul(f.add(f.mul(group.index, 2), half.index), ROWS)
        place = f.gep(out, f.mul(first, step), "i8")
        places = [place, f.gep(place, ROWS, "float")]

        def resume(places=places) -> None:
            for number, place in enumerate(places):
                tile_unit.load(f, number, place, step)

        def begin() -> None:
            for number in (0, 1):
                tile_unit.zero(f, number)

        f.if_else(adding, resume, begin)
        with f.loop(0, tiles) as tile:
            ahead = f.mul(tile.index, BLOCK)
            _block(f, f.gep(rows, ahead, "i8"), f.gep(right, ahead, "i8"))
        for number, place in enumerate(places):
            tile_unit.store(f, number, place, step)


def _block(f: Function, left: Value, right: Value) -> None:
    """The products of parts at 32 values of k, in an order in which neighbours share a tile."""
    held: tuple = (None, None)
    for turn, (a, b) in enumerate(PRODUCTS):
        for column in (0, 1) if turn % 2 == 0 else (1, 0):
            wanted = (a, (b, column))
            if held[0] != wanted[0]:
                tile_unit.load(f, _LEFT, f.gep(left, a * PART, "i8"))
            if held[1] != wanted[1]:
                tile_unit.load(f, _RIGHT, f.gep(right, b * PART + column * BYTES, "i8"))
            held = wanted
            tile_unit.dot(f, column, _LEFT, _RIGHT)
