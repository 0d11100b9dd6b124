"""Elementwise ops of `keras.ops`: arithmetic, comparison, logic, functions of one value.

Signatures and promotion are those of `keras.ops`; the mathematics is in `gemel/ops`. Tables first:
a row is the name, the function over nodes and the rule of its element type.
"""

from __future__ import annotations

import math

import ml_dtypes
from keras.src.backend import config
from keras.src.backend.common.variables import standardize_dtype

from gemel import tensor as lazy
from gemel.graph.form import bool_, int32
from gemel.ops import elementwise as E
from gemel.ops import inverse_trigonometry as arcs
from gemel.ops import transcendental as T
from gemel.ops.attention import hides
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.error_functions import erfc, erfinv
from gemel.ops.predicates import is_finite, is_infinite
from gemel.ops.record import Call, const

from .row_gradients import by_rows
from .tensors import (
    NUMBERS,
    apply,
    convert_to_tensor,
    dtype_of,
    float_dtype,
    kind_of,
    result_dtype,
    spelled,
    spoken,
    tensor,
    to_dtype,
)


# ---------- rules: the element type that one operand is taken to ----------
def _as_float(x):
    return float_dtype(x)


def _as_it_is(x):
    return x.form.dtype


def _no_bool(x):
    return int32 if x.form.dtype is bool_ else x.form.dtype


def _truth(x):
    return bool_


def _float64_of_int64(x):
    """floatx for integers, but float64 for int64."""
    if x.form.dtype.is_float:
        return x.form.dtype
    wide = standardize_dtype(x.form.dtype.name) == "int64"
    return dtype_of("float64" if wide else config.floatx())


def _unary(name: str, build, rule):
    call = Call(name, lambda attrs, x: build(cast_node(x, attrs[0])))

    def op(x) -> lazy.Tensor:
        x = tensor(x)
        return lazy.record1(call, x, (rule(x),))

    op.__name__ = op.__qualname__ = name
    return op


def _integer_safe(build):
    """Applies to floats only; integers and truth values are their own result."""
    return lambda x: build(x) if x.dtype.is_float else x


def _constant(value: bool):
    return lambda x: E.eq(E.eq(x, x), const(value, bool_))


def _never(x):
    return E.and_(E.eq(x, x), E.ne(x, x))


def _float_or_never(build):
    return lambda x: build(x) if x.dtype.is_float else _never(x)


def _sign_bit(x):
    if not x.dtype.is_float:
        return E.lt(x, 0) if x.dtype.kind == "i" else _never(x)
    # one over a zero tells the two zeros apart
    return E.lt(E.where(E.eq(x, 0.0), 1.0 / x, x), 0.0)


_UNARY = {
    "exp": (E.EXP, _as_float),
    "exp2": (T.exp2, _as_float),
    "expm1": (E.EXPM1, _as_float),
    "log": (E.LOG, _as_float),
    "log1p": (E.LOG1P, _as_float),
    "log2": (T.log2, _as_float),
    "log10": (T.log10, _as_float),
    "sqrt": (E.SQRT, _as_float),
    "rsqrt": (E.rsqrt, _as_float),
    "sin": (E.SIN, _as_float),
    "cos": (E.COS, _as_float),
    "tan": (T.tan, _as_float),
    "sinh": (T.sinh, _as_float),
    "cosh": (T.cosh, _as_float),
    "tanh": (E.TANH, _as_float),
    "arcsin": (arcs.asin, _as_float),
    "arccos": (arcs.acos, _as_float),
    "arctan": (arcs.atan, _as_float),
    "arcsinh": (T.asinh, _as_float),
    "arccosh": (T.acosh, _as_float),
    "arctanh": (T.atanh, _as_float),
    "erf": (E.ERF, _as_float),
    "erfc": (erfc, _as_float),
    "erfinv": (erfinv, _as_float),
    "sinc": (T.sinc, _as_float),
    "cbrt": (T.cbrt, _float64_of_int64),
    "deg2rad": (lambda x: x * (math.pi / 180), _float64_of_int64),
    "rad2deg": (lambda x: x * (180 / math.pi), _float64_of_int64),
    "fabs": (E.ABS, _as_float),
    "floor": (E.FLOOR, _as_float),
    "ceil": (E.ceil, _as_float),
    "trunc": (_integer_safe(E.trunc), _as_it_is),
    "negative": (lambda x: -x, _as_it_is),
    "absolute": (lambda x: E.ABS(x) if x.dtype.kind in "if" else x, _as_it_is),
    "sign": (lambda x: x if x.dtype is bool_ else E.sign(x), _as_it_is),
    "square": (lambda x: x * x, _no_bool),
    "reciprocal": (lambda x: 1.0 / x, _as_float),
    "isnan": (_float_or_never(E.is_nan), _as_it_is),
    "isinf": (is_infinite, _as_it_is),
    "isposinf": (_float_or_never(lambda x: E.eq(x, math.inf)), _as_it_is),
    "isneginf": (_float_or_never(lambda x: E.eq(x, -math.inf)), _as_it_is),
    "isfinite": (is_finite, _as_it_is),
    "isreal": (lambda x: E.or_(E.eq(x, x), E.ne(x, x)), _as_it_is),
    "signbit": (_sign_bit, _as_it_is),
    "logical_not": (lambda x: E.NOT(x), _truth),
    "bitwise_invert": (lambda x: E.NOT(x), _as_it_is),
    "copy": (lambda x: x, _as_it_is),
    "conjugate": (lambda x: x, _as_it_is),
    "real": (lambda x: x, _as_it_is),
    "imag": (lambda x: E.where(_never(x), x, const(0, x.dtype)), _as_it_is),
    "angle": (
        lambda x: E.where(E.lt(x, 0.0), const(math.pi, x.dtype), E.where(E.eq(x, x), 0.0, x)),
        _as_float,
    ),
}
OPS = {name: _unary(name, *row) for name, row in _UNARY.items()}
OPS |= {name: by_rows(OPS[name]) for name in ("square", "absolute")}


