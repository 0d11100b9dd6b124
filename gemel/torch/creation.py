"""New tensors: from Python and NumPy values, constant, in sequence.

`dtype=None` means the default floating-point type, except where the values say otherwise.
`device` may be the CPU only; `layout` and `pin_memory` are accepted in their default values.
"""

from __future__ import annotations

from struct import error as StructError
from struct import pack

import numpy as np

from gemel import tensor as lazy
from gemel.graph.form import DType, float32, float64, form, int64
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.runtime.buffer import Buffer
from gemel.tensor import fill, from_array, record1

from . import dtypes
from .checks import c_name
from .device import check_device
from .dtypes import engine_dtype
from .size import shape_of
from .tensor import Tensor

SHORT = 64  # entries of a list that are packed one by one
_PACKED = {float32: "f", float64: "d", int64: "q"}


def _finished(t: Tensor, requires_grad: bool) -> Tensor:
    if requires_grad:
        if not t.form.dtype.is_smooth:
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        t.requires_grad_()
    return t


def _type(dtype, device=None) -> DType:
    check_device(device)
    return dtypes.get_default_dtype().engine if dtype is None else engine_dtype(dtype)


# ---------- from values ----------
def _lengths(data, depth: int = 0) -> None:
    """ValueError where nested sequences are ragged, in PyTorch's words."""
    first = data[0] if len(data) else None
    if not isinstance(first, (list, tuple)):
        return
    for row in data:
        if not isinstance(row, (list, tuple)) or len(row) != len(first):
            size = len(row) if isinstance(row, (list, tuple)) else 0
            raise ValueError(
                f"expected sequence of length {len(first)} at dim {depth + 1} (got {size})"
            )
        _lengths(row, depth + 1)


def _plain(data):
    """Nested sequences with tensors and NumPy values replaced by what NumPy understands."""
    if isinstance(data, Tensor):
        return data.item() if data.form.ndim == 0 else data.tolist()
    if isinstance(data, (list, tuple)):
        return [_plain(x) for x in data] if _has_tensor(data) else data
    return data


def _has_tensor(data) -> bool:
    return any(isinstance(x, (Tensor, list, tuple)) for x in data)


def _array(data, dtype: DType | None) -> np.ndarray:
    """The values as an array of an element type that the face infers as PyTorch does."""
    if isinstance(data, Tensor):
        return lazy.array_of(data)
    if isinstance(data, (np.ndarray, np.generic)):
        return np.asarray(data)
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    if isinstance(data, (list, tuple)):
        _lengths(data)
    elif not isinstance(data, (int, float, complex)):
        if not hasattr(data, "__array__") and not hasattr(data, "__len__"):
            raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
        data = np.asarray(data)
        return data
    return _inferred(_plain(data), dtype)


def _inferred(data, dtype: DType | None) -> np.ndarray:
    try:
        array = np.array(data)
    except OverflowError:
        raise ValueError("Overflow when unpacking long long") from None
    if array.dtype.kind not in "bifc" or array.dtype == np.float16:
        bad = [x for x in _leaves(data) if not isinstance(x, (int, float, complex, np.generic))]
        if bad and isinstance(bad[0], str):
            raise TypeError("new(): invalid data type 'str'")
        if bad:
            raise RuntimeError(f"Could not infer dtype of {type(bad[0]).__name__}")
        raise ValueError("Overflow when unpacking long long")
    if array.dtype == np.float64 and not _holds_numpy(data):
        return _converted(array, dtype or dtypes.get_default_dtype().engine)
    if array.dtype == np.complex128 and not _holds_numpy(data):
        return _converted(array, dtype or dtypes.get_default_dtype().to_complex().engine)
    return array


def _leaves(data):
    if isinstance(data, (list, tuple)):
        for x in data:
            yield from _leaves(x)
    else:
        yield data


