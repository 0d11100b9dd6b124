"""Views that were asked for before, made by a built-in function.

A lens keeps, by the name of a question and its arguments, the lens that answered it: ".transpose",
(1, 2). `look(tape, t, name, arguments)` gives the view, or a tuple of views; None for what was not
asked of this lens before, and where gradients have a say beyond the usual.
"""

from __future__ import annotations

from .text import loop

LOOK = "gemel_look"

_ARGUMENT = """
  %k.x = call ptr @PyTuple_GetItem(ptr %asked, i64 %k)
  %k.plain = call i1 @plain(ptr %plan, ptr %k.x)
  br i1 %k.plain, label %k.go, label %no
k.go:"""

_SMALL = """
  %k.item = call ptr @PyTuple_GetItem(ptr %x, i64 %k)
  %k.class = call ptr @slot(ptr %k.item, i64 8)
  %k.fine = icmp eq ptr %k.class, %int
  br i1 %k.fine, label %k.go, label %no
k.go:"""

# arguments that compare equal only where they mean the same: integers, and tuples of them
_PLAIN = f"""
define internal i1 @plain(ptr %plan, ptr %x) {{
entry:
OBJECTS
  %class = call ptr @slot(ptr %x, i64 8)
  %whole.number = icmp eq ptr %class, %int
  br i1 %whole.number, label %yes, label %several
several:
  %row = icmp eq ptr %class, %tuple
  br i1 %row, label %each, label %no
each:
  %many = call i64 @PyTuple_Size(ptr %x)
{loop("k", "many", _SMALL)}
  br label %yes
yes:
  ret i1 true
no:
  ret i1 false
}}

define internal i1 @all.plain(ptr %plan, ptr %asked) {{
entry:
  %many = call i64 @PyTuple_Size(ptr %asked)
{loop("k", "many", _ARGUMENT)}
  ret i1 true
no:
  ret i1 false
}}
"""

# the view of t through a lens
_MAKE = """
define internal ptr @view(ptr %plan, ptr %tape, ptr %t, ptr %through) {
entry:
OBJECTS
  %st = call ptr @slot(ptr %t, i64 <tensor.st>)
  %own = call ptr @attribute(ptr %t, ptr %kin)
  %o = call ptr @PyObject_CallOneArg(ptr %new, ptr %own)
  call void @fill(ptr %o, i64 <tensor.st>, ptr %st)
  %form = call ptr @slot(ptr %through, i64 <views.form>)
  call void @fill(ptr %o, i64 <tensor.form>, ptr %form)
  %e.1 = call i32 @PyObject_SetAttr(ptr %o, ptr %lens, ptr %through)
  %its.lens = call ptr @attribute(ptr %t, ptr %lens)
  %of.leaf = icmp eq ptr %its.lens, %leaf
  br i1 %of.leaf, label %mark.base, label %done
mark.base:
  %records = call ptr @slot(ptr %tape, i64 <tape.grad>)
  %e.2 = call i32 @PyObject_SetAttr(ptr %o, ptr %base, ptr %t)
  %e.3 = call i32 @PyObject_SetAttr(ptr %o, ptr %brg, ptr %records)
  br label %done
done:
  ret ptr %o
}

; the lens that a tensor looks through, of its whole storage where there is none; null: unusual
define internal ptr @seen.through(ptr %plan, ptr %t) {
entry:
OBJECTS
  %own = call ptr @attribute(ptr %t, ptr %lens)
  %plain = icmp eq ptr %own, %none
  %ends.here = icmp eq ptr %own, %leaf
  %all = or i1 %plain, %ends.here
  br i1 %all, label %everything, label %kind
everything:
  %form = call ptr @slot(ptr %t, i64 <tensor.form>)
  %whole.one = call ptr @PyDict_GetItem(ptr %whole, ptr %form)
  ret ptr %whole.one
kind:
  %class = call ptr @slot(ptr %own, i64 8)
  %usual = icmp eq ptr %class, %views
  br i1 %usual, label %is.view, label %no
is.view:
  %of.leaf = call ptr @attribute(ptr %t, ptr %base)
  %free = icmp eq ptr %of.leaf, %none
  br i1 %free, label %yes, label %no
yes:
  ret ptr %own
no:
  ret ptr null
}

; does a view have to be cut off from gradients, or otherwise be more than the usual?
define internal i1 @unusual(ptr %plan, ptr %tape, ptr %t) {
entry:
OBJECTS
  %counts = call ptr @attribute(ptr %t, ptr %bump)
  %counted = icmp eq ptr %counts, %true
  br i1 %counted, label %mode, label %yes
mode:
  %records = call ptr @slot(ptr %tape, i64 <tape.grad>)
  %tracked = icmp eq ptr %records, %true
  br i1 %tracked, label %no, label %leaves
leaves:
  %through = call ptr @attribute(ptr %t, ptr %lens)
  %ends.here = icmp eq ptr %through, %leaf
  br i1 %ends.here, label %no, label %history
history:
  %st = call ptr @slot(ptr %t, i64 <tensor.st>)
  %rg = call ptr @slot(ptr %st, i64 <storage.rg>)
  %flows = icmp eq ptr %rg, %true
  br i1 %flows, label %yes, label %past
past:
  %record = call ptr @attribute(ptr %st, ptr %hist)
  %pastless = icmp eq ptr %record, %none
  br i1 %pastless, label %no, label %yes
yes:
  ret i1 true
no:
  ret i1 false
}
"""

