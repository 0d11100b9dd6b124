"""Which values a distribution takes: truth values of each cell, or of each row."""

from __future__ import annotations

from gemel.graph.node import Node

from .elementwise import ABS, AND, eq, floor, ge, gt, le, lt
from .reduction import all_, sum_

SIMPLEX_ERROR = 1e-6  # by how much the sum of shares may miss 1


def in_range(x: Node, low: float | None, high: float | None, open: str, whole: bool) -> Node:
    """low <= x <= high; without the bound where `open` names its side; only whole numbers."""
    held = eq(x, x)
    if whole and x.dtype.is_float:
        held = eq(x, floor(x))
    if low is not None:
        held = AND(held, gt(x, low) if "low" in open else ge(x, low))
    if high is not None:
        held = AND(held, lt(x, high) if "high" in open else le(x, high))
    return held


def no_nan(x: Node) -> Node:
    """Is it a number?"""
    return eq(x, x)


def on_simplex(x: Node) -> Node:
    """Per row of the last axis: are they shares of a whole?"""
    last = (x.ndim - 1,)
    return AND(all_(ge(x, 0), last), lt(ABS(sum_(x, last) - 1.0), SIMPLEX_ERROR))
