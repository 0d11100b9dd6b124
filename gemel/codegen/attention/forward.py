"""The forward pass: a running softmax over blocks of keys.

For a block of queries: m, the largest score so far; l, the sum of exp(score - m); and the sum of
values weighed by these. A larger m scales the sums down. At the end the sums are divided by l, and
m and log l are kept for the backward pass (Dao et al. 2022, algorithm 1).
"""

from __future__ import annotations

import math

from gemel.codegen import vector_math
from gemel.codegen.attention.ahead import Ahead
from gemel.codegen.attention.masks import Seen, hide, look, matters
from gemel.codegen.attention.problem import Problem
from gemel.codegen.attention.products import Block, multiply
from gemel.codegen.attention.scores import (
    Room,
    Span,
    against_queries,
    pack,
    scaled,
    share,
)
from gemel.codegen.llvm import Function, Operand, Value


def room(p: Problem) -> Room:
    """Memory of a thread."""
    found = Room()
    found.add("queries", p.padded(p.width) * p.queries, p.elem)
    found.add("slack", p.slack * p.queries, p.elem)
    found.add("scores", p.keys * p.queries, p.elem)
    found.add("out", p.queries * p.padded(p.depth), p.elem)
    for name in ("top", "total", "factor"):
        found.add(name, p.queries, p.elem)
    return found


