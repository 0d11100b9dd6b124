"""The quick way of a flush: the same held values as the last times, in memory as it was expected.

A plan that has run a few times gets one, if its program is short: a built-in function looks at the
storages and runs the program (`runtime/builtins/run.py`). Memory of the results is kept for the
runs to come; two pieces per result, since the last one is often held. Where a history is left
behind, the values kept for gradients stay until a backward pass: such memory goes round in a ring,
which grows to as many runs as there are before one.
"""

from __future__ import annotations

from sys import getrefcount
from weakref import proxy

from gemel.passes.compile import DEVICE
from gemel.runtime.buffer import Buffer
from gemel.runtime.builtins.run import HELD, Task, runner
from gemel.runtime.native_call import Layout, table_layout

from .history import RELEASED, leave_history
from .plan import Plan
from .recorder import prepare
from .state import LEAF, path
from .storage import Storage, pending_storage
from .tape import Tape

SEVERAL = 3  # runs of a plan that is worth a quick way
SHORT = 200_000.0  # nanoseconds for which other threads may wait
SMALL = 1 << 18  # bytes that one quick way may keep
KEPT = 1 << 26  # bytes that all may keep
RING = 1 << 20  # bytes of one ring


class Quick:
    """call        see `runner`
    plan           whose quick way it is
    outs, spares   memory of the results
    forms          of the values kept for gradients
    nbytes         what it keeps"""

    __slots__ = ("call", "plan", "outs", "spares", "forms", "nbytes", "__weakref__")
    total = 0  # bytes kept by all

    def __init__(self, plan: Plan, layout: Layout, task: Task):
        self.plan = proxy(plan)
        self.outs = [Buffer(n) for n in layout.out_bytes]
        self.spares = self._spares(layout)
        self.forms = plan.segment.key.forms if plan.segment is not None else ()
        arena = Buffer(layout.arena_bytes)
        results = (self.outs, self.spares)
        self.call = runner(plan.program, layout, task, arena, results, Storage)
        self.nbytes = _bytes_of(layout)
        Quick.total += self.nbytes

    def _spares(self, layout: Layout) -> list[Buffer]:
        return [Buffer(n) for n in layout.out_bytes]

    def __del__(self):
        Quick.total -= self.nbytes

    def run(self, tape: Tape) -> bool:
        """Run what is pending; False where it must go the usual way, with nothing done."""
        plan = self.plan
        if tape.exported or DEVICE[0] != plan.device:
            return False
        made = tape.made
        code = self.call(tape.leaves, tape.scalars, made)
        if code == HELD:
            self._renew()
            code = self.call(tape.leaves, tape.scalars, made)
        if code:
            return False
        for k in plan.dead:
            st = made[k]
            st.hist = (RELEASED, (tape.state, st.idx))
        return True

    def _renew(self) -> None:
        """New memory in the place of what somebody holds for longer than the next run."""
        outs, spares = self.outs, self.spares
        for k in range(len(outs)):
            if getrefcount(outs[k]) > UNHELD and getrefcount(spares[k]) > UNHELD:
                outs[k] = Buffer(spares[k].nbytes)


class QuickWithHistory(Quick):
    """rounds   the memory of all results of a run, in the order in which runs took it
    at          whose turn it is;  sizes: of the results;  most: how many rounds there may be"""

    __slots__ = ("rounds", "at", "sizes", "most")

    def __init__(self, plan: Plan, layout: Layout, task: Task):
        super().__init__(plan, layout, task)
        self.sizes = layout.out_bytes
        self.rounds = [self.outs[:]]
        self.at = 0
        self.most = max(2, RING // (sum(self.sizes) + 1))

    def _spares(self, layout: Layout) -> list[Buffer]:
        return self.outs  # there are none

    def run(self, tape: Tape) -> bool:
        if tape.exported or DEVICE[0] != self.plan.device:
            return False
        made = tape.made
        count = len(made)
        saved = [pending_storage(None, -1, f, False) for f in self.forms]
        made += saved
        code = self._turn(tape, made)
        del made[count:]
        if code:
            return False
        leave_history(tape, self.plan, saved)
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
    if work > SHORT or max(layout.arena_bytes, sum(layout.out_bytes)) > SMALL:
        return None
    if Quick.total + _bytes_of(layout) > KEPT:
        return None
    overwritten = set(plan.donated)
    reads = [(k, slot in overwritten) for slot, k in enumerate(plan.reads)]
    made = len(tape.made)
    task = Task(reads, plan.numbers, made + saved, (*alive, *range(made, made + saved)))
    quick = (Quick if plan.segment is None else QuickWithHistory)(plan, layout, task)
    return quick if quick.call is not None else None


def _is_plain(plan: Plan, tape: Tape, layout: Layout) -> bool:
    """Does it rewrite leaves in place only, which had no history and get none?"""
    written = {slot for slot, _ in plan.updates}
    if plan.leaf_roots or plan.leaf_dead or written != set(plan.donated):
        return False
    older = any(s.kind == LEAF and s.data.kind == "hist" for s in path(tape.state))
    saved = len(plan.segment.saved) if plan.segment is not None else 0
    return layout.outputs == plan.count + saved and not (older and written)


def _bytes_of(layout: Layout) -> int:
    return 2 * sum(layout.out_bytes) + layout.arena_bytes


def _measure_unheld() -> int:
    """What getrefcount says in `_renew` of memory that only the list holds."""
    spares = [Buffer(0)]
    return getrefcount(spares[0])


UNHELD = _measure_unheld()
