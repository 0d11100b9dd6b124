"""The native code of direct calls: IR with a few words of its own.

In: where the slots of tensors, storages and buffers lie. Out: the text of a module with the method
`gemel_direct` and the table `known` of objects that it compares with. Lines of its own are

    %x = plan TYPE FIELD    a word of the plan that %plan points at
    %x = row NUMBER         a word of the row of a table that %row points at
    %x = slot NAME of %o    what a slot of an object holds
    %x = known NAME         one of the objects in KNOWN
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .direct_calls import CALLS
from .direct_looks import LOOKS
from .instances import WORD

# objects that the code names, in the order of its table
KNOWN = (None, False, True, "general", "lens", "lrg", "hist", "grad")

_NAMES = """
open held thread arguments_at arguments
looks looks_n pairs pairs_n entries entries_n checks checks_n
deposits deposits_n there there_n nowhere nowhere_n
numbers places places_n inputs inputs_n
table entry resume busy served
ring ring_n make output kind form
tensor_weak storage_weak buffer_weak storage_kind buffer_kind
""".split()
# open       may calls use the plan;  held: the tuple of all that it names
# thread     the number of the interpreter's thread that it is for
# arguments  of each: class, form, what its address may not have set
# looks      (address, what it must hold);  pairs: (address, address) that must hold the same
# entries    (dict, key, value);  checks: callables that must give True
# deposits   (parameter, gradient);  there, nowhere: looks when all have theirs, or all have none
# numbers    what gives the list of run-time numbers, or 0
# places     of each number: position in the list, word in the table, is it a float
# inputs     of each argument that the program reads: which, word in the table
# resume     called with the program's answer where that is not 0
# busy       address of the gate's slot;  served: calls up to now
# ring       results: tensor, storage, buffer, address;  make: called where none is free
PLAN = {name: k for k, name in enumerate(_NAMES)}


class Places(NamedTuple):
    """How far into an object the slots lie: `plan` of a compiled function, then of a tensor, a
    storage (its form is `own`), a buffer and a mark."""

    plan: int
    st: int
    form: int
    mark: int
    rg: int
    own: int
    buf: int
    address: int
    tape: int


_EXTERNAL = """
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyLong_FromLong(i64)
declare i64 @PyLong_AsLongLong(ptr)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyErr_Occurred()
declare void @PyErr_Clear()
declare ptr @PyThreadState_Get()
declare i64 @PyThreadState_GetID(ptr)
declare ptr @PyDict_GetItem(ptr, ptr)
declare ptr @PyList_GetItem(ptr, i64)
declare ptr @PyObject_GetAttr(ptr, ptr)
declare i32 @PyObject_SetAttr(ptr, ptr, ptr)
declare ptr @PyObject_CallNoArgs(ptr)
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
"""


def code(places: Places, bare: str) -> str:
    """The module. bare: the function of that name, see `instances`."""
    known = f"@known = global [{len(KNOWN)} x ptr] zeroinitializer"
    text = "\n".join([_EXTERNAL, known, bare, LOOKS, CALLS])
    offsets = {"kind": WORD, **places._asdict()}
    named = {str(thing): k for k, thing in enumerate(KNOWN)}
    own = {
        r"plan (\w+) (\w+)": lambda m: _load(m[1], "i64", "%plan", PLAN[m[3]], m[2]),
        r"row (\d+)": lambda m: _load(m[1], "i64", "%row", m[2]),
        r"slot (\w+) of (\S+)": lambda m: _load(m[1], "i8", m[3], offsets[m[2]]),
        r"known (\w+)": lambda m: _load(m[1], "ptr", "@known", named[m[2]]),
    }
    for pattern, expanded in own.items():
        text = re.sub(rf"(%\S+) = {pattern}$", expanded, text, flags=re.MULTILINE)
    return text


def _load(name: str, unit: str, pointer: str, at: int | str, kind: str = "ptr") -> str:
    """name = what lies some units behind a pointer; name.p: where."""
    where = f"{name}.p = getelementptr {unit}, ptr {pointer}, i64 {at}"
    return f"{where}\n  {name} = load {kind}, ptr {name}.p"
