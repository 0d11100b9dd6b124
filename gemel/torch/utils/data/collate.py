"""Putting samples together to a batch: tensors are stacked, structures are walked."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gemel.graph.form import form
from gemel.runtime.buffer import Buffer
from gemel.tensor import is_contiguous, offset, wrap
from gemel.torch import dtypes
from gemel.torch.creation import tensor
from gemel.torch.exchange import as_tensor
from gemel.torch.joining import stack
from gemel.torch.tensor import Tensor


def _is_ready(t: Tensor, like: Tensor) -> bool:
    """Is t's value in memory, in one piece, without history?"""
    st = t.st
    return (
        t.form is like.form
        and st.buf is not None
        and st.dirty is None
        and st.hist is None
        and not t.requires_grad
        and is_contiguous(t)
    )


def stack_tensors(tensors: list[Tensor]) -> Tensor:
    """The tensors along a new first dimension; values in memory are copied, nothing is recorded."""
    first = tensors[0]
    if not all(_is_ready(t, first) for t in tensors):
        return stack(tensors, 0)
    f = first.form
    batch = Buffer(f.nbytes * len(tensors))
    at = batch.address
    for t in tensors:
        source = t.st.buf.address + offset(t) * f.dtype.itemsize
        ctypes.memmove(at, source, f.nbytes)
        at += f.nbytes
    return wrap(batch, form((len(tensors), *f.shape), f.dtype), Tensor)


def _array_batch(arrays: list) -> Tensor:
    if arrays[0].dtype.kind in "OSUaM":
        raise TypeError(
            "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
            f"found {arrays[0].dtype}"
        )
    return as_tensor(np.stack(arrays))


def default_collate(batch: list):
    """A batch of samples: tensors, arrays and numbers become tensors with a first batch dimension;
    dicts, tuples and lists are collated entry by entry; strings stay lists."""
    first = batch[0]
    if isinstance(first, Tensor):
        return stack_tensors(batch)
    if isinstance(first, np.ndarray) or isinstance(first, np.generic):
        return _array_batch([np.asarray(x) for x in batch])
    if isinstance(first, bool):
        return tensor(batch)
    if isinstance(first, float):
        return tensor(batch, dtype=dtypes.float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        found = {k: default_collate([sample[k] for sample in batch]) for k in first}
        return found if type(first) is dict else _rebuilt(first, found)
    if isinstance(first, Sequence):
        return _sequences(first, batch)
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {type(first)}"
    )


def _sequences(first, batch: list):
    if any(len(sample) != len(first) for sample in batch):
        raise RuntimeError("each element in list of batch should be of equal size")
    columns = [default_collate(list(column)) for column in zip(*batch, strict=True)]
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*columns)
    return columns  # a list for tuples too: batches are unpacked, and may be changed


def _rebuilt(first: Mapping, found: dict):
    """The batch in the mapping's own class, where that takes a dict."""
    kind: Callable = type(first)
    try:
        return kind(found)
    except TypeError:
        return found


def default_convert(data):
    """Arrays become tensors, structures are walked, everything else stays: no batch is made."""
    if isinstance(data, np.ndarray) and data.dtype.kind not in "OSUaM":
        return as_tensor(data)
    if isinstance(data, Mapping):
        return {k: default_convert(v) for k, v in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, list | tuple):
        return [default_convert(v) for v in data]
    return data
