"""An interpreter of the pickle instructions that tensor files use. It never runs code.

In: bytes, a closed table of constructors, a function for persistent ids. Out: the value. Whatever
is not in the table, and every instruction not known here, is an error that names the file and the
offset of the instruction.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

MAX_PROTOCOL = 5
_MARK = object()


class DamagedFile(RuntimeError):
    """A file that is cut off, changed, or of another kind. The message says where."""


class PickleReader:
    """Reads one value. `constructors`: 'module name' -> function or value."""

    def __init__(
        self, data: bytes, name: str, constructors: dict[str, Any], persistent: Callable[[Any], Any]
    ):
        self.data = data
        self.name = name
        self.constructors = constructors
        self.persistent = persistent
        self.at = 0
        self.start = 0
        self.stack: list = []
        self.memo: dict[int, Any] = {}

    def error(self, reason: str) -> pickle.UnpicklingError:
        """An error that says where in the file it happened."""
        return pickle.UnpicklingError(f"{self.name}: at byte {self.start}: {reason}")

    def load(self):
        """The value. Raises pickle.UnpicklingError for damaged or foreign data."""
        while True:
            self.start = self.at
            code = self.take(1)[0]
            if code == 0x2E:  # STOP
                return self.pop()
            rule = _RULES.get(code)
            if rule is None:
                raise self.error(f"pickle instruction 0x{code:02x} is not used in tensor files")
            try:
                rule(self)
            except (pickle.UnpicklingError, DamagedFile):
                raise
            except Exception as problem:
                raise self.error(f"{type(problem).__name__}: {problem}") from problem

    # ---------- bytes and stack ----------
    def take(self, count: int) -> bytes:
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise self.error(f"{count} bytes are needed, {len(self.data) - self.at} are left")
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise self.error("a line without an end")
        text = self.data[self.at : end].decode("ascii")
        self.at = end + 1
        return text

    def push(self, value) -> None:
        self.stack.append(value)

    def pop(self):
        if not self.stack:
            raise self.error("the stack is empty")
        value = self.stack.pop()
        if value is _MARK:
            raise self.error("a mark where a value is needed")
        return value

    def top(self):
        if not self.stack or self.stack[-1] is _MARK:
            raise self.error("a value is needed")
        return self.stack[-1]

    def marked(self) -> list:
        """The values since the last mark."""
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is _MARK:
                values = self.stack[i + 1 :]
                del self.stack[i:]
                return values
        raise self.error("a mark is missing")

    # ---------- instructions with a rule of their own ----------
    def protocol(self) -> None:
        version = self.take(1)[0]
        if version > MAX_PROTOCOL:
            raise self.error(f"pickle protocol {version} is not known")

    def long(self, layout: str) -> None:
        self.push(int.from_bytes(self.take(self.number(layout)), "little", signed=True))

    def text(self, layout: str) -> None:
        self.push(self.take(self.number(layout)).decode("utf-8", "surrogatepass"))

    def get(self, key: int) -> None:
        if key not in self.memo:
            raise self.error(f"memo entry {key} was never stored")
        self.push(self.memo[key])

    def put(self, key: int) -> None:
        self.memo[key] = self.top()

    def find(self, module: str, name: str) -> None:
        key = f"{module} {name}"
        if key not in self.constructors:
            raise self.error(
                f"the file asks for {module}.{name}, which is not among the things that a tensor "
                "file may hold: tensors, parameters, numbers, strings, bytes, tuples, lists, "
                "dicts, sets. Nothing was run. Save `model.state_dict()` instead of whole objects"
            )
        self.push(self.constructors[key])

    def stack_global(self) -> None:
        name = self.pop()
        self.find(self.pop(), name)

    def reduce(self) -> None:
        arguments = self.pop()
        make = self.pop()
        if not any(make is c for c in self.constructors.values()) or not callable(make):
            raise self.error(f"{make!r} cannot be called")
        self.push(make(*arguments))

    def build(self) -> None:
        state = self.pop()
        target = self.top()
        if not isinstance(target, OrderedDict) or not isinstance(state, dict):
            raise self.error(f"a {type(target).__name__} takes no state")
        target.__dict__.update(state)

    def append_all(self) -> None:
        values = self.marked()
        self.of_type(list).extend(values)

    def append_one(self) -> None:
        value = self.pop()
        self.of_type(list).append(value)

    def set_one(self) -> None:
        value = self.pop()
        key = self.pop()
        self.of_type(dict)[key] = value

    def set_all(self) -> None:
        values = self.marked()
        target = self.of_type(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[key] = value

    def add_all(self) -> None:
        values = self.marked()
        self.of_type(set).update(values)

    def of_type(self, kind: type):
        target = self.top()
        if not isinstance(target, kind):
            raise self.error(f"a {kind.__name__} is needed, this is a {type(target).__name__}")
        return target

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))


def _pushing(make: Callable[[], Any]):
    return lambda r: r.push(make())


def _number(layout: str):
    return lambda r: r.push(r.number(layout))


_RULES: dict[int, Callable[[PickleReader], object]] = {
    0x80: PickleReader.protocol,
    0x95: lambda r: r.take(8),  # FRAME: sizes of pieces, not needed
    0x28: lambda r: r.push(_MARK),
    0x30: lambda r: r.stack.pop(),
    0x31: lambda r: r.marked(),
    0x4E: _pushing(lambda: None),
    0x88: _pushing(lambda: True),
    0x89: _pushing(lambda: False),
    0x4A: _number("<i"),
    0x4B: _number("<B"),
    0x4D: _number("<H"),
    0x8A: lambda r: r.long("<B"),
    0x8B: lambda r: r.long("<i"),
    0x47: _number(">d"),
    0x58: lambda r: r.text("<I"),
    0x8C: lambda r: r.text("<B"),
    0x8D: lambda r: r.text("<Q"),
    0x42: lambda r: r.push(r.take(r.number("<I"))),
    0x43: lambda r: r.push(r.take(r.number("<B"))),
    0x8E: lambda r: r.push(r.take(r.number("<Q"))),
    0x7D: _pushing(dict),
    0x5D: _pushing(list),
    0x29: _pushing(tuple),
    0x8F: _pushing(set),
    0x74: lambda r: r.push(tuple(r.marked())),
    0x85: lambda r: r.tuple_of(1),
    0x86: lambda r: r.tuple_of(2),
    0x87: lambda r: r.tuple_of(3),
    0x61: PickleReader.append_one,
    0x65: PickleReader.append_all,
    0x73: PickleReader.set_one,
    0x75: PickleReader.set_all,
    0x90: PickleReader.add_all,
    0x71: lambda r: r.put(r.number("<B")),
    0x72: lambda r: r.put(r.number("<I")),
    0x94: lambda r: r.put(len(r.memo)),
    0x68: lambda r: r.get(r.number("<B")),
    0x6A: lambda r: r.get(r.number("<I")),
    0x63: lambda r: r.find(r.line(), r.line()),
    0x93: PickleReader.stack_global,
    0x52: PickleReader.reduce,
    0x62: PickleReader.build,
    0x51: lambda r: r.push(r.persistent(r.pop())),
}
