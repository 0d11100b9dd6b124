"""Picking along a dimension and by masks: index_select, gather, take, masked_fill and others.

Indices are checked when the program runs; the fault carries the user's line.
"""

from __future__ import annotations

from functools import lru_cache

from gemel.graph.errors import Fault
from gemel.graph.form import bool_, float64, int32, int64
from gemel.graph.node import Node
from gemel.ops import indexing, movement, ordering, scattered
from gemel.ops.attention import hides
from gemel.ops.elementwise import cast, const, where
from gemel.ops.record import Call
from gemel.tensor import record2, record3

from .checks import broadcast_shape, c_name, dimension
from .define import operand
from .dtypes import short_name
from .indexing import bounds_fault, in_range
from .tensor import Tensor, attach

IN_SELF = Fault(IndexError, "index out of range in self")


@lru_cache(maxsize=256)
def _outside(size: int) -> Fault:
    text = f"INDICES element is out of DATA bounds, id={{value}} axis_dim={size}"
    return Fault(RuntimeError, text)


@lru_cache(maxsize=256)
def _out_of(size: int) -> Fault:
    text = f"out of range: tried to access index {{value}} on a tensor of {size} elements."
    return Fault(IndexError, text)


def whole_index(name: str, index: Node) -> Node:
    """An index of a type that may be one; an empty one may have any."""
    if not index.form.size:
        return cast(index, int64)
    if index.dtype not in (int64, int32):
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index but got: {short_name(index.dtype)}"
        )
    return index


def vector(name: str, index: Node) -> Node:
    """A vector of positions; one number counts as one."""
    index = whole_index(name, index)
    if index.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim} with type: "
            f"{short_name(index.dtype)} and size: {list(index.shape)}"
        )
    return movement.reshape(index, (index.form.size,))


# ---------- slices by a vector of positions ----------
def _index_select(attrs, x, index):
    axis = dimension(attrs[0], x.ndim)
    index = vector("index_select", index)
    if not x.ndim:
        if index.form.size != 1:
            raise IndexError("index_select(): Index to scalar can have only 1 value")
        at = in_range(index, 1, IN_SELF, False)
        return movement.reshape(indexing.gather(movement.reshape(x, (1,)), at, 0), ())
    fault = IN_SELF if axis != 1 else _outside(x.shape[axis])
    return indexing.gather(x, in_range(index, x.shape[axis], fault, False), axis)


INDEX_SELECT = Call("index_select", _index_select)


@attach()
def index_select(input, dim, index) -> Tensor:
    """The slices along dim at the positions of a vector."""
    return record2(INDEX_SELECT, input, index, (dim,))


# ---------- one position per element ----------
def check_ranks(name: str, x: Node, index: Node, what: str) -> Node:
    """The index, which must have as many dimensions as the tensor."""
    index = whole_index(name, index)
    if index.form.size and max(index.ndim, 1) != max(x.ndim, 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {what} tensor")
    return index


def _gather(attrs, x, index):
    axis = dimension(attrs[0], x.ndim)
    shape = index.shape
    index = check_ranks("gather", x, index, "input")
    if not index.form.size:
        return movement.zeros(shape, x.dtype)
    for d, (n, m) in enumerate(zip(index.shape, x.shape, strict=False)):
        if n > m and d != axis:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(index.shape)} to be no "
                f"larger than self {list(x.shape)} apart from dimension {axis}"
            )
    n = x.shape[axis] if x.ndim else 1
    at = in_range(index, n, bounds_fault(RuntimeError, axis, n), False)
    if not x.ndim:
        return movement.reshape(indexing.gather(movement.reshape(x, (1,)), at, 0), shape)
    if not index.ndim:
        return movement.reshape(indexing.gather(x, at, 0), shape)
    return ordering.take_along(x, at, axis)


GATHER = Call("gather", _gather)


