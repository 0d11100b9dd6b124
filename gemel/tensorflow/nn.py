"""`tf.nn`: activations, losses on logits, normalisation. Names and defaults; see `calls_nn`."""

from __future__ import annotations

from . import calls_nn as calls
from . import math
from .array import gather, squeeze, stop_gradient
from .array import shape as _shape_of
from .convert import convert_to_tensor
from .dispatch import apply, operands_of_one_type, static
from .math import in_top_k as in_top_k
from .math import l2_normalize as l2_normalize
from .math import log_sigmoid as log_sigmoid
from .math import sigmoid as sigmoid
from .math import softplus as softplus
from .math import softsign as softsign
from .math import tanh as tanh
from .math import top_k as top_k
from .random import uniform as _uniform
from .windows import avg_pool as avg_pool
from .windows import avg_pool1d as avg_pool1d
from .windows import avg_pool2d as avg_pool2d
from .windows import avg_pool3d as avg_pool3d
from .windows import conv1d as conv1d
from .windows import conv1d_transpose as conv1d_transpose
from .windows import conv2d as conv2d
from .windows import conv2d_transpose as conv2d_transpose
from .windows import conv3d as conv3d
from .windows import conv3d_transpose as conv3d_transpose
from .windows import convolution as convolution
from .windows import depthwise_conv2d as depthwise_conv2d
from .windows import max_pool as max_pool
from .windows import max_pool1d as max_pool1d
from .windows import max_pool2d as max_pool2d
from .windows import max_pool3d as max_pool3d
from .windows import separable_conv2d as separable_conv2d


def relu(features, name=None):
    """max(x, 0)."""
    return apply(calls.RELU, (features,), (), name or "Relu")


def relu6(features, name=None):
    return apply(calls.RELU6, (features,), (), name or "Relu6")


def selu(features, name=None):
    return apply(calls.SELU, (features,), (), name or "Selu")


def silu(features, beta=1.0, name=None):
    """x * sigmoid(beta * x)."""
    if isinstance(beta, (int, float)) and beta == 1:
        return apply(calls.SILU, (features,), (), name or "swish")
    features = convert_to_tensor(features)
    return math.multiply(features, math.sigmoid(math.multiply(features, beta)), name)


swish = silu


def elu(features, name=None):
    return apply(calls.ELU, (features,), (1.0,), name or "Elu")


def leaky_relu(features, alpha=0.2, name=None):
    """x, or alpha x where x is negative."""
    features = convert_to_tensor(features)
    if not features.dtype.is_floating:
        features = math.cast(features, "float32")
    return apply(calls.LEAKY_RELU, (features,), (float(alpha),), name or "LeakyRelu")


def gelu(features, approximate=False, name=None):
    return apply(calls.GELU, (features,), (bool(approximate),), name or "Gelu")


def crelu(features, axis=-1, name=None):
    """relu(x) and relu(-x) side by side."""
    from .array import concat

    features = convert_to_tensor(features)
    return concat([relu(features), relu(-features)], axis, name=name or "CRelu")


def softmax(logits, axis=None, name=None, dim=None):
    """exp(x) / sum exp(x) along the axis (the last one where None)."""
    axis = dim if axis is None else axis
    return apply(calls.SOFTMAX, (logits,), (-1 if axis is None else axis,), name or "Softmax")


def log_softmax(logits, axis=None, name=None, dim=None):
    """The logarithm of softmax."""
    axis = dim if axis is None else axis
    attrs = (-1 if axis is None else axis,)
    return apply(calls.LOG_SOFTMAX, (logits,), attrs, name or "LogSoftmax")


# ---------- losses ----------
def softmax_cross_entropy_with_logits(labels, logits, axis=-1, name=None):
    """The cross entropy of each row of labels (distributions) with softmax(logits)."""
    logits = convert_to_tensor(logits)
    labels = convert_to_tensor(labels, dtype_hint=logits.dtype)
    name = name or "softmax_cross_entropy_with_logits"
    return apply(calls.SOFT_CROSS_ENTROPY, (labels, logits), (static(axis),), name)


