"""`Node`: one application of a primitive. A graph is whatever its outputs reach.

Nodes are immutable and are born after their arguments, so `serial` is a topological order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import contextmanager
from itertools import count

from .form import Form

_serials = count()
_recorded_at: list[tuple[str, int] | None] = [None]


@contextmanager
def recorded_at(where: tuple[str, int] | None):
    """Nodes made inside carry the user's (file, line)."""
    before = _recorded_at[0]
    _recorded_at[0] = where
    try:
        yield
    finally:
        _recorded_at[0] = before


class Node:
    """One value: `op` (a primitive record) applied to `args` with static `attrs`."""

    __slots__ = ("op", "attrs", "args", "form", "where", "serial")

    def __init__(self, op, attrs: tuple, args: tuple[Node, ...], form: Form):
        self.op = op
        self.attrs = attrs
        self.args = args
        self.form = form
        self.where = _recorded_at[0]
        self.serial = next(_serials)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.form.shape

    @property
    def dtype(self):
        return self.form.dtype

    @property
    def ndim(self) -> int:
        return self.form.ndim

    def __repr__(self) -> str:
        args = ", ".join(f"%{a.serial}" for a in self.args)
        attrs = f" {self.attrs}" if self.attrs else ""
        return f"%{self.serial} = {self.op.name}({args}){attrs} : {self.form}"


def order(outputs: Iterable[Node]) -> list[Node]:
    """All nodes that the outputs reach, arguments first."""
    seen: dict[int, Node] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node.serial in seen:
            continue
        seen[node.serial] = node
        stack.extend(node.args)
    return [seen[s] for s in sorted(seen)]


def rebuild(node: Node, args: tuple[Node, ...]) -> Node:
    """The same operation on other arguments of the same forms; the user's line is kept."""
    if all(a is b for a, b in zip(args, node.args, strict=True)):
        return node
    with recorded_at(node.where):
        return Node(node.op, node.attrs, args, node.form)


def rewrite(outputs: list[Node], rule: Callable[[Node], Node | None]) -> list[Node]:
    """Rebuild the graph bottom-up; `rule(node)` gives a replacement or None to keep the node."""
    done: dict[Node, Node] = {}
    for node in order(outputs):
        new = rebuild(node, tuple(done[a] for a in node.args))
        done[node] = rule(new) or new
    return [done[o] for o in outputs]


def users(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """node -> the nodes that read it (once per argument position)."""
    found: dict[Node, list[Node]] = {}
    for node in nodes:
        found.setdefault(node, [])
        for arg in node.args:
            found.setdefault(arg, []).append(node)
    return found
