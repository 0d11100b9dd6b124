"""Rows added where they belong: the update of a table of which a step reads few rows.

The gradient of a gather is an array of zeros with rows added to it, and a step of gradient descent
subtracts a multiple of that whole array from the table. Adding the multiple of the rows to the
table itself leaves all other rows alone; where the table is overwritten by its new value
(`schedule`), they are not even touched.

A row that comes twice is scaled before its parts are added up, not after, so the last bit of such
a row may differ. A factor that is not finite spoils the rows that are read, and no others.
"""

from __future__ import annotations

from gemel.graph.node import Node, order, rebuild, recorded_at, users
from gemel.ops.elementwise import NEG
from gemel.ops.indexing import scatter_add
from gemel.ops.movement import reshape

from .simplify import value_of

Scaling = tuple[Node, int]  # a product, quotient or negation, and which argument it scales


def add_rows(outputs: list[Node]) -> list[Node]:
    """The same values; `table - rate * scatter_add(zeros, index, rows)` without the zeros."""
    nodes = order(outputs)
    if not any(n.op.name == "scatter" for n in nodes):
        return outputs
    results = set(outputs)
    once = {n for n, found in users(nodes).items() if len(found) == 1 and n not in results}
    done: dict[Node, Node] = {}
    for node in nodes:
        with recorded_at(node.where):
            added = _added(node, once, done)
        done[node] = added or rebuild(node, tuple(done[a] for a in node.args))
    return [done[o] for o in outputs]


def _added(node: Node, once: set[Node], done: dict[Node, Node]) -> Node | None:
    """A table plus or minus scaled rows, as the rows added to the table."""
    if node.op.name not in ("add", "sub") or not node.dtype.is_float:
        return None
    table, change = node.args
    if node.op.name == "add" and table.op.name != "leaf":
        table, change = change, table
    # only what lies in memory already: any other table would have to be made as an array first
    if table.op.name != "leaf" or table.shape != node.shape:
        return None
    scalings: list[Scaling] = []
    while change in once and change.op.name != "scatter":
        at = _scaled(change)
        if at is None:
            return None
        scalings.append((change, at))
        change = change.args[at]
    if change not in once or not _is_rows(change, table):
        return None
    _, index, rows = (done[a] for a in change.args)
    for scaling, at in reversed(scalings):
        rows = _scaled_rows(scaling, at, rows, done)
    return scatter_add(table, index, NEG(rows) if node.op.name == "sub" else rows, change.attrs[0])


def _is_rows(scatter: Node, table: Node) -> bool:
    """Fewer rows than the table has, added to zeros of its shape?"""
    if scatter.op.name != "scatter" or scatter.shape != table.shape:
        return False
    axis, adding = scatter.attrs
    few = scatter.args[1].form.size < table.shape[axis]
    return adding and few and value_of(scatter.args[0]) == 0


def _scaled(node: Node) -> int | None:
    """Which argument the node multiplies by a single number; None for other nodes."""
    if node.op.name == "neg":
        return 0
    if node.op.name == "mul" and node.args[0].form.size == 1:
        return 1
    return 0 if node.op.name in ("mul", "div") and node.args[1].form.size == 1 else None


def _scaled_rows(scaling: Node, at: int, rows: Node, done: dict[Node, Node]) -> Node:
    """The rows scaled as the node scales the whole array."""
    args = tuple(rows if i == at else reshape(done[a], ()) for i, a in enumerate(scaling.args))
    return Node(scaling.op, scaling.attrs, args, rows.form)
