"""Regions of a recording whose values are computed again on the way back instead of being kept.

A region is a transition at its begin and one at its end; the graph is made of it on a miss
(`replay.py`), and gradients ask for what is computed again (`autodiff/again.py`). Where somebody
looks at a value inside, the piece ends there, and what it had to keep is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .replay import AGAIN
from .state import State
from .tape import LOCAL, Tape


@contextmanager
def computed_again() -> Iterator[None]:
    """What is recorded inside is computed again where gradients need it. Inside of another such
    region it is a region of its own."""
    tape = LOCAL.tape
    mark = tape.mark
    _step(tape, "begin")
    try:
        yield
    finally:
        if LOCAL.tape is tape and tape.mark is mark:
            _step(tape, "end")


def _step(tape: Tape, which: str) -> None:
    at = tape.state
    key = (AGAIN, which)
    found = at.kids.get(key)
    if found is None:
        found = at.kids[key] = State(at, AGAIN, which)
    tape.state = found
