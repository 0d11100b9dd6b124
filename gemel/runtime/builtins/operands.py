"""Which value of the piece under way an operand is: for the texts of functions that record.

Role: what `gemel/tensor/read.py` finds out in the usual cases. `@index` gives the number of a
tensor's value, `@operand` that or what stands for a Python number; null where it takes more than
that: a value that is not known, another thread's, one that an array shares, a piece of memory that
is read as a leaf of its own, a way that was not taken before.

Invariant: where it gives null, leaves that were bound are bound, views that were looked at are
looked at, and nothing else has happened.
"""

from __future__ import annotations

from .text import loop

# is a storage nobody's but this thread's, not even an array's?
_EXCLUSIVE = """
define internal i1 @exclusive(ptr %plan, ptr %st) {
entry:
OBJECTS
  %others = call i64 @PyList_Size(ptr %threads)
  %several = icmp ne i64 %others, 0
  br i1 %several, label %no, label %alone
alone:
  %is.exported = call ptr @attribute(ptr %st, ptr %exported)
  %unshared = icmp eq ptr %is.exported, %false
  ret i1 %unshared
no:
  ret i1 false
}
"""

# may the known value of a storage become a leaf?
_SETTLED = """
define internal i1 @settled(ptr %plan, ptr %st) {
entry:
OBJECTS
  %memory = call ptr @slot(ptr %st, i64 <storage.buf>)
  %valueless = icmp eq ptr %memory, %none
  br i1 %valueless, label %no, label %private
private:
  %ours = call i1 @exclusive(ptr %plan, ptr %st)
  br i1 %ours, label %marked, label %no
marked:
  %old = call ptr @slot(ptr %st, i64 <storage.mark>)
  %unread = icmp eq ptr %old, %none
  br i1 %unread, label %yes, label %was.read
was.read:
  %old.tape = call ptr @slot(ptr %old, i64 <mark.tape>)
  %over = icmp eq ptr %old.tape, %none
  br i1 %over, label %yes, label %no
yes:
  ret i1 true
no:
  ret i1 false
}
"""

