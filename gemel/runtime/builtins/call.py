"""Programs called as built-in functions of the interpreter.

Role: a call through ctypes takes 0.2 us, each word that Python writes into a table 0.04, each look
at an attribute 0.03. For programs of a few microseconds that is too much. A built-in function of
this module looks at words of memory, writes its arguments into a table and enters a program, in
0.05 us. In: addresses, which the caller keeps valid. Out: a Python function, or None where the
interpreter offers no such calls.

Invariant: the words that are looked at are read only while the interpreter's lock is held.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from .. import jit, object_cache
from .instances import counts_are_words as counts_are_words
from .instances import slot_of as slot_of
from .instances import word_at as word_at

CHANGED = -1  # what a call answers where a word is another one
_FASTCALL = 0x80  # METH_FASTCALL: (self, array of arguments, their number)
_NAME = "gemel_call"

# plan: entry or 0, table (0: one of the call's own, of as many words as arguments), looks, number
# of looks, lock to be released?, then per argument 2 * (place in the table) + (is it a float?).
# A look: address of a word, what it must be.
_IR = f"""
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyLong_FromLong(i64)
declare i64 @PyLong_AsLongLong(ptr)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyErr_Occurred()
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)

define ptr @{_NAME}(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %plan = call ptr @PyLong_AsVoidPtr(ptr %self)
  %plan.1 = getelementptr i64, ptr %plan, i64 1
  %plan.2 = getelementptr i64, ptr %plan, i64 2
  %plan.3 = getelementptr i64, ptr %plan, i64 3
  %plan.4 = getelementptr i64, ptr %plan, i64 4
  %plan.5 = getelementptr i64, ptr %plan, i64 5
  %program = load ptr, ptr %plan
  %common = load ptr, ptr %plan.1
  %private = icmp eq ptr %common, null
  %words = select i1 %private, i64 %count, i64 0
  %own = alloca i64, i64 %words
  %table = select i1 %private, ptr %own, ptr %common
  %looks = load ptr, ptr %plan.2
  %number = load i64, ptr %plan.3
  %release = load i64, ptr %plan.4
  br label %looking
looking:
  %k = phi i64 [ 0, %entry ], [ %k.next, %same ]
  %more = icmp ult i64 %k, %number
  br i1 %more, label %look, label %writing
look:
  %twice = shl i64 %k, 1
  %where = getelementptr i64, ptr %looks, i64 %twice
  %what = getelementptr i64, ptr %where, i64 1
  %address = load ptr, ptr %where
  %wanted = load i64, ptr %what
  %found = load i64, ptr %address
  %equal = icmp eq i64 %found, %wanted
  br i1 %equal, label %same, label %end
same:
  %k.next = add i64 %k, 1
  br label %looking
writing:
  %i = phi i64 [ 0, %looking ], [ %i.next, %written ]
  %left = icmp ult i64 %i, %count
  br i1 %left, label %write, label %calling
write:
  %at = getelementptr ptr, ptr %arguments, i64 %i
  %argument = load ptr, ptr %at
  %kind = getelementptr i64, ptr %plan.5, i64 %i
  %coded = load i64, ptr %kind
  %place = lshr i64 %coded, 1
  %target = getelementptr i64, ptr %table, i64 %place
  %float = trunc i64 %coded to i1
  br i1 %float, label %real, label %whole
real:
  %x = call double @PyFloat_AsDouble(ptr %argument)
  store double %x, ptr %target
  %odd.x = fcmp oeq double %x, -1.0
  br i1 %odd.x, label %perhaps, label %written
whole:
  %n = call i64 @PyLong_AsLongLong(ptr %argument)
  store i64 %n, ptr %target
  %odd.n = icmp eq i64 %n, -1
  br i1 %odd.n, label %perhaps, label %written
perhaps:
  %error = call ptr @PyErr_Occurred()
  %failed = icmp ne ptr %error, null
  br i1 %failed, label %raise, label %written
raise:
  ret ptr null
written:
  %i.next = add i64 %i, 1
  br label %writing
calling:
  %nothing = icmp eq ptr %program, null
  br i1 %nothing, label %end, label %some
some:
  %long = icmp ne i64 %release, 0
  br i1 %long, label %unlocked, label %locked
unlocked:
  %thread = call ptr @PyEval_SaveThread()
  %code.1 = call i32 %program(ptr %table)
  call void @PyEval_RestoreThread(ptr %thread)
  br label %called
locked:
  %code.2 = call i32 %program(ptr %table)
  br label %called
called:
  %code = phi i32 [ %code.1, %unlocked ], [ %code.2, %locked ]
  %wide = sext i32 %code to i64
  br label %end
end:
  %answer = phi i64 [ {CHANGED}, %look ], [ 0, %calling ], [ %wide, %called ]
  %out = call ptr @PyLong_FromLong(i64 %answer)
  ret ptr %out
}}
"""


class _Method(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("text", ctypes.c_char_p),
    ]


def caller(
    entry: int, table: int, places: Sequence[tuple[int, bool]], release: bool
) -> Callable[..., int] | None:
    """call(*arguments) -> what the program at `entry` answers.

    table    0: each call has a table of its own, so several threads may call at once
    places   per argument its word in the table, and whether it is a float there (else 64 bits)
    release  run the program without the interpreter's lock: worth it where it takes long
    """
    plan = [entry, table, 0, 0, int(release), *(2 * at + real for at, real in places)]
    return _function(plan, ())


def looker(looks: Sequence[tuple[int, int]], held: Any) -> Callable[[], int] | None:
    """look() -> CHANGED where the 64 bits at an address are other ones, else 0.

    looks  (address, the bits wanted);  held: what keeps the addresses valid
    """
    words = (ctypes.c_uint64 * (2 * len(looks)))(*(word for look in looks for word in look))
    return _function([0, 0, ctypes.addressof(words), len(looks), 0], (words, held))


def _function(plan: list[int], held: Any) -> Any:
    return builtin(_IR, _NAME, plan, held)


def builtin(text: str, name: str, plan: list[int], held: Any) -> Any:
    """A built-in function whose code is `name` in the LLVM text, called as METH_FASTCALL with the
    address of the plan's words as its `self`; None where the interpreter offers no such calls.
    held: what must live as long as the function."""
    made = _maker(text, name)
    if made is None:
        return None
    words = (ctypes.c_uint64 * len(plan))(*plan)
    new, method, _ = made
    # what stands in the place of the function's module lives as long as the function
    return new(method, ctypes.addressof(words), (words, held))


@cache
def _maker(text: str, name: str) -> tuple | None:
    """The interpreter's constructor of built-in functions, and ours described for it."""
    if sys.implementation.name != "cpython":
        return None
    try:
        library = _linked(text)
        new: Any = ctypes.pythonapi.PyCFunction_NewEx
    except (RuntimeError, AttributeError):  # the interpreter does not export what is called
        return None
    method = _Method(b"call", library.address(name), _FASTCALL, None)
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
    return new, ctypes.addressof(method), (method, library)


@cache
def _linked(text: str) -> jit.Library:
    """The text's code with all functions that it exports."""
    return jit.load_object(image_of(text), re.findall(r"^define ptr @(\w+)", text, re.MULTILINE))


def image_of(text: str) -> bytes:
    """The text's object, compiled once for all processes."""
    text = f"; small functions are inlined\n{text}"
    found = object_cache.lookup(text)
    if found is not None:
        return found[1]
    image = jit.compile_object(text, inline=True)
    object_cache.store(text, {}, image)
    return image
