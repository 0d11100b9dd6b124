"""Rolling, general diagonals and sorted values, as composites."""

from __future__ import annotations

from gemel.graph.node import Node

from .movement import concat, narrow, permute, reshape, slice_
from .ordering import sorting_order, take_along


def roll(x: Node, shift: int, axis: int) -> Node:
    """x with its rows moved on by `shift`, the last ones coming back in front."""
    n = x.shape[axis]
    shift = shift % n if n else 0
    if not shift:
        return x
    return concat([narrow(x, axis, n - shift, shift), narrow(x, axis, 0, n - shift)], axis)


def diagonal(x: Node, offset: int, a: int, b: int) -> Node:
    """The diagonal number `offset` of two axes, as last axis of the result."""
    a %= x.ndim
    b %= x.ndim
    rest = [i for i in range(x.ndim) if i not in (a, b)]
    moved = permute(x, (*rest, a, b))
    rows, columns = moved.shape[-2:]
    top, left = max(0, -offset), max(0, offset)
    size = max(0, min(rows - top, columns - left))
    lead = moved.shape[:-2]
    start = top * columns + left
    stop = start + (size - 1) * (columns + 1) + 1
    spec = [(0, n, 1) for n in lead] + [(start, stop, columns + 1) if size else (0, 0, 1)]
    return slice_(reshape(moved, lead + (rows * columns,)), spec)


def sort(x: Node, axis: int, descending: bool = False) -> tuple[Node, Node]:
    """(sorted values, the indices that sort them)."""
    order = sorting_order(x, axis, descending)
    return take_along(x, order, axis), order
