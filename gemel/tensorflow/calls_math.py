"""TensorFlow's arithmetic as calls: its promotion, its messages, on the engine's composites.

Role: what eager mode records and what graph operations hold. In: nodes. Out: nodes. An expansion
raises `TypeMismatch` or `ShapeMismatch`; the mode decides what the user sees. Attributes of binary
calls: (side,), where side says which operand is a Python number to be taken in the other's type.
"""

from __future__ import annotations

from gemel.graph.errors import Fault, ShapeError
from gemel.graph.form import float32, float64, int32
from gemel.graph.node import Node
from gemel.ops import activations as act
from gemel.ops import elementwise as el
from gemel.ops import error_functions, inverse_trigonometry, ordering, transcendental
from gemel.ops.complex import conjugate
from gemel.ops.complex_arithmetic import direction, squared_modulus
from gemel.ops.movement import concat, flip, full, narrow
from gemel.ops.record import Call
from gemel.ops.reduction import all_, amax, amin, any_, argmax, argmin, prod, sum_
from gemel.ops.statistics import count_over, deviation, mean, variance

from .dtypes import BY_ENGINE
from .errors import InvalidArgumentError, ShapeMismatch, TypeMismatch
from .shape import show

TENSORS, RIGHT, LEFT = 0, 1, 2  # both operands are tensors; the right or left one is a number
KIND_NAMES = {
    "f": "bfloat16, float16, float32, float64",
    "i": "int8, int16, int32, int64",
    "u": "uint8, uint16, uint32, uint64",
    "b": "bool",
    "c": "complex64, complex128",
}


class FaceCall(Call):
    """A call that also says what follows without evaluation.

    value         (attrs, *shapes) -> array: the result follows from the inputs' shapes alone
    result_dtype  (attrs) -> face dtype of the result, where the first input does not give it
    """

    __slots__ = ("value", "_result_dtype")

    def __init__(self, name, expand, differentiable=True, value=None, result_dtype=None):
        super().__init__(name, expand, differentiable)
        self.value = value
        self._result_dtype = result_dtype

    def result_dtype(self, attrs):
        return None if self._result_dtype is None else self._result_dtype(attrs)


def enum_name(dtype) -> str:
    return BY_ENGINE[dtype].enum_name


def require(name: str, x: Node, kinds: str, parameter: str = "x") -> None:
    """TypeMismatch where x's element type is none of the kinds."""
    if x.dtype.kind in kinds:
        return
    allowed = ", ".join(KIND_NAMES[k] for k in "fiucb" if k in kinds)
    raise TypeMismatch(
        f"Value for attr 'T' of {enum_name(x.dtype)} is not in the list of allowed values: "
        f"{allowed}",
        f"Value passed to parameter '{parameter}' has DataType {x.dtype.name} not in list of "
        f"allowed values: {allowed}",
    )


def same_type(name: str, x: Node, y: Node, second: str = "y", first: str = "x") -> None:
    """TypeMismatch where the two element types differ: nothing is promoted."""
    if x.dtype is y.dtype:
        return
    raise TypeMismatch(
        f"cannot compute {name} as input #1(zero-based) was expected to be a "
        f"{enum_name(x.dtype)} tensor but is a {enum_name(y.dtype)} tensor; nothing is promoted: "
        f"convert one with tf.cast",
        f"Input '{second}' of '{name}' Op has type {y.dtype.name} that does not match type "
        f"{x.dtype.name} of argument '{first}'.",
    )


def paired(name: str, attrs, x: Node, y: Node) -> tuple[Node, Node]:
    """The operands in one element type, of shapes that broadcast."""
    side = attrs[0] if attrs else TENSORS
    if side == RIGHT:
        y = el.cast(y, x.dtype)
    elif side == LEFT:
        x = el.cast(x, y.dtype)
    same_type(name, x, y)
    try:
        el.broadcast_shapes(name, x.form, y.form)
    except ShapeError:
        text = f"Incompatible shapes: {show(x.shape)} vs. {show(y.shape)}"
        raise ShapeMismatch(text) from None
    return x, y


def _binary(name: str, build, kinds: str, differentiable: bool = True) -> FaceCall:
    def expand(attrs, x, y):
        x, y = paired(name, attrs, x, y)
        require(name, x, kinds)
        return build(x, y)

    return FaceCall(name, expand, differentiable)


def _unary(name: str, build, kinds: str = "f", differentiable: bool = True) -> FaceCall:
    def expand(attrs, x):
        require(name, x, kinds)
        return build(x)

    return FaceCall(name, expand, differentiable)


