"""Half types in registers: 16-bit integers that become floats when they are read.

Role: the two conversions, for any number of lanes. Everywhere else a half value is its bits: it is
loaded, moved, chosen and stored as i16. To half types floats are rounded to nearest even; what is
too large becomes infinite, NaN stays NaN.
"""

from __future__ import annotations

import numpy as np

from gemel.codegen.llvm import Function, Type, Value
from gemel.runtime.dtype import bfloat16

BITS = "i16"


def bits_of(number: float, dtype) -> int:
    """The bits of a number rounded to a half type, as a signed integer."""
    with np.errstate(over="ignore"):
        return int(np.float32(number).astype(dtype.numpy).view(np.int16))


def widen(f: Function, x: Value, dtype) -> Value:
    """The floats that bits of a half type stand for."""
    if dtype is bfloat16:
        return f.bitcast(f.convert(x, "i32", signed=False) << 16, "float")
    half, made = Type("half", x.lanes), Type("float", x.lanes)
    bits = f.value(f"bitcast {x.type} {x} to {half}", half)
    return f.value(f"fpext {half} {bits} to {made}", made)


def narrow(f: Function, x: Value, dtype) -> Value:
    """The bits of floats rounded to a half type."""
    if dtype is bfloat16:
        return _upper_half(f, x)
    half, made = Type("half", x.lanes), Type(BITS, x.lanes)
    rounded = f.value(f"fptrunc {x.type} {x} to {half}", half)
    return f.value(f"bitcast {half} {rounded} to {made}", made)


def _upper_half(f: Function, x: Value) -> Value:
    """The upper 16 bits after rounding: an odd one below takes the halfway case up."""
    bits = f.bitcast(x, "i32")
    odd = f.binary("lshr", bits, 16) & 1
    rounded = f.binary("lshr", bits + odd + 0x7FFF, 16)
    quiet = f.binary("lshr", bits, 16) | 0x40
    return f.convert(f.select(f.compare("uno", x, x), quiet, rounded), BITS)
