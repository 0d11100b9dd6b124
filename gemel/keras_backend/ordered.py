"""Ops of `keras.ops` that compare values with each other: sort, quantile, search."""

from __future__ import annotations

from math import ceil, floor, prod

import numpy as np
from keras.src.backend import config

from gemel import tensor as lazy
from gemel.graph.form import bool_, int32, int64
from gemel.ops import elementwise as E
from gemel.ops import movement as M
from gemel.ops import ordering as O
from gemel.ops import rearrange as P
from gemel.ops import reduction as R
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.record import Call

from .arithmetic import OPS, where
from .shaping import (
    expand_dims,
    moveaxis,
    narrow,
    position,
    positions,
    ravel,
    reshape,
)
from .tensors import (
    apply_many,
    convert_to_tensor,
    dtype_of,
    kind_of,
    result_dtype,
    tensor,
    to_dtype,
)

_SORT = Call("sort", lambda attrs, x: P.sort(x, attrs[0], attrs[1])[0])
_ARGSORT = Call(
    "argsort",
    lambda attrs, x: cast_node(O.sorting_order(x, attrs[0], attrs[1]), int32),
    differentiable=False,
)
_TOP_K = Call("top_k", lambda attrs, x: _top_k(attrs, x))


def _top_k(attrs, x):
    k = attrs[0]
    values, places = P.sort(x, x.ndim - 1, True)
    return tuple(M.narrow(v, x.ndim - 1, 0, k) for v in (values, cast_node(places, int32)))


def sort(x, axis=-1) -> lazy.Tensor:
    x = tensor(x)
    if not x.form.ndim:
        return x
    if axis is None:
        x, axis = ravel(x), 0
    return lazy.record1(_SORT, x, (position(axis, x.form.ndim), False))


def argsort(x, axis=-1) -> lazy.Tensor:
    x = tensor(x)
    if axis is None or not x.form.ndim:
        x, axis = ravel(x), 0
    return lazy.record1(_ARGSORT, x, (position(axis, x.form.ndim), False))


def argpartition(x, kth, axis=-1) -> lazy.Tensor:
    return argsort(x, axis)


def top_k(x, k, sorted=True) -> tuple[lazy.Tensor, lazy.Tensor]:
    x = tensor(x)
    if k > x.form.shape[-1]:
        raise ValueError(f"input must have at least k={k} columns. Received: shape={x.form.shape}")
    return tuple(apply_many(_TOP_K, x, attrs=(int(k),)))


# ---------- quantiles ----------
METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _as_rows(x, axis, keepdims):
    """x with the reduced axes merged into a last one, and the shape of the result."""
    axes = positions(axis, x.form.ndim)
    kept = R.kept_shape(x.form.shape, axes)
    rest = tuple(n for i, n in enumerate(x.form.shape) if i not in axes)
    moved = moveaxis(x, axes, tuple(range(x.form.ndim - len(axes), x.form.ndim))) if axes else x
    merged = x.form.size // max(1, prod(rest))
    return reshape(moved, (*rest, merged)), kept if keepdims else rest


def _pick(x, place: int):
    return reshape(narrow(x, x.form.ndim - 1, place, 1), x.form.shape[:-1])


def _quantile(rows, q: float, method: str):
    n = rows.form.shape[-1]
    at = q * (n - 1)
    low, high = floor(at), ceil(at)
    if method == "lower":
        return _pick(rows, low)
    if method == "higher":
        return _pick(rows, high)
    if method == "nearest":
        return _pick(rows, int(np.rint(at)))
    a, b = _pick(rows, low), _pick(rows, high)
    if method == "midpoint":
        return (a + b) / 2.0
    if method != "linear":
        raise ValueError(f"method {method!r} is not available; there are: {', '.join(METHODS)}")
    return a + (b - a) * float(at - low) if low != high else a


