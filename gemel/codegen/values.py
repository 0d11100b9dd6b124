"""Types, constants and SSA values of the IR text builder.

Role: what `codegen.llvm` hands around. A `Value` is a name or constant text with a `Type`; its
operators call back into the function that owns it. `literal` spells exact scalar constants.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gemel.codegen.llvm import Function

SIZES = {"i1": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "float": 4, "double": 8, "ptr": 8}
FLOATS = ("float", "double")
BITS = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "float": 32, "double": 64}
_SUFFIX = {**{name: name for name in SIZES}, "float": "f32", "double": "f64", "ptr": "p0"}


class Type(NamedTuple):
    """An element type and a lane count; one lane is a scalar."""

    elem: str
    lanes: int = 1

    def __str__(self) -> str:
        return _spell(self)

    @property
    def is_float(self) -> bool:
        return self.elem in FLOATS

    @property
    def suffix(self) -> str:
        """The type in an intrinsic's name."""
        short = _SUFFIX[self.elem]
        return short if self.lanes == 1 else f"v{self.lanes}{short}"


@cache
def _spell(type_: Type) -> str:
    return type_.elem if type_.lanes == 1 else f"<{type_.lanes} x {type_.elem}>"


I64 = Type("i64")
POINTER = Type("ptr")


def literal(value: float, elem: str) -> str:
    """The text of a scalar constant; floats are exact (hexadecimal of the double)."""
    if elem == "float":
        value = _round_to_float(value)
    if elem in FLOATS:
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    if elem == "i1":
        return "true" if value else "false"
    if elem == "ptr":
        return "null"
    bits = BITS[elem]
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise ValueError(f"the constant {value} does not fit {elem}")
    return str(int(value))


def _round_to_float(value: float) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


class Value:
    """One SSA value (or constant) of a function."""

    __slots__ = ("function", "text", "type")

    def __init__(self, function: Function, text: str, type_: Type):
        self.function = function
        self.text = text
        self.type = type_

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Value({self.type} {self.text})"

    @property
    def elem(self) -> str:
        return self.type.elem

    @property
    def lanes(self) -> int:
        return self.type.lanes

    def __add__(self, other: Operand) -> Value:
        return self.function.add(self, other)

    def __radd__(self, other: Operand) -> Value:
        return self.function.add(other, self)

    def __sub__(self, other: Operand) -> Value:
        return self.function.sub(self, other)

    def __rsub__(self, other: Operand) -> Value:
        return self.function.sub(other, self)

    def __mul__(self, other: Operand) -> Value:
        return self.function.mul(self, other)

    def __rmul__(self, other: Operand) -> Value:
        return self.function.mul(other, self)

    def __truediv__(self, other: Operand) -> Value:
        return self.function.fdiv(self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return self.function.fdiv(other, self)

    def __and__(self, other: Operand) -> Value:
        return self.function.binary("and", self, other)

    def __or__(self, other: Operand) -> Value:
        return self.function.binary("or", self, other)

    def __xor__(self, other: Operand) -> Value:
        return self.function.binary("xor", self, other)

    def __lshift__(self, other: Operand) -> Value:
        return self.function.binary("shl", self, other)

    def __rshift__(self, other: Operand) -> Value:
        return self.function.binary("ashr", self, other)

    def __neg__(self) -> Value:
        return self.function.neg(self)

    def __invert__(self) -> Value:
        return self.function.binary("xor", self, -1 if self.elem != "i1" else True)

    def __lt__(self, other: Operand) -> Value:
        return self.function.compare("<", self, other)

    def __le__(self, other: Operand) -> Value:
        return self.function.compare("<=", self, other)

    def __gt__(self, other: Operand) -> Value:
        return self.function.compare(">", self, other)

    def __ge__(self, other: Operand) -> Value:
        return self.function.compare(">=", self, other)


Operand = Value | int | float