def forward(
    f: Function, p: Problem, unit: Operand, pointers: list[Value], places: dict[str, Value], way
) -> None:
    """One block of queries of one head. places: of the thread's memory; way: how a block of
    queries is computed, `Queries` or its like for matrix tiles."""
    block, rest = f.urem(unit, p.blocks), f.udiv(unit, p.blocks)
    head, batch = f.urem(rest, p.heads), f.udiv(rest, p.heads)
    below = f.udiv(head, p.heads // p.shared)
    arrays = {
        name: p.pointer(f, pointers, name, batch, below if name in ("key", "value") else head)
        for name in p.views
    }
    first = f.mul(block, p.queries)
    span = Span(first, f.min(f.sub(p.length, first), p.queries), arrays)
    ahead = Ahead(f, p, pointers, ("query", "key", "value"), f.add(rest, 1))
    way(f, p, span, places, ahead).run()


class Queries:
    """A block of queries against all keys."""

    def __init__(self, f: Function, p: Problem, span: Span, places: dict[str, Value], ahead: Ahead):
        self.f = f
        self.ahead = ahead
        self.p = p
        self.span = span
        self.room = places

    def run(self) -> None:
        f, p, span = self.f, self.p, self.span
        row = p.views["query"].row
        source = f.gep(span.arrays["query"], f.mul(span.first, row), p.elem)
        pack(f, p, source, row, p.width, span.live, self.room["queries"])
        scaled(f, p, self.room["queries"], p.width)
        self._begin()
        end = f.min(p.source, f.add(span.first, p.queries)) if p.causal else p.source
        with f.loop(0, end, p.keys, nonempty=True) as loop:
            self._block_or_not(loop.index, f.min(f.sub(end, loop.index), p.keys))
        self._end()

    def _block_or_not(self, first: Operand, count: Operand) -> None:
        """A block of keys, unless the mask hides all of it."""
        seen = look(self.f, self.p, self.span, first, count)
        needed = matters(self.f, self.p, seen, self._load("top", self.p.spread))
        if needed is None:
            self._block(first, count, seen)
            return
        with self.f.when(needed):
            self._block(first, count, seen)

    def _each(self, name: str, lanes: int) -> list[Value]:
        """Where the vectors of a number per query lie."""
        f, p = self.f, self.p
        return [f.gep(self.room[name], at, p.elem) for at in range(0, p.queries, lanes)]

    def _load(self, name: str, lanes: int) -> list[Value]:
        return [self.f.load(at, self.p.elem, lanes) for at in self._each(name, lanes)]

    def _store(self, name: str, values: list[Value]) -> None:
        for value, at in zip(values, self._each(name, values[0].lanes), strict=True):
            self.f.store(value, at)

    def _begin(self) -> None:
        f, p = self.f, self.p
        self._store("top", [f.constant(-math.inf, p.elem, p.lanes)] * p.vectors)
        self._store("total", [f.constant(0, p.elem, p.lanes)] * p.vectors)
        out = self.room["out"]
        size = p.queries * p.padded(p.depth)
        with f.loop(0, size, p.lanes) as loop:
            f.store(f.constant(0, p.elem, p.lanes), f.gep(out, loop.index, p.elem))

    def _block(self, first: Operand, count: Operand, seen: Seen) -> None:
        f, p, scores = self.f, self.p, self.room["scores"]
        keys, values = (p.views[name].row for name in ("key", "value"))
        against_queries(
            f, p, self.span.arrays["key"], keys, self.room["queries"], p.width,
            first, count, scores,
        )  # fmt: skip
        hide(f, p, self.span, first, count, scores, seen)
        self._weigh(first, count, scores)
        wide = p.padded(p.depth)
        block = Block(p.elem, 1, p.queries, values, wide, p.depth, rows=p.queries, adding=True)
        right = f.gep(self.span.arrays["value"], f.mul(first, values), p.elem)
        multiply(f, block, scores, right, self.room["out"], p.queries, count)

    def _row(self, scores: Value, row: Operand) -> list[Value]:
        f, p = self.f, self.p
        row = f.gep(scores, f.mul(row, p.queries), p.elem)
        return [f.gep(row, at, p.elem) for at in range(0, p.queries, p.spread)]

    def _weigh(self, first: Operand, count: Operand, scores: Value) -> None:
        """Scores become their exponentials below the largest so far."""
        f, p = self.f, self.p
        before = self._load("top", p.spread)
        with f.loop(0, count, carry=before, nonempty=True) as loop:
            found = [f.load(at, p.elem, p.spread) for at in self._row(scores, loop.index)]
            pairs = zip(found, loop.values, strict=True)
            loop.next = [f.select(x > top, x, top) for x, top in pairs]
        tops = loop.out
        # nothing seen yet: exp(-inf - 0) is 0
        level = [f.select(f.compare("==", top, -math.inf), 0.0, top) for top in tops]
        factors = [share(f, old - new) for old, new in zip(before, level, strict=True)]
        zero = [f.constant(0, p.elem, p.spread)] * len(before)
        with f.loop(0, count, carry=zero, nonempty=True) as loop:
            sums = []
            self.ahead.ask(self.span.first, f.add(first, loop.index))
            places = self._row(scores, loop.index)
            for at, new, total in zip(places, level, loop.values, strict=True):
                weight = share(f, f.load(at, p.elem, p.spread) - new)
                f.store(weight, at)
                sums.append(total + weight)
            loop.next = sums
        totals = zip(self._load("total", p.spread), factors, loop.out, strict=True)
        self._store("total", [f.fma(old, factor, new) for old, factor, new in totals])
        self._store("top", tops)
        self._store("factor", factors)
        changed = [f.compare("!=", factor, 1.0) for factor in factors]
        some = changed[0]
        for mask in changed[1:]:
            some = some | mask
        with f.when(f.any(some)):
            self._scale_rows(self.room["out"], p.padded(p.depth), p.queries)

    def _scale_rows(self, target: Value, stride: int, rows: Operand) -> None:
        """Multiply the rows of sums by the queries' factors, into the target."""
        f, p = self.f, self.p
        wide = p.padded(p.depth)
        with f.loop(0, rows, nonempty=True) as loop:
            at = f.gep(self.room["factor"], loop.index, p.elem)
            factor = f.splat(f.load(at, p.elem), p.lanes)
            source = f.gep(self.room["out"], f.mul(loop.index, wide), p.elem)
            to = f.gep(target, f.mul(loop.index, stride), p.elem)
            for start in range(0, p.depth, p.lanes):
                tail = p.depth - start < p.lanes
                mask = f.lanes_below(p.depth - start, p.lanes) if tail else None
                x = f.load(f.gep(source, start, p.elem), p.elem, p.lanes)
                f.store(x * factor, f.gep(to, start, p.elem), mask=mask)

    def _end(self) -> None:
        """Divide, write the results and the logarithms."""
        f, p, span = self.f, self.p, self.span
        totals, tops = (self._load(name, p.lanes) for name in ("total", "top"))
        # queries that see nothing: zeros, or as a softmax has it
        nothing = 1.0 if p.hidden is None else math.nan
        divisors = [f.select(f.compare("==", x, 0.0), nothing, x) for x in totals]
        self._store("factor", [f.constant(1, p.elem, p.lanes) / x for x in divisors])
        view = p.views["result"]
        target = f.gep(span.arrays["result"], f.mul(span.first, view.row), p.elem)
        self._scale_rows(target, view.row, span.live)
        levels, logs = (f.gep(span.arrays[n], span.first, p.elem) for n in ("levels", "logarithms"))
        for j, (top, total) in enumerate(zip(tops, totals, strict=True)):
            live = f.lanes_below(f.sub(span.live, j * p.lanes), p.lanes)
            top = f.select(f.compare("==", top, -math.inf), 0.0, top)
            f.store(top, f.gep(levels, j * p.lanes, p.elem), mask=live)
            value = vector_math.log(f, total)
            if p.hidden is not None:
                value = f.select(f.compare("==", total, 0.0), math.nan, value)
            f.store(value, f.gep(logs, j * p.lanes, p.elem), mask=live)
