"""The remainder of a division, exact, with the dividend's sign (C's fmod).

With q = trunc(|x| / |y|) a whole number that the type can hold, x - q y is a number of the type:
one fused multiplication gives it without an error, and a quotient that was rounded up to the next
whole number shows as a negative rest. Larger quotients take several such steps in doubles, or, of
doubles, the C library.
"""

from __future__ import annotations

import math

from gemel.codegen.llvm import Function, Type, Value

_WHOLE = {"float": 2.0**24, "double": 2.0**53}  # below, every whole number is one of the type
_TURNS = 11  # of 28 bits: the quotient of two floats has at most 278


def fmod(f: Function, x: Value, y: Value) -> Value:
    """x - trunc(x / y) y. NaN where y is 0 or x infinite; x where y is infinite."""
    size, unit = f.abs(x), f.abs(y)
    ratio = size / unit
    rest = f.fma(f.neg(f.trunc(ratio)), unit, size)
    rest = f.select(rest < 0.0, rest + unit, rest)
    finite = f.compare("<", size, math.inf)
    rest = f.select(f.binary("and", f.compare("==", unit, math.inf), finite), size, rest)
    value = f.copysign(rest, x)
    far = f.binary("and", f.compare(">=", ratio, _WHOLE[x.elem]), finite)
    far = f.binary("and", far, f.compare(">", unit, 0.0))
    return _with_far(f, x, y, value, far)


def _with_far(f: Function, x: Value, y: Value, value: Value, far: Value) -> Value:
    """The value, or another one where the quotient is large."""
    stage = f.alloca(x.elem, 2 * x.lanes)

    def exactly() -> list[Value]:
        f.store(x, stage)
        f.store(y, f.gep(stage, x.lanes, x.elem))
        f.call(_library(f, x.type), stage)
        return [f.select(far, f.load(stage, x.elem, x.lanes), value)]

    return f.if_else(f.any(far), exactly, lambda: [value])[0]


def _library(f: Function, type_: Type) -> Function:
    """`(pointer to dividends and divisors)`: the remainders take the dividends' places."""
    label = f"far_fmod_{type_.suffix}"
    if label in f.module.functions:
        return f.module.functions[label]
    g = f.module.function(label, [("ptr", "stage")], internal=True, inline=False)
    (stage,) = g.arguments
    if type_.elem == "float":
        _in_doubles(g, stage, type_.lanes)
    else:
        _one_by_one(g, stage, type_)
    g.ret()
    return g


def _one_by_one(g: Function, stage: Value, type_: Type) -> None:
    with g.loop(0, type_.lanes) as loop:
        x = g.gep(stage, loop.index, type_.elem)
        y = g.load(g.gep(x, type_.lanes, type_.elem), type_.elem)
        g.store(g.binary("frem", g.load(x, type_.elem), y), x)


def _in_doubles(g: Function, stage: Value, lanes: int) -> None:
    """Of floats: 29 bits of the quotient at a time, whose products with the divisor are exact. A
    quotient that was rounded up leaves a negative rest, which is reduced like any other."""
    x, y = g.load(stage, "float", lanes), g.load(g.gep(stage, lanes, "float"), "float", lanes)
    unit = g.abs(g.convert(y, "double"))
    with g.loop(0, _TURNS, carry=(g.abs(g.convert(x, "double")),)) as loop:
        (rest,) = loop.values
        bits = g.bitcast(g.trunc(rest / unit), "i64") & -(1 << 24)
        loop.next = [g.fma(g.neg(g.bitcast(bits, "double")), unit, rest)]
    (rest,) = loop.out
    rest = g.select(rest < 0.0, rest + unit, rest)
    g.store(g.copysign(g.convert(rest, "float"), x), stage)
