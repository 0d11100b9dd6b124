"""Reductions over axes."""

from __future__ import annotations

import math

import numpy as np

from gemel.graph.form import bool_, int64
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops import movement as m
from gemel.ops import reduction as r
from gemel.ops.activations import log_sum_exp
from gemel.ops.statistics import count_over

from .operators import operator
from .shapes import given


def _axes(node, x: Node) -> tuple[int, ...]:
    found = given(node, 1, "axes")
    if found:
        return tuple(sorted(a % x.ndim for a in found))
    return () if node.get("noop_with_empty_axes", 0) else tuple(range(x.ndim))


def _mean(x: Node, axes, keep: bool) -> Node:
    total = r.sum_(x, axes, keep)
    count = count_over(x, axes)
    return total / float(count) if x.dtype.is_float else e.DIV(total, e.const(count, x.dtype))


def _extreme(function, truths):
    """Of truth values: all or any; of nothing: the neutral value."""

    def reduced(x: Node, axes, keep: bool) -> Node:
        if x.dtype is bool_:
            return truths(x, axes, keep)
        return function(x, axes, keep)

    return reduced


_REDUCED = {
    "ReduceSum": r.sum_,
    "ReduceMean": _mean,
    "ReduceProd": r.prod,
    "ReduceMax": _extreme(r.amax, r.any_),
    "ReduceMin": _extreme(r.amin, r.all_),
    "ReduceL1": lambda x, axes, keep: r.sum_(e.ABS(x), axes, keep),
    "ReduceL2": lambda x, axes, keep: e.SQRT(r.sum_(x * x, axes, keep)),
    "ReduceSumSquare": lambda x, axes, keep: r.sum_(x * x, axes, keep),
    "ReduceLogSum": lambda x, axes, keep: e.LOG(r.sum_(x, axes, keep)),
    "ReduceLogSumExp": log_sum_exp,
}


# what these give where there is nothing, for which the engine has no extreme
_OF_NOTHING = {"ReduceMax": -1, "ReduceMin": 1, "ReduceLogSumExp": -1}


def _empty(name: str, x: Node, axes, keep: bool) -> Node:
    kept = [1 if a in axes else n for a, n in enumerate(x.shape)]
    shape = tuple(n for a, n in enumerate(kept) if keep or a not in axes)
    sign = _OF_NOTHING[name]
    if x.dtype.is_float:
        return m.full(shape, sign * math.inf, x.dtype)
    if x.dtype is bool_:
        return m.full(shape, sign > 0, bool_)
    bounds = np.iinfo(x.dtype.numpy)
    return m.full(shape, int(bounds.max if sign > 0 else bounds.min), x.dtype)


def _single(name: str, x: Node) -> Node:
    """What the reduction of each cell alone is."""
    return _REDUCED[name](m.reshape(x, (*x.shape, 1)), (x.ndim,), False)


def _reduce(name: str):
    def build(node, x: Node, axes=None) -> Node:
        found = _axes(node, x)
        if not found:
            return x if name in ("ReduceSum", "ReduceMean", "ReduceMax") else _single(name, x)
        keep = bool(node.get("keepdims", 1))
        if name in _OF_NOTHING and not x.form.size:
            return _empty(name, x, found, keep)
        return _REDUCED[name](x, found, keep)

    return build


for _name in _REDUCED:
    operator(_name, static=(1,))(_reduce(_name))


def _position(largest: bool):
    def build(node, x: Node) -> Node:
        axis, keep = node.get("axis", 0) % x.ndim, bool(node.get("keepdims", 1))
        find = r.argmax if largest else r.argmin
        if not node.get("select_last_index", 0):
            return e.cast(find(x, axis, keep), int64)
        last = x.shape[axis] - 1
        return last - e.cast(find(m.flip(x, (axis,)), axis, keep), int64)

    return build


operator("ArgMax")(_position(True))
operator("ArgMin")(_position(False))
