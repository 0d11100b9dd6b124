"""Element types. The lowest layer of the engine: code generation, graph and faces all name them."""

from __future__ import annotations

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
