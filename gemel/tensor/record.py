"""Recording: each call of a face is one transition of the trie and one new storage.

These functions are the hot path. They share one pattern, written out each time because a Python
call costs as much as all of it: indices of the operands (a read may flush, or another thread may
take the piece: then again), the state, a storage, a tensor.

A key names its values by index; a Python number is named by its type only and becomes a run-time
argument. `attrs` is a tuple and an index an int, so keys of different signatures cannot meet.

Where there is a built-in function that does the same (`recorder.py`), it comes first.
"""

from __future__ import annotations

from gemel.graph.form import Form, form
from gemel.ops.elementwise import cast
from gemel.ops.movement import expand
from gemel.ops.record import Call

from .overflow import overflow
from .read import Divert, grow, read
from .recorder import RECORD, RECORD_MANY
from .state import COMPLEX, NUMBER
from .storage import Storage
from .tape import LOCAL, Tape
from .tensor import Tensor

new = object.__new__


def record1(call, t: Tensor, attrs: tuple | None = None) -> Tensor:
    """Record `call` on one tensor; the result's class is `t.kin`."""
    tape = LOCAL.tape
    if RECORD:
        o = RECORD[0](tape, call, attrs, t, t)
        if o is not None:
            return o
    st = t.st
    try:
        while True:
            mark = tape.mark
            i = st.idx if st.mark is mark and t.lens is None else read(tape, t)
            tape.busy = True
            if tape.mark is mark:
                break
    except Divert as d:
        return d.tensor.divert(call, (t,), attrs)
    key = (call, i) if attrs is None else (call, i, attrs)
    s = tape.state.kids.get(key)
    if s is None:
        s = grow(tape, key, call, attrs, (i,))
    tape.state = s
    r = new(Storage)
    r.mark = mark
    r.idx = s.idx
    r.form = f = s.form
    r.rg = s.rg
    r.buf = None
    tape.made.append(r)
    tape.busy = False
    o = new(t.kin)
    o.st = r
    o.form = f
    if s.load > tape.limit:
        overflow(tape)
    return o


def record2(call, a, b, attrs: tuple | None = None, swap: bool = False) -> Tensor:
    """Record `call` on two operands, either of which may be a Python number.

    swap: exchange the operands (for reflected operators).
    """
    tape = LOCAL.tape
    if swap:
        a, b = b, a
    if RECORD:
        o = RECORD[0](tape, call, attrs, b if a.__class__ in NUMBER else a, a, b)
        if o is not None:
            return o
    i = NUMBER.get(a.__class__)
    j = NUMBER.get(b.__class__)
    kin = a if i is None else b
    try:
        while True:
            mark = tape.mark
            if i is None or i >= 0:
                st = a.st
                i = st.idx if st.mark is mark and a.lens is None else read(tape, a)
            if j is None or j >= 0:
                st = b.st
                j = st.idx if st.mark is mark and b.lens is None else read(tape, b)
            tape.busy = True
            if tape.mark is mark:
                break
    except Divert as d:
        return d.tensor.divert(call, (a, b), attrs)
    key = (call, i, j) if attrs is None else (call, i, j, attrs)
    s = tape.state.kids.get(key)
    if s is None:
        s = grow(tape, key, call, attrs, (i, j))
    if i < 0:
        tape.scalars += (a,) if i != COMPLEX else (a.real, a.imag)
    if j < 0:
        tape.scalars += (b,) if j != COMPLEX else (b.real, b.imag)
    tape.state = s
    r = new(Storage)
    r.mark = mark
    r.idx = s.idx
    r.form = f = s.form
    r.rg = s.rg
    r.buf = None
    tape.made.append(r)
    tape.busy = False
    o = new(kin.kin)
    o.st = r
    o.form = f
    if s.load > tape.limit:
        overflow(tape)
    return o


def record3(call, a, b, c, attrs: tuple | None = None) -> Tensor:
    """Record `call` on three operands; the first a tensor, the others may be numbers."""
    tape = LOCAL.tape
    if RECORD and a.__class__ not in NUMBER:
        o = RECORD[0](tape, call, attrs, a, a, b, c)
        if o is not None:
            return o
    if b.__class__ in NUMBER or c.__class__ in NUMBER or a.__class__ in NUMBER:
        return record_n(call, _kin((a, b, c)), (a, b, c), attrs)
    try:
        while True:
            mark = tape.mark
            st = a.st
            i = st.idx if st.mark is mark and a.lens is None else read(tape, a)
            st = b.st
            j = st.idx if st.mark is mark and b.lens is None else read(tape, b)
            st = c.st
            k = st.idx if st.mark is mark and c.lens is None else read(tape, c)
            tape.busy = True
            if tape.mark is mark:
                break
    except Divert as d:
        return d.tensor.divert(call, (a, b, c), attrs)
    key = (call, i, j, k) if attrs is None else (call, i, j, k, attrs)
    s = tape.state.kids.get(key)
    if s is None:
        s = grow(tape, key, call, attrs, (i, j, k))
    tape.state = s
    r = new(Storage)
    r.mark = mark
    r.idx = s.idx
    r.form = f = s.form
    r.rg = s.rg
    r.buf = None
    tape.made.append(r)
    tape.busy = False
    o = new(a.kin)
    o.st = r
    o.form = f
    if s.load > tape.limit:
        overflow(tape)
    return o


