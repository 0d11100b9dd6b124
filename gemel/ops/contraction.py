"""`contract`: the one primitive of products summed over shared axes.

Each axis of an operand carries a label (a small integer). A label in both operands and in the
result is a batch axis; in one operand and the result a free axis; in both operands only, summed.
The family is closed under differentiation: both gradients of a contraction are contractions.
"""

from __future__ import annotations

import numpy as np

from gemel.graph.errors import DTypeError, ShapeError
from gemel.graph.form import Form, form
from gemel.graph.node import Node

from .movement import expand, reshape
from .record import Primitive


def label_sizes(attrs, a: Form, b: Form) -> dict[int, int]:
    """label -> size; ShapeError where the two operands disagree."""
    sizes: dict[int, int] = {}
    for labels, f in ((attrs[0], a), (attrs[1], b)):
        if len(labels) != f.ndim or len(set(labels)) != len(labels):
            raise ShapeError("contract", f"labels {labels} for {f.ndim} axes", (a, b))
        for label, n in zip(labels, f.shape, strict=True):
            if sizes.setdefault(label, n) != n:
                raise ShapeError("contract", f"axis {label}: {sizes[label]} against {n}", (a, b))
    return sizes


def _infer(attrs, a: Form, b: Form) -> Form:
    la, lb, lo = attrs
    if a.dtype is not b.dtype or a.dtype.kind == "b":
        raise DTypeError("contract", "operands of one number type are needed", (a, b))
    sizes = label_sizes(attrs, a, b)
    if set(la) ^ set(lb) != (set(la) ^ set(lb)) & set(lo):
        raise ShapeError("contract", "an axis of one operand only must be in the result", (a, b))
    if not set(lo) <= set(sizes):
        raise ShapeError("contract", f"result axes {lo} come from nowhere", (a, b))
    return form(tuple(sizes[label] for label in lo), a.dtype)


def _reference(attrs, a, b):
    la, lb, lo = attrs
    if a.dtype.kind == "f" or a.size and b.size:
        return np.einsum(a, list(la), b, list(lb), list(lo)).astype(a.dtype)
    sizes = dict(zip(la + lb, a.shape + b.shape, strict=True))
    return np.zeros([sizes[label] for label in lo], a.dtype)


# attrs: (labels of a, labels of b, labels of the result)
CONTRACT = Primitive(
    "contract",
    "contraction",
    2,
    _infer,
    (
        lambda g, y, a, b: contract(g, b, y.attrs[2], y.attrs[1], y.attrs[0]),
        lambda g, y, a, b: contract(g, a, y.attrs[2], y.attrs[0], y.attrs[1]),
    ),
    _reference,
)


def contract(a: Node, b: Node, la, lb, lo) -> Node:
    return CONTRACT(a, b, attrs=(tuple(la), tuple(lb), tuple(lo)))


def matmul(a: Node, b: Node) -> Node:
    """NumPy's matmul: vectors on either side, leading axes broadcast as batches."""
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("matmul", "both operands need at least one axis", (a.form, b.form))
    if a.ndim == 1 and b.ndim == 1:
        return contract(a, b, (0,), (0,), ())
    if b.ndim == 1:
        free = tuple(range(1, a.ndim))
        return contract(a, b, free + (0,), (0,), free)
    if a.ndim == 1:
        batch = tuple(range(2, b.ndim))
        return contract(a, b, (0,), batch + (0, 1), batch + (1,))
    return _batched(a, b)


def _batched(a: Node, b: Node) -> Node:
    """Leading axes: a batch label where both have the size, else free where one has it."""
    lead = max(a.ndim, b.ndim) - 2
    sizes_a = (1,) * (lead + 2 - a.ndim) + a.shape[:-2]
    sizes_b = (1,) * (lead + 2 - b.ndim) + b.shape[:-2]
    la: list[int] = []
    lb: list[int] = []
    for i, (n, m) in enumerate(zip(sizes_a, sizes_b, strict=True)):
        if n != m and n != 1 and m != 1:
            raise ShapeError("matmul", f"batches of {n} and {m}", (a.form, b.form))
        if n == m or n != 1:
            la.append(i + 3)
        if n == m or m != 1:
            lb.append(i + 3)
    batch = tuple(i + 3 for i in range(lead))
    a = reshape(a, tuple(sizes_a[i - 3] for i in la) + a.shape[-2:])
    b = reshape(b, tuple(sizes_b[i - 3] for i in lb) + b.shape[-2:])
    return contract(a, b, (*la, 1, 0), (*lb, 0, 2), (*batch, 1, 2))


def outer(a: Node, b: Node) -> Node:
    """The product of every pair: shape of a, then shape of b."""
    return expand(reshape(a, a.shape + (1,) * b.ndim), a.shape + b.shape) * b
