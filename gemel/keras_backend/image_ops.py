"""`keras.ops.image`: colours and resizing as contractions with weights known from the sizes.

The weights are numbers of the shapes alone; they are made once, in NumPy, as constants.
"""

from __future__ import annotations

import numpy as np
from keras.src import backend

from gemel import tensor as lazy

from .contracting import tensordot
from .creation import zeros
from .missing import refuse
from .sampling import affine_transform, map_coordinates  # noqa: F401
from .shaping import moveaxis, narrow, pad
from .tensors import convert_to_tensor, tensor, to_dtype

METHODS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


def _channel_axis(x, data_format) -> int:
    last = backend.standardize_data_format(data_format) == "channels_last"
    if x.form.ndim not in (3, 4):
        raise ValueError(
            "Invalid images rank: expected rank 3 (single image) or rank 4 (batch of images). "
            f"Received input with shape: images.shape={x.form.shape}"
        )
    return -1 if last else -3


def rgb_to_grayscale(images, data_format=None) -> lazy.Tensor:
    x = tensor(images)
    axis = _channel_axis(x, data_format) % x.form.ndim
    channels = x.form.shape[axis]
    if channels not in (1, 3):
        raise ValueError(
            "Invalid channel size: expected 3 (RGB) or 1 (Grayscale). Received input with shape: "
            f"images.shape={x.form.shape}"
        )
    if channels == 1:
        return x
    dtype = x.form.dtype
    floats = x if dtype.is_float else to_dtype(x, convert_to_tensor(0.0).form.dtype)
    weights = convert_to_tensor(np.array([[0.2989], [0.5870], [0.1140]]), floats.form.dtype.name)
    gray = tensordot(floats, weights, ((axis,), (0,)))
    return to_dtype(moveaxis(gray, -1, axis), dtype)


# ---------- resizing ----------
def _kernel(method: str, x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    if method == "bilinear":
        return np.maximum(0, 1 - x)
    if method == "bicubic":
        near = ((1.5 * x - 2.5) * x) * x + 1
        far = ((-0.5 * x + 2.5) * x - 4) * x + 2
        return np.where(x < 1, near, np.where(x < 2, far, 0))
    radius = float(method[-1])
    return np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


def _weights(n: int, size: int, method: str, antialias: bool) -> np.ndarray:
    """[n, size]: how much each old row gives to each new one."""
    scale = size / n
    places = (np.arange(size) + 0.5) / scale - 0.5
    if method == "nearest":
        source = np.floor((np.arange(size) + 0.5) / scale).astype(int)
        return (np.arange(n)[:, None] == source[None]).astype(float)
    stretch = max(1 / scale, 1.0) if antialias else 1.0
    found = _kernel(method, (places[None] - np.arange(n)[:, None]) / stretch)
    total = found.sum(0, keepdims=True)
    found = np.where(np.abs(total) > 1e-6, found / np.where(total == 0, 1, total), 0)
    inside = (places >= -0.5) & (places <= n - 0.5)
    return np.where(inside[None], found, 0)


def resize(
    images,
    size,
    interpolation="bilinear",
    antialias=False,
    crop_to_aspect_ratio=False,
    pad_to_aspect_ratio=False,
    fill_mode="constant",
    fill_value=0.0,
    data_format="channels_last",
) -> lazy.Tensor:
    if interpolation not in METHODS:
        raise ValueError(
            f"Invalid value for argument `interpolation`. Expected of one {METHODS}. Received: "
            f"interpolation={interpolation}"
        )
    if pad_to_aspect_ratio and crop_to_aspect_ratio:
        raise ValueError(
            "Only one of `pad_to_aspect_ratio` & `crop_to_aspect_ratio` can be `True`."
        )
    if fill_mode != "constant":
        raise ValueError(
            "Invalid value for argument `fill_mode`. Only `'constant'` is supported. Received: "
            f"fill_mode={fill_mode}"
        )
    x = tensor(images)
    dtype = x.form.dtype
    last = _channel_axis(x, data_format) == -1
    axes = (x.form.ndim - 3, x.form.ndim - 2) if last else (x.form.ndim - 2, x.form.ndim - 1)
    x = x if dtype.is_float else to_dtype(x, zeros(()).form.dtype)
    if crop_to_aspect_ratio:
        x = _cropped(x, axes, size)
    if pad_to_aspect_ratio:
        x = _padded(x, axes, size, fill_value)
    for axis, n in zip(axes, size, strict=True):
        x = _resized(x, axis, int(n), interpolation, antialias)
    return _as_before(x, dtype)


def _as_before(x, dtype):
    """Integers are rounded and kept in range."""
    if dtype.is_float:
        return x
    from .arithmetic import clip
    from .arithmetic import round as to_whole

    limits = np.iinfo(dtype.numpy)
    return to_dtype(clip(to_whole(x), float(limits.min), float(limits.max)), dtype)


def _resized(x, axis: int, size: int, method: str, antialias: bool):
    n = x.form.shape[axis]
    if n == size:
        return x
    weights = convert_to_tensor(_weights(n, size, method, antialias), x.form.dtype.name)
    return moveaxis(tensordot(x, weights, ((axis,), (0,))), -1, axis)


def _cropped(x, axes, size):
    """The middle part with the wanted aspect ratio."""
    have = [x.form.shape[a] for a in axes]
    want = (int(have[1] * size[0] / size[1]), int(have[0] * size[1] / size[0]))
    for axis, n, most in zip(axes, have, want, strict=True):
        keep = max(1, min(n, most))
        x = narrow(x, axis, int((n - keep) / 2), keep)
    return x


def _padded(x, axes, size, value):
    have = [x.form.shape[a] for a in axes]
    want = (int(have[1] * size[0] / size[1]), int(have[0] * size[1] / size[0]))
    widths = [(0, 0)] * x.form.ndim
    for axis, n, least in zip(axes, have, want, strict=True):
        before = max(0, (max(n, least) - n) // 2)
        widths[axis] = (before, max(n, least) - n - before)
    return pad(x, widths, "constant", value)


__getattr__ = refuse(
    "image",
    (
        "rgb_to_hsv", "hsv_to_rgb", "perspective_transform",
        "compute_homography_matrix", "gaussian_blur", "elastic_transform",
        "scale_and_translate", "sobel_edges",
    ),
)  # fmt: skip
