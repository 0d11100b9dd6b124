"""Lengths of vectors as composites. At the zero vector the gradient is 0."""

from __future__ import annotations

import math

from gemel.graph.form import DType
from gemel.graph.node import Node

from .complex_arithmetic import squared_modulus
from .elementwise import ABS, POW, SQRT, cast, const, eq, gt, ne, where
from .movement import reshape
from .reduction import amax, amin, sum_


def _root(total: Node, root) -> Node:
    """root(total), with a gradient of 0 where total is 0."""
    zero = eq(total, 0.0)
    return where(zero, const(0, total.dtype), root(where(zero, const(1, total.dtype), total)))


def vector_norm(x: Node, order: float, axes=None, keepdims: bool = False) -> Node:
    """The norm of the given order over the axes; inf and -inf take extremes, 0 counts."""
    if order == 2:
        return _root(sum_(squared_modulus(x), axes, keepdims), SQRT)
    size = ABS(x)
    if order == 1:
        return sum_(size, axes, keepdims)
    if order == math.inf:
        return amax(size, axes, keepdims)
    if order == -math.inf:
        return amin(size, axes, keepdims)
    if order == 0:
        return count_nonzero(x, size.dtype, axes, keepdims)
    if order < 1:  # the slope at zero has no end, and does not count
        zero = eq(size, 0.0)
        powers = POW(where(zero, 1.0, size), const(order, size.dtype))
        powers = where(zero, 0.0 if order > 0 else math.inf, powers)
    else:
        powers = POW(size, const(order, size.dtype))
    total = sum_(powers, axes, keepdims)
    return _root(total, lambda t: POW(t, const(1 / order, size.dtype)))


def distances(a: Node, b: Node, order: float) -> Node:
    """Of each row of a [..., m, k] to each of b [..., n, k]: [..., m, n]."""
    *lead, m, k = a.shape
    *others, n, _ = b.shape
    return vector_norm(reshape(a, (*lead, m, 1, k)) - reshape(b, (*others, 1, n, k)), order, (-1,))


def count_nonzero(x: Node, dtype: DType, axes=None, keepdims: bool = False) -> Node:
    return sum_(cast(ne(x, 0), dtype), axes, keepdims)


def limited(x: Node, order: float, axis: int, limit: float) -> Node:
    """x with each slice along the axis scaled down to a norm of at most `limit`."""
    rest = tuple(a for a in range(x.ndim) if a != axis)
    size = vector_norm(x, order, rest, True)
    return x * where(gt(size, limit), limit / (size + 1e-7), 1.0)
