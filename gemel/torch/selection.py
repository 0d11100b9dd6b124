"""Picking and placing along a dimension: index_select, gather, scatter, masked_fill and others.

Indices are checked when the program runs; the fault carries the user's line.
"""

from __future__ import annotations

from functools import lru_cache

from gemel.graph.errors import Fault
from gemel.graph.form import bool_, int64
from gemel.graph.node import Node
from gemel.ops import indexing, movement, ordering
from gemel.ops.elementwise import cast, where
from gemel.ops.record import SCALAR, Call
from gemel.tensor import record2, record3, record_n

from . import dtypes
from .checks import broadcast_shape, check_expands, dimension
from .define import into, operand, stored
from .indexing import bounds_fault, in_range
from .tensor import Tensor, attach
from .writing import inplace

_IN_SELF = Fault(IndexError, "index out of range in self")


@lru_cache(maxsize=256)
def _outside(size: int) -> Fault:
    text = f"INDICES element is out of DATA bounds, id={{value}} axis_dim={size}"
    return Fault(RuntimeError, text)


def _whole_index(name: str, index: Node) -> None:
    if index.dtype.name not in ("int64", "int32"):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")


def _vector(name: str, index: Node) -> Node:
    _whole_index(name, index)
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector")
    return movement.reshape(index, (index.form.size,))


# ---------- rows by a vector of positions ----------
def _index_select(attrs, x, index):
    axis = dimension(attrs[0], x.ndim)
    index = _vector("index_select", index)
    if not x.ndim:
        return movement.reshape(movement.expand(x, index.shape), ())
    fault = _IN_SELF if x.ndim == 1 else _outside(x.shape[axis])
    return indexing.gather(x, in_range(index, x.shape[axis], fault, False), axis)


INDEX_SELECT = Call("index_select", _index_select)


@attach()
def index_select(input, dim, index, *, out=None) -> Tensor:
    """The slices along dim at the positions of a vector."""
    return into(out, record2(INDEX_SELECT, input, index, (dim,)))


def _with_one_axis(expand):
    """A 0-dimensional tensor is treated as a vector of one element."""

    def apply(attrs, x, index, *others):
        if x.ndim:
            return expand(attrs, x, index, *others)
        others = tuple(movement.reshape(o, (1,)) if o.op is not SCALAR else o for o in others)
        return movement.reshape(expand(attrs, movement.reshape(x, (1,)), index, *others), ())

    return apply


def _placed(name: str, adding: bool) -> Call:
    @_with_one_axis
    def expand(attrs, x, index, source, *alpha):
        axis = dimension(attrs[0], x.ndim)
        index = _vector(name, index)
        if source.dtype is not x.dtype:
            raise RuntimeError(
                f"{name}(): self and source expected to have the same dtype, but got (self) "
                f"{dtypes.short_name(x.dtype)} and (source) {dtypes.short_name(source.dtype)}"
            )
        want = x.shape[:axis] + index.shape + x.shape[axis + 1 :]
        if source.shape != want:
            raise RuntimeError(
                f"{name}(): source of shape {list(source.shape)} does not fit: {list(want)} is "
                "needed"
            )
        at = in_range(index, x.shape[axis], _IN_SELF, False)
        put = indexing.scatter_add if adding else indexing.scatter_set
        return put(x, at, source * cast(alpha[0], x.dtype) if alpha else source, axis)

    return Call(name, expand)


INDEX_ADD = _placed("index_add", True)
INDEX_COPY = _placed("index_copy", False)
_INDEX_ADD_IN_PLACE = stored(INDEX_ADD)
_INDEX_COPY_IN_PLACE = stored(INDEX_COPY)


@attach()
def index_add_(self, dim, index, source, *, alpha=1) -> Tensor:
    """Add alpha times the slices of source to those at the positions."""
    more = () if alpha == 1 else (operand("index_add_", alpha),)
    return inplace(_INDEX_ADD_IN_PLACE, self, index, source, *more, attrs=(dim,))


@attach()
def index_add(input, dim, index, source, *, alpha=1) -> Tensor:
    more = () if alpha == 1 else (operand("index_add", alpha),)
    return record_n(INDEX_ADD, Tensor, (input, index, source, *more), (dim,))


@attach()
def index_copy_(self, dim, index, source) -> Tensor:
    """Write the slices of source at the positions."""
    return inplace(_INDEX_COPY_IN_PLACE, self, index, source, attrs=(dim,))


@attach()
def index_copy(input, dim, index, source) -> Tensor:
    return record_n(INDEX_COPY, Tensor, (input, index, source), (dim,))


@_with_one_axis
def _index_fill(attrs, x, index, value):
    axis = dimension(attrs[0], x.ndim)
    index = _vector("index_fill_", index)
    at = in_range(index, x.shape[axis], _IN_SELF)
    shape = x.shape[:axis] + index.shape + x.shape[axis + 1 :]
    return indexing.scatter_set(x, at, movement.expand(cast(value, x.dtype), shape), axis)


INDEX_FILL = Call("index_fill", _index_fill)
_INDEX_FILL_IN_PLACE = stored(INDEX_FILL)


@attach()
def index_fill_(self, dim, index, value) -> Tensor:
    """Write one value to the slices at the positions."""
    return inplace(_INDEX_FILL_IN_PLACE, self, index, operand("index_fill_", value), attrs=(dim,))


@attach()
def index_fill(input, dim, index, value) -> Tensor:
    return record3(INDEX_FILL, input, index, operand("index_fill", value), (dim,))


