"""Reductions: sum, mean, extremes, variance, norms, softmax.

Each is a method and a function (`x.sum(1)`, `torch.sum(x, 1)`). `dim` is None (all), a position or
several; `axis` and `keepdims` are accepted as NumPy spells them.
"""

from __future__ import annotations

from functools import wraps

from gemel.graph.form import bool_, int64, uint8
from gemel.graph.node import Node
from gemel.ops import activations, norms, reduction, statistics
from gemel.ops.elementwise import cast
from gemel.ops.losses import pick
from gemel.ops.record import Call, const
from gemel.tensor import record1, record_many

from . import dtypes, return_types
from .checks import dimension, dimensions, wrong_argument
from .define import into
from .forms import out_types
from .promotion import as_float
from .tensor import Tensor


def reducing(function):
    """Decorator: the method becomes a function too; `axis` and `keepdims` are other spellings."""
    name = function.__name__
    types = out_types(name)

    @wraps(function)
    def apply(input, *args, **options):
        if not options and isinstance(input, Tensor):
            return function(input, *args)
        if not isinstance(input, Tensor):
            raise wrong_argument(name, "input", 1, input)
        if "axis" in options:
            options["dim"] = options.pop("axis")
        if "keepdims" in options:
            options["keepdim"] = options.pop("keepdims")
        out = options.pop("out", None)
        result = function(input, *args, **options)
        return result if out is None else into(out, result, input, types=types, name=name)

    apply.takes_out = True
    setattr(Tensor, name, apply)
    return apply


def dims(dim):
    """`dim` as a static argument: None, an int or a tuple of ints."""
    if dim is None or dim.__class__ is int:
        return dim
    return tuple(dim) if isinstance(dim, (tuple, list)) else dim.__index__()


def positions(dim, x: Node) -> tuple[int, ...]:
    """The reduced axes; None and () mean all of them."""
    if dim is None or dim == ():
        return tuple(range(x.ndim))
    if x.ndim > 64:
        raise RuntimeError("only tensors with up to 64 dims are supported")
    if isinstance(dim, int):
        axis = dimension(dim, x.ndim)
        return (axis,) if x.ndim else ()
    return tuple(a for a in dimensions(dim, x.ndim) if x.ndim)


def held(dtype):
    return None if dtype is None else dtypes.engine_dtype(dtype)


# ---------- sums ----------
ALL_OF_IT = (None, False, None)  # dim, keepdim, dtype


def _summable(x: Node, dtype) -> Node:
    """Integers and bools are summed as int64 unless a type is asked for."""
    if dtype is None:
        dtype = x.dtype if x.dtype.is_smooth else int64
    return cast(x, dtype)


def _sum(attrs, x):
    dim, keepdim, dtype = attrs
    return reduction.sum_(_summable(x, dtype), positions(dim, x), keepdim)


SUM = Call("sum", _sum)


