"""Hurwitz' zeta function of tensors."""

from __future__ import annotations

import math

from gemel.graph.node import Node

from .declared import with_gradient
from .elementwise import POW, and_, const, eq, floor, le, lt, ne, where
from .gamma import EULER_MACLAURIN, FIRST_TERMS
from .movement import iota, reshape
from .reduction import sum_


def _positive(s: Node, q: Node) -> Node:
    """The sum over k >= 0 of (q + k)**-s for q > 0, s > 1: ten terms and Euler-Maclaurin."""
    cells = reshape(q, (*q.shape, 1)) + iota((FIRST_TERMS,), 0, q.dtype)
    total = sum_(POW(cells, reshape(-s, (*s.shape, 1))), -1)
    w = q + float(FIRST_TERMS)
    square = 1.0 / (w * w)
    factor = s / w
    tail = w / (s - 1.0) + 0.5
    for k, b in enumerate(EULER_MACLAURIN):
        tail = tail + factor * b
        factor = factor * (s + (2 * k + 1.0)) * (s + (2 * k + 2.0)) * square
    return total + POW(w, -s) * tail


def _zeta(s: Node, q: Node) -> Node:
    below = lt(q, 0.0)
    one = const(1, q.dtype)
    part = q - floor(q)
    part = where(eq(part, 0.0), 0.5, part)
    odd = ne(floor(s * 0.5) * 2.0, s)
    # the terms at negative places are those of a finite sum of positive ones
    passed = _positive(s, where(below, 1.0 - part, one))
    passed = passed - _positive(s, where(below, 1.0 - q, one))
    passed = where(odd, -passed, passed)
    found = _positive(s, where(below, part, q)) + where(below, passed, 0.0)
    broken = and_(below, ne(floor(s), s))
    pole = and_(le(q, 0.0), eq(floor(q), q))
    found = where(pole, math.inf, where(broken, math.nan, found))
    found = where(lt(s, 1.0), math.nan, found)
    return where(eq(s, 1.0), math.inf, found)


def zeta(s: Node, q: Node) -> Node:
    """The sum over k >= 0 of (q + k)**-s; the gradient goes to q only."""
    return with_gradient(
        "zeta", _zeta(s, q), (s, q), None, lambda g, y, s, q: -(g * s * zeta(s + 1.0, q))
    )
