"""Reading and writing by position: `x[...]`, take, scatter, slice."""

from __future__ import annotations

import builtins
from math import prod

import numpy as np
from keras.src.backend.common.variables import Variable as KerasVariable

from gemel import tensor as lazy
from gemel.graph.errors import Fault
from gemel.graph.form import bool_, int64
from gemel.ops import elementwise as E
from gemel.ops import movement as M
from gemel.ops import ordering as O
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.indexing import gather, linear_index, scatter_add, scatter_set
from gemel.ops.record import Call
from gemel.tensor.lookups import OPEN, looked_up

from .creation import broadcast_to
from .errors import invalid_argument
from .shaping import moveaxis, narrow, position, ravel, reshape
from .tensors import apply, convert_to_tensor, tensor, to_dtype

_SLICE = Call("getitem", lambda attrs, x: M.slice_(x, attrs[0]))


# ---------- x[...] ----------
def getitem(x: lazy.Tensor, index) -> lazy.Tensor:
    """NumPy's basic and advanced indexing of a tensor."""
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = _without_masks([p.value if isinstance(p, KerasVariable) else p for p in parts])
    used = sum(1 for p in parts if p is not None and p is not Ellipsis)
    if used > x.form.ndim:
        raise IndexError(f"too many indices ({used}) for a tensor of shape {x.form.shape}")
    at = next((i for i, p in enumerate(parts) if p is Ellipsis), None)
    filling = [builtins.slice(None)] * (x.form.ndim - used)
    parts = parts + filling if at is None else parts[:at] + filling + parts[at + 1 :]
    return _picked(x, parts)


def _without_masks(parts: list) -> list:
    """Masks become the positions where they hold; lists and arrays become tensors."""
    found = []
    for p in parts:
        if isinstance(p, (list, np.ndarray)) and not isinstance(p, lazy.Tensor):
            p = convert_to_tensor(np.asarray(p, dtype=None if len(p) else "int32"))
        if isinstance(p, (bool, np.bool_)):
            raise IndexError("a tensor cannot be indexed with a single truth value")
        if isinstance(p, lazy.Tensor) and p.form.dtype is bool_:
            from .ordered import nonzero

            found.extend(nonzero(p))
        else:
            found.append(p)
    return found


def _picked(x: lazy.Tensor, parts: list) -> lazy.Tensor:
    """parts: one per axis of x (None adds an axis)."""
    spec = []
    shape: list[int] = []
    advanced: list[tuple[int, lazy.Tensor]] = []
    for p in parts:
        if p is None:
            shape.append(1)
            continue
        n = x.form.shape[len(spec)]
        if isinstance(p, builtins.slice):
            spec.append(_normal(p, n))
            shape.append(M.slice_size(*spec[-1]))
        elif isinstance(p, lazy.Tensor):
            advanced.append((len(shape), p))
            spec.append((0, n, 1))
            shape.append(n)
        else:
            i = p.__index__()
            if not -n <= i < n:
                raise IndexError(f"index {i} is out of bounds for axis of size {n}")
            spec.append((i % n, i % n + 1, 1))
    whole = all(s == (0, n, 1) for s, n in zip(spec, x.form.shape, strict=True))
    out = x if whole else lazy.record1(_SLICE, x, (tuple(spec),))
    out = reshape(out, shape)
    return _advanced(out, advanced) if advanced else out


def _normal(s: builtins.slice, n: int) -> tuple[int, int, int]:
    bounds = (v if v is None else v.__index__() for v in (s.start, s.stop, s.step))
    start, stop, step = builtins.slice(*bounds).indices(n)
    size = M.slice_size(start, stop, step)
    return (start, start + (size - 1) * step + (1 if step > 0 else -1), step) if size else (0, 0, 1)


def _advanced(x: lazy.Tensor, picks: list[tuple[int, lazy.Tensor]]) -> lazy.Tensor:
    """Several index tensors at once: the picked axes are merged and gathered along."""
    shape = np.broadcast_shapes(*(i.form.shape for _, i in picks))
    axes = [a for a, _ in picks]
    first = axes[0] if axes == list(range(axes[0], axes[0] + len(axes))) else 0
    if len(axes) > 1:
        x = moveaxis(x, axes, list(range(first, first + len(axes))))
    sizes = x.form.shape[first : first + len(axes)]
    indices = [broadcast_to(_counted(i, n), shape) for (_, i), n in zip(picks, sizes, strict=True)]
    return lazy.record_n(_GATHER_ND, x.kin, (x, *indices), (first,))


