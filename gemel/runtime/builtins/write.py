"""Writes recorded by a built-in function: what `gemel/tensor/write.py` does in the usual cases.

`write(tape, call, attrs, t, *operands)` gives t, whose value is then what the call makes of it and
the operands; or None for what is out of the ordinary: a write that was not seen here before, one
that gradients might forbid, memory that an array shares. As in `record.py` the caller then does it
in Python.
"""

from __future__ import annotations

from .text import loop

WRITE = "gemel_write"
_HEAD = 6  # items of a key before those of the operands

# the storage's value is that of the state from now on
_STORE = """
define internal void @store(ptr %plan, ptr %tape, ptr %st, ptr %s, i1 %counts) {
entry:
OBJECTS
  call void @put(ptr %tape, i64 <tape.state>, ptr %s)
  %idx = call ptr @slot(ptr %s, i64 <state.idx>)
  %rg = call ptr @slot(ptr %s, i64 <state.rg>)
  call void @put(ptr %st, i64 <storage.idx>, ptr %idx)
  call void @put(ptr %st, i64 <storage.rg>, ptr %rg)
  br i1 %counts, label %count, label %counted
count:
  %before = call ptr @attribute(ptr %st, ptr %ver)
  %n = call i64 @PyLong_AsLongLong(ptr %before)
  %n.1 = add i64 %n, 1
  %after.it = call ptr @PyLong_FromLongLong(i64 %n.1)
  %e.1 = call i32 @PyObject_SetAttr(ptr %st, ptr %ver, ptr %after.it)
  call void @Py_DecRef(ptr %after.it)
  br label %counted
counted:
  %memory = call ptr @slot(ptr %st, i64 <storage.buf>)
  %computed = icmp eq ptr %memory, %none
  br i1 %computed, label %done, label %mark.it
mark.it:
  %mark = call ptr @slot(ptr %tape, i64 <tape.mark>)
  %e.2 = call i32 @PyObject_SetAttr(ptr %st, ptr %dirty, ptr %mark)
  br label %done
done:
  ret void
}

; may a tensor be written without asking gradients? Its lens in a key; null: no
define internal ptr @writable(ptr %plan, ptr %tape, ptr %t) {
entry:
OBJECTS
  %through = call ptr @attribute(ptr %t, ptr %lens)
  %plain = icmp eq ptr %through, %none
  br i1 %plain, label %whole.one, label %leaf.or.view
leaf.or.view:
  %records = call ptr @slot(ptr %tape, i64 <tape.grad>)
  %tracked = icmp eq ptr %records, %true
  br i1 %tracked, label %no, label %untracked
untracked:
  %ends.here = icmp eq ptr %through, %leaf
  br i1 %ends.here, label %whole.one, label %kind
kind:
  %class = call ptr @slot(ptr %through, i64 8)
  %usual = icmp eq ptr %class, %views
  br i1 %usual, label %is.view, label %no
is.view:
  %several = call ptr @slot(ptr %through, i64 <views.overlapping>)
  %apart = icmp eq ptr %several, %false
  br i1 %apart, label %part.of.it, label %no
whole.one:
  ret ptr %none
part.of.it:
  ret ptr %through
no:
  ret ptr null
}
"""

_COPY_ITEM = """
  %k.lens = icmp eq i64 %k, 3
  %k.own = call ptr @PyTuple_GetItem(ptr %key, i64 %k)
  %k.item = select i1 %k.lens, ptr %through, ptr %k.own
  call void @Py_IncRef(ptr %k.item)
  %k.e = call i32 @PyTuple_SetItem(ptr %made, i64 %k, ptr %k.item)"""

_WITH_LENS = f"""
; a write's key with another lens
define internal ptr @with.lens(ptr %key, i64 %size, ptr %through) {{
  %made = call ptr @PyTuple_New(i64 %size)
{loop("k", "size", _COPY_ITEM)}
  ret ptr %made
}}
"""

