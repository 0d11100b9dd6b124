"""Elementwise operations with arguments of their own: add with alpha, division with rounding,
powers, clamp, where, lerp, comparisons with tolerance; and the operators of Tensor.
"""

from __future__ import annotations

from functools import partial

from gemel.graph.form import bool_, int64
from gemel.graph.node import Node
from gemel.ops import elementwise, predicates, rounding, transcendental
from gemel.ops.attention import hides
from gemel.ops.complex import as_complex, as_real
from gemel.ops.declared import flat
from gemel.ops.elementwise import cast
from gemel.ops.half_types import as_given
from gemel.ops.record import Call, is_number
from gemel.tensor import item, record1, record2, record3, record_n

from . import dtypes, pointwise
from .checks import check_broadcast, not_implemented, wrong_argument
from .define import (
    arithmetic,
    assigning,
    binary_function,
    into,
    is_factor,
    operand,
    operator,
    reflected,
    stored,
    with_factor,
)
from .pointwise import logical_on_bools, numbers_only, subtraction_types
from .promotion import as_float, promoted
from .tensor import Tensor, attach
from .writing import inplace

# ---------- sums and differences ----------
ADD = arithmetic("add", logical_on_bools(elementwise.add, elementwise.or_))
SUB = arithmetic("sub", elementwise.sub, subtraction_types)
_ADD_IN_PLACE = stored(ADD)
_SUB_IN_PLACE = stored(SUB)


def _scaled(other, alpha):
    """other * alpha; an alpha that is no whole number needs a floating-point operand."""
    if alpha.__class__ is int and alpha == 1:
        return other
    whole = isinstance(other, Tensor) and not other.form.dtype.is_smooth
    if whole and isinstance(alpha, float):
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if isinstance(alpha, bool) and not (isinstance(other, Tensor) and other.form.dtype is bool_):
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    return other * alpha


_ADD_TIMES, _SUB_TIMES = (with_factor(call, pointwise.mul.call) for call in (ADD, SUB))
_ADD_TIMES_IN_PLACE, _SUB_TIMES_IN_PLACE = stored(_ADD_TIMES), stored(_SUB_TIMES)
_plain_add = binary_function("add", ADD)
_plain_sub = binary_function("sub", SUB)


def _sum(plain: Call, times: Call, function, input, other, alpha, out) -> Tensor:
    if out is None and isinstance(input, Tensor) and isinstance(other, Tensor):
        if alpha == 1:
            return record2(plain, input, other)
        if is_factor(alpha, other):
            return record3(times, input, other, alpha)
    return function(input, _scaled(other, alpha), out=out)


def add(input, other, *, alpha=1, out=None) -> Tensor:
    """input + alpha * other; the operands broadcast and are promoted."""
    return _sum(ADD, _ADD_TIMES, _plain_add, input, other, alpha, out)


def sub(input, other, *, alpha=1, out=None) -> Tensor:
    """input - alpha * other; the operands broadcast and are promoted."""
    return _sum(SUB, _SUB_TIMES, _plain_sub, input, other, alpha, out)


def rsub(input, other, *, alpha=1) -> Tensor:
    """other - alpha * input."""
    if not isinstance(input, Tensor):
        raise wrong_argument("rsub", "input", 1, input)
    return _plain_sub(other, _scaled(input, alpha))


subtract = sub


@attach("add")
def _add(self, other, *, alpha=1):
    return add(self, other, alpha=alpha)


@attach("sub", "subtract")
def _sub(self, other, *, alpha=1):
    return sub(self, other, alpha=alpha)


@attach("add_")
def _add_in_place(self, other, *, alpha=1):
    if alpha.__class__ is float and is_factor(alpha, other):
        return inplace(_ADD_TIMES_IN_PLACE, self, other, alpha)
    return inplace(_ADD_IN_PLACE, self, operand("add_", _scaled(other, alpha)))


@attach("sub_", "subtract_")
def _sub_in_place(self, other, *, alpha=1):
    if alpha.__class__ is float and is_factor(alpha, other):
        return inplace(_SUB_TIMES_IN_PLACE, self, other, alpha)
    return inplace(_SUB_IN_PLACE, self, operand("sub_", _scaled(other, alpha)))