def _gather_nd(attrs, x, *indices):
    first = attrs[0]
    sizes = x.shape[first : first + len(indices)]
    index = linear_index([cast_node(i, int64) for i in indices], sizes)
    merged = x.shape[:first] + (prod(sizes),) + x.shape[first + len(sizes) :]
    return gather(M.reshape(x, merged), index, first)


_GATHER_ND = Call("gather", _gather_nd)


# ---------- take ----------
def _in_range(attrs, index):
    """Negative positions count from the end; others out of range are the program's fault."""
    n, op = attrs
    index = cast_node(index, int64) if index.dtype.kind in "bu" else index
    fault = Fault(invalid_argument(), f"{op}: index {{value}} is not in [0, {n})")
    return E.check_range(E.where(E.lt(index, 0), index + n, index), 0, n, fault)


_IN_RANGE = Call("index", _in_range, differentiable=False)


def _counted(index: lazy.Tensor, n: int, op: str = "gather") -> lazy.Tensor:
    if not index.form.dtype.is_integer:
        raise IndexError(f"an index must be of integer type. Received: dtype={index.dtype}")
    return lazy.record1(_IN_RANGE, index, (n, op))


_TAKE = Call("take", lambda attrs, x, index: gather(x, index, attrs[0]))


def take(x, indices, axis=None) -> lazy.Tensor:
    """Rows of x along the axis, in the order of the indices (of the flat x without an axis)."""
    table = x if isinstance(x, KerasVariable) else None
    x = tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = position(axis, x.form.ndim)
    index = tensor(indices)
    if index.form.dtype.is_float:
        index = to_dtype(index, int64)
    index = _counted(index, x.form.shape[axis], "take")
    found = apply(_TAKE, x, index, attrs=(axis,))
    if OPEN and axis == 0 and table is not None and table._value.form is x.form:
        looked_up(table._value, index, found)
    return found


_ALONG = Call(
    "take_along_axis",
    lambda attrs, x, index: O.take_along(x, cast_node(index, int64), attrs[0]),
)


def take_along_axis(x, indices, axis=None) -> lazy.Tensor:
    x = tensor(x)
    index = tensor(indices)
    if axis is None:
        x, index, axis = ravel(x), ravel(index), 0
    axis = position(axis, x.form.ndim)
    if index.form.ndim != x.form.ndim:
        raise ValueError(
            "`x` and `indices` must have the same number of dimensions. Received: "
            f"x.shape={x.form.shape}, indices.shape={index.form.shape}"
        )
    index = _counted(index, x.form.shape[axis], "take_along_axis")
    lead = np.broadcast_shapes(
        *(v.form.shape[:axis] + (1,) + v.form.shape[axis + 1 :] for v in (x, index))
    )
    x, index = (
        broadcast_to(v, lead[:axis] + (v.form.shape[axis],) + lead[axis + 1 :]) for v in (x, index)
    )
    return apply(_ALONG, x, index, attrs=(axis,))


# ---------- scatter ----------
def _scattered(attrs, base, indices, values):
    """Rows of `values` added to or put into base at index tuples (the last axis of indices)."""
    adding, op = attrs
    depth = indices.shape[-1]
    sizes = base.shape[:depth]
    rows = prod(indices.shape[:-1])
    flat = M.reshape(indices, (rows, depth))
    columns = []
    for k, n in enumerate(sizes):
        column = M.reshape(M.narrow(flat, 1, k, 1), (rows,))
        columns.append(cast_node(_in_range((n, op), column), int64))
    row = M.reshape(base, (prod(sizes), *base.shape[depth:]))
    value = M.reshape(M.expand(values, indices.shape[:-1] + base.shape[depth:]),
                      (rows, *base.shape[depth:]))
    write = scatter_add if adding else scatter_set
    return M.reshape(write(row, linear_index(columns, sizes), value, 0), base.shape)


_SCATTER = Call("scatter", _scattered)


def scatter(indices, values, shape) -> lazy.Tensor:
    from .creation import zeros

    values = tensor(values)
    base = zeros(shape, values.form.dtype.name)
    return apply(_SCATTER, base, tensor(indices), values, attrs=(True, "scatter"))


