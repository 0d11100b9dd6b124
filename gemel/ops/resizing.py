"""Resizing along axes as composites: nearest cells, linear and cubic interpolation.

`scale` is the distance of neighbouring result cells, counted in cells of the input. Interpolation
is a contraction with the weights [n, size] of the input's cells.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from gemel.graph.form import DType, float32, int64
from gemel.graph.node import Node

from .contraction import contract
from .elementwise import ABS, and_, cast, const, eq, floor, le, lt, maximum, minimum, trunc, where
from .indexing import gather
from .movement import expand, iota, reshape
from .reduction import sum_

CUBIC = -0.75  # the slope of cubic convolution's second piece (Keys 1981)
SMOOTH_CUBIC = -0.5  # the same where results are also smoothed


def repeated(x: Node, axis: int, times: int) -> Node:
    """Each cell `times` times along the axis."""
    shape = list(x.shape)
    wide = expand(reshape(x, (*shape[: axis + 1], 1, *shape[axis + 1 :])),
                  (*shape[: axis + 1], times, *shape[axis + 1 :]))  # fmt: skip
    return reshape(wide, (*shape[:axis], shape[axis] * times, *shape[axis + 1 :]))


def nearest(x: Node, axis: int, size: int, scale: float, centered: bool) -> Node:
    """Cell i is the input's cell floor(i * scale); `centered`: floor((i + 1/2) * scale)."""
    n = x.shape[axis]
    if size % n == 0 and scale == n / size:
        return repeated(x, axis, size // n)
    at = cast(iota((size,), 0, int64), float32)
    at = floor((at + 0.5 if centered else at) * scale)
    return gather(x, minimum(cast(at, int64), n - 1), axis)


def _weighted(x: Node, axis: int, weights: Node) -> Node:
    """The axis contracted with weights [n, size]."""
    labels = tuple(range(x.ndim))
    result = tuple(x.ndim if a == axis else a for a in labels)
    return contract(x, weights, labels, (axis, x.ndim), result)


def linear(x: Node, axis: int, size: int, scale: float, corners: bool) -> Node:
    """Linear interpolation at i * scale (`corners`), else at (i + 1/2) * scale - 1/2; beyond the
    outer cells their values go on."""
    n = x.shape[axis]
    if size == n and scale == 1:
        return x
    return _weighted(x, axis, _hats(n, size, scale, corners, x.dtype))


def _hats(n: int, size: int, scale: float, corners: bool, dtype: DType) -> Node:
    """[n, size]: the weight of input cell j in result cell i."""
    at = cast(iota((n, size), 1, int64), dtype)
    at = at * scale if corners else (at + 0.5) * scale - 0.5
    at = minimum(maximum(at, 0.0), float(n - 1))
    return maximum(1.0 - ABS(at - cast(iota((n, size), 0, int64), dtype)), 0.0)


# ---------- cubic convolution ----------
def cubic_kernel(d: Node, slope: float) -> Node:
    """The weight of a cell at distance d; 0 from 2 on (Keys 1981)."""
    d = ABS(d)
    near = ((slope + 2.0) * d - (slope + 3.0)) * d * d + 1.0
    far = ((d - 5.0) * d + 8.0) * d * slope - 4.0 * slope
    return where(le(d, 1.0), near, where(lt(d, 2.0), far, const(0, d.dtype)))


def cubic(x: Node, axis: int, size: int, scale: float, corners: bool) -> Node:
    """Cubic convolution of four cells, places as in `linear`; the outer cells repeat."""
    n = x.shape[axis]
    if size == n and scale == 1:
        return x
    at = cast(iota((n, size), 1, int64), x.dtype)
    at = at * scale if corners else (at + 0.5) * scale - 0.5
    first = floor(at)
    cell = cast(iota((n, size), 0, int64), x.dtype)
    weights = const(0, x.dtype)
    for tap in (-1.0, 0.0, 1.0, 2.0):
        hit = eq(cell, minimum(maximum(first + tap, 0.0), float(n - 1)))
        share = cubic_kernel(at - first - tap, CUBIC)
        weights = weights + where(hit, share, const(0, x.dtype))
    return _weighted(x, axis, weights)


# ---------- smoothed where results are fewer ----------
def _hat(d: Node) -> Node:
    return maximum(1.0 - ABS(d), 0.0)


def _smooth_cubic(d: Node) -> Node:
    return cubic_kernel(d, SMOOTH_CUBIC)


_KERNELS: dict[str, tuple[Callable[[Node], Node], float]] = {
    "linear": (_hat, 1.0),
    "cubic": (_smooth_cubic, 2.0),
}


def smoothed(x: Node, axis: int, size: int, scale: float, kind: str) -> Node:
    """Interpolation whose kernel is as much wider as the results are further apart."""
    kernel, reach = _KERNELS[kind]
    n = x.shape[axis]
    wider = max(scale, 1.0)
    reach *= wider
    center = (cast(iota((n, size), 1, int64), x.dtype) + 0.5) * scale
    cell = cast(iota((n, size), 0, int64), x.dtype)
    first = maximum(trunc(center - reach + 0.5), 0.0)
    after = minimum(trunc(center + reach + 0.5), float(n))
    inside = and_(le(first, cell), lt(cell, minimum(after, first + (ceil(reach) * 2 + 1))))
    weights = where(inside, kernel((cell - center + 0.5) * (1.0 / wider)), const(0, x.dtype))
    return _weighted(x, axis, weights / sum_(weights, 0, True))