# the storage becomes a leaf: its number
_BIND = """
define internal ptr @bind(ptr %plan, ptr %tape, ptr %st, ptr %keys) {
entry:
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
  %e = call i32 @PyList_Append(ptr %leaves, ptr %st)
  %mark = call ptr @slot(ptr %tape, i64 <tape.mark>)
  call void @put(ptr %st, i64 <storage.mark>, ptr %mark)
  %first = call ptr @slot(ptr %s, i64 <state.idx>)
  call void @put(ptr %st, i64 <storage.idx>, ptr %first)
  ret ptr %first
no:
  ret ptr null
}
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

# a storage's own value; of one that an array shares, that of its copy
_VALUE = """
define internal ptr @value(ptr %plan, ptr %tape, ptr %st) {
entry:
OBJECTS
  %mark = call ptr @slot(ptr %tape, i64 <tape.mark>)
  %old = call ptr @slot(ptr %st, i64 <storage.mark>)
  %here = icmp eq ptr %old, %mark
  br i1 %here, label %pending, label %outside
pending:
  %found = call ptr @slot(ptr %st, i64 <storage.idx>)
  ret ptr %found
outside:
  %fine = call i1 @settled(ptr %plan, ptr %st)
  %record = call ptr @attribute(ptr %st, ptr %hist)
  %pastless = icmp eq ptr %record, %none
  br i1 %pastless, label %past, label %no
past:
  br i1 %fine, label %leaf.of.data, label %shared
shared:
  %memory = call ptr @slot(ptr %st, i64 <storage.buf>)
  %valueless = icmp eq ptr %memory, %none
  br i1 %valueless, label %no, label %has.copy
has.copy:
  %is.exported = call ptr @attribute(ptr %st, ptr %exported)
  %unshared = icmp eq ptr %is.exported, %false
  %copy = call ptr @attribute(ptr %st, ptr %twin)
  %uncopied = icmp eq ptr %copy, %none
  %without = or i1 %unshared, %uncopied
  br i1 %without, label %no, label %compare
compare:
  %same = call i1 @same(ptr %memory, ptr %copy)
  br i1 %same, label %take.copy, label %no
take.copy:
  %of.copy = call ptr @value(ptr %plan, ptr %tape, ptr %copy)
  ret ptr %of.copy
leaf.of.data:
  %number = call ptr @bind(ptr %plan, ptr %tape, ptr %st, ptr %data)
  ret ptr %number
no:
  ret ptr null
}
"""

# the number that a tensor remembers for this value of its storage in this piece, or null
_REMEMBERED = """
define internal ptr @remembered(ptr %plan, ptr %tape, ptr %t, ptr %index) {
entry:
OBJECTS
  %mark = call ptr @slot(ptr %tape, i64 <tape.mark>)
  %its.mark = call ptr @attribute(ptr %t, ptr %cmark)
  %here = icmp eq ptr %its.mark, %mark
  br i1 %here, label %source, label %no
source:
  %its.source = call ptr @attribute(ptr %t, ptr %csrc)
  %n = call i64 @PyLong_AsLongLong(ptr %its.source)
  %m = call i64 @PyLong_AsLongLong(ptr %index)
  %same = icmp eq i64 %n, %m
  br i1 %same, label %yes, label %no
yes:
  %its.index = call ptr @attribute(ptr %t, ptr %cidx)
  ret ptr %its.index
no:
  ret ptr null
}
define internal void @remember(ptr %plan, ptr %tape, ptr %t, ptr %source, ptr %index) {
OBJECTS
  %mark = call ptr @slot(ptr %tape, i64 <tape.mark>)
  %e.1 = call i32 @PyObject_SetAttr(ptr %t, ptr %cmark, ptr %mark)
  %e.2 = call i32 @PyObject_SetAttr(ptr %t, ptr %csrc, ptr %source)
  %e.3 = call i32 @PyObject_SetAttr(ptr %t, ptr %cidx, ptr %index)
  ret void
}
"""

# an autograd leaf
_LEAF = """
define internal ptr @of.leaf(ptr %plan, ptr %tape, ptr %t, ptr %st) {
entry:
OBJECTS
  %records = call ptr @slot(ptr %tape, i64 <tape.grad>)
  %tracked = icmp eq ptr %records, %true
  br i1 %tracked, label %track, label %plainly
plainly:
  %as.data = call ptr @value(ptr %plan, ptr %tape, ptr %st)
  ret ptr %as.data
track:
  %mark = call ptr @slot(ptr %tape, i64 <tape.mark>)
  %old = call ptr @slot(ptr %st, i64 <storage.mark>)
  %here = icmp eq ptr %old, %mark
  br i1 %here, label %again, label %outside
again:
  %own = call ptr @slot(ptr %st, i64 <storage.idx>)
  %found = call ptr @remembered(ptr %plan, ptr %tape, ptr %t, ptr %own)
  ret ptr %found
outside:
  %fine = call i1 @settled(ptr %plan, ptr %st)
  br i1 %fine, label %take, label %no
take:
  %number = call ptr @bind(ptr %plan, ptr %tape, ptr %st, ptr %param)
  %new.here = icmp eq ptr %number, null
  br i1 %new.here, label %no, label %bound
bound:
  %ends = call ptr @slot(ptr %tape, i64 <tape.grad_leaves>)
  %e = call i32 @PyList_Append(ptr %ends, ptr %t)
  %n = call i64 @PyLong_AsLongLong(ptr %number)
  %n.1 = add i64 %n, 1
  %second = call ptr @PyLong_FromLongLong(i64 %n.1)
  call void @remember(ptr %plan, ptr %tape, ptr %t, ptr %number, ptr %second)
  call void @Py_DecRef(ptr %second)
  ret ptr %second
no:
  ret ptr null
}
"""

# the state of a slice that was read here before, from its kids; null where there is none
_FIND_LOOK = """
define internal ptr @find.look(ptr %plan, ptr %kids, ptr %through, ptr %index) {
OBJECTS
  %key = call ptr @PyTuple_New(i64 3)
  call void @Py_IncRef(ptr %looked)
  call void @Py_IncRef(ptr %through)
  call void @Py_IncRef(ptr %index)
  %e.1 = call i32 @PyTuple_SetItem(ptr %key, i64 0, ptr %looked)
  %e.2 = call i32 @PyTuple_SetItem(ptr %key, i64 1, ptr %through)
  %e.3 = call i32 @PyTuple_SetItem(ptr %key, i64 2, ptr %index)
  %s = call ptr @PyDict_GetItem(ptr %kids, ptr %key)
  call void @Py_DecRef(ptr %key)
  ret ptr %s
}
"""

_START = """
  %n.start = call ptr @PyTuple_GetItem(ptr %starts, i64 %n)
  %n.e = call i32 @PyList_Append(ptr %numbers, ptr %n.start)"""

_APPEND_STARTS = f"""
define internal void @append.starts(ptr %tape, ptr %starts) {{
  %numbers = call ptr @slot(ptr %tape, i64 <tape.scalars>)
  %many = call i64 @PyTuple_Size(ptr %starts)
{loop("n", "many", _START)}
  ret void
}}
"""

# the value that a storage's value number %source has through a lens
_LOOK = """
define internal ptr @look(ptr %plan, ptr %tape, ptr %t, ptr %through, ptr %source) {
entry:
  %found = call ptr @remembered(ptr %plan, ptr %tape, ptr %t, ptr %source)
  %known = icmp ne ptr %found, null
  br i1 %known, label %again, label %find
again:
  ret ptr %found
find:
  %at = call ptr @slot(ptr %tape, i64 <tape.state>)
  %kids = call ptr @slot(ptr %at, i64 <state.kids>)
  %fixed = call ptr @find.look(ptr %plan, ptr %kids, ptr %through, ptr %source)
  %unknown = icmp eq ptr %fixed, null
  br i1 %unknown, label %slices, label %take
slices:
  %starts = call ptr @slot(ptr %through, i64 <views.starts>)
  %new.lens = icmp eq ptr %starts, null
  br i1 %new.lens, label %no, label %slices.move
slices.move:
  %many = call i64 @PyTuple_Size(ptr %starts)
  %none.move = icmp eq i64 %many, 0
  br i1 %none.move, label %no, label %find.moving
find.moving:
  %pattern = call ptr @slot(ptr %through, i64 <views.moving>)
  %moved = call ptr @find.look(ptr %plan, ptr %kids, ptr %pattern, ptr %source)
  %new.here = icmp eq ptr %moved, null
  br i1 %new.here, label %no, label %move
move:
  call void @append.starts(ptr %tape, ptr %starts)
  br label %take
take:
  %s = phi ptr [ %fixed, %find ], [ %moved, %move ]
  call void @put(ptr %tape, i64 <tape.state>, ptr %s)
  %index = call ptr @slot(ptr %s, i64 <state.idx>)
  call void @remember(ptr %plan, ptr %tape, ptr %t, ptr %source, ptr %index)
  ret ptr %index
no:
  ret ptr null
}
"""

# a piece of a storage's known memory as a leaf of its own
_PIECE = """
define internal ptr @cut(ptr %plan, ptr %memory, ptr %through, ptr %extent) {
OBJECTS
  %begin = call ptr @PyTuple_GetItem(ptr %extent, i64 0)
  %size = call ptr @PyTuple_GetItem(ptr %extent, i64 1)
  %whole.address = call ptr @slot(ptr %memory, i64 ADDRESS)
  %from = call i64 @PyLong_AsLongLong(ptr %whole.address)
  %skipped = call i64 @PyLong_AsLongLong(ptr %begin)
  %at = add i64 %from, %skipped
  %address = call ptr @PyLong_FromLongLong(i64 %at)
  %b = call ptr @PyType_GenericAlloc(ptr %buffer, i64 0)
  call void @fill(ptr %b, i64 ADDRESS, ptr %address)
  call void @fill(ptr %b, i64 NBYTES, ptr %size)
  call void @fill(ptr %b, i64 HELD, ptr %memory)
  call void @fill(ptr %b, i64 SHELF, ptr %none)
  call void @Py_DecRef(ptr %address)
  %unread = call ptr @PyLong_FromLong(i64 -1)
  %form = call ptr @slot(ptr %through, i64 <views.form>)
  %st = call ptr @PyType_GenericAlloc(ptr %storage, i64 0)
  call void @fill(ptr %st, i64 <storage.mark>, ptr %none)
  call void @fill(ptr %st, i64 <storage.idx>, ptr %unread)
  call void @fill(ptr %st, i64 <storage.form>, ptr %form)
  call void @fill(ptr %st, i64 <storage.rg>, ptr %false)
  call void @fill(ptr %st, i64 <storage.buf>, ptr %b)
  call void @Py_DecRef(ptr %b)
  call void @Py_DecRef(ptr %unread)
  ret ptr %st
}

