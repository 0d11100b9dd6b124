"""Blocks of scores: queries beside each other in the lanes, a row for each key.

Role: what the forward and the backward pass share. Input: the problem, addresses of one head,
memory of the running thread. Output: `scores[key][query]` of one block. Invariant: rows
before the first (as many as `Problem.slack`) may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gemel.codegen import vector_math
from gemel.codegen.attention.problem import Problem
from gemel.codegen.attention.products import Block, multiply
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.packing import transpose_function

_SMALLEST = {"float": -87.0, "double": -708.0}


class Room:
    """Arrays of the running thread, one after the other, each from a cache line on."""

    LINE = 64

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.bytes = 0

    def add(self, name: str, count: int, elem: str) -> Room:
        self.places[name] = self.bytes
        size = count * SIZES[elem]
        self.bytes += -(-size // self.LINE) * self.LINE
        return self

    def pointers(self, f: Function, scratch: Value) -> dict[str, Value]:
        return {name: f.gep(scratch, at, "i8") for name, at in self.places.items()}


@dataclass
class Span:
    """Some queries of a head: the first one, how many there are; and its arrays by name."""

    first: Operand
    live: Operand
    arrays: dict[str, Value]


def pack(
    f: Function, p: Problem, source: Value, stride: int, width: int, live: Operand, target: Value
) -> None:
    """target[w][query] = source[query][w] for a block of queries."""
    turn = transpose_function(f.module, p.elem, p.lanes)
    for j in range(p.vectors):
        some = f.sub(live, j * p.lanes)
        rows = f.max(f.min(some, p.lanes), 1)
        # a vector without queries reads the first ones again
        start = f.select(f.compare(">", some, 0), j * p.lanes * stride, 0)
        first = f.gep(source, start, p.elem)
        out = f.gep(target, j * p.lanes, p.elem)
        with f.loop(0, width, p.lanes) as loop:
            columns = f.min(f.sub(width, loop.index), p.lanes)
            at = f.gep(first, loop.index, p.elem)
            to = f.gep(out, f.mul(loop.index, p.queries), p.elem)
            f.call(turn, at, stride, to, p.queries, rows, columns)


def scaled(f: Function, p: Problem, block: Value, rows: int) -> None:
    """Multiply rows of queries by the scale."""

    def change(x: Value, _: Operand, __: int) -> Value:
        return x * p.scale

    each_row(f, p, block, 0, rows, change)


def each_row(
    f: Function,
    p: Problem,
    block: Value,
    low: Operand,
    high: Operand,
    change: Callable[[Value, Operand, int], Value],
) -> None:
    """Replace every vector of some rows: `change(vector, row, number)`."""
    with f.loop(low, high) as loop:
        row = f.gep(block, f.mul(loop.index, p.queries), p.elem)
        for j in range(p.vectors):
            at = f.gep(row, j * p.lanes, p.elem)
            f.store(change(f.load(at, p.elem, p.lanes), loop.index, j), at)


def against_queries(
    f: Function, p: Problem, rows: Value, stride: int, packed: Value, width: int,
    first: Operand, count: Operand, out: Value,
) -> None:  # fmt: skip
    """out[key][query] = rows[first + key] . packed[..][query]"""
    block = Block(p.elem, stride, 1, p.queries, p.queries, p.queries, depth=width, again=p.again)
    start = f.gep(rows, f.mul(first, stride), p.elem)
    multiply(f, block, start, packed, out, count, width)


def share(f: Function, x: Value) -> Value:
    """exp of scores below their level; nothing smaller than normal numbers, which are slow."""
    return vector_math.exp_above(f, x, _SMALLEST[x.elem])
