"""A short program run on the values of objects in lists, as one built-in function.

Role: what stands between a list of places and a native call is a look at every place: is its
memory there, is it held by nobody else where the program overwrites it, where does it lie. In
Python that takes longer than a program of a few microseconds. Here the function looks itself, at
the slots of the objects. In: which places the program reads, and what becomes of its results.
Out: `run(places, numbers, made)`, or None where the interpreter offers no such calls.

Invariant: where it does not answer 0, no place has changed. The interpreter's lock is held
throughout, so nobody else sees or changes a list meanwhile; but for a program that takes long,
while which the memory that it reads is held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from ..buffer import Buffer
from ..native_call import Layout, entry_address
from ..program import Program
from .call import CHANGED, builtin
from .instances import counts_are_words, slot_of
from .text import DECLARED, loop, with_slots

HELD = -2  # a result's memory is held by somebody, and so is the spare one
_NAME = "gemel_run"
_HEAD = 16  # words of the plan before its lists


@dataclass(frozen=True)
class Task:
    """What is run, by positions in the lists that the function is given.

    reads    (position among the places, is it overwritten?) per leaf of the program
    numbers  position among the numbers, per run-time number of the program
    made     how many places there are for results
    results  (which of those, which piece of memory): somebody holds these, and no others
    shared   (which of those, position among the places): it is what that place held before
    moved    (position among the places, which piece of memory): the place has another value, and
             its memory of before takes the piece's place
    release  run the program without the interpreter's lock: worth it where it takes long. Nobody
             may call the function meanwhile.
    """

    reads: Sequence[tuple[int, bool]]
    numbers: Sequence[int]
    made: int
    results: Sequence[tuple[int, int]]
    shared: Sequence[tuple[int, int]] = ()
    moved: Sequence[tuple[int, int]] = ()
    release: bool = False


def runner(
    program: Program, layout: Layout, task: Task, arena: Buffer, results: tuple[list, list],
    place: type,
) -> Callable[[list, list, list], int] | None:  # fmt: skip
    """run(places, numbers, made) -> 0 where the program ran: the results' places have `buf` and no
    `mark` any more. CHANGED where a look found something unusual, HELD (see there), or what the
    program answered.

    place    class of the places, with slots `buf` and `mark`
    results  two lists of buffers, the program's outputs; those of the first that somebody holds
             change places with those of the second
    """
    if not counts_are_words():
        return None
    fixed = [arena.address, *layout.team]
    kept = {at for at, _ in (*task.results, *task.shared)}
    pairs = [*task.results, *task.shared, *task.moved]
    numbers = zip(task.numbers, layout.number_kinds, strict=True)
    plan = [
        entry_address(program), layout.words, len(task.reads), layout.outputs, len(fixed),
        len(task.numbers), task.made, id(results[0]), id(results[1]), id(None),
        slot_of(place, "buf"), slot_of(place, "mark"), int(task.release),
        len(task.results), len(task.shared), len(task.moved),
        *(2 * at + overwritten for at, overwritten in task.reads),
        *(word for pair in pairs for word in pair),
        *fixed,
        *(2 * at + (kind == "d") for at, kind in numbers),
        *(k in kept for k in range(task.made)),
    ]  # fmt: skip
    return builtin(_text(), _NAME, plan, (program, arena, results, place))


_PLAN = f"""\
  %plan = call ptr @PyLong_AsVoidPtr(ptr %self)
  %places = load ptr, ptr %arguments
  %given = call ptr @slot(ptr %arguments, i64 8)
  %made = call ptr @slot(ptr %arguments, i64 16)
  %program = load ptr, ptr %plan
  %words = call i64 @word(ptr %plan, i64 1)
  %many.reads = call i64 @word(ptr %plan, i64 2)
  %many.outs = call i64 @word(ptr %plan, i64 3)
  %many.fixed = call i64 @word(ptr %plan, i64 4)
  %many.numbers = call i64 @word(ptr %plan, i64 5)
  %many.made = call i64 @word(ptr %plan, i64 6)
  %outs = call ptr @slot(ptr %plan, i64 56)
  %spares = call ptr @slot(ptr %plan, i64 64)
  %none = call ptr @slot(ptr %plan, i64 72)
  %buf = call i64 @word(ptr %plan, i64 10)
  %mark = call i64 @word(ptr %plan, i64 11)
  %release = call i64 @word(ptr %plan, i64 12)
  %many.results = call i64 @word(ptr %plan, i64 13)
  %many.shared = call i64 @word(ptr %plan, i64 14)
  %many.moved = call i64 @word(ptr %plan, i64 15)
  %reads = call ptr @after(ptr %plan, i64 {_HEAD})
  %results = call ptr @after(ptr %reads, i64 %many.reads)
  %twice.results = shl i64 %many.results, 1
  %shared = call ptr @after(ptr %results, i64 %twice.results)
  %twice.shared = shl i64 %many.shared, 1
  %moved = call ptr @after(ptr %shared, i64 %twice.shared)
  %twice.moved = shl i64 %many.moved, 1
  %fixed = call ptr @after(ptr %moved, i64 %twice.moved)
  %numbers = call ptr @after(ptr %fixed, i64 %many.fixed)
  %holds = call ptr @after(ptr %numbers, i64 %many.numbers)