def quantile(x, q, axis=None, method="linear", keepdims=False) -> lazy.Tensor:
    x = tensor(x)
    if x.form.dtype is bool_:
        x = to_dtype(x, dtype_of(config.floatx()))
    dtype = x.form.dtype if x.form.dtype.is_float else dtype_of(config.floatx())
    rows, shape = _as_rows(x, axis, keepdims)
    rows = sort(to_dtype(rows, dtype), -1)
    if rows.form.dtype.is_float:
        # a NaN among the values makes the quantile NaN: it was sorted to the end
        last = _pick(rows, rows.form.shape[-1] - 1)
        rows = where(expand_dims(OPS["isnan"](last), -1), float("nan"), rows)
    levels = _levels(q)
    found = [reshape(_quantile(rows, float(v), method), shape) for v in levels.reshape(-1)]
    return _stacked(found, levels, shape)


def _levels(q) -> np.ndarray:
    return np.asarray(lazy.array_of(q) if isinstance(q, lazy.Tensor) else q, dtype=float)


def _stacked(found: list, levels: np.ndarray, shape) -> lazy.Tensor:
    """One result, or one per level along new first axes."""
    if not levels.ndim:
        return found[0]
    from .shaping import stack

    return reshape(stack(found, 0), levels.shape + tuple(shape))


def percentile(x, q, axis=None, method="linear", keepdims=False) -> lazy.Tensor:
    return quantile(x, _levels(q) / 100, axis, method, keepdims)


def median(x, axis=None, keepdims=False) -> lazy.Tensor:
    x = tensor(x)
    return to_dtype(quantile(x, 0.5, axis, "linear", keepdims), result_dtype(kind_of(x), float))


# ---------- quantiles of what is not NaN ----------
def _among_numbers(attrs, rows):
    """The value at a share of the way through the sorted numbers of each row."""
    share, method = attrs
    n = rows.shape[-1]
    count = R.sum_(cast_node(E.eq(rows, rows), rows.dtype), -1, True)
    at = (count - 1.0) * share
    low, high = E.floor(at), E.ceil(at)
    place = cast_node(M.iota(rows.shape, rows.ndim - 1, int64), rows.dtype)

    def pick(where_):
        hit = E.eq(place, M.expand(where_, rows.shape))
        return R.sum_(E.where(hit, rows, E.const(0, rows.dtype)), -1)

    a, b = pick(low), pick(high)
    part = M.reshape(at - low, a.shape)
    found = {
        "linear": a + (b - a) * part,
        "lower": a,
        "higher": b,
        "midpoint": (a + b) * 0.5,
        "nearest": pick(E.ROUND(at)),
    }[method]
    none = E.eq(M.reshape(count, a.shape), 0.0)
    return E.where(none, E.const(float("nan"), rows.dtype), found) if n else found


_AMONG_NUMBERS = Call("nanquantile", _among_numbers)


def nanquantile(x, q, axis=None, method="linear", keepdims=False) -> lazy.Tensor:
    x = tensor(x)
    if not x.form.dtype.is_float:
        return quantile(x, q, axis, method, keepdims)
    if method not in METHODS:
        raise ValueError(f"method {method!r} is not available; there are: {', '.join(METHODS)}")
    rows, shape = _as_rows(x, axis, keepdims)
    rows = sort(rows, -1)
    levels = _levels(q)
    found = [
        reshape(lazy.record1(_AMONG_NUMBERS, rows, (float(v), method)), shape)
        for v in levels.reshape(-1)
    ]
    return _stacked(found, levels, shape)


def nanpercentile(x, q, axis=None, method="linear", keepdims=False) -> lazy.Tensor:
    return nanquantile(x, _levels(q) / 100, axis, method, keepdims)


def nanmedian(x, axis=None, keepdims=False) -> lazy.Tensor:
    x = tensor(x)
    found = nanquantile(x, 0.5, axis, "linear", keepdims)
    return to_dtype(found, result_dtype(kind_of(x), float))


# ---------- search ----------
def _searched(attrs, row, values):
    n = row.shape[0]
    wide = values.shape + (n,)
    value = M.expand(M.reshape(values, values.shape + (1,)), wide)
    other = M.expand(row, wide)
    before = E.lt(other, value) if attrs[0] == "left" else E.le(other, value)
    return cast_node(R.sum_(cast_node(before, int64), -1), int32)


