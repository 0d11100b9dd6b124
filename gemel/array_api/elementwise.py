"""Elementwise functions: a line each, and the operators made of them."""

from __future__ import annotations

import math

from gemel.graph.errors import Fault
from gemel.graph.node import Node
from gemel.ops import elementwise as el
from gemel.ops import float_parts, predicates, rounding
from gemel.ops import inverse_trigonometry as inverse
from gemel.ops import transcendental as tr
from gemel.ops.complex import conjugate, from_parts, imaginary
from gemel.ops.complex import real as real_part
from gemel.ops.complex_arithmetic import direction
from gemel.ops.record import Call
from gemel.tensor import inplace, record_n

from .array import Array, check_array
from .dtypes import promote
from .recording import binary, check_broadcast, kinds_of, operands, require, unary

_BY_ZERO = Fault(ZeroDivisionError, "integer division by zero")
_FLOAT = "real floating, complex floating"
_REAL = "integral, real floating"
_ALL = "bool, numeric"
_BITS = "bool, integral"


# ---------- one operand ----------
def _floats_only(build):
    """Integers are left as they are."""
    return lambda x: build(x) if x.dtype.is_float else x


def _log_of(base: float, build):
    """Of complex numbers, by the natural logarithm."""
    return lambda x: el.LOG(x) * (1.0 / math.log(base)) if x.dtype.kind == "c" else build(x)


def _all_true(x: Node) -> Node:
    return el.eq(x, x)


def _sign(x: Node) -> Node:
    return direction(x) if x.dtype.kind == "c" else el.sign(x)


def _is_finite(x: Node) -> Node:
    if x.dtype.kind == "c":
        return el.and_(_is_finite(real_part(x)), _is_finite(imaginary(x)))
    return predicates.is_finite(x) if x.dtype.is_float else _all_true(x)


def _is_infinite(x: Node) -> Node:
    if x.dtype.kind == "c":
        return el.or_(_is_infinite(real_part(x)), _is_infinite(imaginary(x)))
    return predicates.is_infinite(x) if x.dtype.is_float else el.NOT(_all_true(x))


def _is_nan(x: Node) -> Node:
    if x.dtype.kind == "c":
        return el.or_(el.is_nan(real_part(x)), el.is_nan(imaginary(x)))
    return el.is_nan(x)


abs = unary("abs", "numeric", lambda x: x if x.dtype.kind == "u" else el.ABS(x),
            "The size of each number; of complex ones, the modulus.")  # fmt: skip
acos = unary("acos", _FLOAT, inverse.acos, "The inverse of cos.")
acosh = unary("acosh", _FLOAT, tr.acosh, "The inverse of cosh.")
asin = unary("asin", _FLOAT, inverse.asin, "The inverse of sin.")
asinh = unary("asinh", _FLOAT, tr.asinh, "The inverse of sinh.")
atan = unary("atan", _FLOAT, inverse.atan, "The inverse of tan.")
atanh = unary("atanh", _FLOAT, tr.atanh, "The inverse of tanh.")
bitwise_invert = unary("bitwise_invert", _BITS, el.NOT, "Each bit inverted.")
ceil = unary("ceil", _REAL, _floats_only(el.ceil), "Rounded up.")
conj = unary("conj", "numeric", lambda x: conjugate(x) if x.dtype.kind == "c" else x,
             "The conjugate; real numbers as they are.")  # fmt: skip
