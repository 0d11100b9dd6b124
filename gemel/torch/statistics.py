"""Statistics and look-ups made of other operations: NaN-aware sums, quantiles, histograms,
covariance, distances, searching in sorted values.
"""

from __future__ import annotations

from . import dtypes, return_types
from .arithmetic import where
from .checks import dimension
from .creation import arange, tensor, zeros
from .reductions import reducing
from .tensor import Tensor


@reducing
def nansum(input, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The sum, with NaN as 0."""
    if not input.is_floating_point():
        return input.sum(dim, keepdim, dtype=dtype)
    return where(input.isnan(), 0.0, input).sum(dim, keepdim, dtype=dtype)


@reducing
def nanmean(input, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The mean of what is not NaN."""
    count = input.isnan().logical_not().sum(dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / count


@reducing
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear") -> Tensor:
    """The q-quantiles along dim: a number or a vector of numbers between 0 and 1."""
    rules = ("linear", "lower", "higher", "nearest", "midpoint")
    if interpolation not in rules:
        raise RuntimeError(
            f"quantile() interpolation must be one of {', '.join(rules)}, but got {interpolation}"
        )
    flat = input.reshape(-1) if dim is None or not input.form.ndim else input.movedim(dim, -1)
    n = flat.form.shape[-1]
    ranked = flat.sort(-1).values
    levels = q if isinstance(q, Tensor) else tensor(q, dtype=input.dtype)
    place = levels.reshape(-1) * (n - 1)
    low, high = place.floor(), place.ceil()
    part = _between(interpolation, place - low)
    at_low = ranked.index_select(-1, low.long())
    at_high = ranked.index_select(-1, high.long())
    found = (at_low + (at_high - at_low) * part).movedim(-1, 0)
    if keepdim:
        found = _kept(found, input, dim)
    return found if levels.form.ndim else found[0]


def _between(rule: str, part: Tensor) -> Tensor:
    """How far from the lower neighbour the rule goes."""
    if rule == "linear":
        return part
    if rule == "midpoint":
        return (part > 0).to(part.dtype) * 0.5
    if rule == "nearest":
        return part.round()
    return part * 0 if rule == "lower" else (part > 0).to(part.dtype)


def _kept(found: Tensor, input: Tensor, dim) -> Tensor:
    if dim is None or not input.form.ndim:
        return found.reshape(-1, *[1] * input.form.ndim)
    return found.unsqueeze(dimension(dim, input.form.ndim) + 1)


@reducing
def mode(input, dim=-1, keepdim=False):
    """(values, indices) of the most frequent value along dim, the smallest of several."""
    axis = dimension(dim, input.form.ndim)
    if not input.form.ndim:
        return return_types.mode(input.clone(), tensor(0))
    turned = input.movedim(axis, -1)
    counts = (turned.unsqueeze(-1) == turned.unsqueeze(-2)).sum(-1)
    often = counts == counts.amax(-1, keepdim=True)
    limits = dtypes.finfo if input.is_floating_point() else dtypes.iinfo
    rest = where(often, turned, limits(input.dtype).max)
    values = rest.amin(-1, keepdim=True)
    places = arange(turned.form.shape[-1]).expand(turned.form.shape)
    at = where(turned == values, places, -1).amax(-1)
    values = values.squeeze(-1)
    if keepdim:
        values, at = values.unsqueeze(axis), at.unsqueeze(axis)
    return return_types.mode(values, at)


@reducing
def histc(input, bins=100, min=0, max=0) -> Tensor:
    """How many values fall into each of `bins` equal intervals from min to max (0 and 0: of the
    values' own range, which is looked at)."""
    low, high = float(min), float(max)
    if low == high == 0:
        low, high = input.min().item(), input.max().item()
    if low == high:
        low, high = low - 1, high + 1
    inside = (input >= low) & (input <= high)
    place = ((input - low) * (bins / (high - low))).floor().clamp(0, bins - 1).long()
    found = zeros(bins, dtype=input.dtype)
    return found.index_add(0, place.reshape(-1), inside.reshape(-1).to(input.dtype))


@reducing
def cov(input, *, correction=1, fweights=None, aweights=None) -> Tensor:
    """The covariance of variables in rows. Weights are not there yet."""
    if fweights is not None or aweights is not None:
        raise NotImplementedError("cov with weights is not there yet in Gemel's PyTorch face")
    rows = input if input.is_floating_point() else input.to(dtypes.get_default_dtype())
    rows = rows if input.form.ndim == 2 else rows.reshape(1, -1)
    centred = rows - rows.mean(1, True)
    found = centred @ centred.mT / float(rows.form.shape[1] - correction)
    return found.reshape(()) if found.form.size == 1 else found


@reducing
def corrcoef(input) -> Tensor:
    """The correlation of variables in rows."""
    found = cov(input)
    if not found.form.ndim:
        return found / found
    spread = found.diagonal().sqrt()
    return (found / spread.unsqueeze(1) / spread.unsqueeze(0)).clamp(-1, 1)


def cdist(x1, x2, p=2.0, compute_mode=None) -> Tensor:
    """The p-norm distance of every row of x1 to every row of x2."""
    return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).norm(p, -1)


def isin(elements, test_elements, *, assume_unique=False, invert=False) -> Tensor:
    """Is each element among the test elements?"""
    if not isinstance(test_elements, Tensor):
        test_elements = tensor(test_elements)
    found = (elements.unsqueeze(-1) == test_elements.reshape(-1)).any(-1)
    return ~found if invert else found


def searchsorted(sorted_sequence, values, *, out_int32=False, right=False, side=None) -> Tensor:
    """The position at which each value would be inserted to keep the last dimension sorted."""
    if not isinstance(values, Tensor):
        values = tensor(values)
    right = right or side == "right"
    others = sorted_sequence.unsqueeze(-2)
    each = values.unsqueeze(-1)
    if sorted_sequence.form.ndim == 1:
        others = sorted_sequence
    before = others <= each if right else others < each
    found = before.sum(-1)
    return found.int() if out_int32 else found


def bucketize(input, boundaries, *, out_int32=False, right=False) -> Tensor:
    """The interval between boundaries into which each value falls."""
    if not isinstance(input, Tensor):
        input = tensor(input)
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """Runs of equal values shortened to one. The shape depends on the values: it looks."""
    if dim is not None:
        raise NotImplementedError("unique_consecutive with dim is not there yet")
    flat = input.reshape(-1)
    values = flat.tolist()
    starts = [i for i, v in enumerate(values) if i == 0 or v != values[i - 1]]
    found = [flat[tensor(starts, dtype=dtypes.int64)]]
    ends = [*starts[1:], len(values)]
    sizes = [b - a for a, b in zip(starts, ends, strict=True)]
    if return_inverse:
        run = [k for k, n in enumerate(sizes) for _ in range(n)]
        found.append(tensor(run, dtype=dtypes.int64).reshape(input.form.shape))
    if return_counts:
        found.append(tensor(sizes, dtype=dtypes.int64))
    return found[0] if len(found) == 1 else tuple(found)


def combinations(input, r=2, with_replacement=False) -> Tensor:
    """All choices of r elements of a vector, one a row."""
    import itertools

    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(input.form.size), r))
    index = tensor(rows, dtype=dtypes.int64).reshape(-1, r)
    return input[index]


Tensor.unique_consecutive = unique_consecutive
