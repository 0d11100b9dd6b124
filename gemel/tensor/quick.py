"""The quick way of a flush: the same held values as the last times, in memory as it was expected.

A plan that has run a few times gets one, if its program is short and leaves no history behind: a
built-in function looks at the storages and runs the program (`runtime/builtins/run.py`). Memory of
the results is kept for the runs to come; two pieces per result, since the last one is often held.
"""

from __future__ import annotations

from sys import getrefcount

from gemel.passes.compile import DEVICE
from gemel.runtime.buffer import Buffer
from gemel.runtime.builtins.run import HELD, Task, runner
from gemel.runtime.native_call import Layout, table_layout

from .history import RELEASED
from .plan import Plan
from .recorder import prepare
from .state import LEAF, path
from .storage import Storage
from .tape import Tape

SEVERAL = 3  # runs of a plan that is worth a quick way
SHORT = 200_000.0  # nanoseconds for which other threads may wait
SMALL = 1 << 18  # bytes that one quick way may keep
KEPT = 1 << 26  # bytes that all may keep


class Quick:
    """call        see `runner`
    device         for which the plan was made
    outs, spares   memory of the results
    dead           positions of results whose history is released
    nbytes         what it keeps"""

    __slots__ = ("call", "device", "outs", "spares", "dead", "nbytes")
    total = 0  # bytes kept by all

    def __init__(self, plan: Plan, layout: Layout, task: Task):
        self.device = plan.device
        self.outs = [Buffer(n) for n in layout.out_bytes]
        self.spares = [Buffer(n) for n in layout.out_bytes]
        self.dead = plan.dead
        arena = Buffer(layout.arena_bytes)
        results = (self.outs, self.spares)
        self.call = runner(plan.program, layout, task, arena, results, Storage)
        self.nbytes = _bytes_of(layout)
        Quick.total += self.nbytes

    def __del__(self):
        Quick.total -= self.nbytes

    def run(self, tape: Tape) -> bool:
        """Run what is pending; False where it must go the usual way, with nothing done."""
        if tape.exported or DEVICE[0] != self.device:
            return False
        made = tape.made
        code = self.call(tape.leaves, tape.scalars, made)
        if code == HELD:
            self._renew()
            code = self.call(tape.leaves, tape.scalars, made)
        if code:
            return False
        for k in self.dead:
            st = made[k]
            st.hist = (RELEASED, (tape.state, st.idx))
        return True

    def _renew(self) -> None:
        """New memory in the place of what somebody holds for longer than the next run."""
        outs, spares = self.outs, self.spares
        for k in range(len(outs)):
            if getrefcount(outs[k]) > UNHELD and getrefcount(spares[k]) > UNHELD:
                outs[k] = Buffer(spares[k].nbytes)


def quick_way(plan: Plan, tape: Tape, alive: tuple[int, ...]) -> Quick | None:
    """For a plan that has just run; None where a run needs more than the quick way does."""
    prepare()
    layout = table_layout(plan.program)
    if layout is None or layout.kept_at is not None or not _is_plain(plan, tape, layout):
        return None
    work = sum(kernel["work"] for kernel in plan.program.kernels)
    if work > SHORT or max(layout.arena_bytes, sum(layout.out_bytes)) > SMALL:
        return None
    if Quick.total + _bytes_of(layout) > KEPT:
        return None
    overwritten = set(plan.donated)
    reads = [(k, slot in overwritten) for slot, k in enumerate(plan.reads)]
    task = Task(reads, plan.numbers, len(tape.made), alive)
    quick = Quick(plan, layout, task)
    return quick if quick.call is not None else None


def _is_plain(plan: Plan, tape: Tape, layout: Layout) -> bool:
    """Does it leave no history, and rewrite leaves in place only, which had none?"""
    written = {slot for slot, _ in plan.updates}
    if plan.segment is not None or plan.leaf_dead or written != set(plan.donated):
        return False
    older = any(s.kind == LEAF and s.data.kind == "hist" for s in path(tape.state))
    return layout.outputs == plan.count and not (older and written)


def _bytes_of(layout: Layout) -> int:
    return 2 * sum(layout.out_bytes) + layout.arena_bytes


def _measure_unheld() -> int:
    """What getrefcount says in `_renew` of memory that only the list holds."""
    spares = [Buffer(0)]
    return getrefcount(spares[0])


UNHELD = _measure_unheld()