softmax_cross_entropy_with_logits_v2 = softmax_cross_entropy_with_logits


def softmax_cross_entropy_without_label_gradient(
    _sentinel=None, labels=None, logits=None, dim=-1, name=None, axis=None
):
    """TensorFlow 1's form: no gradient flows to the labels."""
    _only_named("softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    logits = convert_to_tensor(logits)
    labels = stop_gradient(convert_to_tensor(labels, dtype_hint=logits.dtype))
    axis = dim if axis is None else axis
    return softmax_cross_entropy_with_logits(labels, logits, axis, name)


def sparse_softmax_cross_entropy_with_logits(
    labels=None, logits=None, name=None, _sentinel=None
):
    """The cross entropy of each label (a class) with softmax(logits) of its row.

    ValueError where the shapes do not fit; a label outside of the classes stops the program with
    InvalidArgumentError.
    """
    _only_named("sparse_softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    labels, logits = convert_to_tensor(labels), convert_to_tensor(logits)
    a, b = labels.shape, logits.shape
    if b.rank == 0:
        raise ValueError(f"`logits` cannot be a scalar. Received logits={logits}`")
    known = a.rank is not None and b.rank is not None
    if known and a.rank != b.rank - 1:
        raise ValueError(
            f"`labels.shape.rank` must equal `logits.shape.rank - 1`. Received: labels.shape={a} "
            f"of rank {a.rank} and logits.shape={b} of rank {b.rank}"
        )
    if known and not a.is_compatible_with(b[:-1]):
        raise ValueError(
            "`labels.shape` must equal `logits.shape` except for the last dimension. Received: "
            f"labels.shape={a} and logits.shape={b}"
        )
    name = name or "SparseSoftmaxCrossEntropyWithLogits"
    return apply(calls.SPARSE_CROSS_ENTROPY, (labels, logits), (), name)


def sigmoid_cross_entropy_with_logits(labels=None, logits=None, name=None, _sentinel=None):
    """The cross entropy of each truth value (or probability) with sigmoid(logits)."""
    _only_named("sigmoid_cross_entropy_with_logits", _sentinel, labels, logits)
    logits = convert_to_tensor(logits)
    labels = convert_to_tensor(labels, dtype_hint=logits.dtype)
    if not logits.shape.is_compatible_with(labels.shape):
        raise ValueError(
            f"`logits` and `labels` must have the same shape, received ({logits.shape} vs "
            f"{labels.shape})."
        )
    return apply(calls.SIGMOID_CROSS_ENTROPY, (labels, logits), (), name or "logistic_loss")


def weighted_cross_entropy_with_logits(labels, logits, pos_weight, name=None):
    """The same with the positive term times pos_weight."""
    logits = convert_to_tensor(logits)
    labels = convert_to_tensor(labels, dtype_hint=logits.dtype)
    weight = convert_to_tensor(pos_weight, dtype_hint=logits.dtype)
    return apply(calls.WEIGHTED_CROSS_ENTROPY, (labels, logits, weight), (), name)


def _only_named(function: str, sentinel, labels, logits) -> None:
    if sentinel is not None:
        raise ValueError(f"Only call `{function}` with named arguments (labels=..., logits=..., "
                         "...)")
    if labels is None or logits is None:
        raise ValueError("Both `labels` and `logits` must be provided.")


def l2_loss(t, name=None):
    """Half the sum of squares."""
    return apply(calls.L2_LOSS, (t,), (), name or "L2Loss")


# ---------- layers ----------
def bias_add(value, bias, data_format=None, name=None):
    """A bias for each channel: the last axis, or with NC... the second one."""
    if data_format is not None and data_format.startswith("NC") and len(data_format) > 2:
        from .array import reshape

        value = convert_to_tensor(value)
        shape = [1, -1] + [1] * (value.shape.rank - 2)
        return math.add(value, reshape(bias, shape), name or "BiasAdd")
    return apply(calls.BIAS_ADD, (value, bias), (), name or "BiasAdd")


def xw_plus_b(x, weights, biases, name=None):
    from .linalg import matmul

    return bias_add(matmul(x, weights), biases, name=name or "xw_plus_b")


def dropout(x, rate=None, noise_shape=None, seed=None, name=None, keep_prob=None):
    """Cells zero with probability `rate`, the others scaled by 1 / (1 - rate).

    keep_prob  TensorFlow 1's way to say it: 1 - rate
    """
    if keep_prob is not None:
        rate = 1 - keep_prob
    return dropped(x, rate, noise_shape, seed, name)


def dropped(x, rate, noise_shape=None, seed=None, name=None):
    """Dropout by the rate alone."""
    x = convert_to_tensor(x)
    if not x.dtype.is_floating:
        raise ValueError("`x.dtype` must be a floating point tensor as `x` will be scaled. "
                         f"Received: x_dtype={x.dtype!r}")
    if isinstance(rate, (int, float)):
        if not 0 <= rate < 1:
            raise ValueError(f"`rate` must be a scalar tensor or a float in the range [0, 1). "
                             f"Received: rate={rate}")
        if rate == 0:
            return x
        rate = float(rate)
    rate = convert_to_tensor(rate, dtype_hint=x.dtype)
    shape = noise_shape
    if shape is None:
        shape = x.shape if x.shape.is_fully_defined() else _shape_of(x)
    noise = _uniform(shape, dtype=x.dtype, seed=seed, name=(name or "dropout") + "/random_uniform")
    return apply(calls.DROPOUT, (x, noise, rate), (), name or "dropout")


def dropout_by_keeping(
    x, keep_prob=None, noise_shape=None, seed=None, name=None, rate=None
):
    """TensorFlow 1's form: the second argument is the probability to keep a cell."""
    if rate is None and keep_prob is None:
        raise ValueError("At least one of `rate` or `keep_prob` must be provided")
    if rate is None:
        rate = 1 - keep_prob
    return dropped(x, rate, noise_shape, seed, name)


def embedding_lookup(params, ids, max_norm=None, name=None, partition_strategy=None):
    """The rows of params at the ids."""
    if isinstance(params, (list, tuple)):
        if len(params) != 1:
            raise NotImplementedError("embedding_lookup over several partitions")
        params = params[0]
    rows = gather(params, ids, axis=0, name=name or "embedding_lookup")
    return rows if max_norm is None else math.clip_by_norm(rows, max_norm, axes=[-1])


def moments(x, axes, shift=None, keepdims=False, name=None, keep_dims=None):
    """(mean, variance) over the axes."""
    keep = bool(keepdims or keep_dims)
    x = convert_to_tensor(x)
    mean = math.reduce_mean(x, axes, True)
    spread = math.squared_difference(x, stop_gradient(mean))
    variance = math.reduce_mean(spread, axes, keep)
    return (mean if keep else squeeze(mean, static(axes))), variance


def batch_normalization(x, mean, variance, offset, scale, variance_epsilon, name=None):
    """scale * (x - mean) / sqrt(variance + epsilon) + offset."""
    given = [x, mean, variance]
    x = convert_to_tensor(x)
    filler = convert_to_tensor(0.0, dtype_hint=x.dtype)
    given += [filler if offset is None else offset, filler if scale is None else scale]
    attrs = (float(variance_epsilon), offset is not None, scale is not None)
    return apply(calls.BATCH_NORM, given, attrs, name or "batchnorm")


def zero_fraction(value, name=None):
    """The share of cells that are zero."""
    value = convert_to_tensor(value)
    zero, value = operands_of_one_type(value, 0)
    hit = math.cast(math.equal(zero, value), "float32")
    return math.reduce_mean(hit, name=name or "zero_fraction")


def __getattr__(name: str):
    from ._missing import missing

    raise missing("nn", name)
