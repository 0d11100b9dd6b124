"""Writing along a dimension at places that an index names: scatter, index_add, put and others.

Each gives a new tensor; the forms that write into the tensor itself follow from it (see `forms`).
"""

from __future__ import annotations

from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops import indexing, movement, ordering, scattered
from gemel.ops.elementwise import cast
from gemel.ops.record import Call, is_number
from gemel.tensor import record3, record_n

from .checks import dimension
from .define import operand, stored
from .dtypes import short_name
from .indexing import bounds_fault, in_range
from .selection import IN_SELF, check_ranks, flat_places, long_index, vector
from .tensor import Tensor, attach
from .writing import inplace


def _row(x: Node) -> Node:
    """A tensor without dimensions as a vector of one element."""
    return x if x.ndim else movement.reshape(x, (1,))


# ---------- slices at the positions of a vector ----------
def _same_types(name: str, x: Node, source: Node) -> None:
    if source.dtype is not x.dtype:
        raise RuntimeError(
            f"{name}(): self ({short_name(x.dtype)}) and source ({short_name(source.dtype)}) must "
            "have the same scalar type"
        )


def _slices(name: str, dim, x: Node, index: Node, source: Node) -> tuple[int, Node]:
    """(axis, index) of a call whose source has the slices for the index; checked."""
    axis = dimension(dim, x.ndim)
    index = vector(name, index)
    at = dimension(dim, source.ndim)
    count = source.shape[at] if source.ndim else 1
    if index.form.size != count:
        raise RuntimeError(
            f"{name}(): Number of indices ({index.form.size}) should be equal to source.size(dim): "
            f"({count}), for dim: {axis}"
        )
    rest = source.shape[:axis] + source.shape[axis + 1 :]
    if max(source.ndim, 1) != max(x.ndim, 1) or rest != x.shape[:axis] + x.shape[axis + 1 :]:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(x.shape)} source.shape = {list(source.shape)}"
        )
    return axis, index


def _index_add(attrs, x, index, source, *alpha):
    _same_types("index_add_", x, source)
    axis, index = _slices("index_add_", attrs[0], x, index, source)
    if alpha:
        source = source * cast(alpha[0], x.dtype)
    base = _row(x)
    n = base.shape[axis]
    at = in_range(index, n, bounds_fault(RuntimeError, axis, n), False)
    made = scattered.rows(base, at, _row(source), axis, "sum", True)
    return movement.reshape(made, x.shape)


INDEX_ADD = Call("index_add", _index_add)


@attach()
def index_add(input, dim, index, source, *, alpha=1) -> Tensor:
    """The input with alpha times the slices of source added to those at the positions."""
    more = () if alpha == 1 else (operand("index_add", alpha),)
    return record_n(INDEX_ADD, Tensor, (input, index, source, *more), (dim,))


def _index_copy(attrs, x, index, source):
    axis = dimension(attrs[0], x.ndim)
    index = vector("index_copy_", index)
    if source.dtype is not x.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{short_name(x.dtype)} and (source) {short_name(source.dtype)}"
        )
    base, source = _row(x), _row(source)
    if source.ndim != base.ndim:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must "
            f"match. Source dimensionality ({source.ndim}), destination dimensionality "
            f"({base.ndim})"
        )
    _check_slices(base, source, axis)
    if index.form.size != source.shape[axis]:
        raise IndexError(
            f"index_copy_(): Number of indices ({index.form.size}) should be equal to "
            f"source.size(dim) ({source.shape[axis]})"
        )
    n = base.shape[axis]
    at = in_range(index, n, bounds_fault(IndexError, axis, n), False)
    return movement.reshape(indexing.scatter_set(base, at, source, axis), x.shape)


def _check_slices(base: Node, source: Node, axis: int) -> None:
    have = source.shape[:axis] + source.shape[axis + 1 :]
    want = base.shape[:axis] + base.shape[axis + 1 :]
    if have != want:
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination "
            f"slice shape: {' '.join(map(str, want))} at dimension {axis} and source slice shape: "
            f"{' '.join(map(str, have))} at dimension {axis}."
        )


INDEX_COPY = Call("index_copy", _index_copy)
_INDEX_COPY_IN_PLACE = stored(INDEX_COPY)


@attach()
def index_copy(input, dim, index, source) -> Tensor:
    """The input with the slices of source at the positions."""
    return record_n(INDEX_COPY, Tensor, (input, index, source), (dim,))


@attach()
def index_copy_(self, dim, index, source) -> Tensor:
    """index_copy with the result written to this tensor; its shape and type stay."""
    return inplace(_INDEX_COPY_IN_PLACE, self, index, source, attrs=(dim,))


def _index_fill(attrs, x, index, value):
    axis = dimension(attrs[0], x.ndim)
    if index.form.size and index.dtype is not int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    if value.ndim:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    base = _row(x)
    n = base.shape[axis]
    index = movement.reshape(cast(index, int64), (index.form.size,))
    at = in_range(index, n, bounds_fault(IndexError, axis, n))
    return movement.reshape(scattered.filled(base, at, cast(value, x.dtype), axis), x.shape)


