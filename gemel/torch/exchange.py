"""Values from other libraries and from the other face, and back: NumPy, buffers, DLPack.

What can share memory does: writes to either are seen by both. A tensor of the other face gives its
present value without a copy, gradients flow through; later writes to either are not seen.
"""

from __future__ import annotations

import warnings

import numpy as np

from gemel import tensor as lazy
from gemel.graph.form import bfloat16
from gemel.tensor import from_array, share_array
from gemel.tensor.dlpack import share_strided

from . import dtypes
from .creation import _finished, tensor
from .device import check_device
from .dtypes import engine_dtype
from .tensor import Tensor, attach


# ---------- NumPy ----------
def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor over the array's own memory: writes to either are seen by both.

    A read-only array is copied. TypeError for what is no array, ValueError for negative strides.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    if array.dtype == bfloat16.numpy:
        raise TypeError("can't convert np.ndarray of type bfloat16: NumPy has no such type")
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion "
            "between byte orders is currently not supported."
        )
    dtypes.from_numpy_dtype(array.dtype)
    if any(s < 0 for s in array.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array with array.copy().)"
        )
    if not array.flags.writeable:
        return from_array(array, Tensor)
    if array.flags.c_contiguous:
        return share_array(array, Tensor)
    return share_strided(array, Tensor)


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """The tensor itself, a tensor sharing an array's memory, the value of another face's tensor,
    or a new one."""
    check_device(device)
    found = _taken(data)
    if found is None:
        return tensor(data, dtype=dtype)
    return found if dtype is None else found.to(dtype)


def _taken(data) -> Tensor | None:
    """What needs no new values: tensors of the faces and arrays."""
    if isinstance(data, Tensor):
        return data
    if isinstance(data, np.ndarray):
        return from_numpy(data)
    held = getattr(data, "_tensor", data)  # a variable of the other face holds a tensor
    return lazy.present(held, Tensor) if isinstance(held, lazy.Tensor) else None


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False) -> Tensor:
    """The object as a tensor that shares its memory where it can.

    copy=True always copies, copy=False is a ValueError where a copy would be needed. The result is
    detached unless requires_grad.
    """
    check_device(device)
    found = _taken(obj)
    if found is None and hasattr(obj, "__dlpack__"):
        found = from_dlpack(obj)
    if found is None and not isinstance(obj, str) and _is_buffer(obj):
        found = frombuffer(obj, dtype=dtype or dtypes.get_default_dtype())
    if found is None:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        return tensor(obj, dtype=dtype, requires_grad=requires_grad)
    return _as_asked(found, dtype, copy, requires_grad)


def _is_buffer(obj) -> bool:
    if isinstance(obj, np.generic):
        return False
    try:
        memoryview(obj)
    except TypeError:
        return False
    return True


def _as_asked(found: Tensor, dtype, copy, requires_grad: bool) -> Tensor:
    other = dtype is not None and engine_dtype(dtype) is not found.form.dtype
    if other and copy is False:
        names = dtypes.short_name(found.form.dtype), dtypes.short_name(engine_dtype(dtype))
        raise ValueError(f"can't alias tensor with dtype '{names[0]}' into dtype '{names[1]}'.")
    made = found.to(dtype) if other else found.clone() if copy else found
    if not requires_grad:
        return made.detach() if made.requires_grad else made
    return made if made.requires_grad else _finished(made.detach(), True)


# ---------- buffers ----------
def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False) -> Tensor:
    """A vector over the memory of an object with the buffer protocol; read-only memory is copied.

    ValueError where `count` elements from byte `offset` on are not there.
    """
    held = engine_dtype(dtype)
    data = memoryview(buffer).cast("B") if memoryview(buffer).nbytes else memoryview(b"")
    _check_buffer(data.nbytes, held.itemsize, count, offset)
    number = (data.nbytes - offset) // held.itemsize if count < 0 else count
    raw = np.frombuffer(data, np.uint8, number * held.itemsize, offset)
    array = raw.view(held.numpy)
    if data.readonly:
        warnings.warn(
            "The given buffer is not writable, and PyTorch does not support non-writable tensors. "
            "The values were copied.",
            stacklevel=2,
        )
        made = from_array(array, Tensor)
    else:
        made = share_strided(array, Tensor)
    return _finished(made, requires_grad)


def _check_buffer(length: int, size: int, count: int, offset: int) -> None:
    if length == 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({length} bytes) minus 1"
        )
    if count < 0 and (length - offset) % size:
        raise ValueError(
            f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a "
            f"multiple of element size ({size})"
        )
    if offset + max(count, 1) * size > length:
        raise ValueError(
            f"requested buffer length ({max(count, 1)} * {size} bytes) after offset ({offset} "
            f"bytes) must not be greater than actual buffer length ({length} bytes)"
        )


# ---------- DLPack ----------
def from_dlpack(ext_tensor, *, device=None, copy=None) -> Tensor:
    """A tensor over the memory of an object with `__dlpack__`, or of a DLPack capsule."""
    from .utils import dlpack

    return dlpack.from_dlpack(ext_tensor, device=device, copy=copy)


@attach()
def __dlpack__(self, *, stream=-1, max_version=None, dl_device=None, copy=None):
    """A capsule over the tensor's memory. BufferError for tensors that require gradients."""
    from .utils import dlpack

    if stream not in (None, -1):
        raise AssertionError("stream should be None on cpu.")
    return dlpack.capsule(self, max_version, dl_device, copy)


@attach()
def __dlpack_device__(self):
    """(kind of device, its number): the CPU."""
    from .utils import dlpack

    return dlpack.DLDeviceType.kDLCPU, 0
