"""`torch.batch_norm` and its like: layers and losses in the order of arguments, and with the
numbers for reductions, that `torch` itself has."""

from __future__ import annotations

from gemel.torch.tensor import Tensor

from . import functional as F
from . import lookup, normalizing

REDUCTIONS = ("none", "mean", "sum")


def _kind(reduction) -> str:
    if isinstance(reduction, str):
        raise TypeError(f"argument 'reduction' must be int, not str: {reduction!r}")
    return REDUCTIONS[reduction]


def batch_norm(input: Tensor, weight, bias, running_mean, running_var, training: bool,
               momentum: float, eps: float, cudnn_enabled: bool = False) -> Tensor:
    """See torch.nn.functional.batch_norm."""
    return normalizing.batch_norm(input, running_mean, running_var, weight, bias, training,
                                  momentum, eps)  # fmt: skip


def instance_norm(input: Tensor, weight, bias, running_mean, running_var, use_input_stats: bool,
                  momentum: float, eps: float, cudnn_enabled: bool = False) -> Tensor:
    """See torch.nn.functional.instance_norm."""
    return normalizing.instance_norm(input, running_mean, running_var, weight, bias,
                                     use_input_stats, momentum, eps)  # fmt: skip


def layer_norm(input: Tensor, normalized_shape, weight=None, bias=None, eps: float = 1e-05,
               cudnn_enable: bool = True) -> Tensor:
    """See torch.nn.functional.layer_norm."""
    return normalizing.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(input: Tensor, num_groups: int, weight=None, bias=None, eps: float = 1e-05,
               cudnn_enabled: bool = True) -> Tensor:
    """See torch.nn.functional.group_norm."""
    return normalizing.group_norm(input, num_groups, weight, bias, eps)


def embedding(weight: Tensor, indices: Tensor, padding_idx: int = -1,
              scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """See torch.nn.functional.embedding; -1 stands for no padding."""
    padding = None if padding_idx == -1 else padding_idx
    return lookup.embedding(indices, weight, padding, None, 2.0, scale_grad_by_freq, sparse)


def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """See torch.nn.functional.dropout."""
    return F.dropout(input, p, train)


def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """See torch.nn.functional.alpha_dropout."""
    return F.alpha_dropout(input, p, train)


def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """See torch.nn.functional.feature_alpha_dropout."""
    return F.feature_alpha_dropout(input, p, train)


def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight=None, pos_weight=None,
                                     reduction: int = 1) -> Tensor:
    """See torch.nn.functional.binary_cross_entropy_with_logits."""
    return F.binary_cross_entropy_with_logits(
        input, target, weight, reduction=_kind(reduction), pos_weight=pos_weight
    )


def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0,
                          reduction: int = 1) -> Tensor:
    """See torch.nn.functional.cosine_embedding_loss."""
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=_kind(reduction))


def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0,
                        reduction: int = 1) -> Tensor:
    """See torch.nn.functional.margin_ranking_loss."""
    return F.margin_ranking_loss(input1, input2, target, margin, reduction=_kind(reduction))


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0,
                         reduction: int = 1) -> Tensor:
    """See torch.nn.functional.hinge_embedding_loss."""
    return F.hinge_embedding_loss(input, target, margin, reduction=_kind(reduction))


def kl_div(input: Tensor, target: Tensor, reduction: int = 1, *, log_target: bool = False
           ) -> Tensor:
    """See torch.nn.functional.kl_div."""
    return F.kl_div(input, target, reduction=_kind(reduction), log_target=log_target)


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float,
                     reduction: int) -> Tensor:
    """See torch.nn.functional.poisson_nll_loss."""
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=_kind(reduction))


def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0,
                        p: float = 2, eps: float = 1e-06, swap: bool = False,
                        reduction: int = 1) -> Tensor:
    """See torch.nn.functional.triplet_margin_loss."""
    return F.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap,
                                 reduction=_kind(reduction))  # fmt: skip


def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths, target_lengths, blank: int = 0,
             reduction: int = 1, zero_infinity: bool = False) -> Tensor:
    """See torch.nn.functional.ctc_loss."""
    return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, _kind(reduction),
                      zero_infinity)  # fmt: skip
