"""Writing to tensors and changing their type: copy_, fill_, zero_, to, float, type and others."""

from __future__ import annotations

from gemel import tensor as lazy

from . import dtypes
from .checks import broadcast_shape, check_expands, wrong_argument
from .creation import converted
from .define import operand
from .device import check_device, device
from .dtypes import engine_dtype
from .tensor import Tensor, attach
from .writing import write


@attach()
def copy_(self, src, non_blocking=False) -> Tensor:
    """Write the values of another tensor, which is broadcast and cast."""
    if not isinstance(src, Tensor):
        raise wrong_argument("copy_", "other", 1, src)
    if src.form.shape != self.form.shape:
        lead = src.form.ndim - self.form.ndim
        if lead > 0 or broadcast_shape(self.form.shape, src.form.shape) != self.form.shape:
            check_expands(src.form.shape, self.form.shape)
    return write(self, src)


@attach()
def fill_(self, value) -> Tensor:
    """Write one value everywhere."""
    return write(self, _single(value))


def fill(input, value) -> Tensor:
    """A tensor of the input's shape and type with one value everywhere."""
    return input.clone().fill_(value)


def _single(value):
    value = operand("fill_", value, 1)
    if isinstance(value, Tensor) and value.form.ndim:
        raise RuntimeError(
            "fill_ only supports 0-dimension value tensor but got tensor with "
            f"{value.form.ndim} dimensions."
        )
    return value


@attach()
def zero_(self) -> Tensor:
    """Write 0 everywhere."""
    return write(self, 0)


@attach()
def fill_diagonal_(self, fill_value, wrap=False) -> Tensor:
    """Write one value on the main diagonal; with `wrap` again and again in a tall matrix."""
    shape = self.form.shape
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    steps = lazy.strides(self)
    rows = shape[0] if wrap and len(shape) == 2 else min(shape)
    count = rows if not wrap else -(-shape[0] * shape[-1] // (shape[-1] + 1))
    if not wrap or len(shape) > 2 or shape[0] <= shape[1]:
        self.as_strided((min(shape),), (sum(steps),), self.storage_offset()).fill_(fill_value)
        return self
    places = [i * (shape[1] + 1) for i in range(count)]
    flat = self.as_strided((shape[0] * shape[1],), (1,), self.storage_offset())
    flat[places] = fill_value
    return self


# ---------- types ----------
def _is_device(x) -> bool:
    return isinstance(x, (str, device))


@attach()
def to(self, *args, dtype=None, device=None, copy=False, non_blocking=False, memory_format=None):
    """The tensor in another type or on another device (there is the CPU only):
    to(dtype), to(device, dtype), to(other)."""
    for x in args:
        if isinstance(x, Tensor):
            dtype = x.dtype
        elif isinstance(x, bool):
            copy = copy or x if x is args[-1] and len(args) > 2 else copy
        elif _is_device(x):
            device = x
        elif x is not None:
            dtype = x
    check_device(device)
    held = self.form.dtype if dtype is None else engine_dtype(dtype)
    found = converted(self, held, copy)
    if getattr(memory_format, "order", None) is None:
        return found
    return found.contiguous(memory_format=memory_format)


@attach("type")
def _type(self, dtype=None, non_blocking=False):
    """The type's name ('torch.FloatTensor'), or the tensor in another type."""
    if dtype is None:
        return f"torch.{dtypes.short_name(self.form.dtype)}Tensor"
    if isinstance(dtype, str):
        return converted(self, LEGACY[dtype.removeprefix("torch.")].engine)
    return converted(self, engine_dtype(getattr(dtype, "dtype", dtype)))


@attach()
def type_as(self, other) -> Tensor:
    return converted(self, other.form.dtype)


_UNTYPED = ("uint16", "uint32", "uint64")
LEGACY = {f"{d._short}Tensor": d for d in dtypes.ALL if d.name not in _UNTYPED}


def _conversion(name: str, dtype: dtypes.dtype) -> None:
    held = dtype.engine

    def method(self, memory_format=None):
        found = converted(self, held)
        if getattr(memory_format, "order", None) is None:
            return found
        return found.contiguous(memory_format=memory_format)

    method.__name__ = name
    method.__doc__ = f"The tensor as {dtype!r}."
    setattr(Tensor, name, method)


_FLOATING = ("float", "double", "half", "bfloat16", "cfloat", "cdouble")
for _name in (*_FLOATING, "long", "int", "short", "bool"):
    _conversion(_name, getattr(dtypes, _name))
_conversion("char", dtypes.int8)
_conversion("byte", dtypes.uint8)


@attach()
def cpu(self, memory_format=None) -> Tensor:
    return self


@attach()
def cuda(self, device=None, non_blocking=False):
    raise RuntimeError("Gemel has no 'cuda' device on this machine; use device 'cpu'")


@attach()
def pin_memory(self, device=None) -> Tensor:
    return self


@attach()
def apply_(self, function) -> Tensor:
    """Replace each element by function(element), in Python."""
    import numpy as np

    values = lazy.array_of(self)
    made = np.asarray([function(v) for v in values.reshape(-1).tolist()], values.dtype)
    return write(self, lazy.from_array(made.reshape(values.shape), Tensor))
