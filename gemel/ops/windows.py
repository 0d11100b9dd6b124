"""Convolution and pooling over windows, as composites: each tap of the window is one strided slice
of the padded input.

Values are channels last: [batch, places..., channels]; a kernel is [window..., in, out]. In: nodes
and static sizes per place. Out: nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np

from gemel.graph.node import Node

from .contraction import contract
from .elementwise import maximum
from .movement import full, pad, reshape, slice_

Widths = tuple[tuple[int, int], ...]


def same_widths(sizes, window, strides, dilations) -> Widths:
    """Padding with which the result has ceil(size / stride) places; the odd cell comes last."""
    out = []
    for n, k, s, d in zip(sizes, window, strides, dilations, strict=True):
        total = max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
        out.append((total // 2, total - total // 2))
    return tuple(out)


def result_sizes(sizes, window, strides, dilations, widths: Widths) -> tuple[int, ...]:
    """Places of the result; 0 where the window does not fit."""
    rows = zip(sizes, window, strides, dilations, widths, strict=True)
    return tuple(
        max(0, (n + a + b - (k - 1) * d - 1) // s + 1) for n, k, s, d, (a, b) in rows
    )


def taps(x: Node, window, strides, dilations, widths: Widths, filler) -> list[Node]:
    """For each position in the window, the cells that it meets: [batch, places..., channels]."""
    sizes = result_sizes(x.shape[1:-1], window, strides, dilations, widths)
    padded = pad(x, ((0, 0), *widths, (0, 0)), filler)
    out = []
    for at in product(*map(range, window)):
        spec = [(0, x.shape[0], 1)]
        for i, d, s, n in zip(at, dilations, strides, sizes, strict=True):
            spec.append((i * d, i * d + (n - 1) * s + 1, s))
        out.append(slice_(padded, [*spec, (0, x.shape[-1], 1)]))
    return out


def convolution(
    x: Node,
    kernel: Node,
    strides: Sequence[int],
    dilations: Sequence[int],
    widths: Widths,
) -> Node:
    """Sums of products of each window with the kernel (which is not turned around)."""
    window = kernel.shape[:-2]
    places = tuple(range(2, 2 + x.ndim - 1))
    total = None
    cells = taps(x, window, strides, dilations, widths, 0)
    for at, cell in zip(product(*map(range, window)), cells, strict=True):
        spec = [(i, i + 1, 1) for i in at] + [(0, n, 1) for n in kernel.shape[-2:]]
        weight = reshape(slice_(kernel, spec), kernel.shape[-2:])
        part = contract(cell, weight, (*places, 0), (0, 1), (*places, 1))
        total = part if total is None else total + part
    return total


def largest(x: Node, window, strides, widths: Widths) -> Node:
    """The largest value of each window."""
    ones = (1,) * len(window)
    lowest = float("-inf") if x.dtype.is_float else int(_lowest(x.dtype))
    cells = taps(x, window, strides, ones, widths, lowest)
    out = cells[0]
    for cell in cells[1:]:
        out = maximum(out, cell)
    return out


def _lowest(dtype) -> int:
    return np.iinfo(dtype.numpy).min


def average(x: Node, window, strides, widths: Widths) -> Node:
    """The mean of each window's cells; padding does not count."""
    ones = (1,) * len(window)
    cells = taps(x, window, strides, ones, widths, 0)
    total = cells[0]
    for cell in cells[1:]:
        total = total + cell
    if not any(a or b for a, b in widths):
        return total / float(prod(window))
    there = full((1, *x.shape[1:-1], 1), 1, x.dtype)
    counts = taps(there, window, strides, ones, widths, 0)
    count = counts[0]
    for c in counts[1:]:
        count = count + c
    return total / count
