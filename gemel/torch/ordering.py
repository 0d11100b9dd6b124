"""Sorting and running sums: sort, argsort, topk, median, cumsum, cumprod, unique, bincount."""

from __future__ import annotations

import numpy as np

from gemel.graph.errors import Fault
from gemel.graph.form import bool_, int64
from gemel.graph.node import Node
from gemel.ops import elementwise, ordering, reduction, running, selection
from gemel.ops.elementwise import cast
from gemel.ops.movement import iota, narrow, reshape
from gemel.ops.record import Call
from gemel.tensor import from_array, glance, item, record1, record2, record_many

from . import dtypes, return_types
from .checks import dimension, not_implemented
from .define import stored
from .reductions import reducing
from .tensor import Tensor
from .writing import inplace


# ---------- running sums ----------
def _running(name: str, function) -> Call:
    def expand(attrs, x):
        dim, dtype = attrs
        axis = dimension(dim, x.ndim)
        if dtype is None:
            dtype = x.dtype if x.dtype.is_smooth else int64
        return function(cast(x, dtype), axis)

    return Call(name, expand)


CUMSUM = _running("cumsum", ordering.running_sum)
CUMPROD = _running("cumprod", ordering.running_product)


def _held(dtype):
    return None if dtype is None else dtypes.engine_dtype(dtype)


@reducing
def cumsum(input, dim, *, dtype=None) -> Tensor:
    """The sums of the first 1, 2, ... elements along dim; integers give int64."""
    return record1(CUMSUM, input, (dim, _held(dtype)))


@reducing
def cumprod(input, dim, *, dtype=None) -> Tensor:
    """The products of the first 1, 2, ... elements along dim; integers give int64."""
    return record1(CUMPROD, input, (dim, _held(dtype)))


def _running_in_place(name: str, call: Call) -> None:
    target = stored(call)

    def method(self, dim, *, dtype=None):
        return inplace(target, self, attrs=(dim, _held(dtype)))

    setattr(Tensor, name, method)


_running_in_place("cumsum_", CUMSUM)
_running_in_place("cumprod_", CUMPROD)


def _log_running(attrs, x):
    axis = dimension(attrs[0], x.ndim)
    if not x.dtype.is_smooth:
        raise not_implemented("logcumsumexp_out_cpu", x)
    return running.log_sum(x, axis) if x.ndim else x


LOGCUMSUMEXP = Call("logcumsumexp", _log_running)


@reducing
def logcumsumexp(input, dim) -> Tensor:
    """log of the running sums of exp(x) along dim, without overflow."""
    return record1(LOGCUMSUMEXP, input, (dim,))


def least(dtype) -> float:
    """A value that no element is below."""
    if dtype.is_float:
        return float("-inf")
    return False if dtype is bool_ else dtypes.iinfo(dtypes.FACE[dtype]).min


def greatest(dtype) -> float:
    """A value that no element is above."""
    if dtype.is_float:
        return float("inf")
    return True if dtype is bool_ else dtypes.iinfo(dtypes.FACE[dtype]).max


def _running_extreme(name: str, largest: bool) -> Call:
    """Values and the last position at which each was attained."""

    def expand(attrs, x):
        if x.dtype.is_complex:
            raise not_implemented(f"{name}_cpu", x)
        axis = dimension(attrs[0], x.ndim)
        if not x.ndim:
            return x, cast(x, int64) * 0
        better = elementwise.maximum if largest else elementwise.minimum
        neutral = least(x.dtype) if largest else greatest(x.dtype)
        best = ordering.scan(x, axis, better, neutral)
        place = iota(x.shape, axis, int64)
        here = elementwise.eq(x, best)
        if x.dtype.is_float:
            here = elementwise.or_(here, elementwise.is_nan(x))
        here = elementwise.where(here, place, place * 0 - 1)
        at = ordering.scan(here, axis, elementwise.maximum, -1)
        return ordering.take_along(x, at, axis), at

    return Call(name, expand)


CUMMAX = _running_extreme("cummax", True)
CUMMIN = _running_extreme("cummin", False)


@reducing
def cummax(input, dim):
    """(values, indices) of the largest element so far along dim."""
    return return_types.cummax(*record_many(CUMMAX, Tensor, (input,), (dim,)))


@reducing
def cummin(input, dim):
    """(values, indices) of the smallest element so far along dim."""
    return return_types.cummin(*record_many(CUMMIN, Tensor, (input,), (dim,)))


@reducing
def msort(input) -> Tensor:
    """The tensor sorted along its first dimension."""
    return sort(input, 0).values


# ---------- sorting ----------
def _sorted(x: Node, dim: int, descending: bool) -> tuple[Node, Node]:
    axis = dimension(dim, x.ndim)
    order = ordering.sorting_order(x, axis, descending)
    return ordering.take_along(x, order, axis), order


SORT = Call("sort", lambda attrs, x: _sorted(x, *attrs))
ARGSORT = Call(
    "argsort",
    lambda attrs, x: ordering.sorting_order(x, dimension(attrs[0], x.ndim), attrs[1]),
    False,
)


@reducing
def sort(input, dim=-1, descending=False, stable=False):
    """(values, indices) sorted along dim; equal values keep their order."""
    return return_types.sort(*record_many(SORT, Tensor, (input,), (dim, bool(descending))))


