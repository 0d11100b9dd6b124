"""Differences, slopes and integrals of sampled values: diff, gradient, trapezoid."""

from __future__ import annotations

from gemel.graph.form import bool_

from . import dtypes
from .arithmetic import operand
from .checks import dimension, wrong_argument
from .creation import zeros
from .joining import cat
from .reductions import reducing
from .tensor import Tensor

_BOOLS = "received a bool input for `x` or `y`, but bool is not supported"


# ---------- differences ----------
def _neighbours(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """All but the last and all but the first along dim."""
    n = max(x.form.shape[dim], 1)
    return x.narrow(dim, 0, n - 1), x.narrow(dim, min(1, x.form.shape[dim]), n - 1)


def _check_difference(input: Tensor, n: int, dim: int, others) -> int:
    if not input.form.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    axis = dimension(dim, input.form.ndim)
    for other in others:
        if other.form.ndim != input.form.ndim:
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
        for a, (have, want) in enumerate(zip(other.form.shape, input.form.shape, strict=True)):
            if a != axis and have != want:
                raise RuntimeError(
                    "diff expects the shape of tensor to prepend or append to match that of input "
                    f"except along the differencing dimension; input.size({a}) = {want}, but got "
                    f"tensor.size({a}) = {have}"
                )
    return axis


@reducing
def diff(input, n=1, dim=-1, prepend=None, append=None) -> Tensor:
    """The differences of neighbours along dim, n times."""
    axis = _check_difference(input, n, dim, [x for x in (prepend, append) if x is not None])
    if n == 0:
        return input.clone()
    parts = [x for x in (prepend, input, append) if x is not None]
    x = cat(parts, axis) if len(parts) > 1 else input
    for _ in range(min(n, x.form.shape[axis])):
        left, right = _neighbours(x, axis)
        x = right.logical_xor(left) if x.form.dtype is bool_ else right - left
    return x


def zeros_of(like: Tensor, shape) -> Tensor:
    return zeros(shape, dtype=like.dtype)


# ---------- integrals ----------
def _without(shape: tuple[int, ...], dim: int) -> tuple[int, ...]:
    return shape[:dim] + shape[dim + 1 :]


def _widths(name: str, y: Tensor, x: Tensor, dim: int) -> Tensor:
    """The distances of the sample points x, which broadcast against y's intervals."""
    if bool_ in (y.form.dtype, x.form.dtype):
        raise RuntimeError(f"{name}: {_BOOLS}")
    if x.form.ndim == 1:
        if x.form.size != y.form.shape[dim]:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        x = x.view([-1 if a == dim else 1 for a in range(y.form.ndim)])
    elif x.form.ndim < y.form.ndim:
        x = x.view((1,) * (y.form.ndim - x.form.ndim) + x.form.shape)
    left, right = _neighbours(x, dim)
    return right - left


def _interval(name: str, y: Tensor, dx) -> float:
    if y.form.dtype is bool_:
        raise RuntimeError(f"{name}: {_BOOLS}")
    if isinstance(dx, (bool, complex)):
        raise RuntimeError(f"{name}: Currently, we only support dx as a real number.")
    return 1.0 if dx is None else dx


def trapezoid(y, x=None, *, dx=None, dim=-1) -> Tensor:
    """The integral along dim by the trapezoidal rule, over sample points x or of spacing dx."""
    if not isinstance(y, Tensor):
        raise wrong_argument("trapezoid", "y", 1, y)
    dim = dimension(dim, y.form.ndim)
    if y.form.shape[dim] == 0:
        return zeros_of(y, _without(y.form.shape, dim))
    if x is not None:
        widths = _widths("trapezoid", y, x, dim)
        left, right = _neighbours(y, dim)
        return ((left + right) * widths).sum(dim) / 2.0
    dx = _interval("trapezoid", y, dx)
    return (y.sum(dim) - (y.select(dim, 0) + y.select(dim, -1)) * 0.5) * dx


trapz = trapezoid


def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1) -> Tensor:
    """The running integral along dim; one element less than y."""
    if not isinstance(y, Tensor):
        raise wrong_argument("cumulative_trapezoid", "y", 1, y)
    dim = dimension(dim, y.form.ndim)
    left, right = _neighbours(y, dim)
    if x is not None:
        return (_widths("cumulative_trapezoid", y, x, dim) / 2.0 * (left + right)).cumsum(dim)
    dx = _interval("cumulative_trapezoid", y, dx)
    return (dx / 2.0 * (left + right)).cumsum(dim)


# ---------- slopes ----------
def _piece(x: Tensor, dim: int, start: int, size: int) -> Tensor:
    return x.narrow(dim, start if start >= 0 else x.form.shape[dim] + start, size)


