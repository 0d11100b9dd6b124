"""Blocks: batches of one form that one native call can go through.

In: arrays in memory and the order of their rows, or batches that were made one by one. Out: for a
step's program, where each batch lies (`feed`); for everything else, the batches themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from gemel import tensor as lazy
from gemel.graph.form import Form, form
from gemel.runtime.buffer import ALIGNMENT, Buffer
from gemel.tensor.bulk import Feed

from .layouts import Layout
from .tensors import dtype_of, tensor_class

SMALL = 1 << 18  # bytes of a batch that are soon copied


class ArrayBlock:
    """Rows of arrays, batch by batch.

    rows   [runs, batch]: the positions of each batch's rows; None: from `first` on, in order
    forms  of a batch's tensors
    """

    def __init__(self, layout: Layout, arrays: list, rows, first: int, runs: int, size: int):
        self.layout = layout
        self.arrays = arrays
        self.rows = rows
        self.first = first
        self.runs = runs
        self.size = size

    @cached_property
    def forms(self) -> list[Form]:
        return [form((self.size, *a.shape[1:]), dtype_of(a.dtype.name)) for a in self.arrays]

    def feed(self) -> Feed:
        """Where a bulk run finds the batches."""
        rows = self.rows
        if rows is None and self._is_small_and_askew():
            rows = (self.first + np.arange(self.runs * self.size)).reshape(self.runs, self.size)
        if rows is not None:
            return Feed(arrays=dict(enumerate(self.arrays)), rows=rows)
        feed = Feed(held=self.arrays)
        for k, (array, f) in enumerate(zip(self.arrays, self.forms, strict=True)):
            start = array.ctypes.data + self.first * (f.nbytes // max(self.size, 1))
            feed.addresses[k] = start + f.nbytes * np.arange(self.runs)
        return feed

    def _is_small_and_askew(self) -> bool:
        """Do batches lie where vectors cross cache lines, and are they copied sooner than read?"""
        small = sum(f.nbytes for f in self.forms) <= SMALL
        return small and any(a.ctypes.data % ALIGNMENT for a in self.arrays)

    def batches(self) -> Iterator[list[lazy.Tensor]]:
        """The tensors of each batch."""
        cls = tensor_class()
        for k in range(self.runs):
            start = self.first + k * self.size
            rows = slice(start, start + self.size) if self.rows is None else self.rows[k]
            made = []
            for array, f in zip(self.arrays, self.forms, strict=True):
                buffer = Buffer(f.nbytes)
                if self.rows is None:
                    buffer.array(f)[...] = array[rows]
                else:  # "clip" writes straight into the buffer; the rows are in range
                    array.take(rows, 0, buffer.array(f), "clip")
                made.append(lazy.wrap(buffer, f, cls))
            yield made

    def examples(self) -> list[lazy.Tensor]:
        """Tensors of a batch's forms, to record a step with; their values mean nothing."""
        cls = tensor_class()
        return [lazy.wrap(Buffer(f.nbytes), f, cls) for f in self.forms]


class MadeBlock:
    """Batches of one form that exist as tensors."""

    def __init__(self, layout: Layout, made: list[list[lazy.Tensor]]):
        self.layout = layout
        self.made = made
        self.runs = len(made)
        self.forms = [t.form for t in made[0]]

    def feed(self) -> Feed:
        columns = list(zip(*self.made, strict=True))
        buffers = [[_aligned(t) for t in column] for column in columns]
        addresses = [np.array([b.address for b in column], np.int64) for column in buffers]
        return Feed(addresses=dict(enumerate(addresses)), held=buffers)

    def batches(self) -> Iterator[list[lazy.Tensor]]:
        return iter(self.made)

    def examples(self) -> list[lazy.Tensor]:
        return self.made[0]


def _aligned(t: lazy.Tensor) -> Buffer:
    """Where the tensor's value lies, at a place that its elements may have."""
    buffer = lazy.evaluated(t)
    return buffer.copy() if buffer.address % t.form.dtype.itemsize else buffer


Block = ArrayBlock | MadeBlock
