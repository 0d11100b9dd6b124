"""TensorFlow's neural-network operations as calls. Role and conventions as in `calls_math`."""

from __future__ import annotations

from gemel.graph.errors import Fault
from gemel.graph.form import bool_, int32
from gemel.graph.node import Node
from gemel.ops import activations as act
from gemel.ops import elementwise as el
from gemel.ops import losses, statistics
from gemel.ops import movement as mv
from gemel.ops.reduction import amax, sum_

from .calls_array import axis_of
from .calls_math import FaceCall, _unary, require, same_type
from .dtypes import BY_ENGINE
from .errors import InvalidArgumentError, ShapeMismatch
from .shape import show

RELU = _unary("Relu", act.relu, "fiu")
RELU6 = _unary("Relu6", act.relu6)
SELU = _unary("Selu", act.selu)
SILU = _unary("Swish", act.silu)


def _with_number(name: str, build) -> FaceCall:
    """A call with one static number: attrs (number,)."""

    def expand(attrs, x):
        require(name, x, "f", "features")
        return build(x, attrs[0])

    return FaceCall(name, expand)


LEAKY_RELU = _with_number("LeakyRelu", act.leaky_relu)
ELU = _with_number("Elu", act.elu)
GELU = _with_number("Gelu", act.gelu)


def _along(name: str, build) -> FaceCall:
    """A call along one axis: attrs (axis,)."""

    def expand(attrs, x):
        require(name, x, "f", "logits")
        return build(x, axis_of(attrs[0], x.ndim))

    return FaceCall(name, expand)


SOFTMAX = _along("Softmax", act.softmax)
LOG_SOFTMAX = _along("LogSoftmax", act.log_softmax)


def _normalized(attrs, x):
    """x / |x| along the axes. attrs: (axes, epsilon)"""
    axes, epsilon = attrs
    total = sum_(x * x, axes, True)
    return x * el.rsqrt(el.maximum(total, epsilon))


L2_NORMALIZE = FaceCall("L2Normalize", _normalized)
L2_LOSS = _unary("L2Loss", lambda x: sum_(x * x) * 0.5)


def _soft_cross_entropy(attrs, labels, logits):
    """attrs: (axis,)"""
    name = "SoftmaxCrossEntropyWithLogits"
    same_type(name, logits, labels, "labels", "features")
    require(name, logits, "f", "features")
    if logits.ndim == 0 or not _broadcastable(labels.shape, logits.shape):
        raise ShapeMismatch(
            f"logits and labels must be broadcastable: logits_size={show(logits.shape)} "
            f"labels_size={show(labels.shape)}"
        )
    shape = el.broadcast_shapes(name, labels.form, logits.form)
    axis = axis_of(attrs[0], len(shape))
    return losses.soft_cross_entropy(mv.expand(logits, shape), mv.expand(labels, shape), axis)


def _broadcastable(a, b) -> bool:
    return len(a) == len(b) and all(n == m or 1 in (n, m) for n, m in zip(a, b, strict=True))


def _sparse_cross_entropy(attrs, labels, logits):
    name = "SparseSoftmaxCrossEntropyWithLogits"
    require(name, labels, "iu", "labels")
    require(name, logits, "f", "features")
    classes = logits.shape[-1]
    fault = Fault(
        InvalidArgumentError,
        "Received a label value of {value} which is outside the valid range of "
        f"[0, {classes}).",
    )
    labels = el.check_range(labels, 0, classes, fault)
    return losses.cross_entropy(logits, labels, logits.ndim - 1)


def _sigmoid_cross_entropy(attrs, labels, logits):
    same_type("SigmoidCrossEntropyWithLogits", logits, labels, "labels", "logits")
    require("SigmoidCrossEntropyWithLogits", logits, "f", "logits")
    return losses.binary_cross_entropy_logits(logits, labels)


def _weighted_cross_entropy(attrs, labels, logits, weight):
    """The positive term times weight."""
    scale = (weight - 1.0) * labels + 1.0
    tail = el.LOG1P(el.EXP(-el.ABS(logits))) + el.maximum(-logits, 0.0)
    return (1.0 - labels) * logits + scale * tail


SOFT_CROSS_ENTROPY = FaceCall("SoftmaxCrossEntropyWithLogits", _soft_cross_entropy)
SPARSE_CROSS_ENTROPY = FaceCall("SparseSoftmaxCrossEntropyWithLogits", _sparse_cross_entropy)
SIGMOID_CROSS_ENTROPY = FaceCall("SigmoidCrossEntropyWithLogits", _sigmoid_cross_entropy)
WEIGHTED_CROSS_ENTROPY = FaceCall("WeightedCrossEntropyWithLogits", _weighted_cross_entropy)