@reducing
def argsort(input, dim=-1, descending=False, stable=False) -> Tensor:
    """The indices that sort the tensor along dim."""
    return record1(ARGSORT, input, (dim, bool(descending)))


def _topk(attrs, x):
    k, dim, largest = attrs
    axis = dimension(dim, x.ndim)
    if not 0 <= k <= (x.shape[axis] if x.ndim else 1):
        raise RuntimeError("selected index k out of range")
    order = ordering.sorting_order(x, axis, largest)
    if x.ndim:
        order = narrow(order, axis, 0, k)
    return ordering.take_along(x, order, axis), order


TOPK = Call("topk", _topk)


@reducing
def topk(input, k, dim=-1, largest=True, sorted=True):
    """(values, indices) of the k largest (or smallest) elements along dim, in order."""
    return return_types.topk(*record_many(TOPK, Tensor, (input,), (k, dim, bool(largest))))


def _at_rank(x: Node, k: int, dim: int, keepdim: bool) -> tuple[Node, Node]:
    axis = dimension(dim, x.ndim)
    if not x.ndim:
        return x, cast(x, int64) * 0
    order = narrow(ordering.sorting_order(x, axis, False), axis, k, 1)
    values = ordering.take_along(x, order, axis)
    if keepdim:
        return values, order
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    return reshape(values, shape), reshape(order, shape)


def _median(attrs, x):
    dim, keepdim = attrs
    axis = dimension(dim, x.ndim)
    n = x.shape[axis] if x.ndim else 1
    if n == 0:
        raise IndexError(f"median(): Expected reduction dim {axis} to have non-zero size.")
    if x.dtype is bool_:
        raise not_implemented("median_cpu", x)
    values, at = _at_rank(x, (n - 1) // 2, dim, keepdim)
    if x.dtype.is_float and x.ndim:
        broken = reduction.any_(elementwise.is_nan(x), axis, keepdim)
        values = elementwise.where(broken, float("nan"), values)
    return values, at


MEDIAN = Call("median", _median)
KTHVALUE = Call("kthvalue", lambda attrs, x: _at_rank(x, attrs[0] - 1, *attrs[1:]))


def of_nothing(input: Tensor) -> Tensor:
    """The median of no elements: NaN, for integers the least value."""
    whole = input.form.dtype.kind in "ui"
    return input.new_full((), least(input.form.dtype) if whole else float("nan"))


def _median_of_all(attrs, x):
    if x.form.size < selection.LONG or x.dtype is bool_:
        return _median((0, False), x)[0]
    value = selection.of_rank(x, (x.form.size - 1) // 2)
    if not x.dtype.is_float:
        return value
    return elementwise.where(reduction.any_(elementwise.is_nan(x)), float("nan"), value)


MEDIAN_OF_ALL = Call("median", _median_of_all)


@reducing
def median(input, dim=None, keepdim=False):
    """The median (the lower one of two); with dim (values, indices)."""
    if dim is None:
        if not input.form.size:
            return of_nothing(input)
        return record1(MEDIAN_OF_ALL, input.reshape(-1))
    return return_types.median(*record_many(MEDIAN, Tensor, (input,), (dim, keepdim)))


@reducing
def kthvalue(input, k, dim=-1, keepdim=False):
    """(values, indices) of the k-th smallest element along dim (k counts from 1)."""
    axis = dimension(dim, input.form.ndim)
    n = input.form.shape[axis] if input.form.ndim else 1
    if input.form.ndim and n == 0:
        raise IndexError(f"kthvalue(): Expected reduction dim {axis} to have non-zero size.")
    if not 1 <= k <= n:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {axis}")
    return return_types.kthvalue(*record_many(KTHVALUE, Tensor, (input,), (k, dim, keepdim)))


# ---------- results whose shape depends on the values ----------
_NO_COUNTS = "bincount only supports 1-d non-negative integral inputs."


def _bincount(attrs, x, weights):
    bins = attrs[0]
    fault = Fault(RuntimeError, _NO_COUNTS)
    at = elementwise.check_range(cast(x, int64), 0, bins, fault)
    return ordering.put_along(ordering.zeros((bins,), weights.dtype), at, weights, 0, True)


BINCOUNT = Call("bincount", _bincount, False)


def bincount(input, weights=None, minlength=0) -> Tensor:
    """How often each value 0, 1, ... occurs in a vector of integers (or the sum of its weights).

    The length depends on the values: it runs what is pending and looks.
    """
    if input.form.dtype.kind not in "ui":
        raise not_implemented("bincount_cpu", input.form)
    if input.form.ndim != 1:
        raise RuntimeError(_NO_COUNTS)
    from .creation import zeros

    if input.form.size == 0:
        return zeros(minlength, dtype=dtypes.int64)
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if weights is None:
        return from_array(_counts(glance(input), minlength), Tensor)
    bins = max(item(input.max()) + 1, minlength)
    given = weights if weights.form.dtype.kind == "f" else weights.double()
    return record2(BINCOUNT, input, given, (bins,))


def _counts(values: np.ndarray, least: int) -> np.ndarray:
    """How often each of 0, 1, ... occurs, of as many as there are but at least of some."""
    try:
        return np.bincount(values.astype(np.int64, copy=False), minlength=least)
    except ValueError:
        raise RuntimeError(_NO_COUNTS) from None


Tensor.bincount = bincount
