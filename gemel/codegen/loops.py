"""Nests as LLVM text: loops, passes over the columns, accumulators, masked tails.

One axis runs over vector lanes. If it is a column axis, values of a row are scalars and a reduction
ends with a fold over the lanes; if it is a row axis, each lane is a row of its own. A short
vectorised column axis is *resident*: its few vectors live in registers through all passes. A long
one is walked once per pass, with several accumulators so that additions overlap; expensive values
that a later pass needs again are kept on the stack.
"""

from __future__ import annotations

from collections.abc import Iterable

from gemel.runtime.machine import machine

from .emitter import Typed, element
from .evaluate import Evaluator, Place
from .llvm import Value
from .nest import Expr, Nest, children
from .reduce_rules import POSITIONS, fold, join, result, start, state_size, step

RESIDENT_VECTORS = 4  # a row of at most this many vectors stays in registers
UNROLL = 4  # independent accumulators of a long row
EXPENSIVE = {"exp", "log", "log1p", "expm1", "tanh", "sigmoid", "erf", "sin", "cos", "pow"}
SPILL_BYTES = 1 << 16  # stack for the expensive values of a long row


def lane_count(dtypes: Iterable) -> int:
    """Vector lanes of a nest: as many as the widest number type that it touches fills."""
    dtypes = list(dtypes)
    floats = [d.itemsize for d in dtypes if d.is_float]
    widest = max(floats or [d.itemsize for d in dtypes] or [4])
    return max(1, machine().vector_bytes // max(4, widest))


def resident(cols: tuple, lanes: int | None, sizes: dict, width: int) -> bool:
    """Does a whole row fit registers?"""
    return lanes is not None and cols == (lanes,) and sizes[lanes] <= RESIDENT_VECTORS * width


class NestEmitter(Evaluator):
    """Emits one nest into a function."""

    def __init__(self, f, nest: Nest, pointers, scalars, fault):
        super().__init__(f, pointers, nest.lanes, scalars, fault)
        self.nest = nest
        self.width = nest.width if nest.lanes is not None else 1
        self.cols = frozenset(nest.cols)
        self.rows = frozenset(nest.rows)
        self.resident = resident(nest.cols, nest.lanes, nest.sizes, self.width)
        self.exprs = children(nest.stores)
        self._classify()
        self._plan_spills()
        self.current = 0

    # ---------- what is known when ----------
    def _classify(self) -> None:
        """depth: the pass over the columns that makes a value known. late: only after all rows.
        free: depends on no loop at all."""
        self.depth: dict[int, int] = {}
        self.late: set[int] = set()
        self.free: set[int] = set()
        for e in self.exprs:
            d = max((self.depth[id(a)] for a in e.args), default=0)
            over = e.payload[1] if e.kind == "reduce" else frozenset()
            ends_late = e.kind == "reduce" and bool(self.rows) and self.rows <= over
            if e.kind == "reduce" and not ends_late:
                d += 1
            self.depth[id(e)] = d
            if ends_late or any(id(a) in self.late for a in e.args):
                self.late.add(id(e))
            if not e.axes and e.kind != "reduce" and all(id(a) in self.free for a in e.args):
                self.free.add(id(e))
        reductions = [e for e in self.exprs if e.kind == "reduce"]
        self.late_sums = [e for e in reductions if id(e) in self.late]
        self.row_sums = [e for e in reductions if id(e) not in self.late]
        cells = [e for e in self.exprs if self.is_cell(e) and id(e) not in self.late]
        early = [self.depth[id(e)] for e in cells]
        stored = [self._when(s) for s in self.nest.stores if self._stores_cell(s)]
        summed = [self.depth[id(e)] - 1 for e in self.row_sums]
        summed += [self.depth[id(e.args[0])] for e in self.late_sums if self._sums_cells(e)]
        self.passes = 1 + max(early + stored + summed, default=0)

    def is_cell(self, e: Expr) -> bool:
        return bool(e.axes & self.cols)

    def _sums_cells(self, e: Expr) -> bool:
        """Does a late reduction take one value per cell (else one per row)?"""
        return self.is_cell(e.args[0]) or bool(e.payload[1] & self.cols)

    def _stores_cell(self, s) -> bool:
        return bool(s.axes() & self.cols)

    # ---------- the nest ----------
    def run(self) -> None:
        top = Place({}, 1, None, {})
        for e in self.exprs:
            if id(e) in self.free:
                self.value(e, top)
        carry = [v for e in self.late_sums for v in self._late_start(e)]
        ends = self._row_loops(list(self.nest.rows), top, carry)
        self._finish(top, self._by_sum(ends))

    def _copies(self, e: Expr) -> int:
        """How many accumulators a late reduction has: one per resident vector of its cells."""
        if not self._sums_cells(e):
            return 1
        return -(-self.nest.sizes[self.nest.lanes] // self.width)

    def _late_start(self, e: Expr) -> list[Value]:
        lanes = self.width if self._sums_cells(e) else 1
        return [v for _ in range(self._copies(e)) for v in start(self.emit, e, lanes)]

    def _by_sum(self, carry) -> dict[int, list]:
        """The flat list of carried values, per late reduction."""
        out, at = {}, 0
        for e in self.late_sums:
            n = self._copies(e) * state_size(e)
            out[id(e)] = list(carry[at : at + n])
            at += n
        return out

    def _flat(self, states: dict[int, list]) -> list:
        return [v for e in self.late_sums for v in states[id(e)]]

    def _row_loops(self, axes: list[int], place: Place, carry: list) -> list:
        """Loops over the rows, outermost first; late reductions are carried through them."""
        if not axes:
            return self._row(place, carry)
        axis, rest = axes[0], axes[1:]
        if axis == self.lane_axis:
            return self._by_vectors(axis, place, carry, lambda p, c, k: self._row_loops(rest, p, c))
        with self.f.loop(0, self.nest.sizes[axis], 1, carry) as loop:
            loop.next = self._row_loops(rest, place.at(axis, loop.index), loop.values)
        return loop.out

    def _by_vectors(self, axis: int, place: Place, carry: list, body, unroll: int = 1) -> list:
        """Full vectors along an axis, then a masked rest: body(place, carry, copy) -> carry.

        With unroll > 1 the carry has that many groups; copy k takes and gives group k.
        """
        n, width = self.nest.sizes[axis], self.width
        group = len(carry) // unroll
        stride = width * unroll
        main = n // stride * stride
        values = list(carry)

        def one(base, k, mask=None):
            part = slice(k * group, (k + 1) * group)
            values[part] = body(place.at(axis, base, width, mask), values[part], k)

        if main:
            with self.f.loop(0, main, stride, values) as loop:
                values = list(loop.values)
                for k in range(unroll):
                    one(self.f.add(loop.index, k * width), k)
                loop.next = values
            values = list(loop.out)
        for k, base in enumerate(range(main, n, width)):
            whole = n - base >= width
            one(base, k % unroll, None if whole else self.f.lanes_below(n - base, width))
        return values

    # ---------- one row, or one vector of rows ----------
    def _row(self, place: Place, carry: list) -> list:
        states = self._by_sum(carry)
        chunks = self._chunks(place) if self.resident else None
        for p in range(self.passes):
            self.current = p
            self._row_values(place, p)
            self._pass(p, place, chunks, states)
        self._row_values(place, self.passes)
        for e in self.late_sums:
            if not self._sums_cells(e):
                states[id(e)] = self._step(e, states[id(e)], place)
        early = [s for s in self.nest.stores if id(s.value) not in self.late]
        self.store_all([s for s in early if not self._stores_cell(s)], place)
        return self._flat(states)

    def _chunks(self, place: Place) -> list[Place]:
        n, width, axis = self.nest.sizes[self.lane_axis], self.width, self.lane_axis
        out = []
        for base in range(0, n, width):
            mask = None if n - base >= width else self.f.lanes_below(n - base, width)
            out.append(place.at(axis, base, width, mask))
        return out

    def _row_values(self, place: Place, p: int) -> None:
        """Values of the row known before pass p, emitted where they dominate its loops."""
        for e in self.exprs:
            if self.is_cell(e) or id(e) in self.late or id(e) in self.free:
                continue
            if self.depth[id(e)] <= p and e.kind != "reduce":
                self.value(e, place)

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
    def _pass(self, p: int, place: Place, chunks, states: dict[int, list]) -> None:
        sums = [e for e in self.row_sums if self.depth[id(e)] == p + 1]
        stores = [
            s
            for s in self.nest.stores
            if self._stores_cell(s) and id(s.value) not in self.late and self._when(s) == p
        ]
        late = [e for e in self.late_sums if self._sums_cells(e)]
        late = [e for e in late if self.depth[id(e.args[0])] == p]
        if not (sums or stores or late):
            return
        lanes = self.width if self.lane_axis is not None else 1
        carry = [v for e in sums for v in start(self.emit, e, lanes)]

        def body(at: Place, values: list, copy: int) -> list:
            out = []
            for e in sums:
                n = state_size(e)
                out += self._step(e, values[len(out) : len(out) + n], at)
            self.store_all(stores, at)
            return out

        if chunks is not None:
            for k, at in enumerate(chunks):
                carry = body(at, carry, k)
                for e in late:
                    n = state_size(e)
                    part = slice(k * n, (k + 1) * n)
                    states[id(e)][part] = self._step(e, states[id(e)][part], at)
        else:
            carry = self._walk(place, carry, sums, body)
        self._end_sums(sums, carry, place)

    def _when(self, s) -> int:
        index = self.depth[id(s.index)] if s.index is not None else 0
        return max(self.depth[id(s.value)], index)

    def _end_sums(self, sums: list[Expr], carry: list, place: Place) -> None:
        at = 0
        for e in sums:
            state = carry[at : at + state_size(e)]
            at += state_size(e)
            if self.lane_axis in self.cols:
                state = fold(self.emit, e, state)
            place.memo[id(e)] = result(e, state)

    def _walk(self, place: Place, carry: list, sums: list[Expr], body) -> list:
        """Loops over the columns, the innermost by vectors where it is the lane axis."""
        cols = list(self.nest.cols)
        by_lanes = bool(cols) and cols[-1] == self.lane_axis
        long = by_lanes and self.nest.sizes[cols[-1]] >= UNROLL * self.width
        unroll = UNROLL if long and carry else 1

        def inside(axes: list[int], at: Place, values: list) -> list:
            if axes and axes[0] == self.lane_axis:
                return self._by_vectors(axes[0], at, values, body, unroll)
            if not axes:
                return body(at, values, 0)
            with self.f.loop(0, self.nest.sizes[axes[0]], 1, values) as loop:
                loop.next = inside(axes[1:], at.at(axes[0], loop.index), loop.values)
            return loop.out

        ends = inside(cols, place, carry * unroll)
        return self._join_copies(sums, ends, unroll)

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
    def _finish(self, top: Place, states: dict[int, list]) -> None:
        """Values known only after the last row: per column, or for everything."""
        late = [s for s in self.nest.stores if id(s.value) in self.late]
        chunks = self._chunks(top) if any(map(self._stores_cell, late)) else []
        for e in self.late_sums:
            if self.is_cell(e):
                n = state_size(e)
                for k, at in enumerate(chunks):
                    at.memo[id(e)] = result(e, states[id(e)][k * n : (k + 1) * n])
            else:
                top.memo[id(e)] = result(e, fold(self.emit, e, self._whole(e, states[id(e)])))
        for s in late:
            for at in chunks if self._stores_cell(s) else [top]:
                self.store(s, at)

    def _whole(self, e: Expr, state: list) -> list:
        """The accumulators of all resident vectors joined."""
        n = state_size(e)
        copies = [state[k : k + n] for k in range(0, len(state), n)]
        while len(copies) > 1:
            copies = [join(self.emit, e, copies[0], copies[1]), *copies[2:]]
        return copies[0]

    # ---------- expensive values that a later pass of a long row needs again ----------
    def _plan_spills(self) -> None:
        self.spills: dict[int, tuple[int, Value]] = {}
        if self.resident or self.passes < 2 or self.nest.cols != (self.lane_axis,):
            return
        first: dict[int, int] = {}
        room = SPILL_BYTES
        for p in range(self.passes):
            for e in self._used_in(p):
                if first.setdefault(id(e), p) < p and id(e) not in self.spills:
                    room -= self.nest.sizes[self.lane_axis] * e.dtype.itemsize
                    if room < 0:
                        return
                    stack = self.f.alloca(element(e.dtype), self.nest.sizes[self.lane_axis])
                    self.spills[id(e)] = (first[id(e)], stack)

    def _used_in(self, p: int) -> list[Expr]:
        """Expensive cell values that the pass reads."""
        roots = [e.args[0] for e in self.row_sums if self.depth[id(e)] == p + 1]
        roots += [s.value for s in self.nest.stores if self._stores_cell(s) and self._when(s) == p]
        found: dict[int, Expr] = {}
        seen: set[int] = set()
        while roots:
            e = roots.pop()
            if id(e) in seen or not self.is_cell(e):
                continue
            seen.add(id(e))
            if e.kind == "apply" and e.payload[0] in EXPENSIVE and e.dtype.name != "bool":
                found[id(e)] = e
            roots.extend(e.args)
        return list(found.values())

    def _apply(self, e: Expr, place: Place) -> Typed:
        spill = self.spills.get(id(e))
        if spill is None:
            return super()._apply(e, place)
        first, stack = spill
        elem = element(e.dtype)
        at = self.f.gep(stack, place.index[self.lane_axis], elem)
        if self.current > first:
            return Typed(self.f.load(at, elem, place.lanes, mask=place.mask), e.dtype)
        made = super()._apply(e, place)
        self.f.store(self.f.splat(made.value, place.lanes), at, mask=place.mask)
        return made
