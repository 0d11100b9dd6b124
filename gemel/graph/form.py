"""Forms. A form is what is known of a value before it is computed: its shape and its element type.
Forms and element types are interned, so that comparing and hashing them is comparing addresses.
"""

from __future__ import annotations

from math import prod
from typing import Any

from gemel.codegen.sizes import Size
from gemel.runtime.dtype import (
    DTYPES,
    DType,
    bfloat16,
    bool_,
    complex64,
    complex128,
    dtype_of,
    float16,
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

__all__ = [
    "DTYPES",
    "DType",
    "Form",
    "bfloat16",
    "bool_",
    "complex64",
    "complex128",
    "dtype_of",
    "float16",
    "float32",
    "float64",
    "form",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]


class Form:
    """Shape and element type of a value; made by `form()`, which interns."""

    __slots__ = ("shape", "dtype", "ndim", "size", "nbytes", "__weakref__")

    def __init__(self, shape: tuple[int, ...], dtype: DType):
        self.shape = shape
        self.dtype = dtype
        self.ndim = len(shape)
        self.size = prod(shape)
        self.nbytes = self.size * dtype.itemsize

    def __repr__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"

    def __reduce__(self):
        return form, (self.shape, self.dtype)


_FORMS: dict[tuple, Form] = {}


def form(shape: tuple[int, ...], dtype: DType) -> Form:
    """The one `Form` object of this shape and element type."""
    key = (shape, dtype)
    found = _FORMS.get(key)
    if found is None:
        sized: list[Any] = [n for n in shape if type(n) is Size]
        if sized:  # a program that is being made: its forms go with it
            return sized[0].space.kept.setdefault(key, Form(shape, dtype))
        shape = tuple(int(n) for n in shape)
        if any(n < 0 for n in shape):
            raise ValueError(f"a shape cannot have a negative size: {shape}")
        found = _FORMS.setdefault((shape, dtype), Form(shape, dtype))
    return found
