"""Values as the pickle instructions of PyTorch's tensor files (protocol 2).

In: tensors, parameters, numbers, strings, bytes, None, tuples, lists, dicts, sets, sizes, dtypes,
devices. Anything else is refused: loading could not bring it back without running code.
"""

from __future__ import annotations

import pickle
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable

import numpy as np

from .device import device
from .dtypes import dtype
from .size import Size
from .tensor import Tensor

PROTOCOL = b"\x80\x02"


class PickleWriter:
    """Writes one value. `tensor(writer, t)` writes a tensor's instructions."""

    def __init__(self, tensor: Callable):
        self.out = bytearray(PROTOCOL)
        self.tensor = tensor
        self.memo: dict[int, int] = {}
        self.names: dict[str, int] = {}
        self.kept: list = []  # so that no id is used twice
        self.count = 0

    def finished(self, value) -> bytes:
        self.write(value)
        self.out += b"."
        return bytes(self.out)

    # ---------- memo ----------
    def remember(self, value=None) -> int:
        """Number the value just written; `value` is found again by identity."""
        number = self.count
        self.count += 1
        self.out += b"q" + bytes([number]) if number < 256 else b"r" + struct.pack("<I", number)
        if value is not None:
            self.memo[id(value)] = number
            self.kept.append(value)
        return number

    def recall(self, number: int) -> None:
        self.out += b"h" + bytes([number]) if number < 256 else b"j" + struct.pack("<I", number)

    # ---------- pieces ----------
    def name(self, module: str, name: str) -> None:
        """A reference to a constructor."""
        key = f"{module} {name}"
        if key in self.names:
            self.recall(self.names[key])
            return
        self.out += b"c" + f"{module}\n{name}\n".encode("ascii")
        self.names[key] = self.remember()

    def call(self, module: str, name: str, *arguments) -> None:
        """A constructor called with arguments."""
        self.name(module, name)
        self.write(arguments)
        self.out += b"R"

    def write(self, value) -> None:
        """Any value. Raises pickle.PicklingError for kinds that are refused."""
        if id(value) in self.memo:
            self.recall(self.memo[id(value)])
            return
        for kind, rule in _RULES:
            if isinstance(value, kind):
                rule(self, value)
                return
        raise pickle.PicklingError(
            f"torch.save: a {type(value).__module__}.{type(value).__qualname__} cannot be saved: "
            "files hold tensors, parameters, numbers, strings, bytes, tuples, lists, dicts and "
            "sets, so that loading one never runs code. For a module save `module.state_dict()`"
        )

    def constant(self, value) -> None:
        self.out += {None: b"N", True: b"\x88", False: b"\x89"}[value]

    def integer(self, value) -> None:
        value = int(value)
        if 0 <= value < 256:
            self.out += b"K" + bytes([value])
        elif 0 <= value < 1 << 16:
            self.out += b"M" + struct.pack("<H", value)
        elif -(1 << 31) <= value < 1 << 31:
            self.out += b"J" + struct.pack("<i", value)
        else:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            if len(raw) > 255:
                raise pickle.PicklingError("torch.save: an integer of more than 255 bytes")
            self.out += b"\x8a" + bytes([len(raw)]) + raw

    def number(self, value) -> None:
        self.out += b"G" + struct.pack(">d", float(value))

    def text(self, value: str) -> None:
        raw = value.encode("utf-8", "surrogatepass")
        self.out += b"X" + struct.pack("<I", len(raw)) + raw
        self.remember(value)

    def raw(self, value) -> None:
        self.call("_codecs", "encode", bytes(value).decode("latin1"), "latin1")
        self.remember(value)

    def tuple(self, value) -> None:
        if not value:
            self.out += b")"
            return
        self.out += b"("
        for item in value:
            self.write(item)
        self.out += b"t"
        self.remember(value)

    def list(self, value) -> None:
        self.out += b"]"
        self.remember(value)
        if value:
            self.out += b"("
            for item in value:
                self.write(item)
            self.out += b"e"

    def entries(self, value) -> None:
        if value:
            self.out += b"("
            for key, item in value.items():
                self.write(key)
                self.write(item)
            self.out += b"u"

    def dict(self, value) -> None:
        self.out += b"}"
        self.remember(value)
        self.entries(value)

    def ordered_dict(self, value) -> None:
        self.call("collections", "OrderedDict")
        self.remember(value)
        self.entries(value)
        if value.__dict__:
            self.write(dict(value.__dict__))
            self.out += b"b"

    def counter(self, value) -> None:
        self.call("collections", "Counter", dict(value))
        self.remember(value)

    def set(self, value) -> None:
        self.call("__builtin__", "set", list(value))
        self.remember(value)

    def dtype(self, value) -> None:
        self.name("torch", value.name)

    def device(self, value) -> None:
        self.call("torch", "device", str(value))

    def size(self, value) -> None:
        self.call("torch", "Size", tuple(value))


_RULES = (
    (type(None) | bool, PickleWriter.constant),
    (np.bool_, lambda w, x: w.constant(bool(x))),
    (int | np.integer, PickleWriter.integer),
    (float | np.floating, PickleWriter.number),
    (str, PickleWriter.text),
    (bytes | bytearray, PickleWriter.raw),
    (Tensor, lambda w, x: w.tensor(w, x)),
    (Size, PickleWriter.size),
    (tuple, PickleWriter.tuple),
    (list, PickleWriter.list),
    (OrderedDict, PickleWriter.ordered_dict),
    (Counter, PickleWriter.counter),
    (dict, PickleWriter.dict),
    (set | frozenset, PickleWriter.set),
    (dtype, PickleWriter.dtype),
    (device, PickleWriter.device),
)
