"""Groups, conditions, loops and scopes: what orders and names operations.

Role: `tf.group`, `tf.cond`, `tf.while_loop`, `tf.name_scope` and their kin. In eager mode
conditions and loops are Python's; in a graph and inside of tf.function they are part of the
program.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps

from gemel import tensor as engine
from gemel.graph.errors import Fault
from gemel.tensor.again import computed_again

from . import context, graph_loops, looping
from .bodies import Check, NoOp
from .convert import convert_to_tensor, in_graph
from .eager import EagerTensor
from .errors import InvalidArgumentError
from .symbolic import Operation


def recompute_grad(f: Callable) -> Callable:
    """f, computed again where gradients need what is inside of it, instead of keeping that. Eager
    and in `tf.function`; NotImplementedError where a TensorFlow 1 graph is built."""

    @wraps(f)
    def inner(*args, **kwargs):
        if context.building() is not None:
            raise NotImplementedError(
                "tf.recompute_grad in a TensorFlow 1 graph; call it eagerly or in a tf.function"
            )
        with computed_again():
            return f(*args, **kwargs)

    return inner


def group(*inputs, **kwargs):
    """An operation that runs all the inputs; None in eager mode."""
    graph = context.building()
    name = kwargs.pop("name", None)
    if kwargs:
        raise ValueError(f"Unknown keyword arguments: {list(kwargs)}")
    if graph is None:
        return None
    found = [graph.as_graph_element(x) for x in _flat(inputs) if x is not None]
    before = graph.control_inputs + tuple(getattr(x, "op", x) for x in found)
    return Operation(graph, graph.unique_name(name or "group_deps"), NoOp(), (), before)


def _flat(items) -> Iterator:
    for x in items:
        if isinstance(x, (list, tuple)):
            yield from _flat(x)
        else:
            yield x


def no_op(name: str | None = None):
    """An operation that does nothing."""
    graph = context.building()
    if graph is None:
        return None
    return Operation(graph, graph.unique_name(name or "NoOp"), NoOp())


def tuple_(tensors, name=None, control_inputs=None):
    """The tensors, each after all of them have been computed."""
    from .array import identity

    if context.building() is None:
        return list(tensors)
    gate = group(*[t for t in tensors if t is not None], *(control_inputs or ()))
    with control_dependencies([gate]):
        return [None if t is None else identity(t) for t in tensors]


def control_dependencies(control_inputs):
    """A context: operations made inside run after these; nothing in eager mode."""
    graph = context.building()
    if graph is None:
        if callable(control_inputs):
            control_inputs()
        return contextlib.nullcontext()
    return graph.control_dependencies(control_inputs)


class name_scope:
    """A context in which operations' names begin with `name/`."""

    def __init__(self, name, default_name=None, values=None):
        self.name = name if name is not None else default_name
        self._inside = None

    def __enter__(self) -> str:
        graph = context.building()
        if graph is None:
            return f"{self.name}/" if self.name else ""
        self._inside = graph.name_scope(self.name)
        return self._inside.__enter__()

    def __exit__(self, *exc) -> None:
        if self._inside is not None:
            self._inside.__exit__(*exc)
            self._inside = None


def device(device_name):
    """A context; there is one device, and the name changes nothing in the numbers."""
    return contextlib.nullcontext()


@contextlib.contextmanager
def init_scope() -> Iterator[None]:
    """Operations made inside depend on no control inputs."""
    graph = context.building()
    if graph is None:
        yield
        return
    with graph.control_dependencies(None):
        yield


def cond(pred, true_fn=None, false_fn=None, strict=False, name=None, fn1=None, fn2=None):
    """true_fn() where pred holds, else false_fn().

    In a graph, and inside of tf.function, both functions are called once, and what they recorded
    runs where it is chosen. In a graph they may change variables. In eager mode one of them is
    called.
    """
    yes, no = true_fn or fn1, false_fn or fn2
    if not callable(yes) or not callable(no):
        raise TypeError("'true_fn' and 'false_fn' must be callable")
    graph = context.building()
    if graph is None and engine.tracing() and isinstance(pred, EagerTensor):
        return looping.chosen(pred, yes, no)
    if graph is None or isinstance(pred, bool):
        return yes() if pred else no()
    return graph_loops.chosen(graph, pred, yes, no, name)


def case(pred_fn_pairs, default=None, exclusive=False, strict=False, name="case"):
    """The function of the first predicate that holds, else the default one."""
    pairs = list(pred_fn_pairs.items() if hasattr(pred_fn_pairs, "items") else pred_fn_pairs)
    rest = default if default is not None else pairs.pop()[1]
    for pred, function in reversed(pairs):
        rest = _either(pred, function, rest)
    return rest()


def _either(pred, yes, no):
    return lambda: cond(pred, yes, no)


def while_loop(
    cond,
    body,
    loop_vars,
    shape_invariants=None,
    parallel_iterations=10,
    back_prop=True,
    swap_memory=False,
    maximum_iterations=None,
    name=None,
):
    """body over and over while cond holds. In eager mode this is a Python loop; in a graph and
    inside of tf.function a loop of the program, differentiable where the number of its steps has a
    bound: by maximum_iterations, or because cond compares a counter with a constant."""
    graph = context.building()
    if graph is not None:
        return graph_loops.while_loop(
            graph, cond, body, loop_vars, maximum_iterations, shape_invariants, name
        )
    if engine.tracing():
        return looping.while_loop(cond, body, loop_vars, maximum_iterations)
    state = list(loop_vars)
    turns = 0
    while cond(*state) and (maximum_iterations is None or turns < maximum_iterations):
        made = body(*state)
        state = list(made) if isinstance(made, (list, tuple)) else [made]
        turns += 1
    return state if isinstance(loop_vars, list) else tuple(state)


def first_while_loop(
    cond,
    body,
    loop_vars,
    shape_invariants=None,
    parallel_iterations=10,
    back_prop=True,
    swap_memory=False,
    name=None,
    maximum_iterations=None,
    return_same_structure=False,
):
    """The same as TensorFlow 1 has it: a single loop variable comes back by itself."""
    found = while_loop(
        cond, body, loop_vars, shape_invariants, maximum_iterations=maximum_iterations, name=name
    )
    return found[0] if len(loop_vars) == 1 and not return_same_structure else found


def check(condition, message: str, name: str):
    """An assertion on a truth value of shape (): an operation in a graph, at once otherwise."""
    graph = context.building()
    fault = Fault(InvalidArgumentError, message.replace("{", "{{").replace("}", "}}"))
    if graph is None:
        if not bool(convert_to_tensor(condition)):
            raise InvalidArgumentError(None, None, message)
        return None
    truth = in_graph(graph, condition)
    return Operation(graph, graph.unique_name(name), Check(fault), [truth])
