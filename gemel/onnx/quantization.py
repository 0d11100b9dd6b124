"""Quantised values: small integers with a scale and a zero point."""

from __future__ import annotations

import numpy as np

from gemel.graph.form import float32, int32, uint8
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops import movement as m
from gemel.ops.contraction import matmul
from gemel.ops.resizing import repeated

from .applied import element_type
from .operators import operator
from .windows import conv


def _spread(node, values: Node, x: Node) -> Node:
    """Scales or zero points as they belong to x's values: one for all, one for each place of an
    axis, or one for each block along it."""
    if values.ndim == 0 or values.form.size == 1 and values.ndim <= 1:
        return m.reshape(values, ())
    axis = node.get("axis", 1) % x.ndim
    if values.ndim == 1:
        shape = [1] * x.ndim
        shape[axis] = values.shape[0]
        return m.reshape(values, tuple(shape))
    block = node.get("block_size", 0) or -(-x.shape[axis] // values.shape[axis])
    wide = repeated(values, axis, block)
    return m.narrow(wide, axis, 0, x.shape[axis])


def quantized(x: Node, scale: Node, zero: Node | None, dtype) -> Node:
    """x / scale, rounded, plus the zero point, kept inside of the type."""
    y = e.ROUND(x / scale)
    if zero is not None:
        y = y + e.cast(zero, y.dtype)
    bounds = np.iinfo(dtype.numpy)
    return e.cast(e.maximum(e.minimum(y, float(bounds.max)), float(bounds.min)), dtype)


@operator("QuantizeLinear")
def quantize(node, x: Node, scale: Node, zero: Node | None = None) -> Node:
    dtype = zero.dtype if zero is not None else uint8
    if zero is None and node.get("output_dtype"):
        dtype = element_type(node.get("output_dtype"))
    zero = None if zero is None else _spread(node, zero, x)
    kind = element_type(node.get("precision")) if node.get("precision") else scale.dtype
    wide = float32 if kind.half else kind
    return quantized(e.cast(x, wide), e.cast(_spread(node, scale, x), wide), zero, dtype)


@operator("DequantizeLinear")
def dequantize(node, x: Node, scale: Node, zero: Node | None = None) -> Node:
    asked = node.get("output_dtype")
    dtype = element_type(asked) if asked else scale.dtype
    wide = e.cast(x, int32)
    if zero is not None:
        wide = wide - e.cast(_spread(node, zero, x), int32)
    made = e.cast(wide, float32) * e.cast(_spread(node, scale, x), float32)
    return e.cast(made, dtype)


def _whole(x: Node, zero: Node, by_row: bool) -> Node:
    """int32 values less their zero point: one, or one for each row (or column)."""
    zero = e.cast(zero, int32)
    if zero.form.size == 1:
        zero = m.reshape(zero, ())
    elif zero.ndim == 1 and by_row:
        zero = m.reshape(zero, (zero.shape[0], 1))
    return e.cast(x, int32) - zero


def _factor(scale: Node, by_row: bool) -> Node:
    if scale.form.size == 1:
        return m.reshape(scale, ())
    return m.reshape(scale, (scale.shape[0], 1)) if scale.ndim == 1 and by_row else scale


@operator("QLinearMatMul")
def product(node, a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero) -> Node:
    total = matmul(_whole(a, a_zero, True), _whole(b, b_zero, False))
    wide = float32 if a_scale.dtype.half else a_scale.dtype
    factor = e.cast(_factor(a_scale, True), wide) * e.cast(_factor(b_scale, False), wide)
    scale = e.cast(_factor(y_scale, True), wide)
    return quantized(e.cast(total, wide) * factor, scale, y_zero, y_zero.dtype)


@operator("QLinearConv")
def quantized_conv(node, x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias=None):
    def kernel_wise(v: Node, rank: int) -> Node:
        if v.form.size == 1:
            return m.reshape(v, ())
        return m.reshape(v, (v.shape[0],) + (1,) * (rank - 1))

    zero = e.cast(kernel_wise(w_zero, w.ndim), int32)
    total = conv(node, _whole(x, x_zero, False), e.cast(w, int32) - zero, bias)
    factor = kernel_wise(w_scale, w.ndim - 1) * m.reshape(x_scale, ())
    made = e.cast(total, float32) * factor
    return quantized(made, m.reshape(y_scale, ()), m.reshape(y_zero, ()), y_zero.dtype)
