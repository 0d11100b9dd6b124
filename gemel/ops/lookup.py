"""Rows of a table by index, and bags of rows, as composites.

Indices are in range: the face checks them first.
"""

from __future__ import annotations

import math

from gemel.graph.form import int64
from gemel.graph.node import Node

from .elementwise import (
    NOT,
    and_,
    cast,
    const,
    eq,
    gt,
    is_nan,
    maximum,
    minimum,
    or_,
    stop_gradient,
    where,
)
from .indexing import gather, scatter_add
from .movement import expand, full, iota, narrow, pad, reshape, zeros
from .norms import vector_norm
from .ordering import running_sum, take_along


def counts(index: Node, size: int, dtype) -> Node:
    """How often each of `size` numbers is in a flat index."""
    return scatter_add(zeros((size,), dtype), index, full(index.shape, 1, dtype), 0)


def rows(weight: Node, index: Node, padding: int | None, by_frequency: bool) -> Node:
    """weight[index]; no gradient flows to the padding row. `by_frequency` divides the gradient
    of each row by how often it is looked up."""
    found = gather(weight, index, 0)
    if by_frequency:
        flat = reshape(index, (index.form.size,))
        often = gather(counts(flat, weight.shape[0], weight.dtype), index, 0)
        fixed = stop_gradient(found)
        found = fixed + (found - fixed) / reshape(often, (*index.shape, 1))
    if padding is None:
        return found
    padded = reshape(eq(index, padding), (*index.shape, 1))
    return where(padded, stop_gradient(found), found)


def shortened(weight: Node, index: Node, most: float, order: float) -> Node:
    """weight, whose rows at the index are scaled down to a norm of at most `most`."""
    used = gt(counts(reshape(index, (index.form.size,)), weight.shape[0], int64), 0)
    norm = vector_norm(weight, order, 1, True)
    long = and_(reshape(used, norm.shape), gt(norm, most))
    return where(long, weight * (most / (norm + 1e-7)), weight)


def segments(offsets: Node, count: int) -> Node:
    """The number of the bag that each of `count` entries is in; bags begin at the offsets."""
    marks = counts(offsets, count + 1, int64)
    return narrow(running_sum(marks, 0), 0, 0, count) - 1


def bag_totals(values: Node, bag: Node, bags: int) -> Node:
    """Sums of the rows in each bag."""
    return scatter_add(zeros((bags, *values.shape[1:]), values.dtype), bag, values, 0)


def bag_means(values: Node, bag: Node, bags: int, kept: Node) -> Node:
    """Means of the rows that are kept (1, else 0); 0 for a bag with none."""
    size = bag_totals(kept, bag, bags)
    total = bag_totals(values * reshape(kept, (kept.shape[0], 1)), bag, bags)
    return total / reshape(maximum(size, 1.0), (bags, 1))


def bag_maxima(values: Node, bag: Node, offsets: Node, kept: Node) -> Node:
    """The largest row value of each bag and column, the first of equal ones; 0 where none is kept.

    A running maximum within bags, in log2(n) steps, that carries its place.
    """
    n, width = values.shape
    bags = offsets.shape[0]
    if not n:
        return zeros((bags, width), values.dtype)
    shown = where(reshape(gt(kept, 0.0), (n, 1)), stop_gradient(values), -math.inf)
    place = iota((n, width), 0, int64)
    reach = 1
    while reach < n:
        shown, place = _joined(shown, place, bag, reach)
        reach *= 2
    after = pad(narrow(offsets, 0, 1, bags - 1), [(0, 1)], n)
    last = maximum(minimum(after, n) - 1, 0)
    best = take_along(values, gather(place, last, 0), 0)
    size = reshape(bag_totals(kept, bag, bags), (bags, 1))
    return where(gt(size, 0.0), best, const(0, values.dtype))


def _joined(shown: Node, place: Node, bag: Node, reach: int) -> tuple[Node, Node]:
    """Each row joined with the one `reach` above it, where that is in the same bag."""
    n = shown.shape[0]
    above, there, other = (
        pad(narrow(v, 0, 0, n - reach), [(reach, 0)] + [(0, 0)] * (v.ndim - 1), filler)
        for v, filler in ((shown, 0), (place, 0), (bag, -1))
    )
    beaten = or_(gt(shown, above), is_nan(shown))
    stays = and_(expand(reshape(eq(other, bag), (n, 1)), shown.shape), NOT(beaten))
    return where(stays, above, shown), where(stays, there, place)


def kept_entries(index: Node, padding: int | None, dtype) -> Node:
    """1 for entries that count, 0 for padding."""
    if padding is None:
        return full(index.shape, 1, dtype)
    return cast(NOT(eq(index, padding)), dtype)
