"""The thread team that programs of much work run on.

Role: start, size and stop the threads; `team_code` says how they share a program. A program finds
the team by the address of its state, which never changes, and comes back with `NOT_STARTED` when
there are no threads yet: then `start()` and enter it again. Work that is not worth a second thread
never comes here. Results do not depend on the number of threads.

The size is what was set last, else GEMEL_NUM_THREADS, else the cores that the process may use.
Members are Python threads inside of one native call, without the interpreter's lock. They leave
before the process forks and when it ends; a child has a team of its own.
"""

from __future__ import annotations

import atexit
import ctypes
import math
import os
import signal
import threading
import time
import warnings
from functools import cache
from typing import Any

import numpy as np

from . import jit, object_cache, team_code
from .machine import usable_cores
from .team_code import ALONE, CLOSED, NOT_STARTED, READY, UNSTARTED

__all__ = [
    "NOT_STARTED", "address", "helped", "reserve", "set_threads", "size", "start", "threads",
]  # fmt: skip

VARIABLE = "GEMEL_NUM_THREADS"
_PATIENCE = 2.0  # seconds to wait for a program that runs on the team
_ALIGNMENT = 64


class _Team:
    """The state that `team_code` works on, and the threads. scratch_bytes: memory of each one."""

    def __init__(self) -> None:
        self.state = _aligned(team_code.STATE_BYTES)
        self.address = self.state.ctypes.data
        self.scratch_bytes = 0
        self.forget()
        self._write("i8", team_code.RUN, _library().address("run"))
        self._write("i8", team_code.SHARE, _library().address("share"))

    def forget(self) -> None:
        """As if no thread had ever been started: a new process."""
        self.lock = threading.Lock()
        self.members: list[threading.Thread] = []
        self.scratch: list[np.ndarray] = []
        self._write("i8", team_code.WORD, CLOSED)
        for field in (team_code.STATUS, team_code.BUSY, team_code.SLEEPERS, team_code.STOP):
            self._write("i4", field, 0)

    def _write(self, kind: str, offset: int, value: int) -> None:
        self.state[offset : offset + int(kind[1])].view(kind)[0] = value

    def helped(self) -> int:
        at = team_code.HELPED
        return int(self.state[at : at + 8].view("i8")[0])

    # ---------- starting ----------
    def start(self) -> None:
        """Have as many threads as there should be."""
        with self.lock:
            if not self.members:
                self._hire(size() - 1)
                self._write("i4", team_code.STATUS, READY if self.members else ALONE)

    def _hire(self, count: int) -> None:
        self._write("i4", team_code.STOP, 0)
        self._fill_masks()
        for number in range(1, count + 1):
            room = _aligned(self.scratch_bytes + _ALIGNMENT)
            self._write("i8", team_code.SCRATCH + 8 * number, room.ctypes.data)
            thread = threading.Thread(
                target=_serve, args=(self.address, number), name=f"gemel-{number}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                message = f"Gemel works with {number} instead of {count + 1} threads: {error}"
                warnings.warn(message, RuntimeWarning, stacklevel=4)
                return
            self.scratch.append(room)
            self.members.append(thread)

    def _fill_masks(self) -> None:
        """Per processor, the others that this process may use; all where it is the only one."""
        if not hasattr(os, "sched_getaffinity"):
            return
        allowed = [c for c in os.sched_getaffinity(0) if c < team_code.PROCESSORS]
        rows = self.state[team_code.MASKS :].reshape(team_code.PROCESSORS, team_code.MASK_BYTES)
        for own in allowed:
            others = np.zeros(team_code.PROCESSORS, np.uint8)
            others[[c for c in allowed if c != own] or allowed] = 1
            rows[own] = np.packbits(others, bitorder="little")

    # ---------- stopping ----------
    def stop(self, patience: float = _PATIENCE) -> None:
        """Send the threads away; the next program that wants them starts them again. Where a
        program of another thread takes longer than the patience, they stay."""
        with self.lock:
            self._dismiss(patience)

    def reserve(self, scratch_bytes: int) -> None:
        with self.lock:
            if scratch_bytes > self.scratch_bytes:
                self._dismiss(math.inf)
                self.scratch_bytes = max(scratch_bytes, 2 * self.scratch_bytes)

    def _dismiss(self, patience: float) -> None:
        if not self.members:
            self._write("i4", team_code.STATUS, UNSTARTED)
        elif self._seize(patience):
            self._write("i4", team_code.STATUS, UNSTARTED)
            _function("dismiss", None)(self.address)
            for thread in self.members:
                thread.join()
            self.members, self.scratch = [], []
            self._write("i4", team_code.BUSY, 0)

    def _seize(self, patience: float) -> bool:
        """No program shall use the team; those that come meanwhile work alone."""
        seize = _function("seize", ctypes.c_int)
        until = time.monotonic() + patience
        while not seize(self.address):
            if time.monotonic() > until:
                return False
            time.sleep(1e-4)
        return True


def _aligned(nbytes: int) -> np.ndarray:
    raw = np.zeros(nbytes + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + nbytes]


def _serve(address: int, number: int) -> None:
    """The whole life of a member. Signals are for the threads that run Python, except for those
    that its own code would cause."""
    if hasattr(signal, "pthread_sigmask"):
        own = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - own)
    _function("member", None)(address, number)