cos = unary("cos", _FLOAT, el.COS, "The cosine of an angle in radians.")
cosh = unary("cosh", _FLOAT, tr.cosh, "The hyperbolic cosine.")
exp = unary("exp", _FLOAT, el.EXP, "e to the power x.")
expm1 = unary("expm1", _FLOAT, el.EXPM1, "exp(x) - 1, exact near 0.")
floor = unary("floor", _REAL, _floats_only(el.floor), "Rounded down.")
imag = unary("imag", "complex floating", imaginary, "The imaginary part.")
isfinite = unary("isfinite", "numeric", _is_finite, "Neither infinite nor NaN.")
isinf = unary("isinf", "numeric", _is_infinite, "Infinite, of either sign.")
isnan = unary("isnan", "numeric", _is_nan, "Not a number.")
log = unary("log", _FLOAT, el.LOG, "The natural logarithm.")
log10 = unary("log10", _FLOAT, _log_of(10.0, tr.log10), "The logarithm to base 10.")
log1p = unary("log1p", _FLOAT, el.LOG1P, "log(1 + x), exact near 0.")
log2 = unary("log2", _FLOAT, _log_of(2.0, tr.log2), "The logarithm to base 2.")
logical_not = unary("logical_not", "bool", el.NOT, "True where x is False.")
negative = unary("negative", "numeric", el.NEG, "-x.")
positive = unary("positive", "numeric", lambda x: x, "x.")
real = unary("real", "numeric", lambda x: real_part(x) if x.dtype.kind == "c" else x,
             "The real part.")  # fmt: skip
reciprocal = unary("reciprocal", _FLOAT, tr.reciprocal, "1 / x.")
sign = unary("sign", "numeric", _sign, "-1, 0 or 1; x / abs(x) of complex numbers.")
signbit = unary("signbit", "real floating", predicates.sign_bit, "Is the sign bit set?")
sin = unary("sin", _FLOAT, el.SIN, "The sine of an angle in radians.")
sinh = unary("sinh", _FLOAT, tr.sinh, "The hyperbolic sine.")
sqrt = unary("sqrt", _FLOAT, el.SQRT, "The square root.")
square = unary("square", "numeric", el.square, "x * x.")
tan = unary("tan", _FLOAT, tr.tan, "The tangent of an angle in radians.")
tanh = unary("tanh", _FLOAT, el.TANH, "The hyperbolic tangent.")
trunc = unary("trunc", _REAL, _floats_only(el.trunc), "Rounded towards zero.")


def _round(x: Node) -> Node:
    if x.dtype.kind == "c":
        return from_parts(el.ROUND(real_part(x)), el.ROUND(imaginary(x)))
    return el.ROUND(x) if x.dtype.is_float else x


round = unary("round", "numeric", _round, "To the nearest whole number, halves to the even one.")


# ---------- two operands ----------
def _copy_sign(a: Node, b: Node) -> Node:
    size = el.ABS(a)
    return el.where(predicates.sign_bit(b), -size, size)


def _power(a: Node, b: Node) -> Node:
    return rounding.integer_power(a, b) if a.dtype.is_integer else el.POW(a, b)


add = binary("add", "numeric", el.add, "x1 + x2.")
atan2 = binary("atan2", "real floating", inverse.atan2, "The angle of the point (x2, x1).")
bitwise_and = binary("bitwise_and", _BITS, el.and_, "Bits set in both.")
bitwise_left_shift = binary("bitwise_left_shift", "integral", el.shl, "x1 << x2.")
bitwise_or = binary("bitwise_or", _BITS, el.or_, "Bits set in either.")
bitwise_right_shift = binary("bitwise_right_shift", "integral", el.shr, "x1 >> x2.")
bitwise_xor = binary("bitwise_xor", _BITS, el.xor, "Bits set in one of the two.")
copysign = binary("copysign", "real floating", _copy_sign, "x1 with the sign of x2.")
divide = binary("divide", _FLOAT, el.div, "x1 / x2.")
equal = binary("equal", _ALL, el.eq, "x1 == x2.")
floor_divide = binary("floor_divide", _REAL,
                      lambda a, b: rounding.floored_quotient(a, b, _BY_ZERO),
                      "x1 / x2 rounded down; ZeroDivisionError for integers by zero.")  # fmt: skip
