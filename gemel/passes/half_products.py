"""Products of half values read them as they are stored.

A graph computes a product of bfloat16 operands in float32: both are casts. Where the machine
multiplies bfloat16 itself, the product reads what was cast; its sum and result stay float32. The
numbers are the same up to the order of additions: a product of two bfloat16 values is exact in
float32. Input and output: a graph. Invariant: nothing else in it has operands of another type than
its inference asks for.
"""

from __future__ import annotations

from math import prod

from gemel.graph.form import bfloat16, float32, form
from gemel.graph.node import Node, rewrite
from gemel.ops.contraction import label_sizes
from gemel.runtime.machine import machine

from .layout import is_view

_LEAST = 1 << 17  # products; for fewer the vectors of float32 are as good
_NARROW = 8  # a side or a sum shorter than this leaves most of a tile empty


def read_halves(outputs: list[Node]) -> list[Node]:
    """The graph, with products that read bfloat16 where that is quicker."""
    return rewrite(outputs, _read) if machine().matrix_tiles else outputs


def _read(node: Node) -> Node | None:
    if node.op.name != "contract" or node.dtype is not float32:
        return None
    args = [_stored(a) for a in node.args]
    if args[0] is None or args[1] is None or not _worthwhile(node):
        return None
    return Node(node.op, node.attrs, tuple(args), node.form)


def _stored(arg: Node) -> Node | None:
    """The bfloat16 value that an operand is a view of, through the cast."""
    if is_view(arg):
        inner = _stored(arg.args[0])
        if inner is None:
            return None
        return Node(arg.op, arg.attrs, (inner,), form(arg.shape, bfloat16))
    if arg.op.name != "cast" or arg.args[0].dtype is not bfloat16:
        return None
    return arg.args[0]


def _worthwhile(node: Node) -> bool:
    left, right, result = (set(labels) for labels in node.attrs[:3])
    sizes = label_sizes(node.attrs, *(a.form for a in node.args))
    if not all(isinstance(n, int) for n in sizes.values()):
        return False
    rows = prod(sizes[x] for x in result & (left - right))
    columns = prod(sizes[x] for x in result & (right - left))
    depth = prod(n for x, n in sizes.items() if x not in result)
    if prod(sizes.values()) < _LEAST:
        return False
    return bool(node.attrs[3]) or min(rows, columns, depth) >= _NARROW
