"""Arrays from nothing, from Python and from other libraries."""

from __future__ import annotations

import numpy as np

from gemel.graph.form import (
    bool_,
    complex128,
    float64,
    int64,
)
from gemel.ops import elementwise as el
from gemel.ops import movement, ordering
from gemel.ops.record import Call
from gemel.tensor import COPY, array_of, dlpack, fill, from_array, item, record1, share_array

from .array import Array, check_array, check_device
from .dtypes import default_of, known
from .recording import NUMBERS, one, require, several

_KINDS = {bool_: "b", int64: "biu", float64: "biuf", complex128: "biufc"}


def asarray(obj, /, *, dtype=None, device=None, copy=None) -> Array:
    """An array of numbers, nested sequences of them, arrays, or an object with a buffer.

    copy: True always copies, False never (ValueError where it would have to), None if need be.
    """
    check_device(device)
    if dtype is not None:
        known(dtype)
    if isinstance(obj, Array):
        return _again(obj, dtype, copy)
    if isinstance(obj, np.ndarray | np.generic) or _lends(obj):
        return _from_numpy(np.asarray(obj), dtype, copy)
    if copy is False:
        raise ValueError("asarray: Python numbers cannot be taken without a copy")
    return _from_python(obj, dtype)


def _lends(obj) -> bool:
    """Has it memory of its own?"""
    if isinstance(obj, bytes | str):
        raise TypeError(f"asarray does not take {type(obj).__name__}")
    return hasattr(obj, "__array__") or isinstance(obj, memoryview | bytearray)


def _again(x: Array, dtype, copy) -> Array:
    if dtype is None or dtype is x.dtype:
        return record1(COPY, x) if copy else x
    if copy is False:
        raise ValueError(f"asarray: {x.dtype} does not become {dtype} without a copy")
    return one(_CAST, x, (dtype,))


def _from_numpy(values: np.ndarray, dtype, copy) -> Array:
    wanted = values.dtype if dtype is None else dtype.numpy
    if copy is False:
        if wanted != values.dtype:
            raise ValueError(f"asarray: {values.dtype} does not become {dtype} without a copy")
        return share_array(values, Array)
    return from_array(values.astype(wanted), Array)


def _from_python(obj, dtype) -> Array:
    kinds = _kinds_of(obj)
    if dtype is None:
        kind = next((k for k in (complex, float, int, bool) if k in kinds), float)
        dtype = default_of(kind)
    values = np.array(_plain(obj), dtype=dtype.numpy)
    return from_array(values, Array)


def _kinds_of(obj) -> set[type]:
    """The kinds of Python numbers inside. TypeError for anything else."""
    if isinstance(obj, list | tuple | range):
        return set().union(*map(_kinds_of, obj))
    if isinstance(obj, Array):
        return {next(k for k, d in ((bool, "b"), (int, "iu"), (float, "f"), (complex, "c"))
                     if obj.dtype.kind in d)}  # fmt: skip
    for kind in NUMBERS:
        if isinstance(obj, kind):
            return {kind}
    raise TypeError(f"asarray takes numbers and sequences of them, not {type(obj).__name__}")


def _plain(obj):
    if isinstance(obj, list | tuple | range):
        return [_plain(x) for x in obj]
    return array_of(obj) if isinstance(obj, Array) else obj


_CAST = Call("astype", lambda attrs, x: el.cast(x, attrs[0]))


# ---------- one value ----------
def _shape(shape) -> tuple[int, ...]:
    found = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    sizes = tuple(n.__index__() for n in found)
    if any(n < 0 for n in sizes):
        raise ValueError(f"a shape has no negative sizes: {shape}")
    return sizes


def full(shape, fill_value, *, dtype=None, device=None) -> Array:
    """Every element the number `fill_value`."""
    check_device(device)
    if isinstance(fill_value, Array):
        fill_value = item(fill_value)
    if dtype is None:
        dtype = default_of(next(k for k in NUMBERS if isinstance(fill_value, k)))
    return _filled(_shape(shape), fill_value, known(dtype))


def _filled(shape, value, dtype) -> Array:
    if dtype.kind in "c" or (dtype.is_integer and dtype.bits == 64):
        # A run-time number of the engine is a float64 or an int64.
        return from_array(np.full(shape, value, dtype.numpy), Array)
    return fill(shape, value, dtype, Array)


def full_like(x, /, fill_value, *, dtype=None, device=None) -> Array:
    """The same with the shape, and unless said otherwise the type, of x."""
    check_array("full_like", x)
    return full(x.shape, fill_value, dtype=dtype or x.dtype, device=device)


def zeros(shape, *, dtype=None, device=None) -> Array:
    """Every element 0."""
    return full(shape, 0, dtype=dtype or float64, device=device)


def ones(shape, *, dtype=None, device=None) -> Array:
    """Every element 1."""
    return full(shape, 1, dtype=dtype or float64, device=device)


def empty(shape, *, dtype=None, device=None) -> Array:
    """Elements of any value (zeros, in fact)."""
    return zeros(shape, dtype=dtype, device=device)


