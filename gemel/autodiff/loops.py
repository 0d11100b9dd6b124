"""Gradients of loops: a loop over the same steps in the other order.

A step of it applies the rules of the body's nodes. What they read of the way there is stacked by
the loop itself, or, where it is cheap, computed again. Gradients of what all steps read are sums
over the steps: those that are products or sums themselves become one product of stacked values
behind the loop, the others are carried.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from gemel.graph.form import Form, form
from gemel.graph.node import Node, order
from gemel.ops.contraction import contract
from gemel.ops.indexing import scatter_add
from gemel.ops.loops import RESULT, Loop, build, over, result_of, stacked
from gemel.ops.movement import expand, narrow, reshape, zeros
from gemel.ops.record import leaf
from gemel.ops.reduction import sum_

from . import loop_lanes  # noqa: F401  (registers rules)
from .batching import Lane, batch

_CHEAP = frozenset({"cast", "not", "neg", "lt", "le", "eq", "and", "or", "stop_gradient"})
_VIEWS = frozenset({"reshape", "permute", "expand", "slice"})
_FIRST = -1_000_000  # position of the first leaf that only stands for something


def gradients_of(
    loop: Node, given: dict[Node, Node], wanted: Collection[Node], pullback: Callable
) -> list[tuple[Node, Node]]:
    """[(operand, gradient)] of a loop for the wanted operands.

    given     result of the loop -> its gradient
    pullback  of `autodiff.reverse`: (node -> its gradient, targets) -> target -> its gradient
    """
    return _Backwards(loop, given, wanted, pullback).run()


class _Backwards:
    """coming   number of a carried value -> what stands for its gradient after a step
    slices   (what stands for a slice, what is sliced) of the loop that is made
    sums     the gradients of constants"""

    def __init__(self, loop: Node, given: dict[Node, Node], wanted: Collection[Node], pullback):
        self.loop = loop
        body, turns = self.body, self.turns = loop.attrs
        self.number = body.inputs[0]
        self.sliced = body.inputs[1 : 1 + turns.slices]
        self.carried = body.inputs[1 + turns.slices :][: turns.carried]
        self.constants = body.inputs[1 + turns.slices + turns.carried :]
        self.news = body.results[turns.conditional :][: turns.carried]
        self.outer = dict(zip(body.inputs[1:], loop.args[turns.head :], strict=True))
        self.given = given
        self.wanted = wanted
        self.pullback = pullback
        self.stands = 0
        self.slices = [(x, self.outer[x]) for x in self.sliced]
        smooth = [k for k, x in enumerate(self.carried) if x.dtype.is_smooth]
        self.coming = {k: self._stand(self.carried[k].form) for k in smooth}
        self.lasts: dict[int, Node] = {}
        self.firsts: dict[int, Node] = {}

    def _stand(self, f: Form) -> Node:
        self.stands += 1
        return leaf(_FIRST - self.stands, f)

    def _slice(self, stack: Node) -> Node:
        stand = self._stand(form(stack.shape[1:], stack.dtype))
        self.slices.append((stand, stack))
        return stand

    # ---------- what a step is given ----------
    def _seeds(self) -> dict[Node, Node]:
        """Body's node -> its gradient at a step."""
        found: dict[Node, Node] = {self.news[k]: stand for k, stand in self.coming.items()}
        for result, g in self.given.items():
            which, what, _ = result.attrs
            if which == "last":
                self.lasts[what] = g
            elif which == "history":
                _add(found, self.news[what], self._slice(self._after(what, g)))
            elif which == "stack":
                _add(found, what, self._slice(g))
        return found

    def _after(self, k: int, g: Node) -> Node:
        """Of a history's gradient, that after each step; the one of the first value is noted."""
        turns = self.turns
        at = turns.steps if turns.backwards else 0
        self.firsts[k] = reshape(narrow(g, 0, at, 1), g.shape[1:])
        return narrow(g, 0, int(not turns.backwards), turns.steps)

    # ---------- the loop ----------
    def run(self) -> list[tuple[Node, Node]]:
        seeds = self._seeds()
        inputs = [x for x in self.body.inputs[1:] if x.dtype.is_smooth]
        goals = [x for x in inputs if x in self.carried or self.outer[x] in self.wanted]
        found = self.pullback(seeds, goals)
        self._read(found.values())
        sums = _Sums(self, [found[x] for x in self.constants if x in found])
        slopes = {x: found[x] for x in self.sliced if x in found}
        made = self._built(found, [*slopes.values(), *sums.stacked], sums.carried)
        out = [(self.outer[x], made.stack(d)) for x, d in slopes.items()]
        for i, k in enumerate(self.coming):
            g = made.last(i)
            out.append((self.outer[self.carried[k]], g + self.firsts[k] if k in self.firsts else g))
        constants = [x for x in self.constants if x in found]
        rows = zip(constants, sums.totals(made, len(self.coming)), strict=True)
        out += [(self.outer[x], total) for x, total in rows]
        return [(x, d) for x, d in out if x in self.wanted]

    def _built(self, found: dict, values: list[Node], totals: dict[Node, Node]) -> Loop:
        carried = []
        for k, stand in self.coming.items():
            blank = zeros(stand.shape, stand.dtype)
            new = found.get(self.carried[k], blank)
            carried.append((stand, self.lasts.get(k, blank), new))
        carried += [(stand, zeros(d.shape, d.dtype), stand + d) for d, stand in totals.items()]
        turns = self.turns
        limit = self.loop.args[0] if turns.limited else None
        if turns.conditional:
            limit = result_of(self.loop, "count", 0)
        return build(
            self.number,
            self.slices,
            carried,
            values,
            turns.steps,
            backwards=not turns.backwards,
            limit=limit,
            known=self.known(),
        )

    def known(self) -> dict[Node, Node]:
        """What all steps read -> what that is."""
        return {x: self.outer[x] for x in self.constants}

    # ---------- what the rules read ----------
    def _read(self, gradients: Iterable[Node]) -> None:
        """Every node of the body that the gradients read is given to a step as a slice of a stack,
        or is computed again from such."""
        results = [r.attrs[1] for r in self.given if r.attrs[0] == "stack"]
        forward = set(order([*self.body.results, *results, *self.body.inputs]))
        seen = {stand for stand, _ in self.slices}
        stack = list(gradients)
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            taken = node.op is RESULT and node.args[0] in forward
            if not taken and (node not in forward or self._again(node)):
                stack.extend(node.args)
            elif node.args or node in self.carried:
                self.slices.append((node, stacked(self.loop, node)))

    def _again(self, node: Node) -> bool:
        """Is it computed again? Then its arguments are read."""
        if node.op.name in _VIEWS:
            (below,) = node.args
            return node.form.size >= below.form.size or self._free(below)
        return node.op.name in _CHEAP or bool(node.args) and self._free(node)

    def _free(self, node: Node) -> bool:
        """Is it the same at all steps, and computed whether they run or not?"""
        if not self.turns.plain:
            return node in self.constants
        varying = {self.number, *self.sliced, *self.carried}
        return not any(n in varying for n in order([node]))


