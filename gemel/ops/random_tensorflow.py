"""TensorFlow's CPU distributions as composites: Philox words in, the same bits as TensorFlow out.

Role: one `Sampler` per distribution, with two Calls. `stateful` takes a Philox state (6 words: key,
counter) and gives (new state, values), as TensorFlow's RandomUniform and its like do; `stateless`
takes a seed [2] and gives values. Shapes and element types are attributes; bounds and moments are
run-time numbers.

The words each value takes and every rounding are part of the contract: products and sums are
rounded one by one here, since TensorFlow computes them as operations of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import prod

from gemel.graph.form import DType, bfloat16, float16, float32, float64, int64, uint32, uint64
from gemel.graph.node import Node

from .elementwise import (
    ABS,
    BITCAST,
    EXP,
    MOD,
    SQRT,
    and_,
    cast,
    le,
    lt,
    maximum,
    or_,
    shl,
    shr,
    where,
)
from .movement import arange, concat, expand, narrow, reshape, stack, zeros
from .ordering import running_sum
from .random import PHILOX, PHILOX_SCRAMBLE, TRUNCATED_NORMAL, clib, shuffle
from .random_gamma import gamma
from .record import Call, const
from .reduction import amax, sum_

# a stateful operation skips this many counters for each value that it gave
RESERVED = 256
_SMALLEST = 1e-7  # uniforms under a logarithm are no smaller
FLOAT_TINY = {float32: 1.1754943508222875e-38, float64: 2.2250738585072014e-308}
FLOAT_MAX = {float32: 3.4028234663852886e38, float64: 1.7976931348623157e308}


def words(state: Node, count: int) -> Node:
    """The first `count` words of a Philox state."""
    return PHILOX(state, attrs=(count,)) if count else zeros((0,), uint32)


def advanced(state: Node, counters: int | Node) -> Node:
    """The state with its 128-bit counter moved on; a Node is a uint64 of shape ()."""
    halves = _moved_on(*_numbers(narrow(state, 0, 2, 4)), counters)
    return concat([narrow(state, 0, 0, 2), _halves(concat(halves, 0))], 0)


def _cell(rows: Node, i: int, j: int) -> Node:
    return reshape(narrow(narrow(rows, 0, i, 1), 1, j, 1), (1,))


def _halves(x: Node) -> Node:
    """uint64 [n] as words [2n], low ones first."""
    both = [cast(and_(x, 0xFFFFFFFF), uint32), cast(shr(x, 32), uint32)]
    return reshape(stack(both, 1), (2 * x.shape[0],))


def _numbers(halves: Node) -> tuple[Node, Node]:
    """Two uint64 [1] from four words."""
    rows = cast(reshape(halves, (2, 2)), uint64)
    return tuple(or_(_cell(rows, i, 0), shl(_cell(rows, i, 1), 32)) for i in (0, 1))


def generator_state(wide: Node) -> Node:
    """The Philox state of a `tf.random.Generator`: int64 [3], counter (low, high) and key."""
    flat = _halves(BITCAST(wide, attrs=(uint64,)))
    return concat([narrow(flat, 0, 4, 2), narrow(flat, 0, 0, 4)], 0)


def advanced_generator(wide: Node, counters: int) -> Node:
    """A `tf.random.Generator`'s state with its counter moved on."""
    bits = BITCAST(wide, attrs=(uint64,))
    low, high = narrow(bits, 0, 0, 1), narrow(bits, 0, 1, 1)
    new = [*_moved_on(low, high, counters), narrow(bits, 0, 2, 1)]
    return BITCAST(concat(new, 0), attrs=(int64,))


def _moved_on(low: Node, high: Node, counters: int | Node) -> tuple[Node, Node]:
    new = low + counters
    return new, high + cast(lt(new, low), uint64)


def scrambled(seed: Node) -> Node:
    """The Philox state that follows from a seed [2] of a stateless operation. int32 seeds keep
    their sign."""
    return PHILOX_SCRAMBLE(cast(seed, int64))


