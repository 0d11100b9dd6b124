"""Layout: a copy is put in where a value must lie whole in memory and does not.

Afterwards every output is a row-major value (of a leaf or of a computed node, perhaps under another
shape), every reshape is expressible by strides, and native kernels read whole arguments.
"""

from __future__ import annotations

from gemel.graph.node import Node, rebuild, rewrite
from gemel.ops.movement import COPY

from .views import view_of

SOURCES = ("const", "scalar", "iota")
MOVING = ("permute", "expand", "slice", "reshape", "after")


def is_view(node: Node) -> bool:
    """A movement node that only renames cells."""
    return node.op.name in MOVING


def is_root(node: Node) -> bool:
    return not is_view(node)


def root_of(node: Node) -> Node:
    """The node below all renaming."""
    while is_view(node):
        node = node.args[0]
    return node


def awaited(node: Node) -> list[Node]:
    """What has to be known before the value is read, besides the value."""
    found = []
    while is_view(node):
        found += node.args[1:]
        node = node.args[0]
    return [root_of(other) for other in found]


def lay_out(outputs: list[Node]) -> list[Node]:
    """Insert the copies; returns the outputs in whole memory."""
    outputs = rewrite(outputs, _placed)
    return [_whole(o) for o in outputs]


def _placed(node: Node) -> Node | None:
    if is_view(node) and root_of(node).op.name == "iota":
        return rebuild(node, (COPY(node.args[0]),))
    if node.op.name == "reshape" and view_of(node, is_root) is None:
        return rebuild(node, (COPY(node.args[0]),))
    if node.op.kind == "contraction" or node.op.name == "gather":
        args = tuple(COPY(a) if root_of(a).op.name in SOURCES else a for a in node.args)
        return rebuild(node, args)
    if node.op.kind == "attention":
        masks = (3,) if len(node.args) in (4, 6) else ()
        args = (_in_rows(a, i in masks) for i, a in enumerate(node.args))
        return rebuild(node, tuple(args))
    if node.op.kind in ("random", "host", "loop"):
        args = tuple(_whole(a) for a in node.args)
        return rebuild(node, args)
    return None


def _in_rows(node: Node, anyhow: bool) -> Node:
    """The node, or a copy of it where it is no view of memory, or, unless anyhow, where neighbours
    along its last axis do not lie side by side."""
    if root_of(node).op.name in SOURCES:
        return COPY(node)
    view = view_of(node, is_root)
    if view is None or not (anyhow or view.strides[-1] == 1 or node.shape[-1] == 1):
        return COPY(node)
    return node


def _whole(node: Node) -> Node:
    """The node, or a copy of it where its cells do not lie row by row in memory of their own."""
    root = root_of(node)
    if root.op.name in SOURCES:
        return COPY(node)
    view = view_of(node, is_root)
    if view is not None and view.root.form.size == node.form.size and view.is_whole(node.shape):
        return node
    return COPY(node)
