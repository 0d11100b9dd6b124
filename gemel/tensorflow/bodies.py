"""What operations of a graph compute: one small class per kind.

Role: a body gives its operation's results as facts when the graph is built, and as nodes when a
session makes a program of it. `expand(op, made)` reads inputs with `made.node(tensor)` and
variables with `made.read(variable)`; it writes them with `made.write(variable, node)`.
"""

from __future__ import annotations

import numpy as np

from gemel.autodiff.reverse import gradients
from gemel.graph.form import form, uint32
from gemel.graph.node import Node
from gemel.ops import elementwise as el
from gemel.ops.movement import zeros

from . import inference
from .dtypes import BY_ENGINE, as_dtype
from .dtypes import bool_ as face_bool
from .shape import TensorShape
from .symbolic import Fact


class Body:
    """type: TensorFlow's operation type. writes: variables that the operation changes."""

    type = "NoOp"
    writes: tuple = ()

    def infer(self, op) -> list[Fact]:
        return []

    def expand(self, op, made) -> list[Node]:
        return []

    def attributes(self) -> dict:
        return {}


class NoOp(Body):
    """Groups its control inputs."""


class Constant(Body):
    type = "Const"

    def __init__(self, value: np.ndarray, dtype):
        self.value = value
        self.dtype = dtype

    def infer(self, op) -> list[Fact]:
        return [inference.constant_fact(self.dtype, self.value)]

    def expand(self, op, made) -> list[Node]:
        return [made.constant(op, self.value)]

    def attributes(self) -> dict:
        return {"dtype": self.dtype, "value": self.value}


class Placeholder(Body):
    """A value that is fed. With a default input it may stay unfed."""

    type = "Placeholder"

    def __init__(self, dtype, shape: TensorShape, default: bool = False):
        self.dtype = dtype
        self.shape = shape
        if default:
            self.type = "PlaceholderWithDefault"

    def infer(self, op) -> list[Fact]:
        return [inference.fact_of(self.dtype, self.shape)]

    def expand(self, op, made) -> list[Node]:
        if op.inputs:
            return [made.node(op.inputs[0])]
        return [made.unfed(op)]

    def attributes(self) -> dict:
        return {"dtype": self.dtype, "shape": self.shape}


class Applied(Body):
    """A call on the inputs. attrs may hold tensors: their values are static when it runs."""

    def __init__(self, call, attrs: tuple, count: int):
        self.call = call
        self.attrs = attrs
        self.type = call.name
        self.count = count  # inputs that are operands; those after are the attributes' tensors

    def infer(self, op) -> list[Fact]:
        return inference.infer_call(self.call, self.attrs, op.inputs[: self.count])

    def expand(self, op, made) -> list[Node]:
        attrs = inference.resolved(self.attrs, made.value)
        out = self.call.expand(attrs, *(made.node(t) for t in op.inputs[: self.count]))
        return list(out) if isinstance(out, tuple) else [out]

    def attributes(self) -> dict:
        return {"attrs": self.attrs}


class Handle(Body):
    """A variable itself; it has no value of its own."""

    type = "VarHandleOp"

    def __init__(self, variable):
        self.variable = variable


class Read(Body):
    """A variable's value, after the writes that the operation depends on."""

    type = "ReadVariableOp"

    def __init__(self, variable):
        self.variable = variable

    def infer(self, op) -> list[Fact]:
        return [inference.fact_of(self.variable.dtype, self.variable.shape)]

    def expand(self, op, made) -> list[Node]:
        return [made.read(self.variable)]


class IsInitialized(Read):
    type = "VarIsInitializedOp"

    def infer(self, op) -> list[Fact]:
        return [inference.fact_of(face_bool, ())]

    def expand(self, op, made) -> list[Node]:
        return [made.initialized(self.variable)]


