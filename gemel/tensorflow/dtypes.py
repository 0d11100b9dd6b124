"""TensorFlow's element types: `tf.float32` and its kin.

Role: the objects that users see; each points to an element type of the engine. Input: names, NumPy
types, Python types. Invariant: one object per type, so `is` compares.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np

from gemel.graph import form as engine


class DType:
    """An element type. Compares equal to its name and to its NumPy type."""

    __slots__ = ("engine", "name", "enum_name", "as_numpy_dtype", "as_datatype_enum")

    def __init__(self, name: str, enum_name: str, number: int):
        self.engine = engine.dtype_of(name)
        self.name = name
        self.enum_name = enum_name
        self.as_numpy_dtype = self.engine.numpy.type
        self.as_datatype_enum = number

    @property
    def is_floating(self) -> bool:
        return self.engine.kind == "f"

    @property
    def is_integer(self) -> bool:
        return self.engine.kind in "ui"

    @property
    def is_unsigned(self) -> bool:
        return self.engine.kind == "u"

    @property
    def is_bool(self) -> bool:
        return self.engine.kind == "b"

    @property
    def is_complex(self) -> bool:
        return self.engine.kind == "c"

    @property
    def is_numpy_compatible(self) -> bool:
        return True

    @property
    def base_dtype(self) -> DType:
        return self

    @property
    def real_dtype(self) -> DType:
        """The type of the parts of a complex type; any other type itself."""
        return {complex64: float32, complex128: float64}.get(self, self)

    @property
    def size(self) -> int:
        return self.engine.itemsize

    @property
    def min(self):
        return self._known("minimum").min

    @property
    def max(self):
        return self._known("maximum").max

    @property
    def limits(self) -> tuple:
        """The range of pixels: (0, 1) for floating point, (0, max) for integers."""
        if self.is_bool:
            return 0, True
        if self.is_complex or self.engine.half:
            raise ValueError(f"{self} does not have defined limits.")
        return 0, 1 if self.is_floating else self.max

    def _known(self, what: str):
        if self.is_bool or self.is_complex:
            raise TypeError(f"Cannot find {what} value of {self} with type {self}.")
        whole = self.is_integer
        return np.iinfo(self.engine.numpy) if whole else ml_dtypes.finfo(self.engine.numpy)

    def is_compatible_with(self, other) -> bool:
        return self is as_dtype(other)

    def __eq__(self, other) -> bool:
        if self is other:
            return True
        if other is None:
            return False
        try:
            return as_dtype(other) is self
        except TypeError:
            return False

    def __hash__(self) -> int:
        return self.as_datatype_enum

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: '{self.name}'>"

    def __reduce__(self):
        return as_dtype, (self.name,)


float32 = DType("float32", "float", 1)
float64 = double = DType("float64", "double", 2)
int32 = DType("int32", "int32", 3)
uint8 = DType("uint8", "uint8", 4)
int16 = DType("int16", "int16", 5)
int8 = DType("int8", "int8", 6)
complex64 = DType("complex64", "complex64", 8)
int64 = DType("int64", "int64", 9)
bool_ = DType("bool", "bool", 10)
bfloat16 = DType("bfloat16", "bfloat16", 14)
uint16 = DType("uint16", "uint16", 17)
complex128 = DType("complex128", "complex128", 18)
float16 = half = DType("float16", "half", 19)
uint32 = DType("uint32", "uint32", 22)
uint64 = DType("uint64", "uint64", 23)

_FLOATS = (float32, float64, bfloat16, float16, complex64, complex128)
_WHOLE = (int32, uint8, int16, int8, int64, bool_, uint16, uint32, uint64)
ALL = (*_FLOATS, *_WHOLE)
BY_ENGINE = {d.engine: d for d in ALL}
_BY_NAME = {d.name: d for d in ALL} | {"float": float32, "double": float64, "half": float16}
_BY_PYTHON = {float: float32, int: int32, bool: bool_, complex: complex128}
_BY_NUMBER = {d.as_datatype_enum: d for d in ALL}


def as_dtype(x) -> DType:
    """The type of a name, a NumPy type, a Python type or a type itself.

    Raises TypeError for what is none of these, and for types that the engine does not hold.
    """
    if isinstance(x, DType):
        return x
    if isinstance(x, engine.DType):
        return BY_ENGINE[x]
    found = _looked_up(x)
    if found is None:
        known = ", ".join(d.name for d in ALL)
        raise TypeError(
            f"Cannot convert the argument `type_value`: {x!r} to a TensorFlow DType. "
            f"Gemel's TensorFlow face has: {known}."
        )
    return found


def _looked_up(x) -> DType | None:
    if isinstance(x, str):
        return _BY_NAME.get(x)
    if isinstance(x, type) and x in _BY_PYTHON:
        return _BY_PYTHON[x]
    if isinstance(x, int) and not isinstance(x, bool):
        return _BY_NUMBER.get(x)
    try:
        return _BY_NAME.get(np.dtype(x).name)
    except TypeError:
        return None
