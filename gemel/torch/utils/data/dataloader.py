"""`DataLoader`: batches of a data set, in PyTorch's order.

A pass first draws a base seed, then the sampler draws what it needs: with the same global seed the
batches come in the order they have under PyTorch. Batches of a `TensorDataset` are copied row by
row without recording anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Generic, TypeVar

from . import rows
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler
from .streams import seed64
from .worker import Workers

T_co = TypeVar("T_co", covariant=True)
PREFETCH = 2


class DataLoader(Generic[T_co]):
    """Iterates over batches of a data set.

    num_workers > 0 makes the batches in forked processes. pin_memory is accepted and has no
    effect: there is no accelerator. ValueError for options that exclude each other.
    """

    def __init__(self, dataset, batch_size: int | None = 1, shuffle: bool | None = None,
                 sampler: Iterable | None = None, batch_sampler: Iterable | None = None,
                 num_workers: int = 0, collate_fn: Callable | None = None,
                 pin_memory: bool = False, drop_last: bool = False, timeout: float = 0,
                 worker_init_fn: Callable | None = None, multiprocessing_context=None,
                 generator=None, *, prefetch_factor: int | None = None,
                 persistent_workers: bool = False, pin_memory_device: str = "",
                 in_order: bool = True):
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers,
                       multiprocessing_context)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = PREFETCH if prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.persistent_workers = persistent_workers
        self._iterable = isinstance(dataset, IterableDataset)
        _check_exclusive(self._iterable, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        if sampler is None and not self._iterable:
            if shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        elif sampler is None:
            sampler = repeat(None)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self._batched = batch_sampler is not None
        own = default_collate if self._batched else default_convert
        self.collate_fn = own if collate_fn is None else collate_fn
        self._table: tuple | None = None

    @property
    def _order(self) -> Iterable:
        """What is iterated over: batches of indices, or single ones."""
        return self.batch_sampler if self._batched else self.sampler

    def __iter__(self) -> Iterator[T_co]:
        orders = iter(self._order) if self._iterable or self.num_workers else None
        base_seed = seed64(self.generator)
        if self.num_workers:
            return _worked(self, base_seed, orders)
        table = self._rows()
        if table is not None:
            return rows.batches(table, self.batch_sampler)
        return _plain(self, iter(self._order) if orders is None else orders)

    def _rows(self):
        """The data set as a table of rows, made once for the same tensors."""
        if self.collate_fn is not default_collate or not self._batched:
            return None
        tensors = getattr(self.dataset, "tensors", None)
        known = self._table
        if known is not None and tensors is not None and known[0] is tensors:
            if all(a is t.st.buf and t.st.dirty is None
                   for a, t in zip(known[1].buffers, tensors, strict=True)):
                return known[1]
        table = rows.table_of(self.dataset)
        self._table = None if table is None else (tensors, table)
        return table

    def __len__(self) -> int:
        """The number of batches."""
        if not self._iterable:
            return len(self._order)
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __setattr__(self, name: str, value) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset")
        if name in fixed and "_table" in self.__dict__:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        object.__setattr__(self, name, value)


def _check_workers(num_workers, timeout, prefetch_factor, persistent, context) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable "
            "multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 "
            "to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if persistent and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")
    if context is not None and context != "fork":
        raise NotImplementedError(
            f"multiprocessing_context={context!r}: worker processes are forked"
        )


def _check_exclusive(iterable, batch_size, shuffle, sampler, batch_sampler, drop_last) -> None:
    if iterable:
        for name, value in (("shuffle", shuffle), ("sampler", sampler),
                            ("batch_sampler", batch_sampler)):
            if value not in (None, False):
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but "
                    f"got {name}={value}"
                )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None
                                      or drop_last):
        raise ValueError(
            "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and "
            "drop_last"
        )
    if batch_sampler is None and batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with "
            "drop_last"
        )


def fetcher(loader: DataLoader) -> Callable:
    """A function from (a batch of) indices to a batch; StopIteration where a stream has ended."""
    dataset, collate = loader.dataset, loader.collate_fn
    if loader._iterable:
        return _stream_fetcher(loader)
    if not loader._batched:
        return lambda index: collate(dataset[index])
    many = getattr(dataset, "__getitems__", None)
    if many is not None:
        return lambda indices: collate(many(indices))
    return lambda indices: collate([dataset[i] for i in indices])


def _stream_fetcher(loader: DataLoader) -> Callable:
    stream = iter(loader.dataset)
    collate = loader.collate_fn

    def fetch(indices):
        if not loader._batched:
            return collate(next(stream))
        samples = [sample for _, sample in zip(indices, stream, strict=False)]
        if not samples or (loader.drop_last and len(samples) < len(indices)):
            raise StopIteration
        return collate(samples)

    return fetch


def _plain(loader: DataLoader, orders: Iterator) -> Iterator:
    fetch = fetcher(loader)
    for indices in orders:
        try:
            batch = fetch(indices)
        except StopIteration:
            return
        yield batch


def _worked(loader: DataLoader, base_seed: int, orders: Iterator) -> Iterator:
    workers = Workers(loader, base_seed)
    try:
        yield from workers.batches(orders)
    finally:
        workers.stop()
