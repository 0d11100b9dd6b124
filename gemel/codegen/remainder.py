"""The remainder of a division, exact, with the dividend's sign (C's fmod).

With q = trunc(|x| / |y|) a whole number that the type can hold, x - q y is a number of the type:
one fused multiplication gives it without an error, and a quotient that was rounded up to the next
whole number shows as a negative rest. Larger quotients go to the C library, cell by cell.
"""

from __future__ import annotations

import math

from gemel.codegen.llvm import Function, Type, Value

_WHOLE = {"float": 2.0**24, "double": 2.0**53}  # below, every whole number is one of the type


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
    """The value, or where any quotient is large, all of them from the library."""
    stage = f.alloca(x.elem, 2 * x.lanes)

    def exactly() -> list[Value]:
        f.store(x, stage)
        f.store(y, f.gep(stage, x.lanes, x.elem))
        f.call(_library(f, x.type), stage)
        return [f.load(stage, x.elem, x.lanes)]

    return f.if_else(f.any(far), exactly, lambda: [value])[0]


def _library(f: Function, type_: Type) -> Function:
    """`(pointer to dividends and divisors)`: the remainders take the dividends' places."""
    label = f"far_fmod_{type_.suffix}"
    if label in f.module.functions:
        return f.module.functions[label]
    g = f.module.function(label, [("ptr", "stage")], internal=True, inline=False)
    (stage,) = g.arguments
    with g.loop(0, type_.lanes) as loop:
        x = g.gep(stage, loop.index, type_.elem)
        y = g.load(g.gep(x, type_.lanes, type_.elem), type_.elem)
        g.store(g.binary("frem", g.load(x, type_.elem), y), x)
    g.ret()
    return g
