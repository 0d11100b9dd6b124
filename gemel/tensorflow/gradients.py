"""`tf.gradients`: gradients as operations of the graph.

Role: one operation that stands for reverse mode from ys to xs; it is expanded when a session runs.
In: ys, xs (tensors or variables), cotangents. Out: a tensor for each x, None where no y depends on
it.
"""

from __future__ import annotations

from . import context
from .bodies import Applied, Assign, Gradients, Read
from .convert import in_graph
from .loop_bodies import Choice, Repeat
from .symbolic import Operation, SymbolicTensor
from .tape import UnconnectedGradients
from .variables import GraphVariable

_FLOWING = (Applied, Read, Choice, Repeat, Assign, Gradients)


def gradients(
    ys,
    xs,
    grad_ys=None,
    name: str = "gradients",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method=None,
    stop_gradients=None,
    unconnected_gradients=UnconnectedGradients.NONE,
):
    """A list with the gradient of the sum of ys for each x.

    grad_ys  a cotangent for each y, None for ones
    Raises RuntimeError in eager mode.
    """
    graph = context.building()
    if graph is None:
        raise RuntimeError(
            "tf.gradients is not supported when eager execution is enabled. Use tf.GradientTape "
            "instead."
        )
    if stop_gradients:
        raise NotImplementedError("tf.gradients with stop_gradients; use tf.stop_gradient")
    ys = [in_graph(graph, y) for y in _as_list(ys)]
    xs = _as_list(xs)
    variables = [x if isinstance(x, GraphVariable) else None for x in xs]
    tensors = [x if isinstance(x, SymbolicTensor) else in_graph(graph, x) for x in xs]
    seeds = _cotangents(graph, ys, grad_ys)
    ways = _upstream(ys)
    there = [_connected(x, v, ways) for x, v in zip(tensors, variables, strict=True)]
    picked = [k for k, way in enumerate(there) if way]
    made = {}
    if picked:
        body = Gradients(tuple(s is not None for s in seeds), tuple(variables[k] for k in picked))
        inputs = [*ys, *(s for s in seeds if s is not None), *(tensors[k] for k in picked)]
        op = Operation(graph, graph.unique_name(name), body, inputs)
        made = dict(zip(picked, op.outputs, strict=True))
    return [made.get(k, _unconnected(x, unconnected_gradients)) for k, x in enumerate(tensors)]


def _as_list(values) -> list:
    return list(values) if isinstance(values, (list, tuple)) else [values]


def _cotangents(graph, ys, given) -> list:
    rows = [None] * len(ys) if given is None else _as_list(given)
    if len(rows) != len(ys):
        raise ValueError(f"`ys` and `grad_ys` must have the same length: {len(ys)}, {len(rows)}")
    pairs = zip(rows, ys, strict=True)
    return [None if s is None else in_graph(graph, s, hint=y.dtype) for s, y in pairs]


def _upstream(ys) -> tuple[set, set]:
    """The tensors, and the variables, that a gradient from the ys reaches."""
    tensors: set[SymbolicTensor] = set()
    variables: set = set()
    stack = [y for y in ys if y.dtype.engine.is_smooth]
    while stack:
        tensor = stack.pop()
        if tensor in tensors:
            continue
        tensors.add(tensor)
        stack.extend(_flows_to(tensor.op, variables))
    return tensors, variables


def _flows_to(op: Operation, variables: set) -> list[SymbolicTensor]:
    body = op.body
    if isinstance(body, Read):
        variables.add(body.variable)
    if isinstance(body, Assign):
        variables.add(body.variable)
    if op.type == "PlaceholderWithDefault":
        return list(op.inputs)
    if not isinstance(body, _FLOWING):
        return []
    if isinstance(body, Applied) and not body.call.differentiable:
        return []
    inputs = op.inputs[: body.count] if isinstance(body, Applied) else op.inputs
    return [t for t in inputs if t.dtype.engine.is_smooth]


def _connected(x: SymbolicTensor, variable, ways) -> bool:
    tensors, variables = ways
    return x in tensors or variable in variables


def _unconnected(x: SymbolicTensor, how: str):
    if how == UnconnectedGradients.NONE:
        return None
    from .array import zeros_like

    return zeros_like(x)


def hessians(ys, xs, name: str = "hessians", **unused):
    """Second derivatives of ys for each x of one axis."""
    from .array import stack, unstack

    out = []
    for x in _as_list(xs):
        first = gradients(ys, x)[0]
        rows = [gradients(g, x, unconnected_gradients="zero")[0] for g in unstack(first)]
        out.append(stack(rows))
    return out
