"""Built-in functions that record what was seen before (`runtime/builtins/record.py`).

They are there once a program is worth a quick way: loading it takes longer than a few calls do.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.runtime.builtins.record import Engine, recorder

from .state import State
from .storage import DATA, PARAM, Mark, Storage
from .tape import SEVERAL, Tape
from .tensor import LEAF, Tensor

RECORD: list[Callable] = []  # none, or the one
DEPOSIT: list[Callable] = []  # likewise
_asked: list[bool] = []


def prepare() -> None:
    """From now on calls are recorded by the built-in functions, where there can be any."""
    if not _asked:
        _asked.append(True)
        engine = Engine(Tape, Mark, State, Storage, Tensor, LEAF, DATA, PARAM, SEVERAL)
        made = recorder(engine)
        if made is not None:
            RECORD.append(made[0])
            DEPOSIT.append(made[1])
