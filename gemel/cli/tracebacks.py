"""Tracebacks that show the user's own frames.

Role: the exception hook of `gemel run`. Input: an exception. Output: the interpreter's usual
text on standard error without the frames of Gemel, Keras and the import system, and with a hint
where a name of an original is missing. `GEMEL_TRACEBACK=full` keeps every frame. Invariant: where
no frame would be left, all of them are shown.
"""

import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from gemel.cli.aliases import FACES, hint

PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep
EXAMPLES = PACKAGE + "examples" + os.sep


def excepthook(kind, value, trace) -> None:
    """Print an uncaught exception, as `sys.excepthook` does."""
    shown = traceback.TracebackException(kind, value, trace, compact=True)
    if os.environ.get("GEMEL_TRACEBACK") != "full":
        for part in _chain(shown):
            part.stack = _own(part.stack)
    unread = isinstance(value, SyntaxError) and all(_internal(f.filename) for f in shown.stack)
    # A script that does not parse has no frame to show: the error itself names file and line.
    for line in shown.format_exception_only() if unread else shown.format():
        print(line, end="", file=sys.stderr)
    face = _missing_from(value)
    if face and "gemel coverage" not in str(value):
        print(f"This name is not in Gemel: {hint(face)}.", file=sys.stderr)


def _chain(shown: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    yield shown
    parts = [shown.__cause__, shown.__context__, *(shown.exceptions or ())]
    for part in parts:
        if part is not None:
            yield from _chain(part)


def _own(stack: traceback.StackSummary) -> traceback.StackSummary:
    kept = [frame for frame in stack if not _internal(frame.filename)]
    return traceback.StackSummary.from_list(kept) if kept else stack


def _internal(filename: str) -> bool:
    if filename.startswith("<frozen"):
        return True
    if filename.startswith(EXAMPLES):
        return False
    return filename.startswith((PACKAGE, *_keras()))


def _keras() -> tuple[str, ...]:
    module = sys.modules.get("keras")
    file = getattr(module, "__file__", None)
    return (os.path.dirname(file) + os.sep,) if file else ()


def _missing_from(error: BaseException) -> str | None:
    """The face whose lack of a name the error reports, if it reports one."""
    if isinstance(error, AttributeError):
        place = _place(error.obj)
    elif isinstance(error, ImportError):
        place = error.name or ""
    else:
        return None
    for face, package in FACES.items():
        if place.partition(".")[0] == face or (place + ".").startswith(package + "."):
            return face
    return None


def _place(owner: object) -> str:
    """The dotted name of the module that a module, a class or an instance belongs to."""
    if isinstance(owner, ModuleType):
        return owner.__name__
    return (owner if isinstance(owner, type) else type(owner)).__module__
