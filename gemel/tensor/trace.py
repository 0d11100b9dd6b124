"""Tracing: a function is recorded once and called many times as one program.

Inside, its inputs are tensors without values; storages from outside are *cells*: read at every
call, and written back where the function writes them. Looking at a value raises TraceBreak.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

from gemel.runtime.buffer import Buffer

from .errors import TraceBreak
from .flush import flush
from .read import leaf_state, read_all
from .replay import Replay
from .state import ROOT_KIND, State
from .storage import DATA, Storage, held, pending_storage
from .tape import LOCAL, Tape
from .tensor import LEAF, Tensor, over
from .traced import Traced


class Recording:
    """What a trace under way collects beside the tape.

    outer      the tape that was current before
    replayed   (position among the numbers, closure) to ask again at every call
    deposits   id -> (leaf tensor, its .grad before): gradients filled inside"""

    __slots__ = ("outer", "replayed", "deposits")
    size = 0  # of a function in lanes: how many

    def __init__(self, outer: Tape):
        self.outer = outer
        self.replayed: list = []
        self.deposits: dict[int, tuple] = {}

    def lends(self, other: Tape | None) -> bool:
        """May values pending on this tape be read here?"""
        return False

    def owns_no(self, tape: Tape, st: Storage) -> bool:
        """Is it a storage from outside, with a history of its own there?"""
        return False

    def looked_at(self, t: Tensor) -> Buffer:
        """The value of a tensor that somebody looks at, where it is known."""
        raise TraceBreak()

    def borrow(self, tape: Tape, st: Storage) -> int:
        raise NotImplementedError("a function that is recorded as a program borrows nothing")


def new_tape(outer: Tape, recording: Recording | None = None) -> Tape:
    """A tape with a trie of its own: what is traced is not looked up again."""
    tape = Tape()
    tape.grad = outer.grad
    root = State(None, ROOT_KIND)
    root.ng = not outer.grad
    root.casting = tape.casting = outer.casting
    tape.state = root
    tape.tracing = recording or Recording(outer)
    return tape


@contextmanager
def recording_on(tape: Tape):
    """Record on this tape. Afterwards outside storages are as they were."""
    recording = tape.tracing
    LOCAL.tape = tape
    try:
        yield
    except BaseException:
        for p, before in recording.deposits.values():
            p.grad = before
        raise
    finally:
        LOCAL.tape = recording.outer
        tape.mark.tape = None
        for st in tape.leaves:
            st.mark = None
            st.rg = st.hist is not None


def _input(tape: Tape, form, cls: type, lrg: bool) -> Tensor:
    """A tensor without a value: the next leaf of the tape."""
    s = leaf_state(tape, DATA[form])
    t = over(pending_storage(tape.mark, s.idx, form, False), cls)
    tape.leaves.append(t.st)
    if lrg:
        t.lrg = True
        t.lens = LEAF
    return t


def trace(fn: Callable, tensors) -> Traced:
    """Record fn(*tensors), which returns a list of tensors, as a program.

    A function that looks at a value raises TraceBreak. Python side effects happen here, once;
    writes to tensors from outside, and gradients filled inside, happen at every call. The Traced
    is good for tensors of these forms and of the same `requires_grad`.
    """
    outer = LOCAL.tape
    flush(outer)
    tape = new_tape(outer)
    inputs = [_input(tape, t.form, t.kin, outer.grad and _tracks(t)) for t in tensors]
    with recording_on(tape):
        out = list(fn(*inputs))
        indices = read_all(tape, out)
        classes = [type(t) if t.lrg is False else t.kin for t in out]
        del out
        replay = Replay()
        replay.extend(tape.state)
        rgs = [replay.tracked[i] for i in indices]
        kept = held(tape.made)
    return Traced(tape, replay, inputs, indices, classes, rgs, kept)


def _tracks(t: Tensor) -> bool:
    return t.lrg or t.st.rg or t.st.hist is not None


def abstract(fn: Callable, forms, cls: type):
    """fn on tensors of these forms that have no values: what it returns has forms alone. Nothing
    is computed; looking at a value raises TraceBreak."""
    tape = new_tape(LOCAL.tape)
    inputs = [_input(tape, f, cls, False) for f in forms]
    with recording_on(tape):
        return fn(*inputs)


def tracing() -> bool:
    """Is a function being recorded on this thread?"""
    return LOCAL.tape.tracing is not None


@contextmanager
def outside():
    """Inside a trace: record as if there were none (making variables and optimizer state). Values
    of the trace cannot be used here."""
    tape = LOCAL.tape
    inner = tape
    while inner.tracing is not None:
        inner = inner.tracing.outer
    LOCAL.tape = inner
    try:
        yield
    finally:
        if tape is not inner:
            flush(inner)  # what was made is a value, not pending, when the trace reads it
        LOCAL.tape = tape


def needs_no_trace(what: str) -> None:
    """Raise TraceBreak inside a trace: for faces' own observations."""
    if LOCAL.tape.tracing is not None:
        raise TraceBreak(what)
