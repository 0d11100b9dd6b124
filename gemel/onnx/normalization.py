"""Normalization, and dropout."""

from __future__ import annotations

import numpy as np

from gemel.graph.form import Form, bool_, float32
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops import movement as m
from gemel.ops import pooling
from gemel.ops.pooling import Pool
from gemel.ops.reduction import sum_
from gemel.ops.statistics import mean, variance

from .constants import stream
from .operators import operator


def _per_channel(values: Node, rank: int) -> Node:
    return m.reshape(values, (1, values.shape[0]) + (1,) * (rank - 2))


def _scaled(x: Node, center: Node, spread: Node, epsilon: float) -> Node:
    return (x - center) / e.SQRT(spread + epsilon)


@operator("BatchNormalization")
def batch_norm(node, x: Node, scale, bias, center: Node, spread: Node):
    epsilon = node.get("epsilon", 1e-5)
    if not node.get("training_mode", 0):
        made = _scaled(x, _per_channel(center, x.ndim), _per_channel(spread, x.ndim), epsilon)
        return made * _per_channel(scale, x.ndim) + _per_channel(bias, x.ndim)
    axes = (0, *range(2, x.ndim))
    wide = e.cast(x, center.dtype)
    here, around = mean(wide, axes), variance(wide, axes)
    share = node.get("momentum", 0.9)
    made = _scaled(
        x,
        e.cast(_per_channel(here, x.ndim), x.dtype),
        e.cast(_per_channel(around, x.ndim), x.dtype),
        epsilon,
    )
    made = made * _per_channel(scale, x.ndim) + _per_channel(bias, x.ndim)
    running = center * share + here * (1 - share), spread * share + around * (1 - share)
    return (made, *running)[: max(1, len(node.outputs))]


@operator("InstanceNormalization")
def instance_norm(node, x: Node, scale: Node, bias: Node) -> Node:
    axes = tuple(range(2, x.ndim))
    made = _scaled(x, mean(x, axes, True), variance(x, axes, True), node.get("epsilon", 1e-5))
    return made * _per_channel(scale, x.ndim) + _per_channel(bias, x.ndim)


@operator("LayerNormalization")
def layer_norm(node, x: Node, scale: Node, bias: Node | None = None):
    """Also the mean and the inverse deviation, in float32."""
    axes = tuple(range(node.get("axis", -1) % x.ndim, x.ndim))
    wide = e.cast(x, float32) if x.dtype.half else x
    center = mean(wide, axes, True)
    inverse = e.rsqrt(variance(wide, axes, True) + node.get("epsilon", 1e-5))
    made = e.cast((wide - center) * inverse, x.dtype) * scale
    made = made if bias is None else made + bias
    return (made, center, inverse)[: max(1, len(node.outputs))]


@operator("LpNormalization")
def unit_norm(node, x: Node) -> Node:
    axis = node.get("axis", -1) % x.ndim
    if node.get("p", 2) == 1:
        size = sum_(e.ABS(x), (axis,), True)
    else:
        size = e.SQRT(sum_(x * x, (axis,), True))
    none = e.eq(size, 0)
    return e.where(none, e.const(0, x.dtype), x / e.where(none, e.const(1, x.dtype), size))


@operator("LRN")
def local_norm(node, x: Node) -> Node:
    """Krizhevsky et al. 2012: by the squares of neighbouring channels."""
    size = node.get("size")
    before = (size - 1) // 2
    pool = Pool((1,), (size,), (1,), (1,), (before,), (x.shape[1],))
    cells = pooling.taps(x * x, pool, 0)
    total = cells[0]
    for cell in cells[1:]:
        total = total + cell
    base = total * (node.get("alpha", 1e-4) / size) + node.get("bias", 1.0)
    return x / e.power(base, node.get("beta", 0.75))


# ---------- dropout ----------
def _share(node) -> float:
    """The probability of a zero; 0 where nothing is dropped."""
    if 2 not in node.static or not bool(node.static[2]):
        return 0.0
    return float(node.static[1]) if 1 in node.static else 0.5


def _noise(node, f: Form, *others) -> list[np.ndarray]:
    """Which values are kept, where some are dropped: by the node's seed."""
    share = _share(node)
    if share == 0:
        return []
    if node.get("seed") is None:
        raise NotImplementedError("ONNX Dropout in training mode needs a seed")
    return [stream(node).uniform(0.0, 1.0, f.shape) >= share]


@operator("Dropout", static=(1, 2), extras=_noise)
def dropout(node, x: Node, ratio=None, training=None, extras=()):
    """In training values are dropped with probability `ratio`."""
    kept = extras[0] if extras else m.full(x.shape, True, bool_)
    made = x * e.cast(kept, x.dtype) / (1 - _share(node)) if extras else x
    return (made, kept)[: max(1, len(node.outputs))]
