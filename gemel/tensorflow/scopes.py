"""`tf.variable_scope` and `tf.get_variable`: variables by name, made once and shared.

In: names, shapes, initialisers. Out: variables of the default graph. Invariant: a name belongs to
one variable; asking again is an error unless the scope reuses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from . import context
from .dtypes import as_dtype, float32
from .shape import TensorShape
from .variables import Variable, _inside


class _AutoReuse:
    def __repr__(self) -> str:
        return "<_ReuseMode.AUTO_REUSE: 1>"


AUTO_REUSE = _AutoReuse()


class VariableScope:
    """A prefix of variables' names, with defaults for those made inside.

    reuse  False: new names only; True: known names only; AUTO_REUSE: either
    """

    def __init__(self, name: str, reuse=False, initializer=None, regularizer=None, dtype=float32):
        self.name = name
        self.reuse = reuse
        self.initializer = initializer
        self.regularizer = regularizer
        self.dtype = dtype

    @property
    def original_name_scope(self) -> str:
        return self.name + "/"

    def reuse_variables(self) -> None:
        self.reuse = True

    def set_initializer(self, initializer) -> None:
        self.initializer = initializer

    def get_variable(self, name: str, *args, **kwargs):
        return get_variable(name, *args, **kwargs)

    def global_variables(self) -> list:
        from .graph_keys import global_variables

        return global_variables(self.name)

    def trainable_variables(self) -> list:
        from .graph_keys import trainable_variables

        return trainable_variables(self.name)


def get_variable_scope() -> VariableScope:
    """The present scope; the outermost one has the empty name."""
    stack = context.get_default_graph()._variable_scopes
    if not stack:
        stack.append(VariableScope(""))
    return stack[-1]


@contextlib.contextmanager
def variable_scope(
    name_or_scope,
    default_name: str | None = None,
    values=None,
    initializer=None,
    regularizer=None,
    caching_device=None,
    partitioner=None,
    custom_getter=None,
    reuse=None,
    dtype=None,
    use_resource=None,
    constraint=None,
    auxiliary_name_scope: bool = True,
) -> Iterator[VariableScope]:
    """A context in which get_variable's names begin with the scope's name."""
    graph = context.get_default_graph()
    above = get_variable_scope()
    if isinstance(name_or_scope, VariableScope):
        name, own = name_or_scope.name, name_or_scope.reuse
    else:
        part = name_or_scope
        if part is None:
            if default_name is None:
                raise ValueError("If default_name is None then name_or_scope is required")
            part = _fresh(graph, above, default_name)
        name, own = (f"{above.name}/{part}" if above.name else part), False
    scope = VariableScope(
        name,
        reuse or own or above.reuse,
        above.initializer if initializer is None else initializer,
        regularizer or above.regularizer,
        above.dtype if dtype is None else as_dtype(dtype),
    )
    graph._variable_scopes.append(scope)
    label = name.rpartition("/")[2] if auxiliary_name_scope else None
    try:
        with graph.name_scope(label) if label else contextlib.nullcontext():
            yield scope
    finally:
        graph._variable_scopes.pop()


def _fresh(graph, above: VariableScope, wanted: str) -> str:
    """A scope name that no variable has yet."""
    prefix = f"{above.name}/" if above.name else ""
    taken = {n[len(prefix) :].partition("/")[0] for n in graph._variables if n.startswith(prefix)}
    name = wanted
    number = 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def get_variable(
    name: str,
    shape=None,
    dtype=None,
    initializer=None,
    regularizer=None,
    trainable: bool | None = None,
    collections=None,
    caching_device=None,
    partitioner=None,
    validate_shape: bool = True,
    use_resource=None,
    custom_getter=None,
    constraint=None,
    synchronization=None,
    aggregation=None,
):
    """The variable of that name in the present scope: made, or the one there is where the scope
    reuses. ValueError where the name's state does not fit the scope's `reuse`, or a shared
    variable has another shape or element type.
    """
    graph = context.get_default_graph()
    scope = get_variable_scope()
    full = f"{scope.name}/{name}" if scope.name else name
    found = graph._variables.get(full)
    if found is not None:
        return _shared(found, full, shape, dtype, scope)
    if scope.reuse is True:
        raise ValueError(
            f"Variable {full} does not exist, or was not created with tf.get_variable(). Did you "
            "mean to set reuse=tf.AUTO_REUSE in VarScope?"
        )
    wanted = as_dtype(dtype) if dtype is not None else scope.dtype
    chosen = scope.initializer if initializer is None else initializer
    value, wanted = _initial(full, shape, wanted, dtype, chosen)
    with _inside(graph, ""):
        made = Variable(
            value,
            trainable=trainable,
            name=full,
            dtype=wanted,
            collections=collections,
            constraint=constraint,
        )
    graph._variables[full] = made
    _regularize(graph, made, regularizer or scope.regularizer)
    return made


def _shared(found, full: str, shape, dtype, scope):
    if not scope.reuse:
        raise ValueError(
            f"Variable {full} already exists, disallowed. Did you mean to set reuse=True or "
            "reuse=tf.AUTO_REUSE in VarScope?"
        )
    if shape is not None and not TensorShape(shape).is_compatible_with(found.shape):
        raise ValueError(
            f"Trying to share variable {full}, but specified shape {TensorShape(shape)} and found "
            f"shape {found.shape}."
        )
    if dtype is not None and as_dtype(dtype) is not found.dtype:
        raise ValueError(
            f"Trying to share variable {full}, but specified dtype {as_dtype(dtype).name} and "
            f"found dtype {found.dtype.name}."
        )
    return found


def _initial(full: str, shape, wanted, dtype, initializer):
    """(a function that gives the initial value or the value itself, its element type)"""
    from .initializers import default_initializer

    if initializer is not None and not callable(initializer):
        return initializer, None if dtype is None else wanted
    if shape is None:
        raise ValueError(
            f"Variable {full} did not get an initializer, so its `shape` argument must be "
            "specified."
        )
    if isinstance(initializer, type):
        initializer = initializer()
    chosen = initializer or default_initializer(wanted)
    sizes = TensorShape(shape).as_list()
    return (lambda: chosen(sizes, dtype=wanted)), wanted


def _regularize(graph, variable, regularizer) -> None:
    if regularizer is not None:
        from .graph_keys import GraphKeys

        loss = regularizer(variable)
        if loss is not None:
            graph.add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)