define internal ptr @of.piece(
    ptr %plan, ptr %tape, ptr %t, ptr %st, ptr %through, ptr %extent) {
entry:
OBJECTS
  %found = call ptr @remembered(ptr %plan, ptr %tape, ptr %t, ptr %part)
  %known = icmp ne ptr %found, null
  br i1 %known, label %again, label %anew
again:
  ret ptr %found
anew:
  %traced = call ptr @slot(ptr %tape, i64 <tape.tracing>)
  %plainly = icmp eq ptr %traced, %none
  br i1 %plainly, label %whose, label %no
whose:
  %mark = call ptr @slot(ptr %tape, i64 <tape.mark>)
  %old = call ptr @slot(ptr %st, i64 <storage.mark>)
  %here = icmp eq ptr %old, %mark
  %free = call i1 @settled(ptr %plan, ptr %st)
  %ours = or i1 %here, %free
  br i1 %ours, label %bind, label %no
bind:
  %memory = call ptr @slot(ptr %st, i64 <storage.buf>)
  %made = call ptr @cut(ptr %plan, ptr %memory, ptr %through, ptr %extent)
  %index = call ptr @bind(ptr %plan, ptr %tape, ptr %made, ptr %data)
  call void @Py_DecRef(ptr %made)
  %new.here = icmp eq ptr %index, null
  br i1 %new.here, label %no, label %bound
bound:
  call void @remember(ptr %plan, ptr %tape, ptr %t, ptr %part, ptr %index)
  ret ptr %index
no:
  ret ptr null
}
"""

# a view: of an autograd leaf, or of a storage. What lies in one piece of known memory is read as a
# leaf of its own.
_VIEW = """
define internal ptr @of.view(ptr %plan, ptr %tape, ptr %t, ptr %st, ptr %through) {
entry:
OBJECTS
  %leaf.base = call ptr @attribute(ptr %t, ptr %base)
  %plain = icmp eq ptr %leaf.base, %none
  br i1 %plain, label %of.storage, label %of.base
of.base:
  %base.st = call ptr @slot(ptr %leaf.base, i64 <tensor.st>)
  %from.leaf = call ptr @of.leaf(ptr %plan, ptr %tape, ptr %leaf.base, ptr %base.st)
  br label %read
of.storage:
  %mark = call ptr @slot(ptr %tape, i64 <tape.mark>)
  %memory = call ptr @slot(ptr %st, i64 <storage.buf>)
  %valueless = icmp eq ptr %memory, %none
  br i1 %valueless, label %computed, label %known
computed:
  %listed = call ptr @slot(ptr %through, i64 <views.listed>)
  %no.list = icmp eq ptr %listed, %false
  br i1 %no.list, label %plainly, label %no
known:
  %record = call ptr @attribute(ptr %st, ptr %hist)
  %pastless = icmp eq ptr %record, %none
  br i1 %pastless, label %unwritten, label %plainly
unwritten:
  %when = call ptr @attribute(ptr %st, ptr %dirty)
  %now = icmp eq ptr %when, %mark
  br i1 %now, label %plainly, label %private
private:
  %is.exported = call ptr @attribute(ptr %st, ptr %exported)
  %unshared = icmp eq ptr %is.exported, %false
  br i1 %unshared, label %pieces, label %no
pieces:
  %extent = call ptr @slot(ptr %through, i64 <views.piece>)
  %unasked = icmp eq ptr %extent, null
  br i1 %unasked, label %no, label %kind
kind:
  %scattered = icmp eq ptr %extent, %none
  br i1 %scattered, label %plainly, label %own.leaf
own.leaf:
  %as.leaf = call ptr @of.piece(
      ptr %plan, ptr %tape, ptr %t, ptr %st, ptr %through, ptr %extent)
  ret ptr %as.leaf
plainly:
  %stored = call ptr @value(ptr %plan, ptr %tape, ptr %st)
  br label %read
read:
  %source = phi ptr [ %from.leaf, %of.base ], [ %stored, %plainly ]
  %unusual = icmp eq ptr %source, null
  br i1 %unusual, label %no, label %whole.or.not
whole.or.not:
  %steps = call ptr @slot(ptr %through, i64 <views.steps>)
  %many = call i64 @PyTuple_Size(ptr %steps)
  %stepless = icmp eq i64 %many, 0
  %cut.off = call ptr @slot(ptr %through, i64 <views.detached>)
  %flows = icmp eq ptr %cut.off, %false
  %as.it.is = and i1 %stepless, %flows
  br i1 %as.it.is, label %unchanged, label %through.it
unchanged:
  ret ptr %source
through.it:
  %index = call ptr @look(ptr %plan, ptr %tape, ptr %t, ptr %through, ptr %source)
  ret ptr %index
no:
  ret ptr null
}
"""

_INDEX = """
define internal ptr @index(ptr %plan, ptr %tape, ptr %t) {
entry:
OBJECTS
  %st = call ptr @slot(ptr %t, i64 <tensor.st>)
  %through = call ptr @attribute(ptr %t, ptr %lens)
  %plain = icmp eq ptr %through, %none
  br i1 %plain, label %is.plain, label %leaf.or.view
is.plain:
  %i.plain = call ptr @value(ptr %plan, ptr %tape, ptr %st)
  ret ptr %i.plain
leaf.or.view:
  %ends.here = icmp eq ptr %through, %leaf
  br i1 %ends.here, label %is.leaf, label %kind
is.leaf:
  %i.leaf = call ptr @of.leaf(ptr %plan, ptr %tape, ptr %t, ptr %st)
  ret ptr %i.leaf
kind:
  %class = call ptr @slot(ptr %through, i64 8)
  %usual = icmp eq ptr %class, %views
  br i1 %usual, label %is.view, label %no
is.view:
  %i.view = call ptr @of.view(ptr %plan, ptr %tape, ptr %t, ptr %st, ptr %through)
  ret ptr %i.view
no:
  ret ptr null
}
"""

# what stands for a Python number in a key; null: it is none
_NUMBER = """
define internal ptr @number(ptr %plan, ptr %x) {
OBJECTS
  %class = call ptr @slot(ptr %x, i64 8)
  %is.float = icmp eq ptr %class, %float
  %is.int = icmp eq ptr %class, %int
  %is.bool = icmp eq ptr %class, %bool
  %a = select i1 %is.float, ptr %some.float, ptr null
  %b = select i1 %is.int, ptr %some.int, ptr %a
  %c = select i1 %is.bool, ptr %some.bool, ptr %b
  ret ptr %c
}
"""

_OPERAND = """
define internal ptr @operand(ptr %plan, ptr %tape, ptr %x) {
entry:
OBJECTS
  %n = call ptr @number(ptr %plan, ptr %x)
  %is.number = icmp ne ptr %n, null
  br i1 %is.number, label %given, label %object
given:
  ret ptr %n
object:
  %class = call ptr @slot(ptr %x, i64 8)
  %is = call i32 @PyType_IsSubtype(ptr %class, ptr %tensor)
  %other = icmp eq i32 %is, 0
  br i1 %other, label %no, label %look
look:
  %i = call ptr @index(ptr %plan, ptr %tape, ptr %x)
  ret ptr %i
no:
  ret ptr null
}
"""

_ITEM = """
  %k.at = getelementptr ptr, ptr %first, i64 %k
  %k.x = load ptr, ptr %k.at
  %k.index = call ptr @operand(ptr %plan, ptr %tape, ptr %k.x)
  %k.unusual = icmp eq ptr %k.index, null
  br i1 %k.unusual, label %no, label %k.usual
