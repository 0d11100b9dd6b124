"""Which gradient tapes are recording. Apart from `tape`, so that variables can tell them."""

from __future__ import annotations

import weakref

TAPES: list = []
# tapes that may still be asked for gradients: a value that they saw must stay as it was
OPEN: weakref.WeakSet = weakref.WeakSet()


def accessed(variable) -> None:
    """A trainable variable was read: tapes that watch accessed variables take it."""
    if variable.trainable and variable.form.dtype.is_smooth:
        for tape in TAPES:
            if tape.watches_accessed:
                tape.seen(variable)


def watching() -> bool:
    """Does a tape watch the variables that are read now?"""
    return any(tape.watches_accessed for tape in TAPES)


def foreign_read(variable) -> None:
    """A trainable variable of Keras was read."""
    for tape in TAPES:
        if tape.watches_accessed:
            tape.foreign(variable)


class MadeVariable(Exception):
    """A function being recorded makes a variable, which has to be there before."""


# variables that the function being recorded has read or assigned, or None
_captures: list[dict | None] = [None]


def captured(variable) -> None:
    if _captures[0] is not None:
        _captures[0][id(variable)] = (variable, variable._tensor)


class capturing:
    """A context that collects the variables which a recorded function uses."""

    def __enter__(self) -> dict:
        self._before = _captures[0]
        _captures[0] = found = {}
        return found

    def __exit__(self, *exc) -> None:
        _captures[0] = self._before
