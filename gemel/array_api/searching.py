"""Order, places and sets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gemel.graph.form import int64
from gemel.ops import elementwise as el
from gemel.ops import movement, ordering, reduction
from gemel.ops.record import Call
from gemel.ops.sorted_rows import places
from gemel.tensor import array_of, from_array

from .array import Array, check_array
from .dtypes import promote
from .manipulation import reshape
from .recording import axis_of, check_broadcast, joined, one, operands, require

_REAL = "integral, real floating"


# ---------- extremes ----------
def _position(name: str, build):
    call = Call(name, lambda attrs, x: build(x, *attrs))

    def function(x, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
        check_array(name, x)
        require(name, x, "iuf", _REAL)
        if not x.size and (axis is None or not x.shape[axis]):
            raise ValueError(f"{name} of no elements: shape {x.shape}")
        if axis is None:
            found = one(call, reshape(x, (-1,)), (0, False))
            return reshape(found, (1,) * x.ndim) if keepdims else found
        return one(call, x, (axis_of(name, axis, x.ndim), bool(keepdims)))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name}: the first place along the axis (of all elements where None)."
    return function


argmax = _position("argmax", lambda x, axis, keep: el.cast(reduction.argmax(x, axis, keep), int64))
argmin = _position("argmin", lambda x, axis, keep: el.cast(reduction.argmin(x, axis, keep), int64))


def nonzero(x, /) -> tuple[Array, ...]:
    """The places that are not zero: an array of positions for each axis. Looks at x."""
    check_array("nonzero", x)
    if not x.ndim:
        raise ValueError("nonzero needs at least 1 dimension")
    return tuple(from_array(p.astype(np.int64), Array) for p in np.nonzero(array_of(x)))


def _choice(attrs, condition, a, b):
    a, b = promote(a, b)
    check_broadcast("where", condition, a, b)
    return el.where(condition, a, b)


WHERE = Call("where", _choice)


def where(condition, x1, x2, /) -> Array:
    """x1 where the condition is true, x2 elsewhere."""
    check_array("where", condition)
    require("where", condition, "b", "bool")
    a, b = operands("where", x1, x2)
    return joined(WHERE, condition, a, b)


# ---------- order ----------
def _sorting(attrs, x):
    return ordering.sorting_order(x, *attrs)


def _sorted(attrs, x):
    return ordering.take_along(x, ordering.sorting_order(x, *attrs), attrs[0])


ARGSORT = Call("argsort", _sorting)
SORT = Call("sort", lambda attrs, x: _sorted(attrs, x) if x.ndim else x)


def argsort(x, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The positions that sort x along the axis; equal elements always keep their order."""
    check_array("argsort", x)
    require("argsort", x, "iuf", _REAL)
    return one(ARGSORT, x, (axis_of("argsort", axis, max(x.ndim, 1)), bool(descending)))


def sort(x, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """x in ascending order along the axis; NaN last. Equal elements always keep their order."""
    check_array("sort", x)
    require("sort", x, "iuf", _REAL)
    return one(SORT, x, (axis_of("sort", axis, max(x.ndim, 1)), bool(descending)))


def searchsorted(x1, x2, /, *, side: str = "left", sorter=None) -> Array:
    """Where the elements of x2 would go into the sorted row x1, before equal ones or after."""
    check_array("searchsorted", x1, x2)
    require("searchsorted", x1, "iuf", _REAL)
    require("searchsorted", x2, "iuf", _REAL)
    if x1.ndim != 1:
        raise ValueError(f"searchsorted: x1 is one row, not of {x1.ndim} dimensions")
    if side not in ("left", "right"):
        raise ValueError(f"side is 'left' or 'right', not {side!r}")
    if sorter is not None:
        from .subscripts import take

        x1 = take(x1, sorter)
    return joined(SEARCH, x1, x2, attrs=(side == "right",))


def _search(attrs, row, values):
    row, values = promote(row, values)
    return places(row, values, attrs[0])


SEARCH = Call("searchsorted", _search)


# ---------- sets ----------
class UniqueAll(NamedTuple):
    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCounts(NamedTuple):
    values: Array
    counts: Array


class UniqueInverse(NamedTuple):
    values: Array
    inverse_indices: Array


def unique_all(x, /) -> UniqueAll:
    """The different elements in order, the first place of each, which of them each element is, and
    how many there are of each. NaNs differ from each other. Looks at x."""
    check_array("unique_all", x)
    found = np.unique(
        array_of(x), return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    values, indices, inverse, counts = found
    rest = (indices, inverse.reshape(x.shape), counts)
    return UniqueAll(from_array(values, Array),
                     *(from_array(a.astype(np.int64), Array) for a in rest))  # fmt: skip


def unique_counts(x, /) -> UniqueCounts:
    """The different elements and how many there are of each."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x, /) -> UniqueInverse:
    """The different elements, and which of them each element is."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x, /) -> Array:
    """The different elements, in order."""
    return unique_all(x).values


def isin(x1, x2, /, *, invert: bool = False) -> Array:
    """Whether each element of x1 is among those of x2."""
    a, b = operands("isin", x1, x2)
    return joined(ISIN, a, b, attrs=(bool(invert),))


def _is_in(attrs, a, b):
    a, b = promote(a, b)
    flat = movement.reshape(b, (b.form.size,))
    same = el.eq(movement.reshape(a, (*a.shape, 1)), flat)
    found = reduction.any_(same, (a.ndim,))
    return el.NOT(found) if attrs[0] else found


ISIN = Call("isin", _is_in)
__all__ = [
    "argmax", "argmin", "argsort", "isin", "nonzero", "searchsorted", "sort",
    "unique_all", "unique_counts", "unique_inverse", "unique_values", "where",
]  # fmt: skip
