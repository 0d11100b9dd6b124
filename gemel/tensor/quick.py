"""The quick way of a flush: the same held values as the last times, in memory as it was expected.

A plan that has run a few times gets one: a built-in function looks at the storages and runs the
program (`runtime/builtins/run.py`). Memory of the results is kept for the runs to come; two pieces
per result, since the last one is often held. Where a history is left behind, the values kept for
gradients stay until a backward pass: such memory goes round in a ring, which grows to as many runs
as there are before one. Large results get new memory each time.
"""

from __future__ import annotations

from sys import getrefcount
from weakref import ref

from gemel.passes.compile import DEVICE
from gemel.runtime.buffer import Buffer
from gemel.runtime.builtins.run import HELD, Task, runner
from gemel.runtime.native_call import Layout, table_layout
from gemel.runtime.needs import LARGE

from .history import RELEASED, leave_history
from .plan import Plan
from .recorder import prepare
from .state import LEAF, path
from .storage import Storage, pending_storage
from .tape import Tape

SEVERAL = 3  # runs of a plan that is worth a quick way
SHORT = 200_000.0  # nanoseconds for which other threads may wait
LONG = 20e6  # nanoseconds beside which finding a program does not count
SMALL = 1 << 18  # bytes that one quick way may keep
KEPT = 1 << 26  # bytes that all may keep
RING = 1 << 20  # bytes of one ring


class Quick:
    """call        see `runner`
    plan           whose quick way it is
    outs, spares   memory of the results
    sizes          of the results in bytes
    forms          of the values kept for gradients
    busy           is a run under way?
    nbytes         what it keeps
    whole          as the plan's"""

    __slots__ = (
        "call", "plan", "outs", "spares", "sizes", "forms", "busy", "nbytes", "whole",
        "__weakref__",
    )  # fmt: skip
    total = 0  # bytes kept by all

    def __init__(self, plan: Plan, layout: Layout, task: Task):
        self.plan = ref(plan)
        self.whole = plan.whole
        self.busy = False
        self.sizes = layout.out_bytes
        self.outs = [Buffer(n) for n in self.sizes]
        self.spares = self._spares()
        self.forms = plan.segment.key.forms if plan.segment is not None else ()
        arena = Buffer(layout.arena_bytes)
        results = (self.outs, self.spares)
        self.call = runner(plan.program, layout, task, arena, results, Storage)
        self.nbytes = 2 * sum(self.sizes) + layout.arena_bytes
        Quick.total += self.nbytes

    def _ready(self, tape: Tape) -> Plan | None:
        """The plan; None where it is not to be run this way, or another thread has let it go. An
        interrupted record may have left more or fewer numbers than it should have."""
        plan = self.plan()
        if plan is None or self.busy or tape.exported or DEVICE[0] != plan.device:
            return None
        found = (len(tape.made), len(tape.leaves), len(tape.scalars))
        return plan if self.whole == found else None

    def _spares(self) -> list[Buffer]:
        return [Buffer(n) for n in self.sizes]

    def __del__(self):
        if Quick is not None:  # at the end of the process the name may be gone
            Quick.total -= self.nbytes

    def run(self, tape: Tape) -> bool:
        """Run what is pending; False where it must go the usual way, with nothing done."""
        plan = self._ready(tape)
        if plan is None:
            return False
        self.busy = True
        try:
            code = self._turn(tape, tape.made)
        finally:
            self.busy = False
        if code:
            return False
        made = tape.made
        for k in plan.dead:
            st = made[k]
            st.hist = (RELEASED, (tape.state, st.idx))
        return True

    def _turn(self, tape: Tape, made: list) -> int:
        code = self.call(tape.leaves, tape.scalars, made)
        if code == HELD:
            self._renew()
            code = self.call(tape.leaves, tape.scalars, made)
        return code

    def _renew(self) -> None:
        """New memory in the place of what somebody holds for longer than the next run."""
        outs, spares = self.outs, self.spares
        for k in range(len(outs)):
            if getrefcount(outs[k]) > UNHELD and getrefcount(spares[k]) > UNHELD:
                outs[k] = Buffer(spares[k].nbytes)


class QuickWithMuch(Quick):
    """Of results too large to be kept."""

    __slots__ = ()

    def __init__(self, plan: Plan, layout: Layout, task: Task):
        super().__init__(plan, layout, task)
        self.outs.clear()
        Quick.total -= self.nbytes - layout.arena_bytes
        self.nbytes = layout.arena_bytes

    def _spares(self) -> list[Buffer]:
        return self.outs  # there are none

    def _turn(self, tape: Tape, made: list) -> int:
        outs = self.outs
        outs[:] = [Buffer(n) for n in self.sizes]
        code = self.call(tape.leaves, tape.scalars, made)
        outs.clear()
        return code


