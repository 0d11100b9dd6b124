"""One way for every operation: record it now, or add it to the graph being built.

Role: between the public functions and the calls. In: a call, operands as the user gave them, static
attributes. Out: tensors of the mode that is on. An expansion's error becomes the exception that
TensorFlow raises in that mode.
"""

from __future__ import annotations

import numpy as np

from gemel.tensor import record2, record_many, record_n, tracing

from . import context, inference
from .bodies import Applied, NoOp
from .calls_math import LEFT, RIGHT, TENSORS
from .convert import (
    convert_to_tensor,
    dtype_of_operand,
    eagerly,
    fits_number,
    in_graph,
)
from .eager import EagerTensor
from .errors import MISMATCHES, eager_error, graph_error
from .shape import Dimension, TensorShape, show
from .symbolic import Operation, SymbolicTensor
from .variables import EagerVariable, Variable

_NUMBERS = (int, float, bool)


def static(value):
    """A static attribute: numbers, None and nested tuples; tensors of a graph stay what they are,
    other tensors are looked at."""
    if value is None or isinstance(value, (int, str, SymbolicTensor)):
        return value
    if isinstance(value, TensorShape):
        return tuple(value.as_list())
    if isinstance(value, Dimension):
        return value.value
    if isinstance(value, (list, tuple, range)):
        return tuple(static(v) for v in value)
    if isinstance(value, Variable) and context.building() is not None:
        return in_graph(context.building(), value)
    if isinstance(value, (EagerTensor, Variable)):
        value = value.numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        return inference.frozen(np.asarray(value))
    if hasattr(value, "__index__"):
        return value.__index__()
    return value


def apply(call, operands, attrs: tuple = (), name: str | None = None, many: bool = False):
    """The call on operands: one tensor, or with `many` a list of them.

    attrs: static attributes, already through `static`. name: the operation's name in a graph.
    """
    graph = context.building()
    if graph is not None:
        made = _added(graph, call, operands, attrs, name)
        return made if many else made[0]
    tensors = [
        x
        if x.__class__ is EagerTensor
        else x._operand()
        if x.__class__ is EagerVariable
        else eagerly(x)
        for x in operands
    ]
    try:
        if many:
            return record_many(call, EagerTensor, tensors, attrs)
        return record_n(call, EagerTensor, tensors, attrs)
    except MISMATCHES as error:
        raise _error(error, call, tensors) from None


def _error(error: Exception, call, operands) -> Exception:
    """Inside of tf.function TensorFlow builds a graph, and says so with its errors."""
    if tracing():
        shapes = ", ".join(show(x.shape) for x in operands if isinstance(x, EagerTensor))
        return graph_error(error, call.name, shapes)
    return eager_error(error, call.name)


def _added(graph, call, operands, attrs: tuple, name: str | None) -> list[SymbolicTensor]:
    """The results of a new operation in the graph."""
    full = graph.unique_name(name or call.name)
    inputs = [in_graph(graph, x, name=full + "/input") for x in operands]
    # a list of the caller's own
    return list(build(graph, full, Applied(call, attrs, len(inputs)), inputs).outputs)


def build(graph, name: str, body, inputs) -> Operation:
    """A new operation under this very name; its attributes' tensors become inputs as well."""
    inputs = list(inputs)
    inputs += inference.symbols(getattr(body, "attrs", ()))
    try:
        return Operation(graph, name, body, inputs)
    except MISMATCHES as error:
        shapes = ", ".join(show(t.shape) for t in inputs)
        raise graph_error(error, name, shapes) from None


def operands_of_one_type(x, y, name: str | None = None):
    """Two operands as tensors: a number, list or array takes the other's type where it can."""
    dx, dy = dtype_of_operand(x), dtype_of_operand(y)
    is_tensor = [isinstance(v, (EagerTensor, SymbolicTensor, Variable)) for v in (x, y)]
    if is_tensor[1] and not is_tensor[0]:
        return convert_to_tensor(x, dtype_hint=dy, name=name and name + "/x"), y
    x = convert_to_tensor(x, name=name and name + "/x") if dx is None else x
    hint = dx or dtype_of_operand(x)
    if not is_tensor[1]:
        y = convert_to_tensor(y, dtype_hint=hint, name=name and name + "/y")
    return x, y


def binary(call, x, y, name: str | None = None):
    """An arithmetic call of two operands; a Python number is a run-time argument in eager mode."""
    graph = context.building()
    if graph is not None:
        full = graph.unique_name(name or call.name)
        x, y = operands_of_one_type(x, y, full)
        inputs = [in_graph(graph, v, name=full + "/input") for v in (x, y)]
        return build(graph, full, Applied(call, (TENSORS,), 2), inputs).outputs[0]
    return _binary_eagerly(call, x, y)


def _binary_eagerly(call, x, y):
    side = TENSORS
    if x.__class__ is EagerVariable:
        x = x._operand()
    if y.__class__ is EagerVariable:
        y = y._operand()
    if x.__class__ is EagerTensor and y.__class__ is EagerTensor:
        pass
    elif y.__class__ in _NUMBERS and x.__class__ is EagerTensor and fits_number(y, x.dtype):
        side = RIGHT
    elif x.__class__ in _NUMBERS and y.__class__ is EagerTensor and fits_number(x, y.dtype):
        side = LEFT
    else:
        x, y = operands_of_one_type(x, y)
        x = x if x.__class__ is EagerTensor else eagerly(x)
        y = y if y.__class__ is EagerTensor else eagerly(y)
    try:
        return record2(call, x, y, (side,))
    except MISMATCHES as error:
        raise _error(error, call, (x, y)) from None


def no_op(name: str | None = None, control=()):
    """An operation that does nothing but come after `control`; None in eager mode."""
    graph = context.building()
    if graph is None:
        return None
    before = graph.control_inputs + tuple(control)
    return Operation(graph, graph.unique_name(name or "NoOp"), NoOp(), (), before)