def _holds_numpy(data) -> bool:
    """Do NumPy arrays or scalars say the type? (Lists of them keep their type.)"""
    first = next(_leaves(data), None)
    return isinstance(first, (np.ndarray, np.generic)) and type(first) is not float


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False) -> Tensor:
    """A new tensor with a copy of the values. Python floats give the default type, ints int64.

    ValueError for ragged sequences, TypeError and RuntimeError for values that are no numbers.
    """
    check_device(device)
    wanted = None if dtype is None else engine_dtype(dtype)
    if data.__class__ is list and wanted is None:
        row = _row(data)
        if row is not None:
            return _finished(row, requires_grad)
    array = _array(data, wanted)
    if wanted is not None:
        array = _converted(array, wanted)
    elif array.size == 0 and not isinstance(data, (np.ndarray, np.generic, Tensor)):
        array = array.astype(dtypes.get_default_dtype().engine.numpy)
    dtypes.from_numpy_dtype(array.dtype)
    return _finished(from_array(array, Tensor), requires_grad)


def _row(data: list) -> Tensor | None:
    """A short list of floats, or of ints, as what loops make anew each turn; None for others."""
    kinds = set(map(type, data))
    if len(kinds) != 1 or len(data) > SHORT:
        return None
    (kind,) = kinds
    made = dtypes.get_default_dtype().engine if kind is float else int64
    packed = _PACKED.get(made) if kind is float or kind is int else None
    if packed is None:
        return None
    try:
        content = pack(f"{len(data)}{packed}", *data)
    except (OverflowError, StructError):
        return None
    return lazy.wrap(Buffer.holding(content), form((len(data),), made), Tensor)


def _converted(array: np.ndarray, dtype: DType) -> np.ndarray:
    if array.dtype.kind == "c" and not dtype.is_complex:
        if array.imag.any():
            raise RuntimeError(
                f"value cannot be converted to type {c_name(dtype)} without overflow"
            )
        array = array.real
    with np.errstate(all="ignore"):
        return (array.astype(np.float32) if dtype.half else array).astype(dtype.numpy)


