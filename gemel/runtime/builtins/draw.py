"""Draws recorded by a built-in function: what `record_state` of `gemel/tensor/update.py` does in
the usual case.

`draw(tape, call, attrs, like, state, *operands)` gives the one result of a call that rewrites the
tensor `state` too; None for what is out of the ordinary: a call that was not seen here before, one
of several results, memory that an array shares. The caller then does it in Python.
"""

from __future__ import annotations

DRAW = "gemel_draw"
_HEAD = 4  # items of a key before those of the operands

_SINGLE = """
; has a state one result beside the value that it rewrites?
define internal i1 @single(ptr %s) {
  %forms = call ptr @slot(ptr %s, i64 <state.forms>)
  %many = call i64 @PyTuple_Size(ptr %forms)
  %single = icmp eq i64 %many, 2
  ret i1 %single
}
"""

_DRAWING = f"""
define ptr @{DRAW}(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %plan = call ptr @PyLong_AsVoidPtr(ptr %self)
OBJECTS
  %tape = load ptr, ptr %arguments
  %call = call ptr @slot(ptr %arguments, i64 8)
  %attrs = call ptr @slot(ptr %arguments, i64 16)
  %like = call ptr @slot(ptr %arguments, i64 24)
  %t = call ptr @slot(ptr %arguments, i64 32)
  %operands = getelementptr ptr, ptr %arguments, i64 5
  %many = sub i64 %count, 5
  %st = call ptr @slot(ptr %t, i64 <tensor.st>)
  %ours = call i1 @exclusive(ptr %plan, ptr %st)
  br i1 %ours, label %begin, label %leave
begin:
  %size = add i64 %many, {_HEAD}
  %key = call ptr @PyTuple_New(i64 %size)
  %usual = call i1 @operands(
      ptr %plan, ptr %tape, ptr %operands, i64 %many, ptr %key, i64 {_HEAD})
  br i1 %usual, label %words, label %drop
words:
  %index = call ptr @value(ptr %plan, ptr %tape, ptr %st)
  %unreadable = icmp eq ptr %index, null
  br i1 %unreadable, label %drop, label %name
name:
  call void @Py_IncRef(ptr %updated)
  call void @Py_IncRef(ptr %call)
  call void @Py_IncRef(ptr %attrs)
  call void @Py_IncRef(ptr %index)
  %e.0 = call i32 @PyTuple_SetItem(ptr %key, i64 0, ptr %updated)
  %e.1 = call i32 @PyTuple_SetItem(ptr %key, i64 1, ptr %call)
  %e.2 = call i32 @PyTuple_SetItem(ptr %key, i64 2, ptr %attrs)
  %e.3 = call i32 @PyTuple_SetItem(ptr %key, i64 3, ptr %index)
  %at = call ptr @slot(ptr %tape, i64 <tape.state>)
  %kids = call ptr @slot(ptr %at, i64 <state.kids>)
  %s = call ptr @PyDict_GetItem(ptr %kids, ptr %key)
  %unknown = icmp eq ptr %s, null
  br i1 %unknown, label %drop, label %known
known:
  %is.full = call i1 @full(ptr %tape, ptr %s)
  br i1 %is.full, label %drop, label %results
results:
  %is.single = call i1 @single(ptr %s)
  br i1 %is.single, label %take, label %drop
take:
  call void @Py_DecRef(ptr %key)
  call void @add.numbers(ptr %plan, ptr %tape, ptr %operands, i64 %many)
  call void @store(ptr %plan, ptr %tape, ptr %st, ptr %s, i1 true)
  %out = call ptr @nth(ptr %plan, ptr %tape, ptr %s, i64 1, ptr %like)
  ret ptr %out
drop:
  call void @Py_DecRef(ptr %key)
  br label %leave
leave:
  call void @Py_IncRef(ptr %none)
  ret ptr %none
}}
"""

DRAWING = _SINGLE + _DRAWING