# ---------- words to numbers ----------
HALF_BITS = {bfloat16: 7, float16: 10}


# Words take their final shape at once: what follows is elementwise and fuses.
def _last(x: Node, i: int) -> Node:
    """x[..., i]"""
    return reshape(narrow(x, x.ndim - 1, i, 1), x.shape[:-1])


def shaped(state: Node, shape: tuple[int, ...], dtype: DType) -> Node:
    """Words for values of the element type: [...], or [..., 2] for 64 bits."""
    if dtype.itemsize == 8:
        shape = (*shape, 2)
    return reshape(words(state, prod(shape)), shape)


def unit(given: Node, dtype: DType) -> Node:
    """Uniforms of [0, 1): 23 bits of a word, or 52 bits of two (the first one high). Of half types
    the lowest bits of a word, as many as fit."""
    if dtype.half:
        bits = HALF_BITS[dtype]
        return cast(and_(given, (1 << bits) - 1), dtype) * 2.0**-bits
    if dtype is float32:
        bits = or_(and_(given, 0x7FFFFF), 0x3F800000)
        return BITCAST(bits, attrs=(float32,)) - 1.0
    high = cast(and_(_last(given, 0), 0xFFFFF), uint64)
    wide = or_(shl(high, 32), cast(_last(given, 1), uint64))
    return BITCAST(or_(wide, 0x3FF << 52), attrs=(float64,)) - 1.0


def units(state: Node, shape, dtype: DType) -> Node:
    return unit(shaped(state, shape, dtype), dtype)


def whole(state: Node, shape, dtype: DType) -> Node:
    """Unsigned numbers of the integer type's width; 64 bits from two words, low first."""
    given = shaped(state, shape, dtype)
    if dtype.itemsize == 4:
        return given
    return or_(shl(cast(_last(given, 1), uint64), 32), cast(_last(given, 0), uint64))