# ---------- the native functions ----------
@cache
def _library() -> jit.Library:
    """Compiled once per machine."""
    text, names = team_code.text(), team_code.exports()
    found = object_cache.lookup(text)
    if found is not None:
        return jit.load_object(found[1], names)
    image = jit.compile_object(text)
    object_cache.store(text, {}, image)
    return jit.load_object(image, names)


@cache
def _function(name: str, result: Any) -> Any:
    more = [ctypes.c_int64] if name == "member" else []
    return _library().function(name, result, ctypes.c_void_p, *more)


_made: list[_Team] = []
_making = threading.Lock()
_wanted = [0]  # the size that was set, or 0


def _team() -> _Team:
    with _making:
        if not _made:
            team = _Team()
            atexit.register(team.stop)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(before=team.stop, after_in_child=team.forget)
            _made.append(team)
    return _made[0]


# ---------- for programs and faces ----------
def address() -> int:
    """Where the team's state lies: a word of each table whose program has much work."""
    return _team().address


def start() -> None:
    """Start the threads, if there are none. ValueError for a bad GEMEL_NUM_THREADS."""
    _team().start()


def reserve(scratch_bytes: int) -> None:
    """Each thread shall have this much memory of its own."""
    _team().reserve(scratch_bytes)


def scratch_bytes() -> int:
    """Memory of the threads that there are."""
    return sum(room.nbytes for team in _made for room in team.scratch)


def threads() -> int:
    """The number of threads that was set, or the default. ValueError for a bad environment."""
    return _wanted[0] or _from_environment() or usable_cores()


def size() -> int:
    """How many threads run a program: `threads()`, where this system can have several."""
    return 1 if team_code.lacking() else min(threads(), team_code.MEMBERS)


def _from_environment() -> int:
    text = os.environ.get(VARIABLE, "").strip()
    if text and not (text.isdecimal() and int(text) > 0):
        raise ValueError(f"{VARIABLE} must be a positive whole number, not {text!r}")
    return int(text or 0)


def set_threads(count: int) -> None:
    """Run programs on this many threads from now on; 0 is the default again."""
    why = team_code.lacking()
    if count > 1 and why:
        warnings.warn(f"Gemel works on one thread here: {why}", RuntimeWarning, stacklevel=3)
    _wanted[0] = count
    for team in _made:
        team.stop(math.inf)


def helped() -> int:
    """How many pieces were run by threads beside the callers' since the process began."""
    return _team().helped()
