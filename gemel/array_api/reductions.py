"""Sums, extremes, moments, truth of all or any; running sums and differences."""

from __future__ import annotations

from gemel.graph.form import DType, int64, uint64
from gemel.graph.node import Node
from gemel.ops import elementwise as el
from gemel.ops import movement, ordering, predicates, reduction, statistics
from gemel.ops.record import Call

from .array import Array, check_array
from .dtypes import known, promote
from .recording import axes_of, axis_of, joined, kinds_of, one, require

_FLOATS = "real floating, complex floating"


def _reducing(name: str, build, kinds: str = "numeric", needs: bool = False):
    """A function of an array, axes and keepdims."""

    def expand(attrs, x):
        axes, keepdims = attrs
        return build(x, axes, keepdims) if axes else build(*_one_more(x))

    call = Call(name, expand)

    def function(x, /, *, axis=None, keepdims: bool = False) -> Array:
        check_array(name, x)
        require(name, x, kinds_of(kinds), kinds)
        axes = axes_of(name, axis, x.ndim)
        if needs and 0 in [x.shape[a] for a in axes]:
            raise ValueError(f"{name} of no elements: shape {x.shape}, axes {axes}")
        return one(call, x, (axes, bool(keepdims)))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name} over the axes, all of them where axis is None."
    return function


def _one_more(x: Node) -> tuple[Node, tuple[int, ...], bool]:
    """For a reduction over no axes: one over a new axis of size 1."""
    return movement.reshape(x, (*x.shape, 1)), (x.ndim,), False


def _truth(build):
    return lambda x, axes, keepdims: build(predicates.truth(x), axes, keepdims)


all = _reducing("all", _truth(reduction.all_), "bool, numeric")
any = _reducing("any", _truth(reduction.any_), "bool, numeric")
max = _reducing("max", reduction.amax, "integral, real floating", True)
min = _reducing("min", reduction.amin, "integral, real floating", True)
mean = _reducing("mean", statistics.mean, _FLOATS)


# ---------- sums and products ----------
def _wide(dtype: DType, given) -> DType:
    """The type of a sum: small integers get the default one."""
    if given is not None:
        return known(given)
    if dtype.kind == "i":
        return int64
    return uint64 if dtype.kind == "u" else dtype


def _total(name: str, build):
    def expand(attrs, x):
        axes, keepdims, dtype = attrs
        x = el.cast(x, dtype)
        return build(x, axes, keepdims) if axes else build(*_one_more(x))

    call = Call(name, expand)

    def function(x, /, *, axis=None, dtype=None, keepdims: bool = False) -> Array:
        check_array(name, x)
        require(name, x, kinds_of("numeric"), "numeric")
        axes = axes_of(name, axis, x.ndim)
        return one(call, x, (axes, bool(keepdims), _wide(x.dtype, dtype)))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The {name} over the axes; small integers in the default integer type."
    return function


sum = _total("sum", reduction.sum_)
prod = _total("prod", reduction.prod)


# ---------- moments ----------
def _moment(name: str, build):
    def expand(attrs, x):
        axes, keepdims, correction = attrs
        if not axes:
            x, axes, keepdims = _one_more(x)
        return build(x, axes, keepdims, correction)

    call = Call(name, expand)

    def function(x, /, *, axis=None, correction: float = 0.0, keepdims: bool = False) -> Array:
        check_array(name, x)
        require(name, x, "f", "real floating")
        axes = axes_of(name, axis, x.ndim)
        return one(call, x, (axes, bool(keepdims), float(correction)))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name} over the axes; `correction` is taken from the number of elements."
    return function


var = _moment("var", statistics.variance)
std = _moment("std", statistics.deviation)


# ---------- running ----------
def _running(name: str, build, neutral: int):
    def expand(attrs, x):
        axis, dtype, initial = attrs
        x = el.cast(x, dtype)
        found = build(x, axis)
        if initial:
            shape = tuple(1 if i == axis else n for i, n in enumerate(x.shape))
            found = movement.concat([movement.full(shape, neutral, dtype), found], axis)
        return found

    call = Call(name, expand)

    def function(x, /, *, axis=None, dtype=None, include_initial: bool = False) -> Array:
        check_array(name, x)
        require(name, x, kinds_of("numeric"), "numeric")
        if axis is None:
            if x.ndim != 1:
                raise ValueError(f"{name}: an axis is needed for {x.ndim} dimensions")
            axis = 0
        attrs = axis_of(name, axis, x.ndim), _wide(x.dtype, dtype), bool(include_initial)
        return one(call, x, attrs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name} along the axis, with {neutral} in front if include_initial."
    return function


cumulative_sum = _running("cumulative_sum", ordering.running_sum, 0)
cumulative_prod = _running("cumulative_prod", ordering.running_product, 1)


# ---------- differences and counts ----------
def _differences(attrs, x, *ends):
    axis, n, before, after = attrs
    parts = promote(x, *ends)
    x, ends = parts[0], list(parts[1:])
    rows = [*(ends[:1] if before else []), x, *(ends[-1:] if after else [])]
    x = movement.concat(rows, axis) if len(rows) > 1 else x
    for _ in range(n):
        size = x.shape[axis]
        if size == 0:
            break
        x = movement.narrow(x, axis, 1, size - 1) - movement.narrow(x, axis, 0, size - 1)
    return x


DIFF = Call("diff", _differences)


def diff(x, /, *, axis: int = -1, n: int = 1, prepend=None, append=None) -> Array:
    """Differences of neighbours along the axis, n times."""
    ends = [e for e in (prepend, append) if e is not None]
    check_array("diff", x, *ends)
    require("diff", x, kinds_of("numeric"), "numeric")
    if n < 0:
        raise ValueError(f"diff: n is {n}, it cannot be negative")
    where = axis_of("diff", axis, x.ndim)
    return joined(DIFF, x, *ends, attrs=(where, n, prepend is not None, append is not None))


_count = _reducing(
    "count_nonzero",
    lambda x, axes, keep: reduction.sum_(el.cast(predicates.truth(x), int64), axes, keep),
    "bool, numeric",
)


def count_nonzero(x, /, *, axis=None, keepdims: bool = False) -> Array:
    """How many elements over the axes are not zero, as int64."""
    return _count(x, axis=axis, keepdims=keepdims)


__all__ = [
    "all", "any", "count_nonzero", "cumulative_prod", "cumulative_sum", "diff", "max",
    "mean", "min", "prod", "std", "sum", "var",
]  # fmt: skip
