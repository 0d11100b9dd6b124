"""What a compiled function depends on beside its arguments.

While a function is recorded, parts of the face say with `guard(check)` under which condition the
record stays good; `torch.compile` asks the checks before every call.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

_open: list[Conditions] = []


class Modes:
    """Counts changes that records may not have seen: of a module's training flag or members, of
    the storage that a tensor looks at."""

    __slots__ = ("changes",)

    def __init__(self):
        self.changes = 0


MODES = Modes()


class Conditions:
    """checks   must all be true; cleared: ids of tensors whose gradient is forgotten inside"""

    def __init__(self):
        self.checks: list[Callable[[], bool]] = []
        self.cleared: set[int] = set()


def guard(check: Callable[[], bool]) -> None:
    """Add a condition to the record under way, if there is one."""
    if _open:
        _open[-1].checks.append(check)


def clear_gradients(tensors) -> None:
    """Set `.grad` to None; a record under way learns that what was there does not matter."""
    for t in tensors:
        t.grad = None
    if _open:
        _open[-1].cleared.update(map(id, tensors))


@contextmanager
def collected():
    """The conditions added inside."""
    conditions = Conditions()
    _open.append(conditions)
    try:
        yield conditions
    finally:
        _open.pop()
