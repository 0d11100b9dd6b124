"""Positions of elements: nonzero, argwhere, masked_select, unravel_index.

A shape that depends on the values is found by looking at them, except where the caller gives it.
"""

from __future__ import annotations

import numpy as np

from gemel.graph.form import bool_, int64
from gemel.graph.node import Node
from gemel.ops import movement, scattered
from gemel.ops.elementwise import MOD, cast, eq, where
from gemel.ops.predicates import truth
from gemel.ops.record import Call
from gemel.tensor import from_array, from_columns, glance, record1, record_many

from .checks import broadcast_shape, wrong_argument
from .size import shape_of
from .tensor import Tensor, attach


@attach()
def nonzero(input, *, as_tuple=False):
    """The positions of elements that are not 0: one row each, or a tuple of index vectors."""
    if not isinstance(input, Tensor):
        raise wrong_argument("nonzero", "input", 1, input)
    array = glance(input)
    if as_tuple:
        if not input.form.ndim:
            array = array.reshape(1)
        return tuple(from_array(row.astype(np.int64), Tensor) for row in np.nonzero(array))
    if not input.form.ndim:
        return from_array(np.zeros((int(bool(array)), 0), np.int64), Tensor)
    return from_columns(array.nonzero(), int64, Tensor)


def argwhere(input) -> Tensor:
    """The positions of elements that are not 0, one row each."""
    return nonzero(input)


def masked_select(input, mask) -> Tensor:
    """The elements where the mask holds, in one dimension; both broadcast."""
    if mask.form.dtype is not bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = broadcast_shape(input.form.shape, mask.form.shape)
    if shape:
        return input.expand(shape)[mask.expand(shape)]
    return input.reshape(1)[mask.reshape(1)]


def _digits(places: Node, shape: tuple[int, ...]) -> list[Node]:
    """A place of the flattened tensor as one position per dimension."""
    found = []
    for n in reversed(shape):
        n = max(n, 1)
        digit = MOD(places, movement.full(places.shape, n, int64))
        places = (places - digit) / n
        found.append(digit)
    return found[::-1]


def _nonzero_static(attrs, x):
    count, missing = attrs
    flat = movement.reshape(truth(x), (x.form.size,))
    places = scattered.first_places(flat, count, -1)
    if not x.ndim:
        return movement.zeros((count, 0), int64)
    rows = movement.stack(_digits(places, x.shape), 1)
    absent = movement.expand(movement.reshape(eq(places, -1), (count, 1)), rows.shape)
    return where(absent, missing, rows)


NONZERO_STATIC = Call("nonzero_static", _nonzero_static, False)


def nonzero_static(input, *, size, fill_value=-1) -> Tensor:
    """`size` rows of positions of elements that are not 0; rows that are missing hold
    fill_value. Does not look at the values."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    return record1(NONZERO_STATIC, input, (int(size), int(fill_value)))


def _unravel(attrs, x):
    return tuple(cast(digit, x.dtype) for digit in _digits(cast(x, int64), attrs[0]))


UNRAVEL = Call("unravel_index", _unravel, False)


def unravel_index(indices, shape) -> tuple[Tensor, ...]:
    """Places of a flattened tensor of a shape as one index tensor per dimension."""
    if not isinstance(indices, Tensor):
        raise TypeError(f"expected 'indices' to be tensor, but got {type(indices)}")
    if indices.form.dtype.kind not in "ui":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    sizes = shape_of((shape,) if isinstance(shape, int) else tuple(shape))
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    return tuple(record_many(UNRAVEL, Tensor, (indices,), (sizes,)))
