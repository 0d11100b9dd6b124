"""Where the values of parameters and gradients are, found by one built-in function.

Role: an optimizer's step needs to know which value of the piece under way each parameter and each
gradient is. The function looks at the slots of the objects itself. Out: the numbers, or None where
anything is not as an ordinary step has it.

Invariant: it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from sys import intern
from typing import Any, NamedTuple

from .call import builtin
from .instances import counts_are_words, slot_of
from .text import ATTRIBUTE, DECLARED, loop, with_slots

_NAME = "gemel_gather"


class Classes(NamedTuple):
    """The class of tensors, with a slot `st` that holds a place; that of places, with slots `mark`,
    `idx` and `buf`."""

    tensor: type
    place: type


def gatherer(
    tensors: list, places: list, members: list, classes: Classes
) -> Callable[[Any], tuple | None] | None:
    """gather(mark) -> `idx` of the places, then of the tensors' gradients.

    None where a tensor has another place than the one at its position in `places`, no `grad`, one
    with a `lens`, or one that is no value of the piece `mark`; where a place is no such value;
    where a member is one, or its memory is not its own.
    """
    if not counts_are_words():
        return None
    names = intern("grad"), intern("lens"), intern("st")
    tensor, place = classes
    plan = [
        id(tensors), len(tensors), id(places), id(members), len(members), id(place), id(None),
        *map(id, names), slot_of(tensor, "st"), slot_of(place, "mark"), slot_of(place, "idx"),
        slot_of(place, "buf"),
    ]  # fmt: skip
    return builtin(_text(), _NAME, plan, (tensors, places, members, classes, names))


# the place of a parameter and that of its gradient; both hold on to what is looked at
_FIND = """
  %t.tensor = call ptr @PyList_GetItem(ptr %tensors, i64 %t)
  %t.place = call ptr @slot(ptr %t.tensor, i64 %at.st)
  %t.known = call ptr @PyList_GetItem(ptr %places, i64 %t)
  %t.same = icmp eq ptr %t.place, %t.known
  br i1 %t.same, label %t.own, label %unusual
t.own:
  %t.pending = call i1 @enter(ptr %t.place, ptr %mark, i64 %at.mark, i64 %at.idx, ptr %out, i64 %t)
  br i1 %t.pending, label %t.gradient, label %unusual
t.gradient:
  %t.grad = call ptr @attribute(ptr %t.tensor, ptr %name.grad)
  %t.none = icmp eq ptr %t.grad, %none
  br i1 %t.none, label %unusual, label %t.look
t.look:
  %t.lens = call ptr @attribute(ptr %t.grad, ptr %name.lens)
  %t.plain = icmp eq ptr %t.lens, %none
  br i1 %t.plain, label %t.whole, label %unusual
t.whole:
  %t.there = call ptr @attribute(ptr %t.grad, ptr %name.st)
  %t.no = icmp eq ptr %t.there, null
  br i1 %t.no, label %unusual, label %t.some
t.some:
  %t.class = call ptr @slot(ptr %t.there, i64 8)
  %t.fits = icmp eq ptr %t.class, %place
  br i1 %t.fits, label %t.enter, label %unusual
t.enter:
  %t.second = add i64 %t, %many
  %t.entered = call i1 @enter(ptr %t.there, ptr %mark, i64 %at.mark, i64 %at.idx, ptr %out,
                              i64 %t.second)
  br i1 %t.entered, label %t.known.both, label %unusual
t.known.both:"""

_SEE_MEMBER = """
  %m.place = call ptr @PyList_GetItem(ptr %members, i64 %m)
  %m.mark = call ptr @slot(ptr %m.place, i64 %at.mark)
  %m.read = icmp eq ptr %m.mark, %mark
  br i1 %m.read, label %unusual, label %m.unread
m.unread:
  %m.memory = call ptr @slot(ptr %m.place, i64 %at.buf)
  %m.none = icmp eq ptr %m.memory, %none
  br i1 %m.none, label %unusual, label %m.there
m.there:
  %m.count = load i64, ptr %m.memory
  %m.alone = icmp eq i64 %m.count, 1
  br i1 %m.alone, label %m.sole, label %unusual
m.sole:
  %m.shelf = call ptr @slot(ptr %m.memory, i64 SHELF)
  %m.foreign = icmp eq ptr %m.shelf, %none
  br i1 %m.foreign, label %unusual, label %m.own
m.own:"""


@cache
def _text() -> str:
    return with_slots(f"""{DECLARED}{ATTRIBUTE}
; the place's number at position k of the tuple; false where it is none of this piece
define internal i1 @enter(ptr %place, ptr %mark, i64 %at.mark, i64 %at.idx, ptr %out, i64 %k) {{
  %found = call ptr @slot(ptr %place, i64 %at.mark)
  %same = icmp eq ptr %found, %mark
  br i1 %same, label %here, label %elsewhere
here:
  %number = call ptr @slot(ptr %place, i64 %at.idx)
  call void @Py_IncRef(ptr %number)
  %set = call i32 @PyTuple_SetItem(ptr %out, i64 %k, ptr %number)
  ret i1 true
elsewhere:
  ret i1 false
}}

define ptr @{_NAME}(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %plan = call ptr @PyLong_AsVoidPtr(ptr %self)
  %mark = load ptr, ptr %arguments
  %tensors = load ptr, ptr %plan
  %many = call i64 @word(ptr %plan, i64 1)
  %places = call ptr @slot(ptr %plan, i64 16)
  %members = call ptr @slot(ptr %plan, i64 24)
  %many.members = call i64 @word(ptr %plan, i64 4)
  %place = call ptr @slot(ptr %plan, i64 40)
  %none = call ptr @slot(ptr %plan, i64 48)
  %name.grad = call ptr @slot(ptr %plan, i64 56)
  %name.lens = call ptr @slot(ptr %plan, i64 64)
  %name.st = call ptr @slot(ptr %plan, i64 72)
  %at.st = call i64 @word(ptr %plan, i64 10)
  %at.mark = call i64 @word(ptr %plan, i64 11)
  %at.idx = call i64 @word(ptr %plan, i64 12)
  %at.buf = call i64 @word(ptr %plan, i64 13)
  %both = shl i64 %many, 1
  %out = call ptr @PyTuple_New(i64 %both)
{loop("t", "many", _FIND)}
{loop("m", "many.members", _SEE_MEMBER)}
  ret ptr %out
unusual:
  call void @PyErr_Clear()
  call void @Py_DecRef(ptr %out)
  call void @Py_IncRef(ptr %none)
  ret ptr %none
}}
""")