INDEX_FILL = Call("index_fill", _index_fill)


@attach()
def index_fill(input, dim, index, value) -> Tensor:
    """The input with one value in the slices at the positions."""
    if isinstance(value, complex) and input.form.dtype.kind != "c":
        raise RuntimeError(
            "index_fill_(): Converting complex Scalar to non-complex type is not supported"
        )
    return record3(INDEX_FILL, input, index, operand("index_fill", value), (dim,))


def _index_reduce(attrs, x, index, source):
    dim, how, included = attrs
    _same_types("index_reduce_", x, source)
    axis, index = _slices("index_reduce_", dim, x, index, source)
    base = _row(x)
    at = in_range(index, base.shape[axis], IN_SELF, False)
    made = scattered.rows(base, at, _row(source), axis, how, included)
    return movement.reshape(made, x.shape)


INDEX_REDUCE = Call("index_reduce", _index_reduce)


def index_reduce(input, dim, index, source, reduce, *, include_self=True) -> Tensor:
    """The input with the slices at the positions joined with source's: 'prod', 'mean', 'amax' or
    'amin'. With include_self=False the input's own do not count."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    attrs = (dim, reduce, bool(include_self))
    return record_n(INDEX_REDUCE, Tensor, (input, index, source), attrs)


# ---------- one position per element ----------
def _fitting(index: Node, x: Node, source: Node, axis: int) -> None:
    """RuntimeError unless the index fits into the tensor (but for the axis) and the source."""
    if max(source.ndim, 1) != max(index.ndim, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    rows = enumerate(zip(index.shape, x.shape, strict=False))
    outside = any(n > m for d, (n, m) in rows if d != axis)
    if outside or any(n > m for n, m in zip(index.shape, source.shape, strict=False)):
        raise RuntimeError(
            f"Expected index {list(index.shape)} to be no larger than self {list(x.shape)} apart "
            f"from dimension {axis} and to be no larger size than src {list(source.shape)}"
        )


def _scatter(attrs, x, index, source):
    dim, how, included = attrs
    axis = dimension(dim, x.ndim)
    if not index.form.size:
        return x
    index = check_ranks("scatter", x, index, "self")
    if is_number(source) or (source.ndim == 0 and index.form.size > 1):
        source = movement.expand(cast(source, x.dtype), index.shape)
    elif source.dtype is not x.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    _fitting(index, x, source, axis)
    base, index, source = _row(x), _row(index), _row(source)
    n = base.shape[axis]
    at = in_range(index, n, bounds_fault(RuntimeError, axis, n), False)
    source = movement.slice_(source, [(0, n, 1) for n in index.shape])
    if how is None:
        made = ordering.put_along(base, at, source, axis, False)
    else:
        made = scattered.along(base, at, source, axis, how, included)
    return movement.reshape(made, x.shape)


SCATTER = Call("scatter", _scatter)
_HOW = {None: None, "add": "sum", "multiply": "prod"}


@attach()
def scatter(input, dim, index, src=None, *, value=None, reduce=None) -> Tensor:
    """The input with src's elements (or one value) at the places that gather would read; with
    reduce='add' or 'multiply' joined with what is there."""
    if reduce not in _HOW:
        raise RuntimeError("reduce argument must be either add or multiply.")
    given = value if src is None else src
    given = given if isinstance(given, Tensor) else operand("scatter", given, 3)
    return record3(SCATTER, input, index, given, (dim, _HOW[reduce], True))


@attach()
def scatter_add(input, dim, index, src) -> Tensor:
    """The input with src's elements added at the places that gather would read."""
    return record3(SCATTER, input, index, src, (dim, "sum", True))


def scatter_reduce(input, dim, index, src, reduce, *, include_self=True) -> Tensor:
    """The input joined with src's elements at the places that gather would read: 'sum', 'prod',
    'mean', 'amax' or 'amin'. With include_self=False the input's own do not count there."""
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    return record3(SCATTER, input, index, src, (dim, reduce, bool(include_self)))


# ---------- places in the flattened tensor ----------
def _put(attrs, x, index, source):
    long_index("put_", index)
    if source.dtype is not x.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{short_name(x.dtype)} and source.dtype = {short_name(source.dtype)}"
        )
    if source.form.size != index.form.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.form.size}, index.numel() = {index.form.size}"
        )
    if not index.form.size:
        return x
    flat, at = (movement.reshape(n, (n.form.size,)) for n in (x, flat_places(x, index)))
    source = movement.reshape(source, (source.form.size,))
    if attrs[0]:
        made = scattered.rows(flat, at, source, 0, "sum", True)
    else:
        made = indexing.scatter_set(flat, at, source, 0)
    return movement.reshape(made, x.shape)


PUT = Call("put", _put)


def put(input, index, source, accumulate=False) -> Tensor:
    """The input with source's elements at (or added to) places of the flattened tensor."""
    return record3(PUT, input, index, source, (bool(accumulate),))
