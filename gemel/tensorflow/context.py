"""Eager or graph: which mode is on, and which graph takes the operations.

Role: the face's one piece of global state. Output: `building()` gives the graph that new operations
go to, or None in eager mode. Graphs and sessions push themselves on stacks of their thread.
"""

from __future__ import annotations

import threading

_mode = {"eager": True, "tensor_equality": True, "graph": None}


class _Stacks(threading.local):
    def __init__(self):
        self.graphs: list = []
        self.sessions: list = []


STACKS = _Stacks()


def building():
    """The graph being built, or None in eager mode."""
    if STACKS.graphs:
        return STACKS.graphs[-1]
    return None if _mode["eager"] else get_default_graph()


def get_default_graph():
    """The innermost default graph; the program's own one outside of any `as_default`."""
    if STACKS.graphs:
        return STACKS.graphs[-1]
    if _mode["graph"] is None:
        reset_default_graph()
    return _mode["graph"]


def reset_default_graph() -> None:
    """Start over with an empty default graph. AssertionError inside `graph.as_default()`."""
    if STACKS.graphs:
        raise AssertionError(
            "Do not use tf.reset_default_graph() to clear nested graphs. If you need a cleared "
            "graph, exit the nesting and create a new graph."
        )
    from .graph import Graph

    _mode["graph"] = Graph()


def get_default_session():
    """The innermost `with session` block's session, or None."""
    return STACKS.sessions[-1] if STACKS.sessions else None


def executing_eagerly() -> bool:
    """Do operations compute at once?"""
    return not STACKS.graphs and _mode["eager"]


def executing_eagerly_outside_functions() -> bool:
    return executing_eagerly()


def disable_eager_execution() -> None:
    """From here on operations are recorded in the default graph, as TensorFlow 1 does."""
    _mode["eager"] = False


def enable_eager_execution(config=None, device_policy=None, execution_mode=None) -> None:
    """From here on operations compute at once."""
    _mode["eager"] = True


def tensor_equality() -> bool:
    """Does == compare elementwise (TensorFlow 2) or by identity (TensorFlow 1)?"""
    return _mode["tensor_equality"]


def enable_tensor_equality() -> None:
    _mode["tensor_equality"] = True


def disable_tensor_equality() -> None:
    _mode["tensor_equality"] = False


def disable_v2_behavior() -> None:
    """TensorFlow 1's rules: graph mode, and == by identity."""
    disable_eager_execution()
    disable_tensor_equality()


def enable_v2_behavior() -> None:
    enable_eager_execution()
    enable_tensor_equality()
