"""Calls of a compiled function that no Python code serves.

Role: where a call is like the one before, all that Python would do is to look at words of memory,
find memory for the result and enter the program. The method of this module does that natively, for
an object that has a *plan*; whatever it does not know goes to the object's method `general`.
In: a plan (`Words`), whose maker keeps valid what it names. Out: a method for a class, or None
where the interpreter's objects do not lie as expected.

Invariants: between the last look and the program's end no Python code runs but the plan's
`numbers`, with the plan's gate busy; a result is used again only as a whole (tensor, storage,
buffer), when nobody but the plan holds any of the three, not even weakly.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

from .. import jit
from .call import image_of
from .direct_code import KNOWN, PLAN, Places, code
from .instances import bare_code, bare_is_right, containers_are_words

_FASTCALL_KEYWORDS = 0x82  # METH_FASTCALL | METH_KEYWORDS: (self, arguments, number, names)


class _Method(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("text", ctypes.c_char_p),
    ]


@cache
def native(places: Places, kinds: tuple[tuple[type, tuple[str, str]], ...]) -> jit.Library | None:
    """The code for objects with these places; `kinds`: classes of tensors and storages, with two
    names of attributes each. None where the interpreter keeps its objects in another way."""
    bare = bare_code()
    if bare is None or not containers_are_words():
        return None
    image = image_of(code(places, bare))
    try:
        library = jit.load_object(image, ["gemel_direct", "bare", "known"])
    except RuntimeError:  # the interpreter does not export what is called
        return None
    if not bare_is_right(library, dict(kinds)):
        return None
    known = (ctypes.c_uint64 * len(KNOWN)).from_address(library.address("known"))
    known[:] = [id(thing) for thing in KNOWN]
    return library


def install(kind: type, made: jit.Library) -> None:
    """Make the native method the `__call__` of a class whose instances have a slot `plan` (the
    address of a plan, or 0) and a method `general`."""
    method = _Method(b"__call__", made.address("gemel_direct"), _FASTCALL_KEYWORDS, None)
    describe: Any = ctypes.pythonapi.PyDescr_NewMethod
    describe.restype = ctypes.py_object
    describe.argtypes = [ctypes.py_object, ctypes.c_void_p]
    _installed.append((method, made))  # a class may live as long as the process
    setattr(kind, "__call__", describe(kind, ctypes.addressof(method)))  # noqa: B010


_installed: list[tuple] = []


class Words:
    """A plan as words of memory. `held`: what must live as long as a call may use it."""

    __slots__ = ("words", "address", "held", "tables", "__weakref__")

    def __init__(self):
        self.words = (ctypes.c_uint64 * len(PLAN))()
        self.address = ctypes.addressof(self.words)
        self.tables: list = []
        self.held: tuple | None = None

    def __setitem__(self, name: str, value: int) -> None:
        self.words[PLAN[name]] = value

    def __getitem__(self, name: str) -> int:
        return self.words[PLAN[name]]

    def table(self, name: str, rows: Sequence[Sequence[int]]) -> Any:
        """Rows of words under a name of PLAN; their number stands in the next word."""
        flat = [word for row in rows for word in row]
        words = (ctypes.c_uint64 * len(flat))(*flat)
        self.tables.append(words)
        self.words[PLAN[name]] = ctypes.addressof(words)
        self.words[PLAN[name] + 1] = len(rows)
        return words

    def open(self, *held: Any) -> None:
        """From now on calls may use it."""
        self.held = (self.words, *self.tables, *held)
        self["held"] = id(self.held)
        self["open"] = 1

    def close(self) -> None:
        """No call from now on; one under way keeps what it needs to its end."""
        self["open"] = 0
        self.held = None
        self.tables = []
