"""Operands as tiles of pairs: 16 positions of a group by 32 values of k.

Role: read half values from wherever they lie and write tiles of 16x16 pairs of neighbours along k,
a position a row or a position a column. k is one flat axis: what is beyond its end, beyond the end
of the positions or outside of a bound is 0. Where memory is contiguous along k whole rows are
copied, where it is so along the positions they are loaded side by side, else they are gathered.
Invariant: no page is touched that holds no element of the operand.
"""

from __future__ import annotations

from collections.abc import Sequence

from gemel.codegen.dots.tile_unit import BYTES, ROWS
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.products.packing import transpose_function
from gemel.codegen.windows.lanes import Forms, Lanes, inside, locate
from gemel.codegen.windows.plan import Side, count, inner_run

DEPTH = 2 * ROWS  # values of k in a tile
_HALF = "i16"


class PairReader:
    """Reads one operand at 16 positions of its group.

    across: a position is a column of the tiles, not a row
    """

    def __init__(
        self, f: Function, side: Side, pointer: Value, axes: tuple, k: tuple, across: bool
    ):
        self.f = f
        self.side = side
        self.pointer = pointer
        self.axes: tuple[Axis, ...] = axes
        self.k: tuple[Axis, ...] = k
        self.depth = count(k)
        self.across = across
        self.along_k = self._runs_along_k()
        run, outer = inner_run(axes, [side.first])
        near = not axes or axes[-1].strides[side.first] == 1
        self.along_lanes = near and (run % ROWS == 0 or not outer)
        self.apart = self._distances()

    def _runs_along_k(self) -> bool:
        if self.side.checks or not self.k or self.k[-1].strides[self.side.first] != 1:
            return False
        run, outer = inner_run(self.k, [self.side.first])
        return not outer or run % DEPTH == 0

    def read(
        self, forms: Forms, first: Operand, start: Operand, tiles: Operand, target: Value
    ) -> None:
        """Tiles number `start` and those after it along k, of the positions from `first` on, one
        behind the other at `target`; `forms`: all forms of the batch entry."""
        f = self.f
        live = f.sub(count(self.axes), first)
        lanes = Lanes(f, self.axes, first, ROWS)
        near = lanes.form(self.side.first)
        base = 0 if near is None else f.convert(f.extract(near, 0), "i64")
        slow = self._rows_of(lanes, live) if self.along_k else self._columns_of(lanes)
        stage = f.alloca("i32", ROWS * ROWS)
        with f.loop(0, tiles, nonempty=True) as loop:
            at = f.gep(target, f.mul(loop.index, BYTES), "i8")
            k = f.mul(f.add(start, loop.index), DEPTH)

            def tail() -> None:
                turned = self.along_k == self.across
                slow(forms, k, stage if turned else at)
                if turned:
                    self._turn(stage, ROWS, at)

            def whole() -> None:
                place = f.add(locate(f, forms, self.k, k)[self.side.first], base)
                self._affine(f.gep(self.pointer, place, _HALF), at, stage)

            if self.apart is None:
                tail()
            else:
                f.if_else(self._is_whole(live, k), whole, tail)

    def _turn(self, source: Value, apart: int, target: Value) -> None:
        """Rows of 16 pairs, `apart` pairs from each other, as columns."""
        f = self.f
        turn = transpose_function(f.module, "i32", ROWS)
        f.call(turn, source, apart, target, ROWS, ROWS, ROWS)

    # ---------- whole tiles of equally distant elements ----------
    def _distances(self) -> tuple[int, int] | None:
        """Elements from position to position and from k to k within every tile that is whole, one
        of them 1; None where they differ from place to place."""
        form = self.side.first
        if self.side.checks or not self.k:
            return None
        run, outer = inner_run(self.axes, [form])
        deep, beyond = inner_run(self.k, [form])
        if (outer and run % ROWS) or (beyond and deep % DEPTH):
            return None
        apart = self.axes[-1].strides[form] if self.axes else 1
        along = self.k[-1].strides[form]
        return (apart, along) if 1 in (apart, along) else None

    def _is_whole(self, live: Operand, k: Operand) -> Value:
        """Do all positions and all values of k of a tile exist?"""
        f = self.f
        lanes = f.compare(">=", live, ROWS)
        return lanes & f.compare("<=", k, self.depth - DEPTH)

    def _affine(self, place: Value, target: Value, stage: Value) -> None:
        """A whole tile whose first element lies at `place`."""
        f = self.f
        assert self.apart is not None
        apart, along = self.apart
        if along != 1:
            self._pairs_beside(place, along, stage if not self.across else target)
            if not self.across:
                self._turn(stage, ROWS, target)
        elif self.across and apart % 2 == 0:
            self._turn(place, apart // 2, target)
        else:
            rows = stage if self.across else target
            for row in range(ROWS):
                value = f.load(f.gep(place, row * apart, _HALF), _HALF, DEPTH)
                f.store(value, f.gep(rows, row * DEPTH, _HALF))
            if self.across:
                self._turn(stage, ROWS, target)

    def _pairs_beside(self, place: Value, along: int, target: Value) -> None:
        """16 neighbours at one k and at the next one become a row of pairs."""
        f = self.f
        lanes = [lane // 2 + ROWS * (lane % 2) for lane in range(2 * ROWS)]
        for row in range(ROWS):
            low, high = (
                f.load(f.gep(place, (2 * row + i) * along, _HALF), _HALF, ROWS) for i in (0, 1)
            )
            f.store(f.shuffle(low, high, lanes), f.gep(target, row * DEPTH, _HALF))

    # ---------- rows of 32 values of k ----------
    def _rows_of(self, lanes: Lanes, live: Operand):
        f, form = self.f, self.side.first
        offsets = f.alloca("i64", ROWS)
        along = lanes.form(form)
        along = f.constant(0, "i64", ROWS) if along is None else f.convert(along, "i64")
        f.store(along, offsets)

        def rows(forms: Forms, k: Operand, target: Value) -> None:
            here = locate(f, forms, self.k, k)[form]
            left = f.sub(self.depth, k)
            with f.loop(0, ROWS) as loop:
                place = f.gep(self.pointer, f.load(f.gep(offsets, loop.index, "i64"), "i64"), _HALF)
                exists = f.compare("<", loop.index, f.lift(live, loop.index.type))
                width = f.select(exists, f.lift(left, loop.index.type), f.constant(0, "i64"))
                mask = f.lanes_below(width, DEPTH)
                value = f.load(f.gep(place, here, _HALF), _HALF, DEPTH, mask=mask)
                f.store(value, f.gep(target, f.mul(loop.index, DEPTH), _HALF))

        return rows

    # ---------- columns of 16 positions ----------
    def _columns_of(self, lanes: Lanes):
        f = self.f
        along = {form: lanes.form(form) for form in self.side.forms}
        if is_steady(self.k, (self.side,)):
            return self._steady_columns(lanes, along)

        def columns(forms: Forms, k: Operand, target: Value) -> None:
            with f.loop(0, ROWS) as loop:
                at = f.add(k, f.mul(loop.index, 2))
                low = self._vector(lanes, along, forms, at)
                high = self._vector(lanes, along, forms, f.add(at, 1))
                f.store(low | (high << 16), f.gep(target, f.mul(loop.index, ROWS), "i32"))

        return columns

    def _steady_columns(self, lanes: Lanes, along: dict):
        """The same where a tile lies along the last axis of k, which no bound looks at."""
        f = self.f
        step = self.k[-1].strides[self.side.first]

        def columns(forms: Forms, k: Operand, target: Value) -> None:
            here = locate(f, forms, self.k, k)
            mask = self._mask(lanes, along, here, k)
            first = here[self.side.first]
            with f.loop(0, ROWS) as loop:
                at = f.add(first, f.mul(loop.index, 2 * step))
                low, high = (self._loaded(along, f.add(at, i * step), mask) for i in (0, 1))
                f.store(low | (high << 16), f.gep(target, f.mul(loop.index, ROWS), "i32"))

        return columns

    def _vector(self, lanes: Lanes, along: dict, forms: Forms, k: Operand) -> Value:
        """The half values of all positions at one k, in the lower bits."""
        here = locate(self.f, forms, self.k, k)
        mask = self._mask(lanes, along, here, k)
        return self._loaded(along, here[self.side.first], mask)

    def _mask(self, lanes: Lanes, along: dict, here: Forms, k: Operand) -> Value:
        """Which positions exist at a k."""
        f, side = self.f, self.side
        mask = f.splat(f.compare("<", k, self.depth), ROWS)
        if lanes.valid is not None:
            mask = mask & lanes.valid
        for check in side.checks:
            holds = inside(f, check, here[check.form], along[check.form])
            mask = mask & f.splat(holds, ROWS)
        return mask

    def _loaded(self, along: dict, start: Operand, mask: Value) -> Value:
        f = self.f
        offsets = along[self.side.first]
        if offsets is None:
            offsets = f.constant(0, "i32", ROWS)
        if self.along_lanes:
            near = f.convert(f.extract(offsets, 0), "i64")
            place = f.gep(self.pointer, f.add(start, near), _HALF)
            return f.convert(f.load(place, _HALF, ROWS, mask=mask), "i32", signed=False)
        return self._gathered(offsets, start, mask)

    def _gathered(self, offsets: Value, start: Operand, mask: Value) -> Value:
        """By words of 4 bytes that are multiples of 4: such a word lies in one page."""
        f = self.f
        place = f.gep(self.pointer, start, _HALF)
        odd = f.value(f"ptrtoint ptr {place} to i64", f.constant(0, "i64").type) & 2
        word = f.gep(place, f.neg(odd), "i8")
        places = f.convert(offsets, "i32") * 2 + f.splat(f.convert(odd, "i32"), ROWS)
        found = f.gather(word, places >> 2, "i32", mask)
        upper = (places & 2) << 3
        return f.binary("lshr", found, upper) & 0xFFFF


def is_steady(k: Sequence[Axis], sides: Sequence[Side]) -> bool:
    """Are tiles of k parts of its last axis, along which no bound changes?"""
    checks = [check.form for side in sides for check in side.checks]
    return bool(k) and k[-1].size % DEPTH == 0 and not any(k[-1].strides[c] for c in checks)


def tiles_along(k: Sequence[Axis]) -> int:
    """How many tiles cover k."""
    return -(-count(k) // DEPTH)
