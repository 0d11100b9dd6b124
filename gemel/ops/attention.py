"""Attention (Vaswani et al. 2017, Attention Is All You Need): its composite, and who computes it.

`tiled_attention.attention` is the entrance: where it pays, it is one primitive whose kernel keeps
no scores in memory, else the composite here.
"""

from __future__ import annotations

import math
from functools import partial

from gemel.graph.form import int64
from gemel.graph.node import Node

from .contraction import matmul
from .declared import with_gradient
from .elementwise import EXP, const, eq, le, stop_gradient, where
from .movement import expand, iota, reshape, swap
from .reduction import amax, sum_

LOWEST = -1e7  # a number below it hides the scores that it replaces: none comes near it


def hides(number) -> bool:
    """Is it a number by which programs hide scores? Faces make such numbers part of the program."""
    return number.__class__ is float and number <= LOWEST


def safe_softmax(x: Node, axis: int) -> Node:
    """softmax, but zeros where everything along the axis is -inf."""
    if not x.shape[axis]:
        return x
    top = stop_gradient(amax(x, axis, True))
    e = EXP(x - where(eq(top, -math.inf), const(0, x.dtype), top))
    total = sum_(e, axis, True)
    y = e / where(eq(total, 0.0), const(1, x.dtype), total)
    from_end = axis - x.ndim
    return with_gradient(f"softmax {from_end}", y, (x,), partial(_softmax_gradient, from_end))


def _softmax_gradient(from_end: int, g: Node, y: Node, x: Node) -> Node:
    """Loses fewer digits than the gradients of the quotient and of the sum, each on its way."""
    return y * (g - sum_(g * y, y.ndim + from_end, True))


def earlier(shape: tuple[int, ...]) -> Node:
    """True where the last axis is not after the one before it."""
    return le(iota(shape, len(shape) - 1, int64), iota(shape, len(shape) - 2, int64))


def masked(scores: Node, mask: Node) -> Node:
    """-inf where the mask is False; a mask of numbers is added."""
    if mask.dtype.kind == "b":
        return where(mask, scores, const(-math.inf, scores.dtype))
    return scores + mask


def weights(query: Node, key: Node, mask: Node | None, causal: bool, scale: float) -> Node:
    """softmax(scale query key^T): [..., L, S] for query [..., L, E] and key [..., S, E]."""
    scores = matmul(query * scale, swap(key))
    if causal:
        scores = masked(scores, earlier(scores.shape))
    if mask is not None:
        scores = masked(scores, mask)
    return safe_softmax(scores, scores.ndim - 1)


def repeated_heads(x: Node, times: int) -> Node:
    """Each head of [..., heads, S, E] `times` times."""
    *lead, heads, length, width = x.shape
    wide = expand(
        reshape(x, (*lead, heads, 1, length, width)), (*lead, heads, times, length, width)
    )
    return reshape(wide, (*lead, heads * times, length, width))


def composite(
    query: Node, key: Node, value: Node, mask: Node | None, causal: bool, scale: float
) -> Node:
    """softmax(scale query key^T + mask) value, with all scores in memory. Query heads may be a
    multiple of the heads of key and value."""
    if query.ndim > 2 and key.ndim > 2 and 1 < key.shape[-3] < query.shape[-3]:
        times = query.shape[-3] // key.shape[-3]
        key, value = repeated_heads(key, times), repeated_heads(value, times)
    return matmul(weights(query, key, mask, causal, scale), value)
