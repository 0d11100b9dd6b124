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

from gemel.codegen.random.constants import NORMAL_BLOCK
from gemel.graph.form import DType, float32, float64, int32, int64, uint32, uint64
from gemel.graph.node import Node

from .elementwise import (
    BITCAST,
    FMA,
    MOD,
    SQRT,
    and_,
    cast,
    ceil,
    eq,
    lt,
    or_,
    shl,
    where,
)
from .movement import arange, concat, iota, narrow, reshape, zeros
from .ordering import running_sum
from .random import clib, draw, shuffle
from .random_fills import normals, uniforms, words_for
from .record import call, const
from .reduction import argmax, sum_

# from this size on a contiguous normal fill takes blocks of 16
BLOCK = NORMAL_BLOCK
# ranges from here on take 64-bit numbers
WIDE_RANGE = 1 << 28
# sizes from here on would need 64-bit steps
PERMUTATION_LIMIT = (2**32 - 1) // 20


# ---------- words to numbers ----------
# Words take their final shape at once: what follows is elementwise and fuses.
def pairs(words: Node) -> Node:
    """64-bit numbers [...] from words [..., 2], the first one high."""
    axis = words.ndim - 1
    high, low = (reshape(narrow(words, axis, i, 1), words.shape[:-1]) for i in (0, 1))
    return or_(shl(cast(high, uint64), 32), cast(low, uint64))


def numbers(state: Node, shape: tuple[int, ...], wide: bool) -> tuple[Node, Node]:
    """(uint32 or uint64 numbers, new state)."""
    words, state = draw(state, prod(shape) * (1 + wide))
    return (pairs(reshape(words, (*shape, 2))) if wide else reshape(words, shape)), state


def unit(number: Node) -> Node:
    """Uniforms of [0, 1): float32 from 24 bits of a uint32, float64 from 53 of a uint64."""
    if number.dtype is uint32:
        return cast(BITCAST(and_(number, 0xFFFFFF), attrs=(int32,)), float32) * 2.0**-24
    whole = and_(number, (1 << 53) - 1)
    return cast(BITCAST(whole, attrs=(int64,)), float64) * 2.0**-53


def working(dtype: DType) -> DType:
    """The element type in which values are made that end in `dtype`."""
    return dtype if dtype is float64 else float32


def ending(x: Node, dtype: DType) -> Node:
    """x in the element type of the result: doubles reach a half through float32, as in PyTorch."""
    if dtype.kind == "f" and dtype.itemsize == 2:
        x = cast(x, float32)
    return cast(x, dtype)


def units(state: Node, shape: tuple[int, ...], dtype: DType) -> tuple[Node, Node]:
    """(uniforms of [0, 1), new state)."""
    number, state = numbers(state, shape, dtype is float64)
    return unit(number), state


# ---------- uniform, integers ----------
@call
def uniform(attrs, state, low, high):
    """attrs: (shape, float DType). Values of [low, high)."""
    shape, dtype = attrs
    inner = working(dtype)
    x, state = units(state, shape, inner)
    low, high = cast(low, inner), cast(high, inner)
    value = cast(FMA(x, high - low, low), dtype)
    return state, where(eq(value, cast(high, dtype)), cast(low, dtype), value)


@call
def uniform_fill(attrs, state):
    """attrs: (shape, low, high). float32 of [low, high), the bounds being part of the program."""
    shape, low, high = attrs
    words, state = draw(state, prod(shape))
    return state, reshape(uniforms(words, low, high), shape)


@call
def integers(attrs, state, low, span):
    """attrs: (shape, DType, wide). Values of [low, low + span), span as int64 bits of a uint64.

    wide: two words per value (span >= WIDE_RANGE). A span of 0 means all 2**64 values.
    """
    shape, dtype, wide = attrs
    number, state = numbers(state, shape, wide)
    if wide:
        span = BITCAST(span, attrs=(uint64,))
        whole = eq(span, 0)
        number = where(whole, number, MOD(number, where(whole, 1, span)))
    else:
        number = MOD(number, cast(span, uint32))
    return state, cast(cast(number, int64) + low, dtype)


# element type -> (two words?, number of values)
_NATURAL = {
    "bool": (False, 2),
    "uint8": (False, 1 << 8),
    "int8": (False, 1 << 7),
    "int16": (False, 1 << 15),
    "int32": (False, 1 << 31),
    "int64": (True, 1 << 63),
    "uint32": (False, 1 << 32),
    "bfloat16": (False, (1 << 8) + 1),
    "float16": (False, (1 << 11) + 1),
    "float32": (False, (1 << 24) + 1),
    "float64": (True, (1 << 53) + 1),
}


@call
def natural(attrs, state):
    """attrs: (shape, DType). `random_()` without bounds: all non-negative whole values."""
    shape, dtype = attrs
    wide, count = _NATURAL[dtype.name]
    number, state = numbers(state, shape, wide)
    if count & (count - 1):
        number = MOD(number, const(count, number.dtype))
    else:
        number = and_(number, count - 1)
    return state, cast(number, dtype)


@call
def permutation(attrs, state):
    """attrs: (n, DType). A permutation of 0..n-1."""
    n, dtype = attrs
    if n >= PERMUTATION_LIMIT:
        raise NotImplementedError(f"a permutation of {n} values: the limit is {PERMUTATION_LIMIT}")
    if n < 2:
        return state, arange(n, dtype) if n else zeros((0,), dtype)
    words, state = draw(state, n - 1)
    return state, cast(shuffle(words, n), dtype)


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
    inner = working(p.dtype)
    u, state = units(state, p.shape, inner)
    return state, cast(lt(u, cast(p, inner)), attrs[0])


