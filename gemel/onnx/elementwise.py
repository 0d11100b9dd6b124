"""Operators on single elements: arithmetic, comparison, logic, bits, conversion."""

from __future__ import annotations

from functools import reduce

from gemel.graph.errors import Fault
from gemel.graph.form import float32, float64
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops import inverse_trigonometry, predicates, rounding, transcendental

from .applied import element_type
from .operators import operator, simple

_BY_ZERO = Fault(ZeroDivisionError, "an integer is divided by zero")

for _name, _function in {
    "Neg": e.NEG, "Exp": e.EXP, "Log": e.LOG, "Sqrt": e.SQRT, "Sin": e.SIN,
    "Cos": e.COS, "Tanh": e.TANH, "Sigmoid": e.SIGMOID, "Erf": e.ERF, "Not": e.NOT,
    "BitwiseNot": e.NOT, "Floor": e.floor, "Ceil": e.ceil, "Round": e.ROUND, "IsNaN": e.is_nan,
    "Reciprocal": transcendental.reciprocal, "Tan": transcendental.tan,
    "Sinh": transcendental.sinh, "Cosh": transcendental.cosh, "Asinh": transcendental.asinh,
    "Acosh": transcendental.acosh, "Atanh": transcendental.atanh,
    "Atan": inverse_trigonometry.atan, "Asin": inverse_trigonometry.asin,
    "Acos": inverse_trigonometry.acos,
}.items():  # fmt: skip
    simple(_name, _function)


@operator("Identity")
def identity(node, x: Node) -> Node:
    return x


@operator("Abs")
def absolute(node, x: Node) -> Node:
    return x if x.dtype.kind in "bu" else e.ABS(x)


@operator("Sign")
def sign(node, x: Node) -> Node:
    return e.cast(e.gt(x, 0), x.dtype) if x.dtype.kind == "u" else e.sign(x)


@operator("IsInf")
def is_infinite(node, x: Node) -> Node:
    up = predicates.is_positive_infinite(x)
    down = predicates.is_negative_infinite(x)
    ways = (("detect_positive", up), ("detect_negative", down))
    asked = [found for name, found in ways if node.get(name, 1)]
    return reduce(e.or_, asked) if asked else e.and_(up, down)


# ---------- two operands ----------
def _aligned(node, a: Node, b: Node) -> Node:
    """b as old versions broadcast it: its axes lie from `axis` on."""
    axis = node.get("axis")
    if node.version >= 7 or axis is None or b.ndim == 0:
        return b
    from gemel.ops.movement import reshape

    return reshape(b, b.shape + (1,) * (a.ndim - axis % a.ndim - b.ndim))


def _binary(name: str, function, since: int = 1) -> None:
    operator(name, since=since)(lambda node, a, b: function(a, _aligned(node, a, b)))


def _quotient(a: Node, b: Node) -> Node:
    return a / b if a.dtype.is_float else rounding.truncated_quotient(a, b, _BY_ZERO)


for _name, _function in {
    "Add": e.ADD, "Sub": e.SUB, "Mul": e.MUL, "Div": _quotient, "Equal": e.EQ, "Less": e.LT,
    "LessOrEqual": e.LE, "Greater": e.gt, "GreaterOrEqual": e.ge, "And": e.AND, "Or": e.OR,
    "Xor": e.XOR, "BitwiseAnd": e.AND, "BitwiseOr": e.OR, "BitwiseXor": e.XOR,
}.items():  # fmt: skip
    _binary(_name, _function)


@operator("Mod")
def modulo(node, a: Node, b: Node) -> Node:
    if node.get("fmod", 0):
        return rounding.truncated_remainder(a, b, _BY_ZERO)
    return rounding.remainder(a, b, _BY_ZERO)


@operator("Pow")
def power(node, a: Node, b: Node) -> Node:
    if a.dtype is b.dtype:
        return e.power(a, b) if a.dtype.is_float else rounding.integer_power(a, b)
    if a.dtype.is_float:
        return e.power(a, e.cast(b, a.dtype))
    if b.dtype.is_float:
        return e.cast(e.power(e.cast(a, float64), e.cast(b, float64)), a.dtype)
    return rounding.integer_power(a, e.cast(b, a.dtype))


@operator("BitShift")
def shift(node, a: Node, b: Node) -> Node:
    return e.shl(a, b) if node.get("direction") == "LEFT" else e.shr(a, b)


# ---------- any number of operands ----------
def _joined(function):
    return lambda node, *xs: reduce(function, xs)


operator("Sum")(_joined(e.ADD))
operator("Max")(_joined(e.MAXIMUM))
operator("Min")(_joined(e.MINIMUM))


@operator("Mean")
def mean_of(node, *xs: Node) -> Node:
    return reduce(e.ADD, xs) / float(len(xs))


@operator("Where")
def where(node, c: Node, a: Node, b: Node) -> Node:
    return e.where(c, a, b)


@operator("Clip")
def clip(node, x: Node, low: Node | None = None, high: Node | None = None) -> Node:
    return _clipped(x, node.get("min"), node.get("max"))


@operator("Clip", since=11)
def clip_to(node, x: Node, low: Node | None = None, high: Node | None = None) -> Node:
    return _clipped(x, low, high)


def _clipped(x: Node, low, high) -> Node:
    x = x if low is None else e.maximum(x, low)
    return x if high is None else e.minimum(x, high)


# ---------- element types ----------
def converted(x: Node, dtype) -> Node:
    """x in another type; to truth values: what is not zero."""
    if dtype.kind == "b" and x.dtype.kind != "b":
        return e.ne(x, 0)
    if dtype.half and x.dtype.kind in "iu":
        x = e.cast(x, float32)
    return e.cast(x, dtype)


@operator("Cast")
def cast(node, x: Node) -> Node:
    return converted(x, element_type(node.get("to")))


@operator("CastLike")
def cast_like(node, x: Node, like: Node) -> Node:
    return converted(x, like.dtype)


@operator("BitCast")
def bit_cast(node, x: Node) -> Node:
    dtype = element_type(node.get("to"))
    if "b" in (x.dtype.kind, dtype.kind):
        return converted(x, dtype)  # a truth value is a byte of 0 or 1
    return e.BITCAST(x, attrs=(dtype,))
