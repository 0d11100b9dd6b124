"""PyTorch's CPU distributions as composites: MT19937 words in, the same bits as PyTorch out.

Role: one Call per distribution. Each takes the generator's state first and gives (new state,
values); those that draw normals one by one also give the normal left over, where there is one.
Bounds, probabilities and moments are run-time numbers: float64 or int64 nodes of shape (). Shapes
and element types are attributes.

The order and number of words taken, the masks and every rounding are part of the contract; where
PyTorch's compiler fuses a product and a sum, `FMA` stands here.
"""

from __future__ import annotations

import math
from math import prod

from gemel.graph.form import DType, float32, float64, int32, int64, uint32, uint64
from gemel.graph.node import Node

from .elementwise import (
    BITCAST,
    FMA,
    MOD,
    NOT,
    SQRT,
    and_,
    cast,
    ceil,
    eq,
    lt,
    ne,
    or_,
    shl,
    shr,
    where,
)
from .movement import arange, concat, narrow, reshape, zeros
from .random import SHUFFLE, clib, draw
from .record import call, const
from .reduction import argmax

# from this size on a contiguous normal fill takes blocks of 16
BLOCK = 16
# ranges from here on take 64-bit numbers
WIDE_RANGE = 1 << 28
# sizes from here on would need 64-bit steps
PERMUTATION_LIMIT = (2**32 - 1) // 20