def scalar_tensor(s, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A 0-dimensional tensor."""
    return full((), s, dtype=dtype or dtypes.get_default_dtype(), requires_grad=requires_grad)


def legacy_tensor(data: tuple, dtype) -> Tensor:
    """What `torch.Tensor(...)` makes: sizes, or values in the given type."""
    if all(isinstance(x, int) and not isinstance(x, bool) for x in data):
        return empty(data if data else (0,), dtype=dtype)
    if len(data) != 1:
        raise TypeError("new() received an invalid combination of arguments")
    if isinstance(data[0], Tensor):
        return data[0].detach()
    return tensor(data[0], dtype=dtype)


# ---------- constant ----------
def _sizes(name: str, size: tuple) -> tuple[int, ...]:
    if not size:
        return ()
    try:
        shape = shape_of(size)
    except TypeError:
        raise TypeError(
            f"{name}(): argument 'size' (position 1) must be tuple of ints, not "
            f"{type(size[0]).__name__}"
        ) from None
    for n in shape:
        if n < 0:
            raise RuntimeError(
                f"{name}: Dimension size must be non-negative. Got {n} in size {list(shape)}"
            )
    return shape


def _check_layout(layout) -> None:
    if layout is not None and str(layout) != "torch.strided":
        raise NotImplementedError(f"Gemel has no sparse tensors, so none of layout {layout}")


def _constant(name: str, value):
    def function(*size, dtype=None, layout=None, device=None, requires_grad=False,
                 pin_memory=False, memory_format=None, **more):  # fmt: skip
        if "size" in more:
            size = (more.pop("size"),)
        if more:
            raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(more))}'")
        _check_layout(layout)
        held = _type(dtype, device)
        made = fill(_sizes(name, size), value, held, Tensor)
        return _finished(made, requires_grad)

    function.__name__ = function.__qualname__ = name
    return function


zeros = _constant("zeros", 0)
ones = _constant("ones", 1)
# values of an uninitialised tensor are anybody's guess: zeros are as good as others, and cost no
# memory until they are read
empty = _constant("empty", 0)
zeros.__doc__ = "A tensor of zeros."
ones.__doc__ = "A tensor of ones."
empty.__doc__ = "A tensor whose values do not matter."


def full(size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None,
         pin_memory=False) -> Tensor:  # fmt: skip
    """A tensor with every element fill_value, whose type it takes unless dtype is given."""
    check_device(device)
    _check_layout(layout)
    if isinstance(fill_value, (Tensor, np.generic)):
        fill_value = fill_value.item()
    if dtype is None:
        dtype = bool if isinstance(fill_value, bool) else None
        if isinstance(fill_value, complex):
            dtype = dtypes.get_default_dtype().to_complex()
        if dtype is None and isinstance(fill_value, int):
            dtype = dtypes.int64
    held = _type(dtype, device)
    return _finished(fill(_sizes("full", (size,)), fill_value, held, Tensor), requires_grad)


def _like(name: str, make):
    def function(input, *, dtype=None, layout=None, device=None, requires_grad=False,
                 memory_format=None):  # fmt: skip
        if not isinstance(input, Tensor):
            from .checks import wrong_argument

            raise wrong_argument(name, "input", 1, input)
        check_device(device)
        _check_layout(layout)
        held = input.form.dtype if dtype is None else engine_dtype(dtype)
        return _finished(fill(input.form.shape, make, held, Tensor), requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"See `{name[:-5]}`; shape and type of the input unless given."
    return function


zeros_like = _like("zeros_like", 0)
ones_like = _like("ones_like", 1)
empty_like = _like("empty_like", 0)


def full_like(input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False,
              memory_format=None, pin_memory=False) -> Tensor:  # fmt: skip
    """A tensor of the input's shape and type with every element fill_value."""
    check_device(device)
    _check_layout(layout)
    held = input.form.dtype if dtype is None else engine_dtype(dtype)
    if isinstance(fill_value, (Tensor, np.generic)):
        fill_value = fill_value.item()
    return _finished(fill(input.form.shape, fill_value, held, Tensor), requires_grad)


def _new(name: str, value):
    def method(self, *size, dtype=None, layout=None, device=None, requires_grad=False,
               pin_memory=False, **more):  # fmt: skip
        if "size" in more:
            size = (more.pop("size"),)
        if more:
            raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(more))}'")
        check_device(device)
        _check_layout(layout)
        held = self.form.dtype if dtype is None else engine_dtype(dtype)
        return _finished(fill(_sizes(name, size), value, held, Tensor), requires_grad)

    method.__name__ = name
    setattr(Tensor, name, method)


_new("new_zeros", 0)
_new("new_ones", 1)
_new("new_empty", 0)


def _new_full(self, size, fill_value, *, dtype=None, layout=None, device=None,
              requires_grad=False, pin_memory=False):  # fmt: skip
    return full(size, fill_value, dtype=dtype or self.dtype, device=device,
                requires_grad=requires_grad)  # fmt: skip


def _new_tensor(self, data, dtype=None, device=None, requires_grad=False):
    return tensor(data, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


Tensor.new_full = _new_full
Tensor.new_tensor = _new_tensor


# ---------- copies and types ----------
CLONE = Call("clone", lambda attrs, x: x)
CAST = Call("to_copy", lambda attrs, x: cast(x, attrs[0]))


def clone(input, *, memory_format=None) -> Tensor:
    """A copy; gradients flow back to the input. A memory format says how it lies in memory."""
    if getattr(memory_format, "order", None) is not None:
        from .memory_format import in_format

        return in_format(input, memory_format)
    return record1(CLONE, input)


Tensor.clone = clone


def converted(t: Tensor, dtype: DType, copy: bool = False) -> Tensor:
    """t in another element type; t itself where it has it and no copy is asked for."""
    if t.form.dtype is dtype:
        return record1(CLONE, t) if copy else t
    return record1(CAST, t, (dtype,))
