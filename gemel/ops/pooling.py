"""Pooling over windows, as composites: each tap of a window is one strided slice of the input.

A `Pool` says which axes have windows; the others pass through. In: nodes and static settings.
Out: nodes.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

from gemel.graph.form import DType, int64
from gemel.graph.node import Node

from .contraction import contract
from .elementwise import and_, cast, const, gt, is_nan, le, lt, maximum, minimum, or_, where
from .indexing import gather
from .movement import expand, iota, narrow, pad, reshape, slice_, stack, update_slice, zeros
from .reduction import amax
from .statistics import mean


class Pool(NamedTuple):
    """Windows over some axes, one entry for each.

    A window starts `before` cells in front of the first one; `steps` windows follow one another
    at distances of `strides`. What lies outside is empty.
    """

    axes: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    steps: tuple[int, ...]

    def reach(self, i: int) -> int:
        """Cells from the first of the first window to the last of the last one."""
        span = (self.window[i] - 1) * self.dilations[i] + 1
        return (self.steps[i] - 1) * self.strides[i] + span


def taps(x: Node, pool: Pool, filler) -> list[Node]:
    """For each position in the window, the cell of each window that it meets."""
    widths = [(0, 0)] * x.ndim
    for i, axis in enumerate(pool.axes):
        after = pool.reach(i) - pool.before[i] - x.shape[axis]
        widths[axis] = (pool.before[i], max(0, after))
    padded = pad(x, widths, filler)
    where = product(*map(range, pool.window))
    return [slice_(padded, _tap_slices(padded.shape, pool, at)) for at in where]


def _tap_slices(shape, pool: Pool, at) -> list[tuple[int, int, int]]:
    """The cells of a padded value that one tap of all windows meets."""
    spec = [(0, n, 1) for n in shape]
    for i, (axis, tap) in enumerate(zip(pool.axes, at, strict=True)):
        start, stride = tap * pool.dilations[i], pool.strides[i]
        spec[axis] = (start, start + (pool.steps[i] - 1) * stride + 1, stride)
    return spec


def lowest(dtype: DType):
    """What no value of the type is below."""
    return float("-inf") if dtype.is_float else int(np.iinfo(dtype.numpy).min)


def _beats(cell: Node, best: Node) -> Node:
    """Does the cell take the place of the best one so far? The first of equal ones stays, and so
    does NaN."""
    larger = gt(cell, best)
    return or_(larger, is_nan(cell)) if cell.dtype.is_float else larger


def largest(x: Node, pool: Pool) -> Node:
    """The largest value of each window; the gradient goes to the first cell that has it."""
    return _first_largest(taps(x, pool, lowest(x.dtype)))


def _first_largest(cells: list[Node]) -> Node:
    best = cells[0]
    for cell in cells[1:]:
        best = where(_beats(cell, best), cell, best)
    return best


def largest_with_places(x: Node, pool: Pool) -> tuple[Node, Node]:
    """The largest value of each window, and where it lies among the cells of the pooled axes
    (which are the last ones), counted row by row."""
    cells = taps(x, pool, lowest(x.dtype))
    best = place = None
    for at, cell in zip(product(*map(range, pool.window)), cells, strict=True):
        here = _places(x, pool, at, cell.shape)
        if best is None:
            best, place = cell, here
            continue
        wins = _beats(cell, best)
        best, place = where(wins, cell, best), where(wins, here, place)
    return best, place


def _places(x: Node, pool: Pool, at, shape) -> Node:
    """The flat place of one tap in each window."""
    flat = const(0, int64)
    for i, (axis, tap) in enumerate(zip(pool.axes, at, strict=True)):
        start = tap * pool.dilations[i] - pool.before[i]
        along = maximum(iota(shape, axis, int64) * pool.strides[i] + start, 0)
        flat = flat * x.shape[axis] + along
    return expand(flat, shape)


def _total(cells: list[Node]) -> Node:
    total = cells[0]
    for cell in cells[1:]:
        total = total + cell
    return total


def average(x: Node, pool: Pool) -> Node:
    """The mean of each window's cells; what is outside does not count."""
    inside = all(
        not b and pool.reach(i) <= x.shape[axis]
        for i, (axis, b) in enumerate(zip(pool.axes, pool.before, strict=True))
    )
    if inside:
        return _total(taps(x, pool, 0)) / float(prod(pool.window))
    count = const(1, x.dtype)
    for i, axis in enumerate(pool.axes):
        count = count * _within(x, pool, i, axis, 0, x.shape[axis])
    return _total(taps(x, pool, 0)) / count


def average_of_padded(x: Node, pool: Pool, after, divisor: float | None = None) -> Node:
    """The mean of each window's cells, where padding of `before` and `after` counts as zeros.

    divisor: what sums are divided by, instead of the number of cells.
    """
    total = _total(taps(x, pool, 0))
    if divisor is not None:
        return total / float(divisor)
    if all(
        pool.reach(i) <= b + x.shape[axis] + a
        for i, (axis, b, a) in enumerate(zip(pool.axes, pool.before, after, strict=True))
    ):
        return total / float(prod(pool.window))
    count = const(1, x.dtype)
    for i, axis in enumerate(pool.axes):
        count = count * _within(x, pool, i, axis, -pool.before[i], x.shape[axis] + after[i])
    return total / count


def _within(x: Node, pool: Pool, i: int, axis: int, low: int, high: int) -> Node:
    """How many cells of each window along an axis lie in [low, high); the axis as x has it."""
    shape = [1] * x.ndim
    shape[axis] = pool.steps[i]
    first = iota(shape, axis, int64) * pool.strides[i] - pool.before[i]
    count = const(0, int64)
    for tap in range(pool.window[i]):
        at = first + tap * pool.dilations[i]
        count = count + cast(and_(le(low, at), lt(at, high)), int64)
    return cast(count, x.dtype)


