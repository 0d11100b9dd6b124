"""`functional.grid_sample` and `affine_grid`: values at the places of a grid."""

from __future__ import annotations

import warnings

from gemel.graph.node import Node
from gemel.ops import sampling
from gemel.ops.record import Call
from gemel.tensor import record1, record2
from gemel.torch.checks import not_implemented, wrong_argument
from gemel.torch.tensor import Tensor

MODES = ("bilinear", "nearest", "bicubic")
BORDERS = ("zeros", "border", "reflection")
_KINDS = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}


def _check_grid(x: Node, grid: Node, mode: str) -> None:
    if x.dtype is not grid.dtype:
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{x.dtype.name} and grid has {grid.dtype.name}"
        )
    if x.ndim not in (4, 5) or x.ndim != grid.ndim:
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but "
            f"got input with sizes {list(x.shape)} and grid with sizes {list(grid.shape)}"
        )
    if x.shape[0] != grid.shape[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with "
            f"sizes {list(x.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[-1] != x.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {x.ndim - 2} in last dimension, but got "
            f"grid with sizes {list(grid.shape)}"
        )
    for axis, n in enumerate(x.shape[2:], 2):
        if n <= 0:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input "
                f"has sizes {list(x.shape)} with dimension {axis} being empty"
            )
    if mode == "bicubic" and x.ndim == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


def _grid_sample(attrs, x: Node, grid: Node) -> Node:
    mode, border, corners = attrs
    _check_grid(x, grid, mode)
    if x.dtype.kind != "f":
        raise not_implemented("grid_sampler_2d_cpu", x)
    return sampling.sample(x, grid, _KINDS[mode], border, corners)


def _affine_grid(attrs, theta: Node) -> Node:
    sizes, corners = attrs
    rank = len(sizes) - 2
    if theta.ndim != 3 or theta.shape[1:] != (rank, rank + 1) or theta.shape[0] != sizes[0]:
        raise ValueError(
            f"Expected a batch of {rank}D affine matrices of shape Nx{rank}x{rank + 1} for size "
            f"torch.Size({list(sizes)}). Got torch.Size({list(theta.shape)})."
        )
    return sampling.affine_grid(theta, sizes[2:], corners)


GRID_SAMPLE = Call("grid_sampler", _grid_sample)
AFFINE_GRID = Call("affine_grid_generator", _affine_grid)


def _corners_of(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            f"Default {name} behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired.",
            stacklevel=3,
        )
    return bool(align_corners)


def _sampled(name: str, input, grid, attrs) -> Tensor:
    for place, (what, given) in enumerate((("input", input), ("grid", grid)), 1):
        if not isinstance(given, Tensor):
            raise wrong_argument(name, what, place, given)
    return record2(GRID_SAMPLE, input, grid, attrs)


def grid_sample(input: Tensor, grid: Tensor, mode: str = "bilinear",
                padding_mode: str = "zeros", align_corners: bool | None = None) -> Tensor:
    """input [N, C, ...] at the places grid [N, ..., axes] says, coordinates from -1 to 1.

    mode 'bilinear', 'nearest' or 'bicubic'; padding_mode 'zeros', 'border' or 'reflection'.
    """
    if mode not in MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in BORDERS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    corners = _corners_of("grid_sample and affine_grid", align_corners)
    return _sampled("grid_sampler", input, grid, (mode, padding_mode, corners))


def grid_sampler(input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int,
                 align_corners: bool) -> Tensor:
    """`grid_sample` with numbers for its modes."""
    attrs = (MODES[interpolation_mode], BORDERS[padding_mode], bool(align_corners))
    return _sampled("grid_sampler", input, grid, attrs)


def grid_sampler_2d(input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int,
                    align_corners: bool) -> Tensor:
    """`grid_sampler` of [N, C, H, W]."""
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


def grid_sampler_3d(input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int,
                    align_corners: bool) -> Tensor:
    """`grid_sampler` of [N, C, D, H, W]."""
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


def affine_grid(theta: Tensor, size, align_corners: bool | None = None) -> Tensor:
    """The grid that theta [N, axes, axes + 1] makes of the cells of `size` [N, C, ...]."""
    if not isinstance(theta, Tensor):
        raise wrong_argument("affine_grid_generator", "theta", 1, theta)
    if theta.form.dtype.kind != "f":
        raise ValueError(
            f"Expected theta to have floating point type, but got {theta.dtype}"
        )
    corners = _corners_of("grid_sample and affine_grid", align_corners)
    sizes = tuple(map(int, size))
    if len(sizes) not in (4, 5):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    if min(sizes) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return record1(AFFINE_GRID, theta, (sizes, corners))


def affine_grid_generator(theta: Tensor, size, align_corners: bool) -> Tensor:
    """See torch.nn.functional.affine_grid."""
    return affine_grid(theta, size, align_corners)
