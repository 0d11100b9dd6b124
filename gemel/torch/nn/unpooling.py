"""`functional.max_unpool1d` to `3d`, fractional max pooling and power-average pooling."""

from __future__ import annotations

from math import prod

from gemel.graph.errors import Fault
from gemel.graph.node import Node
from gemel.ops import unpooling
from gemel.ops.elementwise import check_range
from gemel.ops.movement import reshape
from gemel.ops.record import Call
from gemel.tensor import record2, record_many
from gemel.torch.checks import wrong_argument
from gemel.torch.tensor import Tensor

from .convolution import each
from .operands import checked
from .pooling import avg_pool1d, avg_pool2d, avg_pool3d

_PLACE_FAULT = Fault(RuntimeError, "Found an invalid max index: {value}")


# ---------- unpooling ----------
def _unpool(attrs, x: Node, places: Node) -> Node:
    name, rank, sizes = attrs
    if places.dtype.name != "int64":
        raise RuntimeError(
            f"elements in indices should be type int64 but got: {places.dtype.name}"
        )
    if x.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"Input to {name} should be a {rank + 1}d or {rank + 2}d Tensor, but got a tensor with "
            f"{x.ndim} dimensions"
        )
    if x.shape != places.shape:
        raise RuntimeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({list(x.shape)}) but got indices tensor with shape: {list(places.shape)}"
        )
    if 0 in x.shape[1:]:
        raise RuntimeError(
            f"{name}(): Expected input to have non-zero size for non-batch dimensions, but got "
            f"{list(x.shape)}"
        )
    inside = check_range(places, 0, prod(sizes), _PLACE_FAULT)
    return unpooling.unpool(x, inside, sizes)


UNPOOL = Call("max_unpool", _unpool)


def _unpooled_sizes(shape, window, stride, padding, given) -> tuple[int, ...]:
    """The result's places; ValueError where `given` is too far from what windows make."""
    rank = len(window)
    rows = zip(shape[-rank:], window, stride, padding, strict=True)
    usual = tuple((n - 1) * s + k - 2 * p for n, k, s, p in rows)
    if given is None:
        return usual
    given = tuple(given)
    if len(given) == rank + 2:
        given = given[2:]
    if len(given) != rank:
        raise ValueError(
            "output_size should be a sequence containing "
            f"{rank} or {rank + 2} elements, but it has a length of '{len(given)}'"
        )
    for n, m, s in zip(given, usual, stride, strict=True):
        if not m - s < n < m + s:
            raise ValueError(
                f"invalid output_size \"{list(given)}\" (dim {given.index(n)} must be between "
                f"{m - s} and {m + s})"
            )
    return given


