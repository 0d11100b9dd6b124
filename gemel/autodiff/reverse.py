"""Reverse mode as a function from graph to graph.

In: forward nodes with their cotangents. Out: gradient nodes of the targets, in the same graph. The
rules are those of the primitives' records; broadcasting is undone here, once, for all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gemel.graph.node import Node, order, recorded_at
from gemel.ops.declared import WITH_GRADIENT
from gemel.ops.elementwise import cast
from gemel.ops.loops import LOOP, RESULT
from gemel.ops.movement import full, sum_to

from .again import Twins
from .loops import gradients_of
from .wholes import Whole, Wholes


class FreedGraph(RuntimeError):
    """A gradient needs values that an earlier backward pass has released."""


def _flows(node: Node) -> bool:
    """Does a gradient pass through this node at all?"""
    return node.op.vjp != () and node.dtype.is_smooth


def dependent(nodes: Iterable[Node], targets: Collection[Node]) -> set[Node]:
    """The nodes whose value a gradient can carry back to a target. `nodes` in topological order."""
    found = set(targets)
    for node in nodes:
        if node not in found and _flows(node) and any(a in found for a in node.args):
            found.add(node)
    return found


def _contributions(node: Node, g: Node, wanted: set[Node]) -> list[tuple[Node, Node]]:
    """(argument, gradient) of one node, only for the arguments that lead to a target."""
    rules = node.attrs[0].each if node.op is WITH_GRADIENT else node.op.vjp
    if callable(rules):
        made = rules(g, node, *node.args)
        if made is None:
            return _through_composite(node, g, wanted)
        return [(a, d) for a, d in zip(node.args, made, strict=True) if a in wanted]
    found = []
    for arg, rule in zip(node.args, rules, strict=True):
        if rule is not None and arg in wanted:
            d = rule(g, node, *node.args)
            found.append((arg, sum_to(d, arg.shape)))
    return found


def _of_loop(node: Node, given: dict[Node, Node], wanted: set[Node]) -> list[tuple[Node, Node]]:
    """(operand, gradient) of a loop whose results have these gradients."""
    return gradients_of(node, given, wanted, pullback)


def _through_composite(node: Node, g: Node, wanted: set[Node]) -> list[tuple[Node, Node]]:
    """The gradients of what the primitive is made of."""
    ends = {a for a in node.args if a in wanted}
    whole = node.op.composite(node.attrs, *node.args)
    return list(pullback({whole: g}, ends, cut=ends).items())


def _through_whole(
    whole: Whole, g: Node, wanted: set[Node], twins: Twins | None
) -> list[tuple[Node, Node]]:
    """(operand, gradient) of attention that is written out."""
    ends = whole.written.operands & wanted
    whole.lies_where(whole.written.out, twins)
    once = Wholes(searching=False)
    return list(pullback({whole.node: g}, ends, cut=ends, twins=twins, wholes=once).items())


def _steps_back(
    node: Node, g: Node, wanted: set[Node], loops: dict, twins: Twins | None
) -> list[tuple[Node, Node]]:
    """(argument, gradient) of one node, whose rule asks its twin where it has one."""
    twin = node if twins is None else twins.of(node, g)
    own = dict(zip(twin.args, node.args, strict=True))
    there = {a for a, mine in own.items() if mine in wanted}
    if node.op is not LOOP:
        made = _contributions(twin, g, there)
    else:
        given = {r if twins is None else twins.of(r, g): d for r, d in loops.items()}
        made = _of_loop(twin, given, there)
    return [(own[a], d) for a, d in made]


def _refuse_if_freed(node: Node, freed: set[Node] | None) -> None:
    if freed is not None and node in freed:
        raise FreedGraph(node.op.name)


def pullback(
    cotangents: dict[Node, Node],
    targets: Collection[Node],
    *,
    cut: Collection[Node] = (),
    read: set[Node] | None = None,
    freed: set[Node] | None = None,
    release: bool = False,
    twins: Twins | None = None,
    wholes: Wholes | None = None,
) -> dict[Node, Node]:
    """Gradients of the targets, given the gradients of some nodes.

    targets  nodes whose gradient is wanted; the flow goes on through them
    cut      nodes where the flow ends (their gradient is returned as well)
    read     collects the forward nodes whose values the rules read: the residuals
    freed    nodes whose rule may no longer be applied: FreedGraph where one is needed
    release  add the nodes whose rule reads forward values to `freed`
    twins    of forward nodes that are computed again
    wholes   of attention that is written out, where the same nodes are gone back through again
    """
    forward = order(cotangents)
    known = set(forward)
    ends = set(cut)
    wanted = dependent(forward, {*targets, *ends})
    wholes = wholes or Wholes()
    written = wholes.among(forward, {*targets, *ends, *cotangents}, wanted)
    through: set[Node] = set()
    flowing = {n: c for n, c in cotangents.items() if n in wanted}
    loops: dict[Node, dict[Node, Node]] = {}  # loop -> the gradients of its results
    found: dict[Node, Node] = {}
    for node in reversed(forward):
        g = flowing.pop(node, None)
        g = next(iter(loops[node].values())) if node in loops else g
        if g is None:
            continue
        if node in ends or node in targets:
            found[node] = g
        if node in ends or not node.args or not _flows(node):
            continue
        if node.op is RESULT:
            loops.setdefault(node.args[0], {})[node] = g
            continue
        _refuse_if_freed(node, freed)
        with recorded_at(node.where):
            if node in written:
                whole = wholes.whole(written[node])
                made = _through_whole(whole, g, wanted, twins)
                known |= whole.kept
                through |= whole.made
            else:
                made = _steps_back(node, g, wanted, loops.pop(node, {}), twins)
        used = _residuals([d for _, d in made], known, g, twins.made if twins else (), through)
        if read is not None:
            read |= used
        if release and freed is not None and (used or twins and node in twins.regions):
            freed |= {node, *written[node].way.inside} if node in written else {node}
        for arg, d in made:
            flowing[arg] = flowing[arg] + d if arg in flowing else d
    return found


def _residuals(
    made: list[Node], forward: set[Node], g: Node, again=(), through: Collection[Node] = ()
) -> set[Node]:
    """Forward nodes that the new gradient nodes read (the walk stops at forward nodes, at g, and at
    what is computed again). through: older nodes that it goes through all the same."""
    used: set[Node] = set()
    seen: set[Node] = {g, *again}
    stack = list(made)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in forward or node.op is RESULT and node.args[0] in forward:
            used.add(node)
        elif node.serial > g.serial or not node.args or node in through:
            stack.extend(node.args)
    return used


def gradients(
    outputs: list[Node], cotangents: list[Node | None], targets: list[Node]
) -> list[Node | None]:
    """The gradient of the outputs' weighted sum for each target; None where there is no path.

    A missing cotangent is ones.
    """
    given: dict[Node, Node] = {}
    for y, c in zip(outputs, cotangents, strict=True):
        c = full(y.shape, 1, y.dtype) if c is None else cast(c, y.dtype)
        given[y] = given[y] + c if y in given else c
    found = pullback(given, set(targets))
    return [found.get(t) for t in targets]
