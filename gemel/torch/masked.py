"""`torch.masked`: reductions and normalisations that leave masked-out elements out.

Each fills what the mask leaves out with the value that does not change the result, and computes as
without a mask. Where nothing is left, the result is that value (NaN for means and medians).
"""

from __future__ import annotations

import math

from . import dtypes, quantiles, reductions
from .arithmetic import where
from .checks import dimension
from .creation import full
from .pointwise import logaddexp as _logaddexp
from .pointwise import maximum
from .tensor import Tensor

_NARROW = (dtypes.uint8, dtypes.bool, dtypes.int8, dtypes.int16, dtypes.int32)


# ---------- what is common to all ----------
def _mask_of(input: Tensor, mask: Tensor) -> Tensor:
    """The mask as truth values in the input's shape."""
    if mask.form.ndim > input.form.ndim:
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the "
            "input)"
        )
    return mask.bool().expand(input.form.shape)


def _filled(input: Tensor, mask: Tensor | None, value) -> Tensor:
    """The input with `value` where the mask leaves elements out."""
    if mask is None:
        return input
    return where(_mask_of(input, mask), input, full((), value, dtype=input.dtype))


def _least(input: Tensor):
    if input.dtype.is_floating_point or input.dtype.is_complex:
        return -math.inf
    return dtypes.iinfo(input.dtype).min


def _largest(input: Tensor):
    if input.dtype.is_floating_point or input.dtype.is_complex:
        return math.inf
    return dtypes.iinfo(input.dtype).max


def _axes(dim, ndim: int) -> tuple[int, ...]:
    """All dimensions for None, the given ones otherwise; RuntimeError where one comes twice."""
    if dim is None:
        return tuple(range(ndim))
    if ndim == 0:
        return (0,)
    given = (dim,) if isinstance(dim, int) else tuple(dim)
    found = []
    for d in given:
        if d in found:
            raise RuntimeError(f"dim={d} appears multiple times in the list of dims")
        found.append(dimension(d, ndim))
    return tuple(found)


def _summed(input: Tensor, dtype):
    return dtype or (dtypes.int64 if input.dtype in _NARROW else input.dtype)


