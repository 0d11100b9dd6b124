"""The loader's short way: batches of a `TensorDataset` are copied row by row, natively.

No operation is recorded; each batch is a set of fresh buffers that nobody else holds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np

from gemel.graph.form import Form, form
from gemel.runtime.buffer import Buffer
from gemel.runtime.rows import gather_rows
from gemel.tensor import evaluated, wrap
from gemel.torch.tensor import Tensor

from .dataset import Subset, TensorDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler


class Table:
    """The tensors of a data set as tables of rows; `indices`: of a subset, or None."""

    def __init__(self, tensors: tuple[Tensor, ...], indices: np.ndarray | None):
        self.indices = indices
        self.buffers = [evaluated(t) for t in tensors]
        self.forms = [t.form for t in tensors]
        self.size = self.forms[0].shape[0]
        self.row_bytes = [f.nbytes // self.size if self.size else 0 for f in self.forms]
        self.words = (ctypes.c_uint64 * (3 * len(tensors)))()
        for k, (buffer, nbytes) in enumerate(zip(self.buffers, self.row_bytes, strict=True)):
            self.words[3 * k] = buffer.address
            self.words[3 * k + 2] = nbytes
        self.address = ctypes.addressof(self.words)
        self.by_rows: dict[int, list[Form]] = {}
        self.gather = gather_rows()

    def batch_forms(self, rows: int) -> list[Form]:
        found = self.by_rows.get(rows)
        if found is None:
            found = [form((rows, *f.shape[1:]), f.dtype) for f in self.forms]
            self.by_rows[rows] = found
        return found

    def batch(self, index_address: int, rows: int) -> list[Tensor]:
        """Rows by number: `rows` checked int64 numbers at an address."""
        words = self.words
        made = []
        at = 1
        for f in self.batch_forms(rows):
            buffer = Buffer(f.nbytes)
            words[at] = buffer.address
            at += 3
            made.append(wrap(buffer, f, Tensor))
        self.gather(self.address, len(made), index_address, rows)
        return made

    def checked(self, order: np.ndarray) -> np.ndarray:
        """Row numbers of the data set as row numbers of the tensors, all in range."""
        order = np.ascontiguousarray(order, np.int64)
        size = self.size if self.indices is None else len(self.indices)
        if order.size and (order.min() < -size or order.max() >= size):
            wrong = order[(order < -size) | (order >= size)][0]
            raise IndexError(f"index {wrong} is out of bounds for dimension 0 with size {size}")
        order = np.where(order < 0, order + size, order) if order.size else order
        return order if self.indices is None else np.ascontiguousarray(self.indices[order])


def table_of(dataset) -> Table | None:
    """The data set as a table, if it is one: a TensorDataset or a Subset of one."""
    indices = None
    while type(dataset) is Subset:
        own = np.asarray(dataset.indices, np.int64)
        indices = own if indices is None else own[indices]
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset or not dataset.tensors:
        return None
    if any(t.requires_grad or t.ndim == 0 for t in dataset.tensors):
        return None
    if indices is not None and indices.size:
        size = dataset.tensors[0].form.shape[0]
        if indices.min() < -size or indices.max() >= size:
            return None  # the plain way raises the index's own error
        indices = np.where(indices < 0, indices + size, indices)
    return Table(dataset.tensors, indices)


def batches(table: Table, sampler) -> Iterator[list[Tensor]]:
    """All batches in the batch sampler's order."""
    if type(sampler) is BatchSampler and type(sampler.sampler) in (RandomSampler,
                                                                   SequentialSampler):
        yield from _whole_order(table, sampler)
        return
    for indices in sampler:
        order = table.checked(np.asarray(indices))
        yield table.batch(order.ctypes.data, len(order))


def _whole_order(table: Table, sampler: BatchSampler) -> Iterator[list[Tensor]]:
    """The order of the whole pass is known at once."""
    inner = sampler.sampler
    order = inner.order() if type(inner) is RandomSampler else np.arange(len(inner))
    order = table.checked(order)
    address = order.ctypes.data
    size = sampler.batch_size
    whole = len(order) // size
    for k in range(whole):
        yield table.batch(address + 8 * size * k, size)
    rest = len(order) - whole * size
    if rest and not sampler.drop_last:
        yield table.batch(address + 8 * size * whole, rest)
