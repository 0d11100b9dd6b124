"""Elementwise primitives: one record each, with gradient, reference and lowering side by side.

All operands of one application have one element type (faces promote before); shapes broadcast as
in NumPy, and the gradient driver undoes the broadcasting.
"""

from __future__ import annotations

import math

import numpy as np

from gemel.graph.errors import DTypeError, ShapeError
from gemel.graph.form import DType, Form, bool_, form, int16, int32, int64
from gemel.graph.node import Node

from .record import Primitive, const

_erf = np.vectorize(math.erf, otypes=[float])


def broadcast_shapes(op: str, *forms: Form) -> tuple[int, ...]:
    """The shape that the forms broadcast to; ShapeError where they do not."""
    out: list[int] = []
    width = max((f.ndim for f in forms), default=0)
    for axis in range(-width, 0):
        sizes = {f.shape[axis] for f in forms if f.ndim >= -axis} - {1}
        if len(sizes) > 1:
            raise ShapeError(op, f"sizes {sorted(sizes)} do not broadcast at axis {axis}", forms)
        out.append(sizes.pop() if sizes else 1)
    return tuple(out)


def _same(op: str, kinds: str, result: DType | None = None):
    """Inference: equal element types of the given kinds; the result's is the same or `result`."""

    def infer(attrs, *forms: Form) -> Form:
        dtype = forms[0].dtype
        if any(f.dtype is not dtype for f in forms):
            raise DTypeError(op, "operands of one element type are needed", forms)
        if dtype.kind not in kinds:
            raise DTypeError(op, f"not defined for {dtype}", forms)
        if len(forms) == 2 and forms[0].shape == forms[1].shape or len(forms) == 1:
            return form(forms[0].shape, result or dtype)
        return form(broadcast_shapes(op, *forms), result or dtype)

    return infer


def _unary(name, kinds, vjp, reference, lower):
    def run(attrs, x):
        with np.errstate(all="ignore"):
            return np.asarray(reference(x)).astype(x.dtype, copy=False)

    return Primitive(name, "elementwise", 1, _same(name, kinds), vjp, run, lower)


def _binary(name, kinds, vjp, reference, lower, result=None):
    def run(attrs, x, y):
        with np.errstate(all="ignore"):
            return reference(x, y)

    return Primitive(name, "elementwise", 2, _same(name, kinds, result), vjp, run, lower)


def _math(name):
    return lambda e, attrs, *xs: e.math(name, *xs)


def _arith(name):
    return lambda e, attrs, *xs: e.arith(name, *xs)


def _compare(name):
    return lambda e, attrs, x, y: e.compare(name, x, y)


def _bits(name):
    return lambda e, attrs, *xs: e.bits(name, *xs)


def _sigmoid(x):
    z = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + z), z / (1 + z))


# ---------- one argument ----------
NEG = _unary("neg", "uif", (lambda g, y, x: -g,), np.negative, _arith("neg"))
ABS = _unary("abs", "uif", (lambda g, y, x: g * sign(x),), np.abs, _arith("abs"))
EXP = _unary("exp", "f", (lambda g, y, x: g * y,), np.exp, _math("exp"))
LOG = _unary("log", "f", (lambda g, y, x: g / x,), np.log, _math("log"))
LOG1P = _unary("log1p", "f", (lambda g, y, x: g / (x + 1.0),), np.log1p, _math("log1p"))
EXPM1 = _unary("expm1", "f", (lambda g, y, x: g * (y + 1.0),), np.expm1, _math("expm1"))
SQRT = _unary("sqrt", "f", (lambda g, y, x: g / (y + y),), np.sqrt, _math("sqrt"))
SIN = _unary("sin", "f", (lambda g, y, x: g * COS(x),), np.sin, _math("sin"))
COS = _unary("cos", "f", (lambda g, y, x: -(g * SIN(x)),), np.cos, _math("cos"))
TANH = _unary("tanh", "f", (lambda g, y, x: g * (1.0 - y * y),), np.tanh, _math("tanh"))
SIGMOID = _unary("sigmoid", "f", (lambda g, y, x: g * (y * (1.0 - y)),), _sigmoid, _math("sigmoid"))
ERF = _unary(
    "erf",
    "f",
    (lambda g, y, x: g * (EXP(-(x * x)) * (2 / math.sqrt(math.pi))),),
    _erf,
    _math("erf"),
)
FLOOR = _unary("floor", "f", (None,), np.floor, _math("floor"))
# to the nearest, halves to even
ROUND = _unary("round", "f", (None,), np.rint, _math("round"))
NOT = _unary("not", "bui", (), np.invert, _bits("not"))


