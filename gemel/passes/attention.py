"""Attention that a program writes out as products and a softmax, found in its graph.

softmax(scale Q K^T + mask) V: from the last product back through movement, the softmax, masks and
scales to the first (`attention_way`). What is found is a `Written`, which builds the same value
from the one primitive for it (`ops.tiled_attention`).

Forward, a pass puts that in the place of the last product where nothing else reads the scores or
their shares. Backward, `autodiff.reverse` asks the same question while it makes a gradient, and
goes back through the primitive: so no graph has to be searched for the gradient of a softmax. Both
build equal nodes, which become one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from gemel.codegen.sizes import hint
from gemel.graph.node import Node, order, rebuild, recorded_at, users
from gemel.ops import tiled_attention
from gemel.ops.elementwise import AND, NEG, NOT, const, where
from gemel.ops.movement import expand, permute, reshape

from .attention_way import Added, Hidden, Scaled, Side, Way, constant_of, way_to

_FEWEST = 256  # queries and keys from which on the kernel is the quicker way


def find_attention(outputs: list[Node]) -> list[Node]:
    """The graph, with one node for attention of which only the result is read."""
    nodes = order(outputs)
    found = written_in(nodes, outputs)
    if not found:
        return outputs
    done: dict[Node, Node] = {}
    for node in nodes:
        if node in found:
            with recorded_at(node.where):
                done[node] = found[node].build(done.__getitem__)
        else:
            done[node] = rebuild(node, tuple(done[a] for a in node.args))
    return [done[o] for o in outputs]


def written_in(nodes: list[Node], kept: Collection[Node]) -> dict[Node, Written]:
    """last product -> the attention. nodes: arguments first; kept: those asked for besides."""
    ways = [(n, way_to(n)) for n in nodes if n.op.name == "contract"]
    found = {n: Written(n, way) for n, way in ways if way is not None and _worthwhile(way)}
    if not found:
        return {}
    readers, held = users(nodes), set(kept)
    return {n: w for n, w in found.items() if not _needed(w, readers, held)}


def _needed(written: Written, readers: dict[Node, list[Node]], kept: set[Node]) -> bool:
    """Does anything else read what lies between the products?"""
    own = written.way.inside | {written.out}
    inside = written.way.inside
    return any(n in kept or any(r not in own for r in readers[n]) for n in inside)


def _worthwhile(way: Way) -> bool:
    query, key, value = (_sides_shape(s) for s in (way.query, way.key, way.value))
    return (
        tiled_attention.has_kernel(way.query.node.dtype, query, key, value)
        and min(hint(query[0]), hint(key[0])) >= _FEWEST
    )


def _sides_shape(side: Side) -> tuple:
    """(places, width) of an operand."""
    return tuple(side.node.shape[side.labels.index(a)] for a in side.last)


@dataclass(frozen=True)
class Written:
    """One attention of a graph: `out` is the last product, `way` what lies before it."""

    out: Node
    way: Way

    @property
    def operands(self) -> set[Node]:
        """What it is computed of."""
        sides = (self.way.query, self.way.key, self.way.value)
        numbers = {s.number for s in self.way.steps if isinstance(s, Scaled)}
        return {*(s.node for s in sides), *numbers, *self.masks}

    @property
    def masks(self) -> set[Node]:
        return {s.mask for s in self.way.steps if not isinstance(s, Scaled)}

    def build(self, of: Callable[[Node], Node]) -> Node:
        """The value of `out`; `of` gives what stands for a node of the graph."""
        return _Build(self.way, of).result()


class _Build:
    """of: what stands for a node of the graph; lead: the leading axes of all operands."""

    def __init__(self, way: Way, of: Callable[[Node], Node]):
        self.way = way
        self.of = of
        self.lead = way.stretches[way.chosen].sizes or (1,)

    def result(self) -> Node:
        way = self.way
        q, k, v = (self._side(s) for s in (way.query, way.key, way.value))
        mask = self._mask(q.dtype)
        if mask is not None:
            mask = expand(mask, (*q.shape[:-1], k.shape[-2]))
        q, scale = self._scaled(q)
        low = None if way.low is None else float(q.dtype.numpy.type(way.low))
        made = tiled_attention.of_softmax(q, k, v, mask, False, scale, low)
        found = tiled_attention.result_of(made)
        first = way.stretches[0]
        found = reshape(found, (*first.sizes, *found.shape[-2:]))
        given = (*first.order, way.queries, way.depth)
        return permute(found, tuple(given.index(a) for a in way.labels))

    def _side(self, side: Side) -> Node:
        """An operand as [leading axes, places, width]."""
        wanted = (*self.way.stretches[side.stretch].order, *side.last)
        x = permute(self.of(side.node), tuple(side.labels.index(a) for a in wanted))
        return reshape(x, (*self.lead, *x.shape[-2:]))

    def _scaled(self, q: Node) -> tuple[Node, float]:
        """The queries times the numbers that are known only later; the product of the others."""
        scale = 1.0
        for step in self.way.steps:
            if not isinstance(step, Scaled):
                continue
            number = constant_of(step.number)
            if number is None:
                q = step.op(q, self._number(step))
            else:
                scale = scale * number if step.op.name == "mul" else scale / number
        return q, scale

    def _number(self, step: Scaled) -> Node:
        return reshape(self.of(step.number), ())

    def _mask(self, dtype) -> Node | None:
        """All masks as one: where scores are visible, or what is added to them."""
        added: Node | None = None
        shown: Node | None = None
        scales: list[Scaled] = []
        for step in self.way.steps:
            if isinstance(step, Scaled):
                scales.append(step)
            elif isinstance(step, Added):
                x = self._of_added(step, scales)
                added = x if added is None else added + x
            else:
                x = self._aligned(step)
                x = NOT(x) if step.where_true else x
                shown = x if shown is None else AND(shown, x)
        if added is None or shown is None:
            return shown if added is None else added
        return where(shown, added, const(-math.inf, dtype))

    def _of_added(self, step: Added, scales: list[Scaled]) -> Node:
        """What is added, after the scales that come later."""
        x = self._aligned(step)
        x = NEG(x) if step.negative else x
        for later in reversed(scales):
            x = later.op(x, self._number(later))
        return x

    def _aligned(self, step: Added | Hidden) -> Node:
        """A mask as [leading axes, queries, keys], each perhaps of size 1."""
        x, way, labels = self.of(step.mask), self.way, step.labels
        x = reshape(x, (1,) * (len(labels) - x.ndim) + x.shape)
        wanted = (*way.stretches[step.stretch].order, way.queries, way.keys)
        x = permute(x, tuple(labels.index(a) for a in wanted))
        lead = x.shape[:-2] if step.stretch == way.chosen else (1,) * len(self.lead)
        return reshape(x, (*(lead or (1,)), *x.shape[-2:]))
