"""The plan of direct calls of a `Steady`: what its short way does, as words for native code.

In: a Steady that has a short way, and what its caller asks of a call (`Conditions`). Out: an open
plan (`gemel.runtime.builtins.direct_call`), or None where calls of this kind need Python. A plan
is closed with the Steady's short way.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from gemel.passes.compile import DEVICE
from gemel.runtime.buffer import Buffer
from gemel.runtime.builtins.direct_call import Words, native
from gemel.runtime.builtins.direct_code import Places
from gemel.runtime.builtins.instances import (
    CELL,
    LIST_ITEMS,
    LIST_SIZE,
    place,
    slot_of,
    weak_slot,
    word_at,
)
from gemel.runtime.jit import Library
from gemel.runtime.native_call import entry_address
from gemel.runtime.program import SHORT_WORK

from .state import ROOT, ROOT_NO_GRAD
from .storage import Mark, Storage, evaluated_storage
from .tape import LOCAL, SEVERAL, Tape
from .tensor import Tensor, over
from .unchanged import pairs_of, things

SMALL = 1 << 17  # bytes of a result whose memory is kept for the calls to come
RESULTS = 3  # kept at most


class Conditions:
    """What must hold of a call, beside its arguments' forms and the program's own state.

    looks    (address, word);  pairs: (address, address) of words that must be equal
    entries  (dict, key, value);  checks: callables that must give True
    classes  of the arguments, which no gradients flow to
    held     what keeps all that valid"""

    def __init__(self):
        self.looks: list[tuple[int, int]] = []
        self.pairs: list[tuple[int, int]] = []
        self.entries: list[tuple[dict, str, Any]] = []
        self.checks: list[Callable[[], bool]] = []
        self.classes: list[type] = []
        self.held: list = []

    def content(self, cell, value) -> None:
        """A closure's cell holds this very object."""
        self.looks.append((id(cell) + CELL, id(value)))
        self.held += [cell, value]

    def entry(self, table: dict, name: str, value) -> None:
        """A dict's entry is this very object."""
        self.entries.append((table, name, value))
        self.held += [table, name, value]


class _Still(Buffer):
    """A buffer without memory, to find out where the slots lie."""

    __slots__ = ()

    def __del__(self):
        pass


def code_for(kind: type, tensor: type) -> Library | None:
    """The native method for a class of compiled functions with a slot `plan`."""
    return _code(slot_of(kind, "plan"), tensor)


@cache
def _code(plan: int, tensor: type) -> Library | None:
    places = Places(
        plan=plan,
        st=slot_of(Tensor, "st"),
        form=slot_of(Tensor, "form"),
        mark=slot_of(Storage, "mark"),
        rg=slot_of(Storage, "rg"),
        own=slot_of(Storage, "form"),
        buf=slot_of(Storage, "buf"),
        address=slot_of(_Still, "address"),
        tape=slot_of(Mark, "tape"),
    )
    return native(places, ((tensor, ("lens", "lrg")), (Storage, ("ver", "hist"))))


def direct_plan(steady: Any, asked: Conditions, tensor: type) -> Words | None:
    """The plan, open. tensor: the class of results, and the one that `code_for` was asked about."""
    traced, program = steady.traced, steady.program
    work = sum(kernel["work"] for kernel in program.kernels)
    alone = len(steady.kinds) == 1 and steady.kinds[0][0] is tensor
    if not alone or steady.outputs[0][1] > SMALL or work > SHORT_WORK or SEVERAL:
        return None
    if DEVICE[0] != steady.plan.device or steady.looked is None:
        return None
    plan = Words()
    tape = LOCAL.tape
    _ask(plan, steady, asked, tape)
    _look_at_state(plan, steady)
    keep = [_numbers(plan, steady), _results(plan, steady, tensor)]
    plan["table"], plan["entry"] = steady.address, entry_address(program)
    resume = partial(_resume, steady.program, steady.enter, steady.address, steady.arena)
    plan["resume"] = id(resume)
    plan["busy"] = place(steady.gate, "busy")
    counted = {id(thing) for thing in steady.looked}
    held = [thing for thing in asked.held if id(thing) not in counted]
    plan.open(
        steady.looked, held, keep, resume, tape, traced.forms, steady.gate, steady.table,
        steady.program, steady.kept, steady.arena, traced.deposits, steady.kinds, DEVICE[0],
    )  # fmt: skip
    return plan


