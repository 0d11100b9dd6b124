"""Ops of `keras.ops` on the bits and factors of numbers: gcd, lcm, nextafter, i0 and kaiser."""

from __future__ import annotations

import math

from keras.src.backend import config

from gemel import tensor as lazy
from gemel.graph.form import float32, int32, int64
from gemel.ops import elementwise as E
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.record import Call, const
from gemel.ops.special import polynomial

from .creation import arange, ones
from .tensors import dtype_of, float_dtype, kind_of, result_dtype, tensor, to_dtype

# I0(x) for |x| <= 3.75 in (x / 3.75)^2, and sqrt(x) exp(-x) I0(x) beyond in 3.75 / x: Abramowitz
# and Stegun, Handbook of Mathematical Functions, 9.8.1 and 9.8.2
_I0_NEAR = (0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0)
_I0_FAR = (
    0.00392377, -0.01647633, 0.02635537, -0.02057706, 0.00916281, -0.00157565, 0.00225319,
    0.01328592, 0.39894228,
)  # fmt: skip


def _gcd_node(a, b):
    """Euclid's algorithm; the turns that numbers of this width can need."""
    if a.dtype.kind == "i":
        a, b = E.ABS(a), E.ABS(b)
    zero, one = const(0, a.dtype), const(1, a.dtype)
    for _ in range(int(a.dtype.bits * 1.45) + 1):
        done = E.eq(b, zero)
        a, b = E.where(done, a, b), E.where(done, zero, E.mod(a, E.where(done, one, b)))
    return a


def _lcm_node(a, b):
    divisor = _gcd_node(a, b)
    none = E.eq(divisor, 0)
    safe = E.where(none, const(1, a.dtype), divisor)
    found = (a / safe) * b
    found = E.ABS(found) if a.dtype.kind == "i" else found
    return E.where(none, const(0, a.dtype), found)


def _integers(name: str, build):
    call = Call(name, lambda attrs, a, b: build(*(cast_node(v, attrs[0]) for v in (a, b))))

    def op(x1, x2) -> lazy.Tensor:
        a, b = tensor(x1), tensor(x2)
        return lazy.record2(call, a, b, (result_dtype(kind_of(a), kind_of(b)),))

    op.__name__ = op.__qualname__ = name
    return op


gcd = _integers("gcd", _gcd_node)
lcm = _integers("lcm", _lcm_node)


def _next(attrs, x, y):
    """One step of the bits, away from zero or towards it."""
    kind = int32 if x.dtype is float32 else int64
    bits = E.BITCAST(x, attrs=(kind,))
    outward = E.eq(E.lt(x, y), E.lt(const(0, x.dtype), x))
    stepped = E.where(outward, bits + 1, bits - 1)
    from_zero = E.where(E.lt(x, y), const(1, kind), const(-(2 ** (kind.bits - 1)) + 1, kind))
    moved = E.BITCAST(E.where(E.eq(x, 0.0), from_zero, stepped), attrs=(x.dtype,))
    found = E.where(E.eq(x, y), y, moved)
    return E.where(E.or_(E.is_nan(x), E.is_nan(y)), x + y, found)


_NEXTAFTER = Call("nextafter", _next, differentiable=False)


def nextafter(x1, x2) -> lazy.Tensor:
    a, b = tensor(x1), tensor(x2)
    dtype = result_dtype(kind_of(a), kind_of(b), float)
    return lazy.record2(_NEXTAFTER, to_dtype(a, dtype), to_dtype(b, dtype))


def _bessel(attrs, x):
    size = E.ABS(x)
    near = polynomial(E.square(E.minimum(size, 3.75) * (1 / 3.75)), _I0_NEAR)
    far = E.maximum(size, 3.75)
    beyond = E.EXP(far) / E.SQRT(far) * polynomial(3.75 / far, _I0_FAR)
    return E.where(E.le(size, 3.75), near, beyond)


_I0 = Call("i0", _bessel)


def i0(x) -> lazy.Tensor:
    """The modified Bessel function of order 0, to single precision."""
    x = tensor(x)
    return lazy.record1(_I0, to_dtype(x, float_dtype(x)))


def kaiser(x, beta) -> lazy.Tensor:
    """Kaiser's window; x is the number of points."""
    from .arithmetic import OPS

    n = int(x)
    if n <= 1:
        return ones((max(n, 0),))
    ratio = arange(n, dtype="float64") * (2.0 / (n - 1)) - 1.0
    shape = OPS["sqrt"](OPS["maximum"](1.0 - OPS["square"](ratio), 0.0))
    found = i0(shape * float(beta)) / i0(tensor(math.fabs(float(beta))))
    return to_dtype(found, dtype_of(config.floatx()))
