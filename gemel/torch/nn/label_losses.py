"""Losses of sequences and of several labels: CTC, multi-label margins, linear cross entropy."""

from __future__ import annotations

import math

from gemel.graph.errors import Fault
from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops import ctc, losses
from gemel.ops.activations import log_sigmoid
from gemel.ops.elementwise import cast, check_range, maximum, minimum
from gemel.ops.indexing import gather
from gemel.ops.movement import arange, reshape
from gemel.ops.ordering import running_sum
from gemel.ops.record import Call
from gemel.ops.statistics import mean
from gemel.tensor import grad_enabled, record_n
from gemel.torch.checks import not_implemented, wrong_argument
from gemel.torch.promotion import promoted
from gemel.torch.tensor import Tensor

from .calls import check_reduction

_INPUT_FAULT = Fault(
    RuntimeError, "Expected input_lengths to have value at most the length of log_probs, but got "
    "value {value}"
)
_COUNT_FAULT = Fault(
    RuntimeError, "Expected tensor to have size at least the target length at dimension 1, but got "
    "a target length of {value}"
)
_LABEL_FAULT = Fault(RuntimeError, "ctc_loss: target {value} is not a class")


# ---------- connectionist temporal classification ----------
def _padded(flat: Node, counts: Node, width: int) -> Node:
    """Targets one after the other as rows [N, width]."""
    batch = counts.shape[0]
    counts = cast(counts, int64)
    start = reshape(running_sum(counts, 0) - counts, (batch, 1))
    at = start + reshape(arange(width, int64), (1, width))
    return gather(flat, maximum(minimum(at, flat.shape[0] - 1), 0), 0)


def _ctc_loss(attrs, log_p: Node, targets: Node, lengths: Node, counts: Node) -> Node:
    blank, reduction, finite, slope, width = attrs
    check_reduction(reduction)
    single = log_p.ndim == 2
    if single:
        log_p = reshape(log_p, (log_p.shape[0], 1, log_p.shape[1]))
    time, batch, classes = log_p.shape
    lengths, counts = reshape(lengths, (lengths.form.size,)), reshape(counts, (counts.form.size,))
    _check_ctc(log_p, targets, lengths, counts, blank)
    if single and targets.ndim == 1:
        targets = reshape(targets, (1, targets.shape[0]))
    elif targets.ndim == 1:
        targets = _padded(targets, counts, width)
    lengths = check_range(cast(lengths, int64), 0, time + 1, _INPUT_FAULT)
    counts = check_range(cast(counts, int64), 0, targets.shape[1] + 1, _COUNT_FAULT)
    loss = ctc.ctc(log_p, targets, lengths, counts, blank, finite, slope)
    if reduction == "mean":
        return mean(loss / cast(maximum(counts, 1), loss.dtype))
    return losses.reduce_loss(reshape(loss, ()) if single else loss, reduction)


def _check_ctc(log_p: Node, targets: Node, lengths: Node, counts: Node, blank: int) -> None:
    time, batch, classes = log_p.shape
    if log_p.dtype.kind != "f":
        raise not_implemented("ctc_loss_cpu", log_p)
    if not log_p.form.size:
        raise RuntimeError("log_probs tensor must not be empty")
    if targets.dtype.kind not in "iu":
        raise RuntimeError("ctc_loss: targets must be integers")
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    for what, given in (("input_lengths", lengths), ("target_lengths", counts)):
        if given.dtype.kind not in "iu":
            raise RuntimeError(f"{what} must be integral")
        if given.shape[0] != batch:
            raise RuntimeError(f"{what} must be of size batch_size")


CTC_LOSS = Call("ctc_loss", _ctc_loss)


def _lengths(given) -> Tensor:
    if isinstance(given, Tensor):
        return given
    from gemel.torch.creation import tensor

    return tensor(list(given) if isinstance(given, tuple | list) else given)


def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths, target_lengths, blank: int = 0,
             reduction: str = "mean", zero_infinity: bool = False) -> Tensor:
    """Connectionist temporal classification (Graves et al. 2006).

    log_probs [T, N, C] or [T, C]: outputs of a log-softmax; targets [N, S] or one after the other;
    `zero_infinity` makes losses of targets that do not fit 0.
    """
    for place, (what, given) in enumerate((("log_probs", log_probs), ("targets", targets)), 1):
        if not isinstance(given, Tensor):
            raise wrong_argument("ctc_loss", what, place, given)
    lengths, counts = _lengths(input_lengths), _lengths(target_lengths)
    width = 0
    if targets.ndim == 1 and log_probs.ndim == 3:
        width = int(counts.max().item()) if counts.numel() else 0
    slope = log_probs.requires_grad and grad_enabled()
    attrs = (int(blank), reduction, bool(zero_infinity), slope, width)
    return record_n(CTC_LOSS, Tensor, [log_probs, targets, lengths, counts], attrs)


