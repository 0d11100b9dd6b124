"""Known values of different lengths, padded and put side by side: at once, in memory.

Texts of a batch have other lengths each time. Recorded, their padding would be a graph for every
set of lengths, with a leaf for each text; written into memory it is none.
"""

from __future__ import annotations

import numpy as np

from gemel.graph.form import Form, form
from gemel.runtime.buffer import Buffer

from .joint import is_settled, is_whole
from .storage import evaluated_storage
from .tape import LOCAL
from .tensor import Tensor, over

EXACT = {np.dtype(name) for name in ("float32", "float64", "int32", "int64", "uint8")}


def padded_together(rows: list[Tensor], axis: int, value: float, left: bool) -> Tensor | None:
    """Rows [n_k, ...] as [count, longest, ...] (axis 0) or [longest, count, ...] (axis 1), with
    the value behind each, or before it if left; None where recording it is needed."""
    f = rows[0].form
    if LOCAL.tape.tracing is not None or not all(_is_plain(t, f) for t in rows):
        return None
    if value and not _holds(f, value):
        return None
    longest = max(t.form.shape[0] for t in rows)
    whole = form((len(rows), longest, *f.shape[1:]), f.dtype)
    filled = np.full(whole.shape, value, f.dtype.numpy)
    for row, t in zip(filled, rows, strict=True):
        n = t.form.shape[0]
        row[longest - n if left else 0 : longest if left else n] = t.st.buf.array(t.form)
    turned = np.ascontiguousarray(filled.swapaxes(0, axis))
    return over(evaluated_storage(Buffer.of(turned), form(turned.shape, f.dtype)), rows[0].kin)


def _is_plain(t: Tensor, like: Form) -> bool:
    """Is it known, all of its storage, and part of no gradient?"""
    alike = t.form.dtype is like.dtype and t.form.ndim and t.form.shape[1:] == like.shape[1:]
    if not alike or not is_whole(t):
        return False
    return is_settled(t.st) and t.st.hist is None and not t.st.rg


def _holds(f: Form, value: float) -> bool:
    """Is the value one of the element type, and NumPy's type the same?"""
    kind = f.dtype.numpy
    if kind not in EXACT or kind.name != f.dtype.name:
        return False
    if kind.kind == "f":
        return True
    return value == int(value) and np.iinfo(kind).min <= value <= np.iinfo(kind).max