def scatter_update(inputs, indices, updates, reduction=None) -> lazy.Tensor:
    x = tensor(inputs)
    index = tensor(indices)
    value = to_dtype(tensor(updates), x.form.dtype)
    if reduction in (None, "add"):
        attrs = (reduction == "add", "scatter_update")
        return apply(_SCATTER, x, index, value, attrs=attrs)
    if reduction not in ("max", "min", "mul"):
        raise ValueError(f"Unsupported reduction: {reduction}")
    return _folded(x, index, value, reduction)


def _folded(x, index, value, reduction: str) -> lazy.Tensor:
    """Updates one after another, so that equal index tuples combine."""
    from .arithmetic import OPS

    combine = OPS[{"max": "maximum", "min": "minimum", "mul": "multiply"}[reduction]]
    depth = index.form.shape[-1]
    rows = reshape(index, (-1, depth))
    values = reshape(
        broadcast_to(value, index.form.shape[:-1] + x.form.shape[depth:]),
        (-1, *x.form.shape[depth:]),
    )
    for k in range(rows.form.shape[0]):
        at = narrow(rows, 0, k, 1)
        before = getitem(x, tuple(reshape(narrow(at, 1, d, 1), (1,)) for d in range(depth)))
        now = combine(before, narrow(values, 0, k, 1))
        x = apply(_SCATTER, x, at, now, attrs=(False, "scatter_update"))
    return x


# ---------- slices at run-time places ----------
def _starts(start_indices) -> list:
    """Places as Python ints where they are known, else as tensors."""
    if isinstance(start_indices, lazy.Tensor):
        if not lazy.tracing():
            return lazy.array_of(start_indices).tolist()
        n = start_indices.form.shape[0]
        return [getitem(start_indices, i) for i in range(n)]
    found = []
    for s in start_indices:
        tied = isinstance(s, lazy.Tensor) and lazy.tracing()
        found.append(reshape(s, ()) if tied else int(s))
    return found


def slice(inputs, start_indices, shape) -> lazy.Tensor:
    """`shape` values from a start on; starts that would reach past the end move back."""
    x = tensor(inputs)
    starts = _starts(start_indices)
    if len(starts) != len(shape):
        raise ValueError(
            "Length of `start_indices` must match length of `shape`. "
            f"Received: start_indices={start_indices}, shape={shape}"
        )
    for axis, (start, size) in enumerate(zip(starts, shape, strict=True)):
        n = x.form.shape[axis]
        size = n - start if size == -1 else int(size)
        if isinstance(start, int):
            if start < 0 or start + size > n:
                raise ValueError(
                    f"slice of {size} from {start} on leaves axis {axis} of shape {x.form.shape}"
                )
            x = narrow(x, axis, start, size)
        else:
            x = apply(_TAKE, x, _window(start, size, n), attrs=(axis,))
    return x


def _window(start: lazy.Tensor, size: int, n: int) -> lazy.Tensor:
    return lazy.record1(_WINDOW, start, (size, n))


def _rows(attrs, start):
    size, n = attrs
    start = E.minimum(E.maximum(cast_node(start, int64), 0), n - size)
    return M.arange(size, int64) + start


_WINDOW = Call("slice", _rows, differentiable=False)
_PUT = Call("slice_update", lambda attrs, x, value: M.update_slice(x, value, attrs[0]))


def slice_update(inputs, start_indices, updates) -> lazy.Tensor:
    x = tensor(inputs)
    value = to_dtype(tensor(updates), x.form.dtype)
    starts = _starts(start_indices)
    if all(isinstance(s, int) for s in starts):
        spec = tuple((s, s + n, 1) for s, n in zip(starts, value.form.shape, strict=True))
        return apply(_PUT, x, value, attrs=(spec,))
    return _put_anywhere(x, starts, value)


def _put_anywhere(x, starts, value) -> lazy.Tensor:
    """Places known only when the program runs: the rows' index tuples are scattered to."""
    from .creation import arange, meshgrid
    from .shaping import stack

    rows = []
    for start, size, n in zip(starts, value.form.shape, x.form.shape, strict=True):
        known = isinstance(start, int)
        rows.append(arange(start, start + size, dtype="int64") if known
                    else _window(start, size, n))
    grid = stack(meshgrid(*rows, indexing="ij"), axis=-1)
    return apply(_SCATTER, x, grid, value, attrs=(False, "slice_update"))


def select(condlist, choicelist, default=0) -> lazy.Tensor:
    from .arithmetic import where

    found = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        found = where(condition, choice, found)
    return tensor(found)

