"""Resizing of images, and sampling at given places."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gemel.graph.form import Form
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops.contraction import contract
from gemel.ops.indexing import gather
from gemel.ops.sampling import affine_grid as grid_of
from gemel.ops.sampling import sample

from .operators import operator
from .shapes import numbers


# ---------- coordinates ----------
def _original(node, at: np.ndarray, scale: float, size: int, n: int, region) -> np.ndarray:
    """Where cells `at` of a result of `size` cells lie among the n cells of the input."""
    mode = node.get("coordinate_transformation_mode", "half_pixel")
    if mode == "asymmetric":
        return at / scale
    wide = scale * n  # the result's size before it was rounded
    if mode == "align_corners":
        return at * ((n - 1) / (wide - 1)) if size > 1 else at * 0.0
    if mode == "tf_crop_and_resize":
        start, end = region
        if size > 1:
            return start * (n - 1) + at * (end - start) * (n - 1) / (wide - 1)
        return at * 0.0 + 0.5 * (start + end) * (n - 1)
    if mode == "tf_half_pixel_for_nn":
        return (at + 0.5) / scale
    if mode == "pytorch_half_pixel" and size <= 1:
        return at * 0.0
    if mode == "half_pixel_symmetric":
        center = n / 2
        return center * (1 - size / wide) + (at + 0.5) / scale - 0.5
    return (at + 0.5) / scale - 0.5


_ROUNDED = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


# ---------- weights of the input's cells in each cell of the result ----------
def _cubic(d: np.ndarray, slope: float) -> np.ndarray:
    d = np.abs(d)
    near = ((slope + 2) * d - (slope + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * slope - 4 * slope
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _weights(node, scale: float, size: int, n: int, region) -> np.ndarray:
    """[size, n]: the result's cells as weighted sums of the input's."""
    at = _original(node, np.arange(size, dtype=np.float64), scale, size, n, region)
    mode = node.get("mode", "nearest")
    cells = np.arange(n)
    if mode == "nearest":
        how = node.get("nearest_mode", "round_prefer_floor")
        chosen = np.clip(_ROUNDED[how](at), 0, n - 1)
        found = (chosen[:, None] == cells).astype(np.float64)
    else:
        found = _interpolated(node, at, scale, n, mode)
    if node.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        found[(at < 0) | (at > n - 1)] = np.nan
    return found


def _interpolated(node, at: np.ndarray, scale: float, n: int, mode: str) -> np.ndarray:
    """Linear or cubic weights, wider where the result is smaller and that is asked for."""
    slope = node.get("cubic_coeff_a", -0.75)
    narrow = min(scale, 1.0) if node.get("antialias", 0) else 1.0
    reach = 2 if mode == "cubic" else 1
    span = math.ceil(reach / narrow)
    first = np.floor(at)
    found = np.zeros((len(at), n))
    total = np.zeros(len(at))
    for tap in range(1 - span, span + 1):
        cell = first + tap
        d = (cell - at) * narrow
        weight = _cubic(d, slope) if mode == "cubic" else np.maximum(0.0, 1 - np.abs(d))
        outside = (cell < 0) | (cell > n - 1)
        if node.get("exclude_outside", 0):
            weight = np.where(outside, 0.0, weight)
        total += weight
        places = np.clip(cell, 0, n - 1).astype(int)
        np.add.at(found, (np.arange(len(at)), places), weight)
    return found / total[:, None]


# ---------- Resize ----------
class _Axis(NamedTuple):
    """What is done along one axis."""

    axis: int
    size: int
    scale: float
    region: tuple[float, float] | None


def _tables(node, f: Form, plan: list[_Axis]) -> list[np.ndarray]:
    """Per axis the input's cell of each result cell, or the weights [size, n] of all cells."""
    found = []
    for way in plan:
        weights = _weights(node, way.scale, way.size, f.shape[way.axis], way.region)
        if node.get("mode", "nearest") == "nearest" and not np.isnan(weights).any():
            found.append(weights.argmax(1).astype(np.int64))
        else:
            found.append(weights.astype(f.dtype.numpy if f.dtype.is_float else np.float32))
    return found


