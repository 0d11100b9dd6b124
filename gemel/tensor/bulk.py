"""A traced function called many times in one native call.

In: a Traced, where its inputs are found in every run (`Feed`), and how many runs. Out: its results,
those of the last run or of all runs one behind the other. What the runs write (parameters, state of
optimizers, metrics, random streams) is afterwards as after that many calls.

Programs that cannot be run so (another device, gradients that flow out, inputs that are written)
are told by `can_run`; their caller calls them one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from sys import getrefcount
from time import perf_counter

import numpy as np

from gemel.graph.form import form
from gemel.passes.compile import default_device
from gemel.runtime.buffer import Buffer
from gemel.runtime.bulk import Bulk, Copy, Gather, Runs
from gemel.runtime.kept import Kept
from gemel.runtime.program import Program

from .arrays import settled
from .flush import flush
from .plan import Plan
from .storage import Storage
from .tape import LOCAL, Tape
from .tensor import Tensor
from .traced import Traced

STRETCH = 0.05  # seconds of native work between two looks of the interpreter, about
_FIRST = 0.01  # of the first stretch, by the kernels' estimates


@dataclass
class Feed:
    """Where inputs come from, by position among the function's inputs.

    addresses  of each run, int64 [runs]: values that lie in memory already
    arrays     whose rows are gathered; `rows`: which, int64 [runs, rows of an input]
    held       what keeps the addresses valid
    """

    addresses: dict[int, np.ndarray] = field(default_factory=dict)
    arrays: dict[int, np.ndarray] = field(default_factory=dict)
    rows: np.ndarray | None = None
    held: object = None


def can_run(traced: Traced) -> bool:
    """Can this function be run in bulk here and now? Compiles it where it is not yet."""
    tape = LOCAL.tape
    if tape.tracing is not None or (traced.flows and tape.grad):
        return False
    plan = _plan(traced)
    program = plan.program
    if type(program) is not Program:
        return False
    given = {slot for slot, k in enumerate(plan.reads) if traced.cells[k] is None}
    passed_on = {k for kind, k in program._results if kind == "leaf"}
    return not given & (passed_on | {slot for slot, _ in plan.updates})


def _plan(traced: Traced) -> Plan:
    plan = traced.plan
    if plan is None or plan.device != default_device():
        plan = traced._compile()
    return plan


def run_bulk(traced: Traced, feed: Feed, runs: int, stacked: Collection[int] = ()) -> list[Tensor]:
    """The results of the last run, after `runs` of them; for a function that `can_run`.

    stacked  positions of results that are wanted of all runs: [runs, ...]
    """
    tape = LOCAL.tape
    traced._renew_kept()
    if not tape.idle:
        flush(tape)
    job = _Job(traced, _plan(traced), tape, feed, runs, stacked)
    try:
        job.run()
    finally:
        job.end()
    return job.results()


class _Job:
    """One call of `run_bulk`.

    stacked  positions of results that are wanted of all runs
    buffers  of the program's leaves;  outs: of what it gives, kind by kind
    given    place in the table -> which input
    copies   after each run;  found: where results and held values are in the end
    """

    def __init__(self, traced: Traced, plan: Plan, tape: Tape, feed: Feed, runs: int, stacked):
        self.traced = traced
        self.plan = plan
        self.feed = feed
        self.runs = runs
        self.stacked = stacked
        self.program = program = plan.program
        self.given = {s: k for s, k in enumerate(plan.reads) if traced.cells[k] is None}
        self.buffers = [self._buffer(tape, k) for k in plan.reads]
        self._own(slot for slot, _ in plan.updates)
        self.outs = [Buffer(n) for n in program._out_bytes]
        self.arena = Buffer(program._arena_bytes)
        self.copies: list[Copy] = []
        count = len(program._results) - len(plan.updates)
        self.found = [self._result(k, k in stacked) for k in range(count)]
        self.passed = [Buffer(0)] * len(plan.updates)
        self._bring_home(program._results[count:])
        self.kept = self._take_kept()
        self.bulk = Bulk(program, self._runs())

    def _buffer(self, tape: Tape, k: int) -> Buffer:
        st = self.traced.cells[k]
        if st is not None:
            return st.buf if st.buf is not None else settled(tape, st)
        return Buffer(self.traced.forms[k].nbytes if k in self.feed.arrays else 0)

    def _own(self, slots: Iterable[int]) -> None:
        """What is rewritten lies in memory that nobody else holds."""
        buffers = self.buffers
        for k in slots:
            if getrefcount(buffers[k]) > UNHELD or buffers[k]._shelf is None:
                buffers[k] = buffers[k].copy()

    # ---------- getting ready ----------
    def _result(self, k: int, stacked: bool) -> Buffer:
        """Where a result or held value is found in the end."""
        kind, at = self.program._results[k]
        if kind == "out" and not stacked:
            return self.outs[at]
        source = (self.outs if kind == "out" else self.buffers)[at]
        nbytes = [*self.traced.outputs, *self.traced.held_nodes][k].form.nbytes
        made = Buffer(nbytes * self.runs if stacked else nbytes)
        self.copies.append(Copy(source.address, made.address, nbytes, nbytes if stacked else 0))
        return made

    def _bring_home(self, updates: list) -> None:
        """New values go to the leaves' own memory after each run: all that are other leaves' old
        values are fetched before one is overwritten."""
        homes = [self.buffers[slot] for slot, _ in self.plan.updates]
        late = []
        for n, ((kind, at), home) in enumerate(zip(updates, homes, strict=True)):
            if kind == "out":
                late.append(Copy(self.outs[at].address, home.address, home.nbytes))
            elif kind == "leaf":
                between = self.passed[n] = Buffer(home.nbytes)
                self.copies.append(Copy(self.buffers[at].address, between.address, home.nbytes))
                late.append(Copy(between.address, home.address, home.nbytes))
        self.copies += late

    def _take_kept(self) -> Kept | None:
        if not self.program.keeps:
            return None
        changing = {*self.given, *(slot for slot, _ in self.plan.updates)}
        kept = self.program.take_kept()
        kept.hold({s: b for s, b in enumerate(self.buffers) if s not in changing})
        return kept

    def _runs(self) -> Runs:
        given, feed = self.given.items(), self.feed
        words = self.program.words(self.buffers, self.outs, self.arena, self.kept)
        return Runs(
            words=words + [0] * len(self.program.number_kinds),
            moving=[(slot, feed.addresses[k]) for slot, k in given if k in feed.addresses],
            count=self.runs,
            gathers=[
                Gather(feed.arrays[k], self.buffers[slot])
                for slot, k in given
                if k in feed.arrays
            ],
            rows=feed.rows,
            copies=self.copies,
            arena=self.arena,
            held=(feed, self.buffers, self.outs, self.found, self.passed),
        )

    # ---------- running ----------
    def run(self) -> None:
        """All runs, in stretches between which the interpreter may look at signals."""
        work = sum(kernel["work"] for kernel in self.program.kernels) * 1e-9
        wanted, at = self.plan.numbers, 0
        stretch = max(1, int(_FIRST / max(work, 1e-6)))
        while at < self.runs:
            until = min(self.runs, at + stretch)
            if wanted or self.traced.replayed:
                self.bulk.set_numbers(at, self.traced.numbers_of(until - at, wanted))
            started = perf_counter()
            self.bulk.run(at, until)
            taken = perf_counter() - started
            stretch = max(1, int(STRETCH * (until - at) / max(taken, 1e-6)))
            at = until

    def end(self) -> None:
        """Hand back what was written, of all runs that were complete."""
        if self.kept is not None:
            self.program.give_kept(self.kept)
        if self.bulk.done:
            plan, traced = self.plan, self.traced
            held = self.found[len(traced.outputs) :]
            traced.write_back(plan, (), self.buffers, [*held, *[None] * len(plan.updates)])
            self._count(self.bulk.done - 1)

    def _count(self, more: int) -> None:
        """Storages count their versions: one for each run."""
        for _, k in self.plan.updates:
            self.traced.cells[k].ver += more

    def results(self) -> list[Tensor]:
        """The tensors; those that are stacked have a form of their own."""
        made = self.traced.results(self.found[: len(self.traced.outputs)])
        for k in self.stacked:
            t = made[k]
            t.form = t.st.form = form((self.runs, *t.form.shape), t.form.dtype)
        return made


def _measure_unheld() -> int:
    """What getrefcount says in `_own` of a cell's buffer that only its storage holds."""
    cell = Storage()
    cell.buf = Buffer(0)
    buffers = [st.buf for st in [cell]]
    return getrefcount(buffers[0])


UNHELD = _measure_unheld()
