"""The calls that layers and losses record: one each, whatever they are made of.

Here stand PyTorch's checks, promotions and error texts; the mathematics is in `gemel.ops`. An
expansion runs only when a call is first seen at a point of a program.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gemel.graph.errors import Fault
from gemel.graph.form import bool_, int64
from gemel.graph.node import Node
from gemel.ops import activations as act
from gemel.ops import losses
from gemel.ops.elementwise import (
    NOT,
    SIGMOID,
    TANH,
    cast,
    check_range,
    const,
    eq,
    gt,
    maximum,
    where,
)
from gemel.ops.linear import linear as affine
from gemel.ops.movement import expand as spread
from gemel.ops.movement import reshape, slice_
from gemel.ops.norms import vector_norm
from gemel.ops.record import Call
from gemel.ops.reduction import sum_
from gemel.torch.checks import check_broadcast, dimension, not_implemented
from gemel.torch.dtypes import short_name
from gemel.torch.promotion import as_float, promoted

from .operands import split

REDUCTIONS = ("none", "mean", "sum")


def check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")


def _reduced(per_value: Node, reduction: str) -> Node:
    check_reduction(reduction)
    return losses.reduce_loss(per_value, reduction)


# ---------- linear ----------
def _linear(attrs, x: Node, weight: Node, bias: Node | None = None) -> Node:
    if x.ndim == 0:
        raise RuntimeError(
            "both arguments to linear need to be at least 1D, but they are "
            f"{x.ndim}D and {weight.ndim}D"
        )
    if x.dtype is not weight.dtype:
        raise RuntimeError(
            "mat1 and mat2 must have the same dtype, but got "
            f"{short_name(x.dtype)} and {short_name(weight.dtype)}"
        )
    if weight.ndim == 1:
        weight = reshape(weight, (1, *weight.shape))
        return (
            _linear(attrs, x, weight, bias)
            if bias is not None
            else reshape(_linear(attrs, x, weight), x.shape[:-1])
        )
    if x.shape[-1] != weight.shape[1]:
        rows = x.form.size // x.shape[-1] if x.shape[-1] else 0
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x.shape[-1]} and "
            f"{weight.shape[1]}x{weight.shape[0]})"
        )
    if bias is not None:
        _check_bias(x, weight, bias)
    return affine(x, weight, bias)


def _check_bias(x: Node, weight: Node, bias: Node) -> None:
    out = (*x.shape[:-1], weight.shape[0])
    if bias.ndim > len(out) or bias.shape[-1:] not in ((), (1,), out[-1:]):
        raise RuntimeError(
            f"The expanded size of the tensor ({out[-1]}) must match the existing size "
            f"({bias.shape[-1]}) at non-singleton dimension {len(out) - 1}.  Target sizes: "
            f"{list(out)}.  Tensor sizes: {list(bias.shape)}"
        )
    if bias.dtype is not x.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {short_name(bias.dtype)} and "
            f"{short_name(x.dtype)}"
        )


def _bilinear(attrs, a: Node, b: Node, weight: Node, bias: Node | None = None) -> Node:
    if a.shape[:-1] != b.shape[:-1]:
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match: {list(a.shape)} and {list(b.shape)}"
        )
    sizes = (a.shape[-1], b.shape[-1])
    if sizes != weight.shape[1:]:
        raise RuntimeError(
            f"bilinear(): inputs have {sizes[0]} and {sizes[1]} features, the weight needs "
            f"{weight.shape[1]} and {weight.shape[2]}"
        )
    n = weight.shape[0]
    outer = reshape(a, (*a.shape, 1)) * reshape(b, (*b.shape[:-1], 1, b.shape[-1]))
    flat = reshape(outer, (*a.shape[:-1], sizes[0] * sizes[1]))
    return affine(flat, reshape(weight, (n, sizes[0] * sizes[1])), bias)


LINEAR = Call("linear", _linear)
BILINEAR = Call("bilinear", _bilinear)


# ---------- activations ----------
def activation(name: str, build: Callable, kernel: str | None = None, kinds: str = "f") -> Call:
    """A Call of one operand of the kinds of numbers; attrs are passed on to the builder."""

    def expand(attrs, x):
        if x.dtype.kind not in kinds:
            raise not_implemented(kernel or f"{name}_cpu", x)
        return build(x, *attrs)

    return Call(name, expand)


def _limited(attrs, x: Node) -> Node:
    """Hard tanh, of integers too; attrs: (low, high)."""
    low, high = attrs
    if x.dtype is bool_:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if x.dtype.kind == "u" and low < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    if high < low:
        raise ValueError("min_val cannot be greater than max_val")
    return act.hard_tanh(x, low, high)


def smooth(name: str, build: Callable) -> Call:
    """A Call of one operand; integers are computed in the default floating-point type."""
    return Call(name, lambda attrs, x: build(*as_float(x)))


def _celu(x, alpha):
    return act.elu(x * (1.0 / alpha)) * alpha


def _gelu(x, approximate):
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return act.gelu(x, approximate == "tanh")


def _glu(x, dim):
    axis = dimension(dim, x.ndim)
    n = x.shape[axis]
    if n % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {axis} is size {n}")
    whole = [(0, m, 1) for m in x.shape]
    first, second = list(whole), list(whole)
    first[axis] = (0, n // 2, 1)
    second[axis] = (n // 2, n, 1)
    return slice_(x, tuple(first)) * SIGMOID(slice_(x, tuple(second)))


def _threshold(x, limit, value):
    return where(gt(x, limit), x, const(value, x.dtype))


def _prelu(attrs, x, weight):
    if weight.ndim > 1:
        raise RuntimeError(
            "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = "
            f"{weight.ndim}"
        )
    if weight.form.size != 1 and not x.ndim:
        raise RuntimeError("Not allow zero-dim input tensor.")
    if weight.form.size != 1:
        channels = x.shape[1] if x.ndim > 1 else 1
        if weight.form.size != channels:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.form.size} and channel size = {channels}."
            )
        weight = reshape(weight, (channels,) + (1,) * (x.ndim - 2))
    else:
        weight = reshape(weight, ())
    return where(gt(x, 0.0), x, x * weight)


def _softshrink(x, limit):
    if limit < 0:
        largest = np.finfo(x.dtype.numpy).max
        raise RuntimeError(
            f"lambda must be in range [0, {largest:g}] for input dtype {short_name(x.dtype)}, but "
            f"found {limit:g}"
        )
    return where(gt(x, limit), x - limit, where(gt(-x, limit), x + limit, x * 0.0))


PRELU = Call("prelu", _prelu)
RELU6 = Call("relu6", lambda attrs, x: _limited((0.0, 6.0), x))
LEAKY_RELU = activation("leaky_relu", act.leaky_relu)
ELU = activation("elu", act.elu)
CELU = activation("celu", _celu, "elu_cpu")
SELU = activation("selu", act.selu, "elu_cpu")
GELU = activation("gelu", _gelu, "GeluKernelImpl")
SILU = activation("silu", act.silu, kinds="fc")
MISH = activation("mish", act.mish)
SOFTPLUS = activation("softplus", act.softplus)
SOFTSIGN = smooth("softsign", act.softsign)
LOG_SIGMOID = activation("log_sigmoid", act.log_sigmoid)
HARDTANH = Call("hardtanh", _limited)
HARDSIGMOID = activation("hardsigmoid", act.hard_sigmoid)
HARDSWISH = activation("hardswish", act.hard_swish)
HARDSHRINK = activation("hardshrink", act.hard_shrink)
SOFTSHRINK = activation("softshrink", _softshrink)
TANHSHRINK = smooth("tanhshrink", lambda x: x - TANH(x))
THRESHOLD = activation("threshold", _threshold)
GLU = activation("glu", _glu)


# ---------- losses of labels ----------
_LABEL_FAULT = Fault(IndexError, "Target {value} is out of bounds.")


def _check_labels(x: Node, target: Node) -> None:
    """PyTorch's checks of a class-index target against scores [N, C, ...] or [C]."""
    if x.ndim <= 2:
        if target.ndim > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if x.ndim == 2 and target.ndim == 0 or x.ndim == 2 and x.shape[0] != target.shape[0]:
            n = target.shape[0] if target.ndim else 1
            raise ValueError(
                f"Expected input batch_size ({x.shape[0]}) to match target batch_size ({n})."
            )
    else:
        expected = (x.shape[0], *x.shape[2:])
        if target.shape != expected:
            raise RuntimeError(f"Expected target size {list(expected)}, got {list(target.shape)}")
    if target.dtype.name not in ("int64", "uint8"):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {short_name(target.dtype)}"
        )


