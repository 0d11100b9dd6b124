"""Nests as LLVM text: loops, passes over the columns, accumulators, masked tails.

One axis runs over vector lanes. If it is a column axis, values of a row are scalars and a reduction
ends with a fold over the lanes; if it is a row axis, each lane is a row of its own. A short
vectorised column axis is *resident*: its few vectors live in registers through all passes. A long
one is walked once per pass, with several accumulators so that additions overlap; expensive values
that a later pass needs again are kept on the stack.
"""

from __future__ import annotations

from collections.abc import Iterable

from gemel.codegen.emitter import Typed, element
from gemel.codegen.llvm import SIZES, Value
from gemel.codegen.nest import Access, Expr, Nest, Store, beneath, children
from gemel.codegen.nests.evaluate import Evaluator, Place
from gemel.codegen.nests.reduce_rules import POSITIONS, fold, join, result, start, state_size, step
from gemel.codegen.nests.spills import planned, used_in
from gemel.codegen.nests.tiles import MACRO, Tiles, tile_axis
from gemel.codegen.nests.timing import Timing
from gemel.codegen.nests.value_ranges import Ranges
from gemel.codegen.nests.work import EXPENSIVE, is_deep, spilled_cells
from gemel.codegen.sizes import hint, is_size
from gemel.runtime.machine import machine

RESIDENT_VECTORS = 4  # a row of at most this many vectors stays in registers
UNROLL = 4  # independent accumulators of a long row
MOST_TOGETHER = 8  # vectors of rows in a block
BLOCK_COST = 24  # expressions in the inner loop of a block, about