def _add(found: dict[Node, Node], node: Node, g: Node) -> None:
    found[node] = found[node] + g if node in found else g


# ---------- sums over the steps ----------
Total = Callable[[Loop], Node]


class _Sums:
    """The sums over the steps of values of a step.

    stacked  values that the loop must stack for them
    carried  values that are added up in the loop -> what stands for the sum so far
    """

    def __init__(self, way: _Backwards, values: list[Node]):
        self.way = way
        self.steps = way.turns.steps
        self.given = dict(way.slices)
        self.known = way.known()
        starts = {way.number, *self.given, *way.coming.values()}
        self.varying = set(starts)
        for node in order(values):
            if node not in starts and any(a in self.varying for a in node.args):
                self.varying.add(node)
        self.stacked: dict[Node, None] = {}
        self.carried: dict[Node, Node] = {}
        self.made = [self._sum(v) for v in values]

    def totals(self, loop: Loop, first: int) -> list[Node]:
        """The sums, in order. first: number of the first carried one in the loop."""
        self.first = first
        return [total(loop) for total in self.made]

    def _sum(self, d: Node) -> Total:
        name = d.op.name
        if d in self.varying and d not in self.given:
            if name in ("reshape", "permute", "neg"):
                below = self._sum(d.args[0])
                return lambda loop: d.op(below(loop), attrs=d.attrs)
            if name == "add" and d.args[0].shape == d.args[1].shape:
                a, b = map(self._sum, d.args)
                return lambda loop: a(loop) + b(loop)
            if name == "sum":
                return self._of_sum(d)
            if name == "contract" and not d.attrs[3]:
                return self._of_product(d)
            if name == "scatter" and d.attrs == (0, True) and _is_zero(d.args[0]):
                return self._of_rows(d)
        return self._carried(d)

    def _carried(self, d: Node) -> Total:
        self.carried.setdefault(d, self.way._stand(d.form))
        return lambda loop: loop.last(self.first + list(self.carried).index(d))

    def _of_sum(self, d: Node) -> Total:
        stack = self._stack(d.args[0])
        axes = (0, *(a + 1 for a in d.attrs[0]))
        return lambda loop: reshape(sum_(stack(loop), axes, False), d.shape)

    def _of_product(self, d: Node) -> Total:
        la, lb, lo, _ = d.attrs
        varying = [a in self.varying for a in d.args]
        if all(varying):
            step = max((*la, *lb, *lo), default=0) + 1
            a, b = map(self._stack, d.args)
            return lambda loop: contract(a(loop), b(loop), (step, *la), (step, *lb), lo)
        pairs = zip(d.args, varying, strict=True)
        a, b = (self._sum(x) if varies else self._outer(x) for x, varies in pairs)
        return lambda loop: contract(a(loop), b(loop), la, lb, lo)

    def _of_rows(self, d: Node) -> Total:
        _, index, rows = d.args
        at, value = self._stack(index), self._stack(rows)
        blank = zeros(d.shape, d.dtype)
        return lambda loop: scatter_add(blank, at(loop), value(loop), 0)

    def _outer(self, node: Node) -> Total:
        return lambda loop: over(node, self.known)

    def _stack(self, node: Node) -> Total:
        """[steps, ...]: the value at each step."""
        if node in self.given:
            return lambda loop: self.given[node]
        if node not in self.varying:
            return lambda loop: expand(over(node, self.known), (self.steps, *node.shape))
        if node.op.name in _VIEWS:
            below = self._stack(node.args[0])

            def view(loop: Loop) -> Node:
                lanes = {node.args[0]: Lane(below(loop), True)}
                return batch([node], lanes, self.steps)[0].node

            return view
        self.stacked[node] = None
        return lambda loop: loop.stack(node)


def _is_zero(node: Node) -> bool:
    while node.op.name in _VIEWS:
        node = node.args[0]
    return node.op.name == "const" and node.attrs[0] == 0