def _max_unpool(rank: int):
    name = f"max_unpool{rank}d"

    def function(input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0,
                 output_size=None) -> Tensor:
        for place, (what, given) in enumerate((("input", input), ("indices", indices)), 1):
            if not isinstance(given, Tensor):
                raise wrong_argument(name, what, place, given)
        window = each(kernel_size, rank)
        stride = window if stride is None else each(stride, rank)
        shape = input.form.shape
        sizes = _unpooled_sizes(shape, window, stride, each(padding, rank), output_size)
        return record2(UNPOOL, input, indices, (name, rank, sizes))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Values of [N, C, ...] put at the flat places that `max_pool{rank}d` gave;
    zeros elsewhere. ValueError where `output_size` does not fit the windows."""
    return function


max_unpool1d, max_unpool2d, max_unpool3d = (_max_unpool(rank) for rank in (1, 2, 3))


# ---------- windows at random places ----------
def _fractional(attrs, x: Node, samples: Node):
    name, rank, window, steps = attrs
    lead, sizes = x.shape[: x.ndim - rank], x.shape[x.ndim - rank :]
    for what, n, k, m in zip("THW"[3 - rank :], sizes, window, steps, strict=True):
        if k <= 0 or m <= 0:
            raise RuntimeError(f"{name}: kernel_size and output_size must be greater than zero")
        if m + k - 1 > n:
            raise RuntimeError(
                f"{name}(): pool {what} {k} too large relative to input {what} {n}"
            )
    order = (0, 1, 2) if rank == 3 else (1, 0)
    flat, shifts = reshape(x, (prod(lead), *sizes)), reshape(samples, (prod(lead), rank))
    found = unpooling.fractional_largest(flat, shifts, order, window, steps)
    return tuple(reshape(v, (*lead, *steps)) for v in found)


FRACTIONAL = Call("fractional_max_pool", _fractional)


def _check_fractional(name: str, input: Tensor, rank: int, size, ratio) -> None:
    if size is None and ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if input.ndim not in (rank + 1, rank + 2) or 0 in input.form.shape[input.ndim - rank - 1 :]:
        raise RuntimeError(
            f"{name}: Expected {rank + 1}D or {rank + 2}D tensor, but got: "
            f"{list(input.form.shape)}"
        )


def _check_samples(samples: Tensor, input: Tensor, lead: tuple[int, ...], rank: int) -> None:
    if samples.form.dtype is not input.form.dtype:
        raise RuntimeError(
            "Expect _random_samples to have the same dtype as input"
        )
    if samples.ndim != 3:
        raise RuntimeError(
            f"Expect _random_samples to have 3 dimensions, got {samples.ndim}"
        )
    n, c, d = samples.form.shape
    if n < (lead[0] if len(lead) == 2 else 1):
        raise RuntimeError(
            "Expect _random_samples.size(0) no less then input batch size."
        )
    if c != lead[-1]:
        raise RuntimeError("Expect _random_samples.size(1) equals to input channel size.")
    if d != rank:
        raise RuntimeError(f"Expect _random_samples.size(2) equals to {rank}; got {d}")


def _fractional_pool(rank: int):
    name = f"fractional_max_pool{rank}d"

    def function(input: Tensor, kernel_size, output_size=None, output_ratio=None,
                 return_indices: bool = False, _random_samples: Tensor | None = None):
        _check_fractional(name, checked(name, input), rank, output_size, output_ratio)
        shape = input.form.shape
        sizes = shape[len(shape) - rank :]
        if output_size is None:
            ratios = output_ratio
            ratios = ratios if isinstance(ratios, tuple | list) else (ratios,) * rank
            output_size = tuple(int(n * r) for n, r in zip(sizes, ratios, strict=True))
        lead = shape[: len(shape) - rank]
        samples = _random_samples
        if samples is None:
            from gemel.torch import rand

            batch = lead if len(lead) == 2 else (1, *lead)
            samples = rand(*batch, rank, dtype=input.dtype)
        _check_samples(samples, input, lead, rank)
        if len(lead) == 2 and samples.form.shape[0] > lead[0]:
            samples = samples[: lead[0]]
        attrs = (name, rank, each(kernel_size, rank), each(output_size, rank))
        found = tuple(record_many(FRACTIONAL, Tensor, [input, samples], attrs))
        return found if return_indices else found[0]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The largest values of windows over the last {rank} dimensions, which
    begin at random places (Graham 2014); sizes by `output_size` or `output_ratio`."""
    return function


fractional_max_pool2d, fractional_max_pool3d = (_fractional_pool(rank) for rank in (2, 3))


# ---------- power averages ----------
def _lp_pool(rank: int, average):
    name = f"lp_pool{rank}d"

    def function(input: Tensor, norm_type: float, kernel_size, stride=None,
                 ceil_mode: bool = False) -> Tensor:
        window = each(kernel_size, rank)
        powers = checked(name, input).pow(norm_type)
        mean = average(powers, window, stride, 0, ceil_mode)
        return (mean.sign() * mean.abs().relu()).mul(prod(window)).pow(1.0 / norm_type)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The {'p'}-norm of each window over the last {rank} dimension(s)."
    return function


lp_pool1d = _lp_pool(1, avg_pool1d)
lp_pool2d = _lp_pool(2, avg_pool2d)
lp_pool3d = _lp_pool(3, avg_pool3d)
