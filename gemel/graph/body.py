"""`Body`: the graph of one step of a loop, an attribute of the node that is the loop.

A body is closed: its inputs are leaves of its own. Its text is canonical, so that equal bodies
make equal programs.
"""

from __future__ import annotations

from functools import cached_property

from .node import Node
from .printer import show


class Body:
    """inputs: leaves, by position. results: what a step computes of them, in the loop's order.
    made: what was taken from a loop with this body already (see `ops.loops.result_of`)."""

    def __init__(self, inputs: tuple[Node, ...], results: tuple[Node, ...]):
        self.inputs = inputs
        self.results = results
        self.made: dict[tuple, Node] = {}

    @cached_property
    def text(self) -> str:
        """The graph with the inputs' forms, on one line."""
        head = ", ".join(repr(leaf.form) for leaf in self.inputs)
        return f"{{({head}) " + "; ".join(show(self.results, lines=False).split("\n")) + "}"

    def __repr__(self) -> str:
        return self.text
