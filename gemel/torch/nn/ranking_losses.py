"""Losses of rankings, margins and distributions: the calls and their functions.

Each function records one call; `functional` and the layers of `loss` take them from here.
"""

from __future__ import annotations

import math

from gemel.graph.errors import Fault
from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops import losses
from gemel.ops.elementwise import (
    ABS,
    EXP,
    LOG,
    LOG1P,
    SQRT,
    cast,
    check_range,
    const,
    eq,
    gt,
    lt,
    maximum,
    power,
    stop_gradient,
    where,
)
from gemel.ops.movement import expand, reshape
from gemel.ops.record import Call
from gemel.ops.reduction import sum_
from gemel.tensor import record_n
from gemel.torch.checks import broadcast_shape, check_broadcast
from gemel.torch.dtypes import short_name
from gemel.torch.promotion import as_float, promoted
from gemel.torch.tensor import Tensor

from .calls import REDUCTIONS, check_reduction

COSINE_EPSILON = 1e-12


def _loss(name: str, build, every: bool = False):
    """A Call: attrs are (reduction, *arguments of build). `every`: do all operands broadcast?"""

    def expanded(attrs, *operands: Node) -> Node:
        check_reduction(attrs[0])
        check_broadcast(*operands[:2])
        if every:
            check_broadcast(*operands)
        return losses.reduce_loss(build(*promoted(*operands), *attrs[1:]), attrs[0])

    return Call(name, expanded)


def _real(x: Node) -> Node:
    """x in floating point: what integers are before a margin is added to them."""
    return as_float(x)[0]


def _positive(x: Node) -> Node:
    """max(x, 0) with gradient 1 at 0, as the original's clamp."""
    return where(lt(x, 0.0), const(0, x.dtype), x)


def _margin_ranking(a, b, target, margin):
    return _positive(_real(-target * (a - b)) + margin)


def _hinge_embedding(x, target, margin):
    x, target = as_float(x, target)
    zero = const(0, x.dtype)
    apart = where(eq(target, 1), zero, _positive(margin - x))
    return apart + where(eq(target, -1), zero, x)


def _soft_margin(x, target):
    z = -target * x
    return LOG1P(EXP(-ABS(z))) + maximum(z, 0.0)


def _cosine_embedding(a, b, target, margin):
    axis = a.ndim - 1
    a, b, target = as_float(a, b, target)
    dot, aa, bb = losses.cosine_parts(a, b, axis)
    cosine = dot / SQRT((aa + COSINE_EPSILON) * (bb + COSINE_EPSILON))
    zero = const(0, a.dtype)
    near = where(eq(target, 1), 1.0 - cosine, zero)
    return near + where(eq(target, -1), _positive(cosine - margin), zero)


def _distance(a, b, p, epsilon):
    d = ABS(_real(a - b) + epsilon)
    if p == 2:
        return SQRT(sum_(d * d, d.ndim - 1))
    return power(sum_(power(d, p), d.ndim - 1), 1.0 / p)


def _triplet(anchor, positive, negative, margin, p, epsilon, swap):
    near = _distance(anchor, positive, p, epsilon)
    far = _distance(anchor, negative, p, epsilon)
    if swap:
        other = _distance(positive, negative, p, epsilon)
        far = where(gt(far, other), other, far)
    return _positive(near - far + margin)


def _poisson(x, target, log_input, full, epsilon):
    x, target = as_float(x, target)
    loss = EXP(x) - target * x if log_input else x - target * LOG(x + epsilon)
    if full:
        many = where(gt(target, 1), target, const(1, target.dtype))
        stirling = many * LOG(many) - many + LOG(many * (2 * math.pi)) * 0.5
        loss = loss + where(gt(target, 1), stirling, const(0, target.dtype))
    return loss