# ---------- one position per element ----------
def _check_ranks(name: str, x: Node, index: Node, what: str = "input") -> None:
    if index.dtype.name not in ("int64", "int32"):
        raise RuntimeError(f"{name}(): Expected dtype int64 for index")
    if max(index.ndim, 1) != max(x.ndim, 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {what} tensor")


def _check_inside(x: Node, index: Node, axis: int, what: str) -> None:
    for d, (n, m) in enumerate(zip(index.shape, x.shape, strict=False)):
        if n > m and d != axis:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(index.shape)} to be no "
                f"larger than {what} {list(x.shape)} apart from dimension {axis}"
            )


def _gather(attrs, x, index):
    axis = dimension(attrs[0], x.ndim)
    _check_ranks("gather", x, index)
    _check_inside(x, index, axis, "self")
    n = x.shape[axis] if x.ndim else 1
    at = in_range(index, n, bounds_fault(RuntimeError, axis, n), False)
    if not x.ndim:
        return movement.reshape(indexing.gather(movement.reshape(x, (1,)), at, 0), index.shape)
    return ordering.take_along(x, at, axis)


GATHER = Call("gather", _gather)


@attach()
def gather(input, dim, index, *, sparse_grad=False, out=None) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on."""
    return into(out, record2(GATHER, input, index, (dim,)))


def _take_along(attrs, x, index):
    if index.dtype is not int64:
        raise RuntimeError("torch.take_along_dim(): Expected dtype int64 for index")
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
def take_along_dim(input, indices, dim=None, *, out=None) -> Tensor:
    """As gather; both broadcast. Without dim, of the flattened tensors."""
    if dim is None:
        return take_along_dim(input.reshape(-1), indices.reshape(-1), 0)
    return into(out, record2(TAKE_ALONG, input, indices, (dim,)))


def _take(attrs, x, index):
    n = x.form.size
    at = in_range(index, n, _IN_SELF)
    return indexing.gather(movement.reshape(x, (n,)), at, 0)


TAKE = Call("take", _take)


@attach()
def take(input, index) -> Tensor:
    """Elements of the flattened tensor."""
    return record2(TAKE, input, index)


def _scatter(attrs, x, index, source):
    dim, adding = attrs
    axis = dimension(dim, x.ndim)
    _check_ranks("scatter", x, index, "self")
    _check_inside(x, index, axis, "self")
    n = x.shape[axis] if x.ndim else 1
    at = in_range(index, n, bounds_fault(RuntimeError, axis, n), False)
    if source.op is SCALAR or (source.ndim == 0 and index.ndim):
        source = movement.expand(cast(source, x.dtype), index.shape)
    elif source.dtype is not x.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    elif any(a > b for a, b in zip(index.shape, source.shape, strict=True)):
        raise RuntimeError(
            f"Expected index {list(index.shape)} to be no larger than src {list(source.shape)}"
        )
    source = movement.slice_(source, [(0, n, 1) for n in index.shape])
    return ordering.put_along(x, at, source, axis, adding)


SCATTER = Call("scatter", _scatter)
_SCATTER_IN_PLACE = stored(SCATTER)


def _scatter_operand(src, value):
    given = value if src is None else src
    return given if isinstance(given, Tensor) else operand("scatter", given, 3)


def _reduction(reduce) -> bool:
    if reduce not in (None, "add"):
        raise NotImplementedError(f"scatter with reduce={reduce!r} is not there yet; 'add' is")
    return reduce == "add"


@attach()
def scatter(input, dim, index, src=None, *, value=None, reduce=None) -> Tensor:
    """The input with src's elements (or one value) at the places that gather would read."""
    given = _scatter_operand(src, value)
    return record3(SCATTER, input, index, given, (dim, _reduction(reduce)))


@attach()
def scatter_(self, dim, index, src=None, *, value=None, reduce=None) -> Tensor:
    given = _scatter_operand(src, value)
    return inplace(_SCATTER_IN_PLACE, self, index, given, attrs=(dim, _reduction(reduce)))


@attach()
def scatter_add(input, dim, index, src) -> Tensor:
    """The input with src's elements added at the places that gather would read."""
    return record3(SCATTER, input, index, src, (dim, True))


@attach()
def scatter_add_(self, dim, index, src) -> Tensor:
    return inplace(_SCATTER_IN_PLACE, self, index, src, attrs=(dim, True))


# ---------- masks ----------
def _masked_fill(attrs, x, mask, value):
    if mask.dtype is not bool_:
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype.name}"
        )
    if value.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    if value.dtype.kind == "f" and x.dtype.kind != "f":
        raise RuntimeError(
            f"value cannot be converted to type {dtypes.FACE[x.dtype].name} without overflow"
        )
    broadcast_shape(x.shape, mask.shape)
    return where(mask, cast(value, x.dtype), x)


MASKED_FILL = Call("masked_fill", _masked_fill)
_MASKED_FILL_IN_PLACE = stored(MASKED_FILL)


@attach()
def masked_fill(input, mask, value) -> Tensor:
    """The input with one value where the mask holds; both broadcast."""
    return record3(MASKED_FILL, input, mask, operand("masked_fill", value, 3))


@attach()
def masked_fill_(self, mask, value) -> Tensor:
    given = operand("masked_fill_", value, 2)
    return inplace(_MASKED_FILL_IN_PLACE, self, mask, given)


@attach()
def masked_scatter_(self, mask, source) -> Tensor:
    """Write source's elements, in order, where the mask holds. The mask is looked at."""
    check_expands(mask.form.shape, self.form.shape)
    places = mask.expand(self.form.shape).nonzero(as_tuple=True)
    count = places[0].form.size if places else 0
    if source.form.size < count:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes and source to hold at "
            f"least {count} elements"
        )
    self[places] = source.reshape(-1)[:count]
    return self