# ---------- windows of uneven sizes ----------
def adaptive(x: Node, axes: tuple[int, ...], sizes: tuple[int, ...]) -> Pool | None:
    """The windows that cut axes into `sizes` equal parts; None where they would not be equal."""
    if any(m == 0 or x.shape[axis] % m for axis, m in zip(axes, sizes, strict=True)):
        return None
    window = tuple(x.shape[axis] // m for axis, m in zip(axes, sizes, strict=True))
    ones = (1,) * len(axes)
    return Pool(axes, window, window, ones, (0,) * len(axes), sizes)


def adaptive_average(x: Node, axes: tuple[int, ...], sizes: tuple[int, ...]) -> Node:
    """Means over windows from floor(i n / m) to ceil((i + 1) n / m), for each of m cells."""
    if all(m == 1 for m in sizes):
        return mean(x, axes, True)
    pool = adaptive(x, axes, sizes)
    if pool is not None:
        return average(x, pool)
    for axis, m in zip(axes, sizes, strict=True):
        if m != x.shape[axis]:
            x = _averaged_along(x, axis, m)
    return x


def _averaged_along(x: Node, axis: int, m: int) -> Node:
    """One axis contracted with the matrix of its windows."""
    n = x.shape[axis]
    start, stop = _uneven(m, n)
    cell = iota((n, m), 0, int64)
    inside = and_(le(start, cell), lt(cell, stop))
    weights = cast(inside, x.dtype) / cast(stop - start, x.dtype)
    labels = tuple(range(x.ndim))
    result = tuple(x.ndim if a == axis else a for a in labels)
    return contract(x, weights, labels, (axis, x.ndim), result)


def _uneven(m: int, n: int) -> tuple[Node, Node]:
    """First cell of each of m windows over n cells, and the cell after its last one."""
    i = iota((m,), 0, int64)
    return i * n / m, ((i + 1) * n + (m - 1)) / m


def adaptive_largest(x: Node, axes: tuple[int, ...], sizes: tuple[int, ...]) -> Node:
    """The largest value of each window, windows as for `adaptive_average`."""
    if all(m == 1 for m in sizes) and not x.dtype.is_float:
        return amax(x, axes, True)
    pool = adaptive(x, axes, sizes)
    if pool is not None:
        return largest(x, pool)
    cells = [x]
    for axis, m in zip(axes, sizes, strict=True):
        cells = [c for cell in cells for c in _uneven_taps(cell, axis, m)]
    return _first_largest(cells)


def _uneven_taps(x: Node, axis: int, m: int) -> list[Node]:
    """Cell 0, 1, ... of each window along an axis."""
    return [gather(x, at, axis) for at in _uneven_positions(x.shape[axis], m)]


def _uneven_positions(n: int, m: int) -> list[Node]:
    """Position 0, 1, ... of each of m windows over n cells; shorter windows repeat their last."""
    start, stop = _uneven(m, n)
    width = max((-(-(i + 1) * n // m) - i * n // m for i in range(m)), default=1)
    return [minimum(start + t, stop - 1) for t in range(width)]


def adaptive_largest_with_places(
    x: Node, axes: tuple[int, ...], sizes: tuple[int, ...]
) -> tuple[Node, Node]:
    """`adaptive_largest`, and where it lies among the cells of the axes (the last ones)."""
    pool = adaptive(x, axes, sizes)
    if pool is not None:
        return largest_with_places(x, pool)
    found = [(x, const(0, int64))]
    for axis, m in zip(axes, sizes, strict=True):
        n = x.shape[axis]
        column = (m,) + (1,) * (x.ndim - axis - 1)
        found = [
            (gather(cell, at, axis), place * n + reshape(at, column))
            for cell, place in found
            for at in _uneven_positions(n, m)
        ]
    best = found[0][0]
    place = expand(found[0][1], best.shape)
    for cell, here in found[1:]:
        wins = _beats(cell, best)
        best, place = where(wins, cell, best), where(wins, here, place)
    return best, place


# ---------- windows as columns ----------
def unfold(x: Node, pool: Pool) -> Node:
    """[N, C, ...] with windows over the last axes: [N, C * taps, steps], each window a column."""
    cells = stack(taps(x, pool, 0), 2)
    return reshape(cells, (x.shape[0], x.shape[1] * prod(pool.window), prod(pool.steps)))


def fold(columns: Node, sizes: tuple[int, ...], pool: Pool) -> Node:
    """Columns [N, C * taps, steps] added up at their windows' places: [N, C, *sizes]."""
    batch, count = columns.shape[0], prod(pool.window)
    channels = columns.shape[1] // count
    cells = reshape(columns, (batch, channels, count, *pool.steps))
    widths = [
        (b, max(0, pool.reach(i) - b - n))
        for i, (n, b) in enumerate(zip(sizes, pool.before, strict=True))
    ]
    whole = (batch, channels, *(n + a + b for n, (a, b) in zip(sizes, widths, strict=True)))
    total = zeros(whole, columns.dtype)
    for k, at in enumerate(product(*map(range, pool.window))):
        part = reshape(narrow(cells, 2, k, 1), (batch, channels, *pool.steps))
        spec = _tap_slices(whole, pool, at)
        total = total + update_slice(zeros(whole, columns.dtype), part, spec)
    inside = [(a, a + n, 1) for n, (a, _) in zip(sizes, widths, strict=True)]
    return slice_(total, [(0, batch, 1), (0, channels, 1), *inside])
