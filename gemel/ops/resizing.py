"""Resizing along axes as composites: nearest cells and linear interpolation.

`scale` is the distance of neighbouring result cells, counted in cells of the input.
"""

from __future__ import annotations

from gemel.graph.form import DType, float32, int64
from gemel.graph.node import Node

from .contraction import contract
from .elementwise import ABS, cast, floor, maximum, minimum
from .indexing import gather
from .movement import expand, iota, reshape


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


def linear(x: Node, axis: int, size: int, scale: float, corners: bool) -> Node:
    """Linear interpolation at i * scale (`corners`), else at (i + 1/2) * scale - 1/2; beyond the
    outer cells their values go on."""
    n = x.shape[axis]
    if size == n and scale == 1:
        return x
    labels = tuple(range(x.ndim))
    result = tuple(x.ndim if a == axis else a for a in labels)
    return contract(x, _hats(n, size, scale, corners, x.dtype), labels, (axis, x.ndim), result)


def _hats(n: int, size: int, scale: float, corners: bool, dtype: DType) -> Node:
    """[n, size]: the weight of input cell j in result cell i."""
    at = cast(iota((n, size), 1, int64), dtype)
    at = at * scale if corners else (at + 0.5) * scale - 0.5
    at = minimum(maximum(at, 0.0), float(n - 1))
    return maximum(1.0 - ABS(at - cast(iota((n, size), 0, int64), dtype)), 0.0)
