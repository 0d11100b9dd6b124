"""Tests of values as composites: sign bit, finiteness."""

from __future__ import annotations

import math

from gemel.graph.form import bool_
from gemel.graph.node import Node

from .elementwise import ABS, BITCAST, SIGNED_BITS, cast, const, eq, lt, ne, where
from .movement import full


def is_finite(x: Node) -> Node:
    """True where x is neither NaN nor infinite."""
    if not x.dtype.is_smooth:
        return full(x.shape, True, bool_)
    return eq(x - x, 0.0)


def is_infinite(x: Node) -> Node:
    if not x.dtype.is_smooth:
        return full(x.shape, False, bool_)
    return eq(ABS(x), math.inf)


def is_positive_infinite(x: Node) -> Node:
    return _infinite(x, 1)


def is_negative_infinite(x: Node) -> Node:
    return _infinite(x, -1)


def _infinite(x: Node, side: int) -> Node:
    if not x.dtype.is_float:
        return full(x.shape, False, bool_)
    return eq(x, side * math.inf)


def sign_bit(x: Node) -> Node:
    """True for negative values and for -0.0."""
    if x.dtype.is_smooth:
        x = BITCAST(x, attrs=(SIGNED_BITS[x.dtype.itemsize],))
    return lt(x, 0) if x.dtype.kind == "i" else full(x.shape, False, bool_)


def sign(x: Node) -> Node:
    """-1, 0 or 1 in x's type; NaN has the sign 0, truth values are their own."""
    if x.dtype is bool_:
        return x
    one, zero = const(1, x.dtype), const(0, x.dtype)
    below = const(-1, x.dtype) if x.dtype.kind != "u" else zero
    return where(lt(zero, x), one, where(lt(x, zero), below, zero))


def truth(x: Node) -> Node:
    """x as bool: True where it is not zero."""
    return x if x.dtype is bool_ else ne(x, 0)


def as_mask(x: Node, dtype) -> Node:
    """1 where x is true, else 0, in an element type."""
    return cast(truth(x), dtype)
