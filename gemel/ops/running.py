"""Running combinations whose gradient is better written down than followed step by step."""

from __future__ import annotations

import math

import numpy as np

from gemel.graph.form import float64
from gemel.graph.node import Node

from .declared import with_gradient
from .elementwise import EXP, LOG, cast, gt, stop_gradient, where
from .movement import flip
from .ordering import scan
from .transcendental import log_add_exp


def log_sum(x: Node, axis: int) -> Node:
    """log of the running sums of exp(x) along the axis, without overflow."""
    if x.dtype.kind != "f":
        return scan(x, axis, log_add_exp, -math.inf)
    # in float64: the gradient has exp(x - result), which magnifies the result's rounding
    wide = scan(cast(stop_gradient(x), float64), axis, log_add_exp, -math.inf)
    value = cast(wide, x.dtype)

    def rule(g: Node, y: Node, x: Node) -> Node:
        rising = EXP(_later(g, y, axis) + x)
        return rising - EXP(_later(-g, y, axis) + x)

    return with_gradient(f"logcumsumexp {axis}", value, (x,), rule)


def _later(g: Node, y: Node, axis: int) -> Node:
    """log of the sums over the later places of the positive cotangents / exp(y)."""
    least = float(np.finfo(g.dtype.numpy).min)
    positive = gt(g, 0.0)
    weight = where(positive, LOG(where(positive, g, 1.0)), least) - y
    return flip(log_sum(flip(weight, (axis,)), axis), (axis,))
