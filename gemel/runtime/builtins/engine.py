"""What built-in functions know of the engine whose objects they look at: classes, and objects that
are compared by identity. Their texts name slots as <class.slot>, and objects by their names.
"""

from __future__ import annotations

import re
from sys import intern
from typing import Any, NamedTuple

from .instances import slot_of
from .text import ATTRIBUTE, DECLARED, with_slots

_ATTRIBUTES = (
    "lens", "exported", "hist", "cmark", "csrc", "cidx", "kin", "grad", "hooks", "after", "p",
    "base", "brg", "dirty", "bump", "ver", "first", "twin",
)  # fmt: skip


class Engine(NamedTuple):
    """Classes of the engine, and the objects that recording compares with.

    leaf         `lens` of autograd leaves
    data, param  form -> key of a leaf's transition
    threads      a list that is empty while there is one thread
    views        class of the lenses of views;  whole: form -> the lens of the whole
    look, write, update  kinds of transitions;  part: in the place of an index that was read
    buffer       class of memory
    numbers      float, int and bool as keys have them
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
    views: type
    whole: dict
    look: int
    write: int
    update: int
    part: int
    buffer: type
    numbers: tuple[int, int, int]


_OBJECTS = (
    "none", "true", "false", "leaf", "data", "param", "threads", "storage", "tensor", "new",
    "views", "whole", "looked", "written", "updated", "part", "buffer", "float", "int", "bool",
    "tuple", "some.float", "some.int", "some.bool", *_ATTRIBUTES,
)  # fmt: skip


def objects_of(engine: Engine) -> tuple:
    """The objects that the texts name, in the order of the plan's words."""
    return (
        None, True, False, engine.leaf, engine.data, engine.param, engine.threads, engine.storage,
        engine.tensor, object.__new__, engine.views, engine.whole, engine.look, engine.write,
        engine.update, engine.part, engine.buffer, float, int, bool, tuple, *engine.numbers,
        *map(intern, _ATTRIBUTES),
    )  # fmt: skip


def _objects(found: re.Match) -> str:
    """Lines that load the plan's objects that a function names into registers of their names."""
    body = found[1]
    named = [n for n in _OBJECTS if re.search(rf"%{re.escape(n)}(?![\w.])", body)]
    loads = [f"  %{n} = call ptr @slot(ptr %plan, i64 {8 * _OBJECTS.index(n)})\n" for n in named]
    return "".join(loads) + body


_MORE = """
declare i32 @PyType_IsSubtype(ptr, ptr)
declare i32 @PyList_Append(ptr, ptr)
declare i32 @PyObject_SetAttr(ptr, ptr, ptr)
declare ptr @PyDict_GetItem(ptr, ptr)
declare ptr @PyType_GenericAlloc(ptr, i64)
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare ptr @PyLong_FromLongLong(i64)
declare i64 @PyTuple_Size(ptr)
declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyList_New(i64)
declare ptr @PyWeakref_NewRef(ptr, ptr)
declare i32 @memcmp(ptr, ptr, i64)
"""


def text_of(engine: Engine, *parts: str) -> str:
    """The whole text of functions: what they call, with slots as numbers. A line OBJECTS in a
    function's beginning loads the objects that it names."""
    text = f"{DECLARED}{_MORE}{ATTRIBUTE}{''.join(parts)}"
    for kind in ("tape", "mark", "state", "storage", "tensor", "views"):
        own = getattr(engine, kind)
        slots = own.__slots__ if isinstance(own.__slots__, tuple) else (own.__slots__,)
        for slot in slots:
            if f"<{kind}.{slot}>" in text:
                text = text.replace(f"<{kind}.{slot}>", str(slot_of(own, slot)))
    text = with_slots(text)
    return re.sub(r"^OBJECTS\n(.*?^}\n)", _objects, text, flags=re.DOTALL | re.MULTILINE)
