"""Prologues: what a product computes on the elements of an operand as it loads them.

A cast, or a scale and a shift, of something that a program is given (pictures as bytes, weights in
a narrow type) need not be put into memory for the products that read it: they read what was given.
That pays where memory limits the product: the operand outgrows the near caches, and each of its
elements meets few of the other operand's.
"""

from __future__ import annotations

from math import prod

from gemel.codegen.sizes import hint
from gemel.graph.node import Node
from gemel.ops.contraction import label_sizes

from .layout import SOURCES, is_view, root_of
from .recompute import EXPENSIVE, renamed

LARGE = 1 << 20  # bytes of the operand at least
MOST_MEETINGS = 64
MOST_NODES = 8  # a product computes them for each tile that is not packed
MOST_READERS = 2
MOST_SMALL = 3  # arrays beside the large one: scales and shifts
SMALL = 8  # times smaller than the operand

# Cannot stand in a prologue: what may stop the program, and what depends on the cell's index.
_BARRED = EXPENSIVE | {"check_range"}


def prologues(
    nodes: list[Node], readers: dict[Node, list[Node]], results: set[Node]
) -> dict[Node, frozenset[Node]]:
    """Nodes that products compute for themselves -> the leaves that these are computed from.

    readers  node -> the nodes that read it, views among them
    """
    found: dict[Node, frozenset[Node]] = {}
    for node in nodes:
        if node.op.kind == "contraction":
            for arg in node.args:
                found.update(_chain(root_of(arg), readers, results) or {})
    return found


def _chain(end: Node, readers: dict, results: set[Node]) -> dict[Node, frozenset[Node]] | None:
    """The nodes from leaves to an operand, all of which products alone can do without; None where
    it is better put into memory."""
    if hint(end.form.nbytes) < LARGE or end in results or not _for_products(end, readers):
        return None
    inside: set[Node] = set()
    leaves: set[Node] = set()
    waiting = [end]
    while waiting:
        node = waiting.pop()
        if node.op.name == "leaf":
            leaves.add(node)
        elif node.op.name == "iota":
            return None
        elif node.op.name not in SOURCES and node not in inside:
            if not _plain(node) or node is not end and (node in results or _shared(node, readers)):
                return None
            if not all(renamed(a) for a in node.args):
                return None
            inside.add(node)
            waiting.extend(root_of(a) for a in node.args)
    if not inside or not _cheap(end, inside, leaves):
        return None
    return dict.fromkeys(inside, frozenset(leaves))


def _plain(node: Node) -> bool:
    return node.op.kind == "elementwise" and node.op.name not in _BARRED


def _cheap(end: Node, inside: set[Node], leaves: set[Node]) -> bool:
    """One array as large as the operand, and not wider; beside it small ones."""
    large = [x for x in leaves if SMALL * hint(x.form.size) > hint(end.form.size)]
    one = len(large) == 1 and hint(large[0].form.nbytes) <= hint(end.form.nbytes)
    return one and len(inside) <= MOST_NODES and len(leaves) <= 1 + MOST_SMALL


def _shared(node: Node, readers: dict) -> bool:
    return len(_beyond_views(node, readers)) != 1


def _for_products(node: Node, readers: dict) -> bool:
    """Do products read it and nothing else, each as one operand, without windows?"""
    found = _beyond_views(node, readers)
    return 0 < len(found) <= MOST_READERS and all(_takes(r, node) for r in found)


def _takes(reader: Node, node: Node) -> bool:
    if reader.op.kind != "contraction" or reader.dtype != node.dtype:
        return False
    *labels, windows = reader.attrs
    sides = [i for i, a in enumerate(reader.args) if root_of(a) is node]
    if windows or len(sides) != 1 or not renamed(reader.args[sides[0]]):
        return False
    own = labels[sides[0]]
    sizes = label_sizes(reader.attrs, *(a.form for a in reader.args))
    meetings = prod(n for label, n in sizes.items() if label not in own)
    return len(set(own)) == len(own) and meetings <= MOST_MEETINGS


def _beyond_views(node: Node, readers: dict) -> list[Node]:
    """What reads the value, through views or not."""
    found, waiting = [], [node]
    while waiting:
        for reader in readers.get(waiting.pop(), ()):
            if is_view(reader):
                waiting.append(reader)
            else:
                found.append(reader)
    return found
