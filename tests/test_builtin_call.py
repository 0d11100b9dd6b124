"""Programs called as built-in functions of the interpreter."""

from __future__ import annotations

import ctypes

import pytest

from gemel.runtime import jit
from gemel.runtime.builtins import call as builtin_call

PROGRAM = """
define i32 @answer(ptr %table) {
  %first = getelementptr i64, ptr %table, i64 1
  %x = load i64, ptr %first
  %second = getelementptr i64, ptr %table, i64 3
  %y = load double, ptr %second
  %n = fptosi double %y to i64
  %sum = add i64 %x, %n
  %out = trunc i64 %sum to i32
  ret i32 %out
}
"""


@pytest.fixture(params=[False, True], ids=["lock held", "lock released"])
def call(request):
    library = jit.load(PROGRAM, ["answer"])
    table = (ctypes.c_uint64 * 4)()
    entry, address = library.address("answer"), ctypes.addressof(table)
    made = builtin_call.caller(entry, address, [(3, True), (1, False)], request.param)
    if made is None:
        pytest.skip("this interpreter has no such calls")
    yield made
    assert library and table


def test_arguments_go_to_their_places(call):
    assert call(2.0, 40) == 42
    assert call(-1.0, -1) == -2
    assert call(3, True) == 4


def test_arguments_of_other_kinds_are_errors(call):
    with pytest.raises(TypeError):
        call("2", 40)
    with pytest.raises(TypeError):
        call(2.0, 0.5)
    with pytest.raises(OverflowError):
        call(2.0, 1 << 80)
    assert call(1.0, 1) == 2


def test_a_look_sees_changed_words():
    words = (ctypes.c_uint64 * 3)(5, 6, 7)
    at = ctypes.addressof(words)
    look = builtin_call.looker([(at, 5), (at + 16, 7)], words)
    if look is None:
        pytest.skip("this interpreter has no such calls")
    assert look() == 0
    words[1] = 0
    assert look() == 0
    words[2] = 8
    assert look() == builtin_call.CHANGED
    words[2] = 7
    assert look() == 0


def test_a_look_sees_who_holds_an_object():
    if not builtin_call.counts_are_words():
        pytest.skip("this interpreter counts in another way")
    thing = object()
    held = (thing,)
    look = builtin_call.looker([(id(thing), 2)], held)
    assert look() == 0
    more = [thing]
    assert look() == builtin_call.CHANGED
    more.clear()
    assert look() == 0


def test_slots_are_found():
    class Slots:
        __slots__ = ("a", "b", "__dict__")

    thing = Slots()
    thing.a = thing.b = None
    thing.b = mark = object()
    assert builtin_call.word_at(id(thing) + builtin_call.slot_of(Slots, "b")) == id(mark)
    assert builtin_call.slot_of(Slots, "a") != builtin_call.slot_of(Slots, "b")