def _fitting(variance: Node, x: Node) -> Node:
    """The variance per value, per row, or with one axis of one cell; ValueError otherwise."""
    if variance.shape == x.shape:
        return variance
    if x.shape[:-1] == variance.shape:
        return reshape(variance, (*variance.shape, 1))
    if x.ndim == variance.ndim:
        pairs = zip(x.shape, variance.shape, strict=True)
        if sum(m for n, m in pairs if n != m) == 1:
            return variance
    raise ValueError("var is of incorrect size")


def _gaussian(x, target, variance, full, epsilon):
    variance = _fitting(variance, x)
    # the floor is not differentiated, as in the original
    variance = variance + stop_gradient(maximum(variance, epsilon) - variance)
    d = x - target
    loss = (LOG(variance) + d * d / variance) * 0.5
    return loss + 0.5 * math.log(2 * math.pi) if full else loss


def _multi_margin(attrs, x, target, weight=None):
    reduction, p, margin = attrs
    check_reduction(reduction)
    _check_margin(x, target, weight)
    single = x.ndim < 2
    if single:
        x, target = reshape(x, (1, x.form.size)), reshape(target, (1,))
    axis = 1
    labels = check_range(cast(target, int64), 0, x.shape[1], _LABEL_FAULT)
    own = losses.pick(x, labels, axis)
    hit = losses.one_hot(labels, x.shape[axis], axis)
    wide = expand(reshape(own, (*own.shape, 1)), x.shape)
    gap = margin - wide + x
    apart = power(where(gt(gap, 0.0), gap, const(0, x.dtype)), p)
    loss = sum_(where(hit, const(0, x.dtype), apart), axis) / float(x.shape[axis])
    if weight is not None:
        spread = expand(weight, x.shape)
        loss = loss * losses.pick(spread, labels, axis)
    return losses.reduce_loss(reshape(loss, ()) if single else loss, reduction)


def _check_margin(x: Node, target: Node, weight: Node | None) -> None:
    if x.ndim > 2 or 0 in x.shape[1:] or x.ndim == 1 and not x.shape[0]:
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(x.shape)}"
        )
    rows = x.shape[0] if x.ndim == 2 else 1
    if target.ndim > 1 or target.form.size != rows:
        raise RuntimeError(
            "multi_margin_loss: The target tensor should be 1-D with size equal to the number of "
            f"samples. Expected target size [{rows}], but got {list(target.shape)}"
        )
    classes = x.shape[-1] if x.ndim else 1
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"inconsistent weight size, expected {classes} but got {list(weight.shape)}"
        )
    if target.dtype is not int64:
        raise RuntimeError(
            f"expected scalar type Long but found {short_name(target.dtype)}"
        )


_LABEL_FAULT = Fault(RuntimeError, "target out of range: {value}")


MARGIN_RANKING = _loss("margin_ranking_loss", _margin_ranking)
HINGE_EMBEDDING = _loss("hinge_embedding_loss", _hinge_embedding)
SOFT_MARGIN = _loss("soft_margin_loss", _soft_margin)
COSINE_EMBEDDING = _loss("cosine_embedding_loss", _cosine_embedding)
TRIPLET_MARGIN = _loss("triplet_margin_loss", _triplet, True)
POISSON_NLL = _loss("poisson_nll_loss", _poisson)
GAUSSIAN_NLL = _loss("gaussian_nll_loss", _gaussian)
MULTI_MARGIN = Call("multi_margin_loss", _multi_margin)


def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
                        size_average=None, reduce=None, reduction: str = "mean") -> Tensor:
    """max(0, margin - y (x1 - x2)), y being 1 or -1."""
    kind = _reduction(size_average, reduce, reduction)
    sizes = [x.form.shape for x in (input1, input2, target)]
    if len({len(s) for s in sizes}) > 1:
        named = zip(("input1", "input2", "target"), sizes, strict=True)
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            + ", ".join(f"{name}: torch.Size({list(size)})" for name, size in named)
        )
    return record_n(MARGIN_RANKING, Tensor, [input1, input2, target], (kind, float(margin)))


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, size_average=None,
                         reduce=None, reduction: str = "mean") -> Tensor:
    """x where y is 1, max(0, margin - x) where it is -1."""
    attrs = (_reduction(size_average, reduce, reduction), float(margin))
    return record_n(HINGE_EMBEDDING, Tensor, [input, target], attrs)