# ---------- sums ----------
def sum(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The sum of the elements that the mask leaves; 0 where there are none."""
    kept = _filled(input, mask, 0)
    return kept.sum(_axes(dim, input.form.ndim), bool(keepdim), dtype=_summed(input, dtype))


def prod(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The product of the elements that the mask leaves; 1 where there are none."""
    kept = _filled(input, mask, 1).to(_summed(input, dtype))
    for d in sorted(_axes(dim, input.form.ndim), reverse=True):
        kept = kept.prod(d, bool(keepdim))
    return kept


def cumsum(input, dim, *, dtype=None, mask=None) -> Tensor:
    """Running sums, in which masked-out elements count as 0."""
    (axis,) = _axes(dim, input.form.ndim)
    dtype = dtype or input.dtype
    return _filled(input, mask, 0).cumsum(axis, dtype=dtype).to(dtype)


def cumprod(input, dim, *, dtype=None, mask=None) -> Tensor:
    """Running products, in which masked-out elements count as 1."""
    (axis,) = _axes(dim, input.form.ndim)
    dtype = dtype or input.dtype
    return _filled(input, mask, 1).cumprod(axis, dtype=dtype).to(dtype)


# ---------- extremes ----------
def amax(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The largest element that the mask leaves."""
    kept = _filled(input, mask, _least(input))
    return kept.amax(_axes(dim, input.form.ndim), bool(keepdim)).to(dtype or input.dtype)


def amin(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The smallest element that the mask leaves."""
    kept = _filled(input, mask, _largest(input))
    return kept.amin(_axes(dim, input.form.ndim), bool(keepdim)).to(dtype or input.dtype)


def argmax(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The position of the largest element that the mask leaves, in the input's type."""
    return _filled(input, mask, _least(input)).argmax(dim, bool(keepdim)).to(dtype or input.dtype)


def argmin(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The position of the smallest element that the mask leaves, in the input's type."""
    kept = _filled(input, mask, _largest(input))
    return kept.argmin(dim, bool(keepdim)).to(dtype or input.dtype)


# ---------- averages ----------
def _count(input: Tensor, axes: tuple[int, ...], keepdim: bool, mask: Tensor | None) -> Tensor:
    if mask is None:
        return full(input.form.shape, 1, dtype=dtypes.int64).sum(axes, keepdim)
    return _mask_of(input, mask).sum(axes, keepdim)


def mean(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The mean of the elements that the mask leaves; NaN where there are none."""
    which = "Input" if dtype is None else "Optional"
    dtype = dtype or input.dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        raise ValueError(
            f"mean(): Could not infer output dtype. {which} dtype must be either a floating point "
            f"or complex dtype. Got: {dtype}"
        )
    axes = _axes(dim, input.form.ndim)
    total = sum(input, axes, keepdim=keepdim, dtype=dtype, mask=mask)
    return total / _count(input, axes, bool(keepdim), mask)


def median(input, dim=-1, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The median of the elements that the mask leaves; NaN where there are none."""
    (axis,) = _axes(dim, input.form.ndim)
    exact = input.dtype.is_floating_point
    kept = _filled(input if exact else input.float(), mask, math.nan)
    found = quantiles.nanmedian(kept, axis, keepdim).values
    if exact:
        return found
    if bool(found.isnan().any()):
        raise ValueError(
            "masked median expects no fully masked out rows if dtype is not floating point"
        )
    return found.to(dtype or input.dtype)


def _spread(input, dim, unbiased, correction, keepdim, dtype, mask) -> Tensor:
    """The mean squared distance from the mean, with the divisor that the correction says."""
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 1.0 if unbiased is None or unbiased else 0.0
    exact = input.dtype.is_floating_point or input.dtype.is_complex
    dtype = dtype or (input.dtype if exact else dtypes.float32)
    computed = dtype if dtype.is_floating_point or dtype.is_complex else dtypes.float32
    axes = _axes(dim, input.form.ndim)
    count = _count(input, axes, True, mask)
    away = input - sum(input, axes, keepdim=True, dtype=dtype, mask=mask) / count
    square = away * away.conj()
    total = sum(square, axes, keepdim=keepdim, dtype=computed, mask=mask)
    count = count if keepdim else count.reshape(total.form.shape)
    if correction:
        real = dtypes.float64 if computed in (dtypes.float64, dtypes.complex128) else dtypes.float32
        count = (count.to(real) - float(correction)).clamp(min=0.0)
    return (total / count).to(dtype)


def var(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None,
        mask=None) -> Tensor:  # fmt: skip
    """The variance of the elements that the mask leaves; NaN where there are none."""
    return _spread(input, dim, unbiased, correction, keepdim, dtype, mask)


def std(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None,
        mask=None) -> Tensor:  # fmt: skip
    """The standard deviation of the elements that the mask leaves."""
    return _spread(input, dim, unbiased, correction, keepdim, dtype, mask).sqrt()


# ---------- norms and logarithms ----------
def norm(input, ord=2.0, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The norm of the elements that the mask leaves, as one vector."""
    ord = 2.0 if ord is None else ord
    kept = _filled(input, mask, math.inf if ord == -math.inf else 0)
    axes = _axes(dim, input.form.ndim)
    return reductions.norm(kept, ord, axes, bool(keepdim), dtype=dtype or input.dtype)


def logsumexp(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """log(sum(exp(x))) of the elements that the mask leaves."""
    kept = _filled(input, mask, _least(input))
    found = reductions.logsumexp(kept, _axes(dim, input.form.ndim), keepdim)
    return found.to(dtype or input.dtype)


def logaddexp(input, other, *, dtype=None, input_mask=None, other_mask=None) -> Tensor:
    """log(exp(input) + exp(other)), each left out where its mask says so."""
    left = _filled(input, input_mask, _least(input))
    right = _filled(other, other_mask, _least(other))
    return _logaddexp(left, right).to(dtype or input.dtype)


# ---------- normalisations ----------
def softmax(input, dim, *, dtype=None, mask=None) -> Tensor:
    """Softmax over the elements that the mask leaves."""
    (axis,) = _axes(dim, input.form.ndim)
    return _filled(input, mask, _least(input)).softmax(axis, dtype or input.dtype)


def log_softmax(input, dim, *, dtype=None, mask=None) -> Tensor:
    """log(softmax) over the elements that the mask leaves."""
    (axis,) = _axes(dim, input.form.ndim)
    return _filled(input, mask, _least(input)).log_softmax(axis, dtype or input.dtype)


def softmin(input, dim, *, dtype=None, mask=None) -> Tensor:
    """softmax(-x) over the elements that the mask leaves."""
    (axis,) = _axes(dim, input.form.ndim)
    return (-_filled(input, mask, _largest(input))).softmax(axis, dtype or input.dtype)


def normalize(input, ord, dim, *, eps=1e-12, dtype=None, mask=None) -> Tensor:
    """x / max(norm, eps) along dim, masked-out elements counting as 0."""
    size = norm(input, ord, dim, keepdim=True, dtype=dtype or input.dtype, mask=mask)
    return _filled(input, mask, 0) / maximum(size, full((), eps, dtype=size.dtype))
