"""Division with rounding, remainders and powers of integers as composites.

Integers divided by zero would stop the processor, so every integer division goes through
`nonzero`, which checks when the program runs.
"""

from __future__ import annotations

from gemel.graph.errors import Fault
from gemel.graph.form import uint8
from gemel.graph.node import Node

from .elementwise import (
    ABS,
    DIV,
    MOD,
    ROUND,
    and_,
    cast,
    check_range,
    const,
    eq,
    floor,
    ge,
    gt,
    lt,
    ne,
    shr,
    trunc,
    where,
    xor,
)
from .predicates import sign_bit


def nonzero(x: Node, fault: Fault) -> Node:
    """x, checked when the program runs: no cell of it is 0, else `fault` is raised."""
    zero = check_range(cast(eq(x, 0), uint8), 0, 1, fault)
    return x + cast(zero, x.dtype)  # adds nothing; ties the check to the value


def _divisor(b: Node, fault: Fault) -> Node:
    return b if b.dtype.is_float else nonzero(b, fault)


def remainder(a: Node, b: Node, fault: Fault) -> Node:
    """The remainder with the divisor's sign."""
    return MOD(a, _divisor(b, fault))


def truncated_remainder(a: Node, b: Node, fault: Fault) -> Node:
    """The remainder with the dividend's sign, as C's fmod."""
    b = _divisor(b, fault)
    if a.dtype.kind == "u":
        return MOD(a, b)
    below = sign_bit(a)  # zeros keep their sign
    size = MOD(where(below, -a, a), where(ge(b, 0), b, -b))
    return where(below, -size, size)


def truncated_quotient(a: Node, b: Node, fault: Fault) -> Node:
    """a / b rounded towards zero."""
    return trunc(a / b) if a.dtype.is_float else DIV(a, _divisor(b, fault))


def floored_quotient(a: Node, b: Node, fault: Fault) -> Node:
    """a / b rounded down, consistent with `remainder`."""
    if not a.dtype.is_float:
        b = _divisor(b, fault)
        found = DIV(a, b)  # towards zero
        if a.dtype.kind == "u":
            return found
        rounded_up = and_(ne(found * b, a), xor(lt(a, 0), lt(b, 0)))
        return found - cast(rounded_up, a.dtype)
    rest = truncated_remainder(a, b, fault)
    apart = and_(ne(rest, 0.0), xor(lt(rest, 0.0), lt(b, 0.0)))
    near = (a - rest) / b  # a whole number but for its rounding
    whole = floor(near)
    exact = whole + cast(gt(near - whole, 0.5), a.dtype) - cast(apart, a.dtype)
    exact = where(eq(exact, 0.0), a / b * 0.0, exact)  # zeros have the quotient's sign
    return where(eq(b, 0.0), a / b, exact)


def round_to(x: Node, decimals: int) -> Node:
    """To the nearest multiple of 10 ** -decimals, halves to even."""
    scale = 10.0 ** abs(decimals)
    return ROUND(x * scale) / scale if decimals >= 0 else ROUND(x / scale) * scale


def fraction(x: Node) -> Node:
    return x - trunc(x)


def static_power(a: Node, n: int) -> Node:
    """a ** n for a whole n >= 0, by squaring."""
    result = None
    square = a
    while n:
        if n & 1:
            result = square if result is None else result * square
        n >>= 1
        square = square * square if n else square
    return a * 0 + 1 if result is None else result


def integer_power(a: Node, b: Node) -> Node:
    """a ** b of integers, with wrap-around. A negative exponent gives 0 unless a is 1 or -1."""
    one = const(1, a.dtype)
    result = a * 0 + b * 0 + 1
    square = a
    for bit in range(a.dtype.bits - (a.dtype.kind == "i")):
        odd = ne(and_(b, 1 << bit), 0)
        result = where(odd, result * square, result)
        square = square * square
    if a.dtype.kind == "u":
        return result
    parity = ne(b - shr(b, 1) * 2, 0)
    unit = where(and_(eq(a, -1), parity), const(-1, a.dtype), one)
    negative = where(eq(ABS(a), 1), unit, const(0, a.dtype))
    return where(ge(b, 0), result, negative)
