"""Operands of products on matrix tiles: float32 rows cut in three parts and laid out in tiles.

Role: write left and right operands as `tile_products` reads them. Input: addresses of rows and how
many there are. Output: groups of 32 rows (left) or columns (right), in each blocks of 32 values of
k, in each the parts, in each two tiles; and the largest of the numbers that were read. Invariants:
what lies beyond the rows and columns is 0 and not read; parts of what is not finite are worth
nothing, so that who multiplies looks at the largest number first.
"""

from __future__ import annotations

from collections.abc import Sequence

from gemel.codegen.dots.parts import PARTS, along, beside, split
from gemel.codegen.dots.tile_unit import BYTES, ROWS
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.native import shared
from gemel.codegen.products.packing import transpose_function

GROUP = 2 * ROWS  # rows or columns that are multiplied together
DEPTH = 2 * ROWS  # values of k in a tile
PART = 2 * BYTES
BLOCK = PARTS * PART  # bytes of a group at 32 values of k

_LINE = 64
_HEAD = [("ptr", "source"), ("i64", "stride"), ("i64", "rows"), ("i64", "columns")]
_TAIL = [("i64", "groups"), ("i64", "tiles"), ("ptr", "target"), ("ptr", "largest")]
_MAGNITUDE = (1 << 31) - 1


def groups(count: int) -> int:
    """How many groups, or blocks of k, cover so many rows."""
    return -(-count // GROUP)


def lay_left(
    f: Function, source: Value, stride: Operand, rows: Operand, columns: Operand,
    over: tuple[Operand, Operand], target: Value, largest: Value,
) -> None:  # fmt: skip
    """Rows whose columns are k. over: groups of rows and blocks of k that are written."""
    found = shared(f.module, "lay_left", _HEAD + _TAIL, _left)
    f.call(found, source, stride, rows, columns, *over, target, largest)


def lay_right(
    f: Function, source: Value, stride: Operand, rows: Operand, columns: Operand,
    over: tuple[Operand, Operand], target: Value, largest: Value,
) -> None:  # fmt: skip
    """Rows which are k. over: groups of columns and blocks of k that are written."""
    found = shared(f.module, "lay_right", _HEAD + _TAIL, _right)
    f.call(found, source, stride, rows, columns, *over, target, largest)


def turn(
    f: Function, source: Value, stride: Operand, rows: Operand, columns: int,
    target: Value, apart: int,
) -> None:  # fmt: skip
    """target[column][row] = source[row][column] in vectors of 16, whose last ones repeat rows."""
    move = transpose_function(f.module, "float", ROWS)
    with f.loop(0, rows, ROWS, nonempty=True) as low, f.loop(0, columns, ROWS) as near:
        start = f.add(f.mul(low.index, stride), near.index)
        to = f.add(f.mul(near.index, apart), low.index)
        there = f.min(f.sub(rows, low.index), ROWS)
        live = f.min(f.sub(columns, near.index), ROWS)
        places = f.gep(source, start, "float"), f.gep(target, to, "float")
        f.call(move, places[0], stride, places[1], apart, there, live)


def put_left(f: Function, block: Value, row: Operand, halves: Sequence[Value]) -> None:
    """A row of a left block from its parts: of the first 16 values of k, then of the others."""
    at = f.gep(block, f.mul(row, _LINE), "i8")
    for number in range(PARTS):
        near, far = (half[number] for half in halves)
        f.store(along(f, near, far), f.gep(at, number * PART, "i8"))


def put_right(f: Function, block: Value, pair: Operand, half: int, rows: Sequence) -> None:
    """16 columns of a right block from the parts of two neighbouring rows."""
    at = f.gep(block, f.mul(pair, _LINE), "i8")
    for number in range(PARTS):
        first, second = (row[number] for row in rows)
        to = f.gep(at, number * PART + half * BYTES, "i8")
        f.store(beside(f, first, second), to)


def _left(f: Function, source, stride, rows, columns, over, tiles, target, largest) -> None:
    most = f.constant(0, "i32", ROWS)
    with f.loop(0, over, carry=[most]) as group:
        with f.loop(0, tiles, carry=group.values) as tile:
            at = f.mul(f.add(f.mul(group.index, tiles), tile.index), BLOCK)
            block = f.gep(target, at, "i8")
            start = f.gep(source, f.mul(tile.index, DEPTH), "float")
            left = f.sub(columns, f.mul(tile.index, DEPTH))
            with f.loop(0, GROUP, carry=tile.values) as loop:
                row = f.add(f.mul(group.index, GROUP), loop.index)
                live = f.select(f.compare("<", row, rows), left, 0)
                place = f.gep(start, f.mul(row, stride), "float")
                halves = _vectors(f, place, live)
                put_left(f, block, loop.index, [split(f, x, finite=True) for x in halves])
                loop.next = _larger(f, loop.values, halves)
            tile.next = loop.out
        group.next = tile.out
    f.store(f.reduce(lambda a, b: f.max(a, b), group.out[0]), largest)


def _right(f: Function, source, stride, rows, columns, over, tiles, target, largest) -> None:
    most = f.constant(0, "i32", ROWS)
    with f.loop(0, over, carry=[most]) as group:
        left = f.sub(columns, f.mul(group.index, GROUP))
        start = f.gep(source, f.mul(group.index, GROUP), "float")
        with f.loop(0, tiles, carry=group.values) as tile:
            at = f.mul(f.add(f.mul(group.index, tiles), tile.index), BLOCK)
            block = f.gep(target, at, "i8")
            with f.loop(0, ROWS, carry=tile.values) as loop:
                row = f.add(f.mul(tile.index, DEPTH), f.mul(loop.index, 2))
                both = []
                for k in (row, f.add(row, 1)):
                    live = f.select(f.compare("<", k, rows), left, 0)
                    both.append(_vectors(f, f.gep(start, f.mul(k, stride), "float"), live))
                for half, pair in enumerate(zip(*both, strict=True)):
                    cut = [split(f, x, finite=True) for x in pair]
                    put_right(f, block, loop.index, half, cut)
                loop.next = _larger(f, loop.values, both[0] + both[1])
            tile.next = loop.out
        group.next = tile.out
    f.store(f.reduce(lambda a, b: f.max(a, b), group.out[0]), largest)


def _vectors(f: Function, place: Value, live: Operand) -> list[Value]:
    """32 floats of which the first `live` exist."""
    masks = [f.lanes_below(f.sub(live, at), ROWS) for at in (0, ROWS)]
    places = (f.gep(place, at, "float") for at in (0, ROWS))
    return [f.load(at, "float", ROWS, mask=m) for at, m in zip(places, masks, strict=True)]


def _larger(f: Function, most: Sequence[Value], found: Sequence[Value]) -> list[Value]:
    """Magnitudes are in the order of their bits, with what is not a number at the end."""
    (value,) = most
    for x in found:
        value = f.max(value, f.bitcast(x, "i32") & _MAGNITUDE)
    return [value]