greater = binary("greater", _REAL, el.gt, "x1 > x2.")
greater_equal = binary("greater_equal", _REAL, el.ge, "x1 >= x2.")
hypot = binary("hypot", "real floating", tr.hypot, "The length of the vector (x1, x2).")
less = binary("less", _REAL, el.lt, "x1 < x2.")
less_equal = binary("less_equal", _REAL, el.le, "x1 <= x2.")
logaddexp = binary("logaddexp", "real floating", tr.log_add_exp, "log(exp(x1) + exp(x2)).")
logical_and = binary("logical_and", "bool", el.and_, "True where both are.")
logical_or = binary("logical_or", "bool", el.or_, "True where either is.")
logical_xor = binary("logical_xor", "bool", el.xor, "True where one of the two is.")
maximum = binary("maximum", _REAL, el.maximum, "The larger number; NaN where either is.")
minimum = binary("minimum", _REAL, el.minimum, "The smaller number; NaN where either is.")
multiply = binary("multiply", "numeric", el.mul, "x1 * x2.")
nextafter = binary("nextafter", "real floating", float_parts.next_after,
                   "The number next to x1 towards x2.")  # fmt: skip
not_equal = binary("not_equal", _ALL, el.ne, "x1 != x2.")
pow = binary("pow", "numeric", _power, "x1 to the power x2.")
remainder = binary("remainder", _REAL, lambda a, b: rounding.remainder(a, b, _BY_ZERO),
                   "The remainder of x1 / x2, with the sign of x2.")  # fmt: skip
subtract = binary("subtract", "numeric", el.sub, "x1 - x2.")


# ---------- limits ----------
def _clip(attrs, x: Node, *limits: Node) -> Node:
    """attrs: which of the two limits are given."""
    found = x
    for given, limit, within in zip(attrs, _spread(attrs, limits), (el.maximum, el.minimum),
                                    strict=True):  # fmt: skip
        if given:
            found, limit = promote(found, limit)
            require("clip", found, kinds_of(_REAL), _REAL)
            check_broadcast("clip", found, limit)
            found = within(found, limit)
    return el.cast(found, x.dtype)


def _spread(given, values):
    rest = iter(values)
    return [next(rest) if g else None for g in given]


CLIP = Call("clip", _clip)


def clip(x, /, min=None, max=None) -> Array:
    """x with what is below `min` or above `max` replaced by these; either may be None."""
    check_array("clip", x)
    limits = [limit for limit in (min, max) if limit is not None]
    return record_n(CLIP, Array, operands("clip", x, *limits), (min is not None, max is not None))


# ---------- operators ----------
_OPERATORS = {
    "add": add, "sub": subtract, "mul": multiply, "truediv": divide, "floordiv": floor_divide,
    "mod": remainder, "pow": pow, "and": bitwise_and, "or": bitwise_or, "xor": bitwise_xor,
    "lshift": bitwise_left_shift, "rshift": bitwise_right_shift,
}  # fmt: skip
_COMPARISONS = {"lt": less, "le": less_equal, "gt": greater, "ge": greater_equal, "eq": equal,
                "ne": not_equal}  # fmt: skip
_ONE = {"abs": abs, "neg": negative, "pos": positive, "invert": bitwise_invert}


def _taken(x) -> bool:
    return isinstance(x, Array | bool | int | float | complex)


def _forward(function):
    return lambda self, other: function(self, other) if _taken(other) else NotImplemented


def _reflected(function):
    return lambda self, other: function(other, self) if _taken(other) else NotImplemented


def _in_place(name: str, function):
    """The result has the target's type and shape."""

    def expand(attrs, target, other):
        if promote(target, other)[0].dtype is not target.dtype:
            raise TypeError(f"{name}: {other.dtype} does not go into an array of {target.dtype}")
        found = function.call.expand(attrs, target, other)
        if found.shape != target.shape:
            raise ValueError(f"{name}: shape {found.shape} does not go into {target.shape}")
        return found

    call = Call(name, expand)

    def method(self, other):
        return inplace(call, self, *operands(name, other, self)[:1]) if _taken(other) else (
            NotImplemented
        )  # fmt: skip

    return method


def _install() -> None:
    for name, function in _OPERATORS.items():
        setattr(Array, f"__{name}__", _forward(function))
        setattr(Array, f"__r{name}__", _reflected(function))
        setattr(Array, f"__i{name}__", _in_place(f"__i{name}__", function))
    for name, function in _COMPARISONS.items():
        setattr(Array, f"__{name}__", _forward(function))
    for name, function in _ONE.items():
        setattr(Array, f"__{name}__", (lambda f: lambda self: f(self))(function))
    Array.__hash__ = None


_install()
