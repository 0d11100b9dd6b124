"""What the texts of built-in functions over lists of objects have in common.

`DECLARED`: what they call of the interpreter, and readers and writers of slots and words; `loop`:
text that does something for each of a number of things.
"""

from __future__ import annotations

from ..buffer import Buffer
from .instances import slot_of

DECLARED = """
declare ptr @PyList_GetItem(ptr, i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare i64 @PyList_Size(ptr)
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyLong_FromLong(i64)
declare i64 @PyLong_AsLongLong(ptr)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyErr_Occurred()
declare void @PyErr_Clear()
declare ptr @PyObject_GetAttr(ptr, ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)

define internal ptr @slot(ptr %object, i64 %offset) alwaysinline {
  %at = getelementptr i8, ptr %object, i64 %offset
  %value = load ptr, ptr %at
  ret ptr %value
}

define internal void @put(ptr %object, i64 %offset, ptr %value) alwaysinline {
  %at = getelementptr i8, ptr %object, i64 %offset
  %old = load ptr, ptr %at
  call void @Py_IncRef(ptr %value)
  store ptr %value, ptr %at
  call void @Py_DecRef(ptr %old)
  ret void
}

; the same of a new object, whose slot is empty
define internal void @fill(ptr %object, i64 %offset, ptr %value) alwaysinline {
  %at = getelementptr i8, ptr %object, i64 %offset
  call void @Py_IncRef(ptr %value)
  store ptr %value, ptr %at
  ret void
}

define internal i64 @word(ptr %words, i64 %k) alwaysinline {
  %at = getelementptr i64, ptr %words, i64 %k
  %value = load i64, ptr %at
  ret i64 %value
}

define internal ptr @after(ptr %words, i64 %k) alwaysinline {
  %at = getelementptr i64, ptr %words, i64 %k
  ret ptr %at
}
"""

ATTRIBUTE = """
; an attribute that its object or class holds on to; None where there is none
define internal ptr @attribute(ptr %object, ptr %name) {
  %value = call ptr @PyObject_GetAttr(ptr %object, ptr %name)
  call void @Py_DecRef(ptr %value)
  ret ptr %value
}
"""


def loop(name: str, count: str, body: str) -> str:
    """For %name from 0 below %count; the body may branch, and ends where it stands."""
    return f"""
  br label %{name}.from
{name}.from:
  br label %{name}.head
{name}.head:
  %{name} = phi i64 [ 0, %{name}.from ], [ %{name}.next, %{name}.tail ]
  %{name}.more = icmp ult i64 %{name}, %{count}
  br i1 %{name}.more, label %{name}.body, label %{name}.done
{name}.body:
{body}
  br label %{name}.tail
{name}.tail:
  %{name}.next = add i64 %{name}, 1
  br label %{name}.head
{name}.done:"""


class _Bare(Buffer):
    """A buffer without memory, to find out where the slots lie."""

    __slots__ = ()

    def __del__(self):
        pass


_BUFFER_SLOTS = {"SHELF": "_shelf", "ADDRESS": "address", "NBYTES": "nbytes", "HELD": "_memory"}


def with_slots(text: str) -> str:
    """SHELF, ADDRESS, NBYTES and HELD in the text become where a buffer has those slots."""
    for word, slot in _BUFFER_SLOTS.items():
        text = text.replace(word, str(slot_of(_Bare, slot)))
    return text
