"""`torch.fft`: discrete Fourier transforms in one and several dimensions, and their frequencies.

The transforms are in `ops.fourier`. Here are sizes, dimensions, normalisation and error texts.
"""

from __future__ import annotations

from gemel.graph.node import Node
from gemel.ops import fourier
from gemel.ops.complex import complex_type
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.tensor import record1

from . import dtypes
from .checks import dimension, wrong_argument
from .dtypes import get_default_dtype
from .out import takes_out
from .sequences import arange
from .size import as_int
from .tensor import Tensor

# ---------- normalisation ----------
_OTHER = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _mode(norm: str | None) -> str:
    norm = "backward" if norm is None else norm
    if norm not in _OTHER:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return norm


# ---------- operands ----------
def _check_size(n: int) -> int:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return n


def _floating(x: Node) -> Node:
    """Whole numbers become the default floating-point type."""
    dtype = x.dtype
    if not dtype.is_smooth:
        dtype = get_default_dtype().engine
    if dtype.half:
        raise RuntimeError(f"Unsupported dtype {dtypes.short_name(dtype)}")
    return cast(x, dtype)


def _complex(x: Node) -> Node:
    x = _floating(x)
    return cast(x, complex_type(x.dtype))


def _real(name: str, x: Node) -> Node:
    if x.dtype.is_complex:
        raise RuntimeError(
            f"{name} expects a real input tensor, but got {dtypes.short_name(x.dtype)}"
        )
    return _floating(x)


def _halved(n: int) -> int:
    return 2 * (n - 1)


# what a function does: name -> (kind, is it the forward transform?)
_KINDS = {
    "fft": ("complex", True),
    "ifft": ("complex", False),
    "rfft": ("from_real", True),
    "ihfft": ("from_real", False),
    "hfft": ("to_real", True),
    "irfft": ("to_real", False),
}


def _apply(name: str, base: str, x: Node, sizes, dims, norm: str) -> Node:
    kind, forward = _KINDS[base]
    for n in sizes:
        _check_size(n)
    if kind == "from_real":
        return fourier.real_to_complex(_real(name, x), sizes, dims, norm, forward)
    if kind == "to_real":
        return fourier.complex_to_real(_complex(x), sizes, dims, norm, forward)
    return fourier.complex_to_complex(_complex(x), sizes, dims, norm, forward)


def _check_kind(name: str, base: str, x: Node) -> None:
    if _KINDS[base][0] == "from_real":
        _real(name, x)


def _dimension(dim: int, ndim: int) -> int:
    if not ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return dimension(dim, ndim)


# ---------- one dimension ----------
def _one_call(name: str) -> Call:
    def expand(attrs, x):
        n, dim, norm = attrs
        _check_kind(name, name, x)
        axis = _dimension(dim, x.ndim)
        if n is None:
            n = x.shape[axis]
            n = _halved(n) if _KINDS[name][0] == "to_real" else n
        return _apply(name, name, x, (n,), (axis,), norm)

    return Call("fft_" + name, expand)


def _one(name: str, text: str):
    call = _one_call(name)

    def function(input, n=None, dim=-1, norm=None) -> Tensor:
        if not isinstance(input, Tensor):
            raise wrong_argument("fft_" + name, "self", 1, input)
        size = None if n is None else as_int(n)
        return record1(call, input, (size, as_int(dim), _mode(norm)))

    return _named(function, name, text)


def _named(function, name: str, text: str):
    function.__name__ = function.__qualname__ = "fft_" + name
    function.__doc__ = text
    return takes_out(function)


# ---------- several dimensions ----------
def _axes(sizes, dims, x: Node) -> tuple[int, ...]:
    """The dimensions as positions; RuntimeError where sizes and dimensions do not fit."""
    n = x.ndim
    if dims is not None:
        found = tuple(_dimension(d, n) for d in dims)
        if len(set(found)) != len(found):
            raise RuntimeError("FFT dims must be unique")
        if sizes is not None and len(sizes) != len(found):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
        return found
    if sizes is None:
        return tuple(range(n))
    if len(sizes) > n:
        raise RuntimeError(
            f"Got shape with {len(sizes)} values but input tensor only has {n} dimensions."
        )
    return tuple(range(n - len(sizes), n))


