"""Ops of `keras.ops` on the bits and factors of numbers: gcd, lcm, nextafter, i0 and kaiser."""

from __future__ import annotations

import math

from keras.src.backend import config

from gemel import tensor as lazy
from gemel.ops import divisors, modified_bessel
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.float_parts import next_after
from gemel.ops.record import Call

from .creation import arange, ones
from .tensors import dtype_of, float_dtype, kind_of, result_dtype, tensor, to_dtype


def _integers(name: str, build):
    call = Call(name, lambda attrs, a, b: build(*(cast_node(v, attrs[0]) for v in (a, b))))

    def op(x1, x2) -> lazy.Tensor:
        a, b = tensor(x1), tensor(x2)
        return lazy.record2(call, a, b, (result_dtype(kind_of(a), kind_of(b)),))

    op.__name__ = op.__qualname__ = name
    return op


gcd = _integers("gcd", divisors.gcd)
lcm = _integers("lcm", divisors.lcm)


_NEXTAFTER = Call("nextafter", lambda attrs, x, y: next_after(x, y))


def nextafter(x1, x2) -> lazy.Tensor:
    a, b = tensor(x1), tensor(x2)
    dtype = result_dtype(kind_of(a), kind_of(b), float)
    return lazy.record2(_NEXTAFTER, to_dtype(a, dtype), to_dtype(b, dtype))


_I0 = Call("i0", lambda attrs, x: modified_bessel.i0(x))


def i0(x) -> lazy.Tensor:
    """The modified Bessel function of order 0."""
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
