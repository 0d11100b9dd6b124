"""The backward pass: scores are computed again, block by block (Dao et al. 2022, algorithm 4).

With P = exp(scores - level - logarithm), Y the result, G its gradient and D = rows of sum(G * Y):
dV = P^T G, dP = G V^T, dS = P * (dP - D), dQ = scale dS K, dK = scale dS^T Q.
A range of keys is done by one thread. Where there are several ranges, each has query gradients of
its own, which are added in their order afterwards.
"""

from __future__ import annotations

import math

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
from gemel.codegen.blocks import each
from gemel.codegen.llvm import SIZES, Function, Operand, Value

OF_KEYS = ("key", "value", "d key", "d value")
OF_NEXT = ("query", "key", "value", "result", "gradient")


def room(p: Problem) -> Room:
    """Memory of a thread."""
    found = Room()
    found.add("queries", p.padded(p.width) * p.queries, p.elem)
    found.add("gradients", p.padded(p.depth) * p.queries, p.elem)
    for name in ("scores", "slopes"):
        found.add(f"{name} slack", p.slack * p.queries, p.elem)
        found.add(name, p.keys * p.queries, p.elem)
    found.add("d query", p.queries * p.padded(p.width), p.elem)
    for name in ("levels", "logarithms", "sums"):
        found.add(name, p.queries, p.elem)
    return found


def partial_bytes(p: Problem) -> int:
    """Query gradients of several ranges of keys."""
    if p.chunks == 1:
        return 0
    return p.chunks * p.batches * p.heads * p.length * p.width * SIZES[p.elem]


def backward(
    f: Function, p: Problem, unit: Operand, pointers: list[Value], places: dict[str, Value],
    partial: Value, way: type[Head],
) -> None:  # fmt: skip
    """One range of keys of one head of keys, for all queries that it meets. places: of the
    thread's memory; way: how a head is computed."""
    chunk, rest = f.urem(unit, p.chunks), f.udiv(unit, p.chunks)
    below, batch = f.urem(rest, p.shared), f.udiv(rest, p.shared)
    arrays = {n: p.pointer(f, pointers, n, batch, below) for n in OF_KEYS}
    low = f.mul(chunk, p.chunk)
    high = f.min(f.add(low, p.chunk), p.source)
    for name, width in (("d key", p.width), ("d value", p.depth)):
        clear(f, p, arrays[name], p.views[name].row, width, low, high)
    group = p.heads // p.shared
    with each(f, group) as member:
        head = f.add(f.mul(below, group), member)
        names = [n for n in p.views if n not in OF_KEYS]
        mine = {**arrays, **{n: p.pointer(f, pointers, n, batch, head) for n in names}}
        if p.chunks > 1:
            number = f.add(f.mul(f.add(f.mul(chunk, p.batches), batch), p.heads), head)
            mine["d query"] = f.gep(partial, f.mul(number, p.length * p.width), p.elem)
        following = f.add(f.mul(batch, p.heads), f.add(head, 1))
        ahead = Ahead(f, p, pointers, OF_NEXT, following)
        way(f, p, mine, places, low, high, ahead).run()


def clear(
    f: Function, p: Problem, target: Value, stride: int, width: int, low: Operand, high: Operand
) -> None:
    size = width * SIZES[p.elem]
    with f.loop(low, high) as loop:
        f.clear_bytes(f.gep(target, f.mul(loop.index, stride), p.elem), size)


