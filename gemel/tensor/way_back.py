"""The way back through many pieces that have run: each by a program of its own, at once.

A loop that looks at a value in every turn (the steps of an episode, the tokens of a text) leaves a
record per turn. Recorded one after the other, their gradients would be one program for each number
of turns. Here every pass through a record is a run of the same small program, which adds the
gradients of autograd leaves to one sum each and gives those of older values.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from gemel.graph.node import Node
from gemel.ops.record import leaf, scalar
from gemel.passes.compile import DEVICE, default_device
from gemel.runtime.buffer import Buffer

from .flush import flush, run_plan
from .history import Link, Record, remake
from .lanes import OUTSIDE
from .plan import Plan, compile_plan
from .replay import Pull
from .storage import Storage, evaluated_storage, pending_storage
from .tape import Tape
from .tensor import Tensor, over

if TYPE_CHECKING:
    from .backward import _Sweep

MANY = 4  # pieces that are worth running one by one
_KIND = {-1: float, -2: int, -3: bool}


class Back:
    """One pass through a segment, from the gradients of its roots to those of what it read.

    link    the pass;  pull: its roots, in the order in which their gradients are taken
    plan    of the program: reads the roots' gradients, the saved values, leaves, the sums so far
    ends    positions of the autograd leaves whose sums are the first results
    older   positions among hist_leaves of the values whose gradients are the others
    saved   positions of the saved values that are read
    forms   of the results;  alive: their positions"""

    __slots__ = ("link", "pull", "plan", "ends", "older", "saved", "forms", "alive")

    def __init__(self, link: Link):
        self.link = link
        self.pull = link.pull
        self.ends = [n for kind, n, _ in link.found if kind == "p"]
        self.older = [n for kind, n, _ in link.found if kind == "h"]
        self.saved = sorted(link.segment.slot.values()) if link.saved else []
        self.plan = self._planned()
        self.alive = tuple(range(len(self.forms)))

    def _planned(self) -> Plan:
        link, segment = self.link, self.link.segment
        sources = [*link.given]
        sources += [segment.saved[k] for k in self.saved]
        sources += [segment.replay.leaves[k] for k in link.leaves]
        here: dict[Node, Node] = {n: leaf(k, n.form) for k, n in enumerate(sources)}
        for k, (at, mark) in enumerate(zip(link.scalars, link.numbers, strict=True)):
            here[segment.replay.scalars[at]] = scalar(k, _KIND[mark])
        added = [remake(g, here) for kind, _, g in link.found if kind == "p"]
        sums = [leaf(k, g.form) + g for k, g in enumerate(added, len(sources))]
        results = sums + [remake(g, here) for kind, _, g in link.found if kind == "h"]
        self.forms = [g.form for g in results]
        plan = compile_plan(results, {}, default_device())
        plan.in_order = plan.numbers == tuple(range(len(link.scalars)))
        return plan


def back_of(record: Record, roots: tuple[int, ...], retain: bool) -> Back | None:
    """The pass from these roots; None where it has to be recorded."""
    segment = record.segment
    key = (roots, retain, record.done, DEVICE[0])
    if key not in segment.backs:
        link = segment.link(Pull(roots, retain=retain), record.done)
        plain = all(kind in "ph" for kind, _, _ in link.found)
        segment.backs[key] = Back(link) if plain else None
    return segment.backs[key]


class Way:
    """The rest of a sweep: records still to be passed, latest first."""

    def __init__(self, sweep: _Sweep):
        self.sweep = sweep
        self.waiting = [(-record.seq, record) for record in sweep.past]
        heapq.heapify(self.waiting)
        self.sums: dict[int, tuple[Tensor, Storage]] = {}
        self.tape = Tape()  # carries what is read to the programs; nothing is recorded on it
        self.tape.mark.tape = None  # so that it goes, with what it holds, when this does

    def run(self) -> None:
        flush(self.sweep.tape)  # the gradients that are known so far
        past = self.sweep.past
        while self.waiting:
            record = heapq.heappop(self.waiting)[1]
            given = past.pop(record)
            roots = tuple(sorted(given)) if len(given) > 1 else tuple(given)
            back = None
            if type(record) is Record and record.hooked is None:
                back = back_of(record, roots, self.sweep.retain)
            if back is None:
                self._record(record, given)
            else:
                self._pass(record, back, [given[i] for i in roots])
        for p, st in self.sums.values():
            self.sweep.leaf(p, over(st, p.kin))

    def _record(self, record: Record, given: dict) -> None:
        """The usual way."""
        past = self.sweep.past
        before = set(past)
        self.sweep.pass_record(record, given)
        flush(self.sweep.tape)
        for older in past:
            if older not in before:
                heapq.heappush(self.waiting, (-older.seq, older))

    def _pass(self, record: Record, back: Back, given: list[Tensor]) -> None:
        link = back.link
        record.check(link)
        leaves = [g.st for g in given]
        if back.saved:
            saved = record.saved
            leaves += saved if len(back.saved) == len(saved) else [saved[k] for k in back.saved]
        given_then = [record.leaves[k] for k in link.leaves]
        leaves += given_then
        ends = [record.grad_leaves[n] for n in back.ends]
        leaves += [self._sum(p) for p in ends]
        made = [pending_storage(None, -1, f, False) for f in back.forms]
        tape = self.tape
        tape.leaves = leaves
        tape.scalars = [record.scalars[k] for k in link.scalars]
        tape.made = list(made)
        tape.exported = True in [st.exported for st in given_then]
        run_plan(tape, back.plan, back.alive)
        for p, st in zip(ends, made, strict=False):
            self.sums[id(p)] = (p, st)
        older = record.hist_leaves
        if not back.pull.retain:
            record.release(back.pull)
        for n, st in zip(back.older, made[len(ends) :], strict=True):
            self._hand_on(older[n], over(st, self.sweep.kin))

    def _sum(self, p: Tensor) -> Storage:
        """What is added up of a leaf's gradient."""
        found = self.sums.get(id(p))
        if found is None:
            f = p.form
            buffer = Buffer(f.nbytes)
            buffer.array(f)[...] = 0
            found = self.sums[id(p)] = (p, evaluated_storage(buffer, f))
        return found[1]

    def _hand_on(self, end, g: Tensor) -> None:
        """A gradient of a value of an older record."""
        if end is OUTSIDE:
            self.sweep.beyond = True
            return
        record, index = end
        past = self.sweep.past
        known = past.get(record)
        if known is None:
            past[record] = {index: g}
            heapq.heappush(self.waiting, (-record.seq, record))
        elif index in known:
            mine, more = known[index].st, g.st
            total = np.add(mine.buf.array(mine.form), more.buf.array(more.form))
            known[index] = over(evaluated_storage(Buffer.of(total), mine.form), g.kin)
        else:
            known[index] = g
