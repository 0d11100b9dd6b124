"""Items of an iterator made ahead by a thread, while native code computes with the earlier ones.

The items are those that the iterator gives, in its order; an exception comes where its item would.
No more are made than `allow` said will be taken: a generator that goes on elsewhere loses nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from weakref import ref

ROOM = 32  # items that wait at most


class _State:
    """What the thread and its reader share. change: guards all else, told of every change"""

    def __init__(self, rows: Iterator, prepare: Callable) -> None:
        self.rows = rows
        self.prepare = prepare
        self.change = threading.Condition()
        self.waiting: deque = deque()
        self.allowed: float = 0
        self.begun = 0
        self.ended = False
        self.error: BaseException | None = None
        self.closed = False


class Ahead:
    """An iterator over the prepared items. The thread ends with the items, or with this object."""

    def __init__(self, rows: Iterator, prepare: Callable) -> None:
        self._state = _State(rows, prepare)
        self._thread: threading.Thread | None = None
        self._taken = 0

    def allow(self, count: int | None) -> None:
        """So many more items will be taken; None: all."""
        state = self._state
        with state.change:
            state.allowed += float("inf") if count is None else count
            state.change.notify_all()
        if self._thread is None:
            made = threading.Thread(
                target=_work, args=(state, ref(self)), name="gemel-ahead", daemon=True
            )
            self._thread = made
            made.start()

    def ready(self) -> int:
        """Items that wait now."""
        return len(self._state.waiting)

    def __iter__(self) -> Ahead:
        return self

    def __next__(self):
        state = self._state
        with state.change:
            while not state.waiting and not state.ended:
                if self._taken >= state.allowed:
                    raise RuntimeError("more items were taken than were allowed")
                state.change.wait()
            if state.waiting:
                item = state.waiting.popleft()
                self._taken += 1
                state.change.notify_all()
                return item
            error, state.error = state.error, None
        if error is not None:
            raise error
        raise StopIteration

    def __del__(self) -> None:
        state = self._state
        state.closed = True
        if state.change.acquire(blocking=False):
            state.change.notify_all()
            state.change.release()


def _work(state: _State, owner: ref) -> None:
    """Make items until there are none left, or nobody wants them."""
    while True:
        with state.change:
            while not state.closed and (state.begun >= state.allowed or len(state.waiting) >= ROOM):
                state.change.wait(1.0)
                state.closed = state.closed or owner() is None
            if state.closed:
                return
            state.begun += 1
        try:
            item = state.prepare(next(state.rows))
        except BaseException as error:
            with state.change:
                state.ended = True
                state.error = None if isinstance(error, StopIteration) else error
                state.change.notify_all()
            return
        with state.change:
            state.waiting.append(item)
            state.change.notify_all()
