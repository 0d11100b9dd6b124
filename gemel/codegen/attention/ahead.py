"""Rows of the next head, asked for while a head is computed.

Role: heads of a batch are rows of few numbers that lie far apart, so that no machine foresees them,
and a head is done before slow memory has answered. Input: which arrays are read, and the head that
comes next. Output: prefetches, a row at a time, from a loop that computes for long enough. Nothing
is computed from them; past the last head they ask for the last one again.
"""

from __future__ import annotations

from collections.abc import Iterable

from gemel.codegen.attention.problem import Problem
from gemel.codegen.blocks import LINE
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.sizes import hint
from gemel.runtime.machine import machine


class Ahead:
    """The arrays `names` of head number `head` of all, counted through the batches."""

    def __init__(
        self, f: Function, p: Problem, pointers: list[Value], names: Iterable[str], head: Operand
    ):
        self.f = f
        self.p = p
        self.arrays: list[tuple[Value, Operand, int]] = []
        if not is_short(p):
            return
        head = f.min(head, f.sub(f.mul(p.batches, p.heads), 1))
        number, batch = f.urem(head, p.heads), f.udiv(head, p.heads)
        below = f.udiv(number, p.heads // p.shared)
        for name in names:
            of_keys = name in ("key", "value")
            start = p.pointer(f, pointers, name, batch, below if of_keys else number)
            width = p.width if name in ("query", "key") else p.depth
            self.arrays.append((start, p.views[name].row, width))

    def ask(self, low: Operand, row: Operand) -> None:
        """For a row, if it is one of the block of queries from `low` on."""
        f, p = self.f, self.p
        if not self.arrays:
            return
        beyond = f.sub(row, low)
        within = f.compare("<", beyond, p.queries) & f.compare(">=", beyond, 0)
        with f.when(within):
            for start, stride, width in self.arrays:
                at = f.gep(start, f.mul(row, stride), p.elem)
                for first in range(0, width, LINE // SIZES[p.elem]):
                    f.prefetch(f.gep(at, first, p.elem), cache=2)

    def ask_rows(self, low: Operand, first: Operand, count: Operand) -> None:
        """For some rows."""
        if self.arrays:
            with self.f.loop(0, count) as loop:
                self.ask(low, self.f.add(first, loop.index))


def is_short(p: Problem) -> bool:
    """Do two heads fit well into the second cache?"""
    size = hint(p.source) * (p.width + p.depth) * SIZES[p.elem]
    return size <= machine().l2 // 8