def _resized(node, x: Node, plan: list[_Axis], tables) -> Node:
    for way, table in zip(plan, tables, strict=True):
        if table.ndim == 1:
            x = gather(x, table, way.axis)
            continue
        labels = tuple(range(x.ndim))
        result = tuple(x.ndim if a == way.axis else a for a in labels)
        made = contract(e.cast(x, table.dtype), table, labels, (x.ndim, way.axis), result)
        x = e.cast(made, x.dtype)
    return x


def _plan(node, f: Form) -> list[_Axis]:
    """The axes that change."""
    axes = [a % f.ndim for a in node.get("axes") or range(f.ndim)]
    sizes, scales = _targets(node, f, axes)
    regions = _regions(node, f, axes)
    plan = [_Axis(a, n, s, regions[a]) for a, n, s in zip(axes, sizes, scales, strict=True)]
    return [w for w in plan if _changes(node, w, f.shape[w.axis])]


def _changes(node, way: _Axis, n: int) -> bool:
    cropped = node.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    return way.size != n or way.scale != 1 or cropped and way.region is not None


def _resize_extras(node, f: Form, *others) -> list[np.ndarray]:
    return _tables(node, f, _plan(node, f))


@operator("Resize", since=11, static=(1, 2, 3), extras=_resize_extras)
def resize(node, x: Node, region=None, scales=None, sizes=None, extras=()) -> Node:
    x = _resized(node, x, _plan(node, x.form), extras)
    if node.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        x = e.where(e.is_nan(x), e.const(node.get("extrapolation_value", 0.0), x.dtype), x)
    return x


def _targets(node, f: Form, axes) -> tuple[list[int], list[float]]:
    """(sizes of the result, scales) per axis."""
    lengths = [f.shape[a] for a in axes]
    if 2 in node.static and node.static[2].size:
        factors = [float(s) for s in node.static[2]]
        return [math.floor(n * s) for n, s in zip(lengths, factors, strict=True)], factors
    wanted = list(numbers(node.static[3]))
    policy = node.get("keep_aspect_ratio_policy", "stretch")
    factors = [w / n for w, n in zip(wanted, lengths, strict=True)]
    if policy != "stretch":
        best = min(factors) if policy == "not_larger" else max(factors)
        wanted = [math.floor(best * n + 0.5) for n in lengths]
        factors = [best] * len(lengths)
    return wanted, factors


def _regions(node, f: Form, axes) -> dict:
    found: dict = dict.fromkeys(range(f.ndim))
    if 1 in node.static and node.static[1].size:
        values = [float(v) for v in node.static[1]]
        half = len(values) // 2
        found |= dict(zip(axes, zip(values[:half], values[half:], strict=True), strict=True))
    return found


def _old_plan(node, f: Form) -> list[_Axis]:
    """Before version 11: cells lie at i / scale, the nearest one is that below."""
    node.attributes |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    scales = node.static[1].tolist() if 1 in node.static else node.get("scales")
    rows = enumerate(zip(f.shape, scales, strict=True))
    return [_Axis(a, math.floor(n * s), s, None) for a, (n, s) in rows if s != 1]


def _old_extras(node, f: Form, *others) -> list[np.ndarray]:
    return _tables(node, f, _old_plan(node, f))


@operator("Upsample", static=(1,), extras=_old_extras)
@operator("Resize", since=10, static=(1,), extras=_old_extras)
def upsample(node, x: Node, scales=None, extras=()) -> Node:
    return _resized(node, x, _old_plan(node, x.form), extras)


# ---------- sampling ----------
_MODES = {"bilinear": "linear", "bicubic": "cubic"}


@operator("GridSample")
def grid_sample(node, x: Node, grid: Node) -> Node:
    """Jaderberg et al. 2015, Spatial Transformer Networks."""
    mode = node.get("mode", "bilinear")
    mode = _MODES.get(mode, mode)
    border = node.get("padding_mode", "zeros")
    return sample(x, e.cast(grid, x.dtype), mode, border, bool(node.get("align_corners", 0)))


@operator("AffineGrid", static=(1,))
def affine_grid(node, theta: Node, size) -> Node:
    return grid_of(theta, numbers(node.static[1])[2:], bool(node.get("align_corners", 0)))
