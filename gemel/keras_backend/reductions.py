"""Reductions of `keras.ops`: sums, extremes, statistics, running totals and their NaN forms."""

from __future__ import annotations

import math

from keras.src.backend import config

from gemel import tensor as lazy
from gemel.graph.form import bool_, int32
from gemel.ops import elementwise as E
from gemel.ops import movement as M
from gemel.ops import ordering as O
from gemel.ops import reduction as R
from gemel.ops import statistics
from gemel.ops.activations import log_sum_exp
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.record import Call, const

from .arithmetic import OPS, isclose, where
from .creation import broadcast_to
from .shaping import position, positions, ravel, reshape
from .tensors import convert_to_tensor, dtype_of, kind_of, result_dtype, tensor, to_dtype


def total_dtype(dtype):
    """The type that sums are kept in: small integers widen."""
    if dtype.name in ("bool", "int8", "int16"):
        return int32
    return dtype_of("uint32") if dtype.name in ("uint8", "uint16") else dtype


def _same(dtype):
    return dtype


def _mean_dtype(dtype):
    return dtype if dtype.is_float else result_dtype(dtype.name, "float32")


def _float_dtype(dtype):
    return dtype if dtype.is_float else dtype_of(config.floatx())


def _truth(dtype):
    return bool_


def _reduction(name: str, build, rule):
    call = Call(name, lambda attrs, x: build(cast_node(x, attrs[2]), attrs[0], attrs[1]))

    def op(x, axis=None, keepdims=False) -> lazy.Tensor:
        x = tensor(x)
        axes = positions(axis, x.form.ndim)
        return lazy.record1(call, x, (axes, bool(keepdims), rule(x.form.dtype)))

    op.__name__ = op.__qualname__ = name
    return op


def _without_nan(build, neutral: float):
    """Values that are NaN take the neutral element's place."""

    def run(x, axes, keepdims):
        if x.dtype.is_float:
            x = E.where(E.is_nan(x), const(neutral, x.dtype), x)
        return build(x, axes, keepdims)

    return run


def _extreme_without_nan(build, neutral: float):
    def run(x, axes, keepdims):
        if not x.dtype.is_float:
            return build(x, axes, keepdims)
        nan = E.is_nan(x)
        found = build(E.where(nan, const(neutral, x.dtype), x), axes, keepdims)
        return E.where(R.all_(nan, axes, keepdims), const(math.nan, x.dtype), found)

    return run


def _counted(x, axes, keepdims):
    """How many values are not NaN."""
    return R.sum_(cast_node(E.eq(x, x), x.dtype), axes, keepdims)


def _mean_without_nan(x, axes, keepdims):
    total = _without_nan(R.sum_, 0.0)(x, axes, keepdims)
    return total / _counted(x, axes, keepdims)


def _variance_without_nan(x, axes, keepdims):
    d = x - _mean_without_nan(x, axes, True)
    return _mean_without_nan(d * d, axes, keepdims)


OPS_OF_REDUCTION = {
    "sum": (R.sum_, total_dtype),
    "max": (R.amax, _same),
    "min": (R.amin, _same),
    "amax": (R.amax, _same),
    "amin": (R.amin, _same),
    "ptp": (lambda x, a, k: R.amax(x, a, k) - R.amin(x, a, k), _same),
    "all": (R.all_, _truth),
    "any": (R.any_, _truth),
    "mean": (statistics.mean, _mean_dtype),
    "var": (statistics.variance, _float_dtype),
    "std": (statistics.deviation, _float_dtype),
    "logsumexp": (log_sum_exp, _float_dtype),
    "nansum": (_without_nan(R.sum_, 0.0), total_dtype),
    "nanprod": (_without_nan(R.prod, 1.0), total_dtype),
    "nanmax": (_extreme_without_nan(R.amax, -math.inf), _same),
    "nanmin": (_extreme_without_nan(R.amin, math.inf), _same),
    "nanmean": (_mean_without_nan, _float_dtype),
    "nanvar": (_variance_without_nan, _float_dtype),
    "nanstd": (lambda x, a, k: E.SQRT(_variance_without_nan(x, a, k)), _float_dtype),
}
REDUCTIONS = {name: _reduction(name, *row) for name, row in OPS_OF_REDUCTION.items()}
globals().update(REDUCTIONS)
_max, _min, _sum = (REDUCTIONS[name] for name in ("max", "min", "sum"))