def _resume(program, enter, address, arena, code: int) -> None:
    program.resume(code, enter, address, arena)


def _ask(plan: Words, steady: Any, asked: Conditions, tape: Tape) -> None:
    """The conditions of thread, tape, device, gate, caller and arguments."""
    plan["thread"] = _thread()
    slots = {"grad": tape.grad, "tracing": None, "state": ROOT if tape.grad else ROOT_NO_GRAD}
    looks = [(place(tape, name), id(value)) for name, value in slots.items()]
    looks += [(place(steady.gate, name), id(False)) for name in ("busy", "shut")]
    items = word_at(id(DEVICE) + LIST_ITEMS)
    looks += [(id(SEVERAL) + LIST_SIZE, 0), (id(DEVICE) + LIST_ITEMS, items)]
    looks += [(items, id(DEVICE[0])), *asked.looks]
    plan.table("looks", looks)
    plan.table("pairs", asked.pairs)
    plan.table("entries", [(id(d), id(key), id(value)) for d, key, value in asked.entries])
    plan.table("checks", [(id(check),) for check in asked.checks])
    masks = [f.dtype.itemsize - 1 for f in steady.traced.forms]
    forms = steady.traced.forms
    rows = zip(asked.classes, forms, masks, strict=True)
    plan.table("arguments_at", [(id(cls), id(f), mask) for cls, f, mask in rows])
    plan.table("inputs", [(k, at) for at, k, _ in steady.inputs])
    plan["storage_kind"], plan["buffer_kind"] = id(Storage), id(Buffer)


def _look_at_state(plan: Words, steady: Any) -> None:
    """What must be as the last call left it."""
    deposits = steady.traced.deposits
    states, _ = things(steady)
    there, nowhere = (pairs_of(steady, states, less) for less in (0, 1))
    plan.table("there", there)
    plan.table("nowhere", nowhere)
    plan.table("deposits", [(id(p), id(g)) for p, g in deposits])


def _numbers(plan: Words, steady: Any) -> Any:
    """What is asked for the run-time numbers at every call."""
    traced, wanted = steady.traced, steady.plan.numbers
    if not wanted and not traced.replayed:
        return None
    ask = traced.sole
    if ask is None:
        ask = partial(traced.numbers_now, wanted)
        wanted = range(len(wanted))
    kinds = enumerate(zip(wanted, steady.number_kinds, strict=True), steady.numbers_at)
    plan["numbers"] = id(ask)
    plan.table("places", [(k, at, kind == "d") for at, (k, kind) in kinds])
    return ask


def _results(plan: Words, steady: Any, tensor: type) -> Callable[[], None]:
    """Where results are kept for the calls to come; gives what makes another one."""
    (at, nbytes), (_, f) = steady.outputs[0], steady.kinds[0]
    ring = plan.table("ring", [(0, 0, 0, 0)] * RESULTS)
    plan["output"], plan["kind"], plan["form"] = at, id(tensor), id(f)
    plan["tensor_weak"], plan["storage_weak"] = weak_slot(tensor), weak_slot(Storage)
    plan["buffer_weak"] = weak_slot(_Still)
    kept: list[Tensor | None] = [None] * RESULTS
    turn = 0

    def make() -> None:
        nonlocal turn
        buffer = Buffer(nbytes)
        made = over(evaluated_storage(buffer, f), tensor)
        k = turn
        turn = (turn + 1) % RESULTS
        before, kept[k] = kept[k], made
        ring[4 * k : 4 * k + 4] = [id(made), id(made.st), id(buffer), buffer.address]
        del before

    plan["make"] = id(make)
    return make


def _thread() -> int:
    """The number of the running thread, which no later one is given."""
    now = ctypes.pythonapi.PyThreadState_Get
    number = ctypes.pythonapi.PyThreadState_GetID
    now.restype, number.restype = ctypes.c_void_p, ctypes.c_uint64
    number.argtypes = [ctypes.c_void_p]
    return number(now())