def _divisor(y: Node) -> Node:
    """y, checked when the program runs: integers must not be divided by zero."""
    fault = Fault(InvalidArgumentError, "Integer division by zero")
    zero = el.cast(el.eq(y, 0), y.dtype)
    return y + el.check_range(zero, 0, 1, fault)


def _true_divide(x: Node, y: Node) -> Node:
    if not x.dtype.is_smooth:
        wide = float32 if x.dtype.itemsize < 4 else float64
        x, y = el.cast(x, wide), el.cast(y, wide)
    return x / y


def _floor_divide(x: Node, y: Node) -> Node:
    if x.dtype.is_float:
        return el.floor(x / y)
    y = _divisor(y)
    return (x - el.mod(x, y)) / y


def _remainder(x: Node, y: Node) -> Node:
    return el.mod(x, y) if x.dtype.is_float else el.mod(x, _divisor(y))


def _divide_no_nan(x: Node, y: Node) -> Node:
    zero = el.eq(y, 0.0)
    return el.where(zero, 0.0, x / el.where(zero, 1.0, y))


def _squared_difference(x: Node, y: Node) -> Node:
    d = x - y
    return conjugate(d) * d


def _x_log_y(x: Node, y: Node) -> Node:
    zero = el.eq(x, 0.0)
    return el.where(zero, 0.0, x * el.LOG(el.where(zero, 1.0, y)))


def _integer_power(x: Node, y: Node) -> Node:
    """Through float64, exact below 2^53."""
    fault = Fault(InvalidArgumentError, "Integers to negative integer powers are not allowed")
    bad = el.check_range(el.cast(el.lt(y, 0), int32), 0, 1, fault)
    y = y + el.cast(bad, y.dtype)
    return el.cast(el.ROUND(el.POW(el.cast(x, float64), el.cast(y, float64))), x.dtype)


def _power(x: Node, y: Node) -> Node:
    return el.POW(x, y) if x.dtype.is_smooth else _integer_power(x, y)


def _larger(x: Node, y: Node) -> Node:
    """Where both are equal x is taken, and has the whole gradient."""
    return el.where(el.lt(x, y), y, x)


def _smaller(x: Node, y: Node) -> Node:
    return el.where(el.lt(y, x), y, x)


def _whole_power(attrs, x):
    """x to a whole number that is part of the program: products. attrs: (exponent,)."""
    require("Pow", x, "fiuc")
    if attrs[0] < 0 and not x.dtype.is_smooth:
        raise ShapeMismatch("Integers to negative integer powers are not allowed")
    return el.power(x, attrs[0]) if attrs[0] >= 0 else 1.0 / el.power(x, -attrs[0])


ADD = _binary("AddV2", el.add, "fiuc")
SUB = _binary("Sub", el.sub, "fiuc")
MUL = _binary("Mul", el.mul, "fiuc")
TRUE_DIVIDE = _binary("RealDiv", _true_divide, "fiuc")
FLOOR_DIVIDE = _binary("FloorDiv", _floor_divide, "fiu")
FLOOR_MOD = _binary("FloorMod", _remainder, "fiu")
DIVIDE_NO_NAN = _binary("DivNoNan", _divide_no_nan, "fc")
SQUARED_DIFFERENCE = _binary("SquaredDifference", _squared_difference, "fiuc")
X_LOG_Y = _binary("Xlogy", _x_log_y, "fc")
POWER = _binary("Pow", _power, "fiuc")
WHOLE_POWER = FaceCall("Pow", _whole_power)
MAXIMUM = _binary("Maximum", _larger, "fiu")
MINIMUM = _binary("Minimum", _smaller, "fiu")
LESS = _binary("Less", el.lt, "fiu", False)
LESS_EQUAL = _binary("LessEqual", el.le, "fiu", False)
GREATER = _binary("Greater", el.gt, "fiu", False)
GREATER_EQUAL = _binary("GreaterEqual", el.ge, "fiu", False)
EQUAL = _binary("Equal", el.eq, "fiubc", False)
NOT_EQUAL = _binary("NotEqual", el.ne, "fiubc", False)
LOGICAL_AND = _binary("LogicalAnd", el.and_, "b", False)
LOGICAL_OR = _binary("LogicalOr", el.or_, "b", False)
LOGICAL_XOR = _binary("LogicalXor", el.xor, "b", False)
ATAN2 = _binary("Atan2", inverse_trigonometry.atan2, "f")
BITWISE_AND = _binary("BitwiseAnd", el.and_, "iu", False)
BITWISE_OR = _binary("BitwiseOr", el.or_, "iu", False)
BITWISE_XOR = _binary("BitwiseXor", el.xor, "iu", False)


