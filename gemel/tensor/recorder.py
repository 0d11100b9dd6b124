"""Built-in functions that record what was seen before (`runtime/builtins/`).

They are there once a program is worth a quick way: loading them takes longer than a few calls do.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.runtime.buffer import Buffer
from gemel.runtime.builtins.engine import Engine
from gemel.runtime.builtins.functions import recording_functions

from .lens import WHOLE, Lens
from .state import BOOL, FLOAT, INT, LOOK, UPDATE, WRITE, State
from .storage import DATA, PARAM, Mark, Storage
from .tape import SEVERAL, Tape
from .tensor import LEAF, PART, Tensor

RECORD: list[Callable] = []  # none, or the one
RECORD_MANY: list[Callable] = []  # likewise
DEPOSIT: list[Callable] = []
WRITTEN: list[Callable] = []
LOOKED: list[Callable] = []
DRAWN: list[Callable] = []
PLACES = RECORD, RECORD_MANY, DEPOSIT, WRITTEN, LOOKED, DRAWN
_asked: list[bool] = []


def prepare() -> None:
    """From now on calls are recorded by the built-in functions, where there can be any."""
    if not _asked:
        _asked.append(True)
        engine = Engine(
            Tape, Mark, State, Storage, Tensor, LEAF, DATA, PARAM, SEVERAL, Lens, WHOLE, LOOK,
            WRITE, UPDATE, PART, Buffer, (FLOAT, INT, BOOL),
        )  # fmt: skip
        made = recording_functions(engine)
        if made is not None:
            for place, function in zip(PLACES, made, strict=True):
                place.append(function)
