"""Attention as composites (Vaswani et al. 2017, Attention Is All You Need)."""

from __future__ import annotations

import math

from gemel.graph.form import int64
from gemel.graph.node import Node

from .contraction import matmul
from .elementwise import EXP, const, eq, le, stop_gradient, where
from .movement import expand, iota, reshape, swap
from .reduction import amax, sum_


def safe_softmax(x: Node, axis: int) -> Node:
    """softmax, but zeros where everything along the axis is -inf."""
    if not x.shape[axis]:
        return x
    top = stop_gradient(amax(x, axis, True))
    e = EXP(x - where(eq(top, -math.inf), const(0, x.dtype), top))
    total = sum_(e, axis, True)
    return e / where(eq(total, 0.0), const(1, x.dtype), total)


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
    root = math.sqrt(abs(scale))
    scores = matmul(query * math.copysign(root, scale), swap(key * root))
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