def lane_count(dtypes: Iterable) -> int:
    """Vector lanes of a nest: as many as the widest number type that it touches fills."""
    dtypes = list(dtypes)
    floats = [d.itemsize for d in dtypes if d.is_float]
    widest = max(floats or [d.itemsize for d in dtypes] or [4])
    return max(1, machine().vector_bytes // max(4, widest))


def resident(cols: tuple, lanes: int | None, sizes: dict, width: int) -> bool:
    """Does a whole row fit registers?"""
    known = lanes is not None and cols == (lanes,) and not is_size(sizes[lanes])
    return known and sizes[lanes] <= RESIDENT_VECTORS * width


def row_block(nest: Nest) -> int:
    """Vectors of rows that walk the columns together: memory is read in longer runs. 1 where
    the lanes are not rows."""
    if nest.lanes not in nest.rows:
        return 1
    cells = [e for e in children(nest.stores) if e.axes & frozenset(nest.cols)]
    dear = sum(e.kind == "apply" and e.payload[0] in EXPENSIVE for e in cells)
    return max(2, min(MOST_TOGETHER, BLOCK_COST // max(1, len(cells) + 10 * dear)))


class NestEmitter(Evaluator):
    """Emits one nest into a function.

    ranges  axis -> (low, high): the part of an axis that is walked; whole axes are not named
    spills  may expensive values wait on the stack for a later pass?
    """

    def __init__(self, f, nest: Nest, pointers, scalars, fault, ranges=None, spills=True):
        super().__init__(f, pointers, nest.lanes, scalars, fault)
        self.nest = nest
        self.width = nest.width if nest.lanes is not None else 1
        self.cols = frozenset(nest.cols)
        self.ranges = {a: (0, n) for a, n in nest.sizes.items() if is_size(n)} | (ranges or {})
        self.resident = resident(nest.cols, nest.lanes, nest.sizes, self.width)
        self.timing = Timing(nest)
        self.quotients = self._row_quotients()
        self.streamed: frozenset[int] = frozenset()  # ids of stores that go past the caches
        self.across = tile_axis(nest)
        self.tiles: Tiles | None = None
        self.spills: dict[int, tuple[int, Value]] = {}
        if spills:
            self._plan_spills()
        self.current = 0

    # ---------- the nest ----------
    def run(self) -> None:
        """The whole nest."""
        top = self.top()
        self.finish(top, self.all_rows(top))

    def top(self) -> Place:
        """Outside of all loops; what depends on none of them is known."""
        top = Place({}, 1, None, {})
        for e in self.timing.exprs:
            if id(e) in self.timing.free:
                self.value(e, top)
        return top

    def all_rows(self, top: Place) -> list[Value]:
        """Every row; returns the accumulators of what is known only after the last one."""
        return self._row_loops(list(self.nest.rows), top, self.late_start())

    def late_start(self) -> list[Value]:
        """The accumulators of late reductions before the first row."""
        return [v for e in self.timing.late_sums for v in self._late_start(e)]

    def _copies(self, e: Expr) -> int:
        """How many accumulators a late reduction has: one per resident vector of its cells."""
        if not self.timing.sums_cells(e):
            return 1
        return -(-self.nest.sizes[self.nest.lanes] // self.width)

    def _late_start(self, e: Expr) -> list[Value]:
        by_lanes = self.timing.sums_cells(e) or self.lane_axis in self.nest.rows
        lanes = self.width if by_lanes else 1
        return [v for _ in range(self._copies(e)) for v in start(self.emit, e, lanes)]

    def _by_sum(self, carry) -> dict[int, list]:
        """The flat list of carried values, per late reduction."""
        out, at = {}, 0
        for e in self.timing.late_sums:
            n = self._copies(e) * state_size(e)
            out[id(e)] = list(carry[at : at + n])
            at += n
        return out

    def join_late(self, a: list[Value], b: list[Value]) -> list[Value]:
        """The accumulators of two parts of the rows joined."""
        left, right = self._by_sum(a), self._by_sum(b)
        out = []
        for e in self.timing.late_sums:
            x, y, n = left[id(e)], right[id(e)], state_size(e)
            for k in range(0, len(x), n):
                out += join(self.emit, e, x[k : k + n], y[k : k + n])
        return out

    def _flat(self, states: dict[int, list]) -> list:
        return [v for e in self.timing.late_sums for v in states[id(e)]]

    # ---------- loops ----------
    def _loop(self, axis: int, carry: list):
        """A loop over an axis or the part of it that is walked (never empty)."""
        low, high = self.ranges.get(axis, (0, self.nest.sizes[axis]))
        return self.f.loop(low, high, 1, carry, nonempty=axis in self.ranges)

    def _row_loops(self, axes: list[int], place: Place, carry: list) -> list:
        """Loops over the rows, outermost first; late reductions are carried through them."""
        if not axes:
            return self._row(place, carry)
        axis, rest = axes[0], axes[1:]
        if axis == self.lane_axis:
            return self._row_vectors(place, carry)
        with self._loop(axis, carry) as loop:
            loop.next = self._row_loops(rest, place.at(axis, loop.index), loop.values)
        return loop.out

    def _by_vectors(self, axis: int, place: Place, carry: list, body, ahead, unroll: int) -> list:
        """Full vectors along an axis, then a masked rest: body(place, carry, copy) -> carry.

        With unroll > 1 the carry has that many groups; copy k takes and gives group k. Before that
        `ahead` sees the places of all copies.
        """
        width = self.width
        low, high = self.ranges.get(axis, (0, self.nest.sizes[axis]))
        group = len(carry) // unroll
        stride = width * unroll
        values = list(carry)

        def one(at: Place, k: int) -> None:
            part = slice(k * group, (k + 1) * group)
            values[part] = body(at, values[part], k)

        def vector(base, mask=None) -> Place:
            return place.at(axis, base, width, mask)

        span = self.f.sub(high, low)
        main = self.f.add(low, self.f.sub(span, self.f.urem(span, stride)))
        if axis in self.ranges or main:
            with self.f.loop(low, main, stride, values) as loop:
                values = list(loop.values)
                places = [vector(self.f.add(loop.index, k * width)) for k in range(unroll)]
                ahead(places)
                for k, at in enumerate(places):
                    one(at, k)
                loop.next = values
            values = list(loop.out)
        if axis in self.ranges:
            with self.f.loop(main, high, width, values) as loop:
                values = list(loop.values)
                one(vector(loop.index, self.f.lanes_below(self.f.sub(high, loop.index), width)), 0)
                loop.next = values
            return list(loop.out)
        for k, base in enumerate(range(main, high, width)):
            whole = high - base >= width
            mask = None if whole else self.f.lanes_below(high - base, width)
            one(vector(base, mask), k % unroll)
        return values

    # ---------- vectors of rows ----------
    def _row_vectors(self, place: Place, carry: list) -> list:
        """The lane axis is the last of the rows: blocks of vectors walk the columns together."""
        width, axis = self.width, self.lane_axis
        low, high = self.ranges.get(axis, (0, self.nest.sizes[axis]))
        block = 1 if self.across is not None else row_block(self.nest)
        span = self.f.sub(high, low)
        main = self.f.add(low, self.f.sub(span, self.f.urem(span, block * width)))

        def vector(base, mask=None) -> Place:
            return place.at(axis, base, width, mask)

        if axis in self.ranges or main:
            with self.f.loop(low, main, block * width, carry) as loop:
                starts = [self.f.add(loop.index, k * width) for k in range(block)]
                loop.next = self._block([vector(base) for base in starts], loop.values)
            carry = loop.out
        if axis in self.ranges:
            with self.f.loop(main, high, width, carry) as loop:
                left = self.f.sub(high, loop.index)
                mask = self.f.lanes_below(left, width)
                loop.next = self._block([vector(loop.index, mask)], loop.values)
            return loop.out
        return self._block(self._vectors(place, main), carry) if main < high else carry

    def _block(self, places: list[Place], carry: list) -> list:
        """Some vectors of rows, by way of tiles where arrays lie across."""
        if self.across is None:
            return self.passes_of(places, carry)
        for place in places:
            count, axis = self.nest.sizes[self.across], self.lane_axis
            _, high = self.ranges.get(axis, (0, self.nest.sizes[axis]))
            live = self.width
            if place.mask is not None:
                live = self.f.min(self.f.sub(high, place.index[axis]), self.width)
            self.tiles = self.tiles or Tiles(self.f, self.nest, self.across, count)
            first = place.at(self.across, 0)
            self.tiles.fill(self.address, first, live, count)
            carry = self.passes_of([place], carry)
            self.tiles.flush(self.address, first, live, count)
        return carry

    def passes_of(self, places: list[Place], carry: list) -> list:
        """All passes of some vectors of rows."""
        states = self._by_sum(carry)
        for p in range(self.timing.passes):
            for place in places:
                self.row_values(place, p)
            for place, e, state in self.block_pass(p, places):
                place.memo[id(e)] = result(self.emit, e, state)
        for place in places:
            self.row_values(place, self.timing.passes)
            for e in self.timing.late_sums:
                states[id(e)] = self._step(e, states[id(e)], place)
            self.store_all(self.timing.row_stores(), place)
        return self._flat(states)

    def block_pass(self, p: int, places: list[Place]) -> list[tuple[Place, Expr, list[Value]]]:
        """Pass p; returns the reductions that it completes at each place with their states."""
        sums, stores = self.timing.sums_of(p), self.timing.cell_stores_of(p)
        if not (sums or stores):
            return []
        carry = [v for e in sums for v in start(self.emit, e, self.width)]
        size, cells = len(carry), self._cells_of(sums, stores)

        def inside(axes: list[int], ats: list[Place], values: list) -> list:
            if not axes:
                self._side_by_side(cells, ats)
                parts = [values[k * size : (k + 1) * size] for k in range(len(ats))]
                pairs = zip(ats, parts, strict=True)
                return [v for at, part in pairs for v in self._cell(sums, stores, at, part)]
            with self._loop(axes[0], values) as loop:
                ats = [at.at(axes[0], loop.index) for at in ats]
                loop.next = inside(axes[1:], ats, loop.values)
            return loop.out

        ends = inside(list(self.nest.cols), places, carry * len(places))
        parts = [ends[k * size : (k + 1) * size] for k in range(len(places))]
        pairs = zip(places, parts, strict=True)
        return [(at, e, state) for at, part in pairs for e, state in self._ended(sums, part)]

    # ---------- one row ----------
    def _row(self, place: Place, carry: list) -> list:
        states = self._by_sum(carry)
        chunks = self._vectors(place, 0) if self.resident else None
        for p in range(self.timing.passes):
            self.row_values(place, p)
            for e, state in self.one_pass(p, place, chunks, states):
                place.memo[id(e)] = result(self.emit, e, state)
        self.row_values(place, self.timing.passes)
        for e in self.timing.late_sums:
            if not self.timing.sums_cells(e):
                states[id(e)] = self._step(e, states[id(e)], place)
        self.store_all(self.timing.row_stores(), place)
        return self._flat(states)

    def _vectors(self, place: Place, low: int) -> list[Place]:
        """Every vector of the lane axis from `low` on, the last one masked if need be."""
        n, width, axis = self.nest.sizes[self.lane_axis], self.width, self.lane_axis
        out = []
        for base in range(low, n, width):
            mask = None if n - base >= width else self.f.lanes_below(n - base, width)
            out.append(place.at(axis, base, width, mask))
        return out

    def row_values(self, place: Place, p: int) -> None:
        """Values of the row known before pass p, emitted where they dominate its loops."""
        timing = self.timing
        for e in timing.exprs:
            if timing.is_cell(e) or id(e) in timing.late or id(e) in timing.free:
                continue
            if timing.depth[id(e)] <= p and e.kind != "reduce":
                self.value(e, place)
        for x in {id(e.args[1]): e.args[1] for e in self.quotients.values()}.values():
            if timing.depth[id(x)] <= p:
                self._inverse(x, place)

    def _step(self, e: Expr, state: list[Value], place: Place) -> list[Value]:
        """One more value (or vector) for a reduction."""
        x = self.value(e.args[0], place).value
        at = None
        if e.payload[0] in POSITIONS:
            (axis,) = e.payload[1]
            at = self.position(axis, place)
        over_lanes = self.lane_axis in e.payload[1] or state[0].lanes > 1
        mask = place.mask if over_lanes and state[0].lanes > 1 else None
        return step(self.emit, e, state, x, at, mask)

    # ---------- one pass over the columns ----------
    def one_pass(self, p: int, place: Place, chunks, states) -> list[tuple[Expr, list[Value]]]:
        """Pass p; returns the reductions that it completes with their states."""
        self.current = p
        sums, stores = self.timing.sums_of(p), self.timing.cell_stores_of(p)
        late = self.timing.late_sums_of(p)
        if not (sums or stores or late):
            return []
        lanes = self.width if self.lane_axis is not None else 1
        carry = [v for e in sums for v in start(self.emit, e, lanes)]

        ahead = self._next_row(p) if chunks is None else []

        def body(at: Place, values: list, copy: int) -> list:
            for a, elem in ahead:
                step = a.stride(self.nest.rows[-1])
                self.f.prefetch(self.f.gep(self.address(a, at, elem), step, elem))
            return self._cell(sums, stores, at, values)

        if chunks is not None:
            for k, at in enumerate(chunks):
                carry = body(at, carry, k)
                for e in late:
                    n = state_size(e)
                    part = slice(k * n, (k + 1) * n)
                    states[id(e)][part] = self._step(e, states[id(e)][part], at)
        else:
            carry = self._walk(place, carry, sums, stores, body)
        return self._ended(sums, carry)

    def _next_row(self, p: int) -> list[tuple[Access, str]]:
        """What to fetch in the second pass of a row, whose own cells are near already."""
        nest, rows, lanes = self.nest, self.nest.rows, self.lane_axis
        if p != 1 or not rows or nest.cols != (lanes,):
            return []
        loads = {e.payload: element(e.dtype) for e in self.timing.exprs if e.kind == "load"}
        moving = [a for a in loads if a.stride(lanes) == 1 and a.stride(rows[-1])]
        # a pass that computes much has the time to fetch long rows too
        share = 8 if used_in(self.timing, p) else 32
        room = machine().l2 // share // max(1, hint(nest.sizes[lanes]))
        return [(a, loads[a]) for a in moving if SIZES[loads[a]] <= room]

    def _cell(self, sums: list[Expr], stores: list[Store], at: Place, values: list) -> list:
        """One cell, or one vector of cells: reductions take it, stores write it."""
        out: list[Value] = []
        for e in sums:
            out += self._step(e, values[len(out) : len(out) + state_size(e)], at)
        self.store_all(stores, at)
        return out

    def _ended(self, sums: list[Expr], carry: list) -> list[tuple[Expr, list[Value]]]:
        out, at = [], 0
        for e in sums:
            state = carry[at : at + state_size(e)]
            at += state_size(e)
            if self.lane_axis in self.cols:
                state = fold(self.emit, e, state)
            out.append((e, state))
        return out

    def _side_by_side(self, cells: list[Expr], places: list[Place]) -> None:
        """Compute them step by step at all places: they depend on each other in a chain longer
        than the processor looks ahead, and it would wait for one place at a time."""
        if len(places) > 1 and is_deep(cells):
            for e in cells:
                for place in places:
                    self.value(e, place)

    def _cells_of(self, sums: list[Expr], stores: list[Store]) -> list[Expr]:
        """What they read of each cell, arguments first; nothing behind what waits on the stack."""
        roots = [e.args[0] for e in sums] + [s.value for s in stores]
        waiting = {n for n, (first, _) in self.spills.items() if first < self.current}
        cells = [e for e in beneath(roots, waiting) if self.timing.is_cell(e)]
        return [e for e in cells if id(e) not in self.spills]

    def _walk(self, place: Place, carry: list, sums: list[Expr], stores, body) -> list:
        """Loops over the columns, the innermost by vectors where it is the lane axis."""
        if self.across is not None:
            self._by_tiles([a for a in self.nest.cols if a != self.across], place, body)
            return carry
        cols = list(self.nest.cols)
        by_lanes = bool(cols) and cols[-1] == self.lane_axis
        long = by_lanes and hint(self.nest.sizes[cols[-1]]) >= UNROLL * self.width
        cells = self._cells_of(sums, stores)
        unroll = UNROLL if long and (carry or is_deep(cells)) else 1

        def ahead(places: list[Place]) -> None:
            self._side_by_side(cells, places)

        def inside(axes: list[int], at: Place, values: list) -> list:
            if axes and axes[0] == self.lane_axis:
                return self._by_vectors(axes[0], at, values, body, ahead, unroll)
            if not axes:
                return body(at, values, 0)
            with self._loop(axes[0], values) as loop:
                loop.next = inside(axes[1:], at.at(axes[0], loop.index), loop.values)
            return loop.out

        ends = inside(cols, place, carry * unroll)
        return self._join_copies(sums, ends, unroll)

    def _by_tiles(self, axes: list[int], place: Place, body) -> None:
        """Squares of cells: nothing is reduced, some arrays lie across the lanes."""
        if axes[0] != self.lane_axis:
            with self._loop(axes[0], []) as loop:
                self._by_tiles(axes[1:], place.at(axes[0], loop.index), body)
            return
        f, width = self.f, self.width
        self.tiles = Tiles(f, self.nest, self.across, width)
        sides = [self.ranges.get(a, (0, self.nest.sizes[a])) for a in (self.across, self.lane_axis)]
        (low, high), (left, right) = sides
        with f.loop(low, high, MACRO, nonempty=True) as rows:
            with f.loop(left, right, MACRO, nonempty=True) as columns:
                bottom = f.min(f.add(rows.index, MACRO), high)
                end = f.min(f.add(columns.index, MACRO), right)
                with f.loop(rows.index, bottom, width, nonempty=True) as row:
                    with f.loop(columns.index, end, width, nonempty=True) as column:
                        count = f.min(f.sub(bottom, row.index), width)
                        live = f.min(f.sub(end, column.index), width)
                        mask = f.lanes_below(live, width)
                        at = place.at(self.lane_axis, column.index, width, mask)
                        self._one_tile(at, row.index, live, count, body)

    def _one_tile(self, place: Place, first, live, count, body) -> None:
        start = place.at(self.across, first)
        self.tiles.start = first
        self.tiles.fill(self.address, start, live, count)
        with self.f.loop(first, self.f.add(first, count), nonempty=True) as loop:
            body(place.at(self.across, loop.index), [], 0)
        self.tiles.flush(self.address, start, live, count)

    def _join_copies(self, sums: list[Expr], ends: list, unroll: int) -> list:
        """The unrolled accumulators joined pairwise."""
        size = len(ends) // unroll
        copies = [ends[k * size : (k + 1) * size] for k in range(unroll)]
        while len(copies) > 1:
            pairs = zip(copies[::2], copies[1::2], strict=True)
            copies = [self._join(sums, a, b) for a, b in pairs]
        return copies[0]

    def _join(self, sums: list[Expr], a: list, b: list) -> list:
        out: list = []
        for e in sums:
            part = slice(len(out), len(out) + state_size(e))
            out += join(self.emit, e, a[part], b[part])
        return out

    # ---------- the end of the nest ----------
    def finish(self, top: Place, carry: list[Value]) -> None:
        """Values known only after the last row: per column, or for everything."""
        states, timing = self._by_sum(carry), self.timing
        late = timing.late_stores()
        chunks = self._vectors(top, 0) if any(map(timing.stores_cell, late)) else []
        for e in timing.late_sums:
            if timing.is_cell(e):
                n = state_size(e)
                for k, at in enumerate(chunks):
                    at.memo[id(e)] = result(self.emit, e, states[id(e)][k * n : (k + 1) * n])
            else:
                top.memo[id(e)] = result(
                    self.emit, e, fold(self.emit, e, self._whole(e, states[id(e)]))
                )
        for s in late:
            for at in chunks if timing.stores_cell(s) else [top]:
                self.store(s, at)

    def _whole(self, e: Expr, state: list) -> list:
        """The accumulators of all resident vectors joined."""
        n = state_size(e)
        copies = [state[k : k + n] for k in range(0, len(state), n)]
        while len(copies) > 1:
            copies = [join(self.emit, e, copies[0], copies[1]), *copies[2:]]
        return copies[0]

    # ---------- arrays that lie across the lanes ----------
    def _load(self, e: Expr, place: Place) -> Typed:
        if self.tiles is None or e.payload not in self.tiles.kinds or place.lanes == 1:
            return super()._load(e, place)
        row = self.tiles.row(e.payload, place.index[self.across])
        return Typed(self.f.load(row, self.tiles.kinds[e.payload], place.lanes), e.dtype)

    def store(self, s: Store, place: Place) -> None:
        """Store one expression: into its tile where it has one, past the caches if it may."""
        if id(s) in self.streamed and place.mask is None:
            value = self.f.splat(self.value(s.value, place).value, place.lanes)
            self.f.stream(value, self.address(s.target, place, value.elem))
            return
        if self.tiles is None or s.target not in self.tiles.kinds:
            super().store(s, place)
            return
        x = self.f.splat(self.value(s.value, place).value, place.lanes)
        self.f.store(x, self.tiles.row(s.target, place.index[self.across]))

    # ---------- expensive values that a later pass of a long row needs again ----------
    def _plan_spills(self) -> None:
        if self.resident or self.timing.passes < 2:
            return
        if self.nest.cols not in ((self.lane_axis,), (self.across,)):
            return
        if (cells := spilled_cells(self.nest.sizes[self.nest.cols[0]])) is None:
            return
        cells *= self.width if self.across is not None else 1
        places: dict[int, Value] = {}
        for x in planned(self.timing, cells):
            if x.place not in places:
                places[x.place] = self.f.alloca(element(x.value.dtype), cells)
            self.spills[id(x.value)] = (x.first, places[x.place])

    def _apply(self, e: Expr, place: Place) -> Typed:
        spill = self.spills.get(id(e))
        if spill is None:
            return self._computed(e, place)
        first, stack = spill
        elem = element(e.dtype)
        index = place.index[self.nest.cols[0]]
        if self.across is not None:
            index = self.f.mul(index, self.width)
        at = self.f.gep(stack, index, elem)
        if self.current > first:
            return Typed(self.f.load(at, elem, place.lanes, mask=place.mask), e.dtype)
        made = self._computed(e, place)
        self.f.store(self.f.splat(made.value, place.lanes), at, mask=place.mask)
        return made

    def _computed(self, e: Expr, place: Place) -> Typed:
        if id(e) in self.quotients:
            return self._quotient(e, place)
        return super()._apply(e, place)

    # ---------- cells divided by a number of their row ----------
    def _row_quotients(self) -> dict[int, Expr]:
        """Divisions of cells by a value of their row, where the inverse serves as well."""
        timing = self.timing
        divisions = [e for e in timing.exprs if e.kind == "apply" and e.payload[0] == "div"]
        found = [e for e in divisions if e.dtype.is_float and timing.is_cell(e.args[0])]
        found = [e for e in found if not timing.is_cell(e.args[1])]
        if not found:
            return {}
        ranges = Ranges(timing.exprs, self.nest.sizes)
        exact = [e for e in found if ranges.small(e.args[0]) and ranges.moderate(e.args[1])]
        return {id(e): e for e in exact}

    def _inverse(self, x: Expr, place: Place) -> Value:
        """1 / x, computed where x becomes known."""
        key = ("inverse", id(x))
        at: Place | None = place
        while at is not None and key not in at.memo:
            at = at.outer
        if at is None:
            at, value = place, self.value(x, place).value
            at.memo[key] = Typed(self.f.fdiv(1.0, value), x.dtype)
        return at.memo[key].value

    def _quotient(self, e: Expr, place: Place) -> Typed:
        """A division by way of the inverse; the remainder makes the last bit right."""
        f = self.f
        inverse = f.splat(self._inverse(e.args[1], place), place.lanes)
        x, y = (f.splat(self.value(a, place).value, place.lanes) for a in e.args)
        rough = f.mul(x, inverse)
        rest = f.fma(f.neg(rough), y, x)
        return Typed(f.fma(rest, inverse, rough), e.dtype)
