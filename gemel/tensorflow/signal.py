"""`tf.signal`: discrete Fourier transforms of the last axes. The transforms are in `ops.fourier`.

In: complex tensors (real ones for `rfft` and its kin). Out: tensors.
"""

from __future__ import annotations

from math import prod

from gemel.ops import fourier
from gemel.ops.complex_arithmetic import scaled
from gemel.ops.rearrange import roll

from .calls_math import FaceCall, require
from .dispatch import apply, static
from .errors import ShapeMismatch


def _axes(name: str, x, count: int) -> tuple[int, ...]:
    if x.ndim < count:
        raise ShapeMismatch(f"{name}: Input must have rank of at least {count} but got: {x.ndim}")
    return tuple(range(x.ndim - count, x.ndim))


def _whole(name: str, count: int, forward: bool) -> FaceCall:
    def expand(attrs, x):
        require(name, x, "c", "input")
        axes = _axes(name, x, count)
        y = fourier.transform(x, axes, forward)
        return y if forward else scaled(y, 1.0 / max(1, prod(x.shape[a] for a in axes)))

    return FaceCall(name, expand)


def _fitted(x, axes, sizes):
    for a, n in zip(axes, sizes, strict=True):
        x = fourier.resized(x, a, n)
    return x


def _lengths(name: str, given, count: int):
    if given is not None and len(given) != count:
        raise ShapeMismatch(f"{name}: fft_length must have shape [{count}]")


def _from_real(name: str, count: int) -> FaceCall:
    def expand(attrs, x):
        require(name, x, "f", "input")
        _lengths(name, attrs[0], count)
        axes = _axes(name, x, count)
        x = _fitted(x, axes, attrs[0] or [x.shape[a] for a in axes])
        return fourier.transform(fourier.half_transform(x, axes[-1]), axes[:-1])

    return FaceCall(name, expand)


def _to_real(name: str, count: int) -> FaceCall:
    def expand(attrs, z):
        require(name, z, "c", "input")
        _lengths(name, attrs[0], count)
        axes = _axes(name, z, count)
        sizes = [z.shape[a] for a in axes[:-1]] + [2 * (z.shape[-1] - 1)]
        sizes = list(attrs[0] or sizes)
        z = _fitted(z, axes[:-1], sizes[:-1])
        y = fourier.real_transform(fourier.transform(z, axes[:-1], False), axes[-1], sizes[-1])
        return y * (1.0 / max(1, prod(sizes)))

    return FaceCall(name, expand)


def _plain(name: str, call: FaceCall):
    def function(input, name=None):
        return apply(call, (input,), (), name or call.name)

    return _named(function, name, "The transform of the last axes; complex.")


def _sized(name: str, call: FaceCall, text: str):
    def function(input_tensor, fft_length=None, name=None):
        return apply(call, (input_tensor,), (static(fft_length),), name or call.name)

    return _named(function, name, text)


def _named(function, name: str, text: str):
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


_HALF = "The frequencies up to the half along the last axis, of real values."
_BACK = "The inverse of the transform of real values; real."
fft = _plain("fft", _whole("FFT", 1, True))
fft2d = _plain("fft2d", _whole("FFT2D", 2, True))
fft3d = _plain("fft3d", _whole("FFT3D", 3, True))
ifft = _plain("ifft", _whole("IFFT", 1, False))
ifft2d = _plain("ifft2d", _whole("IFFT2D", 2, False))
ifft3d = _plain("ifft3d", _whole("IFFT3D", 3, False))
rfft = _sized("rfft", _from_real("RFFT", 1), _HALF)
rfft2d = _sized("rfft2d", _from_real("RFFT2D", 2), _HALF)
rfft3d = _sized("rfft3d", _from_real("RFFT3D", 3), _HALF)
irfft = _sized("irfft", _to_real("IRFFT", 1), _BACK)
irfft2d = _sized("irfft2d", _to_real("IRFFT2D", 2), _BACK)
irfft3d = _sized("irfft3d", _to_real("IRFFT3D", 3), _BACK)


def _rolled(name: str, shift) -> FaceCall:
    def expand(attrs, x):
        (axes,) = attrs
        given = (axes,) if isinstance(axes, int) else axes
        for a in range(x.ndim) if given is None else given:
            x = roll(x, shift(x.shape[a]), a % x.ndim)
        return x

    return FaceCall(name, expand)


_SHIFT = _rolled("fftshift", lambda n: n // 2)
_SHIFT_BACK = _rolled("ifftshift", lambda n: (n + 1) // 2)


def fftshift(x, axes=None, name=None):
    """The frequency zero moved to the middle."""
    return apply(_SHIFT, (x,), (static(axes),), name or "fftshift")


def ifftshift(x, axes=None, name=None):
    """The inverse of `fftshift`."""
    return apply(_SHIFT_BACK, (x,), (static(axes),), name or "ifftshift")


def __getattr__(name: str):
    from ._missing import missing

    raise missing("signal", name)
