"""What a direct call looks at, as text of `direct_code`.

In: tables of a plan. Out: functions that tell whether a call is like the one before, which hold
the arguments' memory, and which find a result to be used again.
"""

from __future__ import annotations

# is %ok of a test true for every row of a table?
_LOOP = """
define internal i1 @NAME(ptr %rows, i64 %n) {
entry:
  br label %head
head:
  %k = phi i64 [ 0, %entry ], [ %next, %good ]
  %more = icmp ult i64 %k, %n
  br i1 %more, label %body, label %yes
body:
  %first = mul i64 %k, STRIDE
  %row = getelementptr i64, ptr %rows, i64 %first
TEST  br i1 %ok, label %good, label %no
good:
  %next = add i64 %k, 1
  br label %head
yes:
  ret i1 true
no:
  ret i1 false
}
"""
# name -> words of a row, test; attributes are compared, never used
_TESTS = {
    "same": (
        2,
        """
  %address = row 0
  %wanted = row 1
  %found = load ptr, ptr %address
  %ok = icmp eq ptr %found, %wanted
""",
    ),
    "paired": (
        2,
        """
  %one = row 0
  %other = row 1
  %x = load i64, ptr %one
  %y = load i64, ptr %other
  %ok = icmp eq i64 %x, %y
""",
    ),
    "entered": (
        3,
        """
  %dict = row 0
  %key = row 1
  %wanted = row 2
  %found = call ptr @PyDict_GetItem(ptr %dict, ptr %key)
  %ok = icmp eq ptr %found, %wanted
""",
    ),
    "given": (
        2,
        """
  %parameter = row 0
  %gradient = row 1
  %name = known grad
  %found = call ptr @attribute(ptr %parameter, ptr %name)
  %ok = icmp eq ptr %found, %gradient
""",
    ),
    "forgot": (
        2,
        """
  %parameter = row 0
  %name = known grad
  %none = known None
  %found = call ptr @attribute(ptr %parameter, ptr %name)
  %ok = icmp eq ptr %found, %none
""",
    ),
    "put": (
        2,
        """
  %parameter = row 0
  %gradient = row 1
  %name = known grad
  %failed = call i32 @PyObject_SetAttr(ptr %parameter, ptr %name, ptr %gradient)
  %ok = icmp eq i32 %failed, 0
""",
    ),
}

# an attribute, to compare it with something that is held
_ATTRIBUTE = """
define internal ptr @attribute(ptr %o, ptr %name) {
  %found = call ptr @PyObject_GetAttr(ptr %o, ptr %name)
  %none = icmp eq ptr %found, null
  br i1 %none, label %clear, label %done
clear:
  call void @PyErr_Clear()
  ret ptr null
done:
  call void @Py_DecRef(ptr %found)
  ret ptr %found
}
"""

# 0: every callable gave True; 1: one did not; 2: one raised
_AGREED = """
define internal i32 @agreed(ptr %rows, i64 %n) {
entry:
  %yes = known True
  br label %head
head:
  %k = phi i64 [ 0, %entry ], [ %next, %good ]
  %more = icmp ult i64 %k, %n
  br i1 %more, label %body, label %end
body:
  %row = getelementptr ptr, ptr %rows, i64 %k
  %check = load ptr, ptr %row
  %found = call ptr @PyObject_CallNoArgs(ptr %check)
  %raised = icmp eq ptr %found, null
  br i1 %raised, label %error, label %answer
answer:
  call void @Py_DecRef(ptr %found)
  %ok = icmp eq ptr %found, %yes
  br i1 %ok, label %good, label %no
good:
  %next = add i64 %k, 1
  br label %head
end:
  ret i32 0
no:
  ret i32 1
error:
  ret i32 2
}
"""

