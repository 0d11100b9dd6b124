"""A value that is pending, or a leaf that is bound, in another thread.

Each thread has its own tape. A thread that needs a value pending on another's tape takes the whole
piece over and runs it: the fields of a tape are swapped without a call in between, and only while
its owner is not in the middle of a record (`busy`), so the owner sees either all or nothing of it.
"""

from __future__ import annotations

import time

from .errors import PendingElsewhere, TensorError
from .flush import flush
from .storage import Mark, Storage
from .tape import LOCAL, SEVERAL, Tape

PATIENCE = 600.0  # seconds to wait for a thread that is recording or compiling
_FIELDS = (
    "state", "mark", "made", "leaves", "grad_leaves", "hist_leaves", "scalars", "hooked",
)  # fmt: skip


def elsewhere(tape: Tape, st: Storage) -> int | None:
    """Make the storage's value usable in this tape. Returns its index where it already was bound
    here before another thread bound it; None when the caller may bind it."""
    if st.fault is not None and st.buf is None:
        _raise_again(st.fault)
    mine = tape.bound.get(id(st))
    if mine is not None:
        st.mark = tape.mark
        st.idx = mine
        return mine
    mark = st.mark
    other = mark.tape if mark is not None else None
    if tape.tracing is not None and tape.tracing.lends(other):
        return tape.tracing.borrow(tape, st)
    if other is None or other is tape:
        if st.buf is None:
            raise TensorError("this tensor has no value: it was made inside a trace that is over")
        return None
    if other.tracing is not None and st.buf is not None:
        return None  # a trace has no effects before it is called
    if st.buf is None or st.dirty is mark:
        run_elsewhere(other, mark)
    if st.buf is None:
        return elsewhere(tape, st)
    leave_note(mark, id(st), st.idx)
    return None


def leave_note(mark: Mark | None, key, index: int) -> None:
    """What the piece `mark` of another thread has read is bound here from now on: it finds its
    own index in its notes."""
    other = mark.tape if mark is not None else None
    if other is None or other.thread == LOCAL.tape.thread:
        return
    notes = other.bound  # before the look at the mark: a new piece has notes of its own
    if other.mark is mark:
        notes.setdefault(key, index)
        if not SEVERAL:
            SEVERAL.append(other.thread)


def run_elsewhere(other: Tape, mark: Mark) -> None:
    """Run the piece `mark` of another thread's tape, or wait until that is done."""
    if other.tracing is not None:
        raise PendingElsewhere(other.thread)
    if other.lost is not None:
        flush(other)
        return
    piece = take(other, mark)
    if piece is not None:
        flush(piece)
        return
    until = time.monotonic() + PATIENCE
    while mark.tape is not None:  # somebody else runs it
        if time.monotonic() > until:
            raise PendingElsewhere(other.thread)
        time.sleep(1e-4)


def take(other: Tape, mark: Mark) -> Tape | None:
    """The piece `mark` as a tape of its own; None when another thread was first."""
    piece = Tape()
    fresh = Tape()
    until = time.monotonic() + PATIENCE
    while not _swap(other, mark, piece, fresh):
        if mark.tape is not other:
            return None
        if time.monotonic() > until:
            raise PendingElsewhere(other.thread)
        time.sleep(1e-5)
    piece.grad = other.grad
    return piece


def _swap(other: Tape, mark: Mark, piece: Tape, fresh: Tape) -> bool:
    """Move the piece in one go: no call and no loop, so no other thread runs in between."""
    root = other.rest()
    if other.busy or other.mark is not mark:
        return False
    piece.state, piece.mark, piece.made = other.state, other.mark, other.made
    piece.leaves, piece.grad_leaves = other.leaves, other.grad_leaves
    piece.hist_leaves, piece.scalars = other.hist_leaves, other.scalars
    piece.hooked, piece.replay = other.hooked, None
    other.state, other.mark, other.made = root, fresh.mark, fresh.made
    other.leaves, other.grad_leaves = fresh.leaves, fresh.grad_leaves
    other.hist_leaves, other.scalars = fresh.hist_leaves, fresh.scalars
    other.hooked, other.replay, other.bound = None, None, fresh.bound
    other.mark.tape = other
    mark.tape = piece
    return True


def _raise_again(fault: tuple) -> None:
    """The error of the program that should have computed a value."""
    kind, args = fault
    raise kind(*args)