def standard_normals(state: Node, n: int, dtype: DType) -> Node:
    """Box and Muller: pairs of sine and cosine. The C library's functions, as TensorFlow's."""
    pairs = -(-n // 2)
    u = units(state, (pairs, 2), dtype)
    radius = SQRT(clib("log", maximum(_last(u, 0), _SMALLEST)) * -2.0)
    angle = _last(u, 1)
    if dtype is float32:
        angle = cast(cast(angle, float64) * (2 * math.pi), float32)
    else:
        angle = angle * (2 * math.pi)
    both = [clib("sin", angle) * radius, clib("cos", angle) * radius]
    return narrow(reshape(stack(both, 1), (2 * pairs,)), 0, 0, n)


# ---------- distributions: (attrs, state, *numbers) -> values ----------
def _uniform(attrs, state, low, high):
    shape, dtype = attrs
    low, high = cast(low, dtype), cast(high, dtype)
    return units(state, shape, dtype) * (high - low) + low


def _integers(attrs, state, low, high):
    shape, dtype = attrs
    kind = uint32 if dtype.itemsize == 4 else uint64
    low, high = (BITCAST(cast(x, dtype), attrs=(kind,)) for x in (low, high))
    return BITCAST(low + MOD(whole(state, shape, dtype), high - low), attrs=(dtype,))


def _bits(attrs, state):
    shape, dtype = attrs
    value = whole(state, shape, dtype)
    return value if value.dtype is dtype else BITCAST(value, attrs=(dtype,))


def _moved(x, shape, dtype, mean, deviation):
    return reshape(x, shape) * cast(deviation, dtype) + cast(mean, dtype)


def _normal(attrs, state, mean, deviation):
    shape, dtype = attrs
    return _moved(standard_normals(state, prod(shape), dtype), shape, dtype, mean, deviation)


def _truncated(attrs, state, mean, deviation):
    shape, dtype = attrs
    n = prod(shape)
    x = TRUNCATED_NORMAL(state, attrs=(n, dtype)) if n else zeros((0,), dtype)
    return _moved(x, shape, dtype, mean, deviation)


def _permutation(attrs, state):
    n = attrs[0][0]
    return shuffle(words(state, n - 1), n) if n > 1 else arange(n, int64)


def _dropout_mask(attrs, state, rate):
    """1 / (1 - rate) where a uniform is at least the rate, else zero."""
    shape, dtype = attrs
    keep = cast(1.0 / (1.0 - rate), dtype)
    return where(lt(units(state, shape, dtype), cast(rate, dtype)), const(0, dtype), keep)


def _categorical(attrs, state, logits):
    """attrs: ((rows, samples), DType). Positions in logits [rows, k]: the first one up to which
    the running sum of exponentials exceeds a uniform share of all of it."""
    (rows, samples), dtype = attrs
    finite = lt(ABS(logits), math.inf)
    top = amax(where(finite, logits, -FLOAT_MAX[logits.dtype]), 1, True)
    weights = EXP(cast(logits, float64) - cast(top, float64))
    sums = running_sum(where(finite, weights, 0.0), 1)
    k = sums.shape[1]
    share = units(state, (rows, samples), float64) * narrow(sums, 1, k - 1, 1)
    sums = expand(reshape(sums, (rows, 1, k)), (rows, samples, k))
    passed = le(sums, reshape(share, (rows, samples, 1)))
    return sum_(cast(passed, dtype), 2)


def _gamma(attrs, state, alpha):
    """attrs: (shape, float DType); shape ends in alpha's. Samples of scale 1, none
    below the smallest normal number."""
    shape, dtype = attrs
    lead = prod(shape[: len(shape) - alpha.ndim])
    drawn = maximum(gamma(state, alpha, lead, dtype), FLOAT_TINY[dtype])
    return reshape(drawn, shape)


class Sampler:
    """A distribution's Calls.

    once        (state, *numbers) -> values; the state stays as it is
    stateful    (state, *numbers) -> (new state, values)
    stateless   (seed, *numbers) -> values
    generator   as stateful, from the int64 [3] of a `tf.random.Generator`

    values(attrs, state, *numbers) -> Node; attrs[0] is the shape that is drawn.
    counters(shape) -> how far the stateful operation moves on after such a draw.
    """

    def __init__(self, name: str, values: Callable, counters: Callable | None = None):
        self.name = name
        skip = counters or (lambda shape: RESERVED * prod(shape))
        self.counters = skip

        def stateful(attrs, state, *numbers):
            return advanced(state, skip(attrs[0])), values(attrs, state, *numbers)

        def stateless(attrs, seed, *numbers):
            return values(attrs, scrambled(seed), *numbers)

        def generator(attrs, wide, *numbers):
            after = advanced_generator(wide, RESERVED * prod(attrs[0]))
            return after, values(attrs, generator_state(wide), *numbers)

        self.once = Call(name + "_once", values, differentiable=False)
        self.stateful = Call(name, stateful, differentiable=False)
        self.stateless = Call("stateless_" + name, stateless, differentiable=False)
        self.generator = Call("generator_" + name, generator, differentiable=False)


UNIFORM = Sampler("random_uniform", _uniform)
INTEGERS = Sampler("random_uniform_int", _integers)
BITS = Sampler("random_bits", _bits)
NORMAL = Sampler("random_normal", _normal)
TRUNCATED = Sampler("truncated_normal", _truncated)
PERMUTATION = Sampler("random_shuffle", _permutation, lambda shape: -(-shape[0] // 4))
DROPOUT_MASK = Sampler("dropout_mask", _dropout_mask)
GAMMA = Sampler("random_gamma", _gamma)
# rows are set aside in fours, of two words each
CATEGORICAL = Sampler(
    "multinomial", _categorical, lambda shape: RESERVED * 2 * shape[0] * (-(-shape[1] // 4) * 4)
)