@attach()
def gather(input, dim, index, *, sparse_grad=False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on."""
    return record2(GATHER, input, index, (dim,))


def _take_along(attrs, x, index):
    if index.dtype is not int64:
        raise RuntimeError(
            "torch.take_along_dim(): dtype of indices should be Long but got "
            f"{short_name(index.dtype)}"
        )
    if index.ndim != x.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {x.ndim} dimensions for input, and {index.ndim} dimensions for indices"
        )
    axis = dimension(attrs[0], x.ndim)
    rest = tuple(1 if d == axis else n for d, n in enumerate(x.shape))
    shape = broadcast_shape(rest, index.shape)
    wide = tuple(x.shape[d] if d == axis else n for d, n in enumerate(shape))
    n = x.shape[axis]
    at = in_range(index, n, bounds_fault(RuntimeError, axis, n))
    return ordering.take_along(movement.expand(x, wide), movement.expand(at, shape), axis)


TAKE_ALONG = Call("take_along_dim", _take_along)


@attach()
def take_along_dim(input, indices, dim=None) -> Tensor:
    """As gather; both broadcast. Without dim, of the flattened tensors."""
    if dim is None:
        return take_along_dim(input.reshape(-1), indices.reshape(-1), 0)
    return record2(TAKE_ALONG, input, indices, (dim,))


# ---------- places in the flattened tensor ----------
def long_index(name: str, index: Node) -> None:
    if index.dtype is not int64:
        raise RuntimeError(
            f"{name}(): Expected a long tensor for index, but got {short_name(index.dtype)}"
        )


def flat_places(x: Node, index: Node) -> Node:
    """The index from 0 on, checked when the program runs."""
    return in_range(index, x.form.size, _out_of(x.form.size))


def _take(attrs, x, index):
    long_index("take", index)
    if index.form.size and not x.form.size:
        raise IndexError("take(): tried to take from an empty tensor")
    return indexing.gather(movement.reshape(x, (x.form.size,)), flat_places(x, index), 0)


TAKE = Call("take", _take)


@attach()
def take(input, index) -> Tensor:
    """Elements of the flattened tensor."""
    return record2(TAKE, input, index)


# ---------- masks ----------
def _masked_fill(attrs, x, mask, *values):
    value = values[0] if values else const(attrs[0], float64)
    if mask.dtype is not bool_:
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype "
            f"{c_name(mask.dtype)}"
        )
    if value.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    if value.dtype.kind == "c" and x.dtype.kind != "c":
        raise RuntimeError(f"value cannot be converted to type {c_name(x.dtype)} without overflow")
    broadcast_shape(x.shape, mask.shape)
    return where(mask, cast(value, x.dtype), x)


MASKED_FILL = Call("masked_fill", _masked_fill)


@attach()
def masked_fill(input, mask, value) -> Tensor:
    """The input with one value where the mask holds; both broadcast."""
    if isinstance(value, complex) and input.form.dtype.kind != "c":
        raise RuntimeError(
            f"value cannot be converted to type {c_name(input.form.dtype)} without overflow"
        )
    if hides(value):
        return record2(MASKED_FILL, input, mask, (value,))
    return record3(MASKED_FILL, input, mask, operand("masked_fill", value, 3))


_TOO_FEW = Fault(RuntimeError, "Number of elements of source < number of ones in mask")


def _masked_scatter(attrs, x, mask, source):
    if mask.dtype is not bool_:
        raise RuntimeError(
            "masked_scatter_ only supports boolean masks, but got mask with dtype "
            f"{short_name(mask.dtype)}"
        )
    if source.dtype is not x.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got "
            f"{short_name(x.dtype)} and {short_name(source.dtype)}"
        )
    shape = broadcast_shape(x.shape, mask.shape)
    x, mask = movement.expand(x, shape), movement.expand(mask, shape)
    return scattered.by_mask(x, mask, source, _TOO_FEW)


MASKED_SCATTER = Call("masked_scatter", _masked_scatter)


def masked_scatter(input, mask, source) -> Tensor:
    """The input with source's elements, in order, where the mask holds."""
    return record3(MASKED_SCATTER, input, mask, source)
