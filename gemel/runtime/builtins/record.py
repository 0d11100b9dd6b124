"""Calls recorded by built-in functions: operands found, transition taken, results made.

Role: recording is the same dozen looks at slots for every call of a program, and in Python they
cost more than all else around a call. In: the classes of the engine, whose slots are looked at by
name. Out: `record(tape, call, attrs, *operands)`, which gives the result, or None for a call that
is out of the ordinary: one never seen here, an operand that is a number, a view or another
thread's, a full tape. The caller then records it in Python. And `deposit(tape, state, root)`, which
gives leaves the gradients that a backward pass from the root has recorded, up to the first that has
one or has hooks; it answers how many.

Invariant: up to where they give up, they have done what the Python way does and nothing else:
leaves that were bound are bound.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import intern
from typing import Any, NamedTuple

from .call import builtin
from .instances import counts_are_words, slot_of
from .text import ATTRIBUTE, DECLARED, loop, with_slots

_RECORD, _DEPOSIT = "gemel_record", "gemel_deposit"
_NAMES = (
    "lens", "exported", "hist", "cmark", "csrc", "cidx", "kin", "grad", "hooks", "after", "p",
    "twin",
)  # fmt: skip


class Engine(NamedTuple):
    """Classes of the engine, and the objects that recording compares with.

    leaf         `lens` of autograd leaves
    data, param  form -> key of a leaf's transition
    threads      a list that is empty while there is one thread
    """

    tape: type
    mark: type
    state: type
    storage: type
    tensor: type
    leaf: Any
    data: dict
    param: dict
    threads: list


def recorder(engine: Engine) -> tuple[Callable[..., Any], Callable[..., int]] | None:
    """`record` and `deposit`, or None where the interpreter offers no such calls."""
    if not counts_are_words():
        return None
    names = tuple(map(intern, _NAMES))
    new = object.__new__
    objects = (
        None, True, False, engine.leaf, engine.data, engine.param, engine.threads, engine.storage,
        engine.tensor, new, *names,
    )  # fmt: skip
    plan, held = [id(x) for x in objects], (engine, objects)
    record = builtin(_text(engine, _RECORDING), _RECORD, plan, held)
    deposit = builtin(_text(engine, _DEPOSITING), _DEPOSIT, plan, held)
    return None if record is None else (record, deposit)


_OBJECTS = (
    "none", "true", "false", "leaf", "data", "param", "threads", "storage", "tensor", "new", *_NAMES
)  # fmt: skip


def _object(name: str) -> str:
    """A line that loads one of the plan's objects into a register of its name."""
    at = 8 * _OBJECTS.index(name)
    return f"  %{name} = call ptr @slot(ptr %plan, i64 {at})\n"


_MORE = """
declare i32 @PyType_IsSubtype(ptr, ptr)
declare i32 @PyList_Append(ptr, ptr)
declare i32 @PyObject_SetAttr(ptr, ptr, ptr)
declare ptr @PyDict_GetItem(ptr, ptr)
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare ptr @PyLong_FromLongLong(i64)
declare i64 @PyTuple_Size(ptr)
declare ptr @PyTuple_GetItem(ptr, i64)
declare i32 @memcmp(ptr, ptr, i64)
"""

# does the memory that an array shares still hold what was copied from it the last time?
_SAME = """
define internal i1 @same(ptr %memory, ptr %copy) {
  %copied = call ptr @slot(ptr %copy, i64 <storage.buf>)
  %one.number = call ptr @slot(ptr %memory, i64 ADDRESS)
  %other.number = call ptr @slot(ptr %copied, i64 ADDRESS)
  %size = call ptr @slot(ptr %memory, i64 NBYTES)
  %one = call ptr @PyLong_AsVoidPtr(ptr %one.number)
  %other = call ptr @PyLong_AsVoidPtr(ptr %other.number)
  %nbytes = call i64 @PyLong_AsLongLong(ptr %size)
  %differs = call i32 @memcmp(ptr %one, ptr %other, i64 %nbytes)
  %same = icmp eq i32 %differs, 0
  ret i1 %same
}
"""

