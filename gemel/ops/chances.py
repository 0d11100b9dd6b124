"""Probabilities and their logits, as distributions over few values are given."""

from __future__ import annotations

from gemel.graph.form import DType, form, int64
from gemel.graph.node import Node

from .activations import log_softmax, softmax
from .elementwise import (
    LOG,
    LOG1P,
    SIGMOID,
    broadcast_shapes,
    cast,
    check_range,
    const,
    eq,
    gt,
    lt,
    where,
)
from .movement import expand, iota, reshape
from .ordering import take_along
from .reduction import sum_

FEW = 16  # entries of a row that are all looked at, rather than fetching one
_EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


def epsilon(dtype: DType) -> float:
    """The distance from 1 to the next larger number."""
    return _EPSILON[dtype.name]


def inside(p: Node) -> Node:
    """Probabilities at least epsilon away from 0 and from 1."""
    least = epsilon(p.dtype)
    low, high = const(least, p.dtype), const(1.0 - least, p.dtype)
    return where(lt(p, least), low, where(gt(p, 1.0 - least), high, p))


def shares(p: Node) -> Node:
    """Weights over their sum along the last axis."""
    return p / sum_(p, (p.ndim - 1,), True)


def logits_of(p: Node, binary: bool) -> Node:
    """Logarithms of the probabilities; binary: of their odds."""
    p = inside(p)
    return LOG(p) - LOG1P(-p) if binary else LOG(p)


def of_logits(x: Node, binary: bool) -> Node:
    """The probabilities; those along the last axis belong together, unless binary."""
    return SIGMOID(x) if binary else softmax(x, x.ndim - 1)


def normalised(logits: Node) -> Node:
    """Logits whose probabilities along the last axis are 1 in sum."""
    return log_softmax(logits, logits.ndim - 1)


def picked(logits: Node, value: Node, fault) -> Node:
    """The entry of each row of logits [..., k] that a value [...] names; both broadcast. `fault`
    is raised where a value names none."""
    value = check_range(cast(value, int64), 0, logits.shape[-1], fault)
    *rows, k = logits.shape
    rows = broadcast_shapes("picked", form(tuple(rows), int64), value.form)
    logits = expand(logits, (*rows, k))
    value = reshape(expand(value, rows), (*rows, 1))
    last = len(rows)
    if k > FEW:
        return reshape(take_along(logits, value, last), rows)
    hit = eq(iota((*rows, k), last, int64), value)
    return sum_(where(hit, logits, const(0.0, logits.dtype)), (last,))
