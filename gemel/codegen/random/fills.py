"""The kernels of PyTorch's fills: uniforms, and blocks of 16 uniforms to blocks of 16 normals.

Role: the kernels of `uniforms` and `normal_blocks`. Invariant: the same roundings as
`ops.random_fills`, which says where they come from. In float32 two blocks of normals go through one
vector of 16 lanes; in float64 each value goes through the C library.
"""

from __future__ import annotations

import math

from gemel.codegen.llvm import Function, Module, Operand, Value
from gemel.codegen.native import FILL, delegate, right, shared
from gemel.codegen.random.constants import (
    CEPHES_COS,
    CEPHES_LOG,
    CEPHES_SIN,
    FOUR_OVER_PI,
    LN2_PARTS,
    NORMAL_BLOCK,
    QUARTER_PI_PARTS,
    SQRT_HALF,
)
from gemel.runtime.machine import machine

HALF = NORMAL_BLOCK // 2
_MOMENTS = [("double", "mean"), ("double", "deviation")]
_BLOCKS = [("ptr", "words_a"), ("ptr", "words_b"), ("ptr", "out_a"), ("ptr", "out_b")]
TURN = [*_BLOCKS, *_MOMENTS]


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


def _normal_turn(f: Function, words_a, words_b, out_a, out_b, mean: Value, deviation: Value):
    """Two blocks of normals in float32 (which may be one and the same)."""
    mean, deviation = f.convert(mean, "float"), f.convert(deviation, "float")
    radius = f.sqrt(_log(f, 1.0 - _uniforms(f, words_a, words_b, 0)) * -2.0)
    angle = _uniforms(f, words_a, words_b, HALF) * (2 * math.pi)
    sine, cosine = _sine_and_cosine(f, angle)
    for offset, z in ((0, radius * cosine), (HALF, radius * sine)):
        x = f.fma(z, deviation, mean)
        f.store(f.shuffle(x, None, range(HALF)), f.gep(out_a, offset, "float"))
        f.store(f.shuffle(x, None, range(HALF, 2 * HALF)), f.gep(out_b, offset, "float"))


def _normal_blocks32(f: Function, words: Value, out: Value, n: Value, *moments: Value) -> None:
    """n normals, n >= 16; a ragged end is made anew from the 16 words after the first n."""
    turn = shared(f.module, "normal_turn", TURN, _normal_turn)
    blocks = right(n, 4)
    with f.loop(0, blocks, 2) as loop:
        # the block after, or the same one again at the end
        following = f.min(f.add(loop.index, 1), f.sub(blocks, 1))
        starts = [f.mul(i, NORMAL_BLOCK) for i in (loop.index, following)]
        sources = [f.gep(words, start, "i32") for start in starts]
        f.call(turn, *sources, *[f.gep(out, start, "float") for start in starts], *moments)
    with f.when(f.compare("!=", n & (NORMAL_BLOCK - 1), 0)):
        source = f.gep(words, n, "i32")
        target = f.gep(out, f.sub(n, NORMAL_BLOCK), "float")
        f.call(turn, source, source, target, target, *moments)


def _uniform64(f: Function, words: Value, index: Operand) -> Value:
    places = (f.gep(words, f.add(f.mul(index, 2), k), "i32") for k in (0, 1))
    high, low = (f.convert(f.load(p, "i32"), "i64", signed=False) for p in places)
    whole = ((high << 32) | low) & ((1 << 53) - 1)
    return f.convert(whole, "double") * 2.0**-53


def _block64(f: Function, words: Value, out: Value, pair: Value, moments) -> None:
    """One block of normals in float64; `pair` has room for a sine and a cosine."""
    mean, deviation = moments
    beside = f.gep(pair, 1, "double")
    with f.loop(0, HALF) as loop:
        j = loop.index
        first = 1.0 - _uniform64(f, words, j)
        radius = f.sqrt(f.call_external("log", "double", first) * -2.0)
        angle = _uniform64(f, words, j + HALF) * (2 * math.pi)
        f.call_external("sincos", "void", angle, pair, beside)
        for place, at in ((beside, j), (pair, j + HALF)):
            x = f.fma(radius * f.load(place, "double"), deviation, mean)
            f.store(x, f.gep(out, at, "double"))


def _normal_blocks64(f: Function, words: Value, out: Value, n: Value, *moments: Value) -> None:
    """As `_normal_blocks32`, in float64: two words for each value."""
    pair = f.alloca("double", 2)
    whole = n & -NORMAL_BLOCK
    with f.loop(0, whole, NORMAL_BLOCK) as loop:
        source = f.gep(words, loop.index * 2, "i32")
        _block64(f, source, f.gep(out, loop.index, "double"), pair, moments)
    with f.when(whole < n):
        end = f.sub(n, NORMAL_BLOCK)
        _block64(f, f.gep(words, n * 2, "i32"), f.gep(out, end, "double"), pair, moments)


def emit_normal_blocks(module: Module, name: str, attrs, arguments, result) -> None:
    """attrs: (n, start, DType, mean, deviation)."""
    n, start, dtype, *moments = attrs
    body = _normal_blocks64 if dtype.name == "float64" else _normal_blocks32
    callee = shared(module, body.__name__.strip("_"), [*FILL, *_MOMENTS], body)
    delegate(module, name, callee, n, start, tuple(moments))


_BOUNDS = [("double", "low"), ("double", "high")]


def _uniforms32(f: Function, words: Value, out: Value, n: Value, *bounds: Value) -> None:
    low, high = (f.convert(x, "float") for x in bounds)
    span = high - low
    lanes = machine().lanes(4)
    with f.loop(0, n, lanes) as loop:
        live = f.lanes_below(f.sub(n, loop.index), lanes)
        word = f.load(f.gep(words, loop.index, "i32"), "i32", lanes, mask=live)
        unit = f.convert(word & 0xFFFFFF, "float") * 2.0**-24
        x = f.fma(unit, span, low)
        x = f.select(f.compare("==", x, high), f.splat(low, lanes), x)
        f.store(x, f.gep(out, loop.index, "float"), mask=live)


def emit_uniforms(module: Module, name: str, attrs, arguments, result) -> None:
    """attrs: (n, start, low, high)."""
    n, start, *bounds = attrs
    callee = shared(module, "uniforms32", [*FILL, *_BOUNDS], _uniforms32)
    delegate(module, name, callee, n, start, tuple(bounds))