"""

# does somebody hold the places that belong to results, and only those?
_SEE_HELD = """
  %h.place = call ptr @PyList_GetItem(ptr %made, i64 %h)
  %h.wanted = call i64 @word(ptr %holds, i64 %h)
  %h.count = load i64, ptr %h.place
  %h.several = icmp ugt i64 %h.count, 1
  %h.found = zext i1 %h.several to i64
  %h.same = icmp eq i64 %h.found, %h.wanted
  br i1 %h.same, label %h.fine, label %changed
h.fine:"""

_READ = """
  %r.code = call i64 @word(ptr %reads, i64 %r)
  %r.k = lshr i64 %r.code, 1
  %r.place = call ptr @PyList_GetItem(ptr %places, i64 %r.k)
  %r.memory = call ptr @slot(ptr %r.place, i64 %buf)
  %r.none = icmp eq ptr %r.memory, %none
  br i1 %r.none, label %changed, label %r.there
r.there:
  %r.overwritten = trunc i64 %r.code to i1
  br i1 %r.overwritten, label %r.sole, label %r.enter
r.sole:
  %r.count = load i64, ptr %r.memory
  %r.alone = icmp eq i64 %r.count, 1
  br i1 %r.alone, label %r.own, label %changed
r.own:
  %r.shelf = call ptr @slot(ptr %r.memory, i64 SHELF)
  %r.foreign = icmp eq ptr %r.shelf, %none
  br i1 %r.foreign, label %changed, label %r.enter
r.enter:
  %r.number = call ptr @slot(ptr %r.memory, i64 ADDRESS)
  %r.address = call i64 @PyLong_AsLongLong(ptr %r.number)
  %r.hold = getelementptr ptr, ptr %memories, i64 %r
  store ptr %r.memory, ptr %r.hold
  %r.at = getelementptr i64, ptr %table, i64 %r
  store i64 %r.address, ptr %r.at"""

_FIND_MEMORY = """
  %o.first = call ptr @PyList_GetItem(ptr %outs, i64 %o)
  %o.count = load i64, ptr %o.first
  %o.free = icmp eq i64 %o.count, 1
  br i1 %o.free, label %o.take, label %o.exchange
o.exchange:
  %o.spare = call ptr @PyList_GetItem(ptr %spares, i64 %o)
  %o.spares = load i64, ptr %o.spare
  %o.unheld = icmp eq i64 %o.spares, 1
  br i1 %o.unheld, label %o.swap, label %held
o.swap:
  call void @Py_IncRef(ptr %o.first)
  call void @Py_IncRef(ptr %o.spare)
  %o.one = call i32 @PyList_SetItem(ptr %outs, i64 %o, ptr %o.spare)
  %o.other = call i32 @PyList_SetItem(ptr %spares, i64 %o, ptr %o.first)
  br label %o.take
o.take:
  %o.memory = phi ptr [ %o.first, %o.body ], [ %o.spare, %o.swap ]
  %o.number = call ptr @slot(ptr %o.memory, i64 ADDRESS)
  %o.address = call i64 @PyLong_AsLongLong(ptr %o.number)
  %o.at = getelementptr i64, ptr %table.outs, i64 %o
  store i64 %o.address, ptr %o.at"""

_COPY_FIXED = """
  %f.word = call i64 @word(ptr %fixed, i64 %f)
  %f.at = getelementptr i64, ptr %table.fixed, i64 %f
  store i64 %f.word, ptr %f.at"""

_NUMBER = """
  %n.code = call i64 @word(ptr %numbers, i64 %n)
  %n.k = lshr i64 %n.code, 1
  %n.object = call ptr @PyList_GetItem(ptr %given, i64 %n.k)
  %n.at = getelementptr i64, ptr %table.numbers, i64 %n
  %n.float = trunc i64 %n.code to i1
  br i1 %n.float, label %n.real, label %n.whole
n.real:
  %n.x = call double @PyFloat_AsDouble(ptr %n.object)
  store double %n.x, ptr %n.at
  br label %n.entered
n.whole:
  %n.i = call i64 @PyLong_AsLongLong(ptr %n.object)
  store i64 %n.i, ptr %n.at
  br label %n.entered