def _even_slope(t: Tensor, dim: int, step: float, edge_order: int) -> Tensor:
    """The slope along dim on points a step apart."""
    n = t.form.shape[dim]
    first, second = _piece(t, dim, 0, 1), _piece(t, dim, 1, 1)
    last, before = _piece(t, dim, -1, 1), _piece(t, dim, -2, 1)
    if edge_order == 1:
        start, end = (second - first) / step, (last - before) / step
    else:
        start = first * (-1.5 / step) + second * (2 / step) + _piece(t, dim, 2, 1) * (-0.5 / step)
        end = _piece(t, dim, -3, 1) * (0.5 / step) + before * (-2 / step) + last * (1.5 / step)
    middle = (t.narrow(dim, 2, n - 2) - t.narrow(dim, 0, n - 2)) / (step * 2)
    return cat([start, middle, end], dim)


def _uneven_slope(t: Tensor, dim: int, at: Tensor, edge_order: int) -> Tensor:
    """The slope along dim on the points `at`."""
    n = t.form.shape[dim]
    widths = diff(at).view([-1 if a == dim else 1 for a in range(t.form.ndim)])
    h, k = widths.narrow(dim, 0, n - 2), widths.narrow(dim, 1, n - 2)
    a, b, c = -k / (h * (h + k)), (k - h) / (h * k), h / (k * (h + k))
    three = [t.narrow(dim, i, n - 2) for i in range(3)]
    middle = three[0] * a + three[1] * b + three[2] * c
    if edge_order == 1:
        start = (_piece(t, dim, 1, 1) - _piece(t, dim, 0, 1)) / _piece(widths, dim, 0, 1)
        end = (_piece(t, dim, -1, 1) - _piece(t, dim, -2, 1)) / _piece(widths, dim, -1, 1)
        return cat([start, middle, end], dim)
    h, k = _piece(widths, dim, 0, 1), _piece(widths, dim, 1, 1)
    start = _weighted(t, dim, 0, -(h * 2 + k) / (h * (h + k)), (h + k) / (h * k),
                      -h / (k * (h + k)))  # fmt: skip
    h, k = _piece(widths, dim, -2, 1), _piece(widths, dim, -1, 1)
    end = _weighted(t, dim, -3, k / (h * (h + k)), -(k + h) / (h * k),
                    (k * 2 + h) / (k * (h + k)))  # fmt: skip
    return cat([start, middle, end], dim)


def _weighted(t: Tensor, dim: int, start: int, *weights: Tensor) -> Tensor:
    """Three neighbours, weighted."""
    total = _piece(t, dim, start, 1) * weights[0]
    for i, w in enumerate(weights[1:], 1):
        total = total + _piece(t, dim, start + i, 1) * w
    return total


def _directions(input: Tensor, dim, spacing) -> list[int]:
    ndim = input.form.ndim
    if dim is None:
        dims = list(range(ndim))
        if isinstance(spacing, (list, tuple)) and len(spacing) == 1 and ndim != 1:
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar, or a list of length "
                f"equal to 'self.dim() = {ndim}', since dim argument was not given, but got a list "
                f"of length {len(spacing)}"
            )
        return dims
    dims = [dim] if isinstance(dim, int) else list(dim)
    found = [dimension(d, ndim) for d in dims]
    for d in found:
        if found.count(d) > 1:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return found


def _check_slopes(input: Tensor, dims: list[int], edge_order: int) -> None:
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if input.form.dtype.kind in "bu":
        raise RuntimeError(
            "torch.gradient does not support "
            f"{'uint8' if input.form.dtype.kind == 'u' else 'bool'} input."
        )
    for d in dims:
        if input.form.shape[d] < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1"
            )


def _spacings(spacing, dims: list[int], given: bool) -> list:
    spacing = 1 if spacing is None else spacing
    if not isinstance(spacing, (list, tuple)):
        if isinstance(spacing, Tensor) and spacing.form.ndim:
            spacing = [spacing]
        else:
            return [operand("gradient", spacing)] * len(dims)
    if len(spacing) != len(dims):
        what = "dim" if given else "self.dim()"
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and "
            f"{what} arguments to have the same length, but got a spacing argument of length "
            f"{len(spacing)} and a {what} argument of length {len(dims)}."
        )
    return list(spacing)


def gradient(input, *, spacing=1, dim=None, edge_order=1) -> list[Tensor]:
    """The slope along each dimension, by central differences of second order."""
    if not isinstance(input, Tensor):
        raise wrong_argument("gradient", "input", 1, input)
    dims = _directions(input, dim, spacing)
    each = _spacings(spacing, dims, dim is not None)
    _check_slopes(input, dims, edge_order)
    t = input if input.form.dtype.kind in "fc" else input.to(dtypes.get_default_dtype())
    found = []
    for d, step in zip(dims, each, strict=True):
        if isinstance(step, Tensor) and step.form.ndim:
            if step.form.size != t.form.shape[d]:
                raise RuntimeError(
                    "torch.gradient expected each element of spacing to be a 1-D tensor with one "
                    f"coordinate per sample, but got {step.form.size} for {t.form.shape[d]}"
                )
            found.append(_uneven_slope(t, d, step, edge_order))
        else:
            found.append(_even_slope(t, d, step, edge_order))
    return tuple(found)