# which value of the piece an operand is; null where that takes more than binding it
_INDEX = """
define internal ptr @index(ptr %plan, ptr %tape, ptr %t) {
entry:
OBJECTS
  %mark = call ptr @slot(ptr %tape, i64 <tape.mark>)
  %class = call ptr @slot(ptr %t, i64 8)
  %is = call i32 @PyType_IsSubtype(ptr %class, ptr %tensor)
  %number = icmp eq i32 %is, 0
  br i1 %number, label %no, label %look
look:
  %own.st = call ptr @slot(ptr %t, i64 <tensor.st>)
  %own.lens = call ptr @attribute(ptr %t, ptr %lens)
  %plain = icmp eq ptr %own.lens, %none
  br label %find
find:
  %st = phi ptr [ %own.st, %look ], [ %copy, %compare ]
  %old = call ptr @slot(ptr %st, i64 <storage.mark>)
  %here = icmp eq ptr %old, %mark
  br i1 %here, label %pending, label %outside
pending:
  %found = call ptr @slot(ptr %st, i64 <storage.idx>)
  br i1 %plain, label %done, label %no
outside:
  %memory = call ptr @slot(ptr %st, i64 <storage.buf>)
  %valueless = icmp eq ptr %memory, %none
  br i1 %valueless, label %no, label %alone
alone:
  %others = call i64 @PyList_Size(ptr %threads)
  %several = icmp ne i64 %others, 0
  br i1 %several, label %no, label %private
private:
  %is.exported = call ptr @attribute(ptr %st, ptr %exported)
  %unshared = icmp eq ptr %is.exported, %false
  br i1 %unshared, label %settled, label %shared
shared:
  %past.shared = call ptr @attribute(ptr %st, ptr %hist)
  %new.shared = icmp eq ptr %past.shared, %none
  %may.copy = and i1 %new.shared, %plain
  br i1 %may.copy, label %is.copied, label %no
is.copied:
  %copy = call ptr @attribute(ptr %st, ptr %twin)
  %uncopied = icmp eq ptr %copy, %none
  br i1 %uncopied, label %no, label %compare
compare:
  %same = call i1 @same(ptr %memory, ptr %copy)
  br i1 %same, label %find, label %no
settled:
  %unread = icmp eq ptr %old, %none
  br i1 %unread, label %kind, label %was.read
was.read:
  %old.tape = call ptr @slot(ptr %old, i64 <mark.tape>)
  %over = icmp eq ptr %old.tape, %none
  br i1 %over, label %kind, label %no
kind:
  br i1 %plain, label %is.data, label %not.data
is.data:
  %past = call ptr @attribute(ptr %st, ptr %hist)
  %pastless = icmp eq ptr %past, %none
  br i1 %pastless, label %bind, label %no
not.data:
  %is.leaf = icmp eq ptr %own.lens, %leaf
  br i1 %is.leaf, label %is.param, label %no
is.param:
  %records = call ptr @slot(ptr %tape, i64 <tape.grad>)
  %tracked = icmp eq ptr %records, %true
  br i1 %tracked, label %bind, label %no
bind:
  %keys = phi ptr [ %data, %is.data ], [ %param, %is.param ]
  %form = call ptr @slot(ptr %st, i64 <storage.form>)
  %key = call ptr @PyDict_GetItem(ptr %keys, ptr %form)
  %unknown = icmp eq ptr %key, null
  br i1 %unknown, label %no, label %step
step:
  %at = call ptr @slot(ptr %tape, i64 <tape.state>)
  %kids = call ptr @slot(ptr %at, i64 <state.kids>)
  %s = call ptr @PyDict_GetItem(ptr %kids, ptr %key)
  %new.here = icmp eq ptr %s, null
  br i1 %new.here, label %no, label %take
take:
  call void @put(ptr %tape, i64 <tape.state>, ptr %s)
  %leaves = call ptr @slot(ptr %tape, i64 <tape.leaves>)
  %e.1 = call i32 @PyList_Append(ptr %leaves, ptr %st)
  call void @put(ptr %st, i64 <storage.mark>, ptr %mark)
  %first = call ptr @slot(ptr %s, i64 <state.idx>)
  call void @put(ptr %st, i64 <storage.idx>, ptr %first)
  br i1 %plain, label %done, label %end.of.gradients
end.of.gradients:
  %ends = call ptr @slot(ptr %tape, i64 <tape.grad_leaves>)
  %e.2 = call i32 @PyList_Append(ptr %ends, ptr %t)
  %e.3 = call i32 @PyObject_SetAttr(ptr %t, ptr %cmark, ptr %mark)
  %e.4 = call i32 @PyObject_SetAttr(ptr %t, ptr %csrc, ptr %first)
  %n = call i64 @PyLong_AsLongLong(ptr %first)
  %n.1 = add i64 %n, 1
  %second = call ptr @PyLong_FromLongLong(i64 %n.1)
  %e.5 = call i32 @PyObject_SetAttr(ptr %t, ptr %cidx, ptr %second)
  call void @Py_DecRef(ptr %second)
  br label %done
done:
  %index = phi ptr [ %found, %pending ], [ %first, %take ], [ %second, %end.of.gradients ]
  ret ptr %index
no:
  ret ptr null
}
"""

