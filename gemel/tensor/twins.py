"""Copies of memory that NumPy arrays share.

An array may change at any time, so a read copies what it holds. Batches that are views of an array
are read again and again, and hardly ever change: a small copy is kept (`Storage.twin`), and taken
again as long as the bytes are the same. The built-in function that records calls
(`runtime/builtins/record.py`) compares them itself.
"""

from __future__ import annotations

import numpy as np

from gemel.graph.form import form, uint8
from gemel.runtime.buffer import Buffer

from .storage import Storage

SMALL = 1 << 18  # bytes of a copy that is kept
KEPT = 1 << 26  # bytes of all that are kept


class Twin(Storage):
    """A storage with a copy of another one's memory."""

    __slots__ = ("nbytes",)
    total = 0  # bytes of all

    def __init__(self, st: Storage):
        buffer = st.buf.copy()
        self.mark = None
        self.idx = -1
        self.form = st.form
        self.rg = False
        self.buf = buffer
        self.nbytes = buffer.nbytes
        Twin.total += self.nbytes

    def __del__(self):
        Twin.total -= self.nbytes


def copy_of(st: Storage) -> Storage:
    """A storage with what the memory of an exported one holds now."""
    twin = st.twin
    if twin is not None and st.hist is None and _same(st.buf, twin.buf):
        return twin
    made = Twin(st)
    if st.hist is not None:
        made.hist = st.hist
    elif twin is not None or (made.nbytes <= SMALL and Twin.total <= KEPT):
        st.twin = made
    return made


def _same(a: Buffer, b: Buffer) -> bool:
    return bool((_bytes_of(a) == _bytes_of(b)).all())


def _bytes_of(buffer: Buffer) -> np.ndarray:
    return buffer.array(form((buffer.nbytes,), uint8))