class QuickWithHistory(Quick):
    """rounds   the memory of all results of a run, in the order in which runs took it
    at          whose turn it is;  most: how many rounds there may be"""

    __slots__ = ("rounds", "at", "most")

    def __init__(self, plan: Plan, layout: Layout, task: Task):
        super().__init__(plan, layout, task)
        self.rounds = [self.outs[:]]
        self.at = 0
        self.most = max(2, RING // (sum(self.sizes) + 1))

    def _spares(self) -> list[Buffer]:
        return self.outs  # there are none

    def run(self, tape: Tape) -> bool:
        plan = self._ready(tape)
        if plan is None:
            return False
        self.busy = True
        made = tape.made
        count = len(made)
        saved = [pending_storage(None, -1, f, False) for f in self.forms]
        made += saved
        try:
            code = self._turn(tape, made)
        finally:
            self.busy = False
            del made[count:]
        if code:
            return False
        leave_history(tape, plan, saved)
        return True

    def _turn(self, tape: Tape, made: list) -> int:
        """Run with the memory whose turn it is, or new one where that is still held."""
        outs, rounds, at = self.outs, self.rounds, self.at
        outs[:] = rounds[at]
        rounds[at] = []  # so that nobody holds them but `outs`
        code = self.call(tape.leaves, tape.scalars, made)
        if code == HELD:
            rounds[at] = outs[:]
            outs[:] = [Buffer(n) for n in self.sizes]
            code = self.call(tape.leaves, tape.scalars, made)
            if len(rounds) < self.most:
                rounds.insert(at, [])
                Quick.total += sum(self.sizes)
                self.nbytes += sum(self.sizes)
        rounds[at] = outs[:]
        self.at = at + 1 if at + 1 < len(rounds) else 0
        return code


def quick_way(plan: Plan, tape: Tape, alive: tuple[int, ...]) -> Quick | None:
    """For a plan that has just run; None where a run needs more than the quick way does."""
    prepare()
    layout = table_layout(plan.program)
    if layout is None or layout.kept_at is not None or not _is_plain(plan, tape, layout):
        return None
    saved = len(plan.segment.saved) if plan.segment is not None else 0
    work = sum(kernel["work"] for kernel in plan.program.kernels)
    kind = _kind(plan, work, layout)
    if kind is None:
        return None
    made = len(tape.made)
    kept = (*alive, *range(made, made + saved))
    task = _task(plan, layout, kept, made + saved, work > SHORT)
    quick = kind(plan, layout, task)
    return quick if quick.call is not None else None


def _kind(plan: Plan, work: float, layout: Layout) -> type[Quick] | None:
    """Which one suits a program that takes so many nanoseconds; None where it is not worth it."""
    results = sum(layout.out_bytes)
    if results >= LARGE:  # asked first whether there is room
        return None
    least = Quick.total + layout.arena_bytes
    if work > LONG or layout.arena_bytes > SMALL or least > KEPT:
        return None
    kept = results <= SMALL and least + 2 * results <= KEPT
    if plan.segment is not None:
        return QuickWithHistory if kept and work <= SHORT else None
    return Quick if kept else QuickWithMuch


def _task(plan: Plan, layout: Layout, kept: tuple[int, ...], made: int, release: bool) -> Task:
    """What the built-in function is told. kept: places of the program's results"""
    count = len(kept)
    ends = [(k, kind, at) for k, (kind, at) in zip(kept, layout.results[:count], strict=True)]
    updates = zip(plan.updates, layout.results[count:], strict=True)
    written = {slot for slot, _ in plan.updates}
    return Task(
        reads=[(k, slot in written) for slot, k in enumerate(plan.reads)],
        numbers=plan.numbers,
        made=made,
        results=[(k, at) for k, kind, at in ends if kind == "out"],
        shared=[(k, plan.reads[at]) for k, kind, at in ends if kind != "out"],
        moved=[(k, at) for (_, k), (kind, at) in updates if kind == "out"],
        release=release,
    )


def _is_plain(plan: Plan, tape: Tape, layout: Layout) -> bool:
    """Does it give leaves new values only, and those no history?"""
    if plan.leaf_roots or plan.leaf_dead:
        return False
    if _with_history(tape).intersection(k for _, k in plan.updates):
        return False
    updates = layout.results[len(layout.results) - len(plan.updates) :]
    moved = [at for kind, at in updates if kind == "out"]
    # no new value is what another leaf held, and no two are one
    return len(set(moved)) == len(moved) and all(kind != "leaf" for kind, _ in updates)


def _with_history(tape: Tape) -> set[int]:
    """Positions of the leaves that had a history before they were read."""
    kinds: list[str] = []
    for s in path(tape.state):
        if s.kind == LEAF:
            kinds += [s.data.kind] * len(s.data.forms)
    return {k for k, kind in enumerate(kinds) if kind == "hist"}


def _measure_unheld() -> int:
    """What getrefcount says in `_renew` of memory that only the list holds."""
    spares = [Buffer(0)]
    return getrefcount(spares[0])


UNHELD = _measure_unheld()
