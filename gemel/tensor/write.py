"""Writing: a storage's value is replaced; readers of the older value keep it.

An in-place call is one transition, also through a view: the call reads the view, its result is
written back along the lens, and the storage has a new value.
"""

from __future__ import annotations

import numpy as np

from gemel.graph.form import bool_
from gemel.graph.node import Node
from gemel.ops.elementwise import cast, where
from gemel.ops.record import Call, const

from .errors import InPlaceDType, InPlaceShape, LeafInPlace, OverlappingWrite
from .filling import filled_at_once
from .flush import flush
from .lens import Lens
from .overflow import overflow
from .read import Divert, histories, read_raw, second_place
from .record import add_numbers, operand_indices
from .recorder import WRITTEN
from .state import INT, NUMBER, WRITE, State, form_of, has_history
from .storage import Storage, lent, shared
from .tape import LOCAL, SEVERAL, Tape
from .tensor import SYMBOLIC, Tensor

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}

# what a copy into a tensor records: the old value is not looked at, any kind is cast
COPY_IN = Call("copy_in", lambda attrs, old, new: cast(new, old.dtype))


def _over(attrs, old: Node, new: Node) -> Node:
    return where(const(False, bool_), old, cast(new, old.dtype))


# The same where the old value has a history: its gradient is zeros, not none.
_COPY_OVER = Call("copy_in", _over)


def check_writable(t: Tensor) -> None:
    """LeafInPlace where gradients are recorded and t is, or looks at, an autograd leaf;
    OverlappingWrite where several cells of t are one place."""
    if LOCAL.tape.grad:
        if t.lrg:
            raise LeafInPlace("leaf")
        if t.base is not None and t.base.lrg:
            raise LeafInPlace("view" if t.brg else "no_grad view")
    if type(t.lens) is Lens and t.lens.overlapping:
        raise OverlappingWrite(t.form)


def inplace(call, t: Tensor, *operands, attrs: tuple | None = None) -> Tensor:
    """t's value becomes call(t, *operands), cast to t's element type. Returns t.

    InPlaceShape where the result is larger than t; InPlaceDType where t cannot hold its kind.
    """
    tape = LOCAL.tape
    if WRITTEN:
        done = WRITTEN[0](tape, call, attrs, t, *operands)
        if done is not None:
            return t
    check_writable(t)
    st = t.st
    lens = t.lens
    if lens is not None and type(lens) is not Lens:
        if lens is SYMBOLIC:
            return t.divert(call, (t, *operands), attrs)
        lens = None
    try:
        while True:
            args = operand_indices(tape, operands)
            mark = tape.mark
            i = st.idx if st.mark is mark else read_raw(tape, st)
            tape.busy = True
            if tape.mark is mark:
                break
    except Divert as d:
        return d.tensor.divert(call, (t, *operands), attrs)
    key = (WRITE, call, attrs, lens, t.bump, i, *args)
    s = tape.state.kids.get(key)
    moved = False
    if s is None:
        if lens is not None and lens.starts:
            s = _moving_write(tape, key, lens)
            moved = s is not None
        if s is None:
            s = _grow_write(tape, key, lens)
    if args and min(args) < 0:
        add_numbers(tape, operands, args)
    if moved:
        tape.scalars += lens.starts
    tape.state = s
    put(tape, st, s.idx, s.rg, t.bump)
    tape.busy = False
    if st.exported:
        flush(tape)
    elif s.load > tape.limit:
        overflow(tape)
    return t


def put(tape: Tape, st: Storage, index: int, rg: bool, bump: bool) -> None:
    """The storage's value is number `index` from now on."""
    st.idx = index
    st.rg = rg
    if bump:
        st.ver += 1
    if st.buf is not None:
        st.dirty = tape.mark
        if SEVERAL:
            tape.bound[id(st)] = index


def _moving_write(tape: Tape, key: tuple, lens: Lens) -> State | None:
    """A write that begins elsewhere than one seen here before: see `read.look_at`."""
    key = (*key[:3], lens.moving, *key[4:])
    at = tape.state
    s = at.kids.get(key)
    if s is None and second_place(at, key):
        s = _grow_write(tape, key, lens.moving, (INT,) * len(lens.starts))
    return s


def _grow_write(tape: Tape, key: tuple, lens, starts: tuple = ()) -> State:
    _, call, attrs, _, bump, base, *args = key
    at = tape.state
    whole = form_of(at, base)
    target = whole if lens is None else lens.form
    try:
        (made,) = call.forms(attrs or (), target, *(form_of(at, a) for a in args))
        check_result(target, made)
    except BaseException:
        tape.busy = False
        raise
    inputs = (base, *args)
    old = has_history(at, base)
    grafted = old and (at.ng or (lens is not None and lens.detached))
    rg = grafted or old or histories(at, call, (made,), inputs)[0]
    if lens is not None and lens.detached and not old:
        rg = False
    if call is COPY_IN and old and not grafted:
        call = _COPY_OVER
    data = (call, attrs or (), lens, bump, grafted)
    s = State(at, WRITE, data, inputs + starts, (whole,), (rg,))
    at.kids[key] = s
    return s


def check_result(target, made) -> None:
    """Can the result be held by the target?"""
    shape = made.shape
    lead = target.ndim - made.ndim
    pairs = zip(shape, target.shape[max(lead, 0) :], strict=True) if lead >= 0 else ()
    if lead < 0 or any(a != b and a != 1 for a, b in pairs):
        raise InPlaceShape(target, made)
    if _KINDS[made.dtype.kind] > _KINDS[target.dtype.kind]:
        raise InPlaceDType(target, made)


def write(t: Tensor, value) -> Tensor:
    """t's value becomes `value` (a tensor or a number), broadcast and cast to t. Returns t."""
    if type(t.lens) is Lens and t.lens.steps:
        check_writable(t)
        tape = LOCAL.tape
        known = value if value.__class__ in NUMBER else _known(tape, value, t.st)
        if known is not None and _poke(tape, t, known):
            return t
    return inplace(COPY_IN, t, value)


def _known(tape: Tape, value: Tensor, target: Storage) -> np.ndarray | None:
    """The value of an evaluated tensor that brings no history along."""
    st = value.st
    lens = value.lens
    if st.buf is None or st.hist is not None or lens is SYMBOLIC:
        return None
    if tape.grad and (value.lrg or value.base is not None):
        return None
    if st.mark is not None and st.mark.tape is not None:
        return None
    whole = st.buf.array(st.form)
    if type(lens) is not Lens:
        return whole
    if lens.strides is None:
        return None
    seen = lens.array(whole)
    return seen.copy() if st is target else seen  # a view of the target would count as a holder


def _poke(tape: Tape, t: Tensor, value) -> bool:
    """Put a known value straight into part of a storage, where nobody who is pending reads it."""
    st = t.st
    lens = t.lens
    if st.hist is not None or tape.tracing is not None or lens.strides is None:
        return False
    if st.buf is None and not filled_at_once(tape, st):
        return False
    if st.mark is not None and st.mark.tape is not None:
        return False
    if not (st.exported and lent(st)) and (shared(st) or not st.buf.owned):
        st.buf = st.buf.copy()
    try:
        with np.errstate(all="ignore"):
            lens.array(st.buf.array(st.form))[...] = value
    except (OverflowError, ValueError):
        return False  # an integer that wraps around, a shape that does not fit: the usual way
    if t.bump:
        st.ver += 1
    return True
