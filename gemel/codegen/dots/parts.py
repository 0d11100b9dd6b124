"""float32 numbers as sums of bfloat16 numbers, for products on matrix tiles.

Role: cut vectors of float32 into parts, and lay parts out as tiles want them. Three parts of 8 bits
hold the 24 bits of a float32: x = first + second + third, exactly (Henry, Tang and Heinecke 2019).
The product of two such sums has nine terms; the three smallest are below what rounding a float32
product loses, so `PRODUCTS` names six. Invariants: a part is an i32 whose lower 16 bits do not
count; an infinity or NaN is all in the first part, so that the other ones are 0; parts smaller than
normal numbers, of numbers below 2**-103, are taken for 0 by the tiles.
"""

from __future__ import annotations

from gemel.codegen.llvm import Function, Value

PARTS = 3

# (part of the left, part of the right) in an order in which neighbours share one of them
PRODUCTS = ((0, 2), (0, 1), (1, 1), (1, 0), (0, 0), (2, 0))

_UPPER = -(1 << 16)  # the bits of a bfloat16 in a float32
_HALF = 1 << 15  # half of the lowest of them


def split(f: Function, x: Value, *, finite: bool = False) -> list[Value]:
    """The parts of a vector of float32, largest first. finite: quicker, and an infinity has parts
    that are worth nothing; a NaN is one in its first part still."""
    first = f.bitcast(x, "i32") & _UPPER
    rest = x - f.bitcast(first, "float")
    if finite:
        second = (f.bitcast(rest, "i32") + _HALF) & _UPPER
        return [first, second, f.bitcast(rest - f.bitcast(second, "float"), "i32")]
    exact = f.compare("==", rest, rest)  # infinity minus infinity is not a number
    # rounded, so that the errors of what is left out have either sign
    first = f.select(exact, first, f.bitcast(x + x, "i32"))
    second = f.select(exact, (f.bitcast(rest, "i32") + _HALF) & _UPPER, 0)
    third = f.select(exact, f.bitcast(rest - f.bitcast(second, "float"), "i32"), 0)
    return [first, second, third]


def along(f: Function, near: Value, far: Value) -> Value:
    """One part of a row: of its values at some places of k, and at the places after them."""
    low, high = (f.bitcast(x, "i16") for x in (near, far))
    return f.shuffle(low, high, range(1, 4 * near.lanes, 2))


def beside(f: Function, first: Value, second: Value) -> Value:
    """One part of some columns as pairs: of their values at one place of k, and at the next."""
    return f.binary("lshr", first, 16) | (second & _UPPER)