def _kin(operands) -> type:
    """Class of the result: that of the first tensor."""
    return next(x.kin for x in operands if isinstance(x, Tensor))


def operand_indices(tape: Tape, operands) -> tuple[int, ...]:
    """Indices of tensors and types of numbers, all valid together. Leaves the tape busy."""
    while True:
        mark = tape.mark
        found = tuple(
            [
                NUMBER[x.__class__]
                if x.__class__ in NUMBER
                else x.st.idx
                if x.st.mark is mark and x.lens is None
                else read(tape, x)
                for x in operands
            ]
        )
        tape.busy = True
        if tape.mark is mark:
            return found


def transition(tape: Tape, call, operands, attrs: tuple | None):
    """Take the transition of a call on any operands."""
    args = operand_indices(tape, operands)
    key = (call, *args) if attrs is None else (call, *args, attrs)
    s = tape.state.kids.get(key)
    if s is None:
        s = grow(tape, key, call, attrs, args)
    if args and min(args) < 0:
        add_numbers(tape, operands, args)
    tape.state = s
    return s


def add_numbers(tape: Tape, operands, args) -> None:
    """The run-time numbers of a transition, in the order of its arguments."""
    for x, i in zip(operands, args, strict=True):
        if i < 0:
            tape.scalars += (x,) if i != COMPLEX else (x.real, x.imag)


def record_n(call, cls: type, operands, attrs: tuple | None = None) -> Tensor:
    """Record `call` on any number of operands (tensors or numbers): one result of class `cls`."""
    tape = LOCAL.tape
    if RECORD and cls.kin is cls:
        o = RECORD[0](tape, call, attrs, cls, *operands)
        if o is not None:
            return o
    try:
        s = transition(tape, call, operands, attrs)
    except Divert as d:
        return d.tensor.divert(call, tuple(operands), attrs)
    o = result(tape, cls, s.idx, s.form, s.rg)
    tape.busy = False
    if s.load > tape.limit:
        overflow(tape)
    return o


def record_again(call, cls: type, operands, attrs: tuple | None = None) -> Tensor | None:
    """`record_n` of a call that was recorded at this point before, and so passed its checks; None
    for one that was not, with nothing recorded."""
    return RECORD[0](LOCAL.tape, call, attrs, cls, *operands) if RECORD else None


def record_many(call, cls: type, operands, attrs: tuple | None = None) -> list[Tensor]:
    """Record a `call` with several results: a list of tensors of class `cls`."""
    tape = LOCAL.tape
    if RECORD_MANY and cls.kin is cls:
        made = RECORD_MANY[0](tape, call, attrs, cls, *operands)
        if made is not None:
            return made
    try:
        s = transition(tape, call, operands, attrs)
    except Divert as d:
        return d.tensor.divert(call, tuple(operands), attrs)
    rows = enumerate(zip(s.forms, s.rgs, strict=True), s.idx)
    out = [result(tape, cls, index, f, rg) for index, (f, rg) in rows]
    tape.busy = False
    if s.load > tape.limit:
        overflow(tape)
    return out


def result(tape: Tape, cls: type, index: int, f: Form, rg: bool) -> Tensor:
    """A tensor over a new storage whose value is number `index` of the tape."""
    r = new(Storage)
    r.mark = tape.mark
    r.idx = index
    r.form = f
    r.rg = rg
    r.buf = None
    tape.made.append(r)
    o = new(cls)
    o.st = r
    o.form = f
    return o


# the value itself, in a storage of its own and without a history
COPY = Call("copy", lambda attrs, x: x, False)
FILL = Call("fill", lambda attrs, x: expand(cast(x, attrs[0].dtype), attrs[0].shape), False)


def fill(shape: tuple[int, ...], value, dtype, cls: type) -> Tensor:
    """A tensor with every cell `value` (a run-time number: another value compiles nothing)."""
    made = record_n(FILL, cls, (value,), (form(tuple(shape), dtype),))
    made.st.filled = value
    return made
