"""Running combinations whose gradient is better written down than followed step by step."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np

from gemel.graph.form import float64
from gemel.graph.node import Node

from .declared import with_gradient
from .elementwise import EXP, LOG, cast, gt, stop_gradient, where
from .movement import concat, flip, narrow
from .ordering import scan
from .transcendental import log_add_exp

SHORT = 16  # complex places that are added one after the other; more of them in pairs


def log_sum(x: Node, axis: int) -> Node:
    """log of the running sums of exp(x) along the axis, without overflow."""
    if x.dtype.is_complex and x.shape[axis] <= SHORT:
        return _one_by_one(x, axis)
    if x.dtype.kind != "f":
        return scan(x, axis, log_add_exp, -math.inf)
    # in float64: the gradient has exp(x - result), which magnifies the result's rounding
    wide = scan(cast(stop_gradient(x), float64), axis, log_add_exp, -math.inf)
    value = cast(wide, x.dtype)

    def rule(g: Node, y: Node, x: Node) -> Node:
        rising = EXP(_later(g, y, axis) + x)
        return rising - EXP(_later(-g, y, axis) + x)

    return with_gradient(f"logcumsumexp {axis}", value, (x,), rule)


def _one_by_one(x: Node, axis: int) -> Node:
    """From the first place on: how often the imaginary part has gone round follows the way."""
    rows = [narrow(x, axis, k, 1) for k in range(x.shape[axis])]
    return concat(list(accumulate(rows, log_add_exp)), axis) if rows else x


def _later(g: Node, y: Node, axis: int) -> Node:
    """log of the sums over the later places of the positive cotangents / exp(y)."""
    least = float(np.finfo(g.dtype.numpy).min)
    positive = gt(g, 0.0)
    weight = where(positive, LOG(where(positive, g, 1.0)), least) - y
    return flip(log_sum(flip(weight, (axis,)), axis), (axis,))
