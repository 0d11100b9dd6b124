"""`Variable`: what tensors with gradients were before they were all tensors."""

from __future__ import annotations

from ..tensor import Tensor


class _Kind(type):
    def __instancecheck__(cls, x) -> bool:
        return isinstance(x, Tensor)


class Variable(metaclass=_Kind):
    """`Variable(x, requires_grad=True)` is x, looked at as a leaf of its own."""

    def __new__(cls, data, requires_grad: bool = False, volatile: bool = False):
        made = data.detach()
        return made.requires_grad_() if requires_grad else made
