"""In-place calls with PyTorch's words for what cannot be written."""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.tensor import errors

from .overlap import INSIDE, check_overlap
from .tensor import Tensor

_LEAF = {
    "leaf": "a leaf Variable that requires grad is being used in an in-place operation.",
    "view": "a view of a leaf Variable that requires grad is being used in an in-place operation.",
    "no_grad view": "A view was created in no_grad mode and is being modified inplace with grad "
    "mode enabled. Make the view again, or write inside no_grad.",
}


def _reworded(error: errors.TensorError) -> RuntimeError:
    if isinstance(error, errors.LeafInPlace):
        return RuntimeError(_LEAF[error.kind])
    if isinstance(error, errors.OverlappingWrite):
        return RuntimeError(INSIDE)
    return error


def inplace(call, t, *operands, attrs=None):
    """t's value becomes call(t, *operands); see `gemel.tensor.inplace`."""
    for o in operands:
        if isinstance(o, Tensor) and o.st is t.st and (t.lens is not None or o.lens is not None):
            check_overlap(t, (o,), partial=True)
    try:
        return lazy.inplace(call, t, *operands, attrs=attrs)
    except errors.TensorError as error:
        raise _reworded(error) from None


def write(t, value):
    """t's value becomes `value`, broadcast and cast."""
    if isinstance(value, Tensor) and value.st is t.st:
        check_overlap(t, (value,), partial=True)
    try:
        return lazy.write(t, value)
    except errors.TensorError as error:
        raise _reworded(error) from None