class Head:
    """All blocks of queries of a head against the range of keys [low, high)."""

    def __init__(self, f, p: Problem, arrays, places, low: Operand, high: Operand, ahead: Ahead):
        self.f: Function = f
        self.ahead = ahead
        self.p = p
        self.arrays: dict[str, Value] = arrays
        self.room: dict[str, Value] = places
        self.low = low
        self.high = high
        self.row = p.width if p.chunks > 1 else p.views["d query"].row

    def run(self) -> None:
        f, p = self.f, self.p
        start: Operand = f.udiv(self.low, p.queries) if p.causal else 0
        if p.causal and p.chunks > 1:
            unseen = f.min(f.mul(start, p.queries), p.length)
            clear(f, p, self.arrays["d query"], self.row, p.width, 0, unseen)
        with f.loop(start, p.blocks) as loop:
            first = f.mul(loop.index, p.queries)
            live = f.min(f.sub(p.length, first), p.queries)
            self._block(Span(first, live, self.arrays))

    # ---------- a block of queries ----------
    def _block(self, span: Span) -> None:
        f, p = self.f, self.p
        for name, packed, width in (
            ("query", "queries", p.width),
            ("gradient", "gradients", p.depth),
        ):
            row = p.views[name].row
            source = f.gep(span.arrays[name], f.mul(span.first, row), p.elem)
            pack(f, p, source, row, width, span.live, self.room[packed])
        scaled(f, p, self.room["queries"], p.width)
        self._levels(p, span, self.room)
        wide = p.padded(p.width)
        clear(f, p, self.room["d query"], wide, wide, 0, p.queries)
        end = f.min(self.high, f.add(span.first, p.queries)) if p.causal else self.high
        with f.loop(self.low, end, p.keys) as loop:
            self._keys_or_not(span, loop.index, f.min(f.sub(end, loop.index), p.keys))
        target = f.gep(span.arrays["d query"], f.mul(span.first, self.row), p.elem)
        with f.loop(0, span.live) as loop:
            source = f.gep(self.room["d query"], f.mul(loop.index, wide), p.elem)
            to = f.gep(target, f.mul(loop.index, self.row), p.elem)
            f.copy_bytes(to, source, p.width * SIZES[p.elem])

    def _levels(self, p: Problem, span: Span, room: dict[str, Value]) -> None:
        """The queries' logarithms (rows that see nothing: inf), and sums of G * Y."""
        f = self.f
        tops, logs = (f.gep(span.arrays[n], span.first, p.elem) for n in ("levels", "logarithms"))
        endless = f.constant(math.inf, p.elem, p.lanes)
        for j in range(p.vectors):
            live = f.lanes_below(f.sub(span.live, j * p.lanes), p.lanes)
            x = f.load(f.gep(logs, j * p.lanes, p.elem), p.elem, p.lanes, mask=live, other=endless)
            x = f.select(f.compare("==", x, -math.inf), math.inf, x)
            f.store(x, f.gep(room["logarithms"], j * p.lanes, p.elem))
            top = f.load(f.gep(tops, j * p.lanes, p.elem), p.elem, p.lanes, mask=live)
            f.store(top, f.gep(room["levels"], j * p.lanes, p.elem))
            at = f.gep(room["sums"], j * p.lanes, p.elem)
            f.store(f.constant(0, p.elem, p.lanes), at)
        rows = [p.views[name].row for name in ("result", "gradient")]
        sides = [span.arrays[name] for name in ("result", "gradient")]
        with f.loop(0, span.live, nonempty=True) as loop:
            at = f.add(span.first, loop.index)
            places = [
                f.gep(side, f.mul(at, row), p.elem) for side, row in zip(sides, rows, strict=True)
            ]
            total = f.constant(0, p.elem, p.lanes)
            for start in range(0, p.depth, p.lanes):
                tail = p.depth - start < p.lanes
                mask = f.lanes_below(p.depth - start, p.lanes) if tail else None
                y, g = (
                    f.load(f.gep(place, start, p.elem), p.elem, p.lanes, mask=mask)
                    for place in places
                )
                total = f.fma(y, g, total)
            f.store(f.reduce(f.add, total), f.gep(room["sums"], loop.index, p.elem))

    # ---------- a block of keys ----------
    def _keys_or_not(self, span: Span, first: Operand, count: Operand) -> None:
        """A block of keys, unless the mask hides all of it."""
        seen = look(self.f, self.p, span, first, count)
        pairs = zip(self._numbers("levels"), self._numbers("logarithms"), strict=True)
        needed = matters(self.f, self.p, seen, [top + log for top, log in pairs])
        if needed is None:
            self._keys(span, first, count, seen)
            return
        with self.f.when(needed):
            self._keys(span, first, count, seen)

    def _numbers(self, name: str) -> list[Value]:
        """The vectors of a number per query."""
        f, p = self.f, self.p
        places = (f.gep(self.room[name], at, p.elem) for at in range(0, p.queries, p.spread))
        return [f.load(at, p.elem, p.spread) for at in places]

    def _keys(self, span: Span, first: Operand, count: Operand, seen: Seen) -> None:
        f, p = self.f, self.p
        scores, slopes = self.room["scores"], self.room["slopes"]
        for name, packed, width, out in (
            ("key", "queries", p.width, scores),
            ("value", "gradients", p.depth, slopes),
        ):
            row = p.views[name].row
            against_queries(
                f, p, span.arrays[name], row, self.room[packed], width, first, count, out
            )
        hide(f, p, span, first, count, scores, seen)
        self._slopes(span, first, count)
        self._add_rows(span, "gradient", "d value", p.depth, first, count, scores)
        self._add_rows(span, "query", "d key", p.width, first, count, slopes)
        keys, wide = p.views["key"].row, p.padded(p.width)
        block = Block(p.elem, 1, p.queries, keys, wide, p.width, rows=p.queries, adding=True)
        right = f.gep(span.arrays["key"], f.mul(first, keys), p.elem)
        multiply(f, block, slopes, right, self.room["d query"], p.queries, count)

    def _slopes(self, span: Span, first: Operand, count: Operand) -> None:
        """scores become P; slopes, which hold dP, become scale dS."""
        f, p = self.f, self.p
        tops, logs, sums = (self._numbers(n) for n in ("levels", "logarithms", "sums"))
        view = p.views.get("mask")
        replaced = p.hidden if view is not None and view.elem == "i1" else None
        with f.loop(0, count) as loop:
            self.ahead.ask(span.first, f.add(first, loop.index))
            at = f.mul(loop.index, p.queries)
            for j in range(len(tops)):
                near = f.add(at, j * p.spread)
                score, slope = (f.gep(self.room[n], near, p.elem) for n in ("scores", "slopes"))
                x = f.load(score, p.elem, p.spread)
                weight = share(f, x - tops[j] - logs[j])
                f.store(weight, score)
                change = weight * (f.load(slope, p.elem, p.spread) - sums[j]) * p.scale
                if replaced is not None:  # no gradient goes to what the mask replaced
                    change = f.select(f.compare("==", x, replaced), 0.0, change)
                f.store(change, slope)

    def _add_rows(
        self, span: Span, name: str, target: str, width: int,
        first: Operand, count: Operand, weights: Value,
    ) -> None:  # fmt: skip
        """target[first + key] += sum over queries of weights[key][query] * name[query]"""
        f, p = self.f, self.p
        row, out = p.views[name].row, p.views[target].row
        depth = p.queries if p.whole else None
        block = Block(p.elem, p.queries, 1, row, out, width, depth=depth, adding=True)
        right = f.gep(span.arrays[name], f.mul(span.first, row), p.elem)
        to = f.gep(span.arrays[target], f.mul(first, out), p.elem)
        multiply(f, block, weights, right, to, count, span.live)