_WRITING = f"""
define ptr @{WRITE}(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %plan = call ptr @PyLong_AsVoidPtr(ptr %self)
OBJECTS
  %tape = load ptr, ptr %arguments
  %call = call ptr @slot(ptr %arguments, i64 8)
  %attrs = call ptr @slot(ptr %arguments, i64 16)
  %t = call ptr @slot(ptr %arguments, i64 24)
  %operands = getelementptr ptr, ptr %arguments, i64 4
  %many = sub i64 %count, 4
  %st = call ptr @slot(ptr %t, i64 <tensor.st>)
  %ours = call i1 @exclusive(ptr %plan, ptr %st)
  br i1 %ours, label %private, label %leave
private:
  %through = call ptr @writable(ptr %plan, ptr %tape, ptr %t)
  %forbidden = icmp eq ptr %through, null
  br i1 %forbidden, label %leave, label %begin
begin:
  %size = add i64 %many, {_HEAD}
  %key = call ptr @PyTuple_New(i64 %size)
  %usual = call i1 @operands(
      ptr %plan, ptr %tape, ptr %operands, i64 %many, ptr %key, i64 {_HEAD})
  br i1 %usual, label %target, label %drop
target:
  %index = call ptr @value(ptr %plan, ptr %tape, ptr %st)
  %unreadable = icmp eq ptr %index, null
  br i1 %unreadable, label %drop, label %name
name:
  %counts = call ptr @attribute(ptr %t, ptr %bump)
  call void @Py_IncRef(ptr %written)
  call void @Py_IncRef(ptr %call)
  call void @Py_IncRef(ptr %attrs)
  call void @Py_IncRef(ptr %through)
  call void @Py_IncRef(ptr %counts)
  call void @Py_IncRef(ptr %index)
  %e.0 = call i32 @PyTuple_SetItem(ptr %key, i64 0, ptr %written)
  %e.1 = call i32 @PyTuple_SetItem(ptr %key, i64 1, ptr %call)
  %e.2 = call i32 @PyTuple_SetItem(ptr %key, i64 2, ptr %attrs)
  %e.3 = call i32 @PyTuple_SetItem(ptr %key, i64 3, ptr %through)
  %e.4 = call i32 @PyTuple_SetItem(ptr %key, i64 4, ptr %counts)
  %e.5 = call i32 @PyTuple_SetItem(ptr %key, i64 5, ptr %index)
  %at = call ptr @slot(ptr %tape, i64 <tape.state>)
  %kids = call ptr @slot(ptr %at, i64 <state.kids>)
  %fixed = call ptr @PyDict_GetItem(ptr %kids, ptr %key)
  %unknown = icmp eq ptr %fixed, null
  br i1 %unknown, label %slices, label %found
slices:
  %through.all = icmp eq ptr %through, %none
  br i1 %through.all, label %drop, label %slices.are
slices.are:
  %starts = call ptr @slot(ptr %through, i64 <views.starts>)
  %new.lens = icmp eq ptr %starts, null
  br i1 %new.lens, label %drop, label %slices.move
slices.move:
  %starting = call i64 @PyTuple_Size(ptr %starts)
  %none.move = icmp eq i64 %starting, 0
  br i1 %none.move, label %drop, label %find.moving
find.moving:
  %pattern = call ptr @slot(ptr %through, i64 <views.moving>)
  %other = call ptr @with.lens(ptr %key, i64 %size, ptr %pattern)
  %moved = call ptr @PyDict_GetItem(ptr %kids, ptr %other)
  call void @Py_DecRef(ptr %other)
  %new.here = icmp eq ptr %moved, null
  br i1 %new.here, label %drop, label %found
found:
  %s = phi ptr [ %fixed, %name ], [ %moved, %find.moving ]
  %begins = phi ptr [ null, %name ], [ %starts, %find.moving ]
  %is.full = call i1 @full(ptr %tape, ptr %s)
  br i1 %is.full, label %drop, label %take
take:
  call void @add.numbers(ptr %plan, ptr %tape, ptr %operands, i64 %many)
  %moves = icmp ne ptr %begins, null
  br i1 %moves, label %move, label %stay
move:
  call void @append.starts(ptr %tape, ptr %begins)
  br label %stay
stay:
  %is.counted = icmp eq ptr %counts, %true
  call void @store(ptr %plan, ptr %tape, ptr %st, ptr %s, i1 %is.counted)
  call void @Py_DecRef(ptr %key)
  call void @Py_IncRef(ptr %t)
  ret ptr %t
drop:
  call void @Py_DecRef(ptr %key)
  br label %leave
leave:
  call void @Py_IncRef(ptr %none)
  ret ptr %none
}}
"""

WRITING = _STORE + _WITH_LENS + _WRITING
