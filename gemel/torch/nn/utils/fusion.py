"""Linear layers and convolutions that take over a batch normalisation behind them."""

from __future__ import annotations

import copy

from gemel.tensor import no_grad
from gemel.torch.tensor import Tensor

from ..module import Module
from ..parameter import Parameter


def _scale(variance: Tensor, eps: float, weight: Tensor | None) -> Tensor:
    scale = (variance + eps).rsqrt()
    return scale if weight is None else scale * weight


def _shift(bias: Tensor | None, mean: Tensor, scale: Tensor, after: Tensor | None) -> Tensor:
    moved = -mean * scale if bias is None else (bias - mean) * scale
    return moved if after is None else moved + after


def fuse_conv_bn_weights(conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor,
                         bn_eps: float, bn_w: Tensor | None, bn_b: Tensor | None,
                         transpose: bool = False) -> tuple[Parameter, Parameter]:
    """(weight, bias) of the convolution that does both."""
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    scale = _scale(bn_rv, bn_eps, bn_w)
    weight = conv_w * scale.reshape(shape)
    bias = _shift(conv_b, bn_rm, scale, bn_b)
    asks = conv_w.requires_grad
    return Parameter(weight.detach(), asks), Parameter(bias.detach(), asks)


def fuse_linear_bn_weights(linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor,
                           bn_rv: Tensor, bn_eps: float, bn_w: Tensor, bn_b: Tensor
                           ) -> tuple[Parameter, Parameter]:
    """(weight, bias) of the linear layer that does both."""
    scale = _scale(bn_rv, bn_eps, bn_w)
    weight = linear_w * scale.unsqueeze(-1)
    bias = _shift(linear_b, bn_rm, scale, bn_b)
    asks = linear_w.requires_grad
    return Parameter(weight.detach(), asks), Parameter(bias.detach(), asks)


def _check_evaluating(*modules: Module) -> None:
    if any(m.training for m in modules):
        raise AssertionError("Fusion only for eval!")


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """A convolution in evaluation mode that does what both layers do."""
    _check_evaluating(conv, bn)
    fused = copy.deepcopy(conv)
    with no_grad():
        fused.weight, fused.bias = fuse_conv_bn_weights(
            fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias,
            transpose,
        )  # fmt: skip
    return fused


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Module:
    """A linear layer in evaluation mode that does what both layers do."""
    _check_evaluating(linear, bn)
    if bn.num_features not in (linear.out_features, 1):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1"
        )
    fused = copy.deepcopy(linear)
    with no_grad():
        fused.weight, fused.bias = fuse_linear_bn_weights(
            fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
        )
    return fused
