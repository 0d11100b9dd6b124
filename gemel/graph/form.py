"""Element types and forms. A form is what is known of a value before it is computed: its shape and
its element type. Both are interned, so that comparing and hashing them is comparing addresses.
"""

from __future__ import annotations

from math import prod

import numpy as np


class DType:
    """An element type of the engine. Faces have dtype objects of their own that point here.

    kind: 'b' truth value, 'u' unsigned, 'i' signed, 'f' floating point.
    """

    __slots__ = ("name", "kind", "itemsize", "numpy")

    def __init__(self, name: str, kind: str):
        self.name = name
        self.kind = kind
        self.numpy = np.dtype(name)
        self.itemsize = self.numpy.itemsize

    @property
    def bits(self) -> int:
        return self.itemsize * 8

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_integer(self) -> bool:
        return self.kind in "ui"

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self):
        return dtype_of, (self.name,)


bool_ = DType("bool", "b")
uint8 = DType("uint8", "u")
int8 = DType("int8", "i")
int16 = DType("int16", "i")
int32 = DType("int32", "i")
int64 = DType("int64", "i")
uint32 = DType("uint32", "u")
uint64 = DType("uint64", "u")
float32 = DType("float32", "f")
float64 = DType("float64", "f")

DTYPES = {
    d.name: d
    for d in (bool_, uint8, int8, int16, int32, int64, uint32, uint64, float32, float64)
}


def dtype_of(x) -> DType:
    """The engine's element type of a name, a NumPy dtype or a `DType`.

    Raises TypeError for types that the engine does not hold.
    """
    if isinstance(x, DType):
        return x
    name = x if isinstance(x, str) else np.dtype(x).name
    found = DTYPES.get(name)
    if found is None:
        known = ", ".join(DTYPES)
        raise TypeError(f"element type {name} is not supported; there are: {known}")
    return found


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
        shape = tuple(int(n) for n in shape)
        if any(n < 0 for n in shape):
            raise ValueError(f"a shape cannot have a negative size: {shape}")
        found = _FORMS.setdefault((shape, dtype), Form(shape, dtype))
    return found
