"""Programs of a graph that is known with sizes in it.

Role: behind `passes.templates`, for who knows graphs of many sizes as one graph of `Size`s
(`tensor/alike.py`). Input: that graph and what the sizes' symbols are. Output: the program for
given values of the symbols, by a template of the graph's structure: no graph of these sizes is
made, and no pass runs.
"""

from __future__ import annotations

from gemel.codegen.sizes import evaluator
from gemel.graph.node import Node, order
from gemel.runtime.program import Program

from .compile import before_devices
from .compiles import Stopwatch
from .native import ENTRY, faults_of, number_kinds, outline_of, structure_of
from .outlines import PLAIN, Outline, Structure
from .templates import known_for

_PLAIN = frozenset(PLAIN)


class SizedGraph:
    """See `compile.compile_graph` for the arguments; names: of the sizes' symbols."""

    def __init__(
        self,
        leaves: list[Node],
        scalars: list[Node],
        outputs: list[Node],
        updates: dict[int, Node],
        names: list[str],
    ):
        leaves, outputs, updates = before_devices(leaves, outputs, updates)
        results = [*outputs, *updates.values()]
        self.seen = outline_of(leaves, scalars, outputs, updates)
        self.faults = faults_of(results)
        self.kinds = number_kinds(scalars)
        self._sizes = evaluator(names, map(repr, self.seen.sizes))
        self.line = next((n.where for n in order(results) if n.args and n.where), None)

    def outline(self, values: tuple[int, ...]) -> Outline | None:
        """Of the graph with these values of the symbols; None where that has another structure."""
        seen, sizes = self.seen, self._sizes(*values)
        if not _PLAIN.isdisjoint(sizes):
            return None
        return Outline(seen.structure, sizes, seen.fresh, seen.constants)

    def known(self) -> Structure | None:
        """What is known of graphs like this one."""
        return structure_of(self.seen)

    def program(self, values: tuple[int, ...]) -> Program | None:
        """None where there is no template that serves these sizes."""
        known = self.known()
        watch = Stopwatch()
        seen = self.outline(values)
        found = known_for(known, seen) if known is not None and seen is not None else None
        if known is None or found is None:
            return None
        library, facts = found
        watch.stop_alike(self.line, len(facts["kernels"]), known.told)
        return Program(library, ENTRY, facts, self.faults, self.kinds)
