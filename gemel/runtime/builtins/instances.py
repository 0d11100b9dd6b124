"""Where the interpreter keeps what belongs to an instance, for native code that looks at it.

Role: native code reads slots, reference counts and lists as words of memory, and asks whether an
instance has attributes in its dict. Each of these places is tried on living objects before it is
used; where one is not as expected, the answer is None or False and the caller takes another way.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from functools import cache
from typing import Any

WORD = 8
_SAMPLE = 3
_MANAGED_DICT = 1 << 4  # flag of a class: its instances' dicts are made when somebody asks
LIST_SIZE, LIST_ITEMS = 16, 24  # how far into a list its length and its items' address lie
CELL = 16  # how far into a closure's cell its content lies

# bare(object): has it no attributes of its own? Where the dict is not made yet, two bytes before
# its values is their number; from 3.13 on, classes with slots have a dict as soon as a value.
_BARE_BY_VALUES = """
define i1 @bare(ptr %o) {
  %at.dict = getelementptr i64, ptr %o, i64 -3
  %dict = load i64, ptr %at.dict
  %at.values = getelementptr i64, ptr %o, i64 -4
  %values = load i64, ptr %at.values
  %none = icmp eq i64 %dict, 0
  br i1 %none, label %undone, label %no
undone:
  %empty = icmp eq i64 %values, 0
  br i1 %empty, label %yes, label %count
count:
  %number.at = sub i64 %values, 2
  %number.p = inttoptr i64 %number.at to ptr
  %number = load i8, ptr %number.p
  %zero = icmp eq i8 %number, 0
  br i1 %zero, label %yes, label %no
yes:
  ret i1 true
no:
  ret i1 false
}
"""
_BARE_BY_TAG = """
define i1 @bare(ptr %o) {
  %at.either = getelementptr i64, ptr %o, i64 -3
  %either = load i64, ptr %at.either
  %nothing = icmp eq i64 %either, 0
  br i1 %nothing, label %yes, label %some
some:
  %tag = trunc i64 %either to i1
  br i1 %tag, label %count, label %no
count:
  %number.at = sub i64 %either, 1
  %number.p = inttoptr i64 %number.at to ptr
  %number = load i8, ptr %number.p
  %zero = icmp eq i8 %number, 0
  br i1 %zero, label %yes, label %no
yes:
  ret i1 true
no:
  ret i1 false
}
"""
_BARE_BY_DICT = """
define i1 @bare(ptr %o) {
  %at.dict = getelementptr i64, ptr %o, i64 -3
  %dict = load i64, ptr %at.dict
  %none = icmp eq i64 %dict, 0
  ret i1 %none
}
"""
_BARE = {(3, 11): _BARE_BY_VALUES, (3, 12): _BARE_BY_TAG, (3, 13): _BARE_BY_DICT,
         (3, 14): _BARE_BY_DICT}  # fmt: skip


def word_at(address: int) -> int:
    """The 64 bits at an address."""
    return ctypes.c_uint64.from_address(address).value


@cache
def slot_of(kind: type, name: str) -> int:
    """How far into an object of a class the slot lies that holds another object."""
    thing: Any = object.__new__(kind)
    mark = object()
    setattr(thing, name, mark)
    places = range(0, kind.__basicsize__, WORD)
    return next(at for at in places if word_at(id(thing) + at) == id(mark))


def place(thing: Any, name: str) -> int:
    """The address of an object's slot."""
    kind: Any = type(thing)
    return id(thing) + slot_of(kind, name)


@cache
def counts_are_words() -> bool:
    """Is the first word of an object the number of its holders?"""
    if sys.implementation.name != "cpython":
        return False
    thing = object()
    if word_at(id(thing)) != 1:
        return False
    more = [thing, thing]
    return word_at(id(thing)) == 1 + len(more)


@cache
def containers_are_words() -> bool:
    """Do the class of an object, a list's length and items, and a cell's content lie where
    expected?"""
    if not counts_are_words():
        return False
    things = [object() for _ in range(_SAMPLE)]
    cell = (lambda: things).__closure__[0]  # type: ignore[index]
    at = id(things)
    return (
        word_at(at + WORD) == id(list)
        and word_at(at + LIST_SIZE) == _SAMPLE
        and word_at(word_at(at + LIST_ITEMS) + WORD) == id(things[1])
        and word_at(id(cell) + CELL) == at
    )


def bare_code() -> str | None:
    """IR of a function `bare(object)`, to be tried with `bare_is_right`; None where it is not
    known."""
    return _BARE.get(sys.version_info[:2])


def bare_is_right(library: Any, kinds: dict[type, tuple[str, str]]) -> bool:
    """Does the function see every attribute of instances of these classes? Two names of each."""
    if not counts_are_words() or not all(kind.__flags__ & _MANAGED_DICT for kind in kinds):
        return False
    bare = library.function("bare", ctypes.c_bool, ctypes.c_void_p)
    return all(_sees_attributes(bare, kind, *names) for kind, names in kinds.items())


def _sees_attributes(bare: Any, kind: type, first: str, second: str) -> bool:
    def found(thing) -> bool:
        return bare(id(thing))

    things: list[Any] = [object.__new__(kind) for _ in range(_SAMPLE)]
    if not all(map(found, things)):
        return False
    one, other, third = things
    setattr(one, first, None)
    other.__dict__[second] = 1
    setattr(third, first, 1)
    setattr(third, second, 2)
    if any(map(found, things)):
        return False
    delattr(third, first)
    return not found(third)


def weak_slot(kind: type) -> int:
    """How far from an object of a class the word lies that tells of weak references; 0: unknown."""
    thing: Any = object.__new__(kind)
    at = kind.__weakrefoffset__
    if not at or word_at(id(thing) + at) != 0:
        return 0
    mark = weakref.ref(thing)
    return at if mark() is thing and word_at(id(thing) + at) != 0 else 0
