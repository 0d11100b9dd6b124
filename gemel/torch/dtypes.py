"""`torch.dtype` objects and the default element type.

Each points to an element type of the engine (`engine`). Aliases are the same object:
`torch.float is torch.float32`. Types that the engine does not hold (complex32, float8_e4m3fn, ...)
have no object here, so that asking for one is an AttributeError and not a silent change of type.
"""

from __future__ import annotations

import builtins

import ml_dtypes
import numpy as np

from gemel.graph import form as engine
from gemel.graph.form import DType


class dtype:
    """An element type as PyTorch shows it."""

    __slots__ = (
        "name", "engine", "is_floating_point", "is_complex", "is_signed", "itemsize", "_short"
    )  # fmt: skip

    def __init__(self, held: DType, short: str):
        self.name = held.name
        self.engine = held
        self.is_floating_point = held.kind == "f"
        self.is_complex = held.kind == "c"
        self.is_signed = held.kind in "ifc"
        self.itemsize = held.itemsize
        self._short = short

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self):
        return dtype_named, (self.name,)

    def to_real(self) -> dtype:
        """The type of the parts of a complex type; any other type itself."""
        return _PARTS.get(self, self)

    def to_complex(self) -> dtype:
        """The complex type with parts of this type; complex32 is not held."""
        if self.is_complex:
            return self
        if self.engine.half and self.engine is not engine.bfloat16:
            raise NotImplementedError("Gemel's PyTorch face holds no complex32 (torch.chalf)")
        return complex128 if self is float64 else complex64


bool = dtype(engine.bool_, "Bool")
uint8 = dtype(engine.uint8, "Byte")
int8 = dtype(engine.int8, "Char")
int16 = short = dtype(engine.int16, "Short")
int32 = int = dtype(engine.int32, "Int")
int64 = long = dtype(engine.int64, "Long")
uint16 = dtype(engine.uint16, "UInt16")
uint32 = dtype(engine.uint32, "UInt32")
uint64 = dtype(engine.uint64, "UInt64")
float16 = half = dtype(engine.float16, "Half")
bfloat16 = dtype(engine.bfloat16, "BFloat16")
float32 = float = dtype(engine.float32, "Float")
float64 = double = dtype(engine.float64, "Double")
complex64 = cfloat = dtype(engine.complex64, "ComplexFloat")
complex128 = cdouble = dtype(engine.complex128, "ComplexDouble")

_PARTS = {complex64: float32, complex128: float64}
_WHOLE = (bool, uint8, int8, int16, int32, int64, uint16, uint32, uint64)
ALL = (*_WHOLE, float16, bfloat16, float32, float64, complex64, complex128)

# engine element type -> the face's object
FACE = {d.engine: d for d in ALL}
_BY_NAME = {d.name: d for d in ALL}
_PYTHON = {
    builtins.bool: bool,
    builtins.int: int64,
    builtins.float: float64,
    builtins.complex: complex128,
}
_default = [float32]


def dtype_named(name: str) -> dtype:
    """The object of 'float32' and the like; for pickling."""
    return _BY_NAME[name]


def short_name(held: DType) -> str:
    """The name in PyTorch's error texts: Float, Long, Bool ..."""
    return FACE[held]._short


def engine_dtype(given) -> DType:
    """The engine's element type of a `torch.dtype` or of Python's float, int, bool.

    Raises TypeError for anything else.
    """
    if given.__class__ is dtype:
        return given.engine
    found = _PYTHON.get(given) if isinstance(given, type) else None
    if found is None:
        raise TypeError(f"dtype must be a torch.dtype, not {type(given).__name__}")
    return found.engine


def from_numpy_dtype(given: np.dtype) -> dtype:
    """The object for a NumPy element type; TypeError where there is none."""
    found = _BY_NAME.get(np.dtype(given).name)
    if found is None:
        known = ", ".join(_BY_NAME)
        raise TypeError(
            f"can't convert np.ndarray of type {np.dtype(given)}. The only supported types are: "
            f"{known}."
        )
    return found


def get_default_dtype() -> dtype:
    """The type of new floating-point tensors: float32 unless `set_default_dtype` changed it."""
    return _default[0]


def set_default_dtype(d: dtype) -> None:
    """Make `d` (a floating-point type) the type of new floating-point tensors."""
    if d.__class__ is not dtype:
        raise TypeError("invalid dtype object: only floating-point types are supported as default")
    if not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    if d is not _default[0]:
        from gemel.ops.record import forget_forms
        from gemel.tensor import flush
        from gemel.tensor.state import drop_trie

        flush()
        drop_trie()  # what recorded calls promote to depends on it
        forget_forms()
        _default[0] = d


class finfo:
    """The limits of a floating-point type: eps, max, min, tiny, smallest_normal, resolution.

    For a complex type those of its parts.
    """

    def __init__(self, d: dtype | None = None):
        d = _default[0] if d is None else d.to_real()
        if not d.is_floating_point:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle "
                "'torch.finfo'"
            )
        limits = ml_dtypes.finfo(d.engine.numpy)
        self.dtype = d.name
        self.bits = limits.bits
        for name in ("eps", "max", "min", "tiny", "smallest_normal"):
            setattr(self, name, builtins.float(getattr(limits, name)))
        self.resolution = 10.0 ** -builtins.int(limits.precision)

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        shown = ", ".join(f"{n}={getattr(self, n):g}" for n in names)
        return f"finfo({shown}, dtype={self.dtype})"


class iinfo:
    """The limits of an integer type: bits, max, min."""

    def __init__(self, d: dtype):
        if d is bool:
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if d.is_floating_point or d.is_complex:
            raise TypeError(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle "
                "'torch.iinfo'"
            )
        limits = np.iinfo(d.engine.numpy)
        self.dtype = d.name
        self.bits = limits.bits
        self.max = limits.max
        self.min = limits.min

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
