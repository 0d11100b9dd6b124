"""Quantiles and medians: values at a rank, or between two."""

from __future__ import annotations

from . import dtypes, return_types
from .autocasting import in_float32
from .checks import dimension, wrong_argument
from .creation import tensor
from .ordering import of_nothing
from .reductions import reducing
from .requirements import require
from .tensor import Tensor

_RULES = ("linear", "lower", "higher", "midpoint", "nearest")


def _levels(input: Tensor, q) -> Tensor:
    """The wanted quantiles as a tensor of the input's type, checked."""
    if not isinstance(input, Tensor):
        raise wrong_argument("quantile", "input", 1, input)
    if not input.form.size:
        raise RuntimeError("quantile() input tensor must be non-empty")
    if isinstance(q, Tensor) and q.form.ndim > 1:
        raise RuntimeError(
            f"quantile() q must be a scalar or 1D tensor, but got a tensor of {q.form.ndim} "
            "dimensions"
        )
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q}")
        return tensor(q, dtype=input.dtype)
    if q.dtype is not input.dtype:
        raise RuntimeError("quantile() q tensor must be same dtype as the input tensor")
    inside = (q >= 0) & (q <= 1)
    return require(q, inside, "quantile() q values must be in the range [0, 1]")


def _at_levels(input: Tensor, q, dim, keepdim: bool, rule: str, skip: bool) -> Tensor:
    """The quantiles along dim, the levels as first dimension. skip: leave NaN out; else a NaN is
    the result."""
    levels = _levels(input, q)
    if rule not in _RULES:
        raise RuntimeError(
            "quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {rule}"
        )
    whole = dim is None or not input.form.ndim
    axis = 0 if dim is None else dimension(dim, input.form.ndim)
    flat = input.reshape(-1) if whole else input.movedim(axis, -1)
    ranked = flat.sort(-1).values
    ranks = _ranks(ranked, levels.reshape(-1), skip)
    found = _between(ranked, ranks, rule).movedim(-1, 0)
    if keepdim:
        rest = [1] * input.form.ndim
        found = found.reshape(-1, *rest) if whole else found.unsqueeze(axis + 1)
    return found if levels.form.ndim else found[0]


def _ranks(ranked: Tensor, levels: Tensor, skip: bool) -> Tensor:
    """Places in the sorted rows, one for each level."""
    last = ranked.form.shape[-1] - 1
    nan = ranked.isnan()
    if skip:
        count = (last - nan.sum(-1, keepdim=True)).clamp(min=0)
        return count.to(levels.dtype) * levels
    broken = nan.any(-1, keepdim=True)
    return (levels * last).expand(*ranked.form.shape[:-1], -1).masked_fill(broken, float(last))


def _between(ranked: Tensor, ranks: Tensor, rule: str) -> Tensor:
    if rule == "nearest":
        return ranked.gather(-1, ranks.detach().round().long())
    low = ranks.detach().floor()
    if rule == "lower":
        return ranked.gather(-1, low.long())
    high = ranked.gather(-1, ranks.detach().ceil().long())
    if rule == "higher":
        return high
    below = ranked.gather(-1, low.long())
    return below.lerp(high, 0.5 if rule == "midpoint" else ranks - low)


@reducing
@in_float32
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear") -> Tensor:
    """The q-quantiles along dim: a number or a vector of numbers between 0 and 1."""
    return _at_levels(input, q, dim, keepdim, interpolation, False)


@reducing
@in_float32
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear") -> Tensor:
    """The q-quantiles along dim of what is not NaN."""
    return _at_levels(input, q, dim, keepdim, interpolation, True)


@reducing
def nanmedian(input, dim=None, keepdim=False):
    """The median of what is not NaN (the lower one of two); with dim (values, indices)."""
    if dim is None and not input.form.size:
        return of_nothing(input)
    flat = input.reshape(-1) if dim is None or not input.form.ndim else input
    axis = 0 if flat is not input else dimension(dim, input.form.ndim)
    ranked = flat.sort(axis)
    count = flat.isnan().logical_not().sum(axis, keepdim=True)
    middle = (count - 1).clamp(min=0) // 2
    values, at = ranked.values.gather(axis, middle), ranked.indices.gather(axis, middle)
    if not (keepdim and input.form.ndim and dim is not None):
        values, at = values.squeeze(axis), at.squeeze(axis)
    return values if dim is None else return_types.nanmedian(values, at)
