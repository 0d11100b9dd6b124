"""`tf.data.Dataset`: a pipeline of elements, as Python iterators over NumPy rows.

Role: feeds programs; computes nothing itself but what the functions given to `map` and `filter` do.
In: arrays, generators, other datasets. Out: elements in nested structures of eager tensors.
`shuffle` gives TensorFlow's own order for the same seeds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from os import urandom

import numpy as np

from gemel.ops.random import philox_blocks

from .convert import as_array
from .eager import EagerTensor
from .errors import InvalidArgumentError
from .function import TensorSpec
from .plan import philox_words
from .random import EAGER
from .symbolic import Tensor
from .variables import Variable

AUTOTUNE = -1
INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2


class Dataset:
    """Elements one after the other; each iteration begins anew.

    rows  a function that gives an iterator over the elements, with NumPy arrays as leaves
    size  how many there are, None where that is not known, inf for ever
    """

    def __init__(self, rows: Callable[[], Iterator], size: float | None = None):
        self._rows = rows
        self._size = size

    # ---------- sources ----------
    @classmethod
    def from_tensor_slices(cls, tensors, name=None) -> Dataset:
        """The rows of arrays, in the arrays' structure."""
        arrays = _mapped(tensors, _array)
        sizes = {len(a) for a in _leaves(arrays)}
        if len(sizes) != 1:
            raise ValueError(f"Dimensions {sorted(sizes)} are not compatible: all tensors must "
                             "have the same number of rows")
        count = sizes.pop()
        return cls(lambda: (_mapped(arrays, lambda a, i=i: a[i]) for i in range(count)), count)

    @classmethod
    def from_tensors(cls, tensors, name=None) -> Dataset:
        """One element."""
        arrays = _mapped(tensors, _array)
        return cls(lambda: iter([arrays]), 1)

    @classmethod
    def from_generator(
        cls, generator, output_types=None, output_shapes=None, args=None, output_signature=None,
        name=None,
    ) -> Dataset:
        """What the generator function yields, in the given element types."""
        wanted = output_types
        if output_signature is not None:
            wanted = _mapped(output_signature, lambda spec: spec.dtype)

        def rows():
            for item in generator(*(args or ())):
                yield _typed(item, wanted) if wanted is not None else _mapped(item, _array)

        return cls(rows)

    @classmethod
    def range(cls, *args, output_type="int64", name=None) -> Dataset:
        """Python's range, as int64."""
        numbers = range(*map(int, args))
        kind = np.dtype(str(getattr(output_type, "name", output_type))).type
        return cls(lambda: (np.asarray(kind(n)) for n in numbers), len(numbers))

    @classmethod
    def zip(cls, *datasets, name=None) -> Dataset:
        """Elements of several datasets side by side, as long as the shortest."""
        parts = datasets[0] if len(datasets) == 1 and not _is_dataset(datasets[0]) else datasets
        sizes = [d._size for d in _leaves(parts)]
        size = None if None in sizes else min(sizes)

        def rows():
            iterators = _mapped(parts, lambda d: d._rows())
            while True:
                try:
                    yield _mapped(iterators, next)
                except (StopIteration, RuntimeError):
                    return

        return cls(rows, size)

    # ---------- pipeline ----------
    def map(self, map_func, num_parallel_calls=None, deterministic=None, name=None) -> Dataset:
        """map_func of each element; a tuple's parts are its arguments."""
        return Dataset(lambda: (_called(map_func, row) for row in self._rows()), self._size)

    def filter(self, predicate, name=None) -> Dataset:
        """The elements for which the predicate holds."""
        return Dataset(lambda: (r for r in self._rows() if bool(_called(predicate, r))))

    def batch(
        self, batch_size, drop_remainder=False, num_parallel_calls=None, deterministic=None,
        name=None,
    ) -> Dataset:
        """So many elements stacked; the last batch may be smaller."""
        n = int(batch_size)

        def rows():
            source = self._rows()
            while batch := list(itertools.islice(source, n)):
                if len(batch) == n or not drop_remainder:
                    yield _stacked(batch)

        whole = None if self._size is None else self._size // n
        if whole is not None and not drop_remainder and self._size != float("inf"):
            whole = -(-self._size // n)
        return Dataset(rows, whole)

    def unbatch(self, name=None) -> Dataset:
        """The rows of each element."""

        def rows():
            for row in self._rows():
                count = len(_array(next(_leaves(row))))
                for i in range(count):
                    yield _mapped(row, lambda a, i=i: _array(a)[i])

        return Dataset(rows)

    def shuffle(
        self, buffer_size, seed=None, reshuffle_each_iteration=True, name=None
    ) -> Dataset:
        """Elements drawn from a buffer of so many; another order at each iteration."""
        order = _Order(seed, reshuffle_each_iteration is not False)
        n = int(buffer_size)
        if n <= 0:
            raise InvalidArgumentError(None, None, f"buffer_size must be positive: {n}")
        return Dataset(lambda: _shuffled(self._rows(), n, order.words()), self._size)

    def repeat(self, count=None, name=None) -> Dataset:
        """The elements again and again."""
        turns = None if count in (None, -1) else int(count)

        def rows():
            for _ in itertools.count() if turns is None else range(turns):
                empty = True
                for row in self._rows():
                    empty = False
                    yield row
                if empty:
                    return

        size = float("inf") if turns is None else self._size and self._size * turns
        return Dataset(rows, size)

    def take(self, count, name=None) -> Dataset:
        n = int(count)
        size = None if self._size is None else self._size if n < 0 else min(self._size, n)
        return Dataset(lambda: itertools.islice(self._rows(), None if n < 0 else n), size)

    def skip(self, count, name=None) -> Dataset:
        n = int(count)
        size = None if self._size is None else max(self._size - n, 0)
        return Dataset(lambda: itertools.islice(self._rows(), n, None), size)

    def concatenate(self, dataset, name=None) -> Dataset:
        sizes = (self._size, dataset._size)
        size = None if None in sizes else sum(sizes)
        return Dataset(lambda: itertools.chain(self._rows(), dataset._rows()), size)

    def enumerate(self, start=0, name=None) -> Dataset:
        def rows():
            for i, row in enumerate(self._rows(), int(start)):
                yield np.asarray(np.int64(i)), row

        return Dataset(rows, self._size)

    def cache(self, filename="", name=None) -> Dataset:
        """The elements are computed once and kept in memory."""
        kept: list = []
        done = []

        def rows():
            if done:
                return iter(kept)
            return self._keeping(kept, done)

        return Dataset(rows, self._size)

    def _keeping(self, kept: list, done: list) -> Iterator:
        found = []
        for row in self._rows():
            found.append(row)
            yield row
        kept[:] = found
        done.append(True)

    def prefetch(self, buffer_size=None, name=None) -> Dataset:
        """The same elements; nothing runs ahead."""
        return self

    def with_options(self, options, name=None) -> Dataset:
        return self

    # ---------- looking ----------
    def reduce(self, initial_state, reduce_func, name=None):
        state = _tensors(initial_state)
        for row in self._rows():
            state = _tensors(reduce_func(state, _tensors(row)))
        return state

    def as_numpy_iterator(self) -> Iterator:
        return (_mapped(row, lambda a: _plain(_array(a))) for row in self._rows())

    def cardinality(self):
        size = self._size
        if size is None:
            return EagerTensor.of(np.int64(UNKNOWN_CARDINALITY))
        return EagerTensor.of(np.int64(INFINITE_CARDINALITY if size == float("inf") else size))

    @property
    def element_spec(self):
        """A TensorSpec for each leaf, from the first element."""
        first = next(iter(self), None)
        return None if first is None else _mapped(first, TensorSpec.from_tensor)

    def __iter__(self) -> Iterator:
        return (_tensors(row) for row in self._rows())

    def __len__(self) -> int:
        if self._size is None:
            raise TypeError("The dataset length is unknown.")
        if self._size == float("inf"):
            raise TypeError("The dataset is infinite.")
        return int(self._size)

    def __bool__(self) -> bool:
        return True


class Options:
    """Options of a dataset: kept, without effect."""


class _Order:
    """The random words of a shuffle's iterations."""

    def __init__(self, seed: int | None, anew: bool):
        pair = EAGER.seeds(seed)
        if pair == (0, 0):
            pair = tuple(int.from_bytes(urandom(4), "little") for _ in range(2))
        self._seeds = pair
        self._parent = _philox(pair) if anew else None

    def words(self) -> Iterator[int]:
        """An endless stream for the next iteration."""
        if self._parent is None:
            return _philox(self._seeds)
        return _philox((next(self._parent), next(self._parent)))


def _philox(seeds: tuple[int, int]) -> Iterator[int]:
    for first in itertools.count(0, 256):
        state = philox_words(seeds, first)
        yield from philox_blocks(state, np.arange(256)).ravel().tolist()


def _shuffled(source: Iterator, size: int, words: Iterator[int]) -> Iterator:
    """One element at random from a buffer, whose oldest one then takes its place."""
    buffer = list(itertools.islice(source, size))
    start = 0
    while start < len(buffer):
        at = start + next(words) % (len(buffer) - start)
        row = buffer[at]
        buffer[at] = buffer[start]
        start += 1
        buffer += itertools.islice(source, 1)
        if start > 2 * size:
            del buffer[:start]
            start = 0
        yield row


# ---------- structures ----------
def _is_dataset(x) -> bool:
    return isinstance(x, Dataset)


def _leaves(structure) -> Iterator:
    if isinstance(structure, Mapping):
        for value in structure.values():
            yield from _leaves(value)
    elif isinstance(structure, tuple):
        for value in structure:
            yield from _leaves(value)
    else:
        yield structure


def _mapped(structure, change):
    if isinstance(structure, Mapping):
        return {k: _mapped(v, change) for k, v in structure.items()}
    if isinstance(structure, tuple):
        made = [_mapped(v, change) for v in structure]
        return type(structure)(*made) if hasattr(structure, "_fields") else tuple(made)
    return change(structure)


def _typed(item, wanted):
    if isinstance(wanted, (tuple, list)):
        return tuple(_typed(v, w) for v, w in zip(item, wanted, strict=True))
    if isinstance(wanted, Mapping):
        return {k: _typed(item[k], w) for k, w in wanted.items()}
    return as_array(item, wanted)


def _array(value) -> np.ndarray:
    if isinstance(value, (Tensor, Variable)):
        return np.asarray(value)
    return as_array(value)


def _plain(array: np.ndarray):
    return array[()] if array.ndim == 0 else array


def _tensors(row):
    return _mapped(row, lambda a: a if isinstance(a, Tensor) else EagerTensor.of(_array(a)))


def _called(function, row):
    row = _tensors(row)
    return function(*row) if isinstance(row, tuple) else function(row)


def _stacked(rows: list):
    first = rows[0]
    if isinstance(first, Mapping):
        return {k: _stacked([r[k] for r in rows]) for k in first}
    if isinstance(first, tuple):
        return tuple(_stacked(list(column)) for column in zip(*rows, strict=True))
    arrays = [_array(r) for r in rows]
    if len({a.shape for a in arrays}) > 1:
        raise InvalidArgumentError(
            None,
            None,
            f"Cannot batch tensors with different shapes: {sorted({a.shape for a in arrays})}",
        )
    return np.stack(arrays)


class experimental:
    """`tf.data.experimental`: names that have moved up."""

    AUTOTUNE = AUTOTUNE


def __getattr__(name: str):
    from ._missing import missing

    raise missing("data", name)