# ---------- quotients ----------
DIV = pointwise.true_divide.call
_TRUNC_DIVIDE = arithmetic(
    "div", lambda a, b: rounding.truncated_quotient(a, b, pointwise.ZERO_DIVISION)
)
_FLOOR_DIVIDE = pointwise.floor_divide.call
_QUOTIENTS = {None: DIV, "trunc": _TRUNC_DIVIDE, "floor": _FLOOR_DIVIDE}
_QUOTIENTS_IN_PLACE = {mode: stored(call) for mode, call in _QUOTIENTS.items()}
_QUOTIENT_FUNCTIONS = {mode: binary_function("div", call) for mode, call in _QUOTIENTS.items()}


def _quotient(table: dict, mode):
    found = table.get(mode)
    if found is None:
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{mode}'"
        )
    return found


def div(input, other, *, rounding_mode=None, out=None) -> Tensor:
    """input / other; rounding_mode None (true division), 'trunc' or 'floor'."""
    return _quotient(_QUOTIENT_FUNCTIONS, rounding_mode)(input, other, out=out)


divide = div


@attach("div", "divide")
def _div(self, other, *, rounding_mode=None):
    return _quotient(_QUOTIENT_FUNCTIONS, rounding_mode)(self, other)


@attach("div_", "divide_")
def _div_in_place(self, other, *, rounding_mode=None):
    call = _quotient(_QUOTIENTS_IN_PLACE, rounding_mode)
    return inplace(call, self, operand("div_", other))


# ---------- powers ----------
def _power(a: Node, b: Node) -> Node:
    return elementwise.POW(a, b) if a.dtype.is_smooth else rounding.integer_power(a, b)


POW = arithmetic("pow", _power, numbers_only("pow"))


def _static_power(attrs, x):
    """x to a power that is part of the program: small whole ones, halves."""
    kind, exponent = attrs
    if kind == "int" and not x.dtype.is_smooth:
        if exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        return rounding.static_power(cast(x, int64) if x.dtype is bool_ else x, exponent)
    (x,) = as_float(x)
    if exponent < 0 and kind == "int":
        return transcendental.reciprocal(elementwise.power(x, -exponent))
    return elementwise.power(x, exponent)


STATIC_POW = Call("pow", _static_power)
_POW_IN_PLACE = stored(POW)
_STATIC_POW_IN_PLACE = stored(STATIC_POW)
_HALVES = (0.5, -0.5, -1.0)
_pow_numbers = binary_function("pow", POW)


def _static_exponent(exponent) -> tuple | None:
    """The attrs of `STATIC_POW` where the exponent is worth a program of its own."""
    if exponent.__class__ is int and -4 <= exponent <= 64:
        return ("int", exponent)
    if exponent.__class__ is float and (exponent in _HALVES or exponent in (1.0, 2.0, 3.0, 4.0)):
        return ("float", exponent)
    return None


def pow(input, exponent, *, out=None) -> Tensor:
    """input ** exponent; either may be a number. Integers need exponents that are not negative."""
    if isinstance(input, Tensor):
        return into(out, input.pow(exponent), input, exponent, name="pow")
    if not isinstance(exponent, Tensor):
        raise TypeError("pow(): one of the arguments must be a Tensor")
    return _pow_numbers(input, exponent, out=out)


@attach("pow")
def _pow(self, exponent):
    attrs = _static_exponent(exponent)
    if attrs is not None:
        return record1(STATIC_POW, self, attrs)
    return record2(POW, self, operand("pow", exponent, 1))


@attach("__pow__")
def _pow_operator(self, exponent):
    attrs = _static_exponent(exponent)
    if attrs is not None:
        return record1(STATIC_POW, self, attrs)
    return _plain_power(self, exponent)


_plain_power = operator(POW)


@attach("pow_")
def _pow_in_place(self, exponent):
    attrs = _static_exponent(exponent)
    if attrs is not None:
        return inplace(_STATIC_POW_IN_PLACE, self, attrs=attrs)
    return inplace(_POW_IN_PLACE, self, operand("pow_", exponent))


