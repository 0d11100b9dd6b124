"""The affine layer as a composite."""

from __future__ import annotations

from gemel.graph.node import Node

from .contraction import contract


def linear(x: Node, weight: Node, bias: Node | None = None) -> Node:
    """x [..., i] times weight [o, i] transposed, plus bias [o]: [..., o]."""
    batch = tuple(range(2, x.ndim + 1))
    y = contract(x, weight, (*batch, 0), (1, 0), (*batch, 1))
    return y if bias is None else y + bias
