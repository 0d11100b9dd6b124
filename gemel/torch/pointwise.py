"""Elementwise operations: one line each. The line makes the function, the method and the in-place
method (`torch.exp`, `Tensor.exp`, `Tensor.exp_`); the mathematics is in `ops`.

Operations whose arguments are more than tensors (clamp, pow, add with alpha, ...) are in
`arithmetic`.
"""

from __future__ import annotations

import math

from gemel.graph.errors import Fault
from gemel.graph.form import bool_, int64
from gemel.graph.node import Node
from gemel.ops import (
    activations,
    elementwise,
    inverse_trigonometry,
    predicates,
    rounding,
    transcendental,
)
from gemel.ops.declared import flat
from gemel.ops.elementwise import cast, where

from .checks import not_implemented, wrong_argument
from .define import binary, unary
from .promotion import as_float, promoted
from .tensor import Tensor, attach

ZERO_DIVISION = Fault(RuntimeError, "ZeroDivisionError")


# ---------- checks and types of particular operations ----------
def _kept(x: Node) -> tuple[Node]:
    return (x,)


def _no_bool(what: str):
    def types(*nodes):
        if any(n.dtype is bool_ for n in nodes):
            raise RuntimeError(what)
        return promoted(*nodes)

    return types


_MASK = " If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
_no_bool_negation = _no_bool(
    "Negation, the `-` operator, on a bool tensor is not supported." + _MASK
)


def subtraction_types(a: Node, b: Node):
    if a.dtype is bool_ and b.dtype is bool_:
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
            "`logical_xor()` operator instead."
        )
    if bool_ in (a.dtype, b.dtype):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported." + _MASK
        )
    return promoted(a, b)


def _whole(kernel: str, bools: bool = True):
    """Types of bit operations: whole numbers only."""

    def types(*nodes):
        nodes = promoted(*nodes)
        if nodes[0].dtype.kind == "f" or (nodes[0].dtype is bool_ and not bools):
            raise not_implemented(kernel, nodes[0])
        return nodes

    return types


def numbers_only(kernel: str):
    """Types of operations that bool has no kernel for."""

    def types(*nodes):
        nodes = promoted(*nodes)
        if nodes[0].dtype is bool_:
            raise not_implemented(kernel, nodes[0])
        return nodes

    return types


def _truths(*nodes: Node) -> tuple[Node, ...]:
    return tuple(predicates.truth(n) for n in nodes)


def _inversion(x: Node) -> tuple[Node]:
    if x.dtype.kind == "f":
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return (x,)


def logical_on_bools(op, on_bools):
    """Addition and product of bools are the logical ones."""

    def build(a: Node, b: Node) -> Node:
        return on_bools(a, b) if a.dtype is bool_ else op(a, b)

    return build


def _no_truths(x: Node) -> tuple[Node]:
    if x.dtype is bool_:
        raise RuntimeError("Boolean inputs not supported for relu")
    return (x,)


def _float_only(kernel: str):
    """Types of operations that integers have no kernel for."""

    def types(*nodes: Node) -> tuple[Node, ...]:
        nodes = promoted(*nodes)
        if nodes[0].dtype.kind not in "fc":
            raise not_implemented(kernel, nodes[0])
        return nodes

    return types


# ---------- one tensor, floating-point result ----------
exp = unary("exp", elementwise.EXP)
exp2 = unary("exp2", transcendental.exp2)
expm1 = unary("expm1", elementwise.EXPM1)
log = unary("log", elementwise.LOG)
log2 = unary("log2", transcendental.log2)
log10 = unary("log10", transcendental.log10)
log1p = unary("log1p", elementwise.LOG1P)
sqrt = unary("sqrt", elementwise.SQRT)
rsqrt = unary("rsqrt", elementwise.rsqrt)
sin = unary("sin", elementwise.SIN)
cos = unary("cos", elementwise.COS)
tan = unary("tan", transcendental.tan)
asin = unary("asin", inverse_trigonometry.asin, aliases=("arcsin",))
acos = unary("acos", inverse_trigonometry.acos, aliases=("arccos",))
atan = unary("atan", inverse_trigonometry.atan, aliases=("arctan",))
arcsin, arccos, arctan = asin, acos, atan
sinh = unary("sinh", transcendental.sinh)
cosh = unary("cosh", transcendental.cosh)
tanh = unary("tanh", elementwise.TANH)
asinh = unary("asinh", transcendental.asinh, aliases=("arcsinh",))
acosh = unary("acosh", transcendental.acosh, aliases=("arccosh",))
atanh = unary("atanh", transcendental.atanh, aliases=("arctanh",))
arcsinh, arccosh, arctanh = asinh, acosh, atanh
sigmoid = unary("sigmoid", elementwise.SIGMOID)
expit = sigmoid
erf = unary("erf", elementwise.ERF)
reciprocal = unary("reciprocal", transcendental.reciprocal)
sinc = unary("sinc", transcendental.sinc)
deg2rad = unary("deg2rad", lambda x: x * (math.pi / 180))
rad2deg = unary("rad2deg", lambda x: x * (180 / math.pi))

# ---------- one tensor, its own type ----------
neg = unary("neg", elementwise.NEG, _no_bool_negation, aliases=("negative",))
negative = neg


