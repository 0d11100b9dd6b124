"""Reading a tensor: which value of the tape is it?

The record functions look themselves whether a tensor is plain and pending. Everything else comes
here: a storage that was not used yet in this piece becomes a leaf, an autograd leaf gets a second
value, a view is looked at through its lens.
"""

from __future__ import annotations

from gemel.runtime.buffer import Buffer

from .flush import flush
from .state import CALL, GRADLEAF, INT, LEAF, LOOK, State, form_of, has_history
from .storage import DATA, HIST, PARAM, LeafKey, Storage, evaluated_storage, lent, writes
from .tape import SEVERAL, Tape
from .tensor import LEAF as AUTOGRAD_LEAF
from .tensor import PART, SYMBOLIC, Tensor
from .threads import elsewhere, leave_note
from .twins import copy_of


class Divert(Exception):
    """A graph-mode tensor is among the operands: its class records the call."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor


def read(tape: Tape, t: Tensor) -> int:
    """Index of t's value in the tape. May flush: then indices read before are void."""
    lens = t.lens
    st = t.st
    if lens is AUTOGRAD_LEAF:
        return _read_leaf(tape, t, st)
    if lens is None:
        return st.idx if st.mark is tape.mark else bind(tape, st)
    if lens is SYMBOLIC:
        raise Divert(t)
    return _read_view(tape, t, st, lens)


def read_raw(tape: Tape, st: Storage) -> int:
    """Index of a storage's own value: what a write replaces."""
    return st.idx if st.mark is tape.mark else bind(tape, st, writing=True)


def read_all(tape: Tape, tensors) -> list[int]:
    """Indices of several tensors, all valid together."""
    while True:
        mark = tape.mark
        found = [
            t.st.idx if t.lens is None and t.st.mark is mark else read(tape, t) for t in tensors
        ]
        if tape.mark is mark:
            return found


def leaf_state(tape: Tape, key: LeafKey) -> State:
    """Take the transition of a leaf; an autograd leaf has two values: as it is, and as a leaf."""
    at = tape.state
    found = at.kids.get(key)
    if found is None:
        forms = key.forms * 2 if key.kind == "param" else key.forms
        rgs = (key.kind == "hist",) * len(key.forms)
        found = State(at, LEAF, key, (), forms, rgs + (True,) if key.kind == "param" else rgs)
        at.kids[key] = found
    tape.state = found
    return found


def bind(tape: Tape, st: Storage, writing: bool = False) -> int:
    """First use of an evaluated storage in this piece."""
    buf = st.buf
    mark = st.mark
    if buf is None or (mark is not None and mark.tape is not None):
        index = elsewhere(tape, st)
        if index is not None:
            return index
    if st.exported and lent(st):
        if not writing:
            return bind(tape, copy_of(st))
        tape.exported = True
    hist = st.hist
    if hist is not None and _reads_many(tape, hist[0]):
        flush(tape)
    tape.busy = True
    s = leaf_state(tape, DATA[st.form] if hist is None else HIST[st.form])
    tape.leaves.append(st)
    if hist is not None:
        tape.hist_leaves.append(hist)
    st.mark = tape.mark
    st.idx = index = s.idx
    if SEVERAL:
        tape.bound[id(st)] = index
    tape.busy = False
    return index


RECORDS = 8  # read in one piece, one after the other
_EACH = 4  # values of each, at most


def _reads_many(tape: Tape, record) -> bool:
    """Has a loop over values that were looked at (the losses of an episode's steps) come so far
    that this is one piece? Then pieces are alike, whatever the number of turns."""
    found = tape.hist_leaves
    if len(found) < RECORDS or found[-1][0] is record:
        return False
    if not tape.state.ops or tape.tracing is not None:
        return False
    last = {id(hist[0]) for hist in found[-RECORDS * _EACH :]}
    return len(last) >= RECORDS and id(record) not in last


