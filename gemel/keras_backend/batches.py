"""Where a trainer's batches come from: arrays in memory, whose rows a step's program is given where
they lie; everything else is iterated as Keras's own adapters do, ahead of the steps where a thread
can do that.

A source starts, per epoch, a walk; `take` gives its next batches as blocks of one form.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import numpy as np
from keras.src import tree
from keras.src.backend import config
from keras.src.trainers import data_adapters
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.data_adapters.generator_data_adapter import GeneratorDataAdapter
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

from gemel import tensor as lazy
from gemel.runtime.machine import usable_cores

from .ahead import Ahead
from .blocks import ArrayBlock, Block, MadeBlock
from .layouts import Layout, outline
from .order import epoch_order
from .tensors import convert_to_tensor, dtype_of


def _plain(x) -> np.ndarray:
    """An array as Keras feeds it: floating-point types become floatx."""
    if isinstance(x, lazy.Tensor):
        x = lazy.array_of(x)
    if hasattr(x, "to_numpy"):
        x = x.to_numpy()
        x = x[:, None] if x.ndim == 1 else x
    x = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
    floats = x.dtype.kind == "f" or x.dtype.name == "bfloat16"
    wanted = config.floatx() if floats else x.dtype.name
    return np.ascontiguousarray(x, dtype=dtype_of(wanted).numpy)


class ArrayBatches:
    """Batches of arrays that are in memory, shuffled anew for every epoch where asked."""

    def __init__(self, adapter: ArrayDataAdapter) -> None:
        self.layout = Layout(adapter._inputs)
        flat = tree.flatten(adapter._inputs)
        self.arrays = [_plain(flat[i]) for i in self.layout.places]
        self.size = adapter._num_samples
        self.batch_size = min(adapter._batch_size, max(1, self.size))
        self.shuffle = adapter._shuffle
        self.num_batches = adapter.num_batches

    def start(self) -> ArrayWalk:
        """A way over all samples."""
        return ArrayWalk(self, epoch_order(self.size, self.shuffle, self.batch_size))

    def sample(self):
        """A batch's structure with arrays of a batch's shape, for building the model."""
        return self.layout.filled([a[: self.batch_size] for a in self.arrays])

    def begin_epoch(self) -> None:
        """Arrays need nothing."""

    def end_epoch(self) -> None:
        """Arrays need nothing."""


class ArrayWalk:
    """How far the samples were given; `order`: their positions, or None: as they are."""

    def __init__(self, source: ArrayBatches, order: np.ndarray | None) -> None:
        self.source = source
        self.order = order
        self.at = 0

    def allow(self, batches: int | None) -> None:
        """Nothing is prepared ahead."""

    def take(self, least: int, most: int) -> list[Block]:
        """The next `most` batches, or what is left."""
        n, size = self.source.batch_size, self.source.size
        full = min(most, (size - self.at) // n)
        blocks = [self._block(full, n)] if full else []
        if full < most and self.at < size:
            blocks.append(self._block(1, size - self.at))
        return blocks

    def _block(self, runs: int, n: int) -> Block:
        first, order = self.at, self.order
        self.at += runs * n
        rows = None if order is None else order[first : self.at].reshape(runs, n)
        return ArrayBlock(self.source.layout, self.source.arrays, rows, first, runs, n)


class StreamBatches:
    """Batches that a Keras adapter, or any iterable of batches, gives one by one."""

    def __init__(self, adapter: DataAdapter) -> None:
        self.adapter = adapter
        self.num_batches = adapter.num_batches
        self._layouts: dict = {}
        self._first: list = []
        self._rows: Iterator | None = None
        self._apart: bool | None = None

    def start(self) -> StreamWalk:
        """A way over all batches, from the one that was looked at on."""
        rows = self._rows if self._first else iter(self.adapter.get_numpy_iterator())
        first, self._first = self._first, []
        made = chain(first, rows)
        if self._apart is None:
            self._apart = self._may_be_apart(first)
        return StreamWalk(self, Ahead(made, _plain_arrays) if self._apart else made)

    def _may_be_apart(self, first: list) -> bool:
        """May another thread make the batches? A generator's or a data set's, as long as they are
        arrays: whatever computes with tensors does so in the order of the program."""
        kinds = (GeneratorDataAdapter, PyDatasetAdapter)
        if not isinstance(self.adapter, kinds) or getattr(self.adapter, "enqueuer", None):
            return False
        leaves = tree.flatten(first[0]) if first else []
        return usable_cores() > 1 and not any(isinstance(x, lazy.Tensor) for x in leaves)

    def taken(self, batch) -> tuple[Layout, list[lazy.Tensor]]:
        """A batch as layout and tensors."""
        key = outline(batch)
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._layouts[key] = Layout(batch)
        flat = tree.flatten(batch)
        return layout, [as_input(flat[i]) for i in layout.places]

    def sample(self):
        """The first batch; it is given again when iteration begins."""
        if not self._first:
            self._rows = iter(self.adapter.get_numpy_iterator())
            try:
                self._first = [next(self._rows)]
            except StopIteration:
                raise ValueError("the data has no batches") from None
        batch = self._first[0]
        layout = Layout(batch)
        flat = tree.flatten(batch)
        return layout.filled([_plain(flat[i]) for i in layout.places])

    def begin_epoch(self) -> None:
        self.adapter.on_epoch_begin()

    def end_epoch(self) -> None:
        self.adapter.on_epoch_end()


class StreamWalk:
    """The rest of a stream. rows: its batches, perhaps made ahead by a thread"""

    def __init__(self, source: StreamBatches, rows: Iterator) -> None:
        self.source = source
        self.rows = rows

    def allow(self, batches: int | None) -> None:
        """So many more will be taken (None: all)."""
        if isinstance(self.rows, Ahead):
            self.rows.allow(batches)

    def take(self, least: int, most: int) -> list[Block]:
        """At least so many batches, or the last ones; those that are ready, as far as `most`."""
        ready = self.rows.ready() if isinstance(self.rows, Ahead) else 0
        wanted = min(most, max(least, ready // least * least))
        blocks: list = []
        for batch in islice(self.rows, wanted):
            layout, tensors = self.source.taken(batch)
            last = blocks[-1] if blocks else None
            if last is not None and last[0] is layout and _alike(last[1][0], tensors):
                last[1].append(tensors)
            else:
                blocks.append((layout, [tensors]))
        return [MadeBlock(layout, made) for layout, made in blocks]


def _alike(a: list, b: list) -> bool:
    return all(x.form is y.form for x, y in zip(a, b, strict=True))


def _plain_arrays(batch):
    """What another thread does with a batch: everything that needs no tensors."""
    return tree.map_structure(lambda x: x if x is None else _plain(x), batch)


def as_input(x) -> lazy.Tensor:
    if isinstance(x, lazy.Tensor):
        return x
    return convert_to_tensor(_plain(x))


class LoaderAdapter(DataAdapter):
    """An iterable of batches with a known or unknown length (a DataLoader, a Dataset)."""

    def __init__(self, loader) -> None:
        self.loader = loader

    def get_numpy_iterator(self):
        for batch in self.loader:
            # what is no row of several things is handed to `train_step` by itself
            yield tuple(batch) if isinstance(batch, (list, tuple)) else batch

    @property
    def num_batches(self):
        try:
            return len(self.loader)
        except TypeError:
            return None

    @property
    def batch_size(self):
        return getattr(self.loader, "batch_size", None)

    @property
    def has_partial_batch(self):
        return None

    @property
    def partial_batch_size(self):
        return None


def _is_loader(x) -> bool:
    """One of Gemel's own loaders or datasets: iterable, no tensor."""
    module = type(x).__module__ or ""
    return (
        module.startswith("gemel.") and not isinstance(x, lazy.Tensor) and hasattr(x, "__iter__")
    )


def source(
    x, y=None, sample_weight=None, batch_size=None, steps=None, shuffle=False, class_weight=None
):
    """The batches of what a user hands to fit, evaluate or predict."""
    if _is_loader(x):
        for name, given in (("y", y), ("sample_weight", sample_weight)):
            if given is not None:
                raise ValueError(
                    f"When providing `x` as a {type(x).__name__}, `{name}` should not be passed: "
                    "it is part of each batch."
                )
        return StreamBatches(LoaderAdapter(x))
    adapter = data_adapters.get_data_adapter(
        x=x,
        y=y,
        sample_weight=sample_weight,
        batch_size=batch_size,
        steps_per_epoch=steps,
        shuffle=shuffle,
        class_weight=class_weight,
    )
    if isinstance(adapter, ArrayDataAdapter):
        return ArrayBatches(adapter)
    return StreamBatches(adapter)