def _cast_reference(attrs, x):
    with np.errstate(all="ignore"):
        x = np.asarray(x)
        return (x.astype(np.float32) if attrs[0].half else x).astype(attrs[0].numpy)


# attrs: (DType,). Floats to integers truncate; any number to bool is `!= 0`.
CAST = Primitive(
    "cast",
    "elementwise",
    1,
    lambda attrs, f: form(f.shape, attrs[0]),
    (lambda g, y, x: cast(g, x.dtype),),
    _cast_reference,
    lambda e, attrs, x: e.convert(x, attrs[0]),
)


def _bitcast_infer(attrs, f):
    if attrs[0].itemsize != f.dtype.itemsize:
        raise DTypeError("bitcast", f"{f.dtype} and {attrs[0]} differ in size", (f,))
    return form(f.shape, attrs[0])


# attrs: (DType,): the same bits read as another type of the same size
BITCAST = Primitive(
    "bitcast",
    "elementwise",
    1,
    _bitcast_infer,
    (),
    lambda attrs, x: np.ascontiguousarray(x).view(attrs[0].numpy).reshape(np.shape(x)),
    lambda e, attrs, x: e.reinterpret(x, attrs[0]),
)

SIGNED_BITS = {2: int16, 4: int32, 8: int64}  # bytes of a float -> the integer of its bits

# the value itself; no gradient flows through
STOP_GRADIENT = Primitive(
    "stop_gradient", "elementwise", 1, lambda attrs, f: f, (), lambda attrs, x: x, lambda e, a, x: x
)


def _check_reference(attrs, x):
    low, high, fault = attrs
    bad = (x < low) | (x >= high)
    if np.any(bad):
        raise fault.error(int(np.asarray(x)[bad].flat[0]), None)
    return x


# attrs: (low, high, Fault): integers; the value itself where low <= x < high, else the program
# stops before anything is updated, and the fault's exception is raised
CHECK_RANGE = Primitive(
    "check_range",
    "elementwise",
    1,
    _same("check_range", "ui"),
    (),
    _check_reference,
    lambda e, attrs, x: e.check_range(x, *attrs),
)


# ---------- two arguments ----------
def _divide(x, y):
    if x.dtype.kind == "f":
        return np.divide(x, y)
    q = np.floor_divide(np.abs(x), np.abs(y))
    return np.where((x < 0) != (y < 0), -q, q).astype(x.dtype)


def _half(g, tie):
    """A gradient shared evenly where two candidates tie."""
    return where(tie, g * 0.5, g)


def _extreme(prefer):
    def rule(g, y, a, b):
        return _half(where(prefer(a, b), g, 0.0), eq(a, b))

    return rule


# of truth values: or
ADD = _binary("add", "buif", (lambda g, y, a, b: g, lambda g, y, a, b: g), np.add, _arith("add"))
SUB = _binary(
    "sub", "uif", (lambda g, y, a, b: g, lambda g, y, a, b: -g), np.subtract, _arith("sub")
)
# of truth values: and
MUL = _binary(
    "mul", "buif", (lambda g, y, a, b: g * b, lambda g, y, a, b: g * a), np.multiply, _arith("mul")
)
# integers: the quotient towards zero
DIV = _binary(
    "div",
    "uif",
    (lambda g, y, a, b: g / b, lambda g, y, a, b: -(g * (y / b))),
    _divide,
    _arith("div"),
)
# the remainder with the divisor's sign, as Python's %
MOD = _binary(
    "mod",
    "uif",
    (lambda g, y, a, b: g, lambda g, y, a, b: -(g * floor(a / b))),
    np.mod,
    _math("mod"),
)


