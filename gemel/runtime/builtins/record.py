"""Calls recorded by built-in functions: operands found, transition taken, results made.

Role: recording is the same dozen looks at slots for every call of a program, and in Python they
cost more than all else around a call. `record(tape, call, attrs, like, *operands)` gives the
result, of the class `like.kin`, or None for a call that is out of the ordinary: one never seen
here, an operand that is another thread's, a full tape. The caller then records it in Python.
`record_many`, of the same arguments, gives a list of all results. And
`deposit(tape, state, root)` gives leaves the gradients that a backward pass from the root has
recorded, up to the first that has one or has hooks; it answers how many.

Invariant: up to where they give up, they have done what the Python way does and nothing else:
leaves that were bound are bound, views that were looked at are looked at.
"""

from __future__ import annotations

from .text import loop

RECORD, RECORD_MANY, DEPOSIT = "gemel_record", "gemel_record_many", "gemel_deposit"


# a tensor over a new storage whose value is number idx of the piece
_RESULT = """
define internal ptr @result(ptr %plan, ptr %tape, ptr %idx, ptr %form, ptr %rg, ptr %like) {
OBJECTS
  %mark = call ptr @slot(ptr %tape, i64 <tape.mark>)
  %r = call ptr @PyType_GenericAlloc(ptr %storage, i64 0)
  call void @fill(ptr %r, i64 <storage.mark>, ptr %mark)
  call void @fill(ptr %r, i64 <storage.idx>, ptr %idx)
  call void @fill(ptr %r, i64 <storage.form>, ptr %form)
  call void @fill(ptr %r, i64 <storage.rg>, ptr %rg)
  call void @fill(ptr %r, i64 <storage.buf>, ptr %none)
  %made = call ptr @slot(ptr %tape, i64 <tape.made>)
  %e = call i32 @PyList_Append(ptr %made, ptr %r)
  %own = call ptr @attribute(ptr %like, ptr %kin)
  %o = call ptr @PyType_GenericAlloc(ptr %own, i64 0)
  call void @fill(ptr %o, i64 <tensor.st>, ptr %r)
  call void @fill(ptr %o, i64 <tensor.form>, ptr %form)
  call void @Py_DecRef(ptr %r)
  ret ptr %o
}
"""

# the state that a call leads to, which is that of the tape from now on; null where unusual
_STEP = """
define internal ptr @step(ptr %plan, ptr %arguments, i64 %count) {
entry:
OBJECTS
  %tape = load ptr, ptr %arguments
  %call = call ptr @slot(ptr %arguments, i64 8)
  %attrs = call ptr @slot(ptr %arguments, i64 16)
  %operands = getelementptr ptr, ptr %arguments, i64 4
  %many = sub i64 %count, 4
  %bare = icmp eq ptr %attrs, %none
  %last = select i1 %bare, i64 0, i64 1
  %before = add i64 %many, 1
  %size = add i64 %before, %last
  %key = call ptr @PyTuple_New(i64 %size)
  call void @Py_IncRef(ptr %call)
  %set.call = call i32 @PyTuple_SetItem(ptr %key, i64 0, ptr %call)
  %usual = call i1 @operands(
      ptr %plan, ptr %tape, ptr %operands, i64 %many, ptr %key, i64 1)
  br i1 %usual, label %named, label %drop
named:
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
  %full = call i1 @full(ptr %tape, ptr %s)
  br i1 %full, label %drop, label %take
take:
  call void @Py_DecRef(ptr %key)
  call void @put(ptr %tape, i64 <tape.state>, ptr %s)
  call void @add.numbers(ptr %plan, ptr %tape, ptr %operands, i64 %many)
  ret ptr %s
drop:
  call void @Py_DecRef(ptr %key)
  ret ptr null
}
"""

