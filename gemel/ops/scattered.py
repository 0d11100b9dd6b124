"""Rows joined with the rows of a base that an index names: sums, products, extremes and means.

`rows(base, index, value, axis, how)`: value has index's shape in the place of the axis. With
`included` False the base's own rows do not take part where the index names them. Places that a mask
holds are found by counting.
"""

from __future__ import annotations

import math

from gemel.graph.errors import Fault
from gemel.graph.form import bool_, int64
from gemel.graph.node import Node

from .elementwise import DIV, MOD, cast, check_range, eq, lt, mul, where
from .indexing import gather, scatter_add, scatter_join, scatter_set
from .movement import expand, full, iota, narrow, pad, reshape, zeros
from .ordering import flat_positions, running_sum

HOW = {"prod": "mul", "amax": "maximum", "amin": "minimum"}


def neutral(how: str, dtype):
    """What does not change the others: 0, 1, the smallest or the largest value."""
    if how in ("sum", "mean"):
        return 0
    if how == "prod":
        return 1
    if dtype.kind == "f":
        return -math.inf if how == "amax" else math.inf
    if dtype is bool_:
        return how == "amin"
    if dtype.kind == "u":
        return 0 if how == "amax" else 2**dtype.bits - 1
    return -(2 ** (dtype.bits - 1)) if how == "amax" else 2 ** (dtype.bits - 1) - 1


def rows(base: Node, index: Node, value: Node, axis: int, how: str, included: bool) -> Node:
    """base with its rows at index joined with value's by 'sum', 'prod', 'amax', 'amin', 'mean'."""
    if not included:
        start = full(value.shape, neutral(how, base.dtype), base.dtype)
        base = scatter_set(base, index, start, axis)
    if how == "mean":
        return _mean(base, index, value, axis, included)
    if how == "sum":
        if base.dtype is bool_:  # as everywhere, true and true is true
            return scatter_join(base, index, value, axis, "maximum")
        return scatter_add(base, index, value, axis)
    return scatter_join(base, index, value, axis, HOW[how])


def along(base: Node, index: Node, value: Node, axis: int, how: str, included: bool) -> Node:
    """The same for cells: value's join those that `take_along` would read."""
    count = (index.form.size,)
    at = reshape(flat_positions(index, base.shape, axis), count)
    flat = reshape(base, (base.form.size,))
    return reshape(rows(flat, at, reshape(value, count), 0, how, included), base.shape)


def filled(base: Node, index: Node, value: Node, axis: int) -> Node:
    """base with one value in the rows at index."""
    n = base.shape[axis]
    hit = scatter_set(zeros((n,), bool_), index, full(index.shape, True, bool_), 0)
    side = tuple(n if d == axis else 1 for d in range(base.ndim))
    return where(expand(reshape(hit, side), base.shape), expand(value, base.shape), base)


def _mean(base: Node, index: Node, value: Node, axis: int, included: bool) -> Node:
    total = scatter_add(base, index, value, axis)
    wide = base.dtype if base.dtype.kind in "fc" else int64
    first = full(base.shape, 1 if included else 0, wide)
    count = scatter_add(first, index, full(value.shape, 1, wide), axis)
    count = where(eq(count, 0), full(base.shape, 1, wide), count)
    if wide is int64:
        total = cast(total, int64)
        return cast(DIV(total - MOD(total, count), count), base.dtype)
    return DIV(total, count)


# ---------- gradients ----------
def gradient_of_products(g: Node, y: Node, base: Node, index: Node, value: Node):
    """Of base and of value where rows were multiplied; exact where one factor is 0."""
    axis = y.attrs[0]
    one = full(base.shape, 1, base.dtype)
    empty = eq(base, 0)
    whole = where(empty, one, base)
    of_base = DIV(mul(g, scatter_join(whole, index, value, axis, "mul")), whole)

    zero = eq(value, 0)
    many = scatter_add(zeros(base.shape, int64), index, cast(zero, int64), axis)
    single = mul(cast(zero, int64), cast(eq(gather(many, index, axis), 1), int64))
    single = eq(single, 1)
    ones = full(value.shape, 1, value.dtype)
    others = scatter_join(base, index, where(single, ones, value), axis, "mul")
    there = gather(mul(g, others), index, axis)
    elsewhere = DIV(gather(mul(g, y), index, axis), where(zero, ones, value))
    return of_base, where(single, there, elsewhere)


def gradient_of_extremes(g: Node, y: Node, base: Node, index: Node, value: Node):
    """Of base and of value where the largest or smallest stayed: equal ones share."""
    axis = y.attrs[0]
    own = cast(eq(base, y), g.dtype)
    other = cast(eq(value, gather(y, index, axis)), g.dtype)
    share = DIV(g, scatter_add(own, index, other, axis))
    return mul(own, share), mul(other, gather(share, index, axis))


# ---------- by a mask ----------
def places_of(mask: Node) -> Node:
    """How many places of a flat mask hold before each one."""
    ones = cast(mask, int64)
    return running_sum(ones, 0) - ones


def by_mask(x: Node, mask: Node, source: Node, too_few: Fault) -> Node:
    """x with source's cells, in order, where the mask holds; the program faults where there are
    too few."""
    size = x.form.size
    if not size:
        return x
    held = reshape(mask, (size,))
    count = source.form.size
    at = check_range(where(held, places_of(held), -1), -1, count, too_few)
    row = pad(reshape(source, (count,)), [(1, 0)])  # place -1 is a cell that nobody reads
    return reshape(where(held, gather(row, at + 1, 0), reshape(x, (size,))), x.shape)


def first_places(mask: Node, count: int, missing: int) -> Node:
    """The flat places where a flat mask holds, in order: `count` of them, filled with `missing`."""
    n = mask.form.size
    room = full((count + 1,), missing, int64)
    if not n or not count:
        return narrow(room, 0, 0, count)
    at = places_of(mask)
    at = where(mask, where(lt(at, count), at, count), count)
    return narrow(scatter_set(room, at, iota((n,), 0, int64), 0), 0, 0, count)
