"""The backward pass on matrix tiles: the products of `backward`, a panel of queries at a time.

Role: as `backward`, for float32 on machines that multiply bfloat16 on tiles. Many queries are
cut in parts together, in panels of 32; a block of keys once for all of these. Scores lie as
[key][query]: shares P and slopes dS are left operands of the products with gradients and queries
as they are, and dS is a right operand of the product that gives the turned query gradients. Sums
of a block of keys are added to its gradients when all panels have met it. Invariant: as in
`forward_tiles`, panels and blocks with large numbers are multiplied in float32.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.codegen.attention.backward import Head
from gemel.codegen.attention.masks import Seen, hide
from gemel.codegen.attention.panel import LARGE, STEP, Panel, is_moderate
from gemel.codegen.attention.parted import (
    BLOCK,
    GROUP,
    groups,
    lay_left,
    lay_right,
    put_left,
    put_right,
    turn,
)
from gemel.codegen.attention.problem import Problem
from gemel.codegen.attention.products import Block, multiply
from gemel.codegen.attention.scores import Room, Span, pack, scaled, share
from gemel.codegen.attention.tile_products import Queue
from gemel.codegen.dots.parts import split
from gemel.codegen.dots.tile_unit import ROWS
from gemel.codegen.llvm import SIZES, Operand, Value

_SQUARES = ("scores", "slopes")
_ROWS_TOGETHER = 2  # pairs of keys between two looks at the queue


def room(p: Problem) -> Room:
    """Memory of a thread."""
    found = Room()
    panels, keys, wide, deep = map(groups, (p.queries, p.keys, p.width, p.depth))
    for name, width, over in (("query", p.width, wide), ("gradient", p.depth, deep)):
        found.add(name, p.padded(width) * p.queries, p.elem)
        found.add(f"{name} tiles", panels * over * BLOCK, "i8")
        found.add(f"{name} rows", panels * over * BLOCK, "i8")
        found.add(f"largest {name}", panels, "i32")
    for name in ("levels", "logarithms", "sums"):
        found.add(name, p.queries, p.elem)
    found.add("moderate", panels, "i8")
    found.add("key tiles", keys * wide * BLOCK, "i8")
    found.add("value tiles", keys * deep * BLOCK, "i8")
    found.add("turned", wide * GROUP * p.keys, p.elem)
    found.add("turned tiles", wide * keys * BLOCK, "i8")
    for name in ("scores", "slopes"):  # of one panel and of the next
        found.add(name, 2 * p.keys * GROUP, p.elem)
    for name in ("shares left", "slopes left", "slopes right"):
        found.add(name, 2 * keys * BLOCK, "i8")
    found.add("queue", Queue.BYTES, "i8")
    found.add("d query", wide * GROUP * p.queries, p.elem)
    found.add("d key", p.keys * wide * GROUP, p.elem)
    found.add("d value", p.keys * deep * GROUP, p.elem)
    found.add("rows", GROUP * p.padded(p.width), p.elem)
    for name in ("largest key", "largest value", "largest"):
        found.add(name, 1, "i32")
    found.add("laid", 1, "i8")
    return found


class TileHead(Head):
    """All blocks of queries of a head against the range of keys [low, high)."""

    def _block(self, span: Span) -> None:
        f, p = self.f, self.p
        panels = f.udiv(f.add(span.live, GROUP - 1), GROUP)
        self.queue = Queue(f, self.room["queue"])
        self.queue.clear()
        with f.loop(0, panels, nonempty=True) as loop:
            self._begin(_Panel(f, p, span, self.room, loop.index))
        end = f.min(self.high, f.add(span.first, span.live)) if p.causal else self.high
        with f.loop(self.low, end, p.keys) as loop:
            count = f.min(f.sub(end, loop.index), p.keys)
            self._keys_block(span, panels, loop.index, count)
        with f.loop(0, panels, nonempty=True) as loop:
            self._end(_Panel(f, p, span, self.room, loop.index))

    # ---------- queries ----------
    def _begin(self, panel: _Panel) -> None:
        """Lay out the queries and the gradients, both ways."""
        f, p, span = self.f, panel.p, panel.span
        fine = []
        for name, width in (("query", p.width), ("gradient", p.depth)):
            row = p.views[name].row
            source = f.gep(span.arrays[name], f.mul(span.first, row), p.elem)
            packed, largest = panel.at(name), panel.at(f"largest {name}")
            pack(f, p, source, row, width, span.live, packed)
            if name == "query":
                scaled(f, p, packed, width)
            over = (groups(width), 1)
            lay_right(
                f, source, row, span.live, width, over, panel.at(f"{name} rows"), largest
            )  # fmt: skip
            fine.append(is_moderate(f, name, largest))
            over = (1, groups(width))
            lay_right(
                f, packed, GROUP, width, GROUP, over, panel.at(f"{name} tiles"), largest
            )  # fmt: skip
            fine.append(is_moderate(f, name, largest))
        room = {n: panel.at(n) for n in ("levels", "logarithms", "sums")}
        self._levels(p, span, room)
        for x in panel.numbers("sums"):
            wrong = f.compare("uge", f.abs(x), LARGE["sums"])
            fine.append(f.compare("==", f.any(wrong), False))
        every = fine[0]
        for one in fine[1:]:
            every = every & one
        f.store(every, panel.at("moderate"))
        f.clear_bytes(panel.at("d query"), groups(p.width) * GROUP * STEP)

    def _end(self, panel: _Panel) -> None:
        """Write the query gradients."""
        f, p, span = self.f, panel.p, panel.span
        wide = p.padded(p.width)
        turn(f, panel.at("d query"), GROUP, p.width, GROUP, self.room["rows"], wide)
        target = f.gep(span.arrays["d query"], f.mul(span.first, self.row), p.elem)
        with f.loop(0, span.live, nonempty=True) as loop:
            source = f.gep(self.room["rows"], f.mul(loop.index, wide), p.elem)
            to = f.gep(target, f.mul(loop.index, self.row), p.elem)
            f.copy_bytes(to, source, p.width * SIZES[p.elem])

    # ---------- a block of keys ----------
    def _keys_block(self, span: Span, panels: Operand, first: Operand, count: Operand) -> None:
        """A block of keys against the panels that see some of it."""
        f, p = self.f, self.p
        f.store(f.constant(False, "i1"), self.room["laid"])
        self.ahead.ask_rows(span.first, first, count)
        low: Operand = 0
        if p.causal:
            low = f.udiv(f.max(f.sub(first, span.first), 0), GROUP)
        masked = "mask" in p.views

        def lay() -> None:
            self._lay(span, first, count)

        if not masked:
            lay()
            _Panel(f, p, span, self.room, low).ask_scores(first, count)
            self.queue.finish()
        with f.loop(low, panels, nonempty=True) as loop:
            panel = _Panel(f, p, span, self.room, loop.index)
            number = f.add(loop.index, 1)
            following = None if masked else _Panel(f, p, span, self.room, number)
            panel.keys(first, count, following, lay)
        self.queue.finish()
        with f.when(f.load(self.room["laid"], "i1")):
            for name, width in (("key", p.width), ("value", p.depth)):
                self._add(span, name, width, first, count)

    def _lay(self, span: Span, first: Operand, count: Operand) -> None:
        """The keys and the values of a block in parts, if they are not there yet."""
        f, p, room = self.f, self.p, self.room
        with f.when(f.compare("==", f.load(room["laid"], "i1"), False)):
            f.store(f.constant(True, "i1"), room["laid"])
            for name, width in (("key", p.width), ("value", p.depth)):
                row = p.views[name].row
                source = f.gep(span.arrays[name], f.mul(first, row), p.elem)
                over = groups(p.keys), groups(width)
                target, largest = room[f"{name} tiles"], room[f"largest {name}"]
                lay_left(f, source, row, count, width, over, target, largest)
                if name == "key":
                    turn(f, source, row, count, width, room["turned"], p.keys)
                sums = p.keys * groups(width) * STEP
                f.clear_bytes(room[f"d {name}"], sums)
            over = groups(p.width), groups(p.keys)
            target, largest = room["turned tiles"], room["largest"]
            lay_left(f, room["turned"], p.keys, p.width, count, over, target, largest)

    def _add(self, span: Span, name: str, width: int, first: Operand, count: Operand) -> None:
        """What all panels give for the keys, or the values, of a block."""
        f, p = self.f, self.p
        row, wide = p.views[f"d {name}"].row, groups(width) * GROUP
        target = f.gep(span.arrays[f"d {name}"], f.mul(first, row), p.elem)
        with f.loop(0, count, nonempty=True) as loop:
            source = f.gep(self.room[f"d {name}"], f.mul(loop.index, wide), p.elem)
            to = f.gep(target, f.mul(loop.index, row), p.elem)
            for start in range(0, width, p.lanes):
                tail = width - start < p.lanes
                mask = f.lanes_below(width - start, p.lanes) if tail else None
                at = f.gep(to, start, p.elem)
                more = f.load(f.gep(source, start, p.elem), p.elem, p.lanes)
                f.store(f.load(at, p.elem, p.lanes, mask=mask) + more, at, mask=mask)


class _Panel(Panel):
    """32 queries of the block."""

    def at(self, name: str, size: int | None = None) -> Value:
        """Where the panel's part of an array begins."""
        return super().at(name, size or _part_bytes(self.p).get(name, STEP))

    @property
    def queue(self) -> Queue:
        return Queue(self.f, self.room["queue"])

    def own(self, name: str) -> Value:
        """Of what there is twice, for this panel and the next: its part."""
        size = self.block.keys * STEP if name in _SQUARES else groups(self.block.keys) * BLOCK
        return self.f.gep(self.room[name], self.f.mul(self.f.urem(self.number, 2), size), "i8")

    def keys(
        self, first: Operand, count: Operand, following: _Panel | None, lay: Callable[[], None]
    ) -> None:
        """A block of keys, unless the mask hides all of it. following: the panel whose scores are
        computed meanwhile; without one nothing is laid out yet, and `lay` does."""
        seen_count = self.seen_keys(first, count)
        pairs = zip(self.numbers("levels"), self.numbers("logarithms"), strict=True)

        def run(seen: Seen) -> None:
            if following is None:
                lay()
                self.ask_scores(first, count)
                self.queue.finish()
            self._keys(first, seen_count, seen, following and (following, count))

        self.unless_hidden(first, seen_count, [top + log for top, log in pairs], run)

    def _keys(self, first: Operand, count: Operand, seen: Seen, following) -> None:
        f, p, scores = self.f, self.p, self.own("scores")
        blocks = f.udiv(f.add(count, GROUP - 1), GROUP)
        fine = self._fine()
        with f.when(f.compare("==", fine, False)):
            self._scores_by_floats(first, count)
        hide(f, p, self.span, first, count, scores, seen)
        self.hide_missing(scores, count, blocks)
        if following is not None:
            panel, keys = following
            with f.when(f.compare(">", panel.span.live, 0)):
                panel.ask_scores(first, keys)
        self._slopes(blocks)
        self.queue.finish()
        f.if_else(fine, lambda: self._ask_sums(blocks), lambda: self._sums_by_floats(first, count))

    def _fine(self) -> Value:
        f = self.f
        fine = f.load(self.at("moderate"), "i1")
        for name in ("key", "value"):
            fine = fine & is_moderate(f, name, self.room[f"largest {name}"])
        return fine

    # ---------- shares and slopes ----------
    def _slopes(self, blocks: Operand) -> None:
        """Scores become P; slopes, which hold dP, become scale dS; parts of both."""
        f = self.f
        names = ("shares left", "slopes left", "slopes right")
        places = [self.own(n) for n in names]
        numbers = [self.numbers(n) for n in ("levels", "logarithms", "sums")]
        with f.loop(0, f.mul(blocks, ROWS // _ROWS_TOGETHER), nonempty=True) as part:
            with f.loop(0, _ROWS_TOGETHER) as loop:
                pair = f.add(f.mul(part.index, _ROWS_TOGETHER), loop.index)
                offset = f.mul(f.udiv(pair, ROWS), BLOCK)
                self._pair(pair, [f.gep(at, offset, "i8") for at in places], numbers)
            self.queue.step()
            self.queue.step()

    def _pair(self, pair: Operand, places: list[Value], numbers) -> None:
        """Of two neighbouring keys."""
        f = self.f
        shares, left, right = places
        near, found = f.urem(pair, ROWS), []
        for i in (0, 1):
            row = f.add(f.mul(near, 2), i)
            weights, changes = self._row_slopes(f.add(f.mul(pair, 2), i), numbers)
            put_left(f, shares, row, [split(f, x, finite=True) for x in weights])
            cut = [split(f, x, finite=True) for x in changes]
            put_left(f, left, row, cut)
            found.append(cut)
        for half, both in enumerate(zip(*found, strict=True)):
            put_right(f, right, near, half, both)

    def _row_slopes(self, row: Operand, numbers) -> tuple[list[Value], list[Value]]:
        """P and scale dS of a key."""
        f, p = self.f, self.p
        view = p.views.get("mask")
        replaced = p.hidden if view is not None and view.elem == "i1" else None
        places = [self.row(self.own(n), row) for n in ("scores", "slopes")]
        weights, changes = [], []
        for score, slope, top, log, total in zip(*places, *numbers, strict=True):
            x = f.load(score, p.elem, p.lanes)
            weight = share(f, x - top - log)
            change = weight * (f.load(slope, p.elem, p.lanes) - total) * p.scale
            if replaced is not None:  # no gradient goes to what the mask replaced
                change = f.select(f.compare("==", x, replaced), 0.0, change)
            f.store(weight, score)
            f.store(change, slope)
            weights.append(weight)
            changes.append(change)
        return weights, changes

    # ---------- products ----------
    def _sides(self):
        """Left side, right side, width, target of the two products that give scores and dP."""
        p = self.p
        return (("key", "query", p.width, "scores"), ("value", "gradient", p.depth, "slopes"))

    def _sums(self):
        """What weighs, what is weighed, width, target of those that are sums over queries."""
        p = self.p
        return (
            ("shares left", "scores", "gradient", p.depth, "d value"),
            ("slopes left", "slopes", "query", p.width, "d key"),
        )

    def ask_scores(self, first: Operand, count: Operand) -> None:
        """Queue the scores and dP of a block of keys, if tiles can compute them."""
        f, room = self.f, self.room
        blocks = f.udiv(f.add(self.seen_keys(first, count), GROUP - 1), GROUP)
        with f.when(self._fine()):
            for rows, columns, width, target in self._sides():
                wide = groups(width)
                left, right = room[f"{rows} tiles"], self.at(f"{columns} tiles")
                sizes = blocks, wide
                self.queue.add(left, wide * BLOCK, right, self.own(target), STEP, sizes, False)

    def _scores_by_floats(self, first: Operand, count: Operand) -> None:
        f, p = self.f, self.p
        for rows, columns, width, target in self._sides():
            row = p.views[rows].row
            block = Block(p.elem, row, 1, GROUP, GROUP, GROUP)
            start = f.gep(self.span.arrays[rows], f.mul(first, row), p.elem)
            multiply(f, block, start, self.at(columns), self.own(target), count, width)

    def _ask_sums(self, blocks: Operand) -> None:
        """Queue the products that are sums over queries, or over keys."""
        f, p, room = self.f, self.p, self.room
        for weights, _, name, width, target in self._sums():
            wide, left = groups(width), self.own(weights)
            for number in range(wide):
                right = f.gep(self.at(f"{name} rows"), number * BLOCK, "i8")
                out = f.gep(room[target], number * STEP, "i8")
                self.queue.add(left, BLOCK, right, out, wide * STEP, (blocks, 1), True)
        apart = groups(self.block.keys) * BLOCK
        left, right, sizes = (
            room["turned tiles"],
            self.own("slopes right"),
            (groups(p.width), blocks),
        )
        self.queue.add(left, apart, right, self.at("d query"), STEP, sizes, True)

    def _sums_by_floats(self, first: Operand, count: Operand) -> None:
        f, p, arrays = self.f, self.p, self.span.arrays
        for _, weights, name, width, target in self._sums():
            row = p.views[name].row
            block = Block(p.elem, GROUP, 1, row, groups(width) * GROUP, width, adding=True)
            start = f.gep(arrays[name], f.mul(self.span.first, row), p.elem)
            out = self.room[target]
            multiply(f, block, self.own(weights), start, out, count, self.span.live)
        row = p.views["key"].row
        block = Block(p.elem, 1, row, GROUP, GROUP, GROUP, adding=True)
        start = f.gep(arrays["key"], f.mul(first, row), p.elem)
        multiply(f, block, start, self.own("slopes"), self.at("d query"), p.width, count)


def _part_bytes(p: Problem) -> dict[str, int]:
    """How much a panel has of arrays, if not a number per query."""
    sizes = {"moderate": 1, "d query": groups(p.width) * GROUP * STEP}
    for name, width in (("query", p.width), ("gradient", p.depth)):
        sizes[name] = p.padded(width) * STEP
        sizes[f"{name} tiles"] = sizes[f"{name} rows"] = groups(width) * BLOCK
        sizes[f"largest {name}"] = SIZES["i32"]
    return sizes