def _bias_add(attrs, x, bias):
    same_type("BiasAdd", x, bias, "bias", "value")
    if bias.ndim != 1 or x.ndim < 2 or x.shape[-1] != bias.shape[0]:
        raise ShapeMismatch(
            f"Must provide as many biases as the last dimension of the input tensor: "
            f"{show(bias.shape)} vs. {show(x.shape)}"
        )
    return x + bias


def _drop(attrs, x, noise, rate):
    """x where noise >= rate, scaled so that the mean stays."""
    rate = el.cast(rate, x.dtype)
    kept = x * (1.0 / (1.0 - rate))
    return el.where(el.le(rate, noise), kept, 0.0)


def _in_top_k(attrs, predictions, targets):
    """Is the target among the k largest? A tie counts as in. attrs: (k,)"""
    rows, classes = predictions.shape
    safe = mv.reshape(el.maximum(el.minimum(targets, classes - 1), 0), (rows, 1))
    hit = el.eq(mv.iota((rows, classes), 1, targets.dtype), safe)
    mine = sum_(el.where(hit, predictions, 0.0), 1, True)
    larger = sum_(el.cast(el.gt(predictions, mine), int32), 1)
    finite = el.eq(mine - mine, 0.0)
    inside = el.eq(safe, mv.reshape(targets, (rows, 1)))
    good = mv.reshape(el.and_(finite, inside), (rows,))
    return el.and_(el.lt(larger, attrs[0]), good)


BIAS_ADD = FaceCall("BiasAdd", _bias_add)
DROPOUT = FaceCall("Dropout", _drop)
IN_TOP_K = FaceCall("InTopKV2", _in_top_k, False, result_dtype=lambda attrs: BY_ENGINE[bool_])


def _batch_norm(attrs, x, mean, variance, offset, scale):
    """Batch normalisation from given moments. attrs: (epsilon, has offset, has scale)"""
    epsilon, shifted, scaled = attrs
    scale, offset = scale if scaled else None, offset if shifted else None
    return statistics.batch_norm(x, mean, variance, scale, offset, epsilon)


BATCH_NORM = FaceCall("BatchNormalization", _batch_norm)


def _clip_by_norm(attrs, x, limit):
    """attrs: (axes,)"""
    limit = el.cast(limit, x.dtype)
    total = sum_(x * x, attrs[0], True)
    positive = el.gt(total, 0.0)
    norm = el.where(positive, el.SQRT(el.where(positive, total, 1.0)), total)
    return x * limit / el.maximum(norm, limit)


def _global_scale(attrs, norm, limit):
    """What clip_by_global_norm multiplies with; NaN where the norm is not finite."""
    limit = el.cast(limit, norm.dtype)
    scale = limit * el.minimum(1.0 / norm, 1.0 / limit)
    return el.where(el.eq(norm - norm, 0.0), scale, norm - norm)


CLIP_BY_NORM = FaceCall("ClipByNorm", _clip_by_norm)
GLOBAL_SCALE = FaceCall("GlobalScale", _global_scale)


def _top_value(attrs, x):
    """The k largest along the last axis by repeated search: values and positions. attrs: (k,)"""
    from gemel.ops.reduction import argmax

    values: list[Node] = []
    places: list[Node] = []
    positions = mv.iota(x.shape, x.ndim - 1, int32)
    taken = None
    lowest = _lowest(x)
    for _ in range(attrs[0]):
        open_ = x if taken is None else el.where(taken, lowest, x)
        top = amax(open_, -1, True)
        place = el.cast(argmax(open_, -1, True), int32)
        hit = el.eq(positions, place)
        taken = hit if taken is None else el.or_(taken, hit)
        values.append(sum_(el.where(hit, x, 0), -1, True) if x.dtype.is_float else top)
        places.append(place)
    axis = x.ndim - 1
    return mv.concat(values, axis), mv.concat(places, axis)


def _lowest(x: Node) -> Node:
    from numpy import iinfo

    from gemel.ops.record import const

    return const(float("-inf") if x.dtype.is_float else int(iinfo(x.dtype.numpy).min), x.dtype)


TOP_K = FaceCall("TopKV2", _top_value)