def _pow_base(g, y, a, b):
    return where(eq(b, 0.0), 0.0, g * (b * POW(a, b - 1.0)))


def _pow_exponent(g, y, a, b):
    positive = where(gt(a, 0.0), a, 1.0)
    return g * where(eq(a, 0.0), where(ge(b, 0.0), 0.0, y), y * LOG(positive))


POW = _binary("pow", "f", (_pow_base, _pow_exponent), np.power, _math("pow"))
MAXIMUM = _binary(
    "maximum",
    "buif",
    (_extreme(lambda a, b: ge(a, b)), _extreme(lambda a, b: ge(b, a))),
    np.maximum,
    _arith("maximum"),
)
MINIMUM = _binary(
    "minimum",
    "buif",
    (_extreme(lambda a, b: le(a, b)), _extreme(lambda a, b: le(b, a))),
    np.minimum,
    _arith("minimum"),
)
LT = _binary("lt", "buif", (), np.less, _compare("lt"), bool_)
LE = _binary("le", "buif", (), np.less_equal, _compare("le"), bool_)
EQ = _binary("eq", "buif", (), np.equal, _compare("eq"), bool_)
AND = _binary("and", "bui", (), np.bitwise_and, _bits("and"))
OR = _binary("or", "bui", (), np.bitwise_or, _bits("or"))
XOR = _binary("xor", "bui", (), np.bitwise_xor, _bits("xor"))
SHL = _binary("shl", "ui", (), np.left_shift, _bits("shl"))
SHR = _binary("shr", "ui", (), np.right_shift, _bits("shr"))


# ---------- three arguments ----------
def _where_infer(attrs, c, a, b):
    if c.dtype is not bool_ or a.dtype is not b.dtype:
        raise DTypeError("where", "a bool condition and two equal types are needed", (c, a, b))
    return form(broadcast_shapes("where", c, a, b), a.dtype)


WHERE = Primitive(
    "where",
    "elementwise",
    3,
    _where_infer,
    (None, lambda g, y, c, a, b: where(c, g, 0.0), lambda g, y, c, a, b: where(c, 0.0, g)),
    lambda attrs, c, a, b: np.where(c, a, b),
    lambda e, attrs, c, a, b: e.select(c, a, b),
)


def _split(x):
    """x as a sum of two float64 of 26 bits each, so that products of parts are exact."""
    big = x * 134217729.0
    high = big - (big - x)
    return high, x - high


def _fma64(a, b, c):
    """float64 a * b + c with both rounding errors carried along (Dekker, Knuth)."""
    product = a * b
    (ah, al), (bh, bl) = _split(a), _split(b)
    product_error = ((ah * bh - product) + ah * bl + al * bh) + al * bl
    total = product + c
    back = total - product
    total_error = (product - (total - back)) + (c - back)
    exact = total + (product_error + total_error)
    return np.where(np.isfinite(exact), exact, total)


def _fma_reference(attrs, a, b, c):
    with np.errstate(all="ignore"):
        if a.dtype == np.float64:
            return _fma64(a, b, c)
        # exact but for halfway cases of the sum
        return (a.astype(np.float64) * b.astype(np.float64) + c).astype(a.dtype)


# a * b + c with one rounding
FMA = Primitive(
    "fma",
    "elementwise",
    3,
    _same("fma", "f"),
    (lambda g, y, a, b, c: g * b, lambda g, y, a, b, c: g * a, lambda g, y, a, b, c: g),
    _fma_reference,
    lambda e, attrs, a, b, c: e.math("fma", a, b, c),
)


# ---------- functions over nodes ----------
def lift(x, dtype: DType) -> Node:
    """A node as it is, a Python number as a constant of `dtype`."""
    return x if isinstance(x, Node) else const(x, dtype)


