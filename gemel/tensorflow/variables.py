"""`tf.Variable`: a named value that can change.

Role: in eager mode a tensor of its own that is rewritten; in graph mode an operation, with a value
in each session. In: an initial value, or a function that gives one. Invariant: shape and element
type stay; a value that was read before an assignment stays what it was.
"""

from __future__ import annotations

import contextlib

import numpy as np

from gemel import tensor as engine
from gemel.graph.form import form

from . import context, recording
from .dtypes import BY_ENGINE, DType, as_dtype
from .eager import READ, shown_array
from .graph_keys import GraphKeys
from .shape import TensorShape


class Reference:
    """A hashable stand-in for a tensor or variable: `x.ref()`, back with `deref()`."""

    __slots__ = ("_to",)

    def __init__(self, to):
        self._to = to

    def deref(self):
        return self._to

    def __eq__(self, other) -> bool:
        return isinstance(other, Reference) and self._to is other._to

    def __hash__(self) -> int:
        return id(self._to)

    def __repr__(self) -> str:
        return f"<Reference wrapping {self._to!r}>"


class Variable:
    """A value that `assign` changes.

    initial_value  a tensor, anything that becomes one, or a function without arguments
    trainable      do optimizers and gradient tapes take it?
    dtype          the element type it is cast to
    """

    def __new__(cls, *args, **kwargs):
        if cls is Variable:
            cls = EagerVariable if context.executing_eagerly() else GraphVariable
        return object.__new__(cls)

    def __init__(
        self,
        initial_value=None,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device=None,
        name: str | None = None,
        variable_def=None,
        dtype=None,
        import_scope=None,
        constraint=None,
        synchronization=None,
        aggregation=None,
        shape=None,
        collections=None,
        use_resource=None,
        expected_shape=None,
    ):
        if initial_value is None:
            raise ValueError(
                "The `initial_value` arg to `tf.Variable` must be specified except when you are "
                "not providing a `variable_def`. You provided neither."
            )
        self._trainable = True if trainable is None else bool(trainable)
        self.constraint = constraint
        self.synchronization = synchronization
        self.aggregation = aggregation
        self._make(initial_value, None if dtype is None else as_dtype(dtype), name, collections)
        if shape is not None and not TensorShape(shape).is_compatible_with(self.shape):
            raise ValueError(
                f"The initial value's shape ({self.shape}) is not compatible with the explicitly "
                f"supplied `shape` argument ({TensorShape(shape)})."
            )

    @property
    def trainable(self) -> bool:
        return self._trainable

    @property
    def dtype(self) -> DType:
        return BY_ENGINE[self.form.dtype]

    @property
    def shape(self) -> TensorShape:
        return TensorShape(self.form.shape)

    @property
    def ndim(self) -> int:
        return self.form.ndim

    @property
    def device(self) -> str:
        return ""

    def get_shape(self) -> TensorShape:
        return self.shape

    def set_shape(self, shape) -> None:
        self.shape.merge_with(shape)

    def ref(self) -> Reference:
        return Reference(self)

    def _cast_value(self, value):
        """The value as a tensor that fits. ValueError for another element type or shape."""
        from .convert import convert_to_tensor

        tensor = convert_to_tensor(value, dtype=self.dtype)
        if getattr(tensor, "form", None) is self.form:
            return tensor
        if not self.shape.is_compatible_with(tensor.shape):
            raise ValueError(
                f"Cannot assign value to variable ' {self.name}': Shape mismatch.The variable "
                f"shape {self.shape}, and the assigned value shape {tensor.shape} are incompatible."
            )
        return tensor


    # ---------- changing ----------
    def _assign(self, how: str, value, name: str | None):
        raise NotImplementedError

    def assign(self, value, use_locking=False, name=None, read_value=True):
        """Replace the value. Gives the variable; in a graph an operation with the new value.

        ValueError for another element type or shape.
        """
        return self._assign("Assign", value, name)

    def assign_add(self, delta, use_locking=False, name=None, read_value=True):
        """Add to the value; as `assign`."""
        return self._assign("AssignAdd", delta, name)

    def assign_sub(self, delta, use_locking=False, name=None, read_value=True):
        """Subtract from the value; as `assign`."""
        return self._assign("AssignSub", delta, name)

    def scatter_nd_update(self, indices, updates, name=None):
        """Put updates at indices (as in `tf.tensor_scatter_nd_update`)."""
        from .array import tensor_scatter_nd_update

        return self.assign(tensor_scatter_nd_update(self, indices, updates), name=name)

    def scatter_nd_add(self, indices, updates, name=None):
        from .array import tensor_scatter_nd_add

        return self.assign(tensor_scatter_nd_add(self, indices, updates), name=name)

    def scatter_nd_sub(self, indices, updates, name=None):
        from .array import tensor_scatter_nd_sub

        return self.assign(tensor_scatter_nd_sub(self, indices, updates), name=name)

    def gather_nd(self, indices, name=None):
        from .array import gather_nd

        return gather_nd(self, indices, name=name)

    def sparse_read(self, indices, name=None):
        """The rows at the indices."""
        from .array import gather

        return gather(self, indices, axis=0, name=name)


