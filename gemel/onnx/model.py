"""`load` and `Model`: a model as a function of tensors.

A graph is a list of steps, in order; a step is an operator with a builder, or the graph of a
function: one of the model's own, or the one by which the standard defines the operator.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
from onnx import defs

from gemel import tensor as engine

from .applied import Applied, tensor_array
from .operators import find
from .values import Array, Value, value_of

Scope = dict[str, Value]


def load(model) -> Model:
    """A model from a path, from bytes, or from an `onnx.ModelProto`.

    NotImplementedError, which names the operator, where it has one that is not supported.
    """
    if isinstance(model, str | os.PathLike):
        model = onnx.load(os.fspath(model))
    elif isinstance(model, bytes | bytearray):
        model = onnx.load_model_from_string(bytes(model))
    return Model(model)


class Model:
    """inputs, outputs: their names; weights: name -> the model's own values."""

    def __init__(self, proto):
        versions = {o.domain or "": o.version for o in proto.opset_import}
        functions = {(f.domain, f.name): f for f in proto.functions}
        self.graph = Graph(proto.graph, Context(versions, functions))
        self.outputs = self.graph.outputs
        self.weights = self.graph.weights
        self.inputs = [name for name in self.graph.inputs if name not in self.weights]

    def __call__(self, *given, **named) -> Any:
        """The outputs, as a tuple where there are several.

        Tensors of a face give tensors of that face, arrays give arrays. TypeError for inputs that
        are missing or unknown.
        """
        values = self._matched(given, named)
        tensors = [x for x in values.values() if isinstance(x, engine.Tensor)]
        kind = tensors[0].kin if tensors else Array
        scope = {name: value_of(x, kind) for name, x in values.items() if x is not None}
        made = self.graph.run(scope, kind)
        out = [None if v is None else v.tensor(kind) if tensors else v.array() for v in made]
        return out[0] if len(out) == 1 else tuple(out)

    def _matched(self, given, named) -> dict:
        if len(given) > len(self.inputs):
            raise TypeError(f"the model has {len(self.inputs)} inputs, {len(given)} were given")
        values = dict(zip(self.inputs, given, strict=False)) | named
        unknown = set(values) - set(self.graph.inputs)
        missing = set(self.inputs) - set(values)
        if unknown or missing:
            wrong = f"unknown: {sorted(unknown)}" if unknown else f"missing: {sorted(missing)}"
            raise TypeError(f"inputs of the model are {self.inputs}; {wrong}")
        return values


class Context:
    """Versions of the domains, and the model's functions."""

    def __init__(self, versions: dict[str, int], functions: dict):
        self.versions = versions
        self.functions = functions

    def version(self, domain: str) -> int:
        return self.versions.get(domain, self.versions.get("", 1) if not domain else 1)


class Graph:
    """Steps from inputs to outputs."""

    def __init__(self, proto, context: Context):
        self.inputs = [i.name for i in proto.input]
        self.outputs = [o.name for o in proto.output]
        self.weights = {t.name: Value(array=tensor_array(t)) for t in proto.initializer}
        if proto.sparse_initializer:
            raise NotImplementedError("ONNX: sparse initializers are not supported")
        self._order(proto.node, context)

    def _order(self, nodes, context: Context) -> None:
        self.steps = [Step(node, context) for node in nodes]
        self.over = _last_uses(nodes, self.outputs)

    def run(self, scope: Scope, kind: type) -> list[Value]:
        """The outputs. scope: inputs, and what an outer graph has. A value is given up after its
        last use, so that what only it needs is not kept in memory."""
        scope = self.weights | scope
        for s, over in zip(self.steps, self.over, strict=True):
            s(scope, kind)
            for name in over:
                scope.pop(name, None)
        return [scope.get(name) for name in self.outputs]  # type: ignore[misc]


def _last_uses(nodes, outputs: list[str]) -> list[list[str]]:
    """Per node the values that neither later nodes nor the outputs need."""
    needed = set(outputs)
    found: list[list[str]] = []
    for node in reversed(nodes):
        names = set(_used(node)) | set(node.output)
        found.append(sorted(names - needed))
        needed |= names
    return found[::-1]


def _used(node) -> list[str]:
    """What a node reads, in its subgraphs too."""
    names = list(node.input)
    for a in node.attribute:
        if a.HasField("g"):
            names += [name for inner in a.g.node for name in _used(inner)]
            names += [o.name for o in a.g.output]
    return names