@attach()
def float_power(input, exponent) -> Tensor:
    """input ** exponent in double precision."""
    from .creation import converted

    if not isinstance(input, Tensor) and not isinstance(exponent, Tensor):
        raise wrong_argument("float_power", "input", 1, input)

    kinds = [x.dtype.is_complex if isinstance(x, Tensor) else isinstance(x, complex)
             for x in (input, exponent)]  # fmt: skip
    wide = dtypes.complex128.engine if any(kinds) else dtypes.float64.engine
    number = complex if any(kinds) else float
    base = converted(input, wide) if isinstance(input, Tensor) else number(input)
    if isinstance(exponent, Tensor):
        exponent = converted(exponent, wide)
    return pow(base, exponent)


@attach("float_power_")
def _float_power_in_place(self, exponent):
    parts = self.dtype.is_complex or getattr(exponent, "dtype", dtypes.float64).is_complex
    wide = dtypes.complex128 if parts or isinstance(exponent, complex) else dtypes.float64
    if self.dtype is not wide:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {dtypes.short_name(self.form.dtype)} but "
            f"the operation's result requires dtype {dtypes.short_name(wide.engine)}"
        )
    return self.pow_(exponent)


# ---------- limits ----------
def _clamp(attrs, x, *limits):
    """attrs: (is there a minimum, is there a maximum)."""
    low, high = attrs
    check_broadcast(x, *limits)
    whole = any(is_number(n) for n in limits) or low and high
    x, *limits = promoted(x, *limits)
    if x.dtype is bool_ and whole:
        raise not_implemented(f"clamp{'' if low and high else '_min' if low else '_max'}", x)
    if low:
        # a choice and not `maximum`: at the limit itself the whole gradient flows
        x = elementwise.where(elementwise.lt(x, limits[0]), limits[0], x)
    if high:
        x = elementwise.where(elementwise.gt(x, limits[-1]), limits[-1], x)
    return x


CLAMP = Call("clamp", _clamp)
_CLAMP_IN_PLACE = stored(CLAMP)


def _limits(min, max) -> tuple[list, tuple]:
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    given = [operand("clamp", x) for x in (min, max) if x is not None]
    return given, (min is not None, max is not None)


@attach("clamp", "clip")
def _clamped(self, min=None, max=None):
    given, attrs = _limits(min, max)
    return record_n(CLAMP, Tensor, (self, *given), attrs)


@attach("clamp_", "clip_")
def _clamp_in_place(self, min=None, max=None):
    given, attrs = _limits(min, max)
    return inplace(_CLAMP_IN_PLACE, self, *given, attrs=attrs)


def clamp(input, min=None, max=None, *, out=None) -> Tensor:
    """input limited to [min, max]; the limits are numbers or tensors, one may be left out."""
    if not isinstance(input, Tensor):
        raise wrong_argument("clamp", "input", 1, input)
    return into(out, input.clamp(min, max), input, types="same", name="clamp")


clip = clamp


def clamp_min(input, min) -> Tensor:
    if not isinstance(input, Tensor):
        raise wrong_argument("clamp_min", "input", 1, input)
    return input.clamp(min=min)


def clamp_max(input, max) -> Tensor:
    if not isinstance(input, Tensor):
        raise wrong_argument("clamp_max", "input", 1, input)
    return input.clamp(max=max)


attach("clamp_min")(clamp_min)
attach("clamp_max")(clamp_max)
attach("clamp_min_")(lambda self, min: self.clamp_(min=min))
attach("clamp_max_")(lambda self, max: self.clamp_(max=max))


# ---------- rounding ----------
def _round(attrs, x):
    if x.dtype is bool_:
        raise not_implemented("round_cpu", x)
    if not x.dtype.is_smooth:
        return x
    decimals = attrs[0]
    nearest = partial(rounding.round_to, decimals=decimals) if decimals else elementwise.ROUND
    return flat(f"round {decimals}", nearest)(x)


ROUND = Call("round", _round)
_ROUND_IN_PLACE = stored(ROUND)


@attach()
def round(input, *, decimals: int = 0, out=None) -> Tensor:
    """To the nearest whole number (halves to even), or to `decimals` places."""
    return into(out, record1(ROUND, input, (decimals,)), input, name="round")


@attach("round_")
def _round_in_place(self, *, decimals: int = 0):
    return inplace(_ROUND_IN_PLACE, self, attrs=(decimals,))


