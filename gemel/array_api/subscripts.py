"""`x[...]`, `x[...] = ...`, take and take_along_axis.

A key of integers, slices, None and Ellipsis is a view. Integer arrays among them gather; a single
array of truth values is looked at, because the result's shape depends on its values.
"""

from __future__ import annotations

import operator
from functools import lru_cache

import numpy as np

from gemel.graph.errors import Fault
from gemel.graph.form import bool_, int64
from gemel.graph.node import Node
from gemel.ops import elementwise as el
from gemel.ops import indexing, movement, ordering
from gemel.ops.record import Call
from gemel.tensor import array_of, from_array, look, write

from .array import Array, check_array
from .recording import axis_of, joined, operands


# ---------- views ----------
def _entries(x: Array, key) -> list:
    """One entry for each axis, and a None for each new one."""
    key = key if isinstance(key, tuple) else (key,)
    used = sum(k is not None and k is not ... for k in key)
    if used > x.ndim:
        raise IndexError(f"{used} indices for an array of {x.ndim} dimensions")
    if sum(k is ... for k in key) > 1:
        raise IndexError("only one Ellipsis may be in an index")
    fill = [slice(None)] * (x.ndim - used)
    at = next((i for i, k in enumerate(key) if k is ...), len(key))
    return [*key[:at], *fill, *key[at + 1 :]]


def _cut(entry, size: int, axis: int) -> tuple[int, int, int]:
    """(start, stop, step) of an integer or a slice."""
    if isinstance(entry, slice):
        start, stop, step = entry.indices(size)
        return (start, stop, step) if movement.slice_size(start, stop, step) else (0, 0, 1)
    at = operator.index(entry)
    if not -size <= at < size:
        raise IndexError(f"index {at} is out of bounds for axis {axis} with size {size}")
    return at % size, at % size + 1, 1


def _view(x: Array, entries: list) -> tuple[Array, list]:
    """The view that integers, slices and new axes make; integer arrays stay in the list, as
    (axis of the view, array)."""
    cuts, shape, left = [], [], []
    axis = 0
    for entry in entries:
        if entry is None:
            shape.append(1)
            continue
        size = x.shape[axis]
        if isinstance(entry, Array) and entry.ndim:
            cuts.append((0, size, 1))
            left.append((len(shape), entry))
            shape.append(size)
        else:
            cuts.append(_cut(entry, size, axis))
            if isinstance(entry, slice):
                shape.append(movement.slice_size(*cuts[-1]))
        axis += 1
    return look(x, ("slice", tuple(cuts)), ("reshape", tuple(shape))), left


def _plain(key):
    """NumPy's numbers and 0-dimensional integer arrays as Python numbers."""
    if isinstance(key, tuple):
        return tuple(map(_plain, key))
    if isinstance(key, slice):
        return slice(*(None if k is None else operator.index(k)
                       for k in (key.start, key.stop, key.step)))  # fmt: skip
    if isinstance(key, bool | np.bool_):
        raise IndexError("a truth value alone is no index; an array of them is")
    if isinstance(key, Array) and key.dtype.kind in "fc":
        raise IndexError(f"an array of {key.dtype} is no index")
    if isinstance(key, np.integer) or (
        isinstance(key, Array) and not key.ndim and key.dtype.is_integer
    ):
        return operator.index(key)
    if key is None or key is ... or isinstance(key, int | Array):
        return key
    raise IndexError(f"an index is made of integers, slices, None, ... and arrays, not {key!r}")


def _mask(key) -> Array | None:
    """The array of truth values that is the whole key."""
    if isinstance(key, tuple) and len(key) == 1:
        key = key[0]
    if isinstance(key, Array) and key.dtype is bool_:
        return key
    if isinstance(key, tuple) and any(isinstance(k, Array) and k.dtype is bool_ for k in key):
        raise IndexError("an array of truth values must be the only index")
    return None


def _where_true(x: Array, mask: Array) -> list[Array]:
    """A row of positions for each axis of the mask."""
    if mask.shape != x.shape[: mask.ndim]:
        raise IndexError(f"a mask of shape {mask.shape} for an array of shape {x.shape}")
    return [from_array(p, Array) for p in np.nonzero(array_of(mask))]


# ---------- gathering ----------
@lru_cache(maxsize=1024)
def _fault(axis: int, size: int) -> Fault:
    text = f"index {{value}} is out of bounds for axis {axis} with size {size}"
    return Fault(IndexError, text)


def _inside(index: Node, axis: int, size: int) -> Node:
    index = el.check_range(el.cast(index, int64), -size, size, _fault(axis, size))
    return el.where(el.lt(index, 0), index + size, index)


def _merged(attrs, x: Node, indices) -> tuple[Node, Node, tuple[int, ...]]:
    """(x with the indexed axes merged in front, one index, the order that brought them there)."""
    shape = el.broadcast_shapes("index", *(i.form for i in indices))
    sizes = tuple(x.shape[a] for a in attrs)
    flat = [movement.expand(_inside(i, a, n), shape)
            for i, a, n in zip(indices, attrs, sizes, strict=True)]  # fmt: skip
    order = (*attrs, *(a for a in range(x.ndim) if a not in attrs))
    front = indexing.merge_axes(movement.permute(x, order), 0, len(attrs))
    return front, indexing.linear_index(flat, sizes), order


