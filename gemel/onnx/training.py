"""Steps of optimizers, as the preview of ONNX's training has them.

Inputs: rate, turn, then the tensors, their gradients and their states, group by group. Results:
the new tensors, then their new states.
"""

from __future__ import annotations

from gemel.graph.form import float32, float64
from gemel.graph.node import Node
from gemel.ops import elementwise as e

from .operators import operator

_DOMAIN = "ai.onnx.preview.training"


def _groups(values, kinds: int) -> list[tuple]:
    """Per tensor its values of all kinds."""
    n = len(values) // kinds
    return [tuple(values[k * n + i] for k in range(kinds)) for i in range(n)]


def _in_order(rows: list[tuple]) -> list[Node]:
    return [x for column in zip(*rows, strict=True) for x in column]


def _adaptive(node, r: Node, t: Node, x: Node, g: Node, total: Node) -> tuple:
    rate = r / (1 + e.cast(t, r.dtype) * node.get("decay_factor", 0.0))
    g = g + x * node.get("norm_coefficient", 0.0)
    total = total + g * g
    return x - rate * g / (e.SQRT(total) + node.get("epsilon", 1e-6)), total


@operator("Adagrad", domain=_DOMAIN)
def adagrad(node, r: Node, t: Node, *values: Node) -> list[Node]:
    """Duchi et al. 2011."""
    return _in_order([_adaptive(node, r, t, *row) for row in _groups(values, 3)])


def _adam(node, r: Node, t: Node, x: Node, g: Node, v: Node, h: Node) -> tuple:
    alpha, beta = node.get("alpha", 0.9), node.get("beta", 0.999)
    g = g + x * node.get("norm_coefficient", 0.0)
    v = v * alpha + g * (1 - alpha)
    h = h * beta + g * g * (1 - beta)
    turn = e.cast(t, float64)
    ones = turn * 0 + 1
    fresh = e.SQRT(1 - e.power(ones * beta, turn)) / (1 - e.power(ones * alpha, turn))
    rate = e.where(e.gt(t, 0), e.cast(e.cast(r, float64) * fresh, float32), e.cast(r, float32))
    x = x - e.cast(rate, x.dtype) * (v / (e.SQRT(h) + node.get("epsilon", 1e-6)))
    return x * (1 - node.get("norm_coefficient_post", 0.0)), v, h


@operator("Adam", domain=_DOMAIN)
def adam(node, r: Node, t: Node, *values: Node) -> list[Node]:
    """Kingma and Ba 2015."""
    return _in_order([_adam(node, r, t, *row) for row in _groups(values, 4)])


def _momentum(node, r: Node, t: Node, x: Node, g: Node, v: Node) -> tuple:
    alpha, nesterov = node.get("alpha"), node.get("mode") == "nesterov"
    g = g + x * node.get("norm_coefficient", 0.0)
    share = e.where(e.gt(t, 0), e.const(node.get("beta"), x.dtype), e.const(1, x.dtype))
    v = v * alpha + g * share
    return x - r * (g + v * alpha if nesterov else v), v


@operator("Momentum", domain=_DOMAIN)
def momentum(node, r: Node, t: Node, *values: Node) -> list[Node]:
    """Sutskever et al. 2013."""
    return _in_order([_momentum(node, r, t, *row) for row in _groups(values, 3)])
