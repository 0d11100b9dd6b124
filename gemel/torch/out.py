"""`out=`: where a result goes instead of into a new tensor.

One mechanism for all functions: `into` for those that have the argument themselves, `takes_out`
for those that do not know of it. The result is computed first and then copied, so `out` may be one
of the inputs.
"""

from __future__ import annotations

import warnings

from gemel import tensor as lazy

from .checks import c_name
from .dtypes import engine_dtype, short_name
from .overlap import check_no_internal_overlap, check_overlap
from .promotion import check_cast
from .tensor import Tensor

_GRADIENT = (
    "functions with out=... arguments don't support automatic differentiation, but one of the "
    "arguments requires grad."
)


def into(out, result, *inputs, types: str = "safe", name: str = ""):
    """The result, copied into `out` (one tensor, or as many as there are results) if given.

    `out` takes the result's shape. RuntimeError where a gradient would be lost, where `out` cannot
    hold the result's type, or shares part of an input's memory. types: 'safe' as in arithmetic;
    'same' for operations that do not cast: `out` has their result's very type, and shares no memory
    with an input at all; 'any' for those that compute in the type of `out`.
    """
    if out is None:
        return result
    if not isinstance(result, (tuple, list)):
        return _put(out, result, inputs, types, name)
    outs = tuple(out) if isinstance(out, (tuple, list)) else (out,)
    if len(outs) != len(result):
        raise TypeError(
            f"{name}() received an invalid combination of arguments: 'out' must be a sequence of "
            f"{len(result)} tensors, not of {len(outs)}"
        )
    found = [_put(o, r, inputs, types, name) for o, r in zip(outs, result, strict=True)]
    return type(result)(*found) if hasattr(result, "_fields") else tuple(found)


def _put(out: Tensor, result: Tensor, inputs: tuple, types: str, name: str) -> Tensor:
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    _check_type(result, out, types, name)
    if lazy.grad_enabled() and (out.requires_grad or result.requires_grad):
        raise RuntimeError(f"{name}(): {_GRADIENT}")
    check_no_internal_overlap(out)
    if out.form.shape != result.form.shape:
        result = _settled(result, out, inputs)
        _resize(out, result.form.shape)
    check_overlap(out, inputs, partial=types != "same")
    return out.copy_(result)


def _settled(result: Tensor, out: Tensor, inputs: tuple) -> Tensor:
    """A result that does not change when an input's memory is laid out anew."""
    return result.clone() if any(x is out for x in inputs) else result


def _check_type(result: Tensor, out: Tensor, types: str, name: str) -> None:
    if types == "safe":
        check_cast(result.form.dtype, out.form.dtype)
    elif types == "same" and result.form.dtype is not out.form.dtype:
        if name in ("amax", "amin"):
            own, given = (short_name(x.form.dtype) for x in (result, out))
            raise RuntimeError(
                f"Expected the dtype for input and out to match, but got {own} for input's dtype "
                f"and {given} for out's dtype."
            )
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


# ---------- functions that get the argument ----------
def _named_as(made, function):
    made.__name__ = made.__qualname__ = function.__name__
    made.__doc__ = function.__doc__
    made.__wrapped__ = function
    made.takes_out = True
    return made


def takes_out(function, types: str = "safe"):
    """The function with the argument `out`, for one that does not have it."""
    name = function.__name__

    def apply(*args, out=None, **options):
        result = function(*args, **options)
        if out is None:
            return result
        return into(out, result, *args, *options.values(), types=types, name=name)

    return _named_as(apply, function)


def factory_takes_out(function):
    """The same for a function that makes a tensor of nothing, in the type of `out`."""
    name = function.__name__

    def apply(*args, out=None, **options):
        if out is None:
            return function(*args, **options)
        dtype = options.pop("dtype", None)
        if dtype is not None and dtype is not out.dtype:
            have, want = short_name(engine_dtype(dtype)), short_name(out.form.dtype)
            raise RuntimeError(f"dtype {have} does not match dtype of out parameter ({want})")
        return into(out, function(*args, dtype=out.dtype, **options), types="any", name=name)

    return _named_as(apply, function)


def without_result(function):
    """The function, which gives None where `out` is given."""

    def apply(*args, out=None, **options):
        found = function(*args, out=out, **options)
        return found if out is None else None

    return _named_as(apply, function)
