"""Graphs as text, one node a line, numbered from zero so that equal graphs print alike."""

from __future__ import annotations

from collections.abc import Iterable

from .node import Node, order


def show(outputs: Iterable[Node], lines: bool = True) -> str:
    """The graph as text. `lines`: append the user's file and line of each node."""
    outputs = list(outputs)
    number: dict[Node, int] = {}
    text = []
    for node in order(outputs):
        number[node] = len(number)
        args = ", ".join(f"%{number[a]}" for a in node.args)
        attrs = f" {list(node.attrs)}" if node.attrs else ""
        row = f"%{number[node]} = {node.op.name}({args}){attrs} : {node.form}"
        if lines and node.where:
            row = f"{row:<72} # {node.where[0]}:{node.where[1]}"
        text.append(row)
    text.append("return " + ", ".join(f"%{number[o]}" for o in outputs))
    return "\n".join(text)
