"""The forward pass on matrix tiles: the running softmax of `forward`, a panel of queries at a time.

Role: as `forward`, for float32 on machines that multiply bfloat16 on tiles. A block of keys and its
values are cut in parts once for a long block of queries, which is taken in panels of 32. Scores
lie as [key][query] and sums turned, as [number of a value][query]: the scores of two keys beside
each other are pairs as tiles want them, and what scales a query's sums lies in the lanes.
Invariant: blocks with large numbers are multiplied in float32, see `panel`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gemel.codegen import vector_math
from gemel.codegen.attention.ahead import Ahead
from gemel.codegen.attention.masks import Seen, hide
from gemel.codegen.attention.panel import STEP, Panel, is_moderate
from gemel.codegen.attention.parted import (
    BLOCK,
    GROUP,
    groups,
    lay_left,
    lay_right,
    put_right,
    turn,
)
from gemel.codegen.attention.problem import Problem
from gemel.codegen.attention.products import Block, multiply
from gemel.codegen.attention.scores import Room, Span, pack, scaled, share
from gemel.codegen.attention.tile_products import Queue
from gemel.codegen.dots.parts import split
from gemel.codegen.dots.tile_unit import ROWS
from gemel.codegen.llvm import SIZES, Function, Operand, Value

_ROWS_TOGETHER = 4  # pairs of keys between two looks at the queue


def room(p: Problem) -> Room:
    """Memory of a thread."""
    found = Room()
    panels, wide, deep = groups(p.queries), groups(p.width), groups(p.depth)
    found.add("queries", p.padded(p.width) * p.queries, p.elem)
    found.add("query tiles", panels * wide * BLOCK, "i8")
    found.add("key tiles", groups(p.keys) * wide * BLOCK, "i8")
    found.add("turned", deep * GROUP * p.keys, p.elem)
    found.add("value tiles", deep * groups(p.keys) * BLOCK, "i8")
    found.add("scores", 2 * p.keys * GROUP, p.elem)  # of one panel and of the next
    found.add("share tiles", 2 * groups(p.keys) * BLOCK, "i8")
    found.add("queue", Queue.BYTES, "i8")
    found.add("out", deep * GROUP * p.queries, p.elem)
    found.add("rows", GROUP * p.padded(p.depth), p.elem)
    for name in ("top", "total"):
        found.add(name, p.queries, p.elem)
    found.add("largest", panels, "i32")
    for name in ("largest key", "largest value"):
        found.add(name, 1, "i32")
    found.add("laid", 1, "i1")
    return found


class Queries:
    """A block of queries against all keys."""

    def __init__(self, f: Function, p: Problem, span: Span, places: dict[str, Value], ahead: Ahead):
        self.f = f
        self.ahead = ahead
        self.p = p
        self.span = span
        self.room = places
        self.panels = f.udiv(f.add(span.live, GROUP - 1), GROUP)
        self.queue = Queue(f, places["queue"])
        self.masked = "mask" in p.views

    def run(self) -> None:
        f, p, span = self.f, self.p, self.span
        self.queue.clear()
        with f.loop(0, self.panels, nonempty=True) as loop:
            self._panel(loop.index).begin()
        end = f.min(p.source, f.add(span.first, span.live)) if p.causal else p.source
        with f.loop(0, end, p.keys, nonempty=True) as loop:
            self._block(loop.index, f.min(f.sub(end, loop.index), p.keys))
        with f.loop(0, self.panels, nonempty=True) as loop:
            self._panel(loop.index).end()

    def _panel(self, number: Operand) -> _Panel:
        return _Panel(self.f, self.p, self.span, self.room, number)

    def _block(self, first: Operand, count: Operand) -> None:
        """A block of keys."""
        f, p = self.f, self.p
        f.store(f.constant(False, "i1"), self.room["laid"])
        self.ahead.ask_rows(self.span.first, first, count)
        low: Operand = 0
        if p.causal:  # panels before the keys see nothing of them
            low = f.udiv(f.max(f.sub(first, self.span.first), 0), GROUP)
        if not self.masked:
            self._lay(first, count)
            self._panel(low).ask_scores(first, count)
            self.queue.finish()
        with f.loop(low, self.panels, nonempty=True) as loop:
            panel = self._panel(loop.index)
            following = None if self.masked else self._panel(f.add(loop.index, 1))
            panel.keys(first, count, following, lambda: self._lay(first, count))
        self.queue.finish()

    def _lay(self, first: Operand, count: Operand) -> None:
        """The keys and the values of a block in parts, if they are not there yet."""
        f, p = self.f, self.p
        with f.when(f.compare("==", f.load(self.room["laid"], "i1"), False)):
            f.store(f.constant(True, "i1"), self.room["laid"])
            keys, values = (p.views[name].row for name in ("key", "value"))
            source = f.gep(self.span.arrays["key"], f.mul(first, keys), p.elem)
            over = groups(p.keys), groups(p.width)
            target, largest = self.room["key tiles"], self.room["largest key"]
            lay_left(f, source, keys, count, p.width, over, target, largest)
            source = f.gep(self.span.arrays["value"], f.mul(first, values), p.elem)
            turned = self.room["turned"]
            turn(f, source, values, count, p.depth, turned, p.keys)
            over = groups(p.depth), groups(p.keys)
            target, largest = self.room["value tiles"], self.room["largest value"]
            lay_left(f, turned, p.keys, p.depth, count, over, target, largest)


class _Panel(Panel):
    """32 queries of the block."""

    def __init__(
        self, f: Function, p: Problem, span: Span, places: dict[str, Value], number: Operand
    ):
        super().__init__(f, p, span, places, number)
        self.queries = self.at("queries", p.padded(p.width) * STEP)
        self.out = self.at("out", groups(p.depth) * GROUP * STEP)
        self.tiles = self.at("query tiles", groups(p.width) * BLOCK)
        self.largest = self.at("largest", SIZES["i32"])
        self.queue = Queue(f, places["queue"])
        turn = f.urem(number, 2)
        self.scores = f.gep(places["scores"], f.mul(turn, p.keys * STEP), "i8")
        self.shares = f.gep(places["share tiles"], f.mul(turn, groups(p.keys) * BLOCK), "i8")

    def begin(self) -> None:
        f, p = self.f, self.p
        row = p.views["query"].row
        source = f.gep(self.span.arrays["query"], f.mul(self.span.first, row), p.elem)
        pack(f, p, source, row, p.width, self.span.live, self.queries)
        scaled(f, p, self.queries, p.width)
        over = 1, groups(p.width)
        lay_right(f, self.queries, GROUP, p.width, GROUP, over, self.tiles, self.largest)
        self.put("top", [f.constant(-math.inf, p.elem, p.lanes)] * p.vectors)
        self.put("total", [f.constant(0, p.elem, p.lanes)] * p.vectors)
        f.clear_bytes(self.out, groups(p.depth) * GROUP * STEP)

    # ---------- a block of keys ----------
    def keys(
        self, first: Operand, count: Operand, following: _Panel | None, lay: Callable[[], None]
    ) -> None:
        """A block of keys, unless the mask hides all of it. following: the panel whose scores are
        computed meanwhile; without one nothing is laid out yet, and `lay` does."""
        seen_count = self.seen_keys(first, count)

        def run(seen: Seen) -> None:
            if following is None:
                lay()
                self.ask_scores(first, count)
                self.queue.finish()
            self._keys(first, seen_count, seen, following and (following, count))

        self.unless_hidden(first, seen_count, self.numbers("top"), run)

    def _keys(self, first: Operand, count: Operand, seen: Seen, following) -> None:
        f, p, scores = self.f, self.p, self.scores
        blocks = f.udiv(f.add(count, GROUP - 1), GROUP)
        with f.when(f.compare("==", self._fine(), False)):
            self._scores_by_floats(first, count)
        hide(f, p, self.span, first, count, scores, seen)
        self.hide_missing(scores, count, blocks)
        if following is not None:
            panel, keys = following
            with f.when(f.compare(">", panel.span.live, 0)):
                panel.ask_scores(first, keys)
        self._weigh(blocks)
        self.queue.finish()
        self._add(first, count, blocks)

    def _fine(self) -> Value:
        f = self.f
        fine = is_moderate(f, "query", self.largest)
        return fine & is_moderate(f, "key", self.room["largest key"])

    def ask_scores(self, first: Operand, count: Operand) -> None:
        """Queue the scores of a block of keys, if tiles can compute them."""
        f, wide = self.f, groups(self.p.width)
        blocks = f.udiv(f.add(self.seen_keys(first, count), GROUP - 1), GROUP)
        with f.when(self._fine()):
            left, sizes = self.room["key tiles"], (blocks, wide)
            self.queue.add(left, wide * BLOCK, self.tiles, self.scores, STEP, sizes, False)

    def _scores_by_floats(self, first: Operand, count: Operand) -> None:
        f, p = self.f, self.p
        row = p.views["key"].row
        block = Block(p.elem, row, 1, GROUP, GROUP, GROUP, depth=p.width)
        start = f.gep(self.span.arrays["key"], f.mul(first, row), p.elem)
        multiply(f, block, start, self.queries, self.scores, count, p.width)

    def _add(self, first: Operand, count: Operand, blocks: Operand) -> None:
        """The values weighed by the shares, onto the sums."""
        f, p = self.f, self.p
        apart = groups(self.block.keys) * BLOCK

        def tiles() -> None:
            left, sizes = self.room["value tiles"], (groups(p.depth), blocks)
            self.queue.add(left, apart, self.shares, self.out, STEP, sizes, True)

        def floats() -> None:
            row = p.views["value"].row
            block = Block(p.elem, 1, row, GROUP, GROUP, GROUP, adding=True)
            start = f.gep(self.span.arrays["value"], f.mul(first, row), p.elem)
            multiply(f, block, start, self.scores, self.out, p.depth, count)

        f.if_else(is_moderate(f, "value", self.room["largest value"]), tiles, floats)

    def _weigh(self, blocks: Operand) -> None:
        """Scores become their exponentials below the largest so far."""
        f, p, scores = self.f, self.p, self.scores
        count = f.mul(blocks, GROUP)
        before = self.numbers("top")
        with f.loop(0, count, carry=before, nonempty=True) as loop:
            found = [f.load(at, p.elem, p.lanes) for at in self.row(scores, loop.index)]
            pairs = zip(found, loop.values, strict=True)
            loop.next = [f.select(x > top, x, top) for x, top in pairs]
        tops = loop.out
        # nothing seen yet: exp(-inf - 0) is 0
        level = [f.select(f.compare("==", top, -math.inf), 0.0, top) for top in tops]
        factors = [share(f, old - new) for old, new in zip(before, level, strict=True)]
        sums = self._shares(blocks, level)
        totals = zip(self.numbers("total"), factors, sums, strict=True)
        self.put("total", [f.fma(old, factor, new) for old, factor, new in totals])
        self.put("top", tops)
        changed = [f.compare("!=", factor, 1.0) for factor in factors]
        with f.when(f.any(changed[0] | changed[1])):
            self._scale(factors)

    def _shares(self, blocks: Operand, level: list[Value]) -> list[Value]:
        """The shares in place of scores, their parts as pairs of keys; gives their sums."""
        f, p = self.f, self.p
        zero = [f.constant(0, p.elem, p.lanes)] * p.vectors
        quarters = f.mul(blocks, ROWS // _ROWS_TOGETHER)
        with f.loop(0, quarters, carry=zero, nonempty=True) as quarter:
            with f.loop(0, _ROWS_TOGETHER, carry=quarter.values) as loop:
                pair = f.add(f.mul(quarter.index, _ROWS_TOGETHER), loop.index)
                block = f.mul(f.udiv(pair, ROWS), BLOCK)
                target = f.gep(self.shares, block, "i8")
                loop.next = self._pair(pair, target, level, loop.values)
            quarter.next = loop.out
            self.queue.step()
        return quarter.out

    def _pair(self, pair: Operand, target: Value, level, totals) -> list[Value]:
        """The shares of two neighbouring keys."""
        f, p = self.f, self.p
        row = f.mul(pair, 2)
        sums = []
        rows = self.row(self.scores, row), self.row(self.scores, f.add(row, 1))
        for half, places in enumerate(zip(*rows, strict=True)):
            total, cut = totals[half], []
            for at in places:
                weight = share(f, f.load(at, p.elem, p.lanes) - level[half])
                f.store(weight, at)
                cut.append(split(f, weight, finite=True))
                total = total + weight
            put_right(f, target, f.urem(pair, ROWS), half, cut)
            sums.append(total)
        return sums

    def _scale(self, factors: list[Value]) -> None:
        """Multiply the sums by the queries' factors."""
        f, p = self.f, self.p
        with f.loop(0, p.depth, nonempty=True) as loop:
            for at, factor in zip(self.row(self.out, loop.index), factors, strict=True):
                f.store(f.load(at, p.elem, p.lanes) * factor, at)

    # ---------- the end ----------
    def end(self) -> None:
        """Divide, write the results and the logarithms."""
        f, p, span = self.f, self.p, self.span
        totals, tops = self.numbers("total"), self.numbers("top")
        # queries that see nothing: zeros, or as a softmax has it
        nothing = 1.0 if p.hidden is None else math.nan
        divisors = [f.select(f.compare("==", x, 0.0), nothing, x) for x in totals]
        self._scale([f.constant(1, p.elem, p.lanes) / x for x in divisors])
        wide, view = p.padded(p.depth), p.views["result"]
        turn(f, self.out, GROUP, p.depth, GROUP, self.room["rows"], wide)
        target = f.gep(span.arrays["result"], f.mul(span.first, view.row), p.elem)
        with f.loop(0, span.live, nonempty=True) as loop:
            source = f.gep(self.room["rows"], f.mul(loop.index, wide), p.elem)
            to = f.gep(target, f.mul(loop.index, view.row), p.elem)
            f.copy_bytes(to, source, p.depth * SIZES[p.elem])
        levels, logs = (f.gep(span.arrays[n], span.first, p.elem) for n in ("levels", "logarithms"))
        for j, (top, total) in enumerate(zip(tops, totals, strict=True)):
            live = f.lanes_below(f.sub(span.live, j * p.lanes), p.lanes)
            top = f.select(f.compare("==", top, -math.inf), 0.0, top)
            f.store(top, f.gep(levels, j * p.lanes, p.elem), mask=live)
            value = vector_math.log(f, total)
            if p.hidden is not None:
                value = f.select(f.compare("==", total, 0.0), math.nan, value)
            f.store(value, f.gep(logs, j * p.lanes, p.elem), mask=live)