# ---------- two operands ----------
def _pair(name: str, build):
    """A call on two nodes, and the calls on one node and a number that a trace has fixed."""

    def both(attrs, a, b):
        return build(cast_node(a, attrs[0]), cast_node(b, attrs[0]))

    def left(attrs, a):
        return build(cast_node(a, attrs[0]), spoken(attrs[1], attrs[0]))

    def right(attrs, b):
        return build(spoken(attrs[1], attrs[0]), cast_node(b, attrs[0]))

    return Call(name, both), Call(name, left), Call(name, right)


def operand(x):
    """A Python number as it is (it promotes weakly), anything else as a tensor."""
    return x if type(x) in NUMBERS else tensor(x)


def record_pair(calls, a, b, dtype) -> lazy.Tensor:
    """Record a two-operand call; numbers are run-time operands, or constants inside a trace."""
    both, left, right = calls
    if type(a) in NUMBERS and type(b) in NUMBERS:
        a = convert_to_tensor(a, dtype.name)
    elif type(a) in NUMBERS or type(b) in NUMBERS:
        if not lazy.tracing():
            return lazy.record2(both, a, b, (dtype,))
        if type(b) in NUMBERS:
            return lazy.record1(left, a, (dtype, spelled(b)))
        return lazy.record1(right, b, (dtype, spelled(a)))
    if type(b) in NUMBERS:
        return record_pair(calls, a, b, dtype)
    return lazy.record2(both, a, b, (dtype,))


def _binary(name: str, build, *extra, rule=None):
    """extra: further types that take part in promotion. rule: the promoted type's replacement."""
    calls = _pair(name, build)

    def op(x1, x2) -> lazy.Tensor:
        a = operand(x1)
        b = operand(x2)
        dtype = result_dtype(kind_of(a), kind_of(b), *extra)
        return record_pair(calls, a, b, dtype if rule is None else rule(dtype))

    op.__name__ = op.__qualname__ = name
    return op


def _int_for_bool(dtype):
    return int32 if dtype is bool_ else dtype


def _always_bool(dtype):
    return bool_


def _float_for_int(dtype):
    if dtype.is_float:
        return dtype
    return dtype_of("float64" if dtype.name == "int64" else config.floatx())


def _plus(a, b):
    return E.or_(a, b) if a.dtype is bool_ else a + b


def _times(a, b):
    return E.and_(a, b) if a.dtype is bool_ else a * b


def _floor_divide(a, b):
    if a.dtype.is_float:
        return E.floor(a / b)
    return (a - E.mod(a, b)) / b


def _fmod(a, b):
    """The remainder with the dividend's sign."""
    r = E.mod(E.ABS(a), E.ABS(b)) if a.dtype.kind in "if" else E.mod(a, b)
    return E.where(E.lt(a, 0), -r, r) if a.dtype.kind in "if" else r


def _power(a, b):
    if a.dtype.is_float:
        value = b.attrs[0] if b.op.name == "const" else b
        return E.power(a, value)
    return _integer_power(a, b)


def _integer_power(a, b):
    """Square and multiply over the bits of a non-negative exponent; 1 / a^n truncates to 0."""
    if b.op.name == "const" and 0 <= b.attrs[0] <= 8:
        return E.power(a, int(b.attrs[0]))
    one = const(1, a.dtype)
    total = E.where(E.eq(a, a), one, one)
    left = E.maximum(b, 0)
    for _ in range(6):
        odd = E.eq(E.mod(left, const(2, left.dtype)), 1)
        total = E.where(odd, total * a, total)
        a = a * a
        left = left / const(2, left.dtype)
    return E.where(E.lt(b, 0), E.where(E.eq(total, one), one, const(0, a.dtype)), total)


