"""Attention that is written out, as one node on the way back.

Role: find it among the nodes that a gradient flows through, and keep the node for all of it, so
that several passes through the same nodes go through the same one. In: forward nodes. Out: per last
product a `Whole`. Invariant: a whole is taken only where no gradient comes to, or is asked for at,
a value inside of it, and none flows into a mask.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gemel.graph.node import Node, recorded_at
from gemel.passes.attention import Written, written_in

from .again import Twins


@dataclass(frozen=True)
class Whole:
    """node: what `written.out` is, of fewer nodes; made: those that are new; kept: of these, what a
    program keeps for the way back."""

    written: Written
    node: Node
    made: frozenset[Node]
    kept: frozenset[Node]

    def lies_where(self, out: Node, twins: Twins | None) -> None:
        """What is computed again is so as one node as well."""
        region = None if twins is None else twins.regions.get(out)
        if twins is not None and region is not None:
            twins.regions.update(dict.fromkeys(self.made, region))


class Wholes:
    """made: last product -> its whole. searching: False on the way through a whole."""

    def __init__(self, searching: bool = True):
        self.searching = searching
        self._made: dict[Node, Whole] = {}

    def among(
        self, nodes: list[Node], ends: Collection[Node], wanted: set[Node]
    ) -> dict[Node, Written]:
        """Those that a pass back may take: nodes, arguments first, that it comes from; ends: those
        whose own gradient is given or asked for; wanted: those that lead to such."""
        if not self.searching:
            return {}
        found = written_in(nodes, ends)
        return {n: w for n, w in found.items() if n in wanted and not w.masks & wanted}

    def whole(self, written: Written) -> Whole:
        """Built once."""
        out = written.out
        if out not in self._made:
            with recorded_at(out.where):
                node = written.build(lambda n: n)
            made = _between(node, written.operands)
            kept = frozenset(n for n in made if n.op.kind == "attention")
            self._made[out] = Whole(written, node, made, kept)
        return self._made[out]


def _between(node: Node, operands: set[Node]) -> frozenset[Node]:
    """The nodes that a value is made of, down to the operands."""
    found: set[Node] = set()
    stack = [node]
    while stack:
        at = stack.pop()
        if at not in found and at not in operands:
            found.add(at)
            stack.extend(at.args)
    return frozenset(found)
