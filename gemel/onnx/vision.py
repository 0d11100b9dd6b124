"""Operators that look at an image between its cells, where another value says."""

from __future__ import annotations

from math import prod

import numpy as np

from gemel.graph.form import Form, int64
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops import movement as m
from gemel.ops.einsum import einsum
from gemel.ops.indexing import gather

from .operators import operator


# ---------- places that are moved by an offset ----------
def moved_columns(node, x: Node, offset: Node, mask: Node | None, s) -> Node:
    """[n, c, taps, places...]: what each tap of each window reads. s: the windows' settings.

    offset [n, groups * taps * 2, places...] is (row, column) of each tap; the values between cells
    are interpolated, outside is 0.
    """
    n, c, *sizes = x.shape
    steps = offset.shape[2:]
    taps, count = prod(s.window), prod(steps)
    groups = node.get("offset_group", 1)
    moves = m.reshape(offset, (n, groups, taps, len(sizes), count))
    rows = [_tap_places(s, axis, steps, x.dtype) for axis in range(len(sizes))]
    at = []
    for axis, base in enumerate(rows):
        move = m.reshape(m.narrow(moves, 3, axis, 1), (n, groups, taps, count))
        at.append(move + m.reshape(base, (1, 1, taps, count)))
    image = m.reshape(x, (n * groups, c // groups, prod(sizes)))
    read = _between(image, [m.reshape(a, (n * groups, taps * count)) for a in at], sizes)
    if mask is not None:
        read = read * m.reshape(mask, (n * groups, 1, taps * count))
    return m.reshape(read, (n, c, taps, *steps))


def _tap_places(s, axis: int, steps, dtype) -> Node:
    """Where each tap [taps, places] reads along an axis, before it is moved."""
    shape = (*s.window, *steps)
    tap = m.iota(shape, axis, int64) * s.dilations[axis]
    start = m.iota(shape, len(s.window) + axis, int64) * s.strides[axis] - s.widths[axis][0]
    return m.reshape(e.cast(tap + start, dtype), (prod(s.window), prod(steps)))


def _between(image: Node, at: list[Node], sizes) -> Node:
    """image [b, c, cells] at places [b, p] along each axis: [b, c, p]."""
    b, c, cells = image.shape
    rows = m.reshape(m.permute(image, (0, 2, 1)), (b * cells, c))
    start = m.iota(at[0].shape, 0, int64) * cells
    floors = [e.floor(a) for a in at]
    total = None
    for corner in np.ndindex(*(2,) * len(at)):
        share, index, inside = None, start * 0, None
        for a, low, up, size in zip(at, floors, corner, sizes, strict=True):
            cell = low + float(up)
            weight = 1.0 - e.ABS(a - cell)
            within = e.and_(e.ge(cell, 0), e.lt(cell, size))
            share = weight if share is None else share * weight
            inside = within if inside is None else e.and_(inside, within)
            index = index * size + e.cast(e.where(within, cell, 0.0), int64)
        found = gather(rows, index + start, 0)
        weight = e.where(inside, share, e.const(0, rows.dtype))
        part = found * m.reshape(weight, (*weight.shape, 1))
        total = part if total is None else total + part
    return m.permute(total, (0, 2, 1))


# ---------- regions of interest ----------
def _sampled(low: float, span: float, cells: int, bins: int, ratio: int) -> np.ndarray:
    """[bins, samples, cells]: the weights of cells in samples between low and low + span."""
    each = span / bins
    samples = ratio if ratio > 0 else max(1, int(np.ceil(each)))
    at = low + (np.arange(bins)[:, None] + (np.arange(samples) + 0.5) / samples) * each
    outside = (at < -1) | (at > cells)
    near = np.clip(at, 0, cells - 1)
    weights = np.maximum(0, 1 - np.abs(near[..., None] - np.arange(cells)))
    weights[outside] = 0
    return weights


def _roi_weights(node, f: Form, *others) -> list[np.ndarray]:
    """Weights of rows and columns in each bin of each region, and the regions' images."""
    boxes = node.static[1].astype(np.float64) * node.get("spatial_scale", 1.0)
    half = node.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    if node.version < 16:
        half = False
    boxes = boxes - (0.5 if half else 0.0)
    bins = node.get("output_height", 1), node.get("output_width", 1)
    ratio = node.get("sampling_ratio", 0)
    found = []
    for axis in (0, 1):
        low, high = boxes[:, 1 - axis], boxes[:, 3 - axis]
        spans = high - low if half else np.maximum(high - low, 1.0)
        rows = zip(low, spans, strict=True)
        weights = [_sampled(a, n, f.shape[2 + axis], bins[axis], ratio) for a, n in rows]
        found.append(np.stack([w.mean(1) for w in weights]).astype(f.dtype.numpy))
    return [*found, node.static[2].astype(np.int64)]


@operator("RoiAlign", static=(1, 2), extras=_roi_weights)
def roi_align(node, x: Node, boxes, images, extras=()) -> Node:
    """He et al. 2017, Mask R-CNN: means of interpolated samples in the bins of each region."""
    if node.get("mode", "avg") != "avg":
        raise NotImplementedError("ONNX RoiAlign: only the mode 'avg' is supported")
    rows, columns, image = extras
    return einsum("rchw,ryh,rxw->rcyx", gather(x, image, 0), rows, columns)
