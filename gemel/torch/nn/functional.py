"""`torch.nn.functional`: layers and losses as functions. Each records one call."""

from __future__ import annotations

import warnings

from gemel.graph.form import Form
from gemel.tensor import inplace, record1, record2, record3, record_again, record_n
from gemel.torch import pointwise
from gemel.torch.checks import dimension, wrong_argument
from gemel.torch.forms import add_out
from gemel.torch.out import into
from gemel.torch.tensor import Tensor

from . import calls
from .attention import multi_head_attention_forward as multi_head_attention_forward
from .attention import scaled_dot_product_attention as scaled_dot_product_attention
from .convolution import conv1d as conv1d
from .convolution import conv2d as conv2d
from .convolution import conv3d as conv3d
from .convolution import conv_transpose1d as conv_transpose1d
from .convolution import conv_transpose2d as conv_transpose2d
from .convolution import conv_transpose3d as conv_transpose3d
from .dropping import alpha_dropout as alpha_dropout
from .dropping import dropout as dropout
from .dropping import dropout1d as dropout1d
from .dropping import dropout2d as dropout2d
from .dropping import dropout3d as dropout3d
from .dropping import feature_alpha_dropout as feature_alpha_dropout
from .folding import channel_shuffle as channel_shuffle
from .folding import fold as fold
from .folding import native_channel_shuffle as native_channel_shuffle
from .folding import pixel_shuffle as pixel_shuffle
from .folding import pixel_unshuffle as pixel_unshuffle
from .folding import unfold as unfold
from .label_losses import ctc_loss as ctc_loss
from .label_losses import linear_cross_entropy as linear_cross_entropy
from .label_losses import multilabel_margin_loss as multilabel_margin_loss
from .label_losses import multilabel_soft_margin_loss as multilabel_soft_margin_loss
from .lookup import embedding as embedding
from .lookup import embedding_bag as embedding_bag
from .lookup import one_hot as one_hot
from .noise import random_slopes
from .normalizing import batch_norm as batch_norm
from .normalizing import group_norm as group_norm
from .normalizing import instance_norm as instance_norm
from .normalizing import layer_norm as layer_norm
from .normalizing import local_response_norm as local_response_norm
from .normalizing import normalize as normalize
from .normalizing import rms_norm as rms_norm
from .operands import checked, present
from .padding import pad as pad
from .pooling import adaptive_avg_pool1d as adaptive_avg_pool1d
from .pooling import adaptive_avg_pool2d as adaptive_avg_pool2d
from .pooling import adaptive_avg_pool3d as adaptive_avg_pool3d
from .pooling import adaptive_max_pool1d as adaptive_max_pool1d
from .pooling import adaptive_max_pool1d_with_indices as adaptive_max_pool1d_with_indices
from .pooling import adaptive_max_pool2d as adaptive_max_pool2d
from .pooling import adaptive_max_pool2d_with_indices as adaptive_max_pool2d_with_indices
from .pooling import adaptive_max_pool3d as adaptive_max_pool3d
from .pooling import adaptive_max_pool3d_with_indices as adaptive_max_pool3d_with_indices
from .pooling import avg_pool1d as avg_pool1d
from .pooling import avg_pool2d as avg_pool2d
from .pooling import avg_pool3d as avg_pool3d
from .pooling import max_pool1d as max_pool1d
from .pooling import max_pool1d_with_indices as max_pool1d_with_indices
from .pooling import max_pool2d as max_pool2d
from .pooling import max_pool2d_with_indices as max_pool2d_with_indices
from .pooling import max_pool3d as max_pool3d
from .pooling import max_pool3d_with_indices as max_pool3d_with_indices
from .ranking_losses import cosine_embedding_loss as cosine_embedding_loss
from .ranking_losses import gaussian_nll_loss as gaussian_nll_loss
from .ranking_losses import hinge_embedding_loss as hinge_embedding_loss
from .ranking_losses import margin_ranking_loss as margin_ranking_loss
from .ranking_losses import multi_margin_loss as multi_margin_loss
from .ranking_losses import poisson_nll_loss as poisson_nll_loss
from .ranking_losses import soft_margin_loss as soft_margin_loss
from .ranking_losses import triplet_margin_loss as triplet_margin_loss
from .ranking_losses import triplet_margin_with_distance_loss as triplet_margin_with_distance_loss
from .resizing import interpolate as interpolate
from .resizing import upsample as upsample
from .resizing import upsample_bilinear as upsample_bilinear
from .resizing import upsample_nearest as upsample_nearest
from .sampling import affine_grid as affine_grid
from .sampling import grid_sample as grid_sample
from .unpooling import fractional_max_pool2d as fractional_max_pool2d
from .unpooling import fractional_max_pool3d as fractional_max_pool3d
from .unpooling import lp_pool1d as lp_pool1d
from .unpooling import lp_pool2d as lp_pool2d
from .unpooling import lp_pool3d as lp_pool3d
from .unpooling import max_unpool1d as max_unpool1d
from .unpooling import max_unpool2d as max_unpool2d
from .unpooling import max_unpool3d as max_unpool3d


