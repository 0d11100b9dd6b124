"""`out=`: where a result goes instead of into a new tensor.

One mechanism for all functions: `into` for those that have the argument themselves, `takes_out`
for those that do not know of it. The result is computed first and then copied, so `out` may be one
of the inputs.
"""

from __future__ import annotations

import warnings

from gemel import tensor as lazy

from .checks import c_name
from .overlap import check_no_internal_overlap, check_overlap
from .promotion import check_cast
from .tensor import Tensor

_GRADIENT = (
    "functions with out=... arguments don't support automatic differentiation, but one of the "
    "arguments requires grad."
)


def into(out, result, *inputs, same_type: bool = False):
    """The result, copied into `out` (one tensor, or as many as there are results) if given.

    `out` takes the result's shape. RuntimeError where a gradient would be lost, where `out` cannot
    hold the result's type, or shares part of an input's memory. `same_type` is for operations that
    do not cast: `out` has their result's very type and shares no memory with an input at all.
    """
    if out is None:
        return result
    if not isinstance(result, (tuple, list)):
        return _put(out, result, inputs, same_type)
    outs = tuple(out) if isinstance(out, (tuple, list)) else (out,)
    if len(outs) != len(result):
        raise TypeError(
            f"argument 'out' must be a sequence of {len(result)} tensors, not of {len(outs)}"
        )
    found = [_put(o, r, inputs, same_type) for o, r in zip(outs, result, strict=True)]
    return type(result)(*found) if hasattr(result, "_fields") else tuple(found)


def _put(out: Tensor, result: Tensor, inputs: tuple, same_type: bool) -> Tensor:
    if not isinstance(out, Tensor):
        raise TypeError(f"argument 'out' must be Tensor, not {type(out).__name__}")
    _check_type(result, out, same_type)
    if lazy.grad_enabled() and (out.requires_grad or result.requires_grad):
        raise RuntimeError(_GRADIENT)
    check_no_internal_overlap(out)
    if same_type:
        check_overlap(out, inputs, partial=False)
    if out.form.shape != result.form.shape:
        _resize(out, result.form.shape)
    check_overlap(out, inputs, partial=True)
    return out.copy_(result)


def _check_type(result: Tensor, out: Tensor, same_type: bool) -> None:
    if not same_type:
        check_cast(result.form.dtype, out.form.dtype)
    elif result.form.dtype is not out.form.dtype:
        raise RuntimeError(
            f"Expected out tensor to have dtype {c_name(result.form.dtype)}, but got "
            f"{c_name(out.form.dtype)} instead"
        )


def _resize(out: Tensor, shape: tuple[int, ...]) -> None:
    if out.form.size:
        warnings.warn(
            "An output with one or more elements was resized since it had shape "
            f"{list(out.form.shape)}, which does not match the required output shape "
            f"{list(shape)}. This behavior is deprecated, and in a future PyTorch release outputs "
            "will not be resized unless they have zero elements. You can explicitly reuse an out "
            "tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
            UserWarning,
            stacklevel=4,
        )
    out.resize_(shape)


def takes_out(function, same_type: bool = False):
    """The function with the argument `out`, for one that does not have it."""

    def apply(*args, out=None, **options):
        result = function(*args, **options)
        if out is None:
            return result
        return into(out, result, *args, *options.values(), same_type=same_type)

    apply.__name__ = apply.__qualname__ = function.__name__
    apply.__doc__ = function.__doc__
    apply.__wrapped__ = function
    return apply