class Assign(Body):
    """Gives a variable a new value: the input itself, or `combine(old value, input)`."""

    def __init__(self, variable, type_: str, combine=None):
        self.type = type_
        self.variable = variable
        self.writes = (variable,)
        self.combine = combine

    def infer(self, op) -> list[Fact]:
        return [inference.fact_of(self.variable.dtype, self.variable.shape)]

    def expand(self, op, made) -> list[Node]:
        value = made.node(op.inputs[0])
        if self.combine is not None:
            value = self.combine(made.read(self.variable), value)
        made.write(self.variable, value)
        return [value]


class Update(Body):
    """Several variables at once: `rule(attrs, *old values, *inputs)` gives their new values."""

    def __init__(self, type_: str, rule, attrs: tuple, variables: tuple):
        self.type = type_
        self.rule = rule
        self.attrs = attrs
        self.writes = variables

    def expand(self, op, made) -> list[Node]:
        old = [made.read(v) for v in self.writes]
        new = self.rule(self.attrs, *old, *(made.node(t) for t in op.inputs))
        for variable, node in zip(self.writes, new, strict=True):
            made.write(variable, node)
        return []


class Gradients(Body):
    """Gradients of ys for xs; the inputs are ys, then their cotangents, then xs.

    given      for each y, is there a cotangent among the inputs?
    variables  for each x, the variable that it stands for, or None
    """

    type = "Gradients"

    def __init__(self, given: tuple[bool, ...], variables: tuple):
        self.given = given
        self.variables = variables

    def infer(self, op) -> list[Fact]:
        return [t.fact for t in op.inputs[len(self.given) + sum(self.given) :]]

    def expand(self, op, made) -> list[Node]:
        nodes = [made.node(t) for t in op.inputs]
        n = len(self.given)
        xs = nodes[n + sum(self.given) :]
        cotangents = iter(nodes[n : n + sum(self.given)])
        seeds = [next(cotangents) if g else None for g in self.given]
        targets = [
            (x,) if v is None else tuple(made.reads(v))
            for x, v in zip(xs, self.variables, strict=True)
        ]
        flat = [t for row in targets for t in row]
        found = iter(gradients(nodes[:n], seeds, flat))
        return [self._total([next(found) for _ in row], row[0]) for row in targets]

    @staticmethod
    def _total(parts: list, x: Node) -> Node:
        there = [p for p in parts if p is not None]
        if not there:
            return zeros(x.shape, x.dtype)
        out = there[0]
        for p in there[1:]:
            out = out + p
        return out


class Random(Body):
    """Draws of a `Sampler`. seeds: (graph's, operation's), as TensorFlow's attributes."""

    def __init__(self, type_: str, sampler, attrs: tuple, seeds: tuple[int, int], count: int):
        self.type = type_
        self.sampler = sampler
        self.attrs = attrs
        self.seeds = seeds
        self.count = count

    def infer(self, op) -> list[Fact]:
        return inference.infer_call(_Shaped(self.type), self.attrs, op.inputs[: self.count])

    def expand(self, op, made) -> list[Node]:
        attrs = inference.resolved(self.attrs, made.value)
        numbers = [made.node(t) for t in op.inputs[: self.count]]
        state = made.random_state(op, self, attrs, form((6,), uint32))
        return [self.sampler.once.expand(attrs, state, *numbers)]

    def attributes(self) -> dict:
        return {"seed": self.seeds[0], "seed2": self.seeds[1], "dtype": BY_ENGINE[self.attrs[1]]}


class _Shaped:
    """Stands for a sampler while shapes are found: the result has the shape attribute's shape."""

    value = None

    def __init__(self, name: str):
        self.name = name

    def forms(self, attrs, *forms):
        return (form(tuple(attrs[0]), attrs[1]),)

    def result_dtype(self, attrs):
        return BY_ENGINE[attrs[1]]


class Check(Body):
    """Stops the run with an error where a truth value is false."""

    type = "Assert"

    def __init__(self, fault):
        self.fault = fault

    def expand(self, op, made) -> list[Node]:
        truth = el.cast(made.node(op.inputs[0]), as_dtype("int32").engine)
        made.watch(el.check_range(truth, 1, 2, self.fault))
        return []