@reducing
def sum(input, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The sum over dim; integers and bools give int64."""
    if dim is None and dtype is None and not keepdim:
        return record1(SUM, input, ALL_OF_IT)
    return record1(SUM, input, (dims(dim), keepdim, held(dtype)))


def _prod(attrs, x):
    dim, keepdim, dtype = attrs
    if dtype is bool_:
        return reduction.all_(x, positions(dim, x), keepdim)
    return reduction.prod(_summable(x, dtype), positions(dim, x), keepdim)


PROD = Call("prod", _prod)


@reducing
def prod(input, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The product over dim; integers and bools give int64."""
    return record1(PROD, input, (dims(dim), keepdim, held(dtype)))


def _averaged(name: str, x: Node, dtype=None) -> Node:
    which = "Input" if dtype is None else "Optional"
    if dtype is not None:
        x = cast(x, dtype)
    if not x.dtype.is_smooth:
        raise RuntimeError(
            f"{name}(): could not infer output dtype. {which} dtype must be either a floating "
            f"point or complex dtype. Got: {dtypes.short_name(x.dtype)}"
        )
    return x


def _mean(attrs, x):
    dim, keepdim, dtype = attrs
    return statistics.mean(_averaged("mean", x, dtype), positions(dim, x), keepdim)


MEAN = Call("mean", _mean)


@reducing
def mean(input, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The arithmetic mean over dim, of floating-point values; NaN over nothing."""
    if dim is None and dtype is None and not keepdim:
        return record1(MEAN, input, ALL_OF_IT)
    return record1(MEAN, input, (dims(dim), keepdim, held(dtype)))


# ---------- spread ----------
def _spread(name: str, measure) -> Call:
    def expand(attrs, x):
        dim, keepdim, correction = attrs
        names = name if "_" in name else "std and var"
        if not x.dtype.is_smooth:
            raise RuntimeError(f"{names} only support floating point and complex dtypes")
        return measure(x, positions(dim, x), keepdim, correction)

    return Call(name, expand)


VAR = _spread("var", statistics.variance)
STD = _spread("std", statistics.deviation)


def _spread_attrs(dim, unbiased, keepdim, correction) -> tuple:
    if isinstance(dim, bool):  # var(x, False): the old form without a dim
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = 1 if unbiased else 0
    return dims(dim), keepdim, 1 if correction is None else correction


@reducing
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=1) -> Tensor:
    """The variance over dim with divisor n - correction."""
    return record1(VAR, input, _spread_attrs(dim, unbiased, keepdim, correction))


@reducing
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=1) -> Tensor:
    """The standard deviation over dim: the root of `var`."""
    return record1(STD, input, _spread_attrs(dim, unbiased, keepdim, correction))


def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=1):
    """(variance, mean)."""
    spread = var(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, None if isinstance(dim, bool) else dim, keepdim)


def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=1):
    """(standard deviation, mean)."""
    spread = std(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, None if isinstance(dim, bool) else dim, keepdim)


# ---------- extremes ----------
def _check_nonempty(name: str, dim, x: Node) -> tuple[int, ...]:
    axes = positions(dim, x)
    if x.form.size == 0 and (dim is None or dim == ()):
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify "
            "the reduction dim with the 'dim' argument."
        )
    for a in axes:
        if x.shape[a] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {a} to have non-zero size.")
    return axes


def _extreme(name: str, reduce) -> Call:
    def expand(attrs, x):
        dim, keepdim = attrs
        return reduce(x, _check_nonempty(name, dim, x), keepdim)

    return Call(name, expand)


AMAX = _extreme("amax", reduction.amax)
AMIN = _extreme("amin", reduction.amin)
MAX = _extreme("max", reduction.amax)
MIN = _extreme("min", reduction.amin)


@reducing
def amax(input, dim=(), keepdim=False) -> Tensor:
    """The maximum over dim; the gradient is shared among equal maxima."""
    return record1(AMAX, input, (dims(dim), keepdim))


@reducing
def amin(input, dim=(), keepdim=False) -> Tensor:
    """The minimum over dim; the gradient is shared among equal minima."""
    return record1(AMIN, input, (dims(dim), keepdim))


@reducing
def aminmax(input, *, dim=None, keepdim=False):
    """(min, max) over dim."""
    if dim is None and not input.form.size:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    found = (record1(c, input, (dims(dim), keepdim)) for c in (AMIN, AMAX))
    return return_types.aminmax(*found)


def _along(name: str, largest: bool) -> Call:
    """Values and positions along one axis; the gradient goes to the position found."""

    def expand(attrs, x):
        dim, keepdim = attrs
        axes = _check_nonempty(name, dim, x)
        if not axes:
            return x, const(0, int64)
        at = reduction.position(x, axes[0], False, largest)
        values = pick(cast(x, uint8) if x.dtype is bool_ else x, at, axes[0])
        values = cast(values, x.dtype)
        if keepdim:
            shape = reduction.kept_shape(x.shape, axes)
            return reduction.reshape(values, shape), reduction.reshape(at, shape)
        return values, at

    return Call(name, expand)


MAX_ALONG = _along("max", True)
MIN_ALONG = _along("min", False)


def _extreme_of(input, dim, keepdim, whole: Call, along: Call, names, pairwise: str):
    if dim is None:
        return record1(whole, input, (None, False))
    if isinstance(dim, Tensor):
        return getattr(input, pairwise)(dim)
    return names(*record_many(along, Tensor, (input,), (dims(dim), keepdim)))


@reducing
def max(input, dim=None, keepdim=False, *, other=None):
    """max(x): the largest value. max(x, dim): (values, indices). max(x, y): elementwise."""
    dim = dim if other is None else other
    return _extreme_of(input, dim, keepdim, MAX, MAX_ALONG, return_types.max, "maximum")


@reducing
def min(input, dim=None, keepdim=False, *, other=None):
    """min(x): the smallest value. min(x, dim): (values, indices). min(x, y): elementwise."""
    dim = dim if other is None else other
    return _extreme_of(input, dim, keepdim, MIN, MIN_ALONG, return_types.min, "minimum")


def _position(name: str, largest: bool) -> Call:
    def expand(attrs, x):
        dim, keepdim = attrs
        if x.form.size == 0 and dim is None:
            raise IndexError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
            )
        axes = _check_nonempty(name, dim, x)
        if x.dtype is bool_:
            raise RuntimeError(f"{name}(): does not support bool input")
        if dim is None:
            return reduction.position(x, None, keepdim, largest)
        return reduction.position(x, axes[0] if axes else -1, keepdim, largest)

    return Call(name, expand, False)


ARGMAX = _position("argmax", True)
ARGMIN = _position("argmin", False)


@reducing
def argmax(input, dim=None, keepdim=False) -> Tensor:
    """The first position of the maximum along dim, or in the flattened tensor."""
    return record1(ARGMAX, input, (dims(dim), keepdim))


@reducing
def argmin(input, dim=None, keepdim=False) -> Tensor:
    """The first position of the minimum along dim, or in the flattened tensor."""
    return record1(ARGMIN, input, (dims(dim), keepdim))


# ---------- truth ----------
def _truth(name: str, reduce) -> Call:
    def expand(attrs, x):
        dim, keepdim = attrs
        found = reduce(x, positions(dim, x), keepdim)
        return cast(found, uint8) if x.dtype is uint8 else found

    return Call(name, expand, False)


ANY = _truth("any", reduction.any_)
ALL = _truth("all", reduction.all_)


@reducing
def any(input, dim=None, keepdim=False) -> Tensor:
    """Is some element over dim not zero?"""
    return record1(ANY, input, (dims(dim), keepdim))


@reducing
def all(input, dim=None, keepdim=False) -> Tensor:
    """Are all elements over dim not zero?"""
    return record1(ALL, input, (dims(dim), keepdim))


COUNT_NONZERO = Call(
    "count_nonzero", lambda attrs, x: norms.count_nonzero(x, int64, positions(attrs[0], x)), False
)


@reducing
def count_nonzero(input, dim=None) -> Tensor:
    """How many elements over dim are not zero."""
    return record1(COUNT_NONZERO, input, (dims(dim),))


# ---------- norms ----------
def _norm(attrs, x):
    order, dim, keepdim, dtype = attrs
    x = x if dtype is None else cast(x, dtype)
    if not x.dtype.is_smooth:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{dtypes.short_name(x.dtype)}"
        )
    return norms.vector_norm(x, float(order), positions(dim, x), keepdim)


NORM = Call("linalg_vector_norm", _norm)


@reducing
def norm(input, p="fro", dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The p-norm over dim of the values as one vector ('fro' is 2), or the nuclear norm ('nuc') of
    matrices."""
    if p == "nuc":
        return _nuclear(input, dim, keepdim, dtype)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"only 'fro' and 'nuc' are names of norms, not {p!r}")
    p = 2 if p in ("fro", None) else p
    return record1(NORM, input, (repr(float(p)), dims(dim), keepdim, held(dtype)))


def _nuclear(input, dim, keepdim, dtype) -> Tensor:
    from . import linalg

    pair = (-2, -1) if dim is None else dim
    return linalg.matrix_norm(input, "nuc", pair, keepdim, dtype=dtype)


RENORM = Call(
    "renorm",
    lambda attrs, x: norms.limited(x, float(attrs[0]), dimension(attrs[1], x.ndim), attrs[2]),
)


@reducing
def renorm(input, p, dim, maxnorm) -> Tensor:
    """Each slice along dim scaled down to a p-norm of at most maxnorm."""
    if not input.form.dtype.is_smooth:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{dtypes.short_name(input.form.dtype)}"
        )
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if input.form.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.form.ndim} dimensions"
        )
    return record1(RENORM, input, (repr(float(p)), dim, float(maxnorm)))


