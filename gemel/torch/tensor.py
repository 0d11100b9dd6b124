"""`torch.Tensor`: the face's tensor over the lazy core's.

This file holds the class itself, what it shows of its form and value, and its conversion to Python.
The operations are attached by the files of their kind: pointwise, reductions, views, indexing ...
Invariant: a method records a call or makes a view and returns at once; only the observations here
(`item`, `tolist`, `numpy`, `bool()`, printing) run what is pending.
"""

from __future__ import annotations

import numpy as np

from gemel import tensor as lazy
from gemel.graph.form import Form
from gemel.tensor import Tensor as LazyTensor

from . import dtypes
from .checks import dimension
from .device import CPU, check_device, device
from .size import Size

_SIZES: dict[Form, Size] = {}


class Tensor(LazyTensor):
    """A tensor. `Tensor(2, 3)` is an uninitialised one, `Tensor([1, 2])` holds the values given.

    Both forms make the default floating-point type, as PyTorch's old constructor does.
    """

    __slots__ = ()
    __array_priority__ = 1000  # NumPy's operators give way to ours

    def __new__(cls, *data, device=None):
        from .creation import legacy_tensor

        check_device(device)
        return legacy_tensor(data, dtypes.get_default_dtype())

    # ---------- form ----------
    @property
    def shape(self) -> Size:
        f = self.form
        found = _SIZES.get(f)
        if found is None:
            found = _SIZES[f] = Size(f.shape)
        return found

    @property
    def dtype(self) -> dtypes.dtype:
        return dtypes.FACE[self.form.dtype]

    @property
    def ndim(self) -> int:
        return self.form.ndim

    @property
    def device(self) -> device:
        return CPU

    @property
    def itemsize(self) -> int:
        return self.form.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.form.nbytes

    is_cuda = False
    is_cpu = True
    is_sparse = False
    is_quantized = False
    is_meta = False
    is_nested = False
    names = None

    def size(self, dim: int | None = None):
        """The shape, or the size of one dimension (IndexError where there is no such one)."""
        if dim is None:
            return self.shape
        shape = self.form.shape
        if dim.__class__ is int and 0 <= dim < len(shape):
            return shape[dim]
        if not shape:
            dimension(dim, 0)
            raise IndexError("Dimension specified as 0 but tensor has no dimensions")
        return shape[dimension(dim, len(shape))]

    def dim(self) -> int:
        return self.form.ndim

    ndimension = dim

    def numel(self) -> int:
        return self.form.size

    nelement = numel

    def element_size(self) -> int:
        return self.form.dtype.itemsize

    def get_device(self) -> int:
        return -1

    def is_floating_point(self) -> bool:
        return self.form.dtype.kind == "f"

    def is_signed(self) -> bool:
        return self.form.dtype.kind in "ifc"

    def share_memory_(self) -> Tensor:
        return self

    def is_same_size(self, other: Tensor) -> bool:
        return self.form.shape == other.form.shape

    def is_inference(self) -> bool:
        return False

    def is_pinned(self) -> bool:
        return False

    def is_shared(self) -> bool:
        return False

    def is_set_to(self, other: Tensor) -> bool:
        """The same place in the same storage."""
        return (
            lazy.same_storage(self, other)
            and self.form is other.form
            and self.stride() == other.stride()
            and self.storage_offset() == other.storage_offset()
        )

    # ---------- values for Python ----------
    def item(self):
        """The value of a tensor of one element as a Python number; runs what is pending."""
        if self.form.size != 1:
            raise RuntimeError(
                f"a Tensor with {self.form.size} elements cannot be converted to Scalar"
            )
        return lazy.item(self)

    def tolist(self):
        """The values as nested lists of Python numbers; a number for a 0-dimensional tensor."""
        return lazy.array_of(self).tolist()

    def _one(self):
        if self.form.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return lazy.item(self)

    def _real_one(self, kind: str):
        found = self._one()
        if found.__class__ is complex and found.imag:
            raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
        return found.real

    def __float__(self) -> float:
        return float(self._real_one("double"))

    def __int__(self) -> int:
        return int(self._real_one("int64_t"))

    def __complex__(self) -> complex:
        return complex(self._one())

    def __index__(self) -> int:
        if self.form.size != 1 or self.form.dtype.is_smooth:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(lazy.item(self))

    def __bool__(self) -> bool:
        size = self.form.size
        if size != 1:
            what = "no values" if size == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
        return bool(lazy.item(self))

    def is_nonzero(self) -> bool:
        """The truth of a tensor of one element."""
        return bool(self)

    def __len__(self) -> int:
        if not self.form.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.form.shape[0]

    def __iter__(self):
        if not self.form.shape:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element) -> bool:
        if isinstance(element, (Tensor, int, float, bool, complex)):
            return bool((self == element).any())
        raise RuntimeError(
            f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )

    def __delitem__(self, key) -> None:
        raise TypeError("Tensor does not support deleting items")

    __nonzero__ = __bool__
    __long__ = __int__
    __hash__ = object.__hash__

    def __format__(self, spec: str) -> str:
        if self.form.ndim == 0:
            return self.item().__format__(spec)
        return object.__format__(self, spec)

    def __repr__(self, *, tensor_contents=None) -> str:
        from .printing import show

        return show(self)

    # ---------- for other libraries ----------
    def __array__(self, dtype=None, copy=None):
        """NumPy's view of the values: shares memory, as `numpy()` does."""
        array = self.numpy()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __array_wrap__(self, array, context=None, return_scalar=False):
        from .exchange import from_numpy

        # PyTorch gives truth values of NumPy's functions as bytes
        return from_numpy(array.astype(np.uint8) if array.dtype == bool else array)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


Tensor.kin = Tensor
Tensor.__module__ = "torch"  # as programs print it


def is_tensor(obj) -> bool:
    """Is the object a tensor?"""
    return isinstance(obj, Tensor)


def numel(input) -> int:
    """The number of elements."""
    return input.form.size


def is_floating_point(input) -> bool:
    return input.form.dtype.kind == "f"


def is_nonzero(input) -> bool:
    """The truth of a tensor of one element."""
    return bool(input)


def attach(*names: str):
    """Decorator: the function becomes a method of Tensor under these names (default: its own)."""

    def put(function):
        for name in names or (function.__name__,):
            setattr(Tensor, name, function)
        return function

    return put
