"""Where values go into sorted rows."""

from __future__ import annotations

from gemel.graph.form import int64
from gemel.graph.node import Node

from .elementwise import NOT, and_, cast, is_nan, le, lt, maximum, minimum, or_, where
from .indexing import gather
from .movement import full, reshape, zeros
from .ordering import take_along
from .reduction import sum_

FEW = 32  # elements of a row, up to which all are compared


def places(rows: Node, values: Node, after: bool, sorter: Node | None = None) -> Node:
    """The place of each value in its row (the last axis; a single row serves all values): before
    its equals, or after them. NaN goes to the end. sorter: what sorts the rows."""
    count = rows.shape[-1]
    if not count or not values.form.size:
        return zeros(values.shape, int64)
    if rows.ndim == 1 and count <= FEW and sorter is None:
        cells = _passed(rows, reshape(values, (*values.shape, 1)), after)
        return sum_(cast(cells, int64), -1)
    found = zeros(values.shape, int64)
    for bit in reversed(range(count.bit_length())):
        place = found + full(values.shape, 1 << bit, int64)
        at = maximum(minimum(place, count) + (-1), 0)
        passed = _passed(_element(rows, at, sorter), values, after)
        found = where(and_(le(place, count), passed), place, found)
    return found


def _passed(element: Node, value: Node, after: bool) -> Node:
    """Does the value go behind the element? NaN is the largest of all."""
    if not element.dtype.is_float:
        return le(element, value) if after else lt(element, value)
    if after:
        return or_(le(element, value), is_nan(value))
    return or_(lt(element, value), and_(is_nan(value), NOT(is_nan(element))))


def _element(rows: Node, at: Node, sorter: Node | None) -> Node:
    if sorter is not None:
        at = _element(sorter, at, None)
    if rows.ndim == 1:
        return gather(rows, at, 0)
    return take_along(rows, at, rows.ndim - 1)
