"""Values from NumPy and back.

`export` shares memory both ways, as PyTorch's numpy() does: the storage is *exported* for as long
as such an array lives; then reads take a snapshot and writes run at once, into the same memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from gemel.graph.form import DType, Form, dtype_of, form
from gemel.runtime.buffer import Buffer

from .errors import TraceBreak
from .flush import flush, observe
from .lens import Lens
from .read import bind
from .record import COPY, record1
from .storage import Storage, evaluated_storage, lent, shared
from .tape import LOCAL
from .tensor import Tensor, over

_CTYPES = {
    "bool": ctypes.c_bool,
    "uint8": ctypes.c_uint8,
    "int8": ctypes.c_int8,
    "int16": ctypes.c_int16,
    "int32": ctypes.c_int32,
    "int64": ctypes.c_int64,
    "uint16": ctypes.c_uint16,
    "uint32": ctypes.c_uint32,
    "uint64": ctypes.c_uint64,
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
}


def wrap(buffer: Buffer, f: Form, cls: type) -> Tensor:
    """A tensor over a buffer that nobody else will write."""
    return over(evaluated_storage(buffer, f), cls)


def from_array(array, cls: type) -> Tensor:
    """A tensor with a copy of the array's values. TypeError for element types not held."""
    a = np.asarray(array)
    return wrap(Buffer.of(a), form(a.shape, dtype_of(a.dtype)), cls)


def from_values(array: np.ndarray, dtype: DType, cls: type) -> Tensor:
    """A tensor with a copy of an array that holds values of this type as the engine does."""
    return wrap(Buffer.of(array), form(array.shape, dtype), cls)


def from_columns(columns: Sequence[np.ndarray], dtype: DType, cls: type) -> Tensor:
    """[n, k] of k arrays [n], one beside the other, cast to the type."""
    f = form((len(columns[0]), len(columns)), dtype)
    buffer = Buffer(f.nbytes)
    table = buffer.glance(f)
    for k, column in enumerate(columns):
        table[:, k] = column
    return wrap(buffer, f, cls)


def filled(shape: tuple[int, ...], value, dtype: DType, cls: type) -> Tensor:
    """A tensor with every cell `value`, in memory at once: for state that is made in the middle of
    a step, so that the first step is the same program as all others."""
    f = form(tuple(shape), dtype)
    buffer = Buffer(f.nbytes)
    buffer.array(f)[...] = value
    return wrap(buffer, f, cls)


def share_array(array: np.ndarray, cls: type) -> Tensor:
    """A tensor over the array's own memory: writes to either are seen by both.

    ValueError where the array is not C-contiguous or not writable: copy it first.
    """
    if not array.flags.writeable:
        raise ValueError("a read-only array cannot share its memory; copy it first")
    st = evaluated_storage(Buffer.sharing(array), form(array.shape, dtype_of(array.dtype)))
    st.exported = True
    st.lender = array
    return over(st, cls)


def rows_now(t: Tensor, index: Tensor) -> Tensor | None:
    """t[index] along the first axis, taken at once where t shares its memory with a NumPy array:
    recording it would have to copy all of t first. None where that does not apply."""
    st = t.st
    tape = LOCAL.tape
    if not st.exported or st.buf is None or st.hist is not None or type(t.lens) is Lens:
        return None
    if tape.tracing is not None or t.lrg or (st.mark is not None and st.mark.tape is not None):
        return None
    rows = array_of(index)
    size = st.form.shape[0]
    if not lent(st) or not rows.size or rows.min() < -size or rows.max() >= size:
        return None
    return from_array(np.take(st.buf.array(st.form), rows, 0), t.kin)


def settled(tape, st: Storage) -> Buffer:
    """The buffer of a storage's current value. Looks: may run."""
    if st.mark is tape.mark and (st.buf is None or st.dirty is st.mark):
        observe(tape)
    buf = st.buf
    mark = st.mark
    if buf is None or (mark is not None and mark.tape is not None and st.dirty is mark):
        if tape.tracing is not None:
            raise TraceBreak()
        bind(tape, st)  # runs another thread's piece, or says what went wrong
        buf = st.buf
    return buf


def evaluated(t: Tensor) -> Buffer:
    """The buffer of the whole value of `t`, C-ordered. Do not write it. Looks: may run."""
    tape = LOCAL.tape
    if tape.tracing is not None:
        return tape.tracing.looked_at(t)
    lens = t.lens
    if type(lens) is not Lens or not lens.steps:
        return settled(tape, t.st)
    if lens.strides is None:
        copy = record1(COPY, t)
        flush(tape)
        return copy.st.buf
    whole = settled(tape, t.st)
    if lens.is_contiguous and not t.st.exported:
        return whole.part(lens.offset * t.form.dtype.itemsize, t.form.nbytes)
    return Buffer.of(lens.array(whole.array(t.st.form)))


def array_of(t: Tensor) -> np.ndarray:
    """t's value as a read-only array (no copy). Looks: may run."""
    a = evaluated(t).array(t.form)
    a.flags.writeable = False
    return a


def glance(t: Tensor) -> np.ndarray:
    """As `array_of`, made quickly, to be used at once while `t` is held, and not to be written."""
    tape, lens = LOCAL.tape, t.lens
    if tape.tracing is not None or type(lens) is Lens and lens.steps:
        return array_of(t)
    return settled(tape, t.st).glance(t.form)


def known(t: Tensor) -> np.ndarray | None:
    """t's value as a read-only array where it is there already; None where looking at it would run
    something. It is to be used at once."""
    tape = LOCAL.tape
    st = t.st
    mark = st.mark
    if tape.tracing is not None or st.buf is None or (mark is not None and st.dirty is mark):
        return None
    whole = st.buf.array(st.form)
    lens = t.lens
    if type(lens) is Lens:
        if lens.strides is None or t.base is not None:
            return None
        whole = lens.array(whole)
    whole.flags.writeable = False
    return whole


def item(t: Tensor):
    """The one value of `t` as a Python number. ValueError where there are several."""
    f = t.form
    if f.size != 1:
        raise ValueError(f"only a tensor with one value has an item, this one is {f}")
    buf = evaluated(t)  # kept while its memory is read
    held = _CTYPES.get(f.dtype.name)
    return held.from_address(buf.address).value if held is not None else buf.array(f).item()


def export(t: Tensor) -> np.ndarray:
    """t's memory as a writable array: writes to either are seen by both. Looks: may run."""
    tape = LOCAL.tape
    st = t.st
    if tape.tracing is not None:
        raise TraceBreak()
    flush(tape)
    settled(tape, st)
    if not st.exported and (shared(st) or not st.buf.owned):
        st.buf = st.buf.copy()  # another storage has the same value: values never change
    st.exported = True
    whole = st.lender if st.lender is not None else st.buf.array(st.form)
    return t.lens.array(whole) if type(t.lens) is Lens else whole