def _nan_to_number(attrs, x):
    if x.dtype.is_complex:
        return as_complex(_nan_to_number(attrs, as_real(x)))
    if not x.dtype.is_float:
        return x
    limits = dtypes.finfo(dtypes.FACE[as_given(x).dtype])
    nan, top, bottom = (None if a is None else float(a) for a in attrs)
    return transcendental.nan_to_number(
        x,
        0.0 if nan is None else nan,
        limits.max if top is None else top,
        limits.min if bottom is None else bottom,
    )


NAN_TO_NUM = Call("nan_to_num", _nan_to_number)
_NAN_TO_NUM_IN_PLACE = stored(NAN_TO_NUM)


def _spelt(*numbers):
    """Numbers as static arguments: as text, so that 0.0 and -0.0 stay apart."""
    return tuple(None if n is None else repr(float(n)) for n in numbers)


@attach()
def nan_to_num(input, nan=0.0, posinf=None, neginf=None, *, out=None) -> Tensor:
    """NaN and infinities replaced; by default by 0 and the type's largest and smallest values."""
    return into(out, record1(NAN_TO_NUM, input, _spelt(nan, posinf, neginf)))


@attach("nan_to_num_")
def _nan_to_num_in_place(self, nan=0.0, posinf=None, neginf=None):
    return inplace(_NAN_TO_NUM_IN_PLACE, self, attrs=_spelt(nan, posinf, neginf))


def _logit(attrs, x):
    (x,) = as_float(x)
    if attrs[0] is not None:
        epsilon = float(attrs[0])
        x = elementwise.minimum(elementwise.maximum(x, epsilon), 1.0 - epsilon)
    return transcendental.logit(x)


LOGIT = Call("logit", _logit)


@attach()
def logit(input, eps=None) -> Tensor:
    """log(x / (1 - x)); with eps, x is first limited to [eps, 1 - eps]."""
    return record1(LOGIT, input, _spelt(eps))


# ---------- choices and mixtures ----------
def _where(attrs, condition, a, b):
    if condition.dtype is not bool_ and condition.dtype.name != "uint8":
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{dtypes.short_name(condition.dtype)}"
        )
    check_broadcast(condition, a, b)
    return elementwise.where(predicates.truth(condition), *promoted(a, b))


def _where_low(attrs, condition, a):
    """attrs: the number where the condition does not hold, as part of the program."""
    return _where((), condition, a, elementwise.const(attrs[0], a.dtype))


WHERE = Call("where", _where)
WHERE_LOW = Call("where", _where_low)


def where(condition, input=None, other=None, *, out=None):
    """input where condition holds, else other; all broadcast. With the condition alone: the
    positions where it holds, as `nonzero(as_tuple=True)`."""
    if not isinstance(condition, Tensor):
        raise wrong_argument("where", "condition", 1, condition)
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    a, b = operand("where", input), operand("where", other, 3)
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        from .creation import tensor

        a = tensor(a)
    if hides(b) and a.form.dtype.is_float:
        made = record2(WHERE_LOW, condition, a, (b,))
    else:
        made = record3(WHERE, condition, a, b)
    return into(out, made, a, b, types="same", name="where")


@attach("where")
def _where_method(self, condition, other):
    return where(condition, self, other)


def _lerp(attrs, a, b, weight):
    check_broadcast(a, b, weight)
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"expected dtype {dtypes.FACE[a.dtype].name} for `end` but got dtype "
            f"{dtypes.FACE[b.dtype].name}"
        )
    return transcendental.lerp(a, b, cast(weight, a.dtype))


LERP = Call("lerp", _lerp)
_LERP_IN_PLACE = stored(LERP)


@attach()
def lerp(input, end, weight, *, out=None) -> Tensor:
    """input + weight * (end - input); weight is a number or a tensor."""
    return into(out, record3(LERP, input, end, operand("lerp", weight, 3)))


@attach("lerp_")
def _lerp_in_place(self, end, weight):
    return inplace(_LERP_IN_PLACE, self, end, operand("lerp_", weight, 2))


def _combined(name: str, combine) -> Call:
    def expand(attrs, base, a, b, value):
        check_broadcast(base, a, b)
        base, a, b = promoted(base, a, b)
        return base + cast(value, base.dtype) * combine(a, b)

    return Call(name, expand)