def zeros_like(x, /, *, dtype=None, device=None) -> Array:
    """Zeros with the shape, and unless said otherwise the type, of x."""
    return full_like(x, 0, dtype=dtype, device=device)


def ones_like(x, /, *, dtype=None, device=None) -> Array:
    """Ones with the shape, and unless said otherwise the type, of x."""
    return full_like(x, 1, dtype=dtype, device=device)


def empty_like(x, /, *, dtype=None, device=None) -> Array:
    """Elements of any value, with the shape, and unless said otherwise the type, of x."""
    return full_like(x, 0, dtype=dtype, device=device)


# ---------- rows of numbers ----------
def arange(start, /, stop=None, step=1, *, dtype=None, device=None) -> Array:
    """start, start + step, ... below `stop`; from 0 below `start` where that is the only one."""
    check_device(device)
    if stop is None:
        start, stop = 0, start
    if dtype is None:
        whole = all(isinstance(x, int) for x in (start, stop, step))
        dtype = int64 if whole else float64
    count = max(0, -int(-((stop - start) // step)) if _whole(start, stop, step) else _count(
        start, stop, step))  # fmt: skip
    values = start + np.arange(count, dtype=np.int64) * step if count else np.empty(0)
    return from_array(np.asarray(values).astype(known(dtype).numpy), Array)


def _whole(*numbers) -> bool:
    return all(isinstance(x, int) for x in numbers)


def _count(start, stop, step) -> int:
    return int(np.ceil((stop - start) / step))


def linspace(start, stop, /, num: int, *, dtype=None, device=None, endpoint: bool = True) -> Array:
    """`num` numbers from start to stop, evenly; without the last one, if endpoint is False."""
    check_device(device)
    if num < 0:
        raise ValueError(f"linspace: num is {num}, it cannot be negative")
    if dtype is None:
        dtype = complex128 if isinstance(start + stop, complex) else float64
    values = np.linspace(start, stop, num, endpoint=endpoint, dtype=known(dtype).numpy)
    return from_array(values, Array)


def eye(n_rows: int, n_cols=None, /, *, k: int = 0, dtype=None, device=None) -> Array:
    """Ones on diagonal k of a matrix, zeros elsewhere."""
    check_device(device)
    dtype = known(dtype or float64)
    return from_array(np.eye(n_rows, n_cols, k, dtype=dtype.numpy), Array)


# ---------- made of arrays ----------
_TRIANGLE = Call("triangle", lambda attrs, x: ordering.triangle(x, *attrs))


def tril(x, /, *, k: int = 0) -> Array:
    """The matrices with zeros above diagonal k."""
    return _triangle("tril", x, k, True)


def triu(x, /, *, k: int = 0) -> Array:
    """The matrices with zeros below diagonal k."""
    return _triangle("triu", x, k, False)


def _triangle(name: str, x, k: int, lower: bool) -> Array:
    check_array(name, x)
    if x.ndim < 2:
        raise ValueError(f"{name} needs at least 2 dimensions, not {x.ndim}")
    return one(_TRIANGLE, x, (k, lower))


def _grid(attrs, *rows):
    shape = tuple(r.form.size for r in rows)
    if attrs[0] == "xy" and len(shape) > 1:
        shape = (shape[1], shape[0], *shape[2:])
    found = []
    for i, row in enumerate(rows):
        axis = 1 - i if attrs[0] == "xy" and i < 2 and len(rows) > 1 else i
        size = [1] * len(shape)
        size[axis] = row.form.size
        found.append(movement.expand(movement.reshape(row, tuple(size)), shape))
    return tuple(found)


_GRID = Call("meshgrid", _grid)


def meshgrid(*arrays, indexing: str = "xy") -> tuple[Array, ...]:
    """The coordinates of the points of a grid, from one row of coordinates for each axis."""
    check_array("meshgrid", *arrays)
    if indexing not in ("xy", "ij"):
        raise ValueError(f"indexing is 'xy' or 'ij', not {indexing!r}")
    if any(x.ndim != 1 for x in arrays):
        raise ValueError("meshgrid takes arrays of one dimension")
    if len({x.dtype for x in arrays}) > 1:
        raise ValueError("meshgrid takes arrays of one element type")
    return several(_GRID, *arrays, attrs=(indexing,)) if arrays else ()


def from_dlpack(x, /, *, device=None, copy=None) -> Array:
    """An array over the memory of another library's array."""
    check_device(device)
    if isinstance(x, Array):
        return _again(x, None, copy)
    return dlpack.imported(x, Array, copy)


def astype(x, dtype, /, *, copy: bool = True, device=None) -> Array:
    """x as another element type. TypeError for complex numbers to real ones."""
    check_array("astype", x)
    check_device(device)
    if x.dtype.kind == "c" and known(dtype).kind != "c":
        raise TypeError(f"astype: {x.dtype} does not become {dtype}: take real() or imag()")
    require("astype", x, "biufc", "all")
    if x.dtype is known(dtype):
        return record1(COPY, x) if copy else x
    return one(_CAST, x, (dtype,))