def _logarithm_of_sigmoid(x: Node) -> Node:
    return act.log_sigmoid(x)


def _soft_plus(x: Node) -> Node:
    """log(1 + exp(x)) without a threshold."""
    return el.maximum(x, 0.0) + el.LOG1P(el.EXP(-el.ABS(x)))


def _is_finite(x: Node) -> Node:
    return el.eq(x - x, 0.0)


def _is_infinite(x: Node) -> Node:
    return el.and_(el.NOT(_is_finite(x)), el.eq(x, x))


NEGATE = _unary("Neg", lambda x: -x, "fic")
ABSOLUTE = _unary("Abs", lambda x: el.ABS(x), "fic")
SIGN = _unary("Sign", direction, "fic")
SQUARE = _unary("Square", el.square, "fiuc")
EXP = _unary("Exp", lambda x: el.EXP(x), "fc")
LOG = _unary("Log", lambda x: el.LOG(x), "fc")
LOG1P = _unary("Log1p", lambda x: el.LOG1P(x), "fc")
EXPM1 = _unary("Expm1", lambda x: el.EXPM1(x), "fc")
SQRT = _unary("Sqrt", lambda x: el.SQRT(x), "fc")
RSQRT = _unary("Rsqrt", el.rsqrt, "fc")
SIN = _unary("Sin", lambda x: el.SIN(x), "fc")
COS = _unary("Cos", lambda x: el.COS(x), "fc")
TAN = _unary("Tan", transcendental.tan, "fc")
SINH = _unary("Sinh", transcendental.sinh, "fc")
COSH = _unary("Cosh", transcendental.cosh, "fc")
TANH = _unary("Tanh", lambda x: el.TANH(x), "fc")
SIGMOID = _unary("Sigmoid", lambda x: el.SIGMOID(x), "fc")
LOG_SIGMOID = _unary("LogSigmoid", _logarithm_of_sigmoid)
SOFT_PLUS = _unary("Softplus", _soft_plus)
SOFT_SIGN = _unary("Softsign", act.softsign)
ERF = _unary("Erf", lambda x: el.ERF(x))
ERFC = _unary("Erfc", lambda x: 1.0 - el.ERF(x))
RECIPROCAL = _unary("Reciprocal", lambda x: 1.0 / x, "fc")
FLOOR = _unary("Floor", el.floor, "fiu")
CEIL = _unary("Ceil", el.ceil, "fiu")
ROUND = _unary("Round", lambda x: el.ROUND(x) if x.dtype.is_float else x, "fiu")
IS_NAN = _unary("IsNan", el.is_nan, "f", False)
IS_FINITE = _unary("IsFinite", _is_finite, "f", False)
IS_INF = _unary("IsInf", _is_infinite, "f", False)
LOGICAL_NOT = _unary("LogicalNot", lambda x: el.NOT(x), "b", False)
INVERT = _unary("Invert", lambda x: el.NOT(x), "iu", False)
ASIN = _unary("Asin", inverse_trigonometry.asin, "fc")
ACOS = _unary("Acos", inverse_trigonometry.acos, "fc")
ATAN = _unary("Atan", inverse_trigonometry.atan, "fc")
ASINH = _unary("Asinh", transcendental.asinh, "fc")
ACOSH = _unary("Acosh", transcendental.acosh, "fc")
ATANH = _unary("Atanh", transcendental.atanh, "fc")
ERF_INV = _unary("Erfinv", error_functions.erfinv)
STOP_GRADIENT = FaceCall("StopGradient", lambda attrs, x: el.stop_gradient(x), False)
IDENTITY = FaceCall("Identity", lambda attrs, x: x)


def _cast(attrs, x):
    # attrs: (engine dtype,)
    return el.cast(x, attrs[0])


CAST = FaceCall("Cast", _cast, result_dtype=lambda attrs: BY_ENGINE[attrs[0]])


def _clip(attrs, x, low, high):
    low, high = el.cast(low, x.dtype), el.cast(high, x.dtype)
    x, low = paired("ClipByValue", (), x, low)
    x, high = paired("ClipByValue", (), x, high)
    return _larger(_smaller(x, high), low)


CLIP = FaceCall("ClipByValue", _clip)


