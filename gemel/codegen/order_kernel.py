"""The kernel of `order`: the positions that sort rows of int64 keys, by merging runs.

Runs of 1, 2, 4, ... positions are merged from one half of the result to the other; equal keys keep
their order. The turns have no branch but the loops': which side gives the next position is a
selection.
"""

from __future__ import annotations

from gemel.codegen.llvm import Function, Module, Value
from gemel.codegen.native import ALONE, delegate, shared

_PARAMETERS = [(ALONE, "keys"), (ALONE, "out"), ("i64", "rows"), ("i64", "n")]


def merging_turns(n: int) -> int:
    """How often runs double until one covers n positions."""
    return max(n - 1, 0).bit_length()


def _merge(f: Function, keys: Value, source: Value, target: Value, bounds: tuple) -> None:
    """Neighbouring runs [start, middle) and [middle, end) of the source as one of the target."""
    start, middle, end = bounds
    with f.loop(start, end, carry=(start, middle), nonempty=True) as loop:
        i, j = loop.values
        # a run that is used up is read at its last position, and not taken
        left = f.load(f.gep(source, f.min(i, f.sub(middle, 1)), "i64"), "i64")
        right = f.load(f.gep(source, f.min(j, f.sub(end, 1)), "i64"), "i64")
        key_left = f.load(f.gep(keys, left, "i64"), "i64")
        key_right = f.load(f.gep(keys, right, "i64"), "i64")
        smaller = f.compare("<", key_right, key_left) | f.compare(">=", i, middle)
        taken = f.compare("<", j, end) & smaller
        f.store(f.select(taken, right, left), f.gep(target, loop.index, "i64"))
        step = f.convert(taken, "i64", signed=False)
        loop.next = [f.sub(f.add(i, 1), step), f.add(j, step)]


def _order_row(f: Function, keys: Value, out: Value, n: Value, turns: Value) -> None:
    with f.loop(0, n) as loop:
        f.store(loop.index, f.gep(out, loop.index, "i64"))
    with f.loop(0, turns, carry=(f.constant(1, "i64"),)) as loop:
        (width,) = loop.values
        odd = loop.index & 1
        source = f.gep(out, f.mul(odd, n), "i64")
        target = f.gep(out, f.mul(f.sub(1, odd), n), "i64")
        pair = f.add(width, width)
        with f.loop(0, n, pair) as runs:
            start = runs.index
            middle = f.min(f.add(start, width), n)
            end = f.min(f.add(start, pair), n)
            _merge(f, keys, source, target, (start, middle, end))
        loop.next = [pair]


def _order(f: Function, keys: Value, out: Value, rows: Value, n: Value) -> None:
    turns = f.bit_length(f.max(f.sub(n, 1), 0))
    with f.loop(0, rows) as loop:
        at = f.mul(loop.index, n)
        row = f.gep(keys, at, "i64")
        _order_row(f, row, f.gep(out, f.add(at, at), "i64"), n, turns)


def emit_order(module: Module, name: str, attrs, arguments, result) -> None:
    """void @name(ptr keys, ptr result) for keys [rows, n] and a result [rows, 2, n]."""
    rows, _, n = result.shape
    delegate(module, name, shared(module, "order_rows", _PARAMETERS, _order), rows, 0, (n,))