def snapshot(tape: Tape, array, form) -> int:
    """A NumPy array may change the memory at any time: read what it holds now."""
    return bind(tape, evaluated_storage(Buffer.of(array), form))


def _read_leaf(tape: Tape, t: Tensor, st: Storage) -> int:
    mark = tape.mark
    seen = st.mark
    if seen is not mark:
        if not tape.grad or st.buf is None or st.exported or SEVERAL:
            return _first_of_leaf(tape, t, st)
        if seen is not None and seen.tape is not None:
            return _first_of_leaf(tape, t, st)
        # the common case of `_bind_leaf`, written out
        key = PARAM[st.form]
        tape.busy = True
        s = tape.state.kids.get(key) or leaf_state(tape, key)
        tape.state = s
        tape.leaves.append(st)
        tape.grad_leaves.append(t)
        st.mark = t.cmark = mark
        st.idx = t.csrc = index = s.idx
        t.cidx = index = index + 1
        tape.busy = False
        return index
    index = st.idx
    if not tape.grad:
        return index
    if t.cmark is mark and t.csrc == index:
        return t.cidx
    if tape.tracing is None and not t.in_transform and _begins_anew(tape, st, index):
        flush(tape)
        return read(tape, t)
    if SEVERAL and (id(t), index) in tape.bound:
        return tape.bound[id(t), index]
    return grad_leaf(tape, t, index)


def _begins_anew(tape: Tape, st: Storage, index: int) -> bool:
    """Is an autograd leaf with a pending value a natural place to run first? A written one is: an
    initialised or updated parameter, read for the next forward. One that was computed is the first
    time (it may be an initial value); where that is seen again it is part of a loop."""
    if st.dirty is tape.mark:
        return True
    if st.buf is not None:
        return False
    return writes(st) > 0 or not second_place(tape.state, (GRADLEAF, index))


def _bind_leaf(tape: Tape, t: Tensor, st: Storage) -> int:
    """First use in this piece of an autograd leaf."""
    if t.cmark is not None and t.cmark is not tape.mark:
        leave_note(t.cmark, (id(t), t.csrc), t.cidx)
    tape.busy = True
    s = leaf_state(tape, PARAM[st.form])
    mark = t.cmark = tape.mark
    tape.leaves.append(st)
    tape.grad_leaves.append(t)
    st.mark = mark
    st.idx = t.csrc = index = s.idx
    t.cidx = index + 1
    if SEVERAL:
        tape.bound[id(st)] = index
        tape.bound[id(t), index] = index + 1
    tape.busy = False
    return index + 1


def _first_of_leaf(tape: Tape, t: Tensor, st: Storage) -> int:
    """First use in this piece: bound by another thread, exported, or read without gradients."""
    mark = st.mark
    if st.buf is None or (mark is not None and mark.tape is not None):
        if elsewhere(tape, st) is not None:
            return _read_leaf(tape, t, st)
    if st.exported and lent(st):
        index = snapshot(tape, st.buf.array(st.form), st.form)
        return grad_leaf(tape, t, index) if tape.grad else index
    return _bind_leaf(tape, t, st) if tape.grad else bind(tape, st)


def grad_leaf(tape: Tape, t: Tensor, index: int) -> int:
    """A value of the tape as autograd leaf `t`: gradients end here."""
    key = (GRADLEAF, index)
    if t.cmark is not None and t.cmark is not tape.mark:
        leave_note(t.cmark, (id(t), t.csrc), t.cidx)
    tape.busy = True
    at = tape.state
    s = at.kids.get(key)
    if s is None:
        s = State(at, GRADLEAF, None, (index,), (form_of(at, index),), (True,))
        at.kids[key] = s
    tape.state = s
    tape.grad_leaves.append(t)
    t.cmark = tape.mark
    t.csrc = index
    t.cidx = s.idx
    if SEVERAL:
        tape.bound[id(t), index] = s.idx
    tape.busy = False
    return s.idx


