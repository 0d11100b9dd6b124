"""Checks that hold for every graph, between any two passes."""

from __future__ import annotations

from collections.abc import Iterable

from gemel.codegen.sizes import hint

from .form import Form, float32, form
from .node import Node, order


class InvalidGraph(AssertionError):
    """A pass has built a graph that breaks an invariant: a bug of Gemel, never of its user."""


def verify(outputs: Iterable[Node]) -> None:
    """Raise `InvalidGraph` unless forms are what inference says and arguments come first."""
    for node in order(outputs):
        for arg in node.args:
            if arg.serial >= node.serial:
                raise InvalidGraph(f"{node} reads a later node {arg}")
        if len(node.args) != node.op.arity and node.op.arity >= 0:
            raise InvalidGraph(f"{node}: {node.op.name} takes {node.op.arity} arguments")
        inferred = node.op.infer(node.attrs, *(a.form for a in node.args))
        if inferred is node.form or _sums_halves(node, inferred):
            continue
        if not _named_apart(node.form, inferred):
            raise InvalidGraph(f"{node}: inference says {inferred}")


def _named_apart(given: Form, inferred: Form) -> bool:
    """The same sizes in other terms: a template may take one for a symbol of its own, though it
    follows from others. They are compared for the sizes at hand."""
    if given.dtype is not inferred.dtype:
        return False
    return tuple(map(hint, given.shape)) == tuple(map(hint, inferred.shape))


def _sums_halves(node: Node, inferred: Form) -> bool:
    """A product that reads half values, whose sum is float32."""
    half = node.op.kind == "contraction" and inferred.dtype.half
    return half and node.form is form(inferred.shape, float32)