# ---------- the sum of query gradients ----------
def add_partial(
    f: Function, p: Problem, unit: Operand, pointers: list[Value], partial: Value
) -> None:
    """The rows of one block of queries of one head, from all ranges of keys."""
    block, rest = f.urem(unit, p.blocks), f.udiv(unit, p.blocks)
    head, batch = f.urem(rest, p.heads), f.udiv(rest, p.heads)
    view = p.views["d query"]
    target = p.pointer(f, pointers, "d query", batch, head)
    first = f.mul(block, p.queries)
    number = f.add(f.mul(batch, p.heads), head)
    whole = p.batches * p.heads * p.length * p.width
    source = f.gep(partial, f.mul(number, p.length * p.width), p.elem)
    with f.loop(first, f.min(f.add(first, p.queries), p.length), nonempty=True) as loop:
        at = f.gep(source, f.mul(loop.index, p.width), p.elem)
        to = f.gep(target, f.mul(loop.index, view.row), p.elem)
        for start in range(0, p.width, p.lanes):
            tail = p.width - start < p.lanes
            mask = f.lanes_below(p.width - start, p.lanes) if tail else None
            total = None
            for chunk in range(p.chunks):
                place = f.gep(at, chunk * whole + start, p.elem)
                x = f.load(place, p.elem, p.lanes, mask=mask)
                total = x if total is None else total + x
            f.store(total, f.gep(to, start, p.elem), mask=mask)
