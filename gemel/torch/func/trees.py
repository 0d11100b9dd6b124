"""Nested tuples, lists and dicts of values: taken apart and put together again."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any


class Spec:
    """The structure of a tree: what is at the node, and the structures below. A leaf has none."""

    __slots__ = ("kind", "context", "below", "leaves")

    def __init__(self, kind, context, below):
        self.kind = kind
        self.context = context
        self.below = below
        self.leaves = 1 if kind is None else sum(s.leaves for s in below)

    def __eq__(self, other):
        return (
            isinstance(other, Spec)
            and self.kind is other.kind
            and self.context == other.context
            and self.below == other.below
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        inside = ", ".join(map(repr, self.below))
        return f"TreeSpec({self.kind.__name__}, {self.context}, [{inside}])"


LEAF = Spec(None, None, [])


def _children(tree) -> tuple[Any, list] | None:
    """(context, values below) of a node, None for a leaf."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree), list(tree)
    if type(tree) in (tuple, list) or isinstance(tree, tuple):
        return None, list(tree)
    if isinstance(tree, deque):
        return tree.maxlen, list(tree)
    if type(tree) is defaultdict:
        return (tree.default_factory, list(tree)), list(tree.values())
    if type(tree) in (dict, OrderedDict):
        return list(tree), list(tree.values())
    return None


def flatten(tree, is_leaf: Callable | None = None) -> tuple[list, Spec]:
    """(leaves in order, structure)."""
    leaves: list = []

    def walk(at) -> Spec:
        node = None if is_leaf is not None and is_leaf(at) else _children(at)
        if node is None or type(at) not in _MAKERS and not hasattr(at, "_fields"):
            leaves.append(at)
            return LEAF
        context, below = node
        return Spec(type(at), context, [walk(b) for b in below])

    return leaves, walk(tree)


_MAKERS: dict[type, Callable] = {
    tuple: lambda context, items: tuple(items),
    list: lambda context, items: items,
    dict: lambda context, items: dict(zip(context, items, strict=True)),
    OrderedDict: lambda context, items: OrderedDict(zip(context, items, strict=True)),
    deque: lambda context, items: deque(items, context),
    defaultdict: lambda context, items: defaultdict(
        context[0], zip(context[1], items, strict=True)
    ),
}


def unflatten(leaves, spec: Spec):
    """The tree of this structure with these leaves."""
    rest = iter(leaves)

    def build(s: Spec):
        if s.kind is None:
            return next(rest)
        items = [build(b) for b in s.below]
        if s.kind in _MAKERS:
            return _MAKERS[s.kind](s.context, items)
        return s.kind(*items)  # a named tuple

    return build(spec)


def tree_map(function: Callable, tree):
    leaves, spec = flatten(tree)
    return unflatten([function(x) for x in leaves], spec)


def broadcast(prefix, spec: Spec) -> list | None:
    """A leaf for each of the structure's, from a tree that may end earlier; None where the two do
    not go together."""
    if spec.kind is None or not _is_node(prefix):
        return None if _is_node(prefix) else [prefix] * spec.leaves
    node = _children(prefix)
    if node is None or len(node[1]) != len(spec.below) or not _alike(prefix, spec):
        return None
    below = node[1]
    if isinstance(prefix, dict):
        below = [prefix[k] for k in _keys(spec)]
    found: list = []
    for part, s in zip(below, spec.below, strict=True):
        rows = broadcast(part, s)
        if rows is None:
            return None
        found += rows
    return found


def _is_node(x) -> bool:
    return type(x) in _MAKERS or isinstance(x, tuple)


def _keys(spec: Spec) -> list:
    return spec.context[1] if spec.kind is defaultdict else spec.context


def _alike(prefix, spec: Spec) -> bool:
    if isinstance(prefix, dict):
        return issubclass(spec.kind, dict) and set(prefix) == set(_keys(spec))
    if type(prefix) in (tuple, list):
        return type(prefix) is spec.kind or issubclass(spec.kind, tuple)
    return type(prefix) is spec.kind
