"""Statistics and look-ups made of other operations: NaN-aware sums, quantiles, histograms,
covariance, distances, searching in sorted values.
"""

from __future__ import annotations

from . import dtypes, return_types
from .arithmetic import where
from .checks import dimension
from .creation import arange, tensor
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
