"""`Storage`: a place that holds the current value of a tensor and of all its views.

The value is either number `idx` of the tape whose mark is `mark`, or the evaluated buffer `buf`.
Values never change; a write replaces the storage's value and raises its version.

The two fields (mark, idx) are always written and read next to each other, with no call in between:
the interpreter switches threads only at calls and at loop ends, so a reader never sees one old and
one new.
"""

from __future__ import annotations

from sys import getrefcount

import numpy as np

from gemel.runtime.buffer import Buffer

new = object.__new__


class Mark:
    """Identity of one piece of recording, from one flush to the next."""

    __slots__ = ("tape",)


class Storage:
    """mark, idx: the pending value; buf: the evaluated one; rg: does the value have a history."""

    __slots__ = ("mark", "idx", "form", "rg", "buf", "__dict__", "__weakref__")
    # rare fields, in the instance dict only where they differ
    ver = 0  # how often it was written, but for what `turns` count
    turns = ()  # counters (`served`) of the recorded functions that rewrite it in place
    hist = None  # (Record, value index): where the evaluated value came from
    dirty = None  # mark of the piece in which an evaluated storage was written
    exported = False  # has a NumPy array shared its memory?
    cells = 0  # how many recorded functions hold it as theirs
    left = False  # did its tensor leave it for another one, while recorded functions held it?
    lender = None  # the array whose memory this is
    twin = None  # of an exported one: a copy of what it held when it was read the last time
    first = None  # (weakly) the tensor that the first view was made of
    filled = None  # the number that it was filled with when it was made
    fault = None  # the error of the program that should have computed it


def evaluated_storage(buf: Buffer, form) -> Storage:
    """A storage with a value that is known."""
    st = new(Storage)
    st.mark = None
    st.idx = -1
    st.form = form
    st.rg = False
    st.buf = buf
    return st


def pending_storage(mark: Mark | None, idx: int, form, rg: bool) -> Storage:
    """A storage whose value is number `idx` of the piece `mark`."""
    st = new(Storage)
    st.mark = mark
    st.idx = idx
    st.form = form
    st.rg = rg
    st.buf = None
    return st


def writes(st: Storage) -> int:
    """How often it was written."""
    turns = st.turns
    if not turns:
        return st.ver
    if len(turns) == 1:
        return st.ver + turns[0].served
    return st.ver + sum([counter.served for counter in turns])


def held(made: list[Storage]) -> tuple[int, ...]:
    """Positions of the storages that somebody beside the list holds."""
    return tuple([k for k, st in enumerate(made) if getrefcount(st) > UNHELD])


def shared(st: Storage) -> bool:
    """Does anybody beside the storage hold its buffer (a NumPy array, another storage)?"""
    return getrefcount(st.buf) > UNSHARED


def lent(st: Storage) -> bool:
    """Does a NumPy array share the memory of an exported storage now? Where none does any more,
    the storage is private again."""
    if st.lender is not None:
        if getrefcount(st.lender) > UNLENT or _is_part_held(st.lender):
            return True
        st.buf = st.buf.copy()  # into memory of our own, aligned and with slack
        st.lender = None
    elif shared(st):
        return True
    st.exported = False
    if st.twin is not None:
        del st.twin
    return False


def _is_part_held(array: np.ndarray) -> bool:
    """Is the array a part of another one that somebody holds?"""
    whole = array.base
    return whole is not None and getrefcount(whole) > UNHELD_WHOLE


def _measure_unheld_whole() -> int:
    array = np.zeros(2)[:1]
    whole = array.base
    return getrefcount(whole)


def _measure_unheld() -> int:
    """What getrefcount says inside `held` of a storage nobody holds (interpreters differ)."""
    made = [evaluated_storage(None, None)]
    return [getrefcount(st) for k, st in enumerate(made)][0]


def _measure_unshared() -> int:
    st = evaluated_storage(Buffer(0), None)
    return getrefcount(st.buf)


def _measure_unlent() -> int:
    st = evaluated_storage(Buffer.sharing(np.zeros(1)), None)
    st.lender = st.buf._memory
    return getrefcount(st.lender)


UNHELD = _measure_unheld()
UNHELD_WHOLE = _measure_unheld_whole()
UNSHARED = _measure_unshared()
UNLENT = _measure_unlent()


class LeafKey:
    """Key of a leaf's transition: hashes by identity. `kind` is one of
    'data', 'param' (an autograd leaf), 'hist' (has an older history), 'pack' (several values)."""

    __slots__ = ("forms", "kind")

    def __init__(self, forms: tuple, kind: str):
        self.forms = forms
        self.kind = kind

    def __repr__(self) -> str:
        return f"{self.kind}{list(self.forms)}"


def _leaf_keys(kind: str) -> dict:
    class Keys(dict):
        def __missing__(self, form):
            return self.setdefault(form, LeafKey((form,), kind))

    return Keys()


DATA = _leaf_keys("data")
PARAM = _leaf_keys("param")
HIST = _leaf_keys("hist")
_PACKS: dict[tuple, LeafKey] = {}


def pack_key(forms: tuple) -> LeafKey:
    """The one key of packs with these forms."""
    found = _PACKS.get(forms)
    return found or _PACKS.setdefault(forms, LeafKey(forms, "pack"))