def _operands(a, b) -> tuple[Node, Node]:
    if not isinstance(a, Node):
        return const(a, b.dtype), b
    return a, lift(b, a.dtype)


def _lifting(op: Primitive):
    def apply(a, b) -> Node:
        return op(*_operands(a, b))

    apply.__name__ = op.name
    return apply


add = _lifting(ADD)
sub = _lifting(SUB)
mul = _lifting(MUL)
div = _lifting(DIV)
mod = _lifting(MOD)
maximum = _lifting(MAXIMUM)
minimum = _lifting(MINIMUM)
lt = _lifting(LT)
le = _lifting(LE)
eq = _lifting(EQ)
and_ = _lifting(AND)
or_ = _lifting(OR)
xor = _lifting(XOR)
shl = _lifting(SHL)
shr = _lifting(SHR)


def gt(a, b) -> Node:
    a, b = _operands(a, b)
    return LT(b, a)


def ge(a, b) -> Node:
    a, b = _operands(a, b)
    return LE(b, a)


def ne(a, b) -> Node:
    return NOT(eq(a, b))


def cast(x: Node, dtype: DType) -> Node:
    """x as another element type; x itself where it has that type."""
    return x if x.dtype is dtype else CAST(x, attrs=(dtype,))


def where(c: Node, a, b) -> Node:
    a, b = _operands(a, b) if isinstance(a, Node) or isinstance(b, Node) else (a, b)
    return WHERE(c, a, b)


def sign(x: Node) -> Node:
    """-1, 0 or 1; NaN stays NaN."""
    return where(gt(x, 0), const(1, x.dtype), where(lt(x, 0), const(-1, x.dtype), x * 0))


def floor(x: Node) -> Node:
    return FLOOR(x) if x.dtype.is_smooth else x


def ceil(x: Node) -> Node:
    return -FLOOR(-x) if x.dtype.is_smooth else x


def trunc(x: Node) -> Node:
    """Towards zero."""
    return where(lt(x, 0.0), ceil(x), floor(x)) if x.dtype.is_smooth else x


def square(x: Node) -> Node:
    return x * x


def rsqrt(x: Node) -> Node:
    return 1.0 / SQRT(x)


def is_nan(x: Node) -> Node:
    return ne(x, x)


def stop_gradient(x: Node) -> Node:
    return STOP_GRADIENT(x)


def check_range(x: Node, low: int, high: int, fault) -> Node:
    """x, checked when the program runs: low <= x < high, else `fault` is raised."""
    return CHECK_RANGE(x, attrs=(low, high, fault))


def power(a: Node, b) -> Node:
    """a ** b. A small whole exponent becomes products; integers need a whole exponent >= 0."""
    if isinstance(b, int | float) and float(b).is_integer() and 0 <= b <= 8:
        return _whole_power(a, int(b))
    if isinstance(b, int | float) and a.dtype.is_smooth:
        if b == 0.5:
            return SQRT(a)
        if b == -1:
            return 1.0 / a
        if b == -0.5:
            return rsqrt(a)
    return POW(*_operands(a, b))


def _whole_power(a: Node, n: int) -> Node:
    if n == 0:
        return a * 0 + 1 if not a.dtype.is_smooth else where(eq(a, a), const(1, a.dtype), 1.0)
    half = a if n == 1 else _whole_power(a, n // 2)
    if n == 1:
        return a
    return half * half * a if n % 2 else half * half


def _install() -> None:
    """Arithmetic on nodes, so that composites read as formulas."""
    Node.__add__ = add
    Node.__radd__ = lambda a, b: add(b, a)
    Node.__sub__ = sub
    Node.__rsub__ = lambda a, b: sub(b, a)
    Node.__mul__ = mul
    Node.__rmul__ = lambda a, b: mul(b, a)
    Node.__truediv__ = div
    Node.__rtruediv__ = lambda a, b: div(b, a)
    Node.__neg__ = lambda a: NEG(a)
    Node.__pow__ = power


_install()