class EagerVariable(Variable):
    """A variable with a value at hand."""

    def _make(self, initial_value, dtype, name, collections) -> None:
        from .convert import eagerly

        if engine.tracing():
            raise recording.MadeVariable("a variable was made inside of a recorded function")
        value = initial_value() if callable(initial_value) else initial_value
        with engine.no_grad():
            tensor = eagerly(value, dtype if not hasattr(value, "dtype") else None)
            if dtype is not None and tensor.dtype is not dtype:
                tensor = eagerly(value, dtype)
            self._tensor = engine.record1(READ, tensor)
        self.form = self._tensor.form
        self._name = (name or "Variable").rstrip("/")

    @property
    def name(self) -> str:
        return self._name + ":0"

    @property
    def handle(self):
        return self

    def _operand(self):
        """The tensor to compute with; gradient tapes take notice."""
        if recording.TAPES:
            recording.accessed(self)
        if engine.tracing():
            recording.captured(self)
            if not self._tensor.lrg:
                return engine.record1(READ, self._tensor)
        return self._tensor

    def value(self):
        """The present value as a tensor that stays as it is."""
        return engine.record1(READ, self._operand())

    def read_value(self):
        return self.value()

    def numpy(self):
        array = engine.array_of(self._tensor)
        return array[()] if array.ndim == 0 else array.copy()

    def initialized_value(self):
        return self.value()

    def _read_in(self, graph, name: str):
        raise ValueError(
            f"{self!r} was made in eager mode and cannot be used in a graph: make it inside "
            "`with graph.as_default():`."
        )

    def _assign(self, how: str, value, name: str | None):
        call = _IN_PLACE[how]
        tensor = self._cast_value(value)
        with engine.no_grad():
            if engine.tracing():
                recording.captured(self)
            elif recording.OPEN:
                # a tape may still ask what the old value led to: it keeps the old tensor
                self._tensor = engine.record1(READ, self._tensor)
            if call is None:
                engine.write(self._tensor, tensor)
            else:
                engine.inplace(call, self._tensor, tensor)
        return self

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        array = np.asarray(self.numpy())
        return array if dtype is None else array.astype(dtype)

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __int__(self) -> int:
        return int(self.value())

    def __float__(self) -> float:
        return float(self.value())

    def __index__(self) -> int:
        return self.value().__index__()

    def __iter__(self):
        return iter(self.value())

    def __deepcopy__(self, memo):
        return EagerVariable(self.numpy(), trainable=self.trainable, name=self._name)

    def __reduce__(self):
        return _restored, (self.numpy(), self.trainable, self._name)

    def __repr__(self) -> str:
        described = f"shape={self.form.shape} dtype={self.dtype.name}"
        if engine.tracing():
            return f"<tf.Variable '{self.name}' {described}>"
        shown = shown_array(engine.array_of(self._tensor))
        return f"<tf.Variable '{self.name}' {described}, numpy={shown}>"


def _restored(value, trainable: bool, name: str) -> EagerVariable:
    return EagerVariable(value, trainable=trainable, name=name)


