"""Products of matrices."""

from __future__ import annotations

from gemel.graph.form import int32
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops import movement as m
from gemel.ops.contraction import matmul as product
from gemel.ops.einsum import einsum as contracted
from gemel.ops.linear_systems import determinant

from .operators import operator, simple

simple("MatMul", product)
simple("Det", determinant)


@operator("Gemm")
def general_product(node, a: Node, b: Node, c: Node | None = None) -> Node:
    a = m.swap(a) if node.get("transA", 0) else a
    b = m.swap(b) if node.get("transB", 0) else b
    made = _times(product(a, b), node.get("alpha", 1.0))
    return made if c is None else made + _times(c, node.get("beta", 1.0))


def _times(x: Node, factor: float) -> Node:
    return x if factor == 1 else x * (factor if x.dtype.is_float else int(factor))


@operator("Einsum")
def einsum(node, *xs: Node) -> Node:
    return contracted(node.get("equation"), *xs)


@operator("MatMulInteger")
def integer_product(node, a: Node, b: Node, a_zero=None, b_zero=None) -> Node:
    """int32 products of small integers less their zero points, by row of a and column of b."""
    a, b = e.cast(a, int32), e.cast(b, int32)
    if a_zero is not None:
        zero = e.cast(a_zero, int32)
        a = a - (m.reshape(zero, (*zero.shape, 1)) if zero.ndim else zero)
    if b_zero is not None:
        b = b - e.cast(b_zero, int32)
    return product(a, b)
