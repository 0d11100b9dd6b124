"""Products of blocks on matrix tiles: float32 operands in three parts, sums of float32.

Role: the micro-kernel of attention where the machine has matrix tiles. Input: operands as `parted`
lays them out. Output: a queue of products, of which other code computes 16 rows now and then: the
tile unit works beside the vector units, but the processor looks a few hundred instructions ahead
only. Invariants: the tile unit is configured; what a queued product reads stays, and its result is
not looked at, until the queue is empty.

Four tiles are used of the eight there are: the more of them hold something, the fewer are left for
what is loaded ahead, and beside a busy neighbour on the same core twice as many take twice as long.
"""

from __future__ import annotations

from gemel.codegen.attention.parted import BLOCK, PART
from gemel.codegen.dots import tile_unit
from gemel.codegen.dots.parts import PRODUCTS
from gemel.codegen.dots.tile_unit import BYTES, ROWS
from gemel.codegen.llvm import I64, Function, Operand, Value
from gemel.codegen.native import shared

_LEFT, _RIGHT = 2, 3  # tiles; 0 and 1 hold sums
_FIELDS = ("left", "apart", "right", "out", "step", "tiles", "adding", "row", "rows")
_POINTERS = ("left", "right", "out")
_ENTRY = 8 * len(_FIELDS)
_FIRST = 64  # bytes before the entries: how many are done, how many there are
_MOST = 24  # entries: as many blocks of columns as there are, and a few


class Queue:
    """Products that wait; `place` is memory of the thread, `BYTES` long."""

    BYTES = _FIRST + _MOST * _ENTRY

    def __init__(self, f: Function, place: Value):
        self.f = f
        self.place = place

    def clear(self) -> None:
        for number in (0, 1):
            self.f.store(self.f.constant(0, "i64"), self.f.gep(self.place, number, "i64"))

    def add(
        self, left: Value, apart: Operand, right: Value, out: Value, step: Operand,
        sizes: tuple[Operand, Operand], adding: bool,
    ) -> None:  # fmt: skip
        """out[row][column] (+)= sum over k of left[row][k] * right[k][column], for 32 columns.

        apart  bytes from a group of rows of the left side to the next one
        step   bytes from row to row of the result
        sizes  groups of rows, blocks of k
        """
        f = self.f
        rows = f.mul(sizes[0], 2)
        count = f.gep(self.place, 1, "i64")
        last = f.load(count, "i64")
        f.store(last + 1, count)
        entry = f.gep(self.place, f.add(f.mul(last, _ENTRY), _FIRST), "i8")
        values = (left, apart, right, out, step, sizes[1], int(adding), 0, rows)
        for number, x in enumerate(values):
            x = x if isinstance(x, Value) and x.elem == "ptr" else f.lift(x, I64)
            f.store(x, f.gep(entry, number, "i64"))

    def step(self) -> None:
        """16 rows of the first product, if there is one."""
        self.f.call(shared(self.f.module, "next_rows", [("ptr", "queue")], _next), self.place)

    def finish(self) -> None:
        """All that waits."""
        self.f.call(shared(self.f.module, "all_rows", [("ptr", "queue")], _all), self.place)


def _all(f: Function, queue: Value) -> None:
    step = shared(f.module, "next_rows", [("ptr", "queue")], _next)
    with f.loop(0, 1 << 40, nonempty=True) as loop:
        f.call(step, queue)
        loop.while_true = lambda: f.compare("<", *_state(f, queue))
    for number in (0, 1):
        f.store(f.constant(0, "i64"), f.gep(queue, number, "i64"))


def _state(f: Function, queue: Value) -> tuple[Value, Value]:
    """How many products are done, and how many there are."""
    return f.load(queue, "i64"), f.load(f.gep(queue, 1, "i64"), "i64")


def _next(f: Function, queue: Value) -> None:
    done, count = _state(f, queue)
    with f.when(f.compare("<", done, count)):
        entry = f.gep(queue, f.add(f.mul(done, _ENTRY), _FIRST), "i8")
        fields = {
            name: f.load(f.gep(entry, number, "i64"), "ptr" if name in _POINTERS else "i64")
            for number, name in enumerate(_FIELDS)
        }
        _rows(f, fields)
        after = fields["row"] + 1
        f.store(after, f.gep(entry, _FIELDS.index("row"), "i64"))
        ready = f.convert(f.compare("==", after, fields["rows"]), "i64")
        f.store(f.add(done, ready), queue)


def _rows(f: Function, fields: dict[str, Value]) -> None:
    """16 rows of a product."""
    row, step = fields["row"], fields["step"]
    start = f.add(f.mul(f.udiv(row, 2), fields["apart"]), f.mul(f.urem(row, 2), BYTES))
    rows = f.gep(fields["left"], start, "i8")
    place = f.gep(fields["out"], f.mul(f.mul(row, ROWS), step), "i8")
    places = [place, f.gep(place, ROWS, "float")]

    def resume() -> None:
        for number, place in enumerate(places):
            tile_unit.load(f, number, place, step)

    def begin() -> None:
        for number in (0, 1):
            tile_unit.zero(f, number)

    f.if_else(f.compare("!=", fields["adding"], 0), resume, begin)
    with f.loop(0, fields["tiles"], nonempty=True) as tile:
        ahead = f.mul(tile.index, BLOCK)
        _block(f, f.gep(rows, ahead, "i8"), f.gep(fields["right"], ahead, "i8"))
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