def soft_margin_loss(input: Tensor, target: Tensor, size_average=None, reduce=None,
                     reduction: str = "mean") -> Tensor:
    """log(1 + exp(-y x)), y being 1 or -1."""
    attrs = (_reduction(size_average, reduce, reduction),)
    return record_n(SOFT_MARGIN, Tensor, [input, target], attrs)


def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
                          size_average=None, reduce=None, reduction: str = "mean") -> Tensor:
    """1 - cos(x1, x2) where y is 1, max(0, cos(x1, x2) - margin) where it is -1."""
    attrs = (_reduction(size_average, reduce, reduction), float(margin))
    return record_n(COSINE_EMBEDDING, Tensor, [input1, input2, target], attrs)


def _check_ranks(anchor: Tensor, positive: Tensor, negative: Tensor) -> None:
    ranks = [t.ndim for t in (anchor, positive, negative)]
    if len(set(ranks)) != 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {ranks[0]}D, positive {ranks[1]}D, and negative "
            f"{ranks[2]}D inputs"
        )


def _check_margin_value(margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")


def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0,
                        p: float = 2, eps: float = 1e-06, swap: bool = False, size_average=None,
                        reduce=None, reduction: str = "mean") -> Tensor:
    """max(0, |a - p| - |a - n| + margin)."""
    kind = _reduction(size_average, reduce, reduction)
    _check_margin_value(margin)
    _check_ranks(anchor, positive, negative)
    attrs = (kind, float(margin), float(p), float(eps), bool(swap))
    return record_n(TRIPLET_MARGIN, Tensor, [anchor, positive, negative], attrs)


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool = True, full: bool = False,
                     size_average=None, eps: float = 1e-8, reduce=None,
                     reduction: str = "mean") -> Tensor:
    """Negative log likelihood of counts; `full` adds Stirling's approximation."""
    kind = _reduction(size_average, reduce, reduction)
    broadcast_shape(target.form.shape, input.form.shape)
    attrs = (kind, bool(log_input), bool(full), float(eps))
    return record_n(POISSON_NLL, Tensor, [input, target], attrs)


def gaussian_nll_loss(input: Tensor, target: Tensor, var: Tensor, full: bool = False,
                      eps: float = 1e-6, reduction: str = "mean") -> Tensor:
    """Negative log likelihood of normals with given variances."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not valid")
    attrs = (reduction, bool(full), float(eps))
    return record_n(GAUSSIAN_NLL, Tensor, [input, target, var], attrs)


def multi_margin_loss(input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0,
                      weight: Tensor | None = None, size_average=None, reduce=None,
                      reduction: str = "mean") -> Tensor:
    """The mean over other classes of max(0, margin - x[y] + x[i])^p, p being 1 or 2."""
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    attrs = (_reduction(size_average, reduce, reduction), p, float(margin))
    operands = [input, target] + ([] if weight is None else [weight])
    return record_n(MULTI_MARGIN, Tensor, operands, attrs)


def triplet_margin_with_distance_loss(anchor: Tensor, positive: Tensor, negative: Tensor, *,
                                      distance_function=None, margin: float = 1.0,
                                      swap: bool = False, reduction: str = "mean") -> Tensor:
    """max(0, d(a, p) - d(a, n) + margin) for any distance d; `swap` also looks at d(p, n)."""
    from .functional import pairwise_distance

    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    _check_margin_value(margin)
    distance = pairwise_distance if distance_function is None else distance_function
    _check_ranks(anchor, positive, negative)
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    loss = (near - far + margin).clamp_min(0)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _reduction(size_average, reduce, reduction: str) -> str:
    from .functional import _legacy

    return _legacy(size_average, reduce, reduction)
