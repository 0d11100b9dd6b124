"""The kernel of `sort`: rows of int64 keys in order, by a network of exchanges on several at once.

A row, or each piece of a long row, is a line. Lines side by side fill the lanes of a vector, so
that one minimum and one maximum exchange two places of all of them. The network is Batcher's merge
exchange (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M), which takes any length.
Sorted pieces are then merged like runs, from one half of the result to the other.
"""

from __future__ import annotations

from gemel.codegen.llvm import Function, Module, Operand, Value
from gemel.codegen.native import ALONE, delegate, shared
from gemel.runtime.machine import machine

LONGEST = 512  # keys of a line that is a whole row
PIECE = 256  # keys of a line of a longer row, whose length is a multiple of it

_LINES = [(ALONE, "keys"), (ALONE, "out")]
_LINES += [("i64", name) for name in ("lines", "length", "turns", "n")]
_ROWS = [(ALONE, "keys"), (ALONE, "out"), ("i64", "rows"), ("i64", "n")]
_MERGES = [(ALONE, "out"), ("i64", "rows"), ("i64", "n"), ("i64", "turns")]
_NETWORK = [("ptr", "tile"), ("i64", "length"), ("i64", "turns")]


def padded(n: int) -> int:
    """The length that a row of n keys must have."""
    return n if n <= LONGEST else -(-n // PIECE) * PIECE


def merging_turns(n: int) -> int:
    """How often runs double until one covers a row; whether odd, the half with the result."""
    return 0 if n <= LONGEST else (n // PIECE - 1).bit_length()


def emit_sort(module: Module, name: str, attrs, arguments, result) -> None:
    """void @name(ptr keys, ptr result) for keys [rows, n] and a result [rows, 2, n]."""
    rows, _, n = result.shape
    body = _sort_rows if n <= LONGEST else _sort_long_rows
    delegate(module, name, shared(module, body.__name__.strip("_"), _ROWS, body), rows, 0, (n,))


def _sort_rows(f: Function, keys: Value, out: Value, rows: Value, n: Value) -> None:
    lines = shared(f.module, "sort_lines", _LINES, _sort_lines)
    f.call(lines, keys, out, rows, n, f.bit_length(f.sub(n, 1)), n)


def _sort_long_rows(f: Function, keys: Value, out: Value, rows: Value, n: Value) -> None:
    lines = shared(f.module, "sort_lines", _LINES, _sort_lines)
    pieces = f.udiv(n, PIECE)
    f.call(lines, keys, out, f.mul(rows, pieces), PIECE, (PIECE - 1).bit_length(), n)
    merge = shared(f.module, "merge_lines", _MERGES, _merge_rows)
    f.call(merge, out, rows, n, f.bit_length(f.sub(pieces, 1)))


# ---------- lines, several side by side ----------
def _sort_lines(
    f: Function, keys: Value, out: Value, lines: Value, length: Value, turns: Value, n: Value
) -> None:
    lanes = machine().lanes(8)
    tile = f.alloca("i64", LONGEST * lanes)
    with f.loop(0, lines, lanes) as group:
        live = f.lanes_below(f.sub(lines, group.index), lanes)
        first = f.mul(group.index, length)
        starts = f.mul(f.lanes_index(lanes, "i64"), length)
        with f.loop(0, length) as loop:
            at = f.gep(keys, f.add(first, loop.index), "i64")
            f.store(f.gather(at, starts, "i64", live), _line(f, tile, loop.index))
        f.call(shared(f.module, "exchange_network", _NETWORK, _network), tile, length, turns)
        begins = f.add(starts, first)
        row = f.udiv(begins, n)  # rows of the result are twice as far apart
        begins = f.add(begins, f.mul(row, n))
        with f.loop(0, length) as loop:
            at = f.gep(out, loop.index, "i64")
            f.scatter(f.load(_line(f, tile, loop.index), "i64", lanes), at, begins, live)


def _line(f: Function, tile: Value, place) -> Value:
    return f.gep(tile, f.mul(place, machine().lanes(8)), "i64")


def _network(f: Function, tile: Value, length: Value, turns: Value) -> None:
    """Passes over halving distances: p is the distance of the turn, each later pass of which joins
    what lies farther apart."""
    widest = f.binary("shl", f.constant(1, "i64"), f.max(f.sub(turns, 1), 0))
    with f.loop(0, turns) as turn:
        p = f.binary("lshr", widest, turn.index)
        _exchange(f, tile, length, p, f.constant(0, "i64"), p)
        with f.loop(0, turn.index) as later:
            q = f.binary("lshr", widest, later.index)
            _exchange(f, tile, length, p, p, f.sub(q, p))


def _exchange(f: Function, tile: Value, length: Value, p: Value, r: Value, d: Value) -> None:
    """Order the places i and i + d wherever the bit p of i is that of r."""
    lanes = machine().lanes(8)
    high = f.sub(length, d)
    with f.loop(r, high, f.add(p, p)) as blocks:
        with f.loop(blocks.index, f.min(f.add(blocks.index, p), high)) as loop:
            left = _line(f, tile, loop.index)
            right = _line(f, tile, f.add(loop.index, d))
            a, b = f.load(left, "i64", lanes), f.load(right, "i64", lanes)
            f.store(f.min(a, b), left)
            f.store(f.max(a, b), right)


# ---------- runs of a row ----------
def _merge_rows(f: Function, out: Value, rows: Value, n: Value, turns: Value) -> None:
    with f.loop(0, rows) as row:
        first = f.gep(out, f.mul(row.index, f.add(n, n)), "i64")
        with f.loop(0, turns, carry=(f.constant(PIECE, "i64"),)) as loop:
            (width,) = loop.values
            odd = loop.index & 1
            source = f.gep(first, f.mul(odd, n), "i64")
            target = f.gep(first, f.mul(f.sub(1, odd), n), "i64")
            pair = f.add(width, width)
            with f.loop(0, n, pair) as runs:
                middle = f.min(f.add(runs.index, width), n)
                _merge(f, source, target, runs.index, middle, f.min(f.add(runs.index, pair), n))
            loop.next = [pair]


def _merge(f: Function, source: Value, target: Value, start: Value, middle: Value, end: Value):
    """[start, middle) and [middle, end) of the source as one run of the target, without branches:
    the smaller half from the front while the larger comes from the back, as each turn waits for
    what it took before. A run that is used up is read at its last key, and not taken."""

    def key(place: Operand) -> Value:
        return f.load(f.gep(source, place, "i64"), "i64")

    def front(i: Value, j: Value, at: Value) -> list[Operand]:
        left, right = key(f.min(i, f.sub(middle, 1))), key(f.min(j, f.sub(end, 1)))
        smaller = f.compare("<", right, left) | f.compare(">=", i, middle)
        step = _taken(f, f.compare("<", j, end) & smaller, left, right, f.gep(target, at, "i64"))
        return [f.sub(f.add(i, 1), step), f.add(j, step)]

    def back(i: Value, j: Value, at: Value) -> list[Operand]:
        left, right = key(f.max(i, start)), key(f.max(j, middle))
        larger = f.compare(">=", right, left) | f.compare("<", i, start)
        step = _taken(f, f.compare(">=", j, middle) & larger, left, right, f.gep(target, at, "i64"))
        return [f.add(f.sub(i, 1), step), f.sub(j, step)]

    half = f.udiv(f.sub(end, start), 2)
    ends = (start, middle, f.sub(middle, 1), f.sub(end, 1))
    with f.loop(0, half, carry=ends) as loop:
        i, j, k, last = loop.values
        ahead = front(i, j, f.add(start, loop.index))
        loop.next = [*ahead, *back(k, last, f.sub(f.sub(end, 1), loop.index))]
    i, j, _, _ = loop.out
    with f.loop(f.add(half, half), f.sub(end, start)):  # the middle of an odd number
        front(i, j, f.add(start, half))


def _taken(f: Function, right_one: Value, left: Value, right: Value, target: Value) -> Value:
    """Store the one that was chosen; 1 where it was the right one."""
    f.store(f.select(right_one, right, left), target)
    return f.convert(right_one, "i64", signed=False)
