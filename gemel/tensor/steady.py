"""`Steady`: a traced function called again and again, with as little Python as possible.

In: a Traced whose program rewrites its cells in place. The addresses that stay the same from call
to call are kept in the program's table; a call checks that they still hold, fills in the rest and
enters the program (see `straight`). Whatever is out of the ordinary goes to `Traced.__call__`,
which gives the same.

What is checked at every call: the cells' buffers are those of the last call and nobody else holds
the rewritten ones; nothing is pending; forms; the gradients of the last call, whose memory is used
again, are held by nobody but their parameters.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from gemel.runtime.buffer import Buffer
from gemel.runtime.builtins.direct_call import Words
from gemel.runtime.native_call import entry_by_address, table_layout

from .direct import Conditions, direct_plan
from .storage import Storage
from .straight import MISSED, Front, Gate, short_way
from .tape import LOCAL, SEVERAL
from .tensor import Tensor
from .traced import Traced

LONGEST_PAUSE = 15
WORTH = 8  # calls that pay for writing a short way


class Steady:
    """inputs     (position in the table, which argument, its form)
    rewritten    storages written in place;  held: those of gradients
    fixed        storages only read
    outputs      (position, bytes) of each result;  kinds: (class, form)
    table        the program's arguments: addresses, then numbers
    front        what the caller asks of a call, and how it takes the result
    short        the short way, or None where there is none now;  gate: may it be gone?
    kept         the program's memory between calls, or None
    looked       what the short way looks at in words, all in one tuple; None where it cannot
    pause        usual calls before the next short way;  patience: how many the last time"""

    __slots__ = (
        "traced", "plan", "program", "inputs", "rewritten", "rewritten_at", "fixed", "fixed_at",
        "held", "held_at", "table", "address", "enter", "numbers_at", "number_kinds", "reals",
        "outputs", "kinds", "arena", "front", "short", "gate",
        "patience", "pause", "kept", "looked",
    )  # fmt: skip

    short: Callable | None

    def __init__(self, traced: Traced):
        self.traced = traced
        self.front = Front()
        self.plan = self.short = self.kept = self.looked = None
        self.gate = Gate()
        self.patience = self.pause = 0

    def __call__(self, *tensors: Tensor) -> list[Tensor]:
        """The results, where the caller has no front of its own."""
        out = self.short_result(tensors)
        return self.usual(tensors) if out is MISSED else out

    def short_result(self, tensors) -> Any:
        """What the short way gives, as the front takes it; or MISSED, with nothing done."""
        if self.short is None:
            return MISSED
        out = self.short(tensors)
        if out is MISSED:
            # where most calls miss, writing a short way after each would cost more than it gives
            few = self.gate.served < WORTH
            self.patience = self.pause = min(2 * self.patience + 1, LONGEST_PAUSE) if few else 0
        return out

    def adopt_gradients(self) -> bool:
        """See `Traced.adopt_gradients`. False: this record is not good now."""
        if not self.traced.added:
            return True
        changed = self.traced.adopt_gradients()
        if changed:
            self.forget()
        return changed is not None

    def is_left(self) -> bool:
        """Is one of the cells a storage that its tensor no longer looks at?"""
        return any(st is not None and st.left for st in self.traced.cells)

    def forget(self) -> None:
        """The kept addresses are void."""
        if self.plan is not None:
            for st in (*self.rewritten, *self.fixed):
                st.cells -= 1
            for st in self.rewritten:
                st.ver += self.gate.served
                st.turns = tuple(g for g in st.turns if g is not self.gate)
            if self.kept is not None:
                self.program.give_kept(self.kept)
        self.plan = self.short = self.kept = self.looked = None
        self.gate.shut = True
        if self.gate.direct is not None:
            self.gate.direct.close()

    def __del__(self):
        self.forget()

    def go_direct(self, asked: Conditions, tensor: type) -> Words | None:
        """The plan of direct calls for a Steady that has a short way, made once; or None."""
        if self.gate.direct is None and self.short is not None:
            self.gate.direct = direct_plan(self, asked, tensor)
        return self.gate.direct

    def usual(self, tensors) -> list[Tensor]:
        """The way of the traced function itself; then see whether the next call can be short."""
        traced = self.traced
        tape = LOCAL.tape
        gate = self.gate
        if gate.busy or SEVERAL or tape.tracing is not None or (traced.flows and tape.grad):
            return traced(*tensors)
        self.forget()  # whose names for the buffers would make them look shared
        out = traced(*tensors)
        if self.pause:
            self.pause -= 1
        else:
            self._prepare()
        return out

    # ---------- getting ready ----------
    def _prepare(self) -> None:
        """After a usual call: fill the table, if calls of this kind can be short."""
        traced = self.traced
        plan = traced.plan
        self.forget()
        program = plan and plan.program
        layout = table_layout(program)
        if layout is None or not layout.plain or not self._sort(plan, layout):
            return
        states = [*self.rewritten, *self.fixed, *self.held]
        if any(not _is_plain(st) for st in states) or any(st.hist for st in states):
            return
        self.program = program
        self.table = (ctypes.c_uint64 * layout.words)()
        self.address = ctypes.addressof(self.table)
        self.reals = (ctypes.c_double * layout.words).from_buffer(self.table)
        self.enter = entry_by_address(program)
        self.numbers_at = layout.numbers_at
        self.number_kinds = layout.number_kinds
        self.arena = Buffer(layout.arena_bytes)
        for k, address in enumerate((self.arena.address, *layout.team)):
            self.table[layout.arena_at + k] = address
        if layout.kept_at is not None:
            self.kept = program.take_kept()
            self.kept.hold({at: st.buf for at, st in zip(self.fixed_at, self.fixed, strict=True)})
            self.table[layout.kept_at] = self.kept.address
        for at, st in zip([*self.rewritten_at, *self.fixed_at, *self.held_at], states, strict=True):
            self.table[at] = st.buf.address
        for st in (*self.rewritten, *self.fixed):
            st.cells += 1
        self.plan = plan
        self.gate = Gate()
        for st in self.rewritten:
            st.turns += (self.gate,)
        self.short = short_way(self, self.front)

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


def _is_plain(st: Storage) -> bool:
    """Is its value in memory of ours that no array shares?"""
    return st.buf is not None and not st.exported and st.buf._shelf is not None