# ---------- several labels ----------
def _check_classes(x: Node, target: Node) -> None:
    shape = x.shape
    if x.ndim > 2 or 0 in shape[1:] or x.ndim == 1 and not shape[0]:
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(shape)}"
        )
    if target.shape != shape and not (x.ndim <= 1 and target.form.size == x.form.size):
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: "
                           f"{list(shape)}")


def _multilabel_margin(attrs, x: Node, target: Node) -> Node:
    (reduction,) = attrs
    check_reduction(reduction)
    _check_classes(x, target)
    if target.dtype is not int64:
        raise RuntimeError("expected scalar type Long but found " + target.dtype.name)
    n = x.shape[-1] if x.ndim else 1
    flat = reshape(x, (x.form.size // n, n))
    loss = losses.multilabel_margin(flat, reshape(target, flat.shape), _LABEL_FAULT)
    return losses.reduce_loss(reshape(loss, x.shape[:-1]), reduction)


def _multilabel_soft_margin(attrs, x: Node, target: Node, weight: Node | None = None) -> Node:
    (reduction,) = attrs
    check_reduction(reduction)
    x, target = promoted(x, target)
    loss = -(target * log_sigmoid(x) + (1.0 - target) * log_sigmoid(-x))
    loss = loss if weight is None else loss * weight
    return losses.reduce_loss(mean(loss, loss.ndim - 1), reduction)


MULTILABEL_MARGIN = Call("multilabel_margin_loss", _multilabel_margin)
MULTILABEL_SOFT_MARGIN = Call("multilabel_soft_margin_loss", _multilabel_soft_margin)


def _reduction(size_average, reduce, reduction: str) -> str:
    from .functional import _legacy

    return _legacy(size_average, reduce, reduction)


def multilabel_margin_loss(input: Tensor, target: Tensor, size_average=None, reduce=None,
                           reduction: str = "mean") -> Tensor:
    """Margins of several labels (listed up to the first -1) over all others, [N, C] or [C]."""
    attrs = (_reduction(size_average, reduce, reduction),)
    return record_n(MULTILABEL_MARGIN, Tensor, [input, target], attrs)


def multilabel_soft_margin_loss(input: Tensor, target: Tensor, weight: Tensor | None = None,
                                size_average=None, reduce=None,
                                reduction: str = "mean") -> Tensor:
    """The mean over classes of the binary cross entropies of logits."""
    attrs = (_reduction(size_average, reduce, reduction),)
    operands = [input, target] + ([] if weight is None else [weight])
    return record_n(MULTILABEL_SOFT_MARGIN, Tensor, operands, attrs)


# ---------- a linear layer and cross entropy ----------
def _check_linear(input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if input.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if weight.ndim < 2:
        raise RuntimeError(
            f"expected linear_weight with dimensionality at least 2, got {weight.ndim}"
        )
    if input.shape[-1] != weight.shape[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.shape[-1]} and {weight.shape[-1]}, respectively"
        )
    outputs = tuple(weight.shape[:-1])
    if bias is not None and tuple(bias.shape) != outputs:
        raise RuntimeError(f"expected linear_bias shape {outputs}, got {tuple(bias.shape)}")
    if weight.ndim > 2 and input.ndim == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(weight.shape)} requires "
            f"batched input, (N, {input.shape[-1]}), got unbatched input with shape "
            f"{tuple(input.shape)}"
        )


def linear_cross_entropy(input: Tensor, linear_weight: Tensor, target: Tensor, *,
                         linear_bias: Tensor | None = None, weight: Tensor | None = None,
                         reduction: str = "mean", ignore_index: int | None = None,
                         label_smoothing: float = 0.0, options=None) -> Tensor:
    """Cross entropy of linear(input, linear_weight, linear_bias) with the target.

    linear_weight [C, ..., in]. `options` say how PyTorch saves memory; the result is the same.
    """
    from .functional import cross_entropy, linear

    _check_linear(input, linear_weight, linear_bias)
    outputs = tuple(linear_weight.shape[:-1])
    shape = (*input.shape[:-1], *outputs)
    if tuple(target.shape) == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    rows = math.prod(outputs)
    bias = None if linear_bias is None else linear_bias.reshape(rows)
    logits = linear(input, linear_weight.reshape(rows, linear_weight.shape[-1]), bias)
    return cross_entropy(
        logits.reshape(shape), target, weight=weight, reduction=reduction,
        ignore_index=-100 if ignore_index is None else ignore_index,
        label_smoothing=label_smoothing,
    )  # fmt: skip
