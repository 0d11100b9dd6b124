"""Typed scalar and vector operations for the lowering of elementwise primitives.

A primitive's record lowers itself through the few methods here (`arith`, `math`, `compare`, ...);
this is the only place that knows how an element type becomes LLVM instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gemel.codegen import half_floats, vector_math
from gemel.codegen.llvm import Function, Value
from gemel.codegen.remainder import fmod
from gemel.runtime.dtype import bool_, float32, uint32

ELEMENTS = {
    "bool": "i1",
    "uint8": "i8",
    "int8": "i8",
    "int16": "i16",
    "uint16": "i16",
    "int32": "i32",
    "uint32": "i32",
    "int64": "i64",
    "uint64": "i64",
    "float16": half_floats.BITS,
    "bfloat16": half_floats.BITS,
    "float32": "float",
    "float64": "double",
}


def element(dtype) -> str:
    """LLVM's name of an element type."""
    return ELEMENTS[dtype.name]


class Typed(NamedTuple):
    """An SSA value with the element type of the engine (LLVM's integers have no sign)."""

    value: Value
    dtype: object


def _is_number(x: Value) -> bool:
    """Is it a constant, and not NaN?"""
    return not x.text.startswith("%") and "0x7FF8" not in x.text


class Emitter:
    """Lowering methods bound to a function under construction.

    on_fault(condition, value, number) is called where a check can fail; `fault_number(attrs)`
    gives its number in the program's table.
    """

    def __init__(self, f: Function, on_fault: Callable | None = None):
        self.f = f
        self.on_fault = on_fault

    def constant(self, number, dtype, lanes: int = 1) -> Typed:
        return Typed(self.f.constant(_wrapped(number, dtype), element(dtype), lanes), dtype)

    # ---------- arithmetic ----------
    def arith(self, name: str, *xs: Typed) -> Typed:
        """neg, abs, add, sub, mul, div, maximum, minimum on any number type."""
        dtype = xs[0].dtype
        values = self._aligned(xs)
        return Typed(getattr(self, "_" + name)(dtype, *values), dtype)

    def _aligned(self, xs) -> list[Value]:
        """Scalars beside vectors are spread over the lanes."""
        lanes = max(x.value.lanes for x in xs)
        return [self.f.splat(x.value, lanes) for x in xs]

    def _neg(self, dtype, x):
        return self.f.neg(x)

    def _abs(self, dtype, x):
        return x if dtype.kind == "u" else self.f.abs(x)

    def _add(self, dtype, x, y):
        return self.f.binary("or", x, y) if dtype.kind == "b" else self.f.add(x, y)

    def _sub(self, dtype, x, y):
        return self.f.sub(x, y)

    def _mul(self, dtype, x, y):
        return self.f.mul(x, y)

    def _div(self, dtype, x, y):
        if dtype.is_float:
            return self.f.fdiv(x, y)
        return self._guarded("udiv" if dtype.kind == "u" else "sdiv", dtype, x, y)

    def _guarded(self, opcode, dtype, x, y):
        """Division by zero gives zero instead of stopping the process; MIN / -1 gives MIN."""
        f = self.f
        zero = f.compare("==", y, 0)
        safe = f.select(zero, f.lift(1, y.type), y)
        if dtype.kind == "i":
            minus = f.compare("==", y, -1)
            quotient = f.binary(opcode, x, f.select(minus, f.lift(1, y.type), safe))
            exact = f.neg(x) if opcode == "sdiv" else f.zero(x.type)
            quotient = f.select(minus, exact, quotient)
        else:
            quotient = f.binary(opcode, x, safe)
        return f.select(zero, f.zero(x.type), quotient)

    def _maximum(self, dtype, x, y):
        return self._extreme(dtype, x, y, ">")

    def _minimum(self, dtype, x, y):
        return self._extreme(dtype, x, y, "<")

    def _extreme(self, dtype, x, y, op):
        f = self.f
        if dtype.is_float:
            x, y = (y, x) if _is_number(x) else (x, y)
            # x where it is better, or one of the two is NaN; then y where that is the one
            better = f.compare("ugt" if op == ">" else "ult", x, y)
            if not _is_number(y):
                better = f.binary("and", better, f.compare("ord", y, y))
            return f.select(better, x, y)
        if dtype.kind == "b":
            return f.binary("or" if op == ">" else "and", x, y)
        return f.select(f.compare(op, x, y, unsigned=dtype.kind == "u"), x, y)

    # ---------- functions ----------
    def math(self, name: str, *xs: Typed) -> Typed:
        """exp, log, ..., floor, round, fma on floats; mod on any number type."""
        dtype = xs[0].dtype
        values = self._aligned(xs)
        own = getattr(self, "_m_" + name, None)
        if own is not None:
            return Typed(own(dtype, *values), dtype)
        return Typed(getattr(vector_math, name)(self.f, *values), dtype)

    def _m_sqrt(self, dtype, x):
        return self.f.sqrt(x)

    def _m_floor(self, dtype, x):
        return self.f.floor(x)

    def _m_round(self, dtype, x):
        return self.f.round_even(x)

    def _m_fma(self, dtype, a, b, c):
        return self.f.fma(a, b, c)

    def _m_mod(self, dtype, x, y):
        f = self.f
        if dtype.kind == "u":
            return self._guarded("urem", dtype, x, y)
        rest = fmod(f, x, y) if dtype.is_float else self._guarded("srem", dtype, x, y)
        zero = f.compare("==", rest, 0)
        apart = f.binary("xor", f.compare("<", rest, 0), f.compare("<", y, 0))
        moved = f.select(apart, f.add(rest, y), rest)
        exact = f.copysign(f.zero(y.type), y) if dtype.is_float else rest
        return f.select(zero, exact, moved)

    # ---------- comparison, choice, bits ----------
    def compare(self, name: str, x: Typed, y: Typed) -> Typed:
        op = {"lt": "<", "le": "<=", "eq": "=="}[name]
        unsigned = x.dtype.kind in "ub"
        a, b = self._aligned((x, y))
        return Typed(self.f.compare(op, a, b, unsigned=unsigned), bool_)

    def select(self, c: Typed, x: Typed, y: Typed) -> Typed:
        lanes = max(c.value.lanes, x.value.lanes, y.value.lanes)
        a, b = (self.f.splat(v.value, lanes) for v in (x, y))
        return Typed(self.f.select(self.f.splat(c.value, lanes), a, b), x.dtype)

    def bits(self, name: str, *xs: Typed) -> Typed:
        """not, and, or, xor, shl, shr (logical for unsigned, arithmetic for signed)."""
        dtype = xs[0].dtype
        values = self._aligned(xs)
        if name == "not":
            return Typed(~values[0], dtype)
        if name in ("shl", "shr"):
            x, count = values
            return Typed(self._shifted(name, x, count, dtype), dtype)
        return Typed(self.f.binary(name, *values), dtype)

    def _shifted(self, name: str, x: Value, count: Value, dtype) -> Value:
        """As NumPy does: by as many bits as there are or more (a negative count is such a one)
        nothing is left but the sign of a right shift. The instruction leaves that open."""
        f, bits = self.f, dtype.bits
        opcode = "shl" if name == "shl" else "lshr" if dtype.kind == "u" else "ashr"
        fits = f.compare("<", count, bits, unsigned=True)
        if opcode == "ashr":
            return f.binary(opcode, x, f.select(fits, count, f.constant(bits - 1, x.elem, x.lanes)))
        return f.select(fits, f.binary(opcode, x, count), f.zero(x.type))

    # ---------- types ----------
    def convert(self, x: Typed, dtype) -> Typed:
        if x.dtype is dtype:
            return x
        if x.dtype.half:
            wide = half_floats.widen(self.f, x.value, x.dtype)
            return self.convert(Typed(wide, float32), dtype)
        if dtype.half:
            wide = self.convert(x, float32).value
            return Typed(half_floats.narrow(self.f, wide, dtype), dtype)
        signed = x.dtype.kind in "if" and dtype.kind != "u"
        if x.dtype.is_float and dtype.kind in "ui":
            return Typed(self._to_integer(x.value, dtype), dtype)
        if x.dtype.kind == "u" or x.dtype.kind == "b":
            signed = False
        elif not x.dtype.is_float:
            signed = True
        return Typed(self.f.convert(x.value, element(dtype), signed=signed), dtype)

    def _to_integer(self, x: Value, dtype) -> Value:
        """Towards zero; narrow types keep the low bits, and what int32 (int64 for it and uint32)
        cannot hold is its lowest number. So x86 has it, NumPy and PyTorch; never undefined."""
        f = self.f
        bits = 64 if dtype.bits == 64 or dtype is uint32 else 32
        fits = f.compare("<", f.abs(x), 2.0 ** (bits - 1))
        near = f.convert(f.select(fits, x, f.zero(x.type)), f"i{bits}")
        lowest = f.constant(-(1 << (bits - 1)), f"i{bits}", x.lanes)
        return f.convert(f.select(fits, near, lowest), element(dtype))

    def reinterpret(self, x: Typed, dtype) -> Typed:
        return Typed(self.f.bitcast(x.value, element(dtype)), dtype)

    def check_range(self, x: Typed, low: int, high: int, fault) -> Typed:
        """x where it is in range; else the fault is noted and 0 stands in."""
        f = self.f
        value = self.f.convert(x.value, "i64", signed=x.dtype.kind != "u")
        bad = f.compare("<", value, low) | f.compare(">=", value, high)
        self.on_fault(bad, value, fault)
        return Typed(f.select(bad, f.zero(x.value.type), x.value), x.dtype)


def _wrapped(number, dtype):
    """An integer constant in the range of its type, as C converts it; of half types the bits."""
    if dtype.half:
        return half_floats.bits_of(number, dtype)
    if dtype.kind not in "ui":
        return number
    bits = dtype.itemsize * 8
    number &= (1 << bits) - 1
    return number - (1 << bits) if dtype.kind == "i" and number >> (bits - 1) else number
