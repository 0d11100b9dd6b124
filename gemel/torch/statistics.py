"""Statistics made of other operations: NaN-aware sums, covariance, distances."""

from __future__ import annotations

from gemel.ops import norms, statistics
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.tensor import record1, record2

from . import dtypes, return_types
from .arithmetic import where
from .autocasting import in_float32
from .checks import broadcast_shape, dimension
from .complex_numbers import complex as _complex
from .creation import tensor
from .ordering import greatest
from .promotion import promoted
from .reductions import dims, held, positions, reducing
from .requirements import require
from .sequences import arange
from .tensor import Tensor


def _of_numbers(name: str, build) -> Call:
    """A reduction of floats that leaves NaN out; computed in a type that is asked for."""

    def expand(attrs, x):
        dim, keepdim, dtype = attrs
        x = x if dtype is None else cast(x, dtype)
        return build(x, positions(dim, x), keepdim)

    return Call(name, expand)


NANSUM = _of_numbers("nansum", statistics.sum_of_numbers)
NANMEAN = _of_numbers("nanmean", statistics.mean_of_numbers)


@reducing
def nansum(input, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The sum, with NaN as 0."""
    if not input.is_floating_point():
        return input.sum(dim, keepdim, dtype=dtype)
    return record1(NANSUM, input, (dims(dim), keepdim, held(dtype)))


@reducing
def nanmean(input, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The mean of what is not NaN."""
    if not input.form.dtype.is_smooth:
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{dtypes.short_name(input.form.dtype)}"
        )
    if input.is_floating_point():
        return record1(NANMEAN, input, (dims(dim), keepdim, held(dtype)))
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
    rest = where(often, turned, greatest(input.form.dtype))
    values = rest.amin(-1, keepdim=True)
    places = arange(turned.form.shape[-1]).expand(turned.form.shape)
    at = where(turned == values, places, -1).amax(-1)
    values = values.squeeze(-1)
    if keepdim:
        values, at = values.unsqueeze(axis), at.unsqueeze(axis)
    return return_types.mode(values, at)


def _weights(name: str, weights: Tensor | None, whole: bool, count: int) -> Tensor | None:
    """One weight, not negative, for each observation."""
    if weights is None:
        return None
    if weights.form.ndim > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with "
            f"{weights.form.ndim} dimensions"
        )
    if whole != (weights.form.dtype.kind in "ui"):
        kind = "integral" if whole else "floating point"
        raise RuntimeError(
            f"cov(): expected {name} to have {kind} dtype but got {name} with "
            f"{dtypes.short_name(weights.form.dtype)} dtype"
        )
    if weights.form.size != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input "
            f"but got {weights.form.size} != {count}"
        )
    return require(weights, weights >= 0, f"cov(): {name} cannot be negative")


def _observations(input: Tensor) -> Tensor:
    """Variables in rows, in a floating-point type."""
    if input.form.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with "
            f"{input.form.ndim} dimensions"
        )
    if input.dtype is dtypes.bool:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    exact = input.dtype.is_floating_point or input.dtype.is_complex
    rows = input if exact else input.to(dtypes.get_default_dtype())
    return rows if input.form.ndim == 2 else rows.reshape(1, -1)


@reducing
def cov(input, *, correction=1, fweights=None, aweights=None) -> Tensor:
    """The covariance of variables in rows. fweights: how often each observation counts; aweights:
    how important it is."""
    rows = _observations(input)
    count = rows.form.shape[1]
    fweights = _weights("fweights", fweights, True, count)
    aweights = _weights("aweights", aweights, False, count)
    weights = fweights if aweights is None else aweights
    if fweights is not None and aweights is not None:
        weights = fweights * aweights
    if weights is None:
        centred = rows - rows.mean(1, True)
        right, divisor = centred, max(count - correction, 0)
    else:
        total = weights.sum()
        total = require(total, total != 0, "cov(): weights sum to zero, can't be normalized")
        centred = rows - ((rows * weights).sum(1) / total).unsqueeze(1)
        right, divisor = centred * weights, total - correction
        if aweights is not None and correction:
            divisor = total - correction * (weights * aweights).sum() / total
        divisor = divisor.clamp(min=0)
    found = centred @ right.mT.conj() / divisor
    return found.squeeze()


@reducing
def corrcoef(input) -> Tensor:
    """The correlation of variables in rows."""
    if input.form.ndim > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input.form.ndim} dimensions"
        )
    found = cov(input)
    if not found.form.ndim:
        return found / found
    spread = found.diagonal()
    spread = (spread.real if found.dtype.is_complex else spread).sqrt()
    found = found / spread.unsqueeze(1) / spread.unsqueeze(0)
    if found.dtype.is_complex:
        return _complex(found.real.clamp(-1, 1), found.imag.clamp(-1, 1))
    return found.clamp(-1, 1)


def _cdist(attrs, a, b):
    a, b = promoted(a, b)
    return norms.distances(a, b, float(attrs[0]))


CDIST = Call("cdist", _cdist)


@in_float32
def cdist(x1, x2, p=2.0, compute_mode=None) -> Tensor:
    """The p-norm distance of every row of x1 to every row of x2."""
    for name, x in (("X1", x1), ("X2", x2)):
        if not x.form.dtype.is_float:
            short = dtypes.short_name(x.form.dtype)
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {short}")
    for name, x in (("X1", x1), ("X2", x2)):
        if x.form.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    widths = x1.form.shape[-1], x2.form.shape[-1]
    if widths[0] != widths[1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {widths[0]} X2: {widths[1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    broadcast_shape(x1.form.shape[:-2], x2.form.shape[:-2])
    return record2(CDIST, x1, x2, (repr(float(p)),))


def combinations(input, r=2, with_replacement=False) -> Tensor:
    """All choices of r elements of a vector, one a row."""
    import itertools

    if input.form.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.form.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(input.form.size), r))
    index = tensor(rows, dtype=dtypes.int64).reshape(-1, r)
    return input[index]