def max(x, axis=None, keepdims=False, initial=None) -> lazy.Tensor:
    """The largest value; `initial` counts as one more of them."""
    return _extreme(_max, "maximum", x, axis, keepdims, initial)


def min(x, axis=None, keepdims=False, initial=None) -> lazy.Tensor:
    """The smallest value; `initial` counts as one more of them."""
    return _extreme(_min, "minimum", x, axis, keepdims, initial)


def _extreme(reduce, combine: str, x, axis, keepdims, initial):
    x = tensor(x)
    axes = positions(axis, x.form.ndim)
    empty = 0 in [x.form.shape[a] for a in axes]
    if initial is None:
        if empty:
            raise ValueError(
                f"a reduction over an empty axis of shape {x.form.shape} needs `initial`"
            )
        return reduce(x, axis, keepdims)
    first = convert_to_tensor(initial, x.form.dtype.name)
    if empty:
        kept = R.kept_shape(x.form.shape, axes)
        shape = kept if keepdims else tuple(n for i, n in enumerate(kept) if i not in axes)
        return broadcast_to(first, shape)
    return OPS[combine](reduce(x, axis, keepdims), first)


_PROD = Call("prod", lambda attrs, x: R.prod(cast_node(x, attrs[2]), attrs[0], attrs[1]))


def prod(x, axis=None, keepdims=False, dtype=None) -> lazy.Tensor:
    x = tensor(x)
    kept = total_dtype(x.form.dtype) if dtype is None else dtype_of(dtype)
    return lazy.record1(_PROD, x, (positions(axis, x.form.ndim), bool(keepdims), kept))


def average(x, axis=None, weights=None) -> lazy.Tensor:
    x = tensor(x)
    if weights is None:
        return REDUCTIONS["mean"](to_dtype(x, result_dtype(kind_of(x), float)), axis)
    weights = tensor(weights)
    dtype = result_dtype(kind_of(x), kind_of(weights), float)
    x, weights = to_dtype(x, dtype), to_dtype(weights, dtype)
    if weights.form.ndim == 1 and x.form.ndim > 1 and axis is not None:
        thin = [1] * x.form.ndim
        thin[position(axis, x.form.ndim)] = weights.form.size
        weights = broadcast_to(reshape(weights, thin), x.form.shape)
    return _sum(x * weights, axis) / _sum(weights, axis)


def count_nonzero(x, axis=None) -> lazy.Tensor:
    found = tensor(x) != 0
    return to_dtype(_sum(found, axis), int32)


def allclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False) -> lazy.Tensor:
    return REDUCTIONS["all"](isclose(x1, x2, rtol, atol, equal_nan))


# ---------- positions of extremes ----------
def _position(attrs, x):
    axis, keepdims, largest = attrs
    if x.dtype is bool_:
        x = cast_node(x, int32)
    if x.dtype.is_float:
        # -0.0 counts as smaller than 0.0
        tiny = const(1e-38 if x.dtype.itemsize == 4 else 2e-308, x.dtype)
        negative = E.and_(E.eq(x, 0.0), E.lt(1.0 / x, 0.0))
        x = E.where(negative, -tiny, x)
    return cast_node(R.position(x, axis, keepdims, largest), int32)


_POSITION = Call("argmax", _position, differentiable=False)


def _argument(x, axis, keepdims, largest: bool) -> lazy.Tensor:
    x = tensor(x)
    if axis is not None and x.form.ndim:
        axis = position(axis, x.form.ndim)
    return lazy.record1(_POSITION, x, (axis, bool(keepdims), largest))


def argmax(x, axis=None, keepdims=False) -> lazy.Tensor:
    return _argument(x, axis, keepdims, True)


def argmin(x, axis=None, keepdims=False) -> lazy.Tensor:
    return _argument(x, axis, keepdims, False)


def _argument_without_nan(x, axis, keepdims, largest: bool) -> lazy.Tensor:
    x = tensor(x)
    if not x.form.dtype.is_float:
        return _argument(x, axis, keepdims, largest)
    nan = OPS["isnan"](x)
    filled = where(nan, -math.inf if largest else math.inf, x)
    found = _argument(filled, axis, keepdims, largest)
    return where(REDUCTIONS["all"](nan, axis, keepdims), -1, found)


