"""What registers of sixteen floats can do in one instruction and others cannot.

Role: table look-ups in a register, estimates of 1 / x, scaling by powers of two. Input: a float
`Value` of any number of lanes on a machine with `vector_scale`. Output: as many lanes, each with
the bits that it would have in a full register.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.codegen.llvm import Function, Type, Value

WIDTH = 16
WIDE = Type("float", WIDTH)
_MASK = "i16 -1"


def in_registers(f: Function, x: Value, compute: Callable[[Value], Value]) -> Value:
    """`compute` on full registers that hold the lanes of x."""
    if x.lanes == WIDTH:
        return compute(x)
    if x.lanes == 1:
        start = Value(f, "poison", WIDE)
        return f.extract(compute(f.insert(start, x, 0)), 0)
    if x.lanes < WIDTH:
        spread = f.shuffle(x, None, [lane % x.lanes for lane in range(WIDTH)])
        return f.shuffle(compute(spread), None, range(x.lanes))
    half = x.lanes // 2
    parts = [f.shuffle(x, None, range(at, at + half)) for at in (0, half)]
    low, high = (in_registers(f, part, compute) for part in parts)
    return f.shuffle(low, high, range(x.lanes))


def scale(f: Function, x: Value, n: Value, some: Value | None = None) -> Value:
    """x * 2**floor(n), rounded once; both are full registers of floats. Lanes outside of the mask
    `some` are 0, and take no time whatever they would have been."""
    name = "llvm.x86.avx512.mask.scalef.ps.512"
    f.module.declare(f"declare {WIDE} @{name}({WIDE}, {WIDE}, {WIDE}, i16, i32)")
    mask = _MASK if some is None else f"i16 {f.bitcast(some, 'i16')}"
    operands = f"{WIDE} {x}, {WIDE} {n}, {WIDE} zeroinitializer, {mask}, i32 4"
    return f.value(f"call {WIDE} @{name}({operands})", WIDE)


def look_up(f: Function, table: Value, index: Value) -> Value:
    """The lanes of `table` that the low four bits of each index name."""
    name = "llvm.x86.avx512.permvar.sf.512"
    kind = Type("i32", WIDTH)
    f.module.declare(f"declare {WIDE} @{name}({WIDE}, {kind})")
    return f.value(f"call {WIDE} @{name}({WIDE} {table}, {kind} {index})", WIDE)


def inverse(f: Function, x: Value) -> Value:
    """1 / x within a unit in the last place, where x and 1 / x are far from the type's limits."""

    def compute(wide: Value) -> Value:
        name = "llvm.x86.avx512.rcp14.ps.512"
        f.module.declare(f"declare {WIDE} @{name}({WIDE}, {WIDE}, i16)")
        operands = f"{WIDE} {wide}, {WIDE} zeroinitializer, {_MASK}"
        rough = f.value(f"call {WIDE} @{name}({operands})", WIDE)
        # one step of Newton's method doubles the 14 bits
        return f.fma(f.fma(-wide, rough, 1.0), rough, rough)

    return in_registers(f, x, compute)