@call
def dropout_mask(attrs, state, keep):
    """attrs: (shape, float DType). 1/keep with probability keep, else zero."""
    shape, dtype = attrs
    u, state = units(state, shape, float64)
    kept = cast(1.0 / cast(keep, working(dtype)), dtype)
    return state, where(lt(u, keep), kept, const(0, dtype))


# ---------- normal ----------
@call
def normal_fill(attrs, state, *moments):
    """attrs: (shape, float DType), 16 values at least. Normals in blocks of 8 + 8.

    When the size is no multiple of 16, the last 16 values are drawn anew. moments: mean and
    deviation; or none, and they follow in the attributes.
    """
    shape, dtype, *fixed = attrs
    n = prod(shape)
    inner = working(dtype)
    if inner is dtype:
        words, state = draw(state, words_for(n, dtype))
        z = normals(words, n, dtype, *fixed)
    else:
        state, z = _normals_of_halves(state, n, fixed)
    z = reshape(z, shape)
    if moments:
        mean, deviation = (cast(x, inner) for x in moments)
        z = FMA(z, deviation, mean)
    return state, cast(z, dtype)


def _normals_of_halves(state: Node, n: int, fixed):
    """Normals in float32 for a half type, which takes no words for a ragged end but those that
    make its last 16 values."""
    whole = n // NORMAL_BLOCK * NORMAL_BLOCK
    words, state = draw(state, whole)
    z = normals(words, whole, float32, *fixed)
    if whole < n:
        words, state = draw(state, NORMAL_BLOCK)
        last = normals(words, NORMAL_BLOCK, float32, *fixed)
        z = concat([narrow(z, 0, 0, n - NORMAL_BLOCK), last], 0)
    return state, z


def scalar_normals(state: Node, cache: Node | None, n: int):
    """(new state, n standard normals as float64, the normal left over or None)."""
    fresh = n if cache is None else n - 1
    count = -(-fresh // 2)
    ready = [] if cache is None else [reshape(cache, (1,))]
    if count:
        words, state = draw(state, 4 * count)
        u = unit(pairs(reshape(words, (count, 2, 2))))
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
    return _with_left(state, reshape(ending(value, dtype), shape), left)


@call
def log_normal(attrs, state, mean, deviation, *cache):
    """attrs: (shape, DType). exp of normals, always drawn one by one."""
    shape, dtype = attrs
    state, z, left = scalar_normals(state, cache[0] if cache else None, prod(shape))
    value = clib("exp", FMA(z, deviation, mean))
    return _with_left(state, reshape(ending(value, dtype), shape), left)


# ---------- other continuous distributions ----------
@call
def exponential(attrs, state, rate):
    """attrs: (shape, DType)."""
    shape, dtype = attrs
    u, state = units(state, shape, float64)
    return state, ending((-1.0 / rate) * clib("log1p", -u), dtype)


@call
def geometric(attrs, state, p):
    """attrs: (shape, DType). Trials up to and with the first success."""
    shape, dtype = attrs
    u, state = units(state, shape, float64)
    return state, ending(ceil(clib("log", u) / clib("log1p", -p)), dtype)


@call
def cauchy(attrs, state, median, width):
    """attrs: (shape, DType)."""
    shape, dtype = attrs
    u, state = units(state, shape, float64)
    return state, ending(FMA(width, clib("tan", (u - 0.5) * math.pi), median), dtype)


# ---------- choices ----------
# up to this many categories are summed one after the other, as PyTorch does; beyond, by doubling
_SUMMED_SINGLY = 128


def _races(state: Node, weights: Node) -> tuple[Node, Node]:
    """(weights over exponentials: the largest win, new state)."""
    u, state = units(state, weights.shape, float64)
    inner = working(weights.dtype)
    race = cast(weights, inner) / cast(ending(clib("log1p", -u) * -1.0, weights.dtype), inner)
    return cast(cast(race, weights.dtype), inner), state


@call
def choice(attrs, state, weights):
    """attrs: (count,). Positions in weights [..., k] without repetition: int64 [..., count]."""
    race, state = _races(state, weights)
    last = weights.ndim - 1
    places = iota(weights.shape, last, int64)
    found = []
    for _ in range(attrs[0]):
        found.append(argmax(race, last, True))
        race = where(eq(places, found[-1]), -math.inf, race)
    return state, concat(found, last)


@call
def one_choice(attrs, state, weights):
    """A position in each row of weights [..., k]: int64 [...]. The same as `choice` of one."""
    race, state = _races(state, weights)
    return state, argmax(race, weights.ndim - 1)


def _running(weights: Node) -> Node:
    """Running sums along the last axis."""
    last = weights.ndim - 1
    k = weights.shape[last]
    if k > _SUMMED_SINGLY:
        return running_sum(weights, last)
    sums = [narrow(weights, last, 0, 1)]
    for i in range(1, k):
        sums.append(sums[-1] + narrow(weights, last, i, 1))
    return concat(sums, last)


@call
def choice_again(attrs, state, weights):
    """attrs: (count,), at least 2. Positions in weights [..., k], each drawn from all of them."""
    *rows, k = weights.shape
    weights = cast(weights, working(weights.dtype))
    u, state = units(state, (*rows, attrs[0], 1), float64)
    sums = _running(weights)
    shares = sums / narrow(sums, weights.ndim - 1, k - 1, 1)
    # the last share counts as 1, so it is never passed
    passed = lt(
        cast(reshape(narrow(shares, weights.ndim - 1, 0, k - 1), (*rows, 1, k - 1)), float64), u
    )
    return state, sum_(cast(passed, int64), weights.ndim)
