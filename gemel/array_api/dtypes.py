"""The standard's element types, their limits and their promotion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemel.graph.form import (
    DType,
    bool_,
    complex64,
    complex128,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from gemel.graph.node import Node
from gemel.ops.elementwise import cast
from gemel.ops.record import is_number

from .array import Array

DTYPES = (
    bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, complex64,
    complex128,
)  # fmt: skip
KINDS = {
    "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu",
    "real floating": "f", "complex floating": "c", "numeric": "iufc",
}  # fmt: skip
NAMES = {"b": "bool", "i": "signed integer", "u": "unsigned integer", "f": "real floating",
         "c": "complex floating"}  # fmt: skip
_SIGNED = {1: int16, 2: int32, 4: int64}
_KIND_OF = {bool: "b", int: "iufc", float: "fc", complex: "c"}
_DEFAULTS = {bool: bool_, int: int64, float: float64, complex: complex128}


def known(dtype) -> DType:
    """TypeError for what is no element type of the standard."""
    if dtype not in DTYPES:
        raise TypeError(f"{dtype!r} is no element type of the standard")
    return dtype


def promoted_type(a: DType, b: DType) -> DType:
    """The type of an operation on arrays of both. TypeError where the standard has none."""
    if a is b:
        return a
    kinds = {a.kind, b.kind}
    if len(kinds) == 1:
        return a if a.itemsize > b.itemsize else b
    if kinds == {"i", "u"}:
        signed, unsigned = (a, b) if a.kind == "i" else (b, a)
        if signed.itemsize > unsigned.itemsize:
            return signed
        if unsigned.itemsize in _SIGNED:
            return _SIGNED[unsigned.itemsize]
    if kinds == {"f", "c"}:
        return complex128 if float64 in (a, b) or complex128 in (a, b) else complex64
    raise TypeError(f"{a} and {b} have no type in common: use astype")


def scalar_type(kind: type, other: DType) -> DType:
    """The type of a Python number beside an array. TypeError where it would lose its kind."""
    if other.kind not in _KIND_OF[kind]:
        if kind is complex and other.kind == "f":
            return complex64 if other is float32 else complex128
        raise TypeError(f"a Python {kind.__name__} does not go with an array of {other}")
    return other


def promote(*nodes: Node) -> list[Node]:
    """All operands in their common type; Python numbers take that of the arrays."""
    wanted: DType | None = None
    for n in nodes:
        if not is_number(n):
            wanted = n.dtype if wanted is None else promoted_type(wanted, n.dtype)
    assert wanted is not None
    for n in nodes:
        if is_number(n):
            wanted = promoted_type(wanted, scalar_type(_PYTHON[n.dtype.kind], wanted))
    return [cast(n, wanted) for n in nodes]


_PYTHON = {"b": bool, "i": int, "f": float, "c": complex}


# ---------- functions ----------
def result_type(*arrays_and_dtypes) -> DType:
    """The type that an operation on all of them has. Python numbers may be among them."""
    found: DType | None = None
    numbers = []
    for x in arrays_and_dtypes:
        if isinstance(x, bool | int | float | complex):
            numbers.append(type(x))
            continue
        own = x.dtype if isinstance(x, Array) else known(x)
        found = own if found is None else promoted_type(found, own)
    if found is None:
        raise ValueError("result_type needs an array or a dtype")
    for kind in numbers:
        found = promoted_type(found, scalar_type(kind, found))
    return found


def can_cast(from_, to, /) -> bool:
    """Whether promotion of the two types gives `to`."""
    own = from_.dtype if isinstance(from_, Array) else known(from_)
    try:
        return promoted_type(own, known(to)) is to
    except TypeError:
        return False


def isdtype(dtype, kind, /) -> bool:
    """Whether the type is one of a kind (a name), of another type, or of one of a tuple of them."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str):
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r} is not known; there are: {', '.join(KINDS)}")
        return dtype.kind in KINDS[kind]
    return dtype is known(kind)


@dataclass(frozen=True)
class finfo_object:
    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True)
class iinfo_object:
    bits: int
    max: int
    min: int
    dtype: DType


_PARTS = {complex64: float32, complex128: float64}


def finfo(type, /) -> finfo_object:
    """Limits of a floating-point type; of its parts, for a complex one."""
    dtype = type.dtype if isinstance(type, Array) else known(type)
    part = _PARTS.get(dtype, dtype)
    if part.kind != "f":
        raise TypeError(f"{dtype} is no floating-point type")
    found = np.finfo(part.numpy)
    eps, top, low = float(found.eps), float(found.max), float(found.min)
    return finfo_object(part.bits, eps, top, low, float(found.smallest_normal), part)


def iinfo(type, /) -> iinfo_object:
    """Limits of an integer type."""
    dtype = type.dtype if isinstance(type, Array) else known(type)
    if not dtype.is_integer:
        raise TypeError(f"{dtype} is no integer type")
    found = np.iinfo(dtype.numpy)
    return iinfo_object(dtype.bits, int(found.max), int(found.min), dtype)


def default_of(kind: type) -> DType:
    """The type of an array made of such Python numbers."""
    return _DEFAULTS[kind]