_SEARCHSORTED = Call("searchsorted", _searched, differentiable=False)


def searchsorted(sorted_sequence, values, side="left") -> lazy.Tensor:
    row, values = tensor(sorted_sequence), tensor(values)
    if row.form.ndim != 1:
        raise ValueError(
            "`searchsorted` only supports 1-D sorted sequences. You can use "
            "`keras.ops.vectorized_map` to extend it to N-D sequences. Received: "
            f"sorted_sequence.shape={row.form.shape}"
        )
    dtype = result_dtype(kind_of(row), kind_of(values))
    return lazy.record2(_SEARCHSORTED, to_dtype(row, dtype), to_dtype(values, dtype), (side,))


def digitize(x, bins) -> lazy.Tensor:
    return searchsorted(bins, x, side="right")


def isin(x1, x2, assume_unique=False, invert=False) -> lazy.Tensor:
    from .reductions import REDUCTIONS

    a, b = tensor(x1), ravel(x2)
    dtype = result_dtype(kind_of(a), kind_of(b))
    equal = expand_dims(to_dtype(a, dtype), -1) == to_dtype(b, dtype)
    found = REDUCTIONS["any"](equal, -1)
    return OPS["logical_not"](found) if invert else found


# ---------- results whose size depends on the values: the values are looked at ----------
def nonzero(x) -> tuple[lazy.Tensor, ...]:
    """Positions of the values that are not zero. The values are looked at to know how many."""
    x = tensor(x)
    places = np.nonzero(np.atleast_1d(lazy.array_of(x)))
    return tuple(convert_to_tensor(p.astype("int32")) for p in places)


def histogram(x, bins=10, range=None) -> tuple[lazy.Tensor, lazy.Tensor]:
    from .creation import linspace
    from .reductions import REDUCTIONS

    x = ravel(x)
    values = to_dtype(x, x.form.dtype if x.form.dtype.is_float else dtype_of("float32"))
    if range is None:
        range = REDUCTIONS["min"](values), REDUCTIONS["max"](values)
    low, high = (to_dtype(tensor(v), values.form.dtype) for v in range)
    spare = where(low == high, 0.5, 0.0)
    edges = linspace(low - spare, high + spare, int(bins) + 1, dtype=values.form.dtype.name)
    column = expand_dims(values, 1)
    after = OPS["greater_equal"](column, narrow(edges, 0, 0, int(bins)))
    upper = narrow(edges, 0, 1, int(bins))
    last = np.arange(int(bins)) == int(bins) - 1
    ends = OPS["logical_and"](OPS["less_equal"](column, upper), convert_to_tensor(last))
    before = OPS["logical_or"](OPS["less"](column, upper), ends)
    hits = OPS["logical_and"](after, before)
    return to_dtype(REDUCTIONS["sum"](hits, 0), int32), edges



def unique(
    x,
    sorted=True,
    return_index=False,
    return_inverse=False,
    return_counts=False,
    axis=None,
    size=None,
    fill_value=None,
):
    """The distinct values. The values are looked at to know how many there are."""
    x = tensor(x)
    values, index, inverse, counts = np.unique(
        lazy.array_of(x), True, True, True, axis, equal_nan=False
    )
    if size is not None:
        dim = 0 if axis is None else position(axis, x.form.ndim)
        values, index, counts = (
            _of_size(v, size, d, fill)
            for v, d, fill in ((values, dim, fill_value or 0), (index, 0, 1), (counts, 0, 0))
        )
    wanted = ((return_index, index), (return_inverse, inverse), (return_counts, counts))
    found = [convert_to_tensor(values)]
    found += [convert_to_tensor(v.astype("int32")) for flag, v in wanted if flag]
    return found[0] if len(found) == 1 else tuple(found)


def _of_size(values: np.ndarray, size: int, dim: int, fill) -> np.ndarray:
    """Cut or padded to a fixed number of rows."""
    values = values.take(range(min(size, values.shape[dim])), dim)
    widths = [(0, 0)] * values.ndim
    widths[dim] = (0, size - values.shape[dim])
    return np.pad(values, widths, constant_values=fill)