def nanargmax(x, axis=None, keepdims=False) -> lazy.Tensor:
    return _argument_without_nan(x, axis, keepdims, True)


def nanargmin(x, axis=None, keepdims=False) -> lazy.Tensor:
    return _argument_without_nan(x, axis, keepdims, False)


# ---------- running totals ----------
def _running(name: str, build, skips_nan: float | None = None):
    call = Call(name, lambda attrs, x: build(cast_node(x, attrs[1]), attrs[0]))

    def op(x, axis=None, dtype=None) -> lazy.Tensor:
        x = tensor(x)
        kept = x.form.dtype if dtype is None else dtype_of(dtype)
        kept = int32 if kept is bool_ else kept
        if axis is None:
            x, axis = ravel(x), 0
        if skips_nan is not None and x.form.dtype.is_float:
            x = where(OPS["isnan"](x), skips_nan, x)
        return lazy.record1(call, x, (position(axis, x.form.ndim), kept))

    op.__name__ = op.__qualname__ = name
    return op


cumsum = _running("cumsum", O.running_sum)
cumprod = _running("cumprod", O.running_product)
nancumsum = _running("nancumsum", O.running_sum, 0.0)
nancumprod = _running("nancumprod", O.running_product, 1.0)


def trapezoid(y, x=None, dx=1.0, axis=-1) -> lazy.Tensor:
    from .shaping import diff, narrow

    y = tensor(y)
    y = to_dtype(y, result_dtype(kind_of(y), float))
    axis = position(axis, y.form.ndim)
    n = y.form.shape[axis]
    if x is None:
        d = dx
    else:
        x = tensor(x)
        d = diff(x, axis=0 if x.form.ndim == 1 else axis)
        if x.form.ndim == 1:
            thin = [1] * y.form.ndim
            thin[axis] = n - 1
            d = reshape(d, thin)
    middle = narrow(y, axis, 1, n - 1) + narrow(y, axis, 0, n - 1)
    return to_dtype(_sum(middle * d, axis) / 2.0, y.form.dtype)


def corrcoef(x) -> lazy.Tensor:
    from .contracting import matmul
    from .shaping import diagonal, expand_dims, transpose

    x = tensor(x)
    x = to_dtype(x, dtype_of("float64" if x.form.dtype.name in ("int64", "float64") else "float32"))
    if x.form.ndim == 1:
        x = expand_dims(x, 0)
    d = x - REDUCTIONS["mean"](x, -1, True)
    c = matmul(d, transpose(d))
    s = OPS["sqrt"](diagonal(c))
    found = clip_to_one(c / expand_dims(s, 0) / expand_dims(s, 1))
    return reshape(found, ()) if found.form.size == 1 else found


def clip_to_one(x) -> lazy.Tensor:
    from .arithmetic import clip

    return clip(x, -1.0, 1.0)


def bincount(x, weights=None, minlength=0, sparse=False) -> lazy.Tensor:
    """Occurrences per value. The number of bins depends on the data, so the data is looked at."""
    if sparse:
        raise ValueError("Unsupported value `sparse=True` with the gemel backend")
    x = tensor(x)
    bins = minlength
    if x.form.size and not lazy.tracing():
        bins = int(_pick(minlength, int(_max(x)) + 1))
    dtype = int32
    if weights is not None:
        weights = tensor(weights)
        dtype = result_dtype(kind_of(x), kind_of(weights))
    hits = lazy.record1(_BINS, x, (bins, dtype))
    if weights is not None:
        from .shaping import expand_dims

        hits = hits * expand_dims(to_dtype(weights, dtype), -1)
    return to_dtype(_sum(hits, x.form.ndim - 1), dtype)


def _pick(a: int, b: int) -> int:
    return a if a > b else b


_BINS = Call(
    "bincount",
    lambda attrs, x: cast_node(
        E.eq(
            M.expand(M.reshape(x, (*x.shape, 1)), (*x.shape, attrs[0])),
            M.iota((*x.shape, attrs[0]), x.ndim, x.dtype),
        ),
        attrs[1],
    ),
)