# Is a tensor a whole storage and no autograd leaf? Has a storage no history?
_PLAIN = """
define internal i1 @whole(ptr %t) {
  %bare = call i1 @bare(ptr %t)
  br i1 %bare, label %yes, label %ask
ask:
  %lens = known lens
  %lrg = known lrg
  %none = known None
  %false = known False
  %x = call ptr @attribute(ptr %t, ptr %lens)
  %y = call ptr @attribute(ptr %t, ptr %lrg)
  %x.ok = icmp eq ptr %x, %none
  %y.ok = icmp eq ptr %y, %false
  %both = and i1 %x.ok, %y.ok
  ret i1 %both
yes:
  ret i1 true
}

define internal i1 @recent(ptr %s) {
  %bare = call i1 @bare(ptr %s)
  br i1 %bare, label %yes, label %ask
ask:
  %hist = known hist
  %none = known None
  %x = call ptr @attribute(ptr %s, ptr %hist)
  %ok = icmp eq ptr %x, %none
  ret i1 %ok
yes:
  ret i1 true
}
"""

# Hold the buffers of the arguments and find their addresses; gives how many were as expected.
# Each is a tensor of its class and form whose value lies, evaluated, in its own buffer.
_TAKE = """
define internal i64 @take(ptr %plan, ptr %given, ptr %buffers, ptr %addresses) {
entry:
  %n = plan i64 arguments
  %table = plan ptr arguments_at
  %buffer.kind = plan ptr buffer_kind
  %storage.kind = plan ptr storage_kind
  %none = known None
  %false = known False
  br label %head
head:
  %k = phi i64 [ 0, %entry ], [ %next, %good ]
  %more = icmp ult i64 %k, %n
  br i1 %more, label %body, label %end
body:
  %first = mul i64 %k, 3
  %row = getelementptr i64, ptr %table, i64 %first
  %kind = row 0
  %form = row 1
  %mask = row 2
  %t.at = getelementptr ptr, ptr %given, i64 %k
  %t = load ptr, ptr %t.at
  %t.kind = slot kind of %t
  %ok.kind = icmp eq ptr %t.kind, %kind
  br i1 %ok.kind, label %tensor, label %end
tensor:
  %t.form = slot form of %t
  %s = slot st of %t
  %ok.form = icmp eq ptr %t.form, %form
  br i1 %ok.form, label %storage, label %end
storage:
  %s.kind = slot kind of %s
  %ok.s = icmp eq ptr %s.kind, %storage.kind
  br i1 %ok.s, label %value, label %end
value:
  %mark = slot mark of %s
  %rg = slot rg of %s
  %b = slot buf of %s
  %fresh = icmp eq ptr %mark, %none
  br i1 %fresh, label %settled, label %marked
marked:
  %tape = slot tape of %mark
  br label %settled
settled:
  %pending = phi ptr [ %none, %value ], [ %tape, %marked ]
  %ok.mark = icmp eq ptr %pending, %none
  %ok.rg = icmp eq ptr %rg, %false
  %ok.b = icmp ne ptr %b, null
  %ok.2 = and i1 %ok.rg, %ok.b
  %ok.3 = and i1 %ok.mark, %ok.2
  br i1 %ok.3, label %rare, label %end
rare:
  %whole = call i1 @whole(ptr %t)
  %recent = call i1 @recent(ptr %s)
  %ok.4 = and i1 %whole, %recent
  %b.kind = slot kind of %b
  %ok.5 = icmp eq ptr %b.kind, %buffer.kind
  %ok.6 = and i1 %ok.4, %ok.5
  br i1 %ok.6, label %buffer, label %end
buffer:
  %word = slot address of %b
  %address = call ptr @PyLong_AsVoidPtr(ptr %word)
  %number = ptrtoint ptr %address to i64
  %bits = ptrtoint ptr %mask to i64
  %odd = and i64 %number, %bits
  %even = icmp eq i64 %odd, 0
  br i1 %even, label %good, label %end
good:
  call void @Py_IncRef(ptr %b)
  %b.at = getelementptr ptr, ptr %buffers, i64 %k
  store ptr %b, ptr %b.at
  %a.at = getelementptr i64, ptr %addresses, i64 %k
  store i64 %number, ptr %a.at
  %next = add i64 %k, 1
  br label %head
end:
  ret i64 %k
}
"""