class GraphVariable(Variable):
    """A variable of a graph. Each session has a value of its own, once it ran `initializer`."""

    _is_graph_element = True
    __hash__ = object.__hash__

    def _make(self, initial_value, dtype, name, collections) -> None:
        from .bodies import Assign, Handle, IsInitialized, Read
        from .convert import in_graph
        from .symbolic import Operation

        graph = self.graph = context.get_default_graph()
        full = graph.unique_name(name or "Variable")
        with graph.control_dependencies(None), _inside(graph, full):
            value = initial_value
            if callable(value):
                with graph.name_scope("Initializer"):
                    value = value()
            self.initial_value = in_graph(graph, value, dtype, name="initial_value")
            self._set_form(full)
            self.op = Operation(graph, full, Handle(self))
            self.initializer = Operation(
                graph, full + "/Assign", Assign(self, "AssignVariableOp"), [self.initial_value]
            )
            self._snapshot = Operation(graph, full + "/Read/ReadVariableOp", Read(self)).outputs[0]
            self._is_set = Operation(
                graph, full + "/IsInitialized/VarIsInitializedOp", IsInitialized(self)
            ).outputs[0]
        self._enroll(graph, collections)

    def _set_form(self, full: str) -> None:
        value = self.initial_value
        if not value.shape.is_fully_defined():
            raise ValueError(
                f"`initial_value` must have a shape specified: {value}. Gemel's variables have "
                "fixed shapes."
            )
        self.form = form(tuple(value.shape), value.dtype.engine)

    def _enroll(self, graph, collections) -> None:
        names = list(collections or [GraphKeys.GLOBAL_VARIABLES])
        if self.trainable and GraphKeys.TRAINABLE_VARIABLES not in names:
            names.append(GraphKeys.TRAINABLE_VARIABLES)
        graph.add_to_collections(names, self)

    @property
    def name(self) -> str:
        return self.op.name + ":0"

    def _as_graph_element(self):
        return self._snapshot

    def _read_in(self, graph, name: str = ""):
        """A new operation that reads the variable here and now."""
        from .bodies import Read
        from .symbolic import Operation

        if graph is not self.graph:
            raise ValueError(
                f"{self._snapshot} must be from the same graph as the operation that uses it "
                f"(graphs are {self.graph} and {graph})."
            )
        above = name.rpartition("/")[0] if name.endswith("/input") else self.op.name + "/Read"
        full = graph.unique_name_in_full(above + "/ReadVariableOp")
        return Operation(graph, full, Read(self)).outputs[0]

    def _operand(self):
        return self._read_in(context.get_default_graph())

    def value(self):
        """A tensor with the variable's value; where control dependencies are, after them."""
        return self._snapshot if not self.graph.control_inputs else self._operand()

    def read_value(self):
        return self._operand()

    def initialized_value(self):
        from .control import cond

        return cond(self._is_set, self.read_value, lambda: self.initial_value)

    def is_initialized(self):
        return self._is_set

    def eval(self, session=None):
        """The value in the session, or in the default one."""
        return self._snapshot.eval(session=session)

    def load(self, value, session=None) -> None:
        """Set the value in the session, from outside of the graph."""
        session = session or context.get_default_session()
        session.run(self.initializer, {self.initial_value: value})

    def _assign(self, how: str, value, name: str | None):
        from .bodies import Assign
        from .symbolic import Operation

        graph = self.graph
        if context.building() is not graph:
            raise ValueError(f"{self!r} must be from the same graph as the value assigned to it.")
        tensor = self._cast_value(value)
        type_ = how + "VariableOp"
        full = graph.unique_name(name or type_)
        body = Assign(self, type_, _COMBINE[how])
        return Operation(graph, full, body, [tensor]).outputs[0]

    def count_up_to(self, limit: int):
        raise NotImplementedError("count_up_to is not supported; use assign_add")

    def numpy(self):
        raise NotImplementedError("numpy() is only available when eager execution is enabled.")

    def __iter__(self):
        return iter(self._snapshot)

    def __repr__(self) -> str:
        return f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}>"


@contextlib.contextmanager
def _inside(graph, full: str):
    """Names as if in the scope `full`."""
    before = graph._scope
    graph._scope = full
    try:
        yield
    finally:
        graph._scope = before


def _plus(old, delta):
    return old + delta


def _minus(old, delta):
    return old - delta


def _calls():
    from gemel.ops.record import Call

    add = Call("AssignAddVariableOp", lambda attrs, old, x: old + x)
    sub = Call("AssignSubVariableOp", lambda attrs, old, x: old - x)
    return add, sub


_ADD, _SUB = _calls()
_IN_PLACE = {"Assign": None, "AssignAdd": _ADD, "AssignSub": _SUB}
_COMBINE = {"Assign": None, "AssignAdd": _plus, "AssignSub": _minus}
