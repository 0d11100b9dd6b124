"""Reductions of segments: of runs of neighbours along one dimension."""

from __future__ import annotations

from . import dtypes
from .arithmetic import where
from .checks import dimension
from .sequences import arange
from .tensor import Tensor

_REDUCTIONS = ("max", "mean", "min", "sum", "prod")


def _bounds(lengths, offsets, axis: int) -> tuple[Tensor, Tensor]:
    """Where each segment begins and ends, along the last dimension."""
    if offsets is not None:
        n = offsets.form.shape[axis] - 1
        return offsets.narrow(axis, 0, n), offsets.narrow(axis, 1, n)
    ends = lengths.cumsum(axis)
    return ends - lengths, ends


def _check(data: Tensor, reduce: str, lengths, offsets, axis: int, unsafe: bool) -> None:
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"Unsupported reduction given! {reduce}")
    given = lengths if offsets is None else offsets
    if given is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if data.form.dtype.kind != "f":
        raise RuntimeError("segment_reduce(): Expected data to be of floating point type")
    if axis != given.form.ndim - 1:
        raise RuntimeError(
            "segment_reduce(): Expected axis to be the last dimension of "
            f"{'lengths' if offsets is None else 'offsets'} but got {axis}."
        )
    if unsafe or offsets is not None:
        return
    if int(lengths.min().item()) < 0 if lengths.form.size else False:
        raise RuntimeError("lengths contains negative value!")
    if not bool((lengths.sum(axis) == data.form.shape[axis]).all()):
        raise RuntimeError("segment_reduce(): Expected all rows of lengths along axis to sum to "
                           "data.size(lengths.dim()-1) when !unsafe.")  # fmt: skip


def segment_reduce(data, reduce, *, lengths=None, indices=None, offsets=None, axis=0, unsafe=False,
                   initial=None) -> Tensor:  # fmt: skip
    """The maximum, mean, minimum, sum or product of each segment along axis. Empty segments give
    `initial`, or the reduction's neutral value (NaN for means)."""
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    axis = dimension(axis, data.form.ndim)
    _check(data, reduce, lengths, offsets, axis, unsafe)
    start, end = _bounds(lengths, offsets, axis)
    # [lead, segments, elements]: is the element in the segment?
    place = arange(data.form.shape[axis], dtype=dtypes.int64)
    inside = (place >= start.unsqueeze(-1)) & (place < end.unsqueeze(-1))
    rest = data.form.ndim - axis - 1
    inside = inside.reshape(*inside.form.shape, *[1] * rest)
    return _reduced(data.unsqueeze(axis), inside, reduce, axis + 1, initial)


def _reduced(data: Tensor, inside: Tensor, reduce: str, dim: int, initial) -> Tensor:
    if reduce == "prod":
        found = where(inside, data, 1.0).prod(dim)
        return found if initial is None else found * initial
    if reduce in ("sum", "mean"):
        total = where(inside, data, 0.0).sum(dim)
        total = total if initial is None else total + initial
        if reduce == "sum":
            return total
        count = inside.sum(dim)
        return total / (count if initial is None else count.clamp(min=1))
    return _extreme(data, inside, reduce == "max", dim, initial)


def _extreme(data: Tensor, inside: Tensor, largest: bool, dim: int, initial) -> Tensor:
    neutral = float("-inf") if largest else float("inf")
    kept = where(inside, data, neutral)
    found = kept.amax(dim) if largest else kept.amin(dim)
    found = where(inside.any(dim), found, neutral)
    if initial is None:
        return found
    return where((found >= initial) if largest else (found <= initial), found, float(initial))


_segment_reduce = segment_reduce
