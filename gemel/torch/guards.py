"""What a compiled function depends on beside its arguments.

While a function is recorded, parts of the face say with `guard(check)` under which condition the
record stays good; `torch.compile` asks the checks before every call.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

_open: list[list[Callable[[], bool]]] = []


def guard(check: Callable[[], bool]) -> None:
    """Add a condition to the record under way, if there is one."""
    if _open:
        _open[-1].append(check)


@contextmanager
def collected():
    """The list of conditions added inside."""
    checks: list[Callable[[], bool]] = []
    _open.append(checks)
    try:
        yield checks
    finally:
        _open.pop()