def _check_weight(x: Node, weight: Node | None, classes: int) -> None:
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but "
            f"got weight tensor of shape: {list(weight.shape)}"
        )
    if weight is not None and weight.dtype is not x.dtype:
        raise RuntimeError(
            f"expected scalar type {short_name(x.dtype)} but found {short_name(weight.dtype)}"
        )


def _class_weight(weight: Node, x: Node, axis: int) -> Node:
    """The class weights along the class axis of x."""
    return spread(reshape(weight, (weight.shape[0],) + (1,) * (x.ndim - axis - 1)), x.shape)


def _nll_parts(log_p, target, weight, ignored: int, axis: int):
    """(loss per sample, weight per sample), both 0 for ignored labels."""
    labels = cast(target, int64)
    if log_p.ndim == 1 and labels.ndim == 1:
        labels = reshape(labels, ())
    kept = NOT(eq(labels, ignored))
    safe = check_range(where(kept, labels, const(0, int64)), 0, log_p.shape[axis], _LABEL_FAULT)
    zero = const(0, log_p.dtype)
    loss = where(kept, losses.nll(log_p, safe, axis), zero)
    if weight is None:
        return loss, where(kept, const(1, log_p.dtype), zero)
    own = losses.pick(_class_weight(weight, log_p, axis), safe, axis)
    own = where(kept, own, zero)
    return loss * own, own