# ---------- reductions: attrs (axes, keepdims), axes None or a tuple ----------
def checked_axes(axes, ndim: int):
    """Axes as a sorted tuple of non-negative positions, None for all of them."""
    if axes is None:
        return None
    given = (axes,) if isinstance(axes, int) else axes
    for a in given:
        if not -ndim <= a < ndim:
            raise ShapeMismatch(
                f"Invalid reduction dimension {a} for input with {ndim} dimension(s)"
            )
    found = tuple(sorted(a % ndim for a in given))
    if len(set(found)) != len(found):
        raise ShapeMismatch(f"Invalid reduction arguments: Axes contains duplicate dimension: {a}")
    return found


def _reduction(name: str, build, kinds: str, differentiable: bool = True) -> FaceCall:
    def expand(attrs, x):
        require(name, x, kinds, "input")
        axes = checked_axes(attrs[0], x.ndim)
        return x if axes == () and name not in ("Any", "All") else build(x, axes, attrs[1])

    return FaceCall(name, expand, differentiable)


def _mean(x: Node, axes, keepdims: bool) -> Node:
    if x.dtype.is_smooth:
        return mean(x, axes, keepdims)
    total = sum_(x, axes, keepdims)
    return total / count_over(x, axes)


def _extreme(build):
    def run(x: Node, axes, keepdims: bool) -> Node:
        return build(x, axes, keepdims)

    return run


SUM = _reduction("Sum", sum_, "fiuc")
MEAN = _reduction("Mean", _mean, "fiuc")
PROD = _reduction("Prod", prod, "fiuc")
MAX = _reduction("Max", _extreme(amax), "fiu")
MIN = _reduction("Min", _extreme(amin), "fiu")
ANY = _reduction("Any", any_, "b", False)
ALL = _reduction("All", all_, "b", False)
VARIANCE = _reduction("Variance", variance, "fc")
DEVIATION = _reduction("Std", deviation, "fc")
LOG_SUM_EXP = _reduction("LogSumExp", act.log_sum_exp, "f")


def _norm(attrs, x):
    """attrs: (order, axes, keepdims); order 1, 2, 'inf' or 'euclidean'."""
    order, axes, keepdims = attrs
    axes = checked_axes(axes, x.ndim)
    if order == 1:
        return sum_(el.ABS(x), axes, keepdims)
    if order == "inf":
        return amax(el.ABS(x), axes, keepdims)
    return el.SQRT(sum_(squared_modulus(x), axes, keepdims))


NORM = FaceCall("Norm", _norm)


def _position(name: str, build) -> FaceCall:
    def expand(attrs, x):
        axis, dtype = attrs
        ndim = max(x.ndim, 1)
        if not -ndim <= axis < ndim:
            span = f"[{-ndim}, {ndim})"
            raise ShapeMismatch(f"Expected dimension in the range {span}, but got {axis}")
        if x.ndim and x.shape[axis] == 0:
            raise ShapeMismatch(f"Reduction axis {axis} is empty in shape {show(x.shape)}")
        return el.cast(build(x, axis), dtype)

    return FaceCall(name, expand, False, result_dtype=lambda attrs: BY_ENGINE[attrs[1]])


ARG_MAX = _position("ArgMax", argmax)
ARG_MIN = _position("ArgMin", argmin)


def _running(name: str, build) -> FaceCall:
    """attrs: (axis, exclusive, reverse)"""

    def expand(attrs, x):
        axis, exclusive, reverse = attrs
        if not -x.ndim <= axis < x.ndim:
            raise ShapeMismatch(f"{name}: axis {axis} is out of range [{-x.ndim}, {x.ndim})")
        at = axis % x.ndim
        x = flip(x, (at,)) if reverse else x
        out = build(x, at)
        if exclusive:
            neutral = full(
                narrow(x, at, 0, 1).shape, 0 if build is ordering.running_sum else 1, x.dtype
            )
            out = concat([neutral, narrow(out, at, 0, x.shape[at] - 1)], at)
        return flip(out, (at,)) if reverse else out

    return FaceCall(name, expand)


RUNNING_SUM = _running("Cumsum", ordering.running_sum)
RUNNING_PRODUCT = _running("Cumprod", ordering.running_product)


def _total(name: str, build):
    """The sum of several tensors of one form."""

    def expand(attrs, *xs):
        for x in xs[1:]:
            same_type(name, xs[0], x)
            if x.shape != xs[0].shape:
                raise ShapeMismatch(
                    f"Shapes of all inputs must match: values[0].shape = {show(xs[0].shape)} "
                    f"!= {show(x.shape)}"
                )
        return build(xs)

    return FaceCall(name, expand)


def _added(xs):
    out = xs[0]
    for x in xs[1:]:
        out = out + x
    return out


ADD_N = _total("AddN", _added)