# a tensor over a new storage whose value is number idx of the piece
_RESULT = """
define internal ptr @result(ptr %plan, ptr %tape, ptr %idx, ptr %form, ptr %rg, ptr %like) {
OBJECTS
  %mark = call ptr @slot(ptr %tape, i64 <tape.mark>)
  %r = call ptr @PyObject_CallOneArg(ptr %new, ptr %storage)
  call void @put(ptr %r, i64 <storage.mark>, ptr %mark)
  call void @put(ptr %r, i64 <storage.idx>, ptr %idx)
  call void @put(ptr %r, i64 <storage.form>, ptr %form)
  call void @put(ptr %r, i64 <storage.rg>, ptr %rg)
  call void @put(ptr %r, i64 <storage.buf>, ptr %none)
  %made = call ptr @slot(ptr %tape, i64 <tape.made>)
  %e = call i32 @PyList_Append(ptr %made, ptr %r)
  %own = call ptr @attribute(ptr %like, ptr %kin)
  %o = call ptr @PyObject_CallOneArg(ptr %new, ptr %own)
  call void @put(ptr %o, i64 <tensor.st>, ptr %r)
  call void @put(ptr %o, i64 <tensor.form>, ptr %form)
  call void @Py_DecRef(ptr %r)
  ret ptr %o
}
"""

_OPERAND = """
  %k.nth = add i64 %k, 3
  %k.at = getelementptr ptr, ptr %arguments, i64 %k.nth
  %k.operand = load ptr, ptr %k.at
  %k.index = call ptr @index(ptr %plan, ptr %tape, ptr %k.operand)
  %k.unusual = icmp eq ptr %k.index, null
  br i1 %k.unusual, label %drop, label %k.usual
k.usual:
  call void @Py_IncRef(ptr %k.index)
  %k.place = add i64 %k, 1
  %k.set = call i32 @PyTuple_SetItem(ptr %key, i64 %k.place, ptr %k.index)"""


_RECORDING = f"""
define ptr @{_RECORD}(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %plan = call ptr @PyLong_AsVoidPtr(ptr %self)
  %none = call ptr @slot(ptr %plan, i64 0)
  %tape = load ptr, ptr %arguments
  %call = call ptr @slot(ptr %arguments, i64 8)
  %attrs = call ptr @slot(ptr %arguments, i64 16)
  %operands = sub i64 %count, 3
  %bare = icmp eq ptr %attrs, %none
  %last = select i1 %bare, i64 0, i64 1
  %before = add i64 %operands, 1
  %size = add i64 %before, %last
  %key = call ptr @PyTuple_New(i64 %size)
  call void @Py_IncRef(ptr %call)
  %set.call = call i32 @PyTuple_SetItem(ptr %key, i64 0, ptr %call)
{loop("k", "operands", _OPERAND)}
  br i1 %bare, label %find, label %add.attrs
add.attrs:
  call void @Py_IncRef(ptr %attrs)
  %set.attrs = call i32 @PyTuple_SetItem(ptr %key, i64 %before, ptr %attrs)
  br label %find
find:
  %at = call ptr @slot(ptr %tape, i64 <tape.state>)
  %kids = call ptr @slot(ptr %at, i64 <state.kids>)
  %s = call ptr @PyDict_GetItem(ptr %kids, ptr %key)
  %unknown = icmp eq ptr %s, null
  br i1 %unknown, label %drop, label %known
known:
  %load = call ptr @slot(ptr %s, i64 <state.load>)
  %limit = call ptr @slot(ptr %tape, i64 <tape.limit>)
  %now = call i64 @PyLong_AsLongLong(ptr %load)
  %most = call i64 @PyLong_AsLongLong(ptr %limit)
  %full = icmp sgt i64 %now, %most
  br i1 %full, label %drop, label %take
take:
  call void @Py_DecRef(ptr %key)
  call void @put(ptr %tape, i64 <tape.state>, ptr %s)
  %like = call ptr @slot(ptr %arguments, i64 24)
  %idx = call ptr @slot(ptr %s, i64 <state.idx>)
  %form = call ptr @slot(ptr %s, i64 <state.form>)
  %rg = call ptr @slot(ptr %s, i64 <state.rg>)
  %out = call ptr @result(ptr %plan, ptr %tape, ptr %idx, ptr %form, ptr %rg, ptr %like)
  ret ptr %out
drop:
  call void @Py_DecRef(ptr %key)
  call void @Py_IncRef(ptr %none)
  ret ptr %none
}}
"""

