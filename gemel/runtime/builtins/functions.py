"""The built-in functions that record, in one module of code: they share how operands are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .call import builtin
from .draw import DRAW, DRAWING
from .engine import Engine, objects_of, text_of
from .instances import counts_are_words
from .look import LOOK, LOOKING
from .operands import OPERANDS
from .record import DEPOSIT, RECORD, RECORD_MANY, RECORDING
from .write import WRITE, WRITING


class Functions(NamedTuple):
    """See `record.py`, `write.py`, `look.py` and `draw.py`."""

    record: Callable[..., Any]
    record_many: Callable[..., Any]
    deposit: Callable[..., int]
    write: Callable[..., Any]
    look: Callable[..., Any]
    draw: Callable[..., Any]


def recording_functions(engine: Engine) -> Functions | None:
    """The functions, or None where the interpreter offers no such calls."""
    if not counts_are_words():
        return None
    objects = objects_of(engine)
    text = text_of(engine, OPERANDS, RECORDING, WRITING, LOOKING, DRAWING)
    plan, held = [id(x) for x in objects], (engine, objects)
    names = (RECORD, RECORD_MANY, DEPOSIT, WRITE, LOOK, DRAW)
    made = [builtin(text, name, plan, held) for name in names]
    return None if None in made else Functions(*made)
