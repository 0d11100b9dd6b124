"""Counts of values by interval: histc, histogram, histogramdd.

The edges of equal intervals follow from the values where no range is given: those are looked at.
"""

from __future__ import annotations

import math

from . import return_types
from .checks import not_implemented, wrong_argument
from .creation import zeros
from .out import into
from .reductions import reducing
from .searching import searchsorted
from .sequences import linspace
from .tensor import Tensor


# ---------- one dimension, counts only ----------
def _limits(input: Tensor, low: float, high: float) -> tuple[float, float]:
    """The range of the intervals: the given one or, where it is empty, the values' own."""
    if low == high and input.form.size:
        found = input.detach().aminmax()
        low, high = float(found.min.item()), float(found.max.item())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError("max must be larger than min")
    return low, high


@reducing
def histc(input, bins=100, min=0, max=0) -> Tensor:
    """How many values fall into each of `bins` equal intervals from min to max (0 and 0: of the
    values' own range, which is looked at)."""
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    if input.form.dtype.kind != "f":
        raise not_implemented("histogram_cpu", input.form)
    low, high = _limits(input, float(min), float(max))
    found = zeros(bins, dtype=input.dtype)
    if not input.form.size:
        return found
    values = input.detach()
    values = values if values.form.dtype.itemsize > 2 else values.float()
    inside = (values >= low) & (values <= high)
    place = ((values - low) * (bins / (high - low))).floor().clamp(0, bins - 1)
    place = place.masked_fill(~inside, 0.0).long()
    return found.index_add(0, place.reshape(-1), inside.reshape(-1).to(input.dtype))


# ---------- any number of dimensions ----------
def _check(name: str, input: Tensor, weight: Tensor | None, lead: tuple[int, ...]) -> None:
    if not isinstance(input, Tensor):
        raise wrong_argument(name, "input", 1, input)
    if input.form.dtype.kind != "f":
        raise not_implemented("histogramdd", input.form)
    if weight is None:
        return
    if weight.dtype is not input.dtype:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided, input tensor and weight tensor "
            f"should have the same dtype, but got input(torch.{input.dtype.name}), and "
            f"weight(torch.{weight.dtype.name})"
        )
    if weight.form.shape != lead:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the "
            "input tensor excluding its innermost dimension"
        )


def _own_range(column: Tensor) -> tuple[float, float]:
    if not column.form.size:
        return 0.0, 1.0
    found = column.aminmax()
    low, high = found.min.item(), found.max.item()
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"torch.histogramdd: dimension's range [{low}, {high}] is not finite")
    return low, high


def _edges(columns: Tensor, bins, range) -> list[Tensor]:
    """The edges in each dimension. bins: numbers of intervals, or the edges themselves."""
    found = []
    for d, given in enumerate(bins):
        if isinstance(given, Tensor):
            if given.dtype is not columns.dtype:
                raise RuntimeError(
                    "torch.histogramdd: input tensor and bins tensors should have the same dtype"
                )
            if given.form.ndim != 1:
                raise RuntimeError(
                    "torch.histogramdd: bins tensor should have one dimension, but got "
                    f"{given.form.ndim} dimensions in the bins tensor for dimension {d}"
                )
            if not given.form.size:
                raise RuntimeError(
                    "torch.histogramdd: bins tensor should have at least 1 element, but got 0 "
                    f"elements in the bins tensor for dimension {d}"
                )
            found.append(given)
            continue
        if given <= 0:
            raise RuntimeError(f"torch.histogramdd(): bins must be > 0, but got {given}")
        low, high = range[2 * d : 2 * d + 2] if range is not None else _own_range(columns[:, d])
        if low > high:
            raise RuntimeError(
                f"torch.histogramdd: min should not exceed max, but got min {low} max {high} for "
                f"dimension {d}"
            )
        if low == high:
            low, high = low - 0.5, high + 0.5
        found.append(linspace(low, high, given + 1, dtype=columns.dtype))
    return found


def _counted(columns: Tensor, edges: list[Tensor], weight: Tensor | None) -> Tensor:
    """Values [n, dimensions] counted by the intervals that they fall into."""
    sizes = [e.form.size - 1 for e in edges]
    total = math.prod(sizes)
    if not total:
        return zeros(sizes, dtype=columns.dtype)
    place, inside = None, None
    for d, (e, n) in enumerate(zip(edges, sizes, strict=True)):
        column = columns[:, d].contiguous()
        within = (column >= e[0]) & (column <= e[-1])
        at = (searchsorted(e, column, right=True) - 1).clamp(0, n - 1)
        place = at if place is None else place * n + at
        inside = within if inside is None else inside & within
    counted = inside.to(columns.dtype)
    if weight is not None:
        counted = counted * weight.reshape(-1)
    found = zeros(total, dtype=columns.dtype)
    return found.index_add(0, place * inside, counted).reshape(sizes)


def _as_density(counts: Tensor, edges: list[Tensor]) -> Tensor:
    """Counts divided by their sum and the intervals' widths."""
    counts = counts / counts.sum()
    for d, e in enumerate(edges):
        counts = counts / e.diff().view([-1 if a == d else 1 for a in range_of(counts)])
    return counts


def range_of(x: Tensor) -> range:
    return range(x.form.ndim)


def histogramdd(input, bins, *, range=None, weight=None, density=False, out=None):
    """(hist, bin_edges) of points, the last dimension of the input. bins: a number, a number for
    each dimension, or tensors of edges."""
    _check("histogramdd", input, weight, input.form.shape[:-1])
    if input.form.ndim < 2:
        raise RuntimeError(
            "torch.histogramdd: input tensor should have at least 2 dimensions, but got "
            f"{input.form.ndim}"
        )
    n = input.form.shape[-1]
    bins = [bins] * n if isinstance(bins, int) else list(bins)
    if len(bins) != n:
        raise RuntimeError(
            "torch.histogramdd: The size of bins must be equal to the innermost dimension of the "
            f"input, {n}, but got {len(bins)}"
        )
    if range is not None and len(range) != 2 * n:
        raise RuntimeError(
            f"torch.histogramdd: for a {n}-dimensional histogram range should have {2 * n} "
            f"elements, but got {len(range)}"
        )
    columns = input.detach().reshape(-1, n)
    edges = _edges(columns, bins, range)
    counts = _counted(columns, edges, weight)
    counts = _as_density(counts, edges) if density else counts
    if out is None:
        return return_types.histogramdd(counts, tuple(edges))
    into(out[0], counts, input, name="histogramdd")
    into(out[1], tuple(edges), input, name="histogramdd")
    return return_types.histogramdd(*out)


def histogram(input, bins, *, range=None, weight=None, density=False, out=None):
    """(hist, bin_edges) of all values. bins: a number, or a tensor of edges."""
    _check("histogram", input, weight, input.form.shape)
    columns = input.detach().reshape(-1, 1)
    edges = _edges(columns, [bins], range)
    counts = _counted(columns, edges, weight)
    counts = _as_density(counts, edges) if density else counts
    found = return_types.histogram(counts, edges[0])
    return into(out, found, input, name="histogram")


Tensor.histogram = histogram