_TARGET = """
  %g.pair = call ptr @PyTuple_GetItem(ptr %targets, i64 %g)
  %g.kind = call ptr @PyTuple_GetItem(ptr %g.pair, i64 0)
  %g.leaf = icmp eq ptr %g.kind, %p
  br i1 %g.leaf, label %g.find, label %stop
g.find:
  %g.number = call ptr @PyTuple_GetItem(ptr %g.pair, i64 1)
  %g.n = call i64 @PyLong_AsLongLong(ptr %g.number)
  %g.parameter = call ptr @PyList_GetItem(ptr %leaves, i64 %g.n)
  %g.older = call ptr @attribute(ptr %g.parameter, ptr %grad)
  %g.first = icmp eq ptr %g.older, %none
  br i1 %g.first, label %g.hooks, label %stop
g.hooks:
  %g.hook = call ptr @attribute(ptr %g.parameter, ptr %hooks)
  %g.unhooked = icmp eq ptr %g.hook, %none
  br i1 %g.unhooked, label %g.after, label %stop
g.after:
  %g.then = call ptr @attribute(ptr %g.parameter, ptr %after)
  %g.plain = icmp eq ptr %g.then, %none
  br i1 %g.plain, label %g.make, label %stop
g.make:
  %g.value = add i64 %first, %g
  %g.idx = call ptr @PyLong_FromLongLong(i64 %g.value)
  %g.form = call ptr @PyTuple_GetItem(ptr %forms, i64 %g)
  %g.out = call ptr @result(ptr %plan, ptr %tape, ptr %g.idx, ptr %g.form, ptr %false, ptr %like)
  call void @Py_DecRef(ptr %g.idx)
  %g.set = call i32 @PyObject_SetAttr(ptr %g.parameter, ptr %grad, ptr %g.out)
  call void @Py_DecRef(ptr %g.out)"""

_DEPOSITING = f"""
define ptr @{_DEPOSIT}(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %plan = call ptr @PyLong_AsVoidPtr(ptr %self)
OBJECTS
  %tape = load ptr, ptr %arguments
  %s = call ptr @slot(ptr %arguments, i64 8)
  %like = call ptr @slot(ptr %arguments, i64 16)
  %targets = call ptr @slot(ptr %s, i64 <state.targets>)
  %forms = call ptr @slot(ptr %s, i64 <state.forms>)
  %idx = call ptr @slot(ptr %s, i64 <state.idx>)
  %first = call i64 @PyLong_AsLongLong(ptr %idx)
  %leaves = call ptr @slot(ptr %tape, i64 <tape.grad_leaves>)
  %many = call i64 @PyTuple_Size(ptr %targets)
{loop("g", "many", _TARGET)}
  %all = call ptr @PyLong_FromLongLong(i64 %many)
  ret ptr %all
stop:
  %some = call ptr @PyLong_FromLongLong(i64 %g)
  ret ptr %some
}}
"""


def _text(engine: Engine, function: str) -> str:
    text = f"{DECLARED}{_MORE}{ATTRIBUTE}{_SAME}{_INDEX}{_RESULT}{function}"
    for kind in ("tape", "mark", "state", "storage", "tensor"):
        own = getattr(engine, kind)
        slots = own.__slots__ if isinstance(own.__slots__, tuple) else (own.__slots__,)
        for slot in slots:
            if f"<{kind}.{slot}>" in text:
                text = text.replace(f"<{kind}.{slot}>", str(slot_of(own, slot)))
    return with_slots(text.replace("OBJECTS\n", "".join(map(_object, _OBJECTS))))
