"""What a graph is apart from its sizes.

Role: tells which graphs differ in sizes only, cheaply, and for every graph that is compiled. Input:
the results of a graph. Output: its `Outline`. `passes.templates` makes one program for graphs of
the same structure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gemel.codegen.sizes import is_size
from gemel.graph.body import Body
from gemel.graph.form import Form
from gemel.graph.node import Node, order
from gemel.ops.loops import LOOP, RESULT, Turns
from gemel.ops.record import CONST, LEAF

SIZED = ("reshape", "expand", "slice", "update_slice", "iota", "check_range")  # by attributes
DRAWS = ("mt19937", "philox", "normal_blocks", "uniforms", "shuffle")  # of any number of values
REMEMBERED = 4  # graphs of a structure whose sizes are compared
PLAIN = (-1, 0, 1)  # what is never a size: it decides how arrays are broadcast and walked


@dataclass
class Outline:
    """A graph as its structure, its sizes and the values of its constants, in the graph's order.

    fresh  per size: is it one of a leaf, which nothing explains but equal ones and products?
    """

    structure: str
    sizes: tuple[int, ...]
    fresh: tuple[bool, ...]
    constants: tuple


class _Walk:
    """Takes what an outline needs from the attributes of nodes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.fresh: list[bool] = []
        self.constants: list = []

    def text(self, value: Any, fresh: bool = False) -> str:
        if (type(value) is int or is_size(value)) and value not in PLAIN:
            self.sizes.append(value)
            self.fresh.append(fresh)
            return "#"
        if isinstance(value, tuple):
            return f"({','.join(self.text(v, fresh) for v in value)})"
        if isinstance(value, Form):
            return f"{value.dtype.name}{self.text(value.shape, fresh)}"
        return repr(value)


def outline(head: str, results: list[Node]) -> Outline:
    """head: what else the program depends on."""
    walk = _Walk()
    text = f"{head}\n{_lines(walk, results, ())}"
    structure = hashlib.sha256(text.encode()).hexdigest()
    return Outline(structure, tuple(walk.sizes), tuple(walk.fresh), tuple(walk.constants))


def _lines(walk: _Walk, results: Sequence[Node], inputs: Sequence[Node]) -> str:
    """A line for each node but the inputs, which are told before."""
    number = {node: k for k, node in enumerate(inputs)}
    lines = []
    for node in order(results):
        if node not in number:
            number[node] = len(number)
            args = ",".join(str(number[a]) for a in node.args)
            lines.append(f"{node.op.name}({args}){_attrs(walk, node)}")
    lines.append(",".join(str(number[r]) for r in results))
    return "\n".join(lines)


def _loop(walk: _Walk, body: Body, turns: Turns) -> str:
    """The steps of a loop, and how many."""
    steps = walk.text(turns.steps)
    forms = ",".join(walk.text(node.form) for node in body.inputs)
    inner = _lines(walk, body.results, body.inputs)
    return f"{steps}{turns[1:]}{{{forms}\n{inner}}}"


def has_sizes(node: Node) -> bool:
    """Are numbers among its attributes sizes?"""
    name = node.op.name
    return name in SIZED or name == "native" and node.attrs[0] in DRAWS


def _attrs(walk: _Walk, node: Node) -> str:
    if node.op is LOOP:
        return _loop(walk, *node.attrs)
    if node.op is RESULT:
        which, what, made = node.attrs
        return f"{which}{what!r}{walk.text(made)}"
    if node.op is CONST and node.dtype.kind in "fiu":
        walk.constants.append(node.attrs[0])
        return node.dtype.name
    if node.op is LEAF:  # its attributes tell its form again
        return f"{node.attrs[0]}{walk.text(node.form, True)}"
    inside = walk.text(node.attrs) if has_sizes(node) else repr(node.attrs)
    return inside + walk.text(node.form)


class Structure:
    """What is known of the graphs of one structure.

    outlines   the last ones
    templates  programs that serve many of them, the latest first
    tried      how many were made
    told       of the last graph, for people: which sizes are arguments, or why they are constants
    """

    def __init__(self) -> None:
        self.outlines: list[Outline] = []
        self.templates: list = []
        self.tried = 0
        self.told = ""

    def note(self, one: Outline) -> None:
        if all(one != other for other in self.outlines):
            self.outlines.append(one)
            del self.outlines[:-REMEMBERED]