_EACH_VIEW = """
  %v.lens = call ptr @PyTuple_GetItem(ptr %found, i64 %v)
  %v.made = call ptr @view(ptr %plan, ptr %tape, ptr %t, ptr %v.lens)
  %v.e = call i32 @PyTuple_SetItem(ptr %views.made, i64 %v, ptr %v.made)"""

_LOOKING = f"""
define ptr @{LOOK}(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %plan = call ptr @PyLong_AsVoidPtr(ptr %self)
OBJECTS
  %tape = load ptr, ptr %arguments
  %t = call ptr @slot(ptr %arguments, i64 8)
  %question = call ptr @slot(ptr %arguments, i64 16)
  %asked = call ptr @slot(ptr %arguments, i64 24)
  %through = call ptr @seen.through(ptr %plan, ptr %t)
  %no.lens = icmp eq ptr %through, null
  br i1 %no.lens, label %leave, label %gradients
gradients:
  %more = call i1 @unusual(ptr %plan, ptr %tape, ptr %t)
  br i1 %more, label %leave, label %same
same:
  %whole.numbers = call i1 @all.plain(ptr %plan, ptr %asked)
  br i1 %whole.numbers, label %name, label %leave
name:
  %key = call ptr @PyTuple_New(i64 2)
  call void @Py_IncRef(ptr %question)
  call void @Py_IncRef(ptr %asked)
  %e.1 = call i32 @PyTuple_SetItem(ptr %key, i64 0, ptr %question)
  %e.2 = call i32 @PyTuple_SetItem(ptr %key, i64 1, ptr %asked)
  %kids = call ptr @slot(ptr %through, i64 <views.kids>)
  %found = call ptr @PyDict_GetItem(ptr %kids, ptr %key)
  %unknown = icmp eq ptr %found, null
  br i1 %unknown, label %drop, label %answer
answer:
  call void @Py_DecRef(ptr %key)
  %st = call ptr @slot(ptr %t, i64 <tensor.st>)
  %its.first = call ptr @attribute(ptr %st, ptr %first)
  %firstless = icmp eq ptr %its.first, %none
  br i1 %firstless, label %note.first, label %make
note.first:
  %weak = call ptr @PyWeakref_NewRef(ptr %t, ptr null)
  %e = call i32 @PyObject_SetAttr(ptr %st, ptr %first, ptr %weak)
  call void @Py_DecRef(ptr %weak)
  br label %make
make:
  %class = call ptr @slot(ptr %found, i64 8)
  %is.row = icmp eq ptr %class, %tuple
  br i1 %is.row, label %row, label %one
one:
  %view.1 = call ptr @view(ptr %plan, ptr %tape, ptr %t, ptr %found)
  ret ptr %view.1
row:
  %many = call i64 @PyTuple_Size(ptr %found)
  %views.made = call ptr @PyTuple_New(i64 %many)
{loop("v", "many", _EACH_VIEW)}
  ret ptr %views.made
drop:
  call void @Py_DecRef(ptr %key)
  br label %leave
leave:
  call void @Py_IncRef(ptr %none)
  ret ptr %none
}}
"""

LOOKING = _PLAIN + _MAKE + _LOOKING