class Body(Graph):
    """The graph of a function: its inputs are named by position, its attributes are put in."""

    def __init__(self, proto, node, context: Context, defaults: dict):
        self.inputs = list(proto.input)
        self.outputs = list(proto.output)
        self.weights = {}
        attributes = dict(defaults)
        attributes |= {a.name: a for a in proto.attribute_proto}
        attributes |= {a.name: a for a in node.attribute}
        self._order([_filled(n, attributes) for n in proto.node], context)


def _filled(node, attributes: dict):
    """A function's node with the attributes of the node that stands for the function."""
    filled = onnx.NodeProto()
    filled.CopyFrom(node)
    del filled.attribute[:]
    for a in node.attribute:
        if not a.ref_attr_name:
            made = filled.attribute.add()
            made.CopyFrom(a)
            if a.HasField("g"):
                _fill_graph(made.g, attributes)
        elif a.ref_attr_name in attributes:
            made = filled.attribute.add()
            made.CopyFrom(attributes[a.ref_attr_name])
            made.name = a.name
    return filled


def _fill_graph(graph, attributes: dict) -> None:
    nodes = [_filled(n, attributes) for n in graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


# ---------- steps ----------
class Step:
    """One node: what it takes from a scope, and what it puts there."""

    def __init__(self, node, context: Context):
        self.node = node
        self.context = context
        domain = "" if node.domain == "ai.onnx" else node.domain
        self.key = domain, node.op_type
        self.function = context.functions.get((node.domain, node.op_type))
        version = context.version(domain)
        found = None if self.function is not None else find(domain, node.op_type, version)
        self.applied = None
        self.bodies: dict = {}
        if found is not None:
            graphs = {a.name: Graph(a.g, context) for a in node.attribute if a.HasField("g")}
            self.applied = Applied(node, found, version, graphs)
        elif self.function is None:
            self._schema()  # it is known by then whether there is a way

    def __call__(self, scope: Scope, kind: type) -> None:
        given = [scope[name] if name else None for name in self.node.input]
        if self.applied is not None:
            if self.applied.operator.kind == "control":
                self.applied.scope, self.applied.kind = scope, kind
            made = self.applied.run(given, kind)
        else:
            made = self._body(given).run(self._named(given), kind)
        for name, value in zip(self.node.output, made, strict=False):
            if name:
                scope[name] = value

    # ---------- functions ----------
    def _named(self, given) -> Scope:
        names = self._body(given).inputs
        return {n: v for n, v in zip(names, given, strict=False) if v is not None}

    def _body(self, given) -> Body:
        key = tuple(None if v is None else (v.form.dtype.name, v.form.shape) for v in given)
        if key not in self.bodies:
            proto = self.function or self._standard(given)
            versions = {o.domain or "": o.version for o in proto.opset_import}
            context = Context(self.context.versions | versions, self.context.functions)
            self.bodies[key] = Body(proto, self.node, context, self._defaults())
        return self.bodies[key]

    def _defaults(self) -> dict:
        """The attributes that the standard's definition has by default."""
        if self.function is not None:
            return {}
        rows = self._schema().attributes.items()
        return {name: a.default_value for name, a in rows if a.default_value.type}

    def _schema(self):
        """The standard's definition of the operator, where it is a function."""
        domain, name = self.key
        version = self.context.version(domain)
        try:
            schema = defs.get_schema(name, version, domain)
        except defs.SchemaError:
            schema = None
        if schema is None or not (schema.has_function or schema.has_context_dependent_function):
            raise NotImplementedError(
                f"ONNX operator {name} of domain {domain or 'ai.onnx'!r}, version {version}, is "
                "not supported"
            )
        return schema

    def _standard(self, given):
        schema = self._schema()
        if schema.has_function:
            return _with_versions(schema.function_body, schema, self.context)
        types = [_type(v) for v in given]
        asked = self.context.version(self.key[0])
        known = [v for v in schema.context_dependent_function_opset_versions if v <= asked]
        data = schema.get_context_dependent_function_with_opset_version(
            max(known or schema.context_dependent_function_opset_versions),
            self.node.SerializeToString(),
            types,
        )
        proto = onnx.FunctionProto()
        proto.ParseFromString(data)
        return _with_versions(proto, schema, self.context)


def _with_versions(proto, schema, context: Context):
    """The function with versions of the domains that it uses."""
    if not proto.opset_import:
        proto.opset_import.add(domain="", version=context.version(""))
    return proto


def _type(value: Value | None) -> bytes:
    if value is None:
        return b""
    f = value.form
    number = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(f.dtype.numpy))
    made = onnx.helper.make_tensor_type_proto(number, f.shape)
    return made.SerializeToString()