def _no_nan(a, b):
    zero = E.eq(b, 0.0)
    safe = E.where(zero, const(1, b.dtype), b)
    return E.where(zero, const(0, b.dtype), a / safe)


def _prefer_numbers(build):
    """The other operand where one is NaN."""

    def run(a, b):
        if not a.dtype.is_float:
            return build(a, b)
        return E.where(E.is_nan(a), b, E.where(E.is_nan(b), a, build(a, b)))

    return run


_BINARY = {
    "add": (_plus,),
    "subtract": (lambda a, b: E.xor(a, b) if a.dtype is bool_ else a - b,),
    "multiply": (_times,),
    "divide": (lambda a, b: a / b, float),
    "true_divide": (lambda a, b: a / b, float),
    "divide_no_nan": (_no_nan, float),
    "maximum": (E.maximum,),
    "minimum": (E.minimum,),
    "fmax": (_prefer_numbers(E.maximum),),
    "fmin": (_prefer_numbers(E.minimum),),
    "arctan2": (arcs.atan2, float),
    "logaddexp": (T.log_add_exp, float),
    "logaddexp2": (T.log_add_exp2, float),
    "less": (E.lt,),
    "less_equal": (E.le,),
    "greater": (E.gt,),
    "greater_equal": (E.ge,),
    "equal": (E.eq,),
    "not_equal": (E.ne,),
    "bitwise_and": (E.and_,),
    "bitwise_or": (E.or_,),
    "bitwise_xor": (E.xor,),
    "bitwise_left_shift": (E.shl,),
    "bitwise_right_shift": (E.shr,),
}
def _heaviside(x, at_zero):
    """As NumPy has it: NaN stays."""
    return E.where(E.is_nan(x), x, T.heaviside(x, at_zero))


_RULED = {
    "mod": (E.mod, _int_for_bool),
    "fmod": (_fmod, _int_for_bool),
    "floor_divide": (_floor_divide, _int_for_bool),
    "power": (_power, _int_for_bool),
    "hypot": (T.hypot, _float_for_int),
    "heaviside": (_heaviside, _float_for_int),
    "logical_and": (E.and_, _always_bool),
    "logical_or": (E.or_, _always_bool),
    "logical_xor": (E.xor, _always_bool),
}
OPS |= {name: _binary(name, *row) for name, row in _BINARY.items()}
OPS |= {name: _binary(name, build, rule=rule) for name, (build, rule) in _RULED.items()}
_ALIASES = {
    "abs": "absolute",
    "conj": "conjugate",
    "bitwise_not": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
}
OPS |= {name: OPS[other] for name, other in _ALIASES.items()}
_power_op = OPS.pop("power")
globals().update(OPS)


def power(x1, x2) -> lazy.Tensor:
    """x1 ** x2. A Python exponent is part of the call, so that whole ones become products."""
    if type(x2) in NUMBERS and type(x1) not in NUMBERS:
        a = tensor(x1)
        dtype = _int_for_bool(result_dtype(kind_of(a), type(x2)))
        return lazy.record1(_POWER_OF, a, (dtype, spelled(x2)))
    return _power_op(x1, x2)


_POWER_OF = Call(
    "power",
    lambda attrs, a: _power(cast_node(a, attrs[0]), spoken(attrs[1], attrs[0])),
)


# ---------- three operands ----------
_CLIP = Call(
    "clip",
    lambda attrs, x, low, high: E.minimum(
        E.maximum(cast_node(x, attrs[0]), cast_node(low, attrs[0])), cast_node(high, attrs[0])
    ),
)
_CLIP_NUMBERS = Call(
    "clip",
    lambda attrs, x: E.minimum(
        E.maximum(cast_node(x, attrs[0]), spoken(attrs[1], attrs[0])), spoken(attrs[2], attrs[0])
    ),
)


def clip(x, x_min, x_max) -> lazy.Tensor:
    x = tensor(x)
    dtype = _no_bool(x)
    if type(x_min) in NUMBERS and type(x_max) in NUMBERS:
        return lazy.record1(_CLIP_NUMBERS, x, (dtype, spelled(x_min), spelled(x_max)))
    low, high = (to_dtype(tensor(v), dtype) for v in (x_min, x_max))
    return apply(_CLIP, x, low, high, attrs=(dtype,))


_WHERE = Call(
    "where",
    lambda attrs, c, a, b: E.where(
        cast_node(c, bool_), cast_node(a, attrs[0]), cast_node(b, attrs[0])
    ),
)


