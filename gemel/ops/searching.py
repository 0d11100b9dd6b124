"""Places in sorted rows, by bisection."""

from __future__ import annotations

from gemel.graph.form import int64
from gemel.graph.node import Node

from .elementwise import and_, cast, le, lt, minimum, where
from .indexing import gather
from .movement import zeros
from .ordering import sorting_keys


def insertion_points(row: Node, values: Node, after: bool) -> Node:
    """Where each value goes into the sorted row: before its equals, or after them.

    The place is built bit by bit, from the highest: a step is taken where the element before the
    new place is still smaller. NaN is the largest value, as in `sort`.
    """
    count = row.form.size
    keys, wanted = sorting_keys(row, False), sorting_keys(values, False)
    found = zeros(values.shape, int64)
    for bit in reversed(range(count.bit_length())):
        place = found + (1 << bit)
        before = gather(keys, minimum(place, count) - 1, 0)
        smaller = le(before, wanted) if after else lt(before, wanted)
        found = where(and_(le(place, count), smaller), place, found)
    return cast(found, int64)
