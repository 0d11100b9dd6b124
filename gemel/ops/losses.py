"""Losses as composites. Each gives the loss per sample; `reduce_loss` takes mean or sum."""

from __future__ import annotations

from gemel.graph.form import int64
from gemel.graph.node import Node

from .activations import log_softmax
from .elementwise import (
    ABS,
    EXP,
    LOG,
    LOG1P,
    and_,
    cast,
    check_range,
    const,
    eq,
    gt,
    le,
    maximum,
    stop_gradient,
    where,
)
from .movement import iota, reshape
from .ordering import running_product, take_along
from .reduction import sum_
from .statistics import mean


def reduce_loss(x: Node, reduction: str) -> Node:
    """'mean', 'sum' or 'none' over all values."""
    if reduction == "none":
        return x
    return mean(x) if reduction == "mean" else sum_(x)


def one_hot(labels: Node, classes: int, axis: int) -> Node:
    """True where the position along the new axis is the label; labels are in range."""
    shape = labels.shape[:axis] + (1,) + labels.shape[axis:]
    wide = labels.shape[:axis] + (classes,) + labels.shape[axis:]
    return eq(iota(wide, axis, labels.dtype), reshape(labels, shape))


def pick(x: Node, labels: Node, axis: int) -> Node:
    """x at the label along the axis (which goes). A masked sum, so that it fuses both ways."""
    return sum_(where(one_hot(labels, x.shape[axis], axis), x, const(0, x.dtype)), axis)


def nll(log_p: Node, labels: Node, axis: int = 1) -> Node:
    """Negative log likelihood per sample."""
    return -pick(log_p, labels, axis)


def cross_entropy(logits: Node, labels: Node, axis: int = 1) -> Node:
    """Cross entropy of integer labels with softmax(logits) per sample."""
    return nll(log_softmax(logits, axis), labels, axis)


def soft_cross_entropy(logits: Node, target: Node, axis: int = 1) -> Node:
    """Cross entropy with a distribution per sample."""
    return -sum_(target * log_softmax(logits, axis), axis)


def squared_error(x: Node, y: Node) -> Node:
    d = x - y
    return d * d


def absolute_error(x: Node, y: Node) -> Node:
    return ABS(x - y)


def huber(x: Node, y: Node, delta: float) -> Node:
    d = ABS(x - y)
    return where(le(d, delta), d * d * 0.5, (d - 0.5 * delta) * delta)


def _bounded_log(p: Node, floor: float, least: float) -> Node:
    """log(p), not below `floor`. Below `least` the slope is that at `least`, so that a saturated
    probability gives a finite gradient."""
    value = stop_gradient(maximum(LOG(p), floor))
    straight = value + (p - stop_gradient(p)) * (1.0 / least)
    return where(le(p, least), straight, LOG(maximum(p, least)))


def binary_cross_entropy(p: Node, target: Node, floor: float = -100.0) -> Node:
    """-(t log p + (1 - t) log(1 - p)); logarithms are kept above `floor`."""
    a = _bounded_log(p, floor, 1e-12)
    b = _bounded_log(1.0 - p, floor, 1e-12)
    return -(target * a + (1.0 - target) * b)


def binary_cross_entropy_logits(x: Node, target: Node) -> Node:
    """The same from logits, without overflow."""
    return maximum(x, 0.0) - x * target + LOG1P(EXP(-ABS(x)))


def kl_divergence(log_p: Node, target: Node) -> Node:
    return where(eq(target, 0.0), const(0, target.dtype), target * (LOG(target) - log_p))


def cosine_parts(a: Node, b: Node, axis: int) -> tuple[Node, Node, Node]:
    """(a . b, |a|^2, |b|^2) along an axis."""
    return sum_(a * b, axis), sum_(a * a, axis), sum_(b * b, axis)


def multilabel_margin(x: Node, labels: Node, fault) -> Node:
    """Per row of [N, C]: the sum, over its labels (up to the first -1) and all other classes, of
    max(0, 1 - x[label] + x[other]), divided by C. `fault` is for labels outside the classes."""
    n, classes = x.shape
    given = cast(le(0, labels), int64)
    valid = eq(running_product(given, 1), 1)
    safe = check_range(where(valid, labels, const(0, labels.dtype)), 0, classes, fault)
    hits = and_(one_hot(safe, classes, 2), reshape(valid, (n, classes, 1)))
    other = eq(sum_(cast(hits, int64), 1, True), 0)
    own = reshape(take_along(x, safe, 1), (n, classes, 1))
    gap = 1.0 - own + reshape(x, (n, 1, classes))
    counts = and_(and_(gt(gap, 0.0), other), reshape(valid, (n, classes, 1)))
    return sum_(where(counts, gap, const(0, x.dtype)), (1, 2)) / float(classes)
