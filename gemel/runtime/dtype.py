"""Element types. The lowest layer of the engine: code generation, graph and faces all name them."""

from __future__ import annotations

import ml_dtypes
import numpy as np


class DType:
    """An element type of the engine. Faces have dtype objects of their own that point here.

    kind: 'b' truth value, 'u' unsigned, 'i' signed, 'f' floating point, 'c' complex.
    half: a floating-point type of 16 bits, which is stored but never computed in.
    """

    __slots__ = ("name", "kind", "itemsize", "numpy", "half")

    def __init__(self, name: str, kind: str):
        self.name = name
        self.kind = kind
        self.numpy = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
        self.itemsize = self.numpy.itemsize
        self.half = kind == "f" and self.itemsize == 2

    @property
    def bits(self) -> int:
        return self.itemsize * 8

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_complex(self) -> bool:
        return self.kind == "c"

    @property
    def is_smooth(self) -> bool:
        """Can values of this type have gradients?"""
        return self.kind in "fc"

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
uint16 = DType("uint16", "u")
uint32 = DType("uint32", "u")
uint64 = DType("uint64", "u")
float16 = DType("float16", "f")
bfloat16 = DType("bfloat16", "f")
float32 = DType("float32", "f")
float64 = DType("float64", "f")
complex64 = DType("complex64", "c")
complex128 = DType("complex128", "c")

_INTEGERS = (uint8, int8, int16, int32, int64, uint16, uint32, uint64)
_FLOATS = (float16, bfloat16, float32, float64)
DTYPES = {d.name: d for d in (bool_, *_INTEGERS, *_FLOATS, complex64, complex128)}


_NAMED = {np.dtype(d.numpy): d for d in DTYPES.values() if np.dtype(d.numpy).name == d.name}


def dtype_of(x) -> DType:
    """The engine's element type of a name, a NumPy dtype or a `DType`.

    Raises TypeError for types that the engine does not hold.
    """
    if isinstance(x, DType):
        return x
    if isinstance(x, np.dtype) and x in _NAMED:
        return _NAMED[x]  # NumPy makes the name anew each time
    name = x if isinstance(x, str) else np.dtype(x).name
    found = DTYPES.get(name)
    if found is None:
        known = ", ".join(DTYPES)
        raise TypeError(f"element type {name} is not supported; there are: {known}")
    return found