def _several_call(name: str, base: str) -> Call:
    def expand(attrs, x):
        sizes, dims, norm = attrs
        _check_kind(name, base, x)
        axes = _axes(sizes, dims, x)
        half = _KINDS[base][0] == "to_real"
        if base not in ("fft", "ifft") and not axes:
            raise RuntimeError(f"{name} must transform at least one axis")
        given = sizes or (-1,) * len(axes)
        found = [x.shape[a] if n == -1 else n for a, n in zip(axes, given, strict=True)]
        if half and given[-1] == -1:
            found[-1] = _halved(x.shape[axes[-1]])
        return _apply(name, base, x, tuple(found), axes, norm)

    return Call("fft_" + name, expand)


def _numbers(given) -> tuple[int, ...] | None:
    if given is None:
        return None
    return (as_int(given),) if isinstance(given, int) else tuple(map(as_int, given))


def _several(name: str, base: str, default, text: str):
    call = _several_call(name, base)

    def function(input, s=None, dim=default, norm=None) -> Tensor:
        if not isinstance(input, Tensor):
            raise wrong_argument("fft_" + name, "self", 1, input)
        return record1(call, input, (_numbers(s), _numbers(dim), _mode(norm)))

    return _named(function, name, text)


_TEXTS = {
    "fft": "The discrete Fourier transform; complex.",
    "ifft": "The inverse discrete Fourier transform; complex.",
    "rfft": "The transform of real values: the frequencies up to the half.",
    "irfft": "The inverse of `rfft`; real. n defaults to an even number of values.",
    "hfft": "The transform of values of which one half is given, the others conjugates; real.",
    "ihfft": "The inverse of `hfft`: the frequencies up to the half of real values.",
}
fft, ifft, rfft, irfft, hfft, ihfft = (_one(name, text) for name, text in _TEXTS.items())
fft2, ifft2, rfft2, irfft2, hfft2, ihfft2 = (
    _several(name + "2", name, (-2, -1), text + " Two dimensions.") for name, text in _TEXTS.items()
)
fftn, ifftn, rfftn, irfftn, hfftn, ihfftn = (
    _several(name + "n", name, None, text + " Several dimensions.") for name, text in _TEXTS.items()
)


# ---------- frequencies and their order ----------
def _frequencies(first: int, count: int, n: int, d: float, options: dict) -> Tensor:
    dtype = options.pop("dtype", None) or get_default_dtype()
    if not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError("fftfreq requires a floating point or complex dtype")
    flag = options.pop("requires_grad", False)
    found = arange(first, first + count, dtype=dtype, **options) * (1.0 / (n * d))
    return found.requires_grad_(flag)


@takes_out
def fftfreq(n, d=1.0, *, dtype=None, layout=None, device=None, requires_grad=False) -> Tensor:
    """The frequencies of `fft` for n values at distance d: zero, positive, then negative ones."""
    options = {"dtype": dtype, "device": device, "requires_grad": requires_grad}
    found = _frequencies(-(n // 2), n, n, d, options)
    return ifftshift(found)


@takes_out
def rfftfreq(n, d=1.0, *, dtype=None, layout=None, device=None, requires_grad=False) -> Tensor:
    """The frequencies of `rfft` for n values at distance d."""
    options = {"dtype": dtype, "device": device, "requires_grad": requires_grad}
    return _frequencies(0, n // 2 + 1, n, d, options)


def _rolled(input, dim, shift) -> Tensor:
    dims = tuple(range(input.form.ndim)) if dim is None else _numbers(dim)
    if not dims:
        return input.roll(0) if input.form.ndim else input.clone()
    shifts = [shift(input.form.shape[dimension(d, input.form.ndim)]) for d in dims]
    return input.roll(shifts, dims)


def fftshift(input, dim=None) -> Tensor:
    """The frequency zero moved to the middle."""
    return _rolled(input, dim, lambda n: n // 2)


def ifftshift(input, dim=None) -> Tensor:
    """The inverse of `fftshift`."""
    return _rolled(input, dim, lambda n: (n + 1) // 2)
