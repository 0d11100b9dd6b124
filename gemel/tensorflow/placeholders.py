"""`tf.placeholder`: values that a session is fed."""

from __future__ import annotations

from . import context
from .bodies import Placeholder
from .convert import in_graph
from .dtypes import as_dtype
from .shape import TensorShape
from .symbolic import Operation, SymbolicTensor


def _graph(what: str):
    if context.executing_eagerly():
        raise RuntimeError(f"tf.{what}() is not compatible with eager execution.")
    return context.building()


def placeholder(dtype, shape=None, name: str | None = None) -> SymbolicTensor:
    """A tensor whose value is given in feed_dict. None in the shape: any size.

    RuntimeError in eager mode.
    """
    graph = _graph("placeholder")
    body = Placeholder(as_dtype(dtype), TensorShape(shape))
    return Operation(graph, graph.unique_name(name or "Placeholder"), body).outputs[0]


def placeholder_with_default(input, shape, name: str | None = None) -> SymbolicTensor:
    """A placeholder that has the input's value where it is not fed."""
    graph = context.building()
    if graph is None:
        from .convert import convert_to_tensor

        return convert_to_tensor(input)
    value = in_graph(graph, input)
    if not TensorShape(shape).is_compatible_with(value.shape):
        raise ValueError(f"Shapes {TensorShape(shape)} and {value.shape} are incompatible")
    body = Placeholder(value.dtype, TensorShape(shape), default=True)
    name = graph.unique_name(name or "PlaceholderWithDefault")
    return Operation(graph, name, body, [value]).outputs[0]
