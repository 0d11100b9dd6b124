"""`functional.interpolate`: resizing of [N, C, ...] with PyTorch's rules for sizes and scales."""

from __future__ import annotations

import math
import warnings

from gemel.graph.node import Node
from gemel.ops import pooling, resizing
from gemel.ops.record import Call
from gemel.tensor import record1
from gemel.torch.tensor import Tensor

_LINEAR = {"linear": 3, "bilinear": 4, "trilinear": 5, "bicubic": 4}
_NEAREST = ("nearest", "nearest-exact", "area")
_MODES = "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact"


def _resized(attrs, x: Node) -> Node:
    mode, sizes, scales, corners, antialias = attrs
    if mode == "area":
        return pooling.adaptive_average(x, tuple(range(2, x.ndim)), sizes)
    for axis, (size, scale) in enumerate(zip(sizes, scales, strict=True), 2):
        n = x.shape[axis]
        step = n / size if scale is None else 1 / scale
        if mode.startswith("nearest"):
            x = resizing.nearest(x, axis, size, step, mode == "nearest-exact")
            continue
        if corners:
            step = (n - 1) / (size - 1) if size > 1 else 0.0
        if antialias:
            x = resizing.smoothed(x, axis, size, step, "cubic" if mode == "bicubic" else "linear")
        elif mode == "bicubic":
            x = resizing.cubic(x, axis, size, step, corners)
        else:
            x = resizing.linear(x, axis, size, step, corners)
    return x


INTERPOLATE = Call("interpolate", _resized)


def _check_mode(x: Tensor, mode: str, corners) -> None:
    if mode in _NEAREST:
        if corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | "
                "bilinear | bicubic | trilinear"
            )
    elif mode == "lanczos":
        raise NotImplementedError(f"interpolate: mode '{mode}' is not supported")
    if x.ndim not in (3, 4, 5) or mode not in (*_NEAREST, *_LINEAR):
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported "
            f"(got {x.ndim}D) for the modes: {_MODES} (got {mode})"
        )
    if _LINEAR.get(mode, x.ndim) != x.ndim:
        raise NotImplementedError(f"Got {x.ndim}D input, but {mode} mode needs {_LINEAR[mode]}D "
                                  "input")  # fmt: skip


def _sizes(x: Tensor, size, scale_factor, recompute) -> tuple[tuple, tuple]:
    """(size of each place, the scale to use or None for the ratio of sizes)."""
    places = x.form.shape[2:]
    if (size is None) == (scale_factor is None):
        only = "only one of size or scale_factor should be defined"
        raise ValueError(only if size is not None else
                         "either size or scale_factor should be defined")  # fmt: skip
    what, given = ("output size", size) if size is not None else ("scale_factor", scale_factor)
    given = tuple(given) if isinstance(given, tuple | list) else (given,) * len(places)
    if len(given) != len(places):
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input "
            f"with spatial dimensions of {list(places)} and {what} of {given}. Please provide "
            "input tensor in (N, C, d1, d2, ...,dK) format and "
            f"{what} in ({'o1, o2, ...,oK' if size is not None else 's1, s2, ...,sK'}) format."
        )
    if size is not None:
        return tuple(map(int, given)), (None,) * len(places)
    scales = tuple(map(float, given))
    sizes = tuple(math.floor(n * s) for n, s in zip(places, scales, strict=True))
    return sizes, (None,) * len(places) if recompute else scales


def interpolate(input: Tensor, size=None, scale_factor=None, mode: str = "nearest",
                align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
                antialias: bool = False) -> Tensor:
    """input [N, C, ...] resized to `size` or by `scale_factor`.

    mode: 'nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic', 'trilinear' or 'area'.
    `align_corners` puts the outer cells' centres onto each other; `antialias` (bilinear, bicubic)
    smooths where the result has fewer cells.
    """
    sizes, scales = _sizes(input, size, scale_factor, recompute_scale_factor)
    _check_mode(input, mode, align_corners)
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError("Anti-alias option is restricted to bilinear and bicubic modes and "
                         "requires a 4-D tensor as input")
    if min((*sizes, *input.form.shape[2:])) <= 0:
        axes = "DHW"[-len(sizes) :]
        have, want = (", ".join(f"{a}: {n}" for a, n in zip(axes, s, strict=True))
                      for s in (input.form.shape[2:], sizes))  # fmt: skip
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({have}) output "
            f"({want})"
        )
    attrs = (mode, sizes, scales, bool(align_corners), bool(antialias))
    return record1(INTERPOLATE, input, attrs)


def _deprecated(name: str) -> None:
    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=3,
    )


def upsample(input: Tensor, size=None, scale_factor=None, mode: str = "nearest",
             align_corners: bool | None = None) -> Tensor:
    """`interpolate` under its older name."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size=None, scale_factor=None) -> Tensor:
    """`interpolate` with mode 'nearest'."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size=None, scale_factor=None) -> Tensor:
    """`interpolate` with mode 'bilinear' and aligned corners."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def _upsample_bilinear2d_aa(input: Tensor, output_size, align_corners: bool, scales_h=None,
                            scales_w=None, *, scale_factors=None) -> Tensor:
    """Bilinear resizing of [N, C, H, W] with smoothing, by its name inside PyTorch. Its scales
    are `scale_factors`, or those for height and width beside a size."""
    if output_size is None or scale_factors is not None:
        sizes, scales = _sizes(input, output_size, scale_factors, False)
    else:
        sizes = tuple(map(int, output_size))
        scales = tuple(None if s is None else float(s) for s in (scales_h, scales_w))
    attrs = ("bilinear", sizes, scales, bool(align_corners), True)
    return record1(INTERPOLATE, input, attrs)

