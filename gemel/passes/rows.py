"""Rows added where they belong: the update of a table of which a step reads few rows.

The gradient of a gather is an array of zeros with rows added to it, and a step of gradient descent
subtracts a multiple of that whole array from the table. Adding the multiple of the rows to the
table itself leaves all other rows alone; where the table is overwritten by its new value
(`schedule`), they are not even touched.

A row that comes twice is scaled before its parts are added up, not after, so the last bit of such
a row may differ. A factor that is not finite spoils the rows that are read, and no others.
"""

from __future__ import annotations

from gemel.codegen.sizes import hint
from gemel.graph.form import int64
from gemel.graph.node import Node, order, rebuild, recorded_at, users
from gemel.ops.elementwise import NEG, cast
from gemel.ops.indexing import scatter_add
from gemel.ops.movement import concat, reshape

from .simplify import value_of

Scaling = tuple[Node, int]  # a product, quotient or negation, and which argument it scales
Rows = tuple[int, Node, Node]  # the axis along which they lie, their index, their values


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
    found = _rows_of(change, table, once, done)
    if not found:
        return None
    axis, index, rows = _joined(found)
    return scatter_add(table, index, NEG(rows) if node.op.name == "sub" else rows, axis)


def _rows_of(change: Node, table: Node, once: set[Node], done: dict[Node, Node]) -> list[Rows]:
    """The rows that make up the change; none where it is anything else, or too many rows."""
    found: list[Rows] = []
    waiting: list[tuple[Node, tuple[Scaling, ...]]] = [(change, ())]
    while waiting:
        node, scalings = waiting.pop()
        at = _scaled(node)
        if node not in once or node.shape != table.shape:
            return []
        if node.op.name == "add":
            waiting += [(a, scalings) for a in reversed(node.args)]
        elif at is not None:
            waiting.append((node.args[at], ((node, at), *scalings)))
        elif _is_rows(node):
            _, index, rows = (done[a] for a in node.args)
            for scaling, at in scalings:
                rows = _scaled_rows(scaling, at, rows, done)
            found.append((node.attrs[0], index, rows))
        else:
            return []
    (axis, *_), count = found[0], sum(index.form.size for _, index, _ in found)
    few = hint(count) < hint(table.shape[axis]) and all(other == axis for other, *_ in found)
    return found if few else []


def _is_rows(node: Node) -> bool:
    """Rows added to nothing but zeros?"""
    return node.op.name == "scatter" and node.attrs[1] is True and value_of(node.args[0]) == 0


def _joined(found: list[Rows]) -> Rows:
    """All rows as those of one index (the table was read in several places)."""
    if len(found) == 1:
        return found[0]
    axis = found[0][0]
    indices, values = [], []
    for _, index, rows in found:
        shape = (*rows.shape[:axis], index.form.size, *rows.shape[axis + index.ndim :])
        indices.append(cast(reshape(index, (index.form.size,)), int64))
        values.append(reshape(rows, shape))
    return axis, concat(indices, 0), concat(values, axis)


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
