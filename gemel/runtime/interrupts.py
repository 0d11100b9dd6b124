"""Ctrl-C waits while a program runs and until its results are stored.

The interpreter hears of a signal between two of its own instructions, so of one that comes during a
long native call right after it: parameters would be new, and everything else that the program gave
would be lost. `hold` puts the signal's handler off, `release` runs what came in between.
"""

from __future__ import annotations

# what `signal` is made of, without the look at an enumeration for every handler, which takes thirty
# times as long as the change
import _signal
import threading
from types import FrameType
from typing import Any

_MAIN = threading.main_thread().ident
_came: list[tuple[int, FrameType | None]] = []


def _note(number: int, frame: FrameType | None) -> None:
    _came.append((number, frame))


def hold() -> Any:
    """What `release` has to be given; None where there is nothing to put off: another thread than
    the main one, no handler in Python, or put off already."""
    if threading.get_ident() != _MAIN:
        return None
    handler = _signal.getsignal(_signal.SIGINT)
    if handler is _note or not callable(handler):
        return None
    _signal.signal(_signal.SIGINT, _note)
    return handler


def release(handler: Any) -> None:
    """The handler is back; what came meanwhile is handled now."""
    if handler is None:
        return
    _signal.signal(_signal.SIGINT, handler)
    if _came:
        number, frame = _came[-1]
        _came.clear()
        handler(number, frame)