# ---------- words to numbers ----------
def pairs(words: Node) -> Node:
    """64-bit numbers from pairs of words, the first word high."""
    rows = reshape(words, (words.shape[0] // 2, 2))
    high, low = (reshape(narrow(rows, 1, i, 1), (rows.shape[0],)) for i in (0, 1))
    return or_(shl(cast(high, uint64), 32), cast(low, uint64))


def words_per(dtype: DType) -> int:
    """Words that one uniform of the element type takes."""
    return 2 if dtype is float64 else 1


def unit(words: Node, dtype: DType) -> Node:
    """Uniforms of [0, 1): 24 bits of a word, or 53 bits of two."""
    if dtype is float32:
        return cast(BITCAST(and_(words, 0xFFFFFF), attrs=(int32,)), float32) * 2.0**-24
    whole = and_(pairs(words), (1 << 53) - 1)
    return cast(BITCAST(whole, attrs=(int64,)), float64) * 2.0**-53


def units(state: Node, shape, dtype: DType) -> tuple[Node, Node]:
    """(uniforms of [0, 1), new state)."""
    words, state = draw(state, prod(shape) * words_per(dtype))
    return reshape(unit(words, dtype), shape), state


# ---------- uniform, integers ----------
@call
def uniform(attrs, state, low, high):
    """attrs: (shape, float DType). Values of [low, high)."""
    shape, dtype = attrs
    x, state = units(state, shape, dtype)
    low, high = cast(low, dtype), cast(high, dtype)
    value = FMA(x, high - low, low)
    return state, where(eq(value, high), low, value)


@call
def integers(attrs, state, low, span):
    """attrs: (shape, DType, wide). Values of [low, low + span), span as int64 bits of a uint64.

    wide: two words per value (span >= WIDE_RANGE). A span of 0 means all 2**64 values.
    """
    shape, dtype, wide = attrs
    words, state = draw(state, prod(shape) * (2 if wide else 1))
    if wide:
        number = pairs(words)
        span = BITCAST(span, attrs=(uint64,))
        whole = eq(span, 0)
        number = where(whole, number, MOD(number, where(whole, 1, span)))
    else:
        number = MOD(words, cast(span, uint32))
    value = cast(number, int64) + low
    return state, reshape(cast(value, dtype), shape)


# element type -> (two words?, number of values)
_NATURAL = {
    "bool": (False, 2),
    "uint8": (False, 1 << 8),
    "int8": (False, 1 << 7),
    "int16": (False, 1 << 15),
    "int32": (False, 1 << 31),
    "int64": (True, 1 << 63),
    "uint32": (False, 1 << 32),
    "float32": (False, (1 << 24) + 1),
    "float64": (True, (1 << 53) + 1),
}


@call
def natural(attrs, state):
    """attrs: (shape, DType). `random_()` without bounds: all non-negative whole values."""
    shape, dtype = attrs
    wide, count = _NATURAL[dtype.name]
    words, state = draw(state, prod(shape) * (2 if wide else 1))
    number = pairs(words) if wide else words
    if count & (count - 1):
        number = MOD(number, const(count, number.dtype))
    else:
        number = and_(number, count - 1)
    return state, reshape(cast(number, dtype), shape)


@call
def permutation(attrs, state):
    """attrs: (n, DType). A permutation of 0..n-1."""
    n, dtype = attrs
    if n >= PERMUTATION_LIMIT:
        raise NotImplementedError(f"a permutation of {n} values: the limit is {PERMUTATION_LIMIT}")
    if n < 2:
        return state, arange(n, dtype) if n else zeros((0,), dtype)
    words, state = draw(state, n - 1)
    return state, cast(SHUFFLE(words), dtype)


# ---------- truth values ----------
@call
def bernoulli(attrs, state, p):
    """attrs: (shape, DType). One where a double uniform is below p, else zero."""
    shape, dtype = attrs
    u, state = units(state, shape, float64)
    return state, cast(lt(u, p), dtype)


@call
def bernoulli_each(attrs, state, p):
    """attrs: (DType,). As bernoulli with a probability per value, in p's own precision."""
    u, state = units(state, p.shape, p.dtype)
    return state, cast(lt(u, p), attrs[0])


@call
def dropout_mask(attrs, state, keep):
    """attrs: (shape, float DType). 1/keep with probability keep, else zero."""
    shape, dtype = attrs
    u, state = units(state, shape, float64)
    return state, where(lt(u, keep), 1.0 / cast(keep, dtype), const(0, dtype))


# ---------- normal ----------
# Cephes' single-precision logarithm, sine and cosine (S. Moshier), highest power first
_LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
_LN2_LOW, _LN2_HIGH = -2.12194440e-4, 0.693359375
_SQRT_HALF = 0.707106781186547524
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
# pi/4 in three pieces
_QUARTERS = (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
_FOUR_OVER_PI = 1.27323954473516


def _f32(x: float) -> Node:
    return const(x, float32)


def _horner(coefficients, x: Node) -> Node:
    y = _f32(coefficients[0])
    for c in coefficients[1:]:
        y = FMA(y, x, _f32(c))
    return y


def _log32(x: Node) -> Node:
    """Cephes' logf for positive normal float32, rounded as PyTorch's AVX2 build rounds it."""
    bits = BITCAST(x, attrs=(int32,))
    e = cast(shr(bits, 23) - 0x7F, float32) + 1.0
    m = BITCAST(or_(and_(bits, ~0x7F800000), 0x3F000000), attrs=(float32,))
    small = lt(m, _SQRT_HALF)
    e = e - cast(small, float32)
    m = (m - 1.0) + where(small, m, 0.0)
    z = m * m
    y = _horner(_LOG, m) * m
    y = FMA(y, z, e * _LN2_LOW)
    y = FMA(-z, _f32(0.5), y)
    return FMA(e, _f32(_LN2_HIGH), m + y)


def _sincos32(x: Node) -> tuple[Node, Node]:
    """Cephes' sinf and cosf for non-negative float32, with the same contractions."""
    octant = and_(cast(x * _FOUR_OVER_PI, int32) + 1, ~1)
    y = cast(octant, float32)
    for part in _QUARTERS:
        x = FMA(y, _f32(part), x)
    z = x * x
    c = _horner(_COS, z) * z
    c = FMA(c, z, -(z * 0.5)) + 1.0
    s = FMA(_horner(_SIN, z) * z, x, x)
    straight = eq(and_(octant, 2), 0)
    sine = where(straight, s, c)
    cosine = where(straight, c, s)
    sine = where(ne(and_(octant, 4), 0), -sine, sine)
    flipped = ne(and_(NOT(octant - 2), 4), 0)
    return sine, where(flipped, -cosine, cosine)


def _polar(u1: Node, u2: Node, dtype: DType) -> tuple[Node, Node]:
    """Two standard normals from two uniforms, u1 of (0, 1]: Box and Muller."""
    if dtype is float32:
        radius = SQRT(_log32(u1) * -2.0)
        sine, cosine = _sincos32(u2 * (2 * math.pi))
    else:
        radius = SQRT(clib("log", u1) * -2.0)
        angle = u2 * (2 * math.pi)
        sine, cosine = clib("sin", angle), clib("cos", angle)
    return radius * cosine, radius * sine


def _block_words(state: Node, n: int, dtype: DType) -> tuple[Node, Node]:
    """(new state, words of whole blocks). A ragged end takes a fresh block of its own."""
    per = words_per(dtype)
    ragged = n % BLOCK
    words, state = draw(state, per * (n + (BLOCK if ragged else 0)))
    if ragged:
        whole = narrow(words, 0, 0, per * (n - ragged))
        words = concat([whole, narrow(words, 0, per * n, per * BLOCK)], 0)
    return state, words


@call
def normal_fill(attrs, state, mean, deviation):
    """attrs: (shape, float DType), 16 values at least. Normals in blocks of 8 + 8.

    When the size is no multiple of 16, the last 16 values are drawn anew.
    """
    shape, dtype = attrs
    n = prod(shape)
    state, words = _block_words(state, n, dtype)
    u = reshape(unit(words, dtype), (words.shape[0] // words_per(dtype) // BLOCK, 2, 8))
    first, second = _polar(1.0 - narrow(u, 1, 0, 1), narrow(u, 1, 1, 1), dtype)
    mean, deviation = cast(mean, dtype), cast(deviation, dtype)
    flat = FMA(concat([first, second], 1), deviation, mean)
    flat = reshape(flat, (flat.form.size,))
    if n % BLOCK:
        end = narrow(flat, 0, flat.form.size - BLOCK, BLOCK)
        flat = concat([narrow(flat, 0, 0, n - BLOCK), end], 0)
    return state, reshape(flat, shape)


def scalar_normals(state: Node, cache: Node | None, n: int):
    """(new state, n standard normals as float64, the normal left over or None)."""
    fresh = n if cache is None else n - 1
    count = -(-fresh // 2)
    ready = [] if cache is None else [reshape(cache, (1,))]
    if count:
        words, state = draw(state, 4 * count)
        u = reshape(unit(words, float64), (count, 2))
        angle = narrow(u, 1, 0, 1) * (2 * math.pi)
        radius = SQRT(clib("log1p", -narrow(u, 1, 1, 1)) * -2.0)
        both = [radius * clib("cos", angle), radius * clib("sin", angle)]
        ready.append(reshape(concat(both, 1), (2 * count,)))
    flat = concat(ready, 0)
    left = reshape(narrow(flat, 0, n, 1), ()) if flat.shape[0] > n else None
    return state, narrow(flat, 0, 0, n), left


def _with_left(state: Node, values: Node, left: Node | None):
    return (state, values) if left is None else (state, values, left)


@call
def normal_each(attrs, state, mean, deviation, *cache):
    """attrs: (shape, DType). Normals one by one in double precision, the cached one first.

    Also gives the normal that is left over, where one is.
    """
    shape, dtype = attrs
    state, z, left = scalar_normals(state, cache[0] if cache else None, prod(shape))
    value = FMA(z, deviation, mean)
    return _with_left(state, reshape(cast(value, dtype), shape), left)


@call
def log_normal(attrs, state, mean, deviation, *cache):
    """attrs: (shape, DType). exp of normals, always drawn one by one."""
    shape, dtype = attrs
    state, z, left = scalar_normals(state, cache[0] if cache else None, prod(shape))
    value = clib("exp", FMA(z, deviation, mean))
    return _with_left(state, reshape(cast(value, dtype), shape), left)


# ---------- other continuous distributions ----------
@call
def exponential(attrs, state, rate):
    """attrs: (shape, DType)."""
    shape, dtype = attrs
    u, state = units(state, shape, float64)
    return state, cast((-1.0 / rate) * clib("log1p", -u), dtype)


@call
def geometric(attrs, state, p):
    """attrs: (shape, DType). Trials up to and with the first success."""
    shape, dtype = attrs
    u, state = units(state, shape, float64)
    return state, cast(ceil(clib("log", u) / clib("log1p", -p)), dtype)


@call
def cauchy(attrs, state, median, width):
    """attrs: (shape, DType)."""
    shape, dtype = attrs
    u, state = units(state, shape, float64)
    return state, cast(FMA(width, clib("tan", (u - 0.5) * math.pi), median), dtype)


@call
def choice(attrs, state, weights):
    """One position per row of weights [..., k], with a probability in proportion: [..., 1]."""
    u, state = units(state, weights.shape, float64)
    rate = cast(clib("log1p", -u) * -1.0, weights.dtype)
    return state, argmax(weights / rate, weights.ndim - 1, True)
