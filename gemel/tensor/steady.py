"""`Steady`: a traced function called again and again, with as little Python as possible.

In: a Traced whose program rewrites its cells in place. The addresses that stay the same from call
to call are kept in the program's table; a call checks that they still hold, fills in the rest and
enters the program. Whatever is out of the ordinary goes to `Traced.__call__`, which gives the same.

What is checked at every call: the cells' buffers are those of the last call and nobody else holds
the rewritten ones; nothing is pending; forms; the gradients of the last call, whose memory is used
again, are held by nobody but their parameters.
"""

from __future__ import annotations

import ctypes
from operator import attrgetter
from struct import Struct
from sys import getrefcount

from gemel.passes.compile import default_device
from gemel.runtime.buffer import Buffer
from gemel.runtime.native_call import entry_by_address, table_layout

from .arrays import evaluated
from .flush import flush
from .state import ROOT_NO_GRAD
from .storage import Storage
from .tape import LOCAL, SEVERAL
from .tensor import Tensor, new
from .traced import Traced

_WORD = 8


class Steady:
    """inputs     (position in the table, which argument, its form)
    rewritten    storages written in place;  held: those of gradients
    fixed        storages only read
    placed       all of these;  placed_buffers: theirs, at the last call
    counted      what nobody else may hold;  counts: how often each is held then
    outputs      (position, bytes) of each result;  kinds: (class, form)
    only_numbers  the closure that gives all numbers, or None
    table        the program's arguments: addresses, then numbers"""

    __slots__ = (
        "traced", "plan", "program", "inputs", "rewritten", "rewritten_at", "fixed", "fixed_at",
        "held", "held_at", "placed", "placed_buffers", "counted", "counts", "table", "address",
        "enter", "numbers_at", "pack_numbers", "only_numbers", "outputs", "kinds", "arena", "busy",
    )  # fmt: skip

    def __init__(self, traced: Traced):
        self.traced = traced
        self.plan = None
        self.busy = False

    def __call__(self, *tensors: Tensor) -> list[Tensor]:
        traced = self.traced
        tape = LOCAL.tape
        if self.busy or SEVERAL or tape.tracing is not None or (traced.flows and tape.grad):
            return traced(*tensors)
        at = tape.state
        if at.prev is not None and at is not ROOT_NO_GRAD:
            flush(tape)
        plan = self.plan
        if plan is None or plan is not traced.plan or plan.device != default_device():
            return self._usual(tensors)
        self.busy = True
        try:
            return self._run(tensors)
        finally:
            self.busy = False

    def adopt_gradients(self) -> bool:
        """See `Traced.adopt_gradients`. False: this record is not good now."""
        if not self.traced.added:
            return True
        changed = self.traced.adopt_gradients()
        if changed:
            self._forget()
        return changed is not None

    def _forget(self) -> None:
        """The kept addresses are void."""
        if self.plan is not None:
            for st in (*self.rewritten, *self.fixed):
                st.cells -= 1
        self.plan = None

    def __del__(self):
        self._forget()

    def _usual(self, tensors) -> list[Tensor]:
        """The way of the traced function itself; then see whether the next call can be short."""
        out = self.traced(*tensors)
        self._prepare()
        return out

    # ---------- the short way ----------
    def _run(self, tensors) -> list[Tensor]:
        traced = self.traced
        table = self.table
        given = []  # held during the call, and seen by the count of holders
        for at, k, f in self.inputs:
            t = tensors[k]
            st = t.st
            buf = st.buf
            if t.form is not f:
                return traced(*tensors)
            if t.lens is not None or st.mark is not None or buf is None:
                buf = evaluated(t)
            if buf._shelf is None and buf.address % f.dtype.itemsize:
                buf = buf.copy()  # memory of others that is not even aligned to its elements
            given.append(buf)
            table[at] = buf.address
        if not self._holds():
            return self._usual(tensors)
        self.pack_numbers(table, self.numbers_at, *self._numbers())
        outs = []
        for at, nbytes in self.outputs:
            buf = Buffer(nbytes)
            outs.append(buf)
            table[at] = buf.address
        code = self.enter(self.address)
        if code:
            self.program._raise(code, self.arena)
        for st in self.rewritten:
            st.ver += 1
        for p, g in traced.deposits:
            p.grad = g
        return self._results(outs)

    def _numbers(self) -> list:
        traced = self.traced
        if self.only_numbers is not None:
            return self.only_numbers()
        numbers = traced.numbers
        wanted = self.plan.numbers
        for position, closure in traced.replayed:
            fresh = closure()
            numbers[position : position + len(fresh)] = fresh
            if len(fresh) == len(numbers) and wanted == tuple(range(len(numbers))):
                self.only_numbers = closure
        return [numbers[k] for k in wanted]

    def _holds(self) -> bool:
        """Are the addresses in the table those of the values, and may they be written?"""
        if list(map(_BUFFER, self.placed)) != self.placed_buffers:
            return False
        return list(map(getrefcount, self.counted)) == self.counts

    def _results(self, outs: list[Buffer]) -> list[Tensor]:
        """One tensor for each buffer."""
        made = []
        for (cls, f), buf in zip(self.kinds, outs):  # noqa: B905
            r = new(Storage)
            r.mark = None
            r.idx = -1
            r.form = f
            r.rg = False
            r.buf = buf
            o = new(cls)
            o.st = r
            o.form = f
            made.append(o)
        return made

    # ---------- getting ready ----------
    def _prepare(self) -> None:
        """After a usual call: fill the table, if calls of this kind can be short."""
        traced = self.traced
        plan = traced.plan
        self._forget()
        program = plan and plan.program
        layout = table_layout(program)
        if layout is None or not self._sort(plan, layout):
            return
        states = [*self.rewritten, *self.fixed, *self.held]
        if any(not _is_plain(st) for st in states) or any(st.hist for st in states):
            return
        self.program = program
        self.table = (ctypes.c_uint64 * layout.words)()
        self.address = ctypes.addressof(self.table)
        self.enter = entry_by_address(program)
        self.numbers_at = layout.numbers_at * _WORD
        self.pack_numbers = Struct(layout.number_kinds).pack_into
        self.arena = Buffer(layout.arena_bytes)
        self.table[layout.arena_at] = self.arena.address
        self.placed = [*self.rewritten, *self.held, *self.fixed]
        places = [*self.rewritten_at, *self.held_at, *self.fixed_at]
        self.placed_buffers = self._fill(self.placed, places)
        own = self.placed_buffers[: len(self.rewritten) + len(self.held)]
        gradients = [g for _, g in traced.deposits]
        self.counted = [*own, *self.held, *gradients]
        self.counts = [OWN] * len(own) + [HELD] * len(self.held) + [DEPOSITED] * len(gradients)
        self.only_numbers = None
        for st in (*self.rewritten, *self.fixed):
            st.cells += 1
        self.plan = plan

    def _sort(self, plan, layout) -> bool:
        """Which place of the table belongs to what. False where a call needs more than this."""
        traced = self.traced
        cells = traced.cells
        count = len(traced.outputs)
        written = {slot for slot, _ in plan.updates}
        if written != set(plan.donated) or layout.outputs != count + len(traced.held):
            return False
        places = list(enumerate(plan.reads))
        self.inputs = [(slot, k, traced.forms[k]) for slot, k in places if cells[k] is None]
        if any(slot in written for slot, _, _ in self.inputs):
            return False
        inner = [(slot, cells[k]) for slot, k in places if cells[k] is not None]
        self.rewritten_at = [slot for slot, _ in inner if slot in written]
        self.rewritten = [st for slot, st in inner if slot in written]
        self.fixed_at = [slot for slot, _ in inner if slot not in written]
        self.fixed = [st for slot, st in inner if slot not in written]
        self.held = traced.held
        first = layout.outputs_at
        self.outputs = list(zip(range(first, first + count), layout.out_bytes, strict=False))
        self.held_at = list(range(first + count, first + layout.outputs))
        self.kinds = list(zip(traced.classes, traced.out_forms, strict=True))
        return True

    def _fill(self, storages: list[Storage], places: list[int]) -> list[Buffer]:
        buffers = [st.buf for st in storages]
        for at, buf in zip(places, buffers, strict=True):
            self.table[at] = buf.address
        return buffers


def _is_plain(st: Storage) -> bool:
    """Is its value in memory of ours that no array shares?"""
    return st.buf is not None and not st.exported and st.buf._shelf is not None


def _measure_counts() -> tuple[int, int, int]:
    """What `_holds` counts of a buffer, of a gradient's storage and of the gradient itself, when
    only those hold them that must."""
    st = Storage()
    st.buf = Buffer(0)
    g = new(Tensor)
    g.st = Storage()
    p = new(Tensor)
    p.grad = g
    placed = list(map(_BUFFER, [st]))
    traced_held, deposits = [g.st], [(p, g)]
    del g
    counted = [*placed, *traced_held, *[g for _, g in deposits]]
    held, placed_storages = traced_held, [*traced_held]
    assert held and placed_storages
    own, storage, gradient = list(map(getrefcount, counted))
    return own, storage, gradient


_BUFFER = attrgetter("buf")
OWN, HELD, DEPOSITED = _measure_counts()