def _gather(attrs, x, *indices):
    front, at, order = _merged(attrs, x, indices)
    found = indexing.gather(front, at, 0)
    if attrs != tuple(range(attrs[0], attrs[0] + len(attrs))):
        return found
    # neighbouring axes: the index's axes stand where these were
    before, inner = attrs[0], at.ndim
    turned = [*range(inner, inner + before), *range(inner), *range(inner + before, found.ndim)]
    return movement.permute(found, turned)


def _scatter(attrs, x, value, *indices):
    front, at, order = _merged(attrs, x, indices)
    rest = front.shape[1:]
    value = movement.expand(el.cast(value, x.dtype), (*at.shape, *rest))
    size = at.form.size
    flat = movement.reshape(value, (size, *rest))
    found = indexing.scatter_set(front, movement.reshape(at, (size,)), flat, 0)
    back = movement.reshape(found, tuple(x.shape[a] for a in order))
    return movement.permute(back, movement.inverse(tuple(order)))


GATHER = Call("getitem", _gather)
SCATTER = Call("setitem", _scatter)


def _getitem(self, key) -> Array:
    key = _plain(key)
    mask = _mask(key)
    if mask is not None:
        if not mask.ndim:
            return look(self, ("reshape", (1, *self.shape)))[: int(bool(mask))]
        places = _where_true(self, mask)
        return joined(GATHER, self, *places, attrs=tuple(range(len(places))))
    seen, left = _view(self, _entries(self, key))
    if not left:
        return seen
    return joined(GATHER, seen, *(i for _, i in left), attrs=tuple(a for a, _ in left))


def _setitem(self, key, value) -> None:
    key = _plain(key)
    _check_goes(self, value)
    mask = _mask(key)
    if mask is not None and not mask.ndim:
        if bool(mask):
            write(self, value)
        return
    if mask is not None:
        seen, left = self, list(enumerate(_where_true(self, mask)))
    else:
        seen, left = _view(self, _entries(self, key))
    if left:
        given = operands("__setitem__", seen, value)[1]
        found = joined(SCATTER, seen, given, *(i for _, i in left),
                       attrs=tuple(a for a, _ in left))  # fmt: skip
        write(seen, found)
        return
    if isinstance(value, Array) and value.shape != seen.shape:
        from .manipulation import broadcast_to

        value = broadcast_to(value, seen.shape)
    write(seen, value)


_HOLDS = {"b": "b", "i": "iu", "u": "iu", "f": "fiu", "c": "cfiu"}


def _check_goes(x: Array, value) -> None:
    """TypeError where the value's kind does not go into the array."""
    if isinstance(value, Array):
        if value.dtype.kind not in _HOLDS[x.dtype.kind]:
            raise TypeError(f"{value.dtype} does not go into an array of {x.dtype}")
        return
    kinds = {bool: "b", int: "iufc", float: "fc", complex: "c"}
    for kind, allowed in kinds.items():
        if isinstance(value, kind):
            if x.dtype.kind not in allowed:
                raise TypeError(f"a {kind.__name__} does not go into an array of {x.dtype}")
            return
    raise TypeError(f"{type(value).__name__} does not go into an array")


Array.__getitem__ = _getitem
Array.__setitem__ = _setitem


# ---------- functions ----------
def take(x, indices, /, *, axis: int | None = None) -> Array:
    """The elements at these positions of the axis; which one may be left out for one axis."""
    check_array("take", x, indices)
    if axis is None and x.ndim != 1:
        raise ValueError(f"take: an axis is needed for an array of {x.ndim} dimensions")
    if not indices.dtype.is_integer:
        raise TypeError(f"take: positions are integers, not {indices.dtype}")
    where = axis_of("take", axis or 0, x.ndim)
    return joined(GATHER, x, indices, attrs=(where,))


def _take_along(attrs, x, index):
    axis = attrs[0]
    sizes = [max(a, b) if 1 in (a, b) else a for a, b in zip(x.shape, index.shape, strict=True)]
    sizes[axis] = x.shape[axis]
    x = movement.expand(x, tuple(sizes))
    sizes[axis] = index.shape[axis]
    index = movement.expand(_inside(index, axis, x.shape[axis]), tuple(sizes))
    return ordering.take_along(x, index, axis)


TAKE_ALONG = Call("take_along_axis", _take_along)


def take_along_axis(x, indices, /, *, axis: int = -1) -> Array:
    """The elements at positions given for each row along the axis."""
    check_array("take_along_axis", x, indices)
    if x.ndim != indices.ndim:
        raise ValueError(f"take_along_axis: {indices.ndim} dimensions for {x.ndim}")
    if not indices.dtype.is_integer:
        raise TypeError(f"take_along_axis: positions are integers, not {indices.dtype}")
    return joined(TAKE_ALONG, x, indices, attrs=(axis_of("take_along_axis", axis, x.ndim),))