def _label_mean(loss, share, reduction: str):
    if reduction == "mean":
        return sum_(loss) / sum_(share)
    return _reduced(loss, reduction)


def _nll_loss(attrs, log_p, target, weight=None):
    ignored, reduction = attrs
    check_reduction(reduction)
    if log_p.ndim == 0:
        raise RuntimeError("input tensor should be 1D or 2D")
    if log_p.dtype.kind != "f":
        raise not_implemented("nll_loss_out_frame", log_p)
    axis = 1 if log_p.ndim > 1 else 0
    _check_labels(log_p, target)
    _check_weight(log_p, weight, log_p.shape[axis])
    loss, share = _nll_parts(log_p, target, weight, ignored, axis)
    return _label_mean(loss, share, reduction)


def _cross_entropy(attrs, x, target, weight=None):
    ignored, reduction, smoothing = attrs
    check_reduction(reduction)
    if not 0.0 <= smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {smoothing:g}")
    if x.dtype.kind != "f":
        raise not_implemented("log_softmax_lastdim_kernel_impl", x)
    axis = 1 if x.ndim > 1 else 0
    if target.shape == x.shape:
        return _soft_targets(x, target, weight, reduction, smoothing, axis)
    _check_labels(x, target)
    _check_weight(x, weight, x.shape[axis])
    log_p = act.log_softmax(x, axis)
    loss, share = _nll_parts(log_p, target, weight, ignored, axis)
    if not smoothing:
        return _label_mean(loss, share, reduction)
    every = log_p if weight is None else log_p * _class_weight(weight, x, axis)
    even = -sum_(every, axis)
    kept = NOT(eq(reshape(cast(target, int64), even.shape), ignored))
    even = where(kept, even, const(0, x.dtype))
    return _label_mean(
        loss * (1.0 - smoothing) + even * (smoothing / x.shape[axis]), share, reduction
    )


