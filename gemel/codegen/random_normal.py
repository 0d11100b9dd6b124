"""The kernels of PyTorch's normals: blocks of 16 uniforms to blocks of 16 normals.

Role: the functions that `random_kernels` fills its `normal_blocks` with. Invariant: the same
roundings as `ops.random_normal`, which says where they come from. In float32 two blocks go through
one vector of 16 lanes; in float64 each value goes through the C library.
"""

from __future__ import annotations

import math

from .llvm import Function, Operand, Value
from .random_constants import (
    CEPHES_COS,
    CEPHES_LOG,
    CEPHES_SIN,
    FOUR_OVER_PI,
    LN2_PARTS,
    NORMAL_BLOCK,
    QUARTER_PI_PARTS,
    SQRT_HALF,
)

HALF = NORMAL_BLOCK // 2
TURN = [("ptr", "words_a"), ("ptr", "words_b"), ("ptr", "out_a"), ("ptr", "out_b")]


def _horner(f: Function, coefficients, x: Value) -> Value:
    y = f.constant(coefficients[0], "float", x.lanes)
    for c in coefficients[1:]:
        y = f.fma(y, x, c)
    return y


def _log(f: Function, x: Value) -> Value:
    bits = f.bitcast(x, "i32")
    exponent = f.convert((bits >> 23) - 0x7F, "float") + 1.0
    m = f.bitcast((bits & 0x807FFFFF) | 0x3F000000, "float")
    small = m < SQRT_HALF
    exponent = f.select(small, exponent - 1.0, exponent)
    less = m - 1.0
    m = f.select(small, less + m, less)
    z = m * m
    y = _horner(f, CEPHES_LOG, m) * m
    y = f.fma(y, z, exponent * LN2_PARTS[0])
    y = f.fma(-z, 0.5, y)
    return f.fma(exponent, LN2_PARTS[1], m + y)


def _sine_and_cosine(f: Function, x: Value) -> tuple[Value, Value]:
    octant = (f.convert(x * FOUR_OVER_PI, "i32") + 1) & -2
    turns = f.convert(octant, "float")
    for part in QUARTER_PI_PARTS:
        x = f.fma(turns, part, x)
    z = x * x
    c = _horner(f, CEPHES_COS, z) * z
    c = f.fma(c, z, -(z * 0.5)) + 1.0
    s = f.fma(_horner(f, CEPHES_SIN, z) * z, x, x)
    straight = f.compare("==", octant & 2, 0)
    sine, cosine = f.select(straight, s, c), f.select(straight, c, s)
    sine = f.select(f.compare("!=", octant & 4, 0), -sine, sine)
    flipped = f.compare("!=", ~(octant - 2) & 4, 0)
    return sine, f.select(flipped, -cosine, cosine)


def _uniforms(f: Function, a: Value, b: Value, offset: int) -> Value:
    """Half a block of uniforms from each of two blocks of words."""
    first, second = (f.load(f.gep(p, offset, "i32"), "i32", HALF) for p in (a, b))
    words = f.shuffle(first, second, range(2 * HALF))
    return f.convert(words & 0xFFFFFF, "float") * 2.0**-24


def normal_turn(f: Function, words_a: Value, words_b: Value, out_a: Value, out_b: Value) -> None:
    """Two blocks of standard normals in float32 (which may be one and the same)."""
    radius = f.sqrt(_log(f, 1.0 - _uniforms(f, words_a, words_b, 0)) * -2.0)
    angle = _uniforms(f, words_a, words_b, HALF) * (2 * math.pi)
    sine, cosine = _sine_and_cosine(f, angle)
    # the sum makes a negative zero positive, as PyTorch's multiply-add with a mean of zero does
    for offset, normals in ((0, radius * cosine + 0.0), (HALF, radius * sine + 0.0)):
        f.store(f.shuffle(normals, None, range(HALF)), f.gep(out_a, offset, "float"))
        f.store(f.shuffle(normals, None, range(HALF, 2 * HALF)), f.gep(out_b, offset, "float"))


def _uniform64(f: Function, words: Value, index: Operand) -> Value:
    places = (f.gep(words, f.add(f.mul(index, 2), k), "i32") for k in (0, 1))
    high, low = (f.convert(f.load(p, "i32"), "i64", signed=False) for p in places)
    whole = ((high << 32) | low) & ((1 << 53) - 1)
    return f.convert(whole, "double") * 2.0**-53


def _block64(f: Function, words: Value, out: Value, pair: Value) -> None:
    """One block of standard normals in float64; `pair` has room for a sine and a cosine."""
    beside = f.gep(pair, 1, "double")
    with f.loop(0, HALF) as loop:
        j = loop.index
        first = 1.0 - _uniform64(f, words, j)
        radius = f.sqrt(f.call_external("log", "double", first) * -2.0)
        angle = _uniform64(f, words, j + HALF) * (2 * math.pi)
        f.call_external("sincos", "void", angle, pair, beside)
        f.store(radius * f.load(beside, "double"), f.gep(out, j, "double"))
        f.store(radius * f.load(pair, "double"), f.gep(out, j + HALF, "double"))


def normal_blocks64(f: Function, words: Value, out: Value, n: Value) -> None:
    """As `normal_blocks`, in float64: two words for each value."""
    pair = f.alloca("double", 2)
    whole = n & -NORMAL_BLOCK
    with f.loop(0, whole, NORMAL_BLOCK) as loop:
        _block64(f, f.gep(words, loop.index * 2, "i32"), f.gep(out, loop.index, "double"), pair)
    with f.when(whole < n):
        end = f.sub(n, NORMAL_BLOCK)
        _block64(f, f.gep(words, n * 2, "i32"), f.gep(out, end, "double"), pair)


def normal_blocks(f: Function, turn: Function, words: Value, out: Value, n: Value) -> None:
    """n normals, n >= 16; a ragged end is made anew from the 16 words after the first n."""
    blocks = f.binary("lshr", n, 4)
    with f.loop(0, blocks, 2) as loop:
        starts = [f.mul(i, NORMAL_BLOCK) for i in (loop.index, _next(f, loop.index, blocks))]
        f.call(
            turn,
            *[f.gep(words, start, "i32") for start in starts],
            *[f.gep(out, start, "float") for start in starts],
        )
    with f.when(f.compare("!=", n & (NORMAL_BLOCK - 1), 0)):
        source = f.gep(words, n, "i32")
        target = f.gep(out, f.sub(n, NORMAL_BLOCK), "float")
        f.call(turn, source, source, target, target)


def _next(f: Function, index: Value, blocks: Value) -> Value:
    """The block after, or the same one again at the end."""
    return f.min(f.add(index, 1), f.sub(blocks, 1))
