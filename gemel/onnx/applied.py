"""`Applied`: one node of a model, ready to be run.

Role: what a builder is told about the node (attributes, known inputs, version), and the recording
of its call. Small values that are all known are computed at once by the primitives' references, so
that arithmetic with shapes compiles nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from gemel import tensor as engine
from gemel.graph.form import dtype_of, form
from gemel.graph.node import Node, order
from gemel.ops.record import CONST, LEAF, Call, leaf

from .operators import Operator
from .values import Value

FOLDED = 1024  # values of more cells are not computed ahead


class Applied:
    """attributes: name -> value; version: of the operator's domain; static: known inputs."""

    def __init__(self, proto, operator: Operator, version: int, graphs: dict):
        self.name = proto.op_type
        self.version = version
        self.operator = operator
        self.inputs = list(proto.input)
        self.outputs = list(proto.output)
        self.graphs = graphs
        self.attributes = {a.name: _attribute(a) for a in proto.attribute if a.name not in graphs}
        self.static: dict[int, np.ndarray] = {}
        self.call = Call(f"onnx.{self.name}", self._expand)
        self._extras: dict[tuple, list[Value]] = {}

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an attribute."""
        return self.attributes.get(name, default)

    def graph(self, name: str):
        """The subgraph of an attribute."""
        return self.graphs[name]

    # ---------- running ----------
    def run(self, given: list[Value | None], kind: type) -> list[Value]:
        """The results. kind: the class of tensors."""
        if self.operator.kind == "control":
            return list(self.operator.build(self, *given))
        if self.operator.kind == "host":
            made = self.operator.build(self, *(None if v is None else v.array() for v in given))
            return [Value(array=np.asarray(x)) for x in _several(made)]
        return self._recorded(given, kind)

    def _recorded(self, given: list[Value | None], kind: type) -> list[Value]:
        static = [i for i in self.operator.static if i < len(given) and given[i] is not None]
        known = tuple((i, _frozen(given[i].array())) for i in static)  # type: ignore[union-attr]
        rest = [(i, v) for i, v in enumerate(given) if v is not None and i not in static]
        attrs = (len(given), known, tuple(i for i, _ in rest))
        values = [v for _, v in rest] + self._ahead(attrs, dict(rest))
        if not values or all(v.known and v.form.size <= FOLDED for v in values):
            return self._folded(attrs, values)
        tensors = [v.tensor(kind) for v in values]
        return [Value(t) for t in engine.record_many(self.call, kind, tensors, attrs)]

    def _ahead(self, attrs: tuple, given: dict[int, Value]) -> list[Value]:
        """The operator's extras for these static inputs and forms."""
        make = self.operator.extras
        if make is None:
            return []
        count, known, places = attrs
        forms = [given[i].form if i in given else None for i in range(count)]
        key = known, tuple(forms)
        if key not in self._extras:
            self.static = {i: _thawed(frozen) for i, frozen in known}
            self._extras[key] = [Value(array=np.asarray(a)) for a in make(self, *forms)]
        return self._extras[key]

    def _expand(self, attrs: tuple, *nodes: Node):
        count, known, places = attrs
        self.static = {i: _thawed(frozen) for i, frozen in known}
        inputs: list[Node | None] = [None] * count
        for place, node in zip(places, nodes, strict=False):
            inputs[place] = node
        more = {} if self.operator.extras is None else {"extras": nodes[len(places) :]}
        made = self.operator.build(self, *inputs, **more)
        return tuple(made) if isinstance(made, list) else made

    def _folded(self, attrs: tuple, values: list[Value]) -> list[Value]:
        nodes = [leaf(i, v.form) for i, v in enumerate(values)]
        outputs = _several(self._expand(attrs, *nodes))
        arrays = _evaluated(outputs, [v.array() for v in values])
        return [Value(array=a) for a in arrays]


def _several(made) -> list:
    return list(made) if isinstance(made, tuple | list) else [made]


def _evaluated(outputs: list[Node], given: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs' arrays, by the primitives' references."""
    found: dict[Node, np.ndarray] = {}
    with np.errstate(all="ignore"):
        for node in order(outputs):
            if node.op is LEAF:
                value = given[node.attrs[0]]
            elif node.op is CONST:
                value = np.asarray(node.attrs[0], node.dtype.numpy)
            else:
                value = node.op.reference(node.attrs, *(found[a] for a in node.args))
            found[node] = np.asarray(value).astype(node.dtype.numpy, copy=False)
    return [found[node] for node in outputs]


# ---------- arrays as parts of keys ----------
def _frozen(array: np.ndarray) -> tuple:
    return array.dtype.name, array.shape, array.tobytes()


def _thawed(frozen: tuple) -> np.ndarray:
    name, shape, data = frozen
    return np.frombuffer(data, dtype_of(name).numpy).reshape(shape)


# ---------- attributes ----------
def _attribute(proto) -> Any:
    value = onnx.helper.get_attribute_value(proto)
    if isinstance(value, bytes):
        return value.decode()
    if proto.type == onnx.AttributeProto.STRINGS:
        return [v.decode() for v in value]
    if proto.type == onnx.AttributeProto.TENSOR:
        return tensor_array(value)
    if proto.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
        return list(value)
    return value


def tensor_array(proto) -> np.ndarray:
    """The array of a TensorProto. NotImplementedError for element types that are not held."""
    array = onnx.numpy_helper.to_array(proto)
    try:
        form(array.shape, dtype_of(array.dtype))
    except TypeError as problem:
        raise NotImplementedError(f"ONNX tensor {proto.name!r}: {problem}") from None
    return array


def element_type(number: int):
    """The engine's type of a number of `onnx.TensorProto`."""
    try:
        return dtype_of(onnx.helper.tensor_dtype_to_np_dtype(number))
    except (TypeError, KeyError):
        name = onnx.TensorProto.DataType.Name(number)
        raise NotImplementedError(f"the ONNX element type {name} is not supported") from None
