"""DLPack: memory shared with other libraries, without a copy.

NumPy makes and reads the capsules; of bfloat16, which it does not know, it sees 16-bit integers,
and the element type in the capsule is put right before and after.
"""

from __future__ import annotations

import ctypes

import numpy as np

from gemel.graph.form import bfloat16

from .arrays import array_of, export, from_array, share_array
from .tensor import Tensor
from .views import look

CPU = 1  # the kind of device
_NAME = b"dltensor"
_VERSIONED = b"dltensor_versioned"
_UINT, _BFLOAT = 1, 4  # codes of element types
_CODE_AT = 20  # bytes before the code of the element type: data, device, number of axes
_HEAD = 32  # what a versioned capsule has before: version, manager, deleter, flags

_name_of = ctypes.pythonapi.PyCapsule_GetName
_name_of.restype = ctypes.c_char_p
_name_of.argtypes = [ctypes.py_object]
_address_of = ctypes.pythonapi.PyCapsule_GetPointer
_address_of.restype = ctypes.c_void_p
_address_of.argtypes = [ctypes.py_object, ctypes.c_char_p]


def _code(capsule) -> ctypes.c_uint8:
    """The code of the element type in a capsule."""
    name = _name_of(capsule)
    if name not in (_NAME, _VERSIONED):
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed "
            "only once, so you might have already constructed a tensor from it once."
        )
    start = _address_of(capsule, name) + (_HEAD if name == _VERSIONED else 0)
    return ctypes.c_uint8.from_address(start + _CODE_AT)


def capsule(t: Tensor, max_version=None, copy=None):
    """A capsule over t's memory, or over a copy of it; of the newer kind where `max_version` is at
    least (1, 0)."""
    array = array_of(t).copy() if copy else export(t)
    version = None if max_version is None or max_version[0] < 1 else max_version
    if t.form.dtype is not bfloat16:
        return array.__dlpack__(max_version=version)
    made = array.view(np.uint16).__dlpack__(max_version=version)
    _code(made).value = _BFLOAT
    return made


class _Held:
    """A capsule as an object that NumPy asks for one."""

    def __init__(self, made):
        self.capsule = made

    def __dlpack__(self, **asked):
        return self.capsule

    def __dlpack_device__(self):
        return (1, 0)


def imported(source, cls: type, copy=None) -> Tensor:
    """A tensor over the memory of an object with `__dlpack__`, or of a capsule.

    RuntimeError for a capsule that was used before, BufferError for memory of another device.
    """
    made = source if _is_capsule(source) else _asked(source, copy)
    code = _code(made)
    brain = code.value == _BFLOAT
    if brain:
        code.value = _UINT
    array = _writable(np.from_dlpack(_Held(made)))
    if brain:
        array = array.view(bfloat16.numpy)
    return from_array(array, cls) if copy else share_strided(array, cls)


def share_strided(array: np.ndarray, cls: type) -> Tensor:
    """A tensor over the memory of a writable array of any non-negative strides: writes to either
    are seen by both, whoever holds the memory."""
    size = array.itemsize
    if array.flags.c_contiguous:
        made = share_array(array, cls)
    elif array.size == 0 or any(s % size for s in array.strides):
        return from_array(array, cls)
    else:
        last = sum((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True))
        flat = np.lib.stride_tricks.as_strided(array, (last // size + 1,), (size,))
        steps = tuple(s // size for s in array.strides)
        made = look(share_array(flat, cls), ("as_strided", array.shape, steps, 0))
    made.st.origin = made.st.lender  # it counts as held by others for as long as the tensor lives
    return made


def _is_capsule(x) -> bool:
    return type(x).__name__ == "PyCapsule"


def _asked(source, copy):
    """The capsule of an object, of the newer kind where it knows that."""
    kind, number = source.__dlpack_device__()
    if int(kind) != CPU:
        raise BufferError(f"from_dlpack: memory of the device {(int(kind), number)}, not the CPU")
    more = {} if copy is None else {"copy": copy}
    try:
        return source.__dlpack__(max_version=(1, 0), **more)
    except TypeError:
        return source.__dlpack__()


class _Memory:
    """Gives NumPy the address of an array, and holds it."""

    def __init__(self, array: np.ndarray):
        self.array = array
        self.__array_interface__ = array.__array_interface__ | {
            "data": (array.__array_interface__["data"][0], False)
        }


def _writable(array: np.ndarray) -> np.ndarray:
    """The same memory; older capsules do not say whether it may be written, as PyTorch does."""
    return array if array.flags.writeable else np.asarray(_Memory(array))
