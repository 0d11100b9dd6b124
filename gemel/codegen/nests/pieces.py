"""A nest's work cut into pieces that any thread may run in any order.

Role: the strategy of nests, as `strategy.Strategy` is that of contractions. Input: a `Nest`.
Output: stages of pieces, the memory between them, and their code. Invariant: pieces follow from
shapes alone, and partial results are joined in the order of the pieces, so that values depend
neither on threads nor on which piece ran first.

Four ways: a small nest is one piece. Where all that is stored lies in cells of its own, the outer
loops are cut. Reductions over the rows end as one partial result per piece, which a second stage
joins. With few rows every pass over the columns is a stage of its own (`nest_passes`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from gemel.codegen.emitter import Typed
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.nest import Access, Expr, Nest, Store, access, children, collapse
from gemel.codegen.nests.cut_passes import Passes
from gemel.codegen.nests.cuts import Context, Cut, count, cut_axes, padded, ranges
from gemel.codegen.nests.loops import NestEmitter
from gemel.codegen.nests.reduce_rules import state_types
from gemel.codegen.nests.streams import may_stream, streamed
from gemel.codegen.nests.tiles import relaned
from gemel.codegen.nests.timing import Timing
from gemel.codegen.nests.work import nest_work
from gemel.codegen.sizes import hint

PIECE_WORK = 25_000.0  # nanoseconds that a piece should last
MOST_PIECES = 256
MOST_PARTIALS = 64  # partial results of a reduction: joining them takes time
WIDE_COLUMNS = 256  # cells: a piece that is so wide reads memory in long runs
ROWS_PER_PARTIAL = 8  # rows that a partial sum in memory takes at least
FEW_PIECES = 8  # fewer than these are worth another way


class NestStrategy:
    """How one nest runs in pieces.

    stages         how many pieces each stage has
    scratch_bytes  memory of the running thread
    shared_bytes   memory of all pieces, alive from the first stage to the last
    work           estimated nanoseconds on one core
    """

    scratch_bytes = 0

    def __init__(self, nest: Nest):
        small = nest_work(nest) < 2 * PIECE_WORK
        turned = relaned(nest, late=False)
        if turned is nest and small:
            turned = relaned(nest, late=True)
        self.work = nest_work(turned)
        self._way = _Whole(turned) if small else _choose(turned, self.work)
        self.stages: tuple[int, ...] = self._way.stages
        self.shared_bytes: int = self._way.shared_bytes

    def emit(
        self,
        f: Function,
        stage: int,
        piece: Operand,
        pointers: Sequence[Value],
        scalars: Callable[[Function, Expr], Typed],
        fault: Callable,
        shared: Value | None = None,
    ) -> None:
        """Emit one piece of a stage; `shared` may be None when `shared_bytes` is 0."""
        self._way.emit(Context(f, list(pointers), scalars, fault, shared), stage, piece)

    def describe(self) -> str:
        """One line for people."""
        stages = " then ".join(map(str, self.stages))
        return f"nest {self._way.name}: {stages} pieces, about {self.work / 1000:.0f} us"


def _choose(nest: Nest, work: float):
    pieces = int(min(MOST_PIECES, work / PIECE_WORK))
    if pieces < 2 or not _may_split(nest):
        return _Whole(nest)
    cuts = cut_axes(nest, _separate_axes(nest), pieces)
    if hint(count(cuts)) < min(FEW_PIECES, pieces) and _only_row_sums(nest):
        along = cut_axes(nest, nest.cols, min(pieces, MOST_PARTIALS))
        if hint(count(along)) > 2 * hint(count(cuts)):
            return Passes(nest, along)
    if cuts:
        return _Cells(nest, cuts)
    if nest.rows:
        cuts = cut_axes(nest, _row_axes(nest), _partials(nest, pieces))
        return _Partials(nest, cuts) if cuts else _Whole(nest)
    return _Whole(nest)


def _only_row_sums(nest: Nest) -> bool:
    """Are there reductions, and all of them over the columns?"""
    over = {e.payload[1] for e in children(nest.stores) if e.kind == "reduce"}
    return over == {frozenset(nest.cols)} and not any(_sums_rows(nest, s) for s in nest.stores)


def _may_split(nest: Nest) -> bool:
    """Writes at computed places keep their order."""
    return all(s.index is None for s in nest.stores)


# ---------- which axes, how many parts ----------
def _separate_axes(nest: Nest) -> tuple[int, ...]:
    """Axes along which every store writes other cells and nothing is reduced."""
    exprs = children(nest.stores)
    reduced = frozenset().union(*(e.payload[1] for e in exprs if e.kind == "reduce"))
    stored = frozenset.intersection(*(s.target.axes() for s in nest.stores))
    loops = (*nest.rows, *nest.cols)
    free = tuple(a for a in loops if a in stored and a not in reduced)
    if any(_sums_rows(nest, s) for s in nest.stores) and not _wide(nest, free):
        return ()
    return free


def _wide(nest: Nest, axes: Sequence[int]) -> bool:
    """Sums over rows into memory: are there columns enough to cut those instead of the rows?"""
    cells = math.prod(hint(nest.sizes[a]) for a in axes)
    return cells >= WIDE_COLUMNS * min(MOST_PARTIALS, nest_work(nest) / PIECE_WORK)


def _row_axes(nest: Nest) -> tuple[int, ...]:
    """Rows along which every store writes other cells, or is a sum over them."""
    early = [s for s in nest.stores if not _sums_rows(nest, s) and not _is_late(nest, s)]
    return tuple(a for a in nest.rows if all(a in s.target.axes() for s in early))


def _sums_rows(nest: Nest, s: Store) -> bool:
    """Does it add the rows up in memory?"""
    return s.adding and not frozenset(nest.rows) <= s.target.axes()


def _partials(nest: Nest, pieces: int) -> int:
    """Of the wanted pieces, how many partial results are worth joining."""
    if any(_sums_rows(nest, s) for s in nest.stores):
        pieces = min(pieces, math.prod(hint(nest.sizes[a]) for a in nest.rows) // ROWS_PER_PARTIAL)
    return min(pieces, MOST_PARTIALS)


def _is_late(nest: Nest, s: Store) -> bool:
    rows = frozenset(nest.rows)
    return any(e.kind == "reduce" and rows <= e.payload[1] for e in children([s]))


# ---------- the ways ----------
class _Whole:
    """One piece."""

    name = "whole"
    stages = (1,)
    shared_bytes = 0

    def __init__(self, nest: Nest):
        self.nest = nest

    def emit(self, context: Context, stage: int, piece: Operand) -> None:
        context.emitter(self.nest).run()


class _Cells:
    """Every piece stores cells of its own."""

    name = "by cells"
    shared_bytes = 0

    def __init__(self, nest: Nest, cuts: Sequence[Cut]):
        self.nest = nest
        self.cuts = cuts
        self.stages = (count(cuts),)
        self.streamed = streamed(nest)

    def emit(self, context: Context, stage: int, piece: Operand) -> None:
        parts = ranges(context.f, self.cuts, piece)
        if not self.streamed:
            context.emitter(self.nest, parts).run()
            return

        def past_caches() -> None:
            emitter = context.emitter(self.nest, parts)
            emitter.streamed = frozenset(map(id, self.streamed))
            emitter.run()
            context.f.settle()

        free = may_stream(context.f, self.nest, self.streamed, context.pointers)
        context.f.if_else(free, past_caches, lambda: context.emitter(self.nest, parts).run())


class _Partials:
    """Rows are cut; reductions over them leave a partial result per piece.

    Stage 0: the rows. Then, where something is known only after the last row, one piece joins the
    partial accumulators and stores it. Then the partial sums in memory are added up, each sum as a
    nest of its own. Shared: accumulators of all pieces, then sums of all pieces.
    """

    name = "by rows"

    def __init__(self, nest: Nest, cuts: Sequence[Cut]):
        self.nest = nest
        self.cuts = cuts
        self.pieces = count(cuts)
        timing = Timing(nest)
        self.late = bool(timing.late_sums)
        self.sums = [_PartialSum(nest, s, self.pieces) for s in nest.stores if _sums_rows(nest, s)]
        self.state_bytes = _state_bytes(nest, timing)
        self.shared_bytes = self.pieces * self.state_bytes
        for part in self.sums:
            part.place = self.shared_bytes
            self.shared_bytes += self.pieces * part.bytes
        self.stages = (self.pieces, *((1,) if self.late else ()))
        for part in self.sums:
            self.stages += part.way.stages

    def emit(self, context: Context, stage: int, piece: Operand) -> None:
        if stage == 0:
            self._rows(context, piece)
            return
        stage -= 1
        if self.late:
            if stage == 0:
                self._finish(context)
                return
            stage -= 1
        for part in self.sums:
            if stage < len(part.way.stages):
                part.add_up(context, stage, piece)
                return
            stage -= len(part.way.stages)

    def _rows(self, context: Context, piece: Operand) -> None:
        f = context.f
        stores, pointers = [], list(context.pointers)
        sums = iter(self.sums)
        for s in self.nest.stores:
            if _sums_rows(self.nest, s):
                part = next(sums)
                own = f.gep(context.shared, f.add(f.mul(piece, part.bytes), part.place), "i8")
                f.clear_bytes(own, part.bytes)
                s = Store(part.access(len(pointers)), s.value, adding=True)
                pointers.append(own)
            stores.append(s)
        nest = replace(self.nest, stores=stores)
        emitter = NestEmitter(
            f, nest, pointers, context.scalars, context.fault, ranges(f, self.cuts, piece)
        )
        states = emitter.all_rows(emitter.top())
        for x, at in zip(states, self._slots(f, context, piece, states), strict=True):
            f.store(x, at)

    def _slots(self, f: Function, context: Context, piece: Operand, states: list[Value]):
        """Where the accumulators of a piece lie."""
        offset = 0
        for x in states:
            yield f.gep(context.shared, f.add(f.mul(piece, self.state_bytes), offset), "i8")
            offset += padded(SIZES[x.elem] * x.lanes)

    def _finish(self, context: Context) -> None:
        f = context.f
        emitter = context.emitter(self.nest)
        types = emitter.late_start()

        def states(piece: Operand) -> list[Value]:
            slots = self._slots(f, context, piece, types)
            return [f.load(at, x.elem, x.lanes) for x, at in zip(types, slots, strict=True)]

        top = emitter.top()
        with f.loop(1, self.pieces, 1, states(0)) as loop:
            loop.next = emitter.join_late(loop.values, states(loop.index))
        emitter.finish(top, loop.out)


class _PartialSum:
    """A sum over the rows that is added into memory: one array of partial sums per piece."""

    def __init__(self, nest: Nest, store: Store, pieces: int):
        axes = tuple(a for a in nest.cols if a in store.target.axes())
        self.strides: dict[int, int] = {}
        self.cells = 1
        for a in reversed(axes):
            self.strides[a] = self.cells
            self.cells *= nest.sizes[a]
        size = store.value.dtype.itemsize
        self.bytes = padded(self.cells * size)
        self.place = 0
        self.nest = self._total(nest, store, axes, pieces, self.bytes // size)
        cuts = cut_axes(self.nest, self.nest.rows, int(nest_work(self.nest) / PIECE_WORK))
        self.way = _Cells(self.nest, cuts) if cuts else _Whole(self.nest)

    def access(self, buffer: int) -> Access:
        return access(buffer, 0, self.strides)

    def _total(self, nest: Nest, store: Store, axes: tuple, pieces: int, apart: int) -> Nest:
        """target += the sum of the partial sums, which are buffer 1 here."""
        over = max(nest.sizes) + 1
        dtype = store.value.dtype
        where = access(1, 0, {**self.strides, over: apart})
        read = Expr("load", dtype, (), where.axes(), where)
        total = Expr("reduce", dtype, (read,), axes, ("sum", frozenset({over})))
        target = Access(0, store.target.offset, store.target.strides)
        sizes = {**{a: nest.sizes[a] for a in axes}, over: pieces}
        self.target = store.target.buffer
        lanes = axes[-1] if axes else None
        stores = [Store(target, total, adding=True)]
        return collapse(Nest(sizes, axes, (over,), lanes, stores, nest.width))

    def add_up(self, context: Context, stage: int, piece: Operand) -> None:
        partial = context.f.gep(context.shared, self.place, "i8")
        pointers = [context.pointers[self.target], partial]
        self.way.emit(replace(context, pointers=pointers), stage, piece)


def _state_bytes(nest: Nest, timing: Timing) -> int:
    """Bytes of one piece's accumulators of late reductions."""
    total = 0
    for e in timing.late_sums:
        cells = timing.sums_cells(e)
        copies = -(-nest.sizes[nest.lanes] // nest.width) if cells else 1
        for t in state_types(e, nest.width if cells and nest.lanes is not None else 1):
            total += copies * padded(SIZES[t.elem] * t.lanes)
    return total
