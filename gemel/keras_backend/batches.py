"""Where a trainer's batches come from: arrays are gathered straight into program inputs; everything
else is iterated as Keras's own adapters do.

A source gives, per epoch, `(layout, tensors)` of each batch: the tensors in order, and the nested
structure they belong in (one object as long as the structure stays the same).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from keras.src import tree
from keras.src.backend import config
from keras.src.trainers import data_adapters
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from gemel import tensor as lazy
from gemel.graph.form import form
from gemel.runtime.buffer import Buffer

from .order import epoch_order
from .tensors import convert_to_tensor, dtype_of, tensor_class


class Layout:
    """The nested structure of a batch. Leaves that are no tensors (None) are part of it."""

    __slots__ = ("structure", "places", "rest", "key")

    def __init__(self, structure) -> None:
        flat = tree.flatten(structure)
        self.structure = structure
        self.places = [i for i, x in enumerate(flat) if x is not None]
        self.rest = [None] * len(flat)
        self.key = outline(structure)

    def filled(self, tensors):
        """The structure with tensors in their places."""
        flat = list(self.rest)
        for i, t in zip(self.places, tensors, strict=True):
            flat[i] = t
        return tree.pack_sequence_as(self.structure, flat)


def outline(x):
    """The structure as a hashable value."""
    if isinstance(x, dict):
        return ("dict", tuple((k, outline(v)) for k, v in x.items()))
    if isinstance(x, (list, tuple)):
        return (type(x).__name__, tuple(outline(v) for v in x))
    return None if x is None else "."


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

    def __iter__(self) -> Iterator[tuple[Layout, list[lazy.Tensor]]]:
        order = epoch_order(self.size, self.shuffle, self.batch_size)
        if order is None:
            order = np.arange(self.size)
        cls = tensor_class()
        n = self.batch_size
        forms = self._forms(n)
        layout = self.layout
        arrays = self.arrays
        for start in range(0, self.size, n):
            if start + n > self.size:
                forms = self._forms(self.size - start)
            rows = order[start : start + n]
            made = []
            for array, f in zip(arrays, forms, strict=True):
                buffer = Buffer(f.nbytes)
                # "clip" writes straight into the buffer; the rows are known to be in range
                array.take(rows, 0, buffer.array(f), "clip")
                made.append(lazy.wrap(buffer, f, cls))
            yield layout, made

    def _forms(self, n: int) -> list:
        return [form((n, *a.shape[1:]), dtype_of(a.dtype.name)) for a in self.arrays]

    def sample(self):
        """A batch's structure with arrays of a batch's shape, for building the model."""
        return self.layout.filled([a[: self.batch_size] for a in self.arrays])

    def begin_epoch(self) -> None:
        """Arrays need nothing."""

    def end_epoch(self) -> None:
        """Arrays need nothing."""


class StreamBatches:
    """Batches that a Keras adapter, or any iterable of batches, gives one by one."""

    def __init__(self, adapter: DataAdapter) -> None:
        self.adapter = adapter
        self.num_batches = adapter.num_batches
        self._layouts: dict = {}
        self._ahead: list = []
        self._rows: Iterator | None = None

    def __iter__(self) -> Iterator[tuple[Layout, list[lazy.Tensor]]]:
        rows = self._rows if self._ahead else iter(self.adapter.get_numpy_iterator())
        while True:
            if self._ahead:
                batch = self._ahead.pop()
            else:
                try:
                    batch = next(rows)
                except StopIteration:
                    return
            yield self._taken(batch)

    def _taken(self, batch) -> tuple[Layout, list[lazy.Tensor]]:
        key = outline(batch)
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._layouts[key] = Layout(batch)
        flat = tree.flatten(batch)
        return layout, [as_input(flat[i]) for i in layout.places]

    def sample(self):
        """The first batch; it is given again when iteration begins."""
        if not self._ahead:
            self._rows = iter(self.adapter.get_numpy_iterator())
            try:
                self._ahead = [next(self._rows)]
            except StopIteration:
                raise ValueError("the data has no batches") from None
        batch = self._ahead[0]
        layout = Layout(batch)
        flat = tree.flatten(batch)
        return layout.filled([_plain(flat[i]) for i in layout.places])

    def begin_epoch(self) -> None:
        self.adapter.on_epoch_begin()

    def end_epoch(self) -> None:
        self.adapter.on_epoch_end()


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
            yield tuple(batch) if isinstance(batch, (list, tuple)) else (batch,)

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