def dist(input, other, p=2) -> Tensor:
    """The p-norm of the difference."""
    return norm(input - other, p)


Tensor.dist = dist


# ---------- softmax ----------
def _along_axis(name: str, function) -> Call:
    def expand(attrs, x):
        dim, dtype = attrs
        x = cast(x, dtype) if dtype is not None else x
        if x.dtype.kind != "f":
            from .checks import not_implemented

            raise not_implemented(f"{name}_lastdim_kernel_impl", x)
        axis = dimension(dim, x.ndim)
        if x.form.size == 0:
            return x
        return function(x, axis) if x.ndim else reduction.reshape(
            function(reduction.reshape(x, (1,)), 0), ()
        )  # fmt: skip

    return Call(name, expand)


SOFTMAX = _along_axis("softmax", activations.softmax)
LOG_SOFTMAX = _along_axis("log_softmax", activations.log_softmax)


@reducing
def softmax(input, dim, dtype=None) -> Tensor:
    """exp(x) / sum(exp(x)) along dim."""
    return record1(SOFTMAX, input, (dim, held(dtype)))


@reducing
def log_softmax(input, dim, dtype=None) -> Tensor:
    """log(softmax(x)) along dim, without overflow."""
    return record1(LOG_SOFTMAX, input, (dim, held(dtype)))


def _logsumexp(attrs, x):
    dim, keepdim = attrs
    (x,) = as_float(x)
    return activations.log_sum_exp(x, positions(dim, x), keepdim)


LOGSUMEXP = Call("logsumexp", _logsumexp)


@reducing
def logsumexp(input, dim, keepdim=False) -> Tensor:
    """log(sum(exp(x))) over dim, without overflow."""
    return record1(LOGSUMEXP, input, (dims(dim), keepdim))
