"""Activation functions."""

from __future__ import annotations

from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops import activations as a
from gemel.ops import elementwise as e
from gemel.ops.movement import iota, reshape
from gemel.ops.reduction import argmax

from .operators import operator, simple

simple("Relu", a.relu)
simple("Softplus", lambda x: a.softplus(x))
simple("Softsign", a.softsign)
simple("Mish", a.mish)


@operator("LeakyRelu")
def leaky_relu(node, x: Node) -> Node:
    return a.leaky_relu(x, node.get("alpha", 0.01))


@operator("PRelu")
def learned_relu(node, x: Node, slope: Node) -> Node:
    return e.where(e.lt(x, 0), x * slope, x)


@operator("Elu")
def elu(node, x: Node) -> Node:
    return a.elu(x, node.get("alpha", 1.0))


@operator("Celu")
def celu(node, x: Node) -> Node:
    alpha = node.get("alpha", 1.0)
    return e.maximum(x, 0) + e.minimum(e.EXPM1(x / alpha) * alpha, 0)


@operator("Selu")
def selu(node, x: Node) -> Node:
    alpha = node.get("alpha", 1.67326319217681884765625)
    gamma = node.get("gamma", 1.05070102214813232421875)
    return e.where(e.gt(x, 0), x, e.EXPM1(e.minimum(x, 0)) * alpha) * gamma


@operator("Gelu")
def gelu(node, x: Node) -> Node:
    return a.gelu(x, node.get("approximate", "none") == "tanh")


@operator("HardSigmoid")
def hard_sigmoid(node, x: Node) -> Node:
    line = x * node.get("alpha", 0.2) + node.get("beta", 0.5)
    return e.maximum(e.minimum(line, 1), 0)


@operator("HardSwish")
def hard_swish(node, x: Node) -> Node:
    return x * e.maximum(e.minimum(x * (1 / 6) + 0.5, 1), 0)


@operator("ThresholdedRelu")
def thresholded_relu(node, x: Node) -> Node:
    return e.where(e.gt(x, node.get("alpha", 1.0)), x, e.const(0, x.dtype))


@operator("Shrink")
def shrink(node, x: Node) -> Node:
    bias, width = node.get("bias", 0.0), node.get("lambd", 0.5)
    inside = e.where(e.lt(x, -width), x + bias, e.const(0, x.dtype))
    return e.where(e.gt(x, width), x - bias, inside)


# ---------- along an axis ----------
def _along(function, node, x: Node) -> Node:
    """Old versions take all axes from `axis` on as one."""
    if node.version >= 13:
        return function(x, node.get("axis", -1) % x.ndim)
    axis = node.get("axis", 1) % x.ndim
    rows = 1
    for n in x.shape[:axis]:
        rows *= n
    return reshape(function(reshape(x, (rows, x.form.size // max(rows, 1))), 1), x.shape)


def _hardmax(x: Node, axis: int) -> Node:
    place = argmax(x, axis, True)
    return e.cast(e.eq(iota(x.shape, axis, int64), e.cast(place, int64)), x.dtype)


for _name, _function in {
    "Softmax": a.softmax, "LogSoftmax": a.log_softmax, "Hardmax": _hardmax
}.items():  # fmt: skip
    operator(_name)(lambda node, x, f=_function: _along(f, node, x))
