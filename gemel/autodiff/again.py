"""Values that are not kept for the way back, but computed again there.

A region is a set of forward nodes. A gradient rule that asks for one of them gets its twin: the
same computation, over what the region reads. What it reads stands behind `AFTER`, with the gradient
that first comes to the region: so the twin is computed then, and no pass takes it for the first
value.
"""

from __future__ import annotations

from gemel.graph.node import Node, order, rebuild
from gemel.ops.movement import AFTER

_PLAIN = ("const", "scalar", "iota")  # nothing is saved by computing these later


class Region:
    """around: the region in which it lies, or None."""

    def __init__(self, around: Region | None):
        self.around = around


def nodes_between(results: list[Node], first: int) -> list[Node]:
    """Everything with a serial from `first` on that the results are made of."""
    return [node for node in order(results) if node.serial >= first]


class Twins:
    """The twins that one pass back asks for. regions: node -> its region; read: what lies outside
    of the regions and is read again; made: all that is new."""

    def __init__(self, regions: dict[Node, Region]):
        self.regions = regions
        self.read: set[Node] = set()
        self.made: set[Node] = set()
        self._twins: dict[Node, Node] = {}
        self._later: dict[tuple[Node, Region], Node] = {}
        self._first: dict[Region, Node] = {}

    def of(self, node: Node, g: Node) -> Node:
        """The node to ask for values; g: the gradient that has come to it."""
        region = self.regions.get(node)
        if region is None or g.dtype.is_complex:
            return node
        while region is not None and region not in self._first:
            self._first[region] = g
            region = region.around
        stack = [node]
        while stack:
            missing = [a for a in stack[-1].args if self._is_open(a)]
            if missing:
                stack.extend(missing)
            else:
                self._make(stack.pop())
        return self._twins[node]

    def _is_open(self, node: Node) -> bool:
        """Is it in a region that a gradient has come to, and without a twin?"""
        return node not in self._twins and self.regions.get(node) in self._first

    def _make(self, node: Node) -> None:
        if node not in self._twins:
            region = self.regions[node]
            args = tuple(self._argument(a, region) for a in node.args)
            self._twins[node] = twin = rebuild(node, args)
            self.made.add(twin)

    def _argument(self, node: Node, region: Region) -> Node:
        if node in self._twins:
            return self._twins[node]
        if node.op.name in _PLAIN or node.dtype.is_complex:
            return node
        later = self._later.get((node, region))
        if later is None:
            later = self._later[node, region] = AFTER(node, self._first[region])
            self.made.add(later)
            self.read.add(node)
        return later
