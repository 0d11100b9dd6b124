"""Gradient clipping: the gradients of parameters are scaled or cut in place."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gemel.graph.node import Node
from gemel.ops.elementwise import ABS, SQRT, cast, maximum, power
from gemel.ops.record import Call, const
from gemel.ops.reduction import amax, sum_
from gemel.tensor import no_grad, record_n
from gemel.torch.creation import tensor
from gemel.torch.tensor import Tensor


def _total(attrs, *grads: Node) -> Node:
    """The p-norm of all values of all gradients; attrs: (p,)."""
    (p,) = attrs
    dtype = grads[0].dtype
    found: Node | None = None
    for g in grads:
        g = cast(g, dtype)
        if p == math.inf:
            part = amax(ABS(g))
        else:
            part = sum_(g * g if p == 2.0 else power(ABS(g), p))
        found = part if found is None else maximum(found, part) if p == math.inf else found + part
    if found is None:
        return const(0, dtype)
    if p == math.inf:
        return found
    return SQRT(found) if p == 2.0 else power(found, 1.0 / p)


NORM = Call("total_norm", _total)


def _gradients(parameters) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    return [p.grad for p in parameters if p.grad is not None]


def get_total_norm(tensors: Iterable[Tensor], norm_type: float = 2.0,
                   error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """The norm of all values together, a tensor of one value."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not tensors:
        return tensor(0.0)
    total = record_n(NORM, Tensor, tensors, (float(norm_type),))
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(parameters, max_norm: float, total_norm: Tensor,
                          foreach: bool | None = None) -> None:
    """Scale the gradients by max_norm / total_norm where that is below 1."""
    with no_grad():
        scale = (max_norm / (total_norm + 1e-6)).clamp(max=1.0)
        for grad in _gradients(parameters):
            grad.mul_(scale)


def clip_grad_norm_(parameters, max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """Scale the gradients so that their common norm is at most max_norm; returns the norm before.

    Nothing is looked at unless error_if_nonfinite asks for it.
    """
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    with no_grad():
        total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
        clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_value_(parameters, clip_value: float, foreach: bool | None = None) -> None:
    """Keep every value of the gradients between -clip_value and clip_value."""
    bound = float(clip_value)
    with no_grad():
        for grad in _gradients(parameters):
            grad.clamp_(-bound, bound)
