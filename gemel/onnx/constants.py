"""Operators that make values: constants, ranges, random numbers."""

from __future__ import annotations

import numpy as np

from gemel.graph.form import dtype_of, float32
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops.movement import full, iota
from gemel.ops.ordering import triangle

from .applied import element_type
from .operators import operator


@operator("Constant", kind="host")
def constant(node) -> np.ndarray:
    if "value" in node.attributes:
        return node.get("value")
    for name, kind in (("float", np.float32), ("int", np.int64)):
        for attribute in (f"value_{name}", f"value_{name}s"):
            if attribute in node.attributes:
                return np.array(node.get(attribute), kind)
    raise NotImplementedError(f"ONNX Constant of {sorted(node.attributes)} is not supported")


@operator("ConstantOfShape", static=(0,))
def constant_of_shape(node, shape) -> Node:
    value = node.get("value", np.zeros(1, np.float32))
    sizes = tuple(map(int, node.static[0]))
    return full(sizes, value.reshape(-1)[0].item(), dtype_of(value.dtype))


@operator("Range", kind="host")
def numbers(node, start, limit, delta) -> np.ndarray:
    return np.arange(start.item(), limit.item(), delta.item()).astype(start.dtype)


@operator("EyeLike")
def eye_like(node, x: Node) -> Node:
    dtype = element_type(node.get("dtype")) if "dtype" in node.attributes else x.dtype
    row, column = (iota(x.shape, axis, dtype_of("int64")) for axis in (0, 1))
    return e.cast(e.eq(row + node.get("k", 0), column), dtype)


@operator("Trilu", static=(1,))
def triangular(node, x: Node, k=None) -> Node:
    offset = int(node.static[1].item()) if 1 in node.static else 0
    return triangle(x, offset, not node.get("upper", 1))


# ---------- random numbers: the standard leaves the stream open ----------
_STREAM = np.random.RandomState()


def stream(node) -> np.random.RandomState:
    """The numbers of a node's seed, else of the process's stream."""
    seed = node.get("seed")
    return _STREAM if seed is None else np.random.RandomState(int(seed))


def _type_of(node, like=None) -> np.dtype:
    if "dtype" in node.attributes:
        return element_type(node.get("dtype")).numpy
    return float32.numpy if like is None else like.dtype


@operator("RandomUniform", "RandomUniformLike", kind="host")
def random_uniform(node, like=None) -> np.ndarray:
    shape = node.get("shape") if like is None else like.shape
    drawn = stream(node).uniform(node.get("low", 0.0), node.get("high", 1.0), shape)
    return np.asarray(drawn).astype(_type_of(node, like))


@operator("RandomNormal", "RandomNormalLike", kind="host")
def random_normal(node, like=None) -> np.ndarray:
    shape = node.get("shape") if like is None else like.shape
    drawn = stream(node).normal(node.get("mean", 0.0), node.get("scale", 1.0), shape)
    return np.asarray(drawn).astype(_type_of(node, like))


@operator("Bernoulli", kind="host")
def bernoulli(node, p) -> np.ndarray:
    return np.asarray(stream(node).binomial(1, p)).astype(_type_of(node, p))


@operator("Multinomial", kind="host")
def multinomial(node, x) -> np.ndarray:
    shares = np.exp(x - x.max(1, keepdims=True))
    passed = np.cumsum(shares / shares.sum(1, keepdims=True), 1)
    drawn = stream(node).uniform(size=(len(x), node.get("sample_size", 1)))
    found = (drawn[..., None] > passed[:, None]).sum(-1)
    return found.astype(_type_of(node, np.zeros(0, np.int32)))
