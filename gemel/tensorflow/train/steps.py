"""The global step: a variable that counts training steps."""

from __future__ import annotations

from .. import context
from ..graph_keys import GraphKeys
from ..scopes import get_variable
from ..variables import Variable


def get_global_step(graph=None):
    """The graph's global step, or None."""
    graph = graph or context.get_default_graph()
    found = graph.get_collection(GraphKeys.GLOBAL_STEP)
    if len(found) > 1:
        raise RuntimeError("Multiple items found in collection GraphKeys.GLOBAL_STEP.")
    return found[0] if found else None


def create_global_step(graph=None) -> Variable:
    """A new global step. ValueError where there is one."""
    from ..initializers import zeros_initializer

    graph = graph or context.get_default_graph()
    if get_global_step(graph) is not None:
        raise ValueError('"global_step" already exists.')
    with graph.as_default():
        return get_variable(
            "global_step",
            shape=[],
            dtype="int64",
            initializer=zeros_initializer(),
            trainable=False,
            collections=[GraphKeys.GLOBAL_VARIABLES, GraphKeys.GLOBAL_STEP],
        )


def get_or_create_global_step(graph=None) -> Variable:
    return get_global_step(graph) or create_global_step(graph)


def global_step(sess, global_step_tensor) -> int:
    """The step's present number in the session."""
    return int(sess.run(global_step_tensor))