_RECORDING = f"""
define ptr @{RECORD}(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %plan = call ptr @PyLong_AsVoidPtr(ptr %self)
OBJECTS
  %tape = load ptr, ptr %arguments
  %like = call ptr @slot(ptr %arguments, i64 24)
  %s = call ptr @step(ptr %plan, ptr %arguments, i64 %count)
  %unusual = icmp eq ptr %s, null
  br i1 %unusual, label %leave, label %make
make:
  %idx = call ptr @slot(ptr %s, i64 <state.idx>)
  %form = call ptr @slot(ptr %s, i64 <state.form>)
  %rg = call ptr @slot(ptr %s, i64 <state.rg>)
  %out = call ptr @result(ptr %plan, ptr %tape, ptr %idx, ptr %form, ptr %rg, ptr %like)
  ret ptr %out
leave:
  call void @Py_IncRef(ptr %none)
  ret ptr %none
}}
"""

# result number %k of a state
_NTH = """
define internal ptr @nth(ptr %plan, ptr %tape, ptr %s, i64 %k, ptr %like) {
  %idx = call ptr @slot(ptr %s, i64 <state.idx>)
  %forms = call ptr @slot(ptr %s, i64 <state.forms>)
  %rgs = call ptr @slot(ptr %s, i64 <state.rgs>)
  %begin = call i64 @PyLong_AsLongLong(ptr %idx)
  %value = add i64 %begin, %k
  %its.idx = call ptr @PyLong_FromLongLong(i64 %value)
  %form = call ptr @PyTuple_GetItem(ptr %forms, i64 %k)
  %rg = call ptr @PyTuple_GetItem(ptr %rgs, i64 %k)
  %out = call ptr @result(ptr %plan, ptr %tape, ptr %its.idx, ptr %form, ptr %rg, ptr %like)
  call void @Py_DecRef(ptr %its.idx)
  ret ptr %out
}
"""

_EACH_RESULT = """
  %k.out = call ptr @nth(ptr %plan, ptr %tape, ptr %s, i64 %k, ptr %like)
  %k.e = call i32 @PyList_SetItem(ptr %all, i64 %k, ptr %k.out)"""

_RECORDING_MANY = f"""
define ptr @{RECORD_MANY}(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %plan = call ptr @PyLong_AsVoidPtr(ptr %self)
OBJECTS
  %tape = load ptr, ptr %arguments
  %like = call ptr @slot(ptr %arguments, i64 24)
  %s = call ptr @step(ptr %plan, ptr %arguments, i64 %count)
  %unusual = icmp eq ptr %s, null
  br i1 %unusual, label %leave, label %make
make:
  %forms = call ptr @slot(ptr %s, i64 <state.forms>)
  %many = call i64 @PyTuple_Size(ptr %forms)
  %all = call ptr @PyList_New(i64 %many)
{loop("k", "many", _EACH_RESULT)}
  ret ptr %all
leave:
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
  %g.value = add i64 %start, %g
  %g.idx = call ptr @PyLong_FromLongLong(i64 %g.value)
  %g.form = call ptr @PyTuple_GetItem(ptr %forms, i64 %g)
  %g.out = call ptr @result(ptr %plan, ptr %tape, ptr %g.idx, ptr %g.form, ptr %false, ptr %like)
  call void @Py_DecRef(ptr %g.idx)
  %g.set = call i32 @PyObject_SetAttr(ptr %g.parameter, ptr %grad, ptr %g.out)
  call void @Py_DecRef(ptr %g.out)"""

_DEPOSITING = f"""
define ptr @{DEPOSIT}(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %plan = call ptr @PyLong_AsVoidPtr(ptr %self)
OBJECTS
  %tape = load ptr, ptr %arguments
  %s = call ptr @slot(ptr %arguments, i64 8)
  %like = call ptr @slot(ptr %arguments, i64 16)
  %targets = call ptr @slot(ptr %s, i64 <state.targets>)
  %forms = call ptr @slot(ptr %s, i64 <state.forms>)
  %idx = call ptr @slot(ptr %s, i64 <state.idx>)
  %start = call i64 @PyLong_AsLongLong(ptr %idx)
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

RECORDING = _RESULT + _STEP + _RECORDING + _NTH + _RECORDING_MANY + _DEPOSITING
