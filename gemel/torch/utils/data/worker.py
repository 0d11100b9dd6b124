"""Worker processes of a loader: each makes whole batches; their order stays the sampler's.

Workers are forked, so data sets need not be picklable. Worker i seeds Gemel, `random` and NumPy
with base seed + i. Batches come back as arrays.
"""

from __future__ import annotations

import os
import queue
import random as python_random
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gemel.tensor import random as streams

POLL_SECONDS = 1.0


@dataclass
class WorkerInfo:
    """What `get_worker_info()` gives inside a worker."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: list[WorkerInfo | None] = [None]


def get_worker_info() -> WorkerInfo | None:
    """Number, seed and data set of this worker; None in the main process."""
    return _info[0]


class Failure:
    """An error of a worker, to be raised in the main process."""

    def __init__(self, error: BaseException, worker: int):
        self.kind = type(error)
        self.worker = worker
        self.text = "".join(traceback.format_exception(error))

    def reraise(self) -> None:
        message = (
            f"Caught {self.kind.__name__} in DataLoader worker process {self.worker}.\n"
            f"Original {self.text}"
        )
        try:
            error = self.kind(message)
        except Exception:  # a class whose constructor takes something else
            raise RuntimeError(message) from None
        raise error


def _seed(base_seed: int, worker: int) -> int:
    seed = base_seed + worker
    python_random.seed(seed)
    streams.default_generator.manual_seed(seed % (1 << 63))
    np.random.seed(seed % (1 << 32))
    return seed


def _serve(loader, worker: int, base_seed: int, tasks, results) -> None:
    """The worker's loop: (number, indices) in, (number, batch or Failure) out; None ends it."""
    from .dataloader import fetcher

    seed = _seed(base_seed, worker)
    _info[0] = WorkerInfo(worker, loader.num_workers, seed, loader.dataset)
    parent = os.getppid()
    try:
        if loader.worker_init_fn is not None:
            loader.worker_init_fn(worker)
        fetch = fetcher(loader)
        broken = None
    except Exception as error:
        broken = Failure(error, worker)
    while os.getppid() == parent:
        try:
            task = tasks.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        if task is None:
            return
        number, indices = task
        results.put((number, broken or _made(fetch, indices, worker)))


def _made(fetch, indices, worker: int):
    try:
        return fetch(indices)
    except StopIteration:
        return StopIteration
    except Exception as error:
        return Failure(error, worker)


class Workers:
    """Some worker processes, and the batches that are on their way."""

    def __init__(self, loader, base_seed: int):
        import multiprocessing  # slow to import, and most loaders have no workers

        if "fork" not in multiprocessing.get_all_start_methods():
            raise NotImplementedError("num_workers > 0 needs a system with fork; use num_workers=0")
        self.loader = loader
        context = multiprocessing.get_context("fork")
        self.results = context.Queue()
        self.tasks = [context.Queue() for _ in range(loader.num_workers)]
        self.processes = [
            context.Process(
                target=_serve, args=(loader, i, base_seed, tasks, self.results), daemon=True
            )
            for i, tasks in enumerate(self.tasks)
        ]
        for process in self.processes:
            process.start()
        self.alive = [True] * loader.num_workers

    def batches(self, orders: Iterator) -> Iterator:
        """All batches in order. Iterable data sets: until every worker's stream has ended."""
        ready: dict[int, Any] = {}
        sent = 0
        given = 0
        ahead = self.loader.num_workers * self.loader.prefetch_factor
        orders = iter(orders)
        done = False
        while True:
            while not done and sent - given < ahead:
                done = not self._send(sent, orders)
                sent += not done
            if given == sent:
                return
            batch = self._take(given, ready)
            given += 1
            if batch is StopIteration:
                self.alive[(given - 1) % len(self.alive)] = False
                done = done or not any(self.alive)
                continue
            if batch is not None:
                yield batch[0]

    def _send(self, number: int, orders: Iterator) -> bool:
        indices = next(orders, None)
        if indices is None:
            return False
        self.tasks[number % len(self.tasks)].put((number, indices))
        return True

    def _take(self, number: int, ready: dict):
        waited = 0.0
        while number not in ready:
            try:
                found, batch = self.results.get(timeout=POLL_SECONDS)
                ready[found] = batch
            except queue.Empty:
                waited += POLL_SECONDS
                self._check(waited)
        batch = ready.pop(number)
        if isinstance(batch, Failure):
            batch.reraise()
        return batch if batch is StopIteration else (batch,)

    def _check(self, waited: float) -> None:
        for process in self.processes:
            if not process.is_alive():
                raise RuntimeError(
                    f"DataLoader worker (pid {process.pid}) exited unexpectedly with exit code "
                    f"{process.exitcode}"
                )
        if self.loader.timeout and waited >= self.loader.timeout:
            raise RuntimeError(
                f"DataLoader timed out after {self.loader.timeout} seconds"
            )

    def stop(self) -> None:
        for tasks in self.tasks:
            tasks.put(None)
        for process in self.processes:
            process.join(2 * POLL_SECONDS)
            if process.is_alive():
                process.terminate()
