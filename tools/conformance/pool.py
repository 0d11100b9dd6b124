"""Tasks on worker processes that may die.

A task is (name, arguments); a worker is a fresh process that calls `function(*arguments)` for one
task after another. A task during which its process dies, or that takes longer than the limit, has
a `Lost` as its result, and a new process goes on with the next one.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait

_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Lost:
    """What became of a task without a result."""

    reason: str


class _Worker:
    def __init__(self, function: Callable):
        self.pipe, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_serve, args=(theirs, function), daemon=True)
        self.process.start()
        theirs.close()
        self.task: tuple | None = None
        self.until = 0.0

    def give(self, task: tuple, limit: float) -> None:
        self.task, self.until = task, time.monotonic() + limit
        self.pipe.send(task[1])

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe, function: Callable) -> None:
    while True:
        try:
            pipe.send(function(*pipe.recv()))
        except (EOFError, OSError):
            return


def run(
    function: Callable, tasks: Sequence[tuple], workers: int, limit: float
) -> Iterator[tuple[str, object]]:
    """(name, result) of each task, in the order in which they end. limit: seconds of a task."""
    waiting = list(reversed(tasks))
    team = [_Worker(function) for _ in range(max(1, min(workers, len(tasks))))]
    try:
        while True:
            for worker in team:
                if worker.task is None and waiting:
                    worker.give(waiting.pop(), limit)
            busy = [w for w in team if w.task is not None]
            if not busy:
                return
            wait([w.pipe for w in busy], timeout=1.0)
            for worker in busy:
                result = _result(worker)
                if result is None:
                    continue
                assert worker.task is not None
                yield worker.task[0], result
                worker.task = None
                if isinstance(result, Lost):
                    worker.stop()
                    team[team.index(worker)] = _Worker(function)
    finally:
        for worker in team:
            worker.stop()


def _result(worker: _Worker) -> object | None:
    """What a busy worker has come to; None while it goes on."""
    if worker.pipe.poll():
        try:
            return worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            return Lost(f"the process died (exit status {worker.process.exitcode})")
    if time.monotonic() > worker.until:
        return Lost("took too long")
    return None
