"""Half types (float16, bfloat16): values are stored in 16 bits and computed in float32.

Role: what a primitive, and what a whole operation of a face, makes of half values. A primitive that
only moves values moves them as they are. Another one reads its operands as float32 and rounds its
result. An operation is expanded a second time, all in float32, where its first expansion rounded
inside: the user sees one rounding per operation, and the element type that the first one found.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from gemel.graph.form import Form, float32, form
from gemel.graph.node import Node

_CARRIED = frozenset(
    {"cast", "bitcast", "where", "stop_gradient", "with_gradient", "copy", "gather"}
)
_CARRYING = ("source", "movement")


class _State(threading.local):
    """A thread's own. wide: is an operation being expanded in float32? rounded: how many results
    have been rounded so far."""

    wide = False
    rounded = 0
    operands: dict[Node, Node] = {}  # as they are read -> as they are stored


_STATE = _State()


def meets_half(made: Form, nodes: tuple[Node, ...]) -> bool:
    """Is an operand or the result of a half type?"""
    return made.dtype.half or any(n.form.dtype.half for n in nodes)


def apply(op, attrs: tuple, nodes: tuple[Node, ...], made: Form, cast) -> Node:
    """The node of a primitive that meets half values; `made` is the form it infers, `cast` the
    primitive that converts."""
    carries = op.kind in _CARRYING or op.name in _CARRIED
    if carries and not (_STATE.wide and made.dtype.half):
        return Node(op, attrs, nodes, made)
    wide = tuple(_widened(n, cast) for n in nodes)
    found = op.infer(attrs, *(n.form for n in wide))
    out = Node(op, attrs, wide, found)
    if _STATE.wide:
        return _widened(out, cast)
    _STATE.rounded += 1
    return _converted(out, made.dtype, cast)


def as_given(operand: Node) -> Node:
    """An operand in the element type that the user gave it, where it is held as float32."""
    return _STATE.operands.get(operand, operand)


def held(node: Node, cast) -> Node:
    """A source of a half type as it is; where an operation is expanded in float32, as float32."""
    return _widened(node, cast) if _STATE.wide else node


def once_rounded(function: Callable, attrs: tuple, nodes: tuple[Node, ...], cast):
    """function(attrs, *nodes), expanded again in float32 if it rounded between its primitives."""
    before = _STATE.rounded
    out = function(attrs, *nodes)
    if _STATE.rounded == before or _STATE.wide:
        return out
    wide = [_widened(n, cast) for n in nodes]
    _STATE.operands = dict(zip(wide, nodes, strict=True))
    _STATE.wide = True
    try:
        again = function(attrs, *wide)
    finally:
        _STATE.wide = False
        _STATE.operands = {}
    if not isinstance(out, tuple):
        return _converted(again, out.dtype, cast)
    return tuple(_converted(a, o.dtype, cast) for a, o in zip(again, out, strict=True))


def _widened(node: Node, cast) -> Node:
    return _converted(node, float32, cast) if node.dtype.half else node


def _converted(node: Node, dtype, cast) -> Node:
    if node.dtype is dtype:
        return node
    return Node(cast, (dtype,), (node,), form(node.shape, dtype))