ADDCMUL = _combined("addcmul", elementwise.mul)
ADDCDIV = _combined("addcdiv", elementwise.div)
_ADDCMUL_IN_PLACE = stored(ADDCMUL)
_ADDCDIV_IN_PLACE = stored(ADDCDIV)


@attach()
def addcmul(input, tensor1, tensor2, *, value=1, out=None) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return into(out, record_n(ADDCMUL, Tensor, (input, tensor1, tensor2, value)))


@attach()
def addcdiv(input, tensor1, tensor2, *, value=1, out=None) -> Tensor:
    """input + value * tensor1 / tensor2 (floating point only)."""
    if all(not t.form.dtype.is_smooth for t in (tensor1, tensor2)):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported; convert the tensors to a "
            "floating-point type"
        )
    return into(out, record_n(ADDCDIV, Tensor, (input, tensor1, tensor2, value)))


@attach("addcmul_")
def _addcmul_in_place(self, tensor1, tensor2, *, value=1):
    return inplace(_ADDCMUL_IN_PLACE, self, tensor1, tensor2, value)


@attach("addcdiv_")
def _addcdiv_in_place(self, tensor1, tensor2, *, value=1):
    return inplace(_ADDCDIV_IN_PLACE, self, tensor1, tensor2, value)


# ---------- comparisons of whole tensors ----------
def _isclose(attrs, a, b):
    relative, absolute, equal_nan = attrs
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{dtypes.short_name(a.dtype)} did not match {dtypes.short_name(b.dtype)}"
        )
    check_broadcast(a, b)
    if not a.dtype.is_float:
        a, b = as_float(a, b)
    return transcendental.near(a, b, float(relative), float(absolute), equal_nan)


ISCLOSE = Call("isclose", _isclose, False)


@attach()
def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> Tensor:
    """|input - other| <= atol + rtol * |other|, elementwise."""
    for place, given in enumerate((input, other), 1):
        if not isinstance(given, Tensor):
            raise wrong_argument("isclose", ("input", "other")[place - 1], place, given)
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value < 0:
            raise RuntimeError(
                f"{name} must be greater than or equal to zero, but got {float(value):f}"
            )
    return record2(ISCLOSE, input, other, (*_spelt(rtol, atol), bool(equal_nan)))


@attach()
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> bool:
    """Are all elements close (see `isclose`)? Runs what is pending."""
    return bool(item(isclose(input, other, rtol, atol, equal_nan).all()))


@attach()
def equal(input, other) -> bool:
    """The same shape and the same values? Runs what is pending."""
    if not isinstance(other, Tensor):
        raise wrong_argument("equal", "other", 2, other)
    if input.form.shape != other.form.shape:
        return False
    return bool(item((input == other).all()))


# ---------- the operators of Tensor ----------
def _operators() -> dict:
    """name of the special method -> the Call it records; reflected forms come with it."""
    p = pointwise
    return {
        "add": ADD,
        "sub": SUB,
        "mul": p.mul.call,
        "truediv": DIV,
        "floordiv": p.floor_divide.call,
        "mod": p.remainder.call,
        "and": p.bitwise_and.call,
        "or": p.bitwise_or.call,
        "xor": p.bitwise_xor.call,
        "lshift": p.bitwise_left_shift.call,
        "rshift": p.bitwise_right_shift.call,
    }


for _name, _call in _operators().items():
    setattr(Tensor, f"__{_name}__", operator(_call))
    setattr(Tensor, f"__r{_name}__", reflected(_call))
    setattr(Tensor, f"__i{_name}__", assigning(_call))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Tensor, f"__{_name}__", operator(getattr(pointwise, _name).call))

for _way in ("", "r", "i"):  # the operator's name before Python 3
    setattr(Tensor, f"__{_way}div__", getattr(Tensor, f"__{_way}truediv__"))
Tensor.__rpow__ = reflected(POW)
Tensor.__ipow__ = lambda self, exponent: self.pow_(exponent)
Tensor.__neg__ = Tensor.neg
Tensor.__pos__ = Tensor.positive
Tensor.__abs__ = Tensor.abs
Tensor.__invert__ = Tensor.bitwise_not
Tensor.true_divide = Tensor.div
Tensor.true_divide_ = Tensor.div_