@attach()
def positive(input):
    """The tensor itself."""
    if not isinstance(input, Tensor):
        raise wrong_argument("positive", "input", 1, input)
    if input.form.dtype is bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


abs = unary("abs", elementwise.ABS, numbers_only("abs_cpu"), aliases=("absolute",))
absolute = abs
sign = unary("sign", flat("sign", predicates.sign), _kept)
floor = unary("floor", flat("floor", elementwise.floor), numbers_only("floor_vml_cpu"))
ceil = unary("ceil", flat("ceil", elementwise.ceil), numbers_only("ceil_vml_cpu"))
trunc = unary(
    "trunc", flat("trunc", elementwise.trunc), numbers_only("trunc_vml_cpu"), aliases=("fix",)
)
fix = trunc
frac = unary("frac", rounding.fraction, _float_only("frac_cpu"))
square = unary(
    "square", lambda x: x * x, lambda x: promoted(cast(x, int64) if x.dtype is bool_ else x)
)
relu = unary("relu", activations.relu, _no_truths)
bitwise_not = unary("bitwise_not", elementwise.NOT, _inversion)
logical_not = unary("logical_not", elementwise.NOT, _truths)
signbit = unary("signbit", predicates.sign_bit, _kept, in_place=False)
isnan = unary("isnan", lambda x: elementwise.ne(x, x), _kept, in_place=False)
isinf = unary("isinf", predicates.is_infinite, _kept, in_place=False)
isfinite = unary("isfinite", predicates.is_finite, _kept, in_place=False)
isposinf = unary("isposinf", predicates.is_positive_infinite, _kept, in_place=False)
isneginf = unary("isneginf", predicates.is_negative_infinite, _kept, in_place=False)

# ---------- two operands ----------
mul = binary("mul", logical_on_bools(elementwise.mul, elementwise.and_), aliases=("multiply",))
multiply = mul
true_divide = binary("div", elementwise.div, as_float)
floor_divide = binary(
    "floor_divide",
    lambda a, b: rounding.floored_quotient(a, b, ZERO_DIVISION),
    numbers_only("div_floor_cpu"),
)
remainder = binary(
    "remainder",
    lambda a, b: rounding.remainder(a, b, ZERO_DIVISION),
    numbers_only("remainder_cpu"),
)
fmod = binary(
    "fmod", lambda a, b: rounding.truncated_remainder(a, b, ZERO_DIVISION), numbers_only("fmod_cpu")
)
maximum = binary("maximum", elementwise.maximum, in_place=False, numbers=False)
minimum = binary("minimum", elementwise.minimum, in_place=False, numbers=False)


def _skipping_nan(choose):
    def build(a: Node, b: Node) -> Node:
        if not a.dtype.is_float:
            return choose(a, b)
        lone = where(elementwise.is_nan(b), a, choose(a, b))
        return where(elementwise.is_nan(a), b, lone)

    return build


fmax = binary("fmax", _skipping_nan(elementwise.maximum), in_place=False, numbers=False)
fmin = binary("fmin", _skipping_nan(elementwise.minimum), in_place=False, numbers=False)
hypot = binary("hypot", transcendental.hypot, _float_only("hypot_cpu"), numbers=False)
logaddexp = binary(
    "logaddexp", transcendental.log_add_exp, _float_only("logaddexp_cpu"), False, False
)
logaddexp2 = binary(
    "logaddexp2", transcendental.log_add_exp2, _float_only("logaddexp2_cpu"), False, False
)
atan2 = binary("atan2", inverse_trigonometry.atan2, as_float, aliases=("arctan2",), numbers=False)
arctan2 = atan2
xlogy = binary("xlogy", transcendental.x_log_y, as_float)
heaviside = binary("heaviside", transcendental.heaviside, numbers=False)
copysign = binary(
    "copysign",
    lambda a, b: where(predicates.sign_bit(b), -elementwise.ABS(a), elementwise.ABS(a)),
    as_float,
)


eq = binary("eq", elementwise.eq)
ne = binary("ne", elementwise.ne, aliases=("not_equal",))
lt = binary("lt", elementwise.lt, aliases=("less",))
le = binary("le", elementwise.le, aliases=("less_equal",))
gt = binary("gt", elementwise.gt, aliases=("greater",))
ge = binary("ge", elementwise.ge, aliases=("greater_equal",))
not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge
logical_and = binary("logical_and", elementwise.and_, _truths, numbers=False)
logical_or = binary("logical_or", elementwise.or_, _truths, numbers=False)
logical_xor = binary("logical_xor", elementwise.xor, _truths, numbers=False)
bitwise_and = binary("bitwise_and", elementwise.and_, _whole("bitwise_and_cpu"))
bitwise_or = binary("bitwise_or", elementwise.or_, _whole("bitwise_or_cpu"))
bitwise_xor = binary("bitwise_xor", elementwise.xor, _whole("bitwise_xor_cpu"))
bitwise_left_shift = binary("bitwise_left_shift", elementwise.shl, _whole("lshift_cpu", False))
bitwise_right_shift = binary("bitwise_right_shift", elementwise.shr, _whole("rshift_cpu", False))
