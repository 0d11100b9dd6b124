"""`keras.ops`' Fourier transforms. Complex values are pairs of tensors: (real, imaginary).

The transforms are in `gemel.ops.fourier`. In: tensors of a floating-point type. Out: tensors.
"""

from __future__ import annotations

import numpy as np

from gemel import tensor as lazy
from gemel.graph.form import int64
from gemel.ops import complex as parts
from gemel.ops import elementwise as E
from gemel.ops import fourier
from gemel.ops import movement as M
from gemel.ops.indexing import gather, scatter_add
from gemel.ops.record import Call

from .shaping import pad
from .tensors import apply, apply_many, convert_to_tensor, tensor


def _pair(x) -> list[lazy.Tensor]:
    """The two tensors of a complex value; ValueError for anything else."""
    what = "Input `x` should be a tuple of two tensors - real and imaginary."
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(f"{what} Received: x={x}")
    found = [tensor(part) for part in x]
    if found[0].form.shape != found[1].form.shape:
        raise ValueError(
            f"{what} Both the real and imaginary parts should have the same shape. Received: "
            f"x[0].shape = {found[0].form.shape}, x[1].shape = {found[1].form.shape}"
        )
    if not all(part.form.dtype.is_float for part in found):
        raise ValueError(f"At least one tensor in input `x` is not of type float. Received: x={x}.")
    return found


def _split(z):
    return parts.real(z), parts.imaginary(z)


# ---------- transforms ----------
def _transformed(attrs, re, im):
    """attrs: (how many of the last axes, forward)."""
    count, forward = attrs
    axes = range(re.ndim - count, re.ndim)
    re, im = _split(fourier.transform(parts.from_parts(re, im), axes, forward))
    if forward:
        return re, im
    size = float(max(1, int(np.prod([re.shape[a] for a in axes]))))
    return re / size, im / size


def _halved(attrs, x):
    axis = x.ndim - 1
    x = fourier.resized(x, axis, attrs[0] or x.shape[axis])
    return _split(fourier.half_transform(x, axis))


def _back(attrs, re, im):
    axis = re.ndim - 1
    size = attrs[0] or 2 * (re.shape[axis] - 1)
    return fourier.real_transform(parts.from_parts(re, im), axis, size) / float(size)


_TRANSFORM = Call("fft", _transformed)
_HALF = Call("rfft", _halved)
_BACK = Call("irfft", _back)


def fft(x) -> tuple:
    return tuple(apply_many(_TRANSFORM, *_pair(x), attrs=(1, True)))


def fft2(x) -> tuple:
    return tuple(apply_many(_TRANSFORM, *_pair(x), attrs=(2, True)))


def ifft2(x) -> tuple:
    return tuple(apply_many(_TRANSFORM, *_pair(x), attrs=(2, False)))


def rfft(x, fft_length=None) -> tuple:
    return tuple(apply_many(_HALF, tensor(x), attrs=(fft_length,)))


def irfft(x, fft_length=None) -> lazy.Tensor:
    return apply(_BACK, *_pair(x), attrs=(fft_length,))


# ---------- short stretches of a signal ----------
def _places(count: int, size: int, stride: int):
    """The positions in the signal of the cells of all stretches, [count, size]."""
    start = M.iota((count, size), 0, int64) * stride
    return start + M.iota((count, size), 1, int64)


def _stretches(attrs, x, window):
    """attrs: (length, stride): transforms of the stretches times a window."""
    length, stride = attrs
    axis = x.ndim - 1
    count = (x.shape[axis] - length) // stride + 1
    cut = gather(x, _places(count, length, stride), axis) * window
    return _split(fourier.half_transform(cut, cut.ndim - 1))


def _joined(attrs, re, im, window):
    """attrs: (length, stride): stretches added where they overlap, over the windows' squares."""
    length, stride = attrs
    count = re.shape[-2]
    axis = re.ndim - 2
    z = parts.from_parts(re, im)
    cut = fourier.real_transform(z, re.ndim - 1, length) / float(length) * window
    at = _places(count, length, stride)
    total = length + stride * (count - 1)
    added = scatter_add(M.zeros((*re.shape[:axis], total), re.dtype), at, cut, axis)
    square = M.expand(window * window, (count, length))
    weight = scatter_add(M.zeros((total,), re.dtype), at, square, 0)
    return added / E.where(E.gt(weight, 1e-10), weight, 1.0)


_STRETCHES = Call("stft", _stretches)
_JOINED = Call("istft", _joined)


def _window(window, sequence_length: int, fft_length: int, dtype: str) -> lazy.Tensor:
    """The window with zeros on both sides up to the transform's length."""
    if window is None:
        return convert_to_tensor(np.ones(fft_length), dtype)
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(
                "If a string is passed to `window`, it must be one of "
                f'`"hann"`, `"hamming"`. Received: window={window}'
            )
        base = 0.5 if window == "hann" else 0.54
        wave = np.cos(2 * np.pi * np.arange(sequence_length) / sequence_length)
        window = base - (1 - base) * wave
    window = convert_to_tensor(window, dtype)
    if window.form.shape != (sequence_length,):
        raise ValueError(
            "The shape of `window` must be equal to [sequence_length]."
            f"Received: window shape={window.form.shape}"
        )
    left = (fft_length - sequence_length) // 2
    return pad(window, [(left, fft_length - sequence_length - left)])


def stft(x, sequence_length, sequence_stride, fft_length, window="hann", center=True) -> tuple:
    x = tensor(x)
    dtype = x.form.dtype.name
    if dtype not in ("float32", "float64"):
        raise TypeError(
            f"Invalid input type. Expected `float32` or `float64`. Received: input type={dtype}"
        )
    if fft_length < sequence_length:
        raise ValueError(
            "`fft_length` must equal or larger than `sequence_length`. Received: "
            f"sequence_length={sequence_length}, fft_length={fft_length}"
        )
    made = _window(window, sequence_length, fft_length, dtype)
    if center:
        sides = [(0, 0)] * (x.form.ndim - 1) + [(fft_length // 2, fft_length // 2)]
        x = pad(x, sides, "reflect")
    return tuple(apply_many(_STRETCHES, x, made, attrs=(fft_length, sequence_stride)))


def istft(
    x, sequence_length, sequence_stride, fft_length, length=None, window="hann", center=True
) -> lazy.Tensor:
    re, im = _pair(x)
    if re.form.ndim < 2:
        raise ValueError(
            f"Input `x` must have at least 2 dimensions. Received shape: {re.form.shape}"
        )
    made = _window(window, sequence_length, fft_length, re.form.dtype.name)
    y = apply(_JOINED, re, im, made, attrs=(fft_length, sequence_stride))
    if window is None:  # without one the stretches are only added
        y = y * (fft_length / sequence_stride)
    start = fft_length // 2 if center else 0
    if length is not None:
        return y[..., start : start + length]
    return y[..., start : -(fft_length // 2)] if center else y
