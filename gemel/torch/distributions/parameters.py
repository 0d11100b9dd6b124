"""Parameters of distributions: brought to one shape; probabilities and their logits."""

from __future__ import annotations

import numpy as np

from gemel.ops import chances
from gemel.ops.record import Call
from gemel.tensor import record1

from .. import dtypes
from ..creation import tensor
from ..tensor import Tensor
from ..views import broadcast_tensors

euler_constant = 0.57721566490153286060  # Euler Mascheroni Constant

_LOGITS = Call("probs_to_logits", lambda attrs, p: chances.logits_of(p, attrs[0]))
_PROBS = Call("logits_to_probs", lambda attrs, x: chances.of_logits(x, attrs[0]))
_CLAMP = Call("clamp_probs", lambda attrs, p: chances.inside(p))


def broadcast_all(*values) -> tuple[Tensor, ...]:
    """Tensors and numbers as tensors of one shape; numbers take the type of the tensors.

    Raises ValueError for what is neither.
    """
    tensors = [v for v in values if isinstance(v, Tensor)]
    if len(tensors) == len(values):
        shape = tensors[0].form.shape
        same = all(t.form.shape == shape for t in tensors)
        return tuple(tensors) if same else tuple(broadcast_tensors(*tensors))
    if not all(isinstance(v, Tensor | int | float | np.number) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            "__torch_function__."
        )
    kind = tensors[0].dtype if tensors else dtypes.get_default_dtype()
    made = [v if isinstance(v, Tensor) else tensor(v, dtype=kind) for v in values]
    return tuple(broadcast_tensors(*made)) if len(made) > 1 else tuple(made)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """The probabilities: sigmoid, or softmax of the last dimension."""
    return record1(_PROBS, logits, (is_binary,))


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Logarithms of the probabilities, or of their odds; 0 and 1 are moved inside by epsilon."""
    return record1(_LOGITS, probs, (is_binary,))


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities at least epsilon away from 0 and 1."""
    return record1(_CLAMP, probs)


class lazy_property:
    """A property computed when it is first asked for, and kept."""

    def __init__(self, wrapped):
        self.wrapped = wrapped
        self.name = wrapped.__name__
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.wrapped(instance)
        return value


def sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """The sum over the last `dim` dimensions."""
    if dim == 0:
        return value
    return value.reshape(tuple(value.shape[: value.dim() - dim]) + (-1,)).sum(-1)


_sum_rightmost = sum_rightmost
