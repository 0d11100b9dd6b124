"""Gather and scatter along one axis. Faces turn their indexing into these (several index tensors
become one linear index over a merged axis). Indices must be in range: check_range comes first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gemel.graph.errors import DTypeError, ShapeError
from gemel.graph.form import Form, form
from gemel.graph.node import Node

from .movement import reshape, zeros
from .record import Primitive


def _index_type(op: str, x: Form, index: Form, axis: int) -> None:
    if not index.dtype.is_integer:
        raise DTypeError(op, "an integer index is needed", (x, index))
    if not 0 <= axis < x.ndim:
        raise ShapeError(op, f"axis {axis} of {x.ndim}", (x, index))


def _gather_infer(attrs, x: Form, index: Form) -> Form:
    _index_type("gather", x, index, attrs[0])
    return form(x.shape[: attrs[0]] + index.shape + x.shape[attrs[0] + 1 :], x.dtype)


# attrs: (axis,): rows of x along the axis, in the order of index; index's shape replaces the axis
GATHER = Primitive(
    "gather",
    "indexing",
    2,
    _gather_infer,
    (lambda g, y, x, i: scatter_add(zeros(x.shape, x.dtype), i, g, y.attrs[0]), None),
    lambda attrs, x, index: np.take(x, index, attrs[0]),
)


def _scatter_infer(attrs, base: Form, index: Form, value: Form) -> Form:
    axis = attrs[0]
    _index_type("scatter", base, index, axis)
    want = base.shape[:axis] + index.shape + base.shape[axis + 1 :]
    if value.shape != want:
        raise ShapeError("scatter", f"values of shape {want} are needed", (base, index, value))
    if value.dtype is not base.dtype:
        raise DTypeError("scatter", "one element type is needed", (base, value))
    return base


_JOINS = {True: np.add, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum}


def _scatter_reference(attrs, base, index, value):
    axis, how = attrs
    out = np.array(base)
    at = (slice(None),) * axis + (index,)
    if how:
        _JOINS[how].at(out, at, value)
    else:
        out[at] = value
    return out


def _scatter_base(g, y, base, index, value):
    axis, how = y.attrs
    if isinstance(how, str):
        return _joined_gradient(how)(g, y, base, index, value)[0]
    return g if how else scatter_set(g, index, zeros(value.shape, value.dtype), axis)


def _scatter_value(g, y, base, index, value):
    axis, how = y.attrs
    if isinstance(how, str):
        return _joined_gradient(how)(g, y, base, index, value)[1]
    return gather(g, index, axis)


def _joined_gradient(how: str) -> Callable:
    from .scattered import gradient_of_extremes, gradient_of_products

    return gradient_of_products if how == "mul" else gradient_of_extremes


# attrs: (axis, how): base with value's rows put in the place of the rows at index (how False),
# added to them (True), or joined with them by "mul", "maximum" or "minimum".
# Rows are taken in order, so the last of several puts stays.
SCATTER = Primitive(
    "scatter",
    "indexing",
    3,
    _scatter_infer,
    (_scatter_base, None, _scatter_value),
    _scatter_reference,
)


def gather(x: Node, index: Node, axis: int) -> Node:
    return GATHER(x, index, attrs=(axis,))


def scatter_add(base: Node, index: Node, value: Node, axis: int) -> Node:
    return SCATTER(base, index, value, attrs=(axis, True))


def scatter_set(base: Node, index: Node, value: Node, axis: int) -> Node:
    return SCATTER(base, index, value, attrs=(axis, False))


def scatter_join(base: Node, index: Node, value: Node, axis: int, how: str) -> Node:
    """base with its rows at index joined with value's: "mul", "maximum" or "minimum"."""
    return SCATTER(base, index, value, attrs=(axis, how))


def linear_index(indices: list[Node], sizes: tuple[int, ...]) -> Node:
    """Several in-range index nodes (one shape) over axes of `sizes` as one over the merged axis."""
    out = indices[0]
    for index, n in zip(indices[1:], sizes[1:], strict=True):
        out = out * n + index
    return out


def merge_axes(x: Node, start: int, count: int) -> Node:
    """x with `count` axes from `start` on merged into one."""
    merged = 1
    for n in x.shape[start : start + count]:
        merged *= n
    return reshape(x, x.shape[:start] + (merged,) + x.shape[start + count :])
