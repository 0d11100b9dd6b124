"""The Fourier extension: discrete transforms over one axis or several."""

from __future__ import annotations

import numpy as np

from gemel.graph.form import float32, float64
from gemel.graph.node import Node
from gemel.ops import fourier
from gemel.ops.complex import complex_type
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.tensor import from_array

from .array import Array, check_array, check_device
from .dtypes import known
from .manipulation import roll
from .recording import axes_of, axis_of, one, require


def _complex(x: Node) -> Node:
    return cast(x, complex_type(x.dtype))


COMPLEX = Call("fft", lambda attrs, x: fourier.complex_to_complex(_complex(x), *attrs))
FROM_REAL = Call("rfft", lambda attrs, x: fourier.real_to_complex(x, *attrs))
TO_REAL = Call("irfft", lambda attrs, x: fourier.complex_to_real(_complex(x), *attrs))


# ---------- one axis ----------
def _one_axis(name: str, call: Call, kinds: str, forward: bool, text: str):
    def function(x, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
        check_array(name, x)
        require(name, x, kinds, "real floating" if kinds == "f" else "floating")
        at = axis_of(name, axis, x.ndim)
        size = (2 * (x.shape[at] - 1) if call is TO_REAL else x.shape[at]) if n is None else n
        return one(call, x, _settings(name, (size,), (at,), norm, forward))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


def _settings(name: str, sizes, axes, norm: str, forward: bool) -> tuple:
    if norm not in fourier.NORMS:
        raise ValueError(f"{name}: norm is one of {', '.join(fourier.NORMS)}, not {norm!r}")
    if any(n < 1 for n in sizes):
        raise ValueError(f"{name}: {sizes} values cannot be transformed")
    return tuple(sizes), tuple(axes), norm, forward


fft = _one_axis("fft", COMPLEX, "fc", True, "The transform along an axis, of n values.")
ifft = _one_axis("ifft", COMPLEX, "fc", False, "The inverse of fft.")
rfft = _one_axis("rfft", FROM_REAL, "f", True, "The first n // 2 + 1 frequencies of real values.")
irfft = _one_axis("irfft", TO_REAL, "fc", False, "The inverse of rfft: n real values.")
hfft = _one_axis("hfft", TO_REAL, "fc", True, "The real spectrum of n values given by one half.")
ihfft = _one_axis("ihfft", FROM_REAL, "f", False, "The inverse of hfft.")


# ---------- several axes ----------
def _several_axes(name: str, call: Call, kinds: str, forward: bool, text: str):
    def function(x, /, *, s=None, axes=None, norm: str = "backward") -> Array:
        check_array(name, x)
        require(name, x, kinds, "real floating" if kinds == "f" else "floating")
        if axes is None:
            axes = tuple(range(-len(s), 0)) if s is not None else None
        at = axes_of(name, None if axes is None else tuple(axes), x.ndim)
        if not at:
            raise ValueError(f"{name} needs at least one axis")
        sizes = [x.shape[a] for a in at] if s is None else list(s)
        if len(sizes) != len(at):
            raise ValueError(f"{name}: {len(sizes)} sizes for {len(at)} axes")
        if s is None and call is TO_REAL:
            sizes[-1] = 2 * (sizes[-1] - 1)
        return one(call, x, _settings(name, sizes, at, norm, forward))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


fftn = _several_axes("fftn", COMPLEX, "fc", True, "The transform along several axes.")
ifftn = _several_axes("ifftn", COMPLEX, "fc", False, "The inverse of fftn.")
rfftn = _several_axes("rfftn", FROM_REAL, "f", True,
                      "The transform of real values, half of the last axis.")  # fmt: skip
irfftn = _several_axes("irfftn", TO_REAL, "fc", False, "The inverse of rfftn.")


# ---------- frequencies ----------
def _frequencies(made: np.ndarray, dtype, device) -> Array:
    check_device(device)
    dtype = known(dtype or float64)
    if dtype not in (float32, float64):
        raise ValueError(f"frequencies are of a real floating-point type, not {dtype}")
    return from_array(made.astype(dtype.numpy), Array)


def fftfreq(n: int, /, *, d: float = 1.0, dtype=None, device=None) -> Array:
    """The frequency of each of n results of fft, for samples d apart."""
    return _frequencies(np.fft.fftfreq(n, d), dtype, device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype=None, device=None) -> Array:
    """The frequency of each result of rfft of n samples d apart."""
    return _frequencies(np.fft.rfftfreq(n, d), dtype, device)


def fftshift(x, /, *, axes=None) -> Array:
    """Frequency 0 in the middle."""
    return _shifted("fftshift", x, axes, lambda n: n // 2)


def ifftshift(x, /, *, axes=None) -> Array:
    """The inverse of fftshift."""
    return _shifted("ifftshift", x, axes, lambda n: -(n // 2))


def _shifted(name: str, x, axes, by) -> Array:
    check_array(name, x)
    require(name, x, "fc", "floating")
    at = axes_of(name, axes if axes is None or isinstance(axes, tuple) else (axes,), x.ndim)
    return roll(x, tuple(by(x.shape[a]) for a in at), axis=at) if at else x


__all__ = [
    "fft", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifftn",
    "ifftshift", "ihfft", "irfft", "irfftn", "rfft", "rfftfreq", "rfftn",
]  # fmt: skip
