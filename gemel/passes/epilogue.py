"""Epilogues: which elementwise nodes are computed on a product's tiles while they are in registers.

An epilogue pays where it does not make the product write more arrays than it would write without:
what it must write are the values that are read elsewhere. A value that is not needed whole in
memory is left to its readers if computing it here would only add one more array.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from gemel.graph.node import Node

from .layout import is_view, root_of

MOST_NODES = 60  # considered for one epilogue


@dataclass
class Surroundings:
    """What the choice of an epilogue depends on.

    readers   node -> the nodes that read it
    needed    nodes whose values must lie in memory
    left_out  nodes that have their place elsewhere
    behind    node -> the contractions that it depends on, as bits; `bit` of each contraction
    """

    readers: dict[Node, list[Node]]
    needed: set[Node]
    left_out: set[Node]
    behind: dict[Node, int]
    bit: dict[Node, int]


def surroundings(nodes: list[Node], readers: dict, results: list[Node], left_out: set[Node]):
    """The surroundings of all products of a graph; `nodes` in topological order."""
    behind: dict[Node, int] = {}
    bit: dict[Node, int] = {}
    for node in nodes:
        found = 0
        for arg in node.args:
            found |= behind[arg]
        if node.op.kind == "contraction":
            bit[node] = 1 << len(bit)
            found |= bit[node]
        behind[node] = found
    return Surroundings(readers, _needed_whole(nodes, results), left_out, behind, bit)


def epilogue_of(product: Node, around: Surroundings) -> set[Node]:
    """The nodes to compute on the product's tiles."""
    readers, needed = around.readers, around.needed
    region = _region(product, around)
    chosen = {product}
    for node in region:
        if node in needed:
            chosen |= _with_inner(node, region)
    for node in region:
        if node not in chosen:
            larger = chosen | _with_inner(node, region)
            if _written(larger, readers, needed) <= _written(chosen, readers, needed):
                chosen = larger
    return chosen - {product}


def _region(product: Node, around: Surroundings) -> list[Node]:
    """Elementwise nodes of the product's shape that need nothing else that comes after it."""
    bit = around.bit[product]
    inside = {product}
    region: list[Node] = []
    waiting = [(n.serial, n) for n in around.readers.get(product, ())]
    heapify(waiting)
    while waiting and len(region) < MOST_NODES:
        _, node = heappop(waiting)
        if node in inside or node in around.left_out or not _fits(node, product):
            continue
        if any(around.behind[a] & bit and a not in inside for a in node.args):
            continue
        inside.add(node)
        region.append(node)
        for reader in around.readers.get(node, ()):
            heappush(waiting, (reader.serial, reader))
    return region


def _fits(node: Node, product: Node) -> bool:
    if node.op.kind != "elementwise" or node.op.name == "check_range":
        return False
    same_width = node.dtype.itemsize == product.dtype.itemsize or node.dtype.name == "bool"
    return same_width and node.shape == product.shape


def _with_inner(node: Node, region: list[Node]) -> set[Node]:
    """The node and what it needs of the region."""
    inside = set(region)
    found, stack = set(), [node]
    while stack:
        at = stack.pop()
        if at not in found:
            found.add(at)
            stack.extend(a for a in at.args if a in inside)
    return found


def _written(chosen: set[Node], readers: dict, needed: set[Node]) -> int:
    """How many arrays the product writes if it computes these nodes."""
    return sum(
        n in needed or any(r not in chosen for r in readers.get(n, ())) for n in chosen
    )


def _needed_whole(nodes: list[Node], results: list[Node]) -> set[Node]:
    """Values that must lie in memory: results, and what products and single kernels read."""
    found = {root_of(r) for r in results}
    for node in nodes:
        if node.op.kind not in ("elementwise", "reduction") and not is_view(node):
            found.update(root_of(a) for a in node.args)
    return found
