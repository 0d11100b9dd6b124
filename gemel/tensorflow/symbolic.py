"""Operations of a graph, and their results: tensors without values.

Role: what `graph.get_operations()` and a graph-mode call give. An operation has a *body* (see
`bodies`) that knows its results' shapes now and expands into the engine's nodes when a session
runs. Invariant: operations never change, so a session may keep what it made of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from . import context
from .dtypes import DType
from .errors import OperatorNotAllowedInGraphError
from .shape import TensorShape

PACKAGE = str(Path(__file__).resolve().parent.parent)


class Tensor:
    """What every tensor of this face is; operators and methods are put on it by `operators`."""

    __slots__ = ()


def user_line() -> tuple[str, int] | None:
    """File and line of the innermost frame outside of this package."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


class Operation:
    """A named step of a graph.

    type            TensorFlow's operation type, as 'MatMul'
    inputs          the tensors that it reads
    control_inputs  operations that run before
    body            says what it computes (see `bodies`)
    where           the user's file and line
    """

    _is_graph_element = True

    def __init__(self, graph, name: str, body, inputs=(), control_inputs=None):
        graph.check_open()
        self.graph = graph
        self.name = name
        self.type = body.type
        self.body = body
        self.inputs = tuple(inputs)
        self.where = user_line()
        given = graph.control_inputs if control_inputs is None else control_inputs
        self.control_inputs = tuple(given)
        facts = body.infer(self)
        self.outputs = [SymbolicTensor(self, i, fact) for i, fact in enumerate(facts)]
        graph.add(self)

    @property
    def node_def(self):
        return None

    @property
    def device(self) -> str:
        return ""

    @property
    def values(self):
        return lambda: tuple(self.outputs)

    @property
    def traceback(self) -> list:
        return [self.where]

    def get_attr(self, name: str):
        """A static attribute by its TensorFlow name. ValueError where there is none."""
        found = self.body.attributes().get(name)
        if found is None:
            raise ValueError(f"Operation '{self.name}' has no attr named '{name}'.")
        return found

    def run(self, feed_dict=None, session=None) -> None:
        """Run the operation in the session, or in the default one."""
        session = _session(session, "execute operation", "run")
        if session.graph is not self.graph:
            raise ValueError("Cannot use the given session to execute operation: its graph differs")
        session.run(self, feed_dict)

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"

    def __str__(self) -> str:
        lines = [f'name: "{self.name}"', f'op: "{self.type}"']
        lines += [f'input: "{t.op.name if t.value_index == 0 else t.name[:]}"' for t in self.inputs]
        lines += [f'input: "^{op.name}"' for op in self.control_inputs]
        return "\n".join(lines) + "\n"


def _session(session, doing: str, call: str):
    session = session or context.get_default_session()
    if session is None:
        close = "with sess.as_default()" + ("" if call == "eval" else ":")
        raise ValueError(
            f"Cannot {doing} using `{call}()`: No default session is registered. Use `{close}` "
            f"or pass an explicit session to `{call}(session=sess)`"
        )
    return session


class Fact:
    """What is known of a result before anything runs.

    dtype   its element type
    shape   its shape, None where unknown
    probes  two shapes that it takes when the unknown sizes take two trial values, or None
    known   its values under the two trials, where they follow from shapes and constants, or None
    """

    __slots__ = ("dtype", "shape", "probes", "known")

    def __init__(self, dtype: DType, shape: TensorShape, probes=None, known=None):
        self.dtype = dtype
        self.shape = shape
        self.probes = probes
        self.known = known


class SymbolicTensor(Tensor):
    """A result of an operation. It has a value only while a session runs."""

    _is_graph_element = True
    __hash__ = object.__hash__  # graph elements are keys of feed dictionaries

    def __init__(self, op: Operation, value_index: int, fact: Fact):
        self.op = op
        self.value_index = value_index
        self.fact = fact

    @property
    def graph(self):
        return self.op.graph

    @property
    def name(self) -> str:
        return f"{self.op.name}:{self.value_index}"

    @property
    def dtype(self) -> DType:
        return self.fact.dtype

    @property
    def shape(self) -> TensorShape:
        return self.fact.shape

    @property
    def ndim(self) -> int | None:
        return self.fact.shape.rank

    @property
    def device(self) -> str:
        return ""

    def get_shape(self) -> TensorShape:
        return self.fact.shape

    def set_shape(self, shape) -> None:
        """Say what is known of the shape. ValueError where it contradicts."""
        from .inference import refined

        self.fact = refined(self.fact, TensorShape(shape))

    def consumers(self) -> list[Operation]:
        every = self.graph.get_operations()
        return [op for op in every if any(self is t for t in op.inputs)]

    def eval(self, feed_dict=None, session=None):
        """The tensor's value in the session, or in the default one."""
        session = _session(session, "evaluate tensor", "eval")
        if session.graph is not self.graph:
            raise ValueError(
                "Cannot use the default session to evaluate tensor: the tensor's graph is "
                "different from the session's graph. Pass an explicit session to "
                "`eval(session=sess)`."
            )
        return session.run(self, feed_dict)

    def ref(self):
        from .variables import Reference

        return Reference(self)

    def __bool__(self) -> bool:
        raise _not_allowed("Using a symbolic `tf.Tensor` as a Python `bool`")

    def __iter__(self):
        raise _not_allowed("Iterating over a symbolic `tf.Tensor`")

    def __len__(self) -> int:
        raise TypeError(
            f"len is not well defined for a symbolic Tensor ({self.name}). Please call `x.shape` "
            "rather than `len(x)` for shape information."
        )

    def __array__(self, dtype=None, copy=None):
        raise NotImplementedError(
            f"Cannot convert a symbolic tf.Tensor ({self.name}) to a numpy array. A session's "
            "`run` gives its value."
        )

    def _known(self) -> str:
        rank = self.shape.rank
        shape = "" if rank is None else f", shape={self.shape}"
        return f'"{self.name}"{shape}, dtype={self.dtype.name}'

    def __str__(self) -> str:
        return f"Tensor({self._known()})"

    def __repr__(self) -> str:
        return f"<tf.Tensor '{self.name}' shape={self.shape} dtype={self.dtype.name}>"


def _not_allowed(what: str) -> OperatorNotAllowedInGraphError:
    return OperatorNotAllowedInGraphError(
        f"{what} is not allowed: in graph mode it has no value before a session runs. Use tf.cond "
        "or tf.where on it, or fetch its value with `session.run`."
    )