n.entered:"""

_HOLD = """
  %b.at = getelementptr ptr, ptr %memories, i64 %b
  %b.memory = load ptr, ptr %b.at
  call void @Py_IncRef(ptr %b.memory)"""

_LET_GO = """
  %a.at = getelementptr ptr, ptr %memories, i64 %a
  %a.memory = load ptr, ptr %a.at
  call void @Py_DecRef(ptr %a.memory)"""


def _pair(name: str, pairs: str) -> str:
    """Lines that load pair number %name: %name.one and %name.two."""
    return f"""
  %{name}.at = shl i64 %{name}, 1
  %{name}.pair = call ptr @after(ptr %{pairs}, i64 %{name}.at)
  %{name}.one = call i64 @word(ptr %{name}.pair, i64 0)
  %{name}.two = call i64 @word(ptr %{name}.pair, i64 1)"""


_SETTLE = f"""{_pair("s", "results")}
  %s.place = call ptr @PyList_GetItem(ptr %made, i64 %s.one)
  %s.memory = call ptr @PyList_GetItem(ptr %outs, i64 %s.two)
  call void @put(ptr %s.place, i64 %buf, ptr %s.memory)
  call void @put(ptr %s.place, i64 %mark, ptr %none)"""

_SHARE = f"""{_pair("e", "shared")}
  %e.place = call ptr @PyList_GetItem(ptr %made, i64 %e.one)
  %e.before = call ptr @PyList_GetItem(ptr %places, i64 %e.two)
  %e.memory = call ptr @slot(ptr %e.before, i64 %buf)
  call void @put(ptr %e.place, i64 %buf, ptr %e.memory)
  call void @put(ptr %e.place, i64 %mark, ptr %none)"""

_MOVE = f"""{_pair("m", "moved")}
  %m.place = call ptr @PyList_GetItem(ptr %places, i64 %m.one)
  %m.memory = call ptr @PyList_GetItem(ptr %outs, i64 %m.two)
  %m.before = call ptr @slot(ptr %m.place, i64 %buf)
  call void @Py_IncRef(ptr %m.before)
  call void @put(ptr %m.place, i64 %buf, ptr %m.memory)
  %m.set = call i32 @PyList_SetItem(ptr %outs, i64 %m.two, ptr %m.before)"""


@cache
def _text() -> str:
    text = f"""{DECLARED}
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)

define ptr @{_NAME}(ptr %self, ptr %arguments, i64 %count) {{
entry:
{_PLAN}  %table = alloca i64, i64 %words
  %memories = alloca ptr, i64 %words
  %table.outs = call ptr @after(ptr %table, i64 %many.reads)
  %table.fixed = call ptr @after(ptr %table.outs, i64 %many.outs)
  %table.numbers = call ptr @after(ptr %table.fixed, i64 %many.fixed)
  %length = call i64 @PyList_Size(ptr %made)
  %expected = icmp eq i64 %length, %many.made
  br i1 %expected, label %begin, label %changed
begin:
{loop("h", "many.made", _SEE_HELD)}
{loop("r", "many.reads", _READ)}
{loop("o", "many.outs", _FIND_MEMORY)}
{loop("f", "many.fixed", _COPY_FIXED)}
{loop("n", "many.numbers", _NUMBER)}
  %error = call ptr @PyErr_Occurred()
  %failed = icmp ne ptr %error, null
  br i1 %failed, label %raise, label %run
raise:
  ret ptr null
run:
  %long = icmp ne i64 %release, 0
  br i1 %long, label %unlocked, label %locked
locked:
  %code.locked = call i32 %program(ptr %table)
  br label %ran
unlocked:
{loop("b", "many.reads", _HOLD)}
  %thread = call ptr @PyEval_SaveThread()
  %code.unlocked = call i32 %program(ptr %table)
  call void @PyEval_RestoreThread(ptr %thread)
{loop("a", "many.reads", _LET_GO)}
  br label %ran
ran:
  %code = phi i32 [ %code.locked, %locked ], [ %code.unlocked, %a.done ]
  %wide = sext i32 %code to i64
  %well = icmp eq i32 %code, 0
  br i1 %well, label %settle, label %end
settle:
{loop("s", "many.results", _SETTLE)}
{loop("e", "many.shared", _SHARE)}
{loop("m", "many.moved", _MOVE)}
  br label %end
changed:
  br label %end
held:
  br label %end
end:
  %answer = phi i64 [ {CHANGED}, %changed ], [ {HELD}, %held ], [ %wide, %ran ], [ 0, %m.done ]
  %out = call ptr @PyLong_FromLong(i64 %answer)
  ret ptr %out
}}
"""
    return with_slots(text)