k.usual:
  call void @Py_IncRef(ptr %k.index)
  %k.place = add i64 %k, %place
  %k.set = call i32 @PyTuple_SetItem(ptr %key, i64 %k.place, ptr %k.index)"""

# the key's items from %place on: what the operands are; 0 where one is out of the ordinary
_OPERANDS = f"""
define internal i1 @operands(
    ptr %plan, ptr %tape, ptr %first, i64 %many, ptr %key, i64 %place) {{
entry:
{loop("k", "many", _ITEM)}
  ret i1 true
no:
  ret i1 false
}}
"""

_ADD = """
  %k.at = getelementptr ptr, ptr %first, i64 %k
  %k.x = load ptr, ptr %k.at
  %k.n = call ptr @number(ptr %plan, ptr %k.x)
  %k.tensor = icmp eq ptr %k.n, null
  br i1 %k.tensor, label %k.go, label %k.add
k.add:
  %k.e = call i32 @PyList_Append(ptr %numbers, ptr %k.x)
  br label %k.go
k.go:"""

# the run-time numbers among operands
_ADD_NUMBERS = f"""
define internal void @add.numbers(ptr %plan, ptr %tape, ptr %first, i64 %many) {{
entry:
  %numbers = call ptr @slot(ptr %tape, i64 <tape.scalars>)
{loop("k", "many", _ADD)}
  ret void
}}
"""

# is the tape too full for this state? The Python way then runs what is pending.
_FULL = """
define internal i1 @full(ptr %tape, ptr %s) {
  %load = call ptr @slot(ptr %s, i64 <state.load>)
  %limit = call ptr @slot(ptr %tape, i64 <tape.limit>)
  %now = call i64 @PyLong_AsLongLong(ptr %load)
  %most = call i64 @PyLong_AsLongLong(ptr %limit)
  %full = icmp sgt i64 %now, %most
  ret i1 %full
}
"""

OPERANDS = "".join(
    (
        _EXCLUSIVE, _SETTLED, _BIND, _SAME, _VALUE, _REMEMBERED, _LEAF, _FIND_LOOK,
        _APPEND_STARTS, _LOOK, _PIECE, _VIEW, _INDEX, _NUMBER, _OPERAND, _OPERANDS, _ADD_NUMBERS,
        _FULL,
    )
)  # fmt: skip