def _soft_targets(x, target, weight, reduction, smoothing, axis):
    """Cross entropy with a distribution per sample as target."""
    if target.dtype.kind != "f":
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{short_name(target.dtype)}"
        )
    _check_weight(x, weight, x.shape[axis])
    x, target = promoted(x, target)
    classes = x.shape[axis]
    if smoothing:
        target = target * (1.0 - smoothing) + smoothing / classes
    log_p = act.log_softmax(x, axis)
    log_p = log_p if weight is None else log_p * _class_weight(weight, x, axis)
    loss = -sum_(target * log_p, axis)
    if reduction == "mean":
        return sum_(loss) / float(x.form.size // classes)
    return _reduced(loss, reduction)


NLL_LOSS = Call("nll_loss", _nll_loss)
CROSS_ENTROPY = Call("cross_entropy", _cross_entropy)


# ---------- losses of two tensors ----------
def _paired(name: str, kernel: str, build: Callable) -> Call:
    """A loss of input and target that broadcast; attrs: (reduction, ...), the rest for build."""

    def expand(attrs, x, target):
        check_broadcast(x, target)
        x, target = promoted(x, target)
        if x.dtype.kind != "f" and kernel:
            raise not_implemented(kernel, x)
        return _reduced(build(x, target, *attrs[1:]), attrs[0])

    return Call(name, expand)


def _l1(x, target):
    return losses.absolute_error(x, target)


def _smooth_l1(x, target, beta):
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return losses.absolute_error(x, target)
    return losses.huber(x, target, beta) * (1.0 / beta)


def _huber(x, target, delta):
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    return losses.huber(x, target, delta)


MSE_LOSS = _paired("mse_loss", "mse_cpu", losses.squared_error)
L1_LOSS = _paired("l1_loss", "", _l1)
SMOOTH_L1_LOSS = _paired("smooth_l1_loss", "smooth_l1_cpu", _smooth_l1)
HUBER_LOSS = _paired("huber_loss", "huber_cpu", _huber)


def _kl_div(attrs, x, target):
    reduction, log_target = attrs
    check_broadcast(target, x)
    x, target = promoted(x, target)
    if log_target:
        from gemel.ops.elementwise import EXP

        loss = EXP(target) * (target - x)
    else:
        loss = losses.kl_divergence(x, target)
    if reduction == "batchmean":
        return sum_(loss) / float(x.shape[0] if x.ndim else 1)
    return _reduced(loss, reduction)


KL_DIV = Call("kl_div", _kl_div)


def _unit_fault(what: str) -> Fault:
    return Fault(RuntimeError, f"all elements of {what} should be between 0 and 1")


_INPUT_FAULT = _unit_fault("input")
_TARGET_FAULT = _unit_fault("target")


def _in_unit(x: Node, fault: Fault) -> Node:
    """x, checked at run time to lie in [0, 1] (NaN does not)."""
    inside = where(gt(const(0, x.dtype), x), const(0, int64), const(1, int64))
    inside = where(gt(x, 1.0), const(0, int64), inside)
    inside = where(eq(x, x), inside, const(0, int64))
    return where(eq(check_range(inside, 1, 2, fault), 1), x, const(0, x.dtype))


def _bce(attrs, x, target, weight=None):
    (reduction,) = attrs
    if x.shape != target.shape:
        raise ValueError(
            f"Using a target size (torch.Size({list(target.shape)})) that is different to the "
            f"input size (torch.Size({list(x.shape)})) is deprecated. Please ensure they have the "
            "same size."
        )
    if x.dtype.kind != "f":
        raise not_implemented("binary_cross_entropy", x)
    if target.dtype is not x.dtype:
        raise RuntimeError(
            f"Found dtype {short_name(target.dtype)} but expected {short_name(x.dtype)}"
        )
    loss = losses.binary_cross_entropy(_in_unit(x, _INPUT_FAULT), _in_unit(target, _TARGET_FAULT))
    return _reduced(loss if weight is None else loss * weight, reduction)


def _bce_logits(attrs, x, target, *rest):
    reduction, flags = attrs
    weight, positive = split(rest, flags)
    if x.shape != target.shape:
        raise ValueError(
            f"Target size (torch.Size({list(target.shape)})) must be the same as input size "
            f"(torch.Size({list(x.shape)}))"
        )
    if target.dtype.kind != "f" or x.dtype.kind != "f":
        wrong = target if target.dtype.kind != "f" else x
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {short_name(wrong.dtype)}"
        )
    x, target = promoted(x, target)
    if positive is None:
        loss = losses.binary_cross_entropy_logits(x, target)
    else:
        scale = (positive - 1.0) * target + 1.0
        loss = (1.0 - target) * x - scale * act.log_sigmoid(x)
    return _reduced(loss if weight is None else loss * weight, reduction)


BCE = Call("binary_cross_entropy", _bce)
BCE_LOGITS = Call("binary_cross_entropy_with_logits", _bce_logits)


# ---------- distances ----------
def _cosine_similarity(attrs, a, b):
    dim, epsilon = attrs
    a, b = promoted(a, b)
    shape = check_broadcast(a, b)
    axis = dimension(dim, len(shape))
    a, b = spread(a, shape), spread(b, shape)
    sizes = (maximum(vector_norm(v, 2, axis, True), epsilon) for v in (a, b))
    return sum_(a / next(sizes) * (b / next(sizes)), axis)


COSINE_SIMILARITY = Call("cosine_similarity", _cosine_similarity)