# A result that nobody else holds, made ready to be used again; or null.
_FIND = """
define internal ptr @find(ptr %plan) {
entry:
  %n = plan i64 ring_n
  %ring = plan ptr ring
  %kind = plan ptr kind
  %form = plan ptr form
  %tensor.weak = plan i64 tensor_weak
  %storage.weak = plan i64 storage_weak
  %buffer.weak = plan i64 buffer_weak
  %none = known None
  %false = known False
  br label %head
head:
  %k = phi i64 [ 0, %entry ], [ %next, %another ]
  %more = icmp ult i64 %k, %n
  br i1 %more, label %body, label %end
body:
  %first = shl i64 %k, 2
  %row = getelementptr i64, ptr %ring, i64 %first
  %t = row 0
  %s = row 1
  %b = row 2
  %some = icmp ne ptr %t, null
  br i1 %some, label %tensor, label %another
tensor:
  %t.count = load i64, ptr %t
  %t.kind = slot kind of %t
  %t.form = slot form of %t
  %t.s = slot st of %t
  %t.weak.p = getelementptr i8, ptr %t, i64 %tensor.weak
  %t.weak = load ptr, ptr %t.weak.p
  %ok.1 = icmp eq i64 %t.count, 1
  %ok.2 = icmp eq ptr %t.kind, %kind
  %ok.3 = icmp eq ptr %t.form, %form
  %ok.4 = icmp eq ptr %t.s, %s
  %ok.5 = icmp eq ptr %t.weak, null
  %ok.12 = and i1 %ok.1, %ok.2
  %ok.34 = and i1 %ok.3, %ok.4
  %ok.125 = and i1 %ok.12, %ok.5
  %ok.t = and i1 %ok.34, %ok.125
  br i1 %ok.t, label %storage, label %another
storage:
  %s.count = load i64, ptr %s
  %s.form = slot own of %s
  %s.b = slot buf of %s
  %s.rg = slot rg of %s
  %s.weak.p = getelementptr i8, ptr %s, i64 %storage.weak
  %s.weak = load ptr, ptr %s.weak.p
  %so.1 = icmp eq i64 %s.count, 1
  %so.2 = icmp eq ptr %s.form, %form
  %so.3 = icmp eq ptr %s.b, %b
  %so.4 = icmp eq ptr %s.rg, %false
  %so.5 = icmp eq ptr %s.weak, null
  %so.12 = and i1 %so.1, %so.2
  %so.34 = and i1 %so.3, %so.4
  %so.125 = and i1 %so.12, %so.5
  %so = and i1 %so.34, %so.125
  br i1 %so, label %buffer, label %another
buffer:
  %b.count = load i64, ptr %b
  %b.weak.p = getelementptr i8, ptr %b, i64 %buffer.weak
  %b.weak = load ptr, ptr %b.weak.p
  %bo.1 = icmp eq i64 %b.count, 1
  %bo.2 = icmp eq ptr %b.weak, null
  %t.bare = call i1 @bare(ptr %t)
  %s.bare = call i1 @bare(ptr %s)
  %bo.12 = and i1 %bo.1, %bo.2
  %bares = and i1 %t.bare, %s.bare
  %bo = and i1 %bo.12, %bares
  br i1 %bo, label %found, label %another
another:
  %next = add i64 %k, 1
  br label %head
found:
  %mark = slot mark of %s
  %clean = icmp eq ptr %mark, %none
  br i1 %clean, label %ready, label %clear
clear:
  call void @Py_IncRef(ptr %none)
  store ptr %none, ptr %mark.p
  call void @Py_DecRef(ptr %mark)
  br label %ready
ready:
  ret ptr %row
end:
  ret ptr null
}
"""


def _tests() -> str:
    """The functions over tables."""
    return "".join(
        _LOOP.replace("NAME", name).replace("STRIDE", str(words)).replace("TEST", test)
        for name, (words, test) in _TESTS.items()
    )


LOOKS = "".join([_ATTRIBUTE, _tests(), _AGREED, _PLAIN, _TAKE, _FIND])