# what hides scores, or clears shares: part of the program, so that attention is recognised
_WHERE_NUMBER = Call(
    "where",
    lambda attrs, c, a: E.where(
        cast_node(c, bool_), cast_node(a, attrs[0]), spoken(attrs[1], attrs[0])
    ),
)


def where(condition, x1=None, x2=None):
    """x1 where the condition holds, else x2; with the condition alone, the places where it does."""
    if x1 is None and x2 is None:
        from .ordered import nonzero

        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError("`x1` and `x2` either both should be `None` or both should have values.")
    a = operand(x1)
    b = operand(x2)
    dtype = result_dtype(kind_of(a), kind_of(b))
    if type(b) is float and (b == 0 or hides(b)) and type(a) not in NUMBERS:
        return apply(_WHERE_NUMBER, tensor(condition), a, attrs=(dtype, spelled(b)))
    a, b = (convert_to_tensor(v, dtype.name) if type(v) in NUMBERS else v for v in (a, b))
    return apply(_WHERE, tensor(condition), a, b, attrs=(dtype,))


def nan_to_num(x, nan=0.0, posinf=None, neginf=None) -> lazy.Tensor:
    x = tensor(x)
    if not x.form.dtype.is_float:
        return x
    limits = ml_dtypes.finfo(x.form.dtype.numpy)
    top = float(limits.max) if posinf is None else posinf
    bottom = float(limits.min) if neginf is None else neginf
    return lazy.record1(_NAN_TO_NUM, x, (spelled(float(nan)), spelled(top), spelled(bottom)))


def _nan_to_num(attrs, x):
    nan, top, bottom = (spoken(text, x.dtype) for text in attrs)
    finite = E.where(E.eq(x, math.inf), top, E.where(E.eq(x, -math.inf), bottom, x))
    return E.where(E.is_nan(x), nan, finite)


_NAN_TO_NUM = Call("nan_to_num", _nan_to_num)


def isclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False) -> lazy.Tensor:
    a, b = tensor(x1), tensor(x2)
    dtype = result_dtype(kind_of(a), kind_of(b), float)
    attrs = (dtype, spelled(float(rtol)), spelled(float(atol)), bool(equal_nan))
    return apply(_ISCLOSE, a, b, attrs=attrs)


def _isclose(attrs, a, b):
    dtype, rtol, atol, equal_nan = attrs
    a, b = cast_node(a, dtype), cast_node(b, dtype)
    return T.near(a, b, spoken(rtol, dtype), spoken(atol, dtype), equal_nan)


_ISCLOSE = Call("isclose", _isclose)


def ldexp(x1, x2) -> lazy.Tensor:
    """x1 * 2 ** x2 for an integer x2."""
    a, b = tensor(x1), tensor(x2)
    if not b.form.dtype.is_integer:
        raise TypeError(f"ldexp exponent must be an integer type. Received: x2 dtype={b.dtype}")
    dtype = result_dtype(kind_of(a), kind_of(b), float)
    return record_pair(_LDEXP, a, b, dtype)


_LDEXP = _pair("ldexp", lambda a, b: a * T.exp2(b))


def _round(attrs, x):
    """To `decimals` places, halves to even."""
    decimals = attrs[0]
    if not x.dtype.is_float:
        return x if decimals >= 0 else _round_whole(x, 10**-decimals)
    if not decimals:
        return E.ROUND(x)
    return E.ROUND(x * 10.0**decimals) / 10.0**decimals


def _round_whole(x, unit: int):
    """An integer to a multiple of the unit, halves to even multiples."""
    base = x - E.mod(x, const(unit, x.dtype))
    over = E.mod(x, const(unit, x.dtype)) * 2
    odd = E.eq(E.mod(base / const(unit, x.dtype), const(2, x.dtype)), 1)
    up = E.or_(E.gt(over, unit), E.and_(E.eq(over, unit), odd))
    return E.where(up, base + unit, base)


_ROUND = Call("round", _round)


def round(x, decimals=0) -> lazy.Tensor:
    return lazy.record1(_ROUND, tensor(x), (int(decimals),))


def view(x, dtype=None) -> lazy.Tensor:
    """The same bits as another element type of the same size."""
    x = tensor(x)
    return lazy.record1(_BITCAST, x, (dtype_of(dtype or x.form.dtype.name),))


_BITCAST = Call("view", lambda attrs, x: E.BITCAST(x, attrs=attrs))


def stop_gradient(variable) -> lazy.Tensor:
    return lazy.record1(_STOP, tensor(variable))


_STOP = Call("stop_gradient", lambda attrs, x: E.stop_gradient(x))