def _read_view(tape: Tape, t: Tensor, st: Storage, lens) -> int:
    if t.base is not None:
        index = read(tape, t.base)
    elif st.buf is not None and st.hist is None and st.dirty is not tape.mark:
        if st.exported and lent(st):
            return snapshot(tape, lens.array(st.buf.array(st.form)), lens.form)
        if lens.piece is not None and tape.tracing is None and _settled_here(tape, st):
            return _read_part(tape, t, st, lens)
        index = st.idx if st.mark is tape.mark else bind(tape, st)
    else:
        if lens.listed and st.buf is None and tape.tracing is None:
            flush(tape)  # then its pieces are leaves, and the first batch is like all others
            if st.buf is not None:
                return read(tape, t)
        index = st.idx if st.mark is tape.mark else bind(tape, st)
    if t.cmark is tape.mark and t.csrc == index:
        return t.cidx
    t.csrc = index
    t.cidx = found = look_at(tape, lens, index)
    t.cmark = tape.mark
    return found


def _settled_here(tape: Tape, st: Storage) -> bool:
    """Is the storage not in use by another thread's tape?"""
    mark = st.mark
    return mark is None or mark.tape is None or mark is tape.mark


def _read_part(tape: Tape, t: Tensor, st: Storage, lens) -> int:
    """A piece of an evaluated storage is a leaf of its own: where it lies is in no key, so a loop
    over the rows of a table is one program."""
    if t.cmark is tape.mark and t.csrc == PART:
        return t.cidx
    t.csrc = PART
    t.cidx = found = bind(tape, evaluated_storage(st.buf.part(*lens.piece), lens.form))
    t.cmark = tape.mark
    return found


def look_at(tape: Tape, lens, index: int) -> int:
    """The value that a storage's value has through a lens."""
    if not lens.steps and not lens.detached:
        return index
    tape.busy = True
    at = tape.state
    s = at.kids.get((LOOK, lens, index))
    if s is None:
        s = _moving_state(at, lens, (LOOK, lens.moving, index)) if lens.starts else None
        if s is not None:
            tape.scalars += lens.starts
        else:
            s = _look_state(at, lens, (index,), (LOOK, lens, index))
    tape.state = s
    tape.busy = False
    return s.idx


def _look_state(at: State, lens, args: tuple, key: tuple) -> State:
    rg = has_history(at, args[0]) and not lens.detached and not at.ng
    s = State(at, LOOK, lens, args, (lens.form,), (rg,))
    at.kids[key] = s
    return s


def _moving_state(at: State, lens, key: tuple) -> State | None:
    """A slice that begins elsewhere than one seen here before: where it begins becomes a run-time
    number. None for the first one."""
    s = at.kids.get(key)
    if s is None and second_place(at, key):
        s = _look_state(at, lens.moving, (key[2],) + (INT,) * len(lens.starts), key)
    return s


def second_place(at: State, key: tuple) -> bool:
    """Was a slice of this pattern seen at this state before? Remembers that it was."""
    seen = at.seen
    if seen is None:
        seen = at.seen = set()
    if key in seen:
        return True
    seen.add(key)
    return False


def grow(tape: Tape, key: tuple, call, attrs: tuple | None, args: tuple) -> State:
    """A call seen for the first time at this point: infer its forms (the face's errors come from
    here, at the user's line) and make the state."""
    at = tape.state
    attrs = attrs or ()
    if at.casting is not None:
        call = at.casting.of(call)
    try:
        forms = call.forms(attrs, *(form_of(at, a) for a in args))
    except BaseException:
        tape.busy = False
        raise
    s = State(at, CALL, (call, attrs), args, forms, histories(at, call, forms, args))
    at.kids[key] = s
    return s


def histories(at: State, call, forms: tuple, args: tuple) -> tuple[bool, ...]:
    """Which results have a history: those a gradient can flow through."""
    tracked = not at.ng and call.differentiable and any(has_history(at, a) for a in args)
    return tuple(tracked and f.dtype.is_smooth for f in forms)
