"""Putting values back at their places in windows, and pooling over windows of random places.

In and out: nodes [..., cells of the last `rank` axes].
"""

from __future__ import annotations

from itertools import product
from math import prod

from gemel.graph.form import int64
from gemel.graph.node import Node

from .elementwise import cast, const, gt, is_nan, or_, stop_gradient, where
from .movement import expand, iota, narrow, reshape, zeros
from .ordering import put_along, take_along


def unpool(x: Node, places: Node, sizes: tuple[int, ...]) -> Node:
    """Zeros of the given sizes with x's values at flat places; the last of several stays."""
    return _put(x, places, sizes, False)


def gathered_back(x: Node, places: Node, sizes: tuple[int, ...]) -> Node:
    """Zeros of the given sizes with x's values added at flat places."""
    return _put(x, places, sizes, True)


def _put(x: Node, places: Node, sizes: tuple[int, ...], adding: bool) -> Node:
    rank = len(sizes)
    lead = x.shape[: x.ndim - rank]
    rows, n, cells = prod(lead), prod(x.shape[x.ndim - rank :]), prod(sizes)
    base = zeros((rows, cells), x.dtype)
    flat = put_along(base, reshape(places, (rows, n)), reshape(x, (rows, n)), 1, adding)
    return reshape(flat, (*lead, *sizes))


def fractional_starts(u: Node, n: int, window: int, steps: int) -> Node:
    """First cells of `steps` windows over n cells, shifted by u [...] in [0, 1): [..., steps].

    Graham 2014, Fractional Max-Pooling; the last window ends with the last cell.
    """
    shape = (*u.shape, steps)
    if steps == 1:
        return expand(const(n - window, int64), shape)
    step = (n - window) / (steps - 1)
    wide = expand(reshape(u, (*u.shape, 1)), shape)
    at = iota(shape, u.ndim, int64)
    first = cast((cast(at, u.dtype) + wide) * step, int64) - cast(wide * step, int64)
    last = gt(at, steps - 2)
    return where(last, const(n - window, int64), first)


def fractional_largest(
    x: Node, samples: Node, order: tuple[int, ...], window: tuple[int, ...], steps: tuple[int, ...]
) -> tuple[Node, Node]:
    """(the largest value of each window, its flat place); x [rows, ...sizes].

    samples [rows, axes]: the shift of each row; `order` says which sample is an axis's.
    """
    rows, *sizes = x.shape
    starts = []
    for axis, (n, k, m) in enumerate(zip(sizes, window, steps, strict=True)):
        u = reshape(narrow(samples, 1, order[axis], 1), (rows,))
        shape = [1] * len(sizes)
        shape[axis] = m
        starts.append(reshape(fractional_starts(u, n, k, m), (rows, *shape)))
    flat = reshape(x, (rows, prod(sizes)))
    best = place = None
    for taps in product(*map(range, window)):
        here = const(0, int64)
        for start, tap, n in zip(starts, taps, sizes, strict=True):
            here = here * n + (start + tap)
        here = reshape(expand(here, (rows, *steps)), (rows, prod(steps)))
        cell = take_along(stop_gradient(flat), here, 1)
        if best is None:
            best, place = cell, here
            continue
        wins = or_(gt(cell, best), is_nan(cell))
        best, place = where(wins, cell, best), where(wins, here, place)
    assert place is not None
    shape = (rows, *steps)
    return reshape(take_along(flat, place, 1), shape), reshape(place, shape)
