"""Recomputation: a cheap value is computed again where it is read instead of being kept in memory.

Truth values are computed in each reader (`duplicate_truths`, on the graph). After fusion, `keep`
decides about every value that one group makes and another reads (a backward pass of its forward
pass, say): where it follows from one array of its own size that lies in memory anyway, and from
small ones, reading that array costs as much as reading the value, and nothing has to be written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gemel.codegen.sizes import hint
from gemel.graph.node import Node, order, rebuild, recorded_at, users

from .layout import SOURCES, is_view, root_of

EXPENSIVE = frozenset(
    {"exp", "log", "log1p", "expm1", "tanh", "sigmoid", "erf", "sin", "cos", "pow", "sqrt"}
)
SLOW = EXPENSIVE | {"div"}  # not in an epilogue, which computes for each row of each tile
SMALL = 4096  # cells that cost nothing to compute, whatever the operation
MOST_NODES = 20  # in one recomputed value
MOST_SOURCES = 4  # of a value that is small beside its reader
MANY_READ = 8  # a reader with so many times the cells reads the value again and again
DEEPEST_TRUTH = 3  # nodes under a truth value that are computed with it


# ---------- truth values ----------
def duplicate_truths(outputs: list[Node]) -> list[Node]:
    """A truth value read in several places is computed in each: that costs less than keeping it."""
    nodes = order(outputs)
    readers = users(nodes)
    many = {n for n in nodes if _is_truth(n) and len(readers[n]) > 1}
    if not many:
        return outputs
    done: dict[Node, Node] = {}

    def fresh(node: Node, budget: int) -> Node:
        if node not in many or budget == 0:
            return done[node]
        args = tuple(fresh(a, budget - 1) for a in node.args)
        with recorded_at(node.where):
            return Node(node.op, node.attrs, args, node.form)

    for node in nodes:
        args = tuple(fresh(a, DEEPEST_TRUTH) for a in node.args)
        done[node] = rebuild(node, args)
    return [done[o] for o in outputs]


def _is_truth(node: Node) -> bool:
    elementwise = node.op.kind == "elementwise" and node.op.name != "check_range"
    return elementwise and node.dtype.name == "bool"


# ---------- what is kept ----------
@dataclass
class Kept:
    """What lies in memory.

    stored  nodes whose values lie there
    inline  node -> the stored values that it is computed from wherever a group other than its own
            reads it
    padded  values with a border of one number, which their readers see around the inner value
    inside  node -> (whole, places): it is written where it lies in the whole of which it is a part
    """

    stored: set[Node]
    inline: dict[Node, frozenset[Node]] = field(default_factory=dict)
    padded: set[Node] = field(default_factory=set)
    inside: dict[Node, tuple[Node, list]] = field(default_factory=dict)
    weight: dict[Node, int] = field(default_factory=dict)
    made_of: dict[Node, frozenset[Node] | None] = field(default_factory=dict)
    # nodes with one among what they compute that an epilogue should not have, or cannot
    slow: set[Node] = field(default_factory=set)

    def beneath(self, arg: Node) -> frozenset[Node]:
        """The stored values that reading `arg` from outside reads."""
        root = root_of(arg)
        if root.op.name in SOURCES:
            return frozenset()
        return self.inline.get(root, frozenset((root,)))


def keep(nodes: list[Node], needed: set[Node], numbers: set[Node], home: Callable) -> Kept:
    """What the groups leave in memory for each other.

    needed   nodes whose values must lie there
    numbers  single values that every kernel computes from run-time numbers
    home     node -> its group, or None
    """
    kept = Kept(set(needed), dict.fromkeys(numbers, frozenset()), weight=dict.fromkeys(numbers, 1))
    seen, in_epilogues = _seen_from_outside(nodes, home)
    for node in nodes:
        if node in seen and node not in kept.stored and node not in kept.inline:
            sources = _made_of(node, kept) if seen[node] else None
            slow = node in kept.slow and node in in_epilogues
            if sources is None or slow or not _pays(node, sources, seen[node]):
                kept.stored.add(node)
            else:
                kept.stored |= sources
                _enter(node, kept)
    return kept


def _enter(node: Node, kept: Kept) -> None:
    """The node and the nodes on the way to its sources are computed where they are read."""
    kept.inline[node] = kept.made_of[node]
    for arg in node.args:
        root = root_of(arg)
        outside = root in kept.stored or root in kept.inline or not root.args
        if not outside:
            _enter(root, kept)


def _seen_from_outside(nodes: list[Node], home: Callable) -> tuple[dict[Node, int], set[Node]]:
    """Nodes that another group reads -> the fewest cells of a reader; 0 where the views on the way
    do more than rename axes. And those that an epilogue reads."""
    seen: dict[Node, int] = {}
    in_epilogues: set[Node] = set()
    for node in nodes:
        if is_view(node):
            continue
        here = home(node)
        for arg in node.args:
            root = root_of(arg)
            there = home(root)
            if there is not None and there is not here:
                cells = max(hint(node.form.size), hint(arg.form.size)) if renamed(arg) else 0
                seen[root] = min(seen.get(root, cells), cells)
                if here is not None and here.kind == "product":
                    in_epilogues.add(root)
    return seen, in_epilogues


def renamed(view: Node) -> bool:
    """Do the views from here down to the root only rename, drop or add axes?"""
    while is_view(view):
        below = view.args[0]
        if view.op.name == "slice":
            return False
        if view.op.name == "reshape" and _long(view) != _long(below):
            return False
        view = below
    return True


def _long(node: Node) -> list[int]:
    return [n for n in node.shape if n != 1]


def _made_of(node: Node, kept: Kept) -> frozenset[Node] | None:
    """The values in memory (or small enough to be put there) that a node is cheaply made of; None
    where it is better kept."""
    if node not in kept.made_of:
        kept.made_of[node] = _sources(node, kept)
    return kept.made_of[node]


def _sources(node: Node, kept: Kept) -> frozenset[Node] | None:
    expensive = node.op.name in EXPENSIVE and hint(node.form.size) > SMALL
    if node.op.kind != "elementwise" or node.op.name == "check_range" or expensive:
        return None
    found: set[Node] = set()
    weight = 1
    slow = node.op.name in SLOW
    for arg in node.args:
        root = root_of(arg)
        slow = slow or root.op.name == "iota"  # epilogues of products have no indices
        if root.op.name in SOURCES:
            continue
        if root in kept.stored or root.op.name == "leaf":
            found.add(root)
            continue
        inner = kept.inline.get(root)
        if inner is None:
            inner = _made_of(root, kept)
        if inner is not None and renamed(arg):
            found |= inner
            slow = slow or root in kept.slow
            weight += kept.weight[root]
        elif root.op.kind == "reduction" or root.op.name == "check_range":
            found.add(root)
        else:
            return None
    kept.weight[node] = weight
    if slow:
        kept.slow.add(node)
    return frozenset(found) if weight <= MOST_NODES else None


def _pays(node: Node, sources: frozenset[Node], cells: int) -> bool:
    """Is at most one of the values that it is made of about as large as the node itself? In a
    reader of many more cells a few do not count."""
    size = hint(node.form.size)
    if MANY_READ * size <= cells:
        return len(sources) <= MOST_SOURCES
    return sum(4 * hint(s.form.size) > size for s in sources) <= 1