# ---------- linear ----------
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, *, out=None) -> Tensor:
    """input [..., i] times weight [o, i] transposed, plus bias [o]."""
    operands = (input, weight) if bias is None else (input, weight, bias)
    found = record_again(calls.LINEAR, Tensor, operands) if out is None else None
    if found is not None:
        return found
    if out is not None:
        made = linear(input, weight, bias)
        return into(out, made, input, weight, bias, types="same", name="linear")
    try:
        if bias is None:
            return record2(calls.LINEAR, input, weight)
        return record3(calls.LINEAR, input, weight, bias)
    except (AttributeError, TypeError):
        if isinstance(input, Tensor):
            raise
        raise wrong_argument("linear", "input", 1, input) from None


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """sum_ij input1[..., i] weight[o, i, j] input2[..., j] + bias[o]."""
    operands = [input1, input2, weight] + ([] if bias is None else [bias])
    return record_n(calls.BILINEAR, Tensor, operands)


# ---------- activations ----------
def _activate(call, input, attrs=None, in_place: bool = False) -> Tensor:
    if not isinstance(input, Tensor):
        raise wrong_argument(call.name, "input", 1, input)
    if in_place:
        return inplace(call, input, attrs=attrs)
    return record1(call, input, attrs)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)."""
    return input.relu_() if inplace else pointwise.relu(input)


def relu_(input: Tensor) -> Tensor:
    return input.relu_()


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)."""
    return _activate(calls.RELU6, input, None, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where positive, else x times the slope."""
    return _activate(calls.LEAKY_RELU, input, (float(negative_slope),), inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, else alpha (exp(x) - 1)."""
    return _activate(calls.ELU, input, (float(alpha),), inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, else alpha (exp(x / alpha) - 1)."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _activate(calls.CELU, input, (float(alpha),), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    return _activate(calls.SELU, input, None, inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x; `approximate="tanh"` approximates it."""
    return _activate(calls.GELU, input, (approximate,))


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x)."""
    return _activate(calls.SILU, input, None, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x))."""
    return _activate(calls.MISH, input, None, inplace)


def sigmoid(input: Tensor) -> Tensor:
    return pointwise.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    return pointwise.tanh(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta; x itself where beta x is above the threshold."""
    return _activate(calls.SOFTPLUS, input, (float(beta), float(threshold)))


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return _activate(calls.SOFTSIGN, input)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)) without underflow."""
    return _activate(calls.LOG_SIGMOID, input)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0,
             inplace: bool = False) -> Tensor:
    """x kept between the two values."""
    return _activate(calls.HARDTANH, input, (float(min_val), float(max_val)), inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    return _activate(calls.HARDSIGMOID, input, None, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    return _activate(calls.HARDSWISH, input, None, inplace)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    return _activate(calls.HARDSHRINK, input, (float(lambd),))


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    return _activate(calls.SOFTSHRINK, input, (float(lambd),))


def tanhshrink(input: Tensor) -> Tensor:
    return _activate(calls.TANHSHRINK, input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where above the threshold, else the value."""
    return _activate(calls.THRESHOLD, input, (float(threshold), float(value)), inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where positive, else x times a learned slope (one, or one per channel)."""
    return record2(calls.PRELU, checked("prelu", input), weight)


def rrelu(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False,
          inplace: bool = False) -> Tensor:
    """x where positive, else x times a slope: random of [lower, upper) in training, their mean in
    evaluation. In training the input is looked at: each value that is not positive draws one."""
    checked("rrelu", input)
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = random_slopes(input, lower, upper)
    return input.mul_(slopes) if inplace else input * slopes


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10,
                   dim: int = -1) -> Tensor:
    """A sample of the Gumbel-softmax distribution (Jang et al. 2016). `hard`: one-hot, with the
    gradient of the soft sample."""
    noise = logits.detach().new_empty(logits.shape).exponential_().log()
    soft = ((logits - noise) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    one = logits.detach().new_zeros(logits.shape).scatter_(dim, index, 1.0)
    return one - soft.detach() + soft


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second."""
    return _activate(calls.GLU, input, (dim,))


def _implicit_dim(name: str, ndim: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument.",
        stacklevel=3,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype=None) -> Tensor:
    """exp(x) / sum of exp(x) along `dim`."""
    if dim is None:
        dim = _implicit_dim("softmax", checked("softmax", input).ndim)
    return checked("softmax", input).softmax(dim, dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype=None) -> Tensor:
    """softmax(-x)."""
    if dim is None:
        dim = _implicit_dim("softmin", checked("softmin", input).ndim)
    return (-input).softmax(dim, dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3,
                dtype=None) -> Tensor:
    """log(softmax(x)), computed without under- and overflow."""
    if dim is None:
        dim = _implicit_dim("log_softmax", checked("log_softmax", input).ndim)
    return checked("log_softmax", input).log_softmax(dim, dtype)


def _in_place(name: str, function):
    def write(input: Tensor, *args, **kwargs) -> Tensor:
        return function(input, *args, **kwargs, inplace=True)

    write.__name__ = write.__qualname__ = name
    write.__doc__ = f"{function.__name__} with the result written to the input."
    return write


celu_ = _in_place("celu_", celu)
elu_ = _in_place("elu_", elu)
hardtanh_ = _in_place("hardtanh_", hardtanh)
leaky_relu_ = _in_place("leaky_relu_", leaky_relu)
rrelu_ = _in_place("rrelu_", rrelu)
selu_ = _in_place("selu_", selu)
threshold_ = _in_place("threshold_", threshold)


# ---------- losses ----------
def _legacy(size_average, reduce, reduction: str) -> str:
    """The reduction that the two old arguments stand for."""
    if size_average is None and reduce is None:
        return reduction
    size_average = True if size_average is None else size_average
    reduce = True if reduce is None else reduce
    found = "none" if not reduce else "mean" if size_average else "sum"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{found}' instead.",
        stacklevel=3,
    )
    return found


def cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average=None,
                  ignore_index: int = -100, reduce=None, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Tensor:
    """Cross entropy of scores [N, C, ...] with labels [N, ...] or probabilities [N, C, ...].

    IndexError when the program runs and a label is outside the classes.
    """
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce, reduction)
    attrs = (ignore_index, reduction, float(label_smoothing))
    try:
        if weight is None:
            return record2(calls.CROSS_ENTROPY, input, target, attrs)
        return record3(calls.CROSS_ENTROPY, input, target, weight, attrs)
    except (AttributeError, TypeError):
        _check_pair("cross_entropy_loss", input, target)
        raise


def nll_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average=None,
             ignore_index: int = -100, reduce=None, reduction: str = "mean") -> Tensor:
    """Negative log likelihood of labels under log-probabilities [N, C, ...]."""
    reduction = _legacy(size_average, reduce, reduction)
    _check_pair("nll_loss", input, target)
    operands = [input, target] + ([] if weight is None else [weight])
    return record_n(calls.NLL_LOSS, Tensor, operands, (ignore_index, reduction))


def _check_pair(name: str, input, target) -> None:
    checked(name, input)
    if not isinstance(target, Tensor):
        raise wrong_argument(name, "target", 2, target)


def _size_warning(input: Tensor, target: Tensor) -> None:
    warnings.warn(
        f"Using a target size ({target.shape}) that is different to the input size "
        f"({input.shape}). This will likely lead to incorrect results due to broadcasting. Please "
        "ensure they have the same size.",
        stacklevel=4,
    )


def _pair_loss(call, name: str, input, target, attrs: tuple, weight=None) -> Tensor:
    _check_pair(name, input, target)
    first: Form = input.form
    if first is not target.form and first.shape != target.form.shape:
        _size_warning(input, target)
    if weight is None:
        return record2(call, input, target, attrs)
    per_value = record2(call, input, target, ("none", *attrs[1:])) * weight
    return _reduce_weighted(per_value, weight, attrs[0])


def _reduce_weighted(loss: Tensor, weight: Tensor, reduction: str) -> Tensor:
    """The weighted mean divides by the sum of the weights."""
    calls.check_reduction(reduction)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    return loss.sum() / weight.expand_as(loss).sum()


def mse_loss(input: Tensor, target: Tensor, size_average=None, reduce=None,
             reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """(input - target)^2."""
    reduction = _legacy(size_average, reduce, reduction)
    return _pair_loss(calls.MSE_LOSS, "mse_loss", input, target, (reduction,), weight)


def l1_loss(input: Tensor, target: Tensor, size_average=None, reduce=None,
            reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """|input - target|."""
    reduction = _legacy(size_average, reduce, reduction)
    return _pair_loss(calls.L1_LOSS, "l1_loss", input, target, (reduction,), weight)


def smooth_l1_loss(input: Tensor, target: Tensor, size_average=None, reduce=None,
                   reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """Squared below beta, linear above."""
    reduction = _legacy(size_average, reduce, reduction)
    attrs = (reduction, float(beta))
    return _pair_loss(calls.SMOOTH_L1_LOSS, "smooth_l1_loss", input, target, attrs)


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0,
               weight: Tensor | None = None) -> Tensor:
    """Squared below delta, linear above; delta times the smooth L1 loss."""
    attrs = (reduction, float(delta))
    return _pair_loss(calls.HUBER_LOSS, "huber_loss", input, target, attrs, weight)


def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None,
                         size_average=None, reduce=None, reduction: str = "mean") -> Tensor:
    """-(t log p + (1 - t) log(1 - p)); RuntimeError at run time for values outside [0, 1]."""
    reduction = _legacy(size_average, reduce, reduction)
    _check_pair("binary_cross_entropy", input, target)
    operands = [input, target] + ([] if weight is None else [weight])
    return record_n(calls.BCE, Tensor, operands, (reduction,))


def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight: Tensor | None = None,
                                     size_average=None, reduce=None, reduction: str = "mean",
                                     pos_weight: Tensor | None = None) -> Tensor:
    """Binary cross entropy of sigmoid(input), computed from the logits."""
    reduction = _legacy(size_average, reduce, reduction)
    _check_pair("binary_cross_entropy_with_logits", input, target)
    given, flags = present(weight, pos_weight)
    return record_n(calls.BCE_LOGITS, Tensor, [input, target, *given], (reduction, flags))


def kl_div(input: Tensor, target: Tensor, size_average=None, reduce=None,
           reduction: str = "mean", log_target: bool = False) -> Tensor:
    """target (log target - input), input being log-probabilities."""
    reduction = _legacy(size_average, reduce, reduction)
    _check_pair("kl_div", input, target)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size; "
            "'batchmean' divides by the batch size alone, as the definition of the divergence does",
            stacklevel=2,
        )
    return record2(calls.KL_DIV, input, target, (reduction, bool(log_target)))


# ---------- distances ----------
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The p-norm distance of every pair of rows of [N, M]: [N (N - 1) / 2]."""
    from gemel.torch.sequences import triu_indices

    if checked("pdist", input).ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if input.form.dtype.kind != "f":
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    n = input.form.shape[0]
    first, second = triu_indices(n, n, 1)
    apart = input.index_select(0, first) - input.index_select(0, second)
    # counting differences has a gradient of zeros, not none
    return apart.norm(p, -1) if p else apart.norm(p, -1) + (apart * 0.0).sum(-1)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-08) -> Tensor:
    """x1 . x2 / (|x1| |x2|) along `dim`."""
    dimension(dim, max(x1.ndim, x2.ndim))
    return record2(calls.COSINE_SIMILARITY, x1, x2, (dim, float(eps)))


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-06,
                      keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension."""
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


# Not `linear`: it is called by every layer, and the argument would cost each call a function.
_WITH_OUT = "avg_pool2d avg_pool3d gelu hardshrink logsigmoid normalize softplus softshrink"
add_out(globals(), _WITH_OUT.split())
