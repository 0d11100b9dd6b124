"""PyTorch's fills as native functions: uniforms and normals.

In float32 PyTorch's AVX2 code takes a logarithm, a sine and a cosine from Cephes, and its compiler
fuses some products with the sums that follow: each rounding below repeats one of that code's. In
float64 it calls the C library. These are native because a model's initial weights are many fills:
they share one function, and compile once.
"""

from __future__ import annotations

import math

import numpy as np

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
from gemel.graph.errors import ShapeError
from gemel.graph.form import DType, Form, float32, form
from gemel.graph.node import Node

from .elementwise import FMA
from .random import Native, check_source, libm, where_drawn

_f32 = np.float32


def _fma(a, b, c):
    return (np.asarray(a, np.float64) * np.asarray(b, np.float64) + c).astype(_f32)


def _horner(coefficients, x):
    y = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        y = _fma(y, x, _f32(c))
    return y


def _log(x):
    """For positive normal numbers."""
    bits = x.view(np.int32)
    e = ((bits >> 23) - 0x7F).astype(_f32) + _f32(1)
    m = ((bits & ~0x7F800000) | 0x3F000000).view(_f32)
    small = m < _f32(SQRT_HALF)
    e = e - small.astype(_f32)
    m = (m - _f32(1)) + np.where(small, m, _f32(0))
    z = m * m
    y = _horner(CEPHES_LOG, m) * m
    y = _fma(y, z, e * _f32(LN2_PARTS[0]))
    y = _fma(-z, _f32(0.5), y)
    return _fma(e, _f32(LN2_PARTS[1]), m + y)


def _sine_and_cosine(x):
    """For non-negative numbers."""
    octant = ((x * _f32(FOUR_OVER_PI)).astype(np.int32) + 1) & ~1
    turns = octant.astype(_f32)
    for part in QUARTER_PI_PARTS:
        x = _fma(turns, _f32(part), x)
    z = x * x
    c = _horner(CEPHES_COS, z) * z
    c = _fma(c, z, -(z * _f32(0.5))) + _f32(1)
    s = _fma(_horner(CEPHES_SIN, z) * z, x, x)
    straight = (octant & 2) == 0
    sine, cosine = np.where(straight, s, c), np.where(straight, c, s)
    sine = np.where((octant & 4) != 0, -sine, sine)
    return sine, np.where((~(octant - 2) & 4) != 0, -cosine, cosine)


def _blocks32(words):
    """Normals from words, whole blocks."""
    u = _units32(words.reshape(-1, 2, NORMAL_BLOCK // 2))
    radius = np.sqrt(_f32(-2) * _log(_f32(1) - u[:, 0]))
    sine, cosine = _sine_and_cosine(u[:, 1] * _f32(2 * math.pi))
    return np.stack([radius * cosine, radius * sine], 1).ravel()


def _units32(words):
    return (words & np.uint32(0xFFFFFF)).astype(_f32) * _f32(2.0**-24)


def _blocks64(words):
    """As _blocks32, from two words for each value."""
    rows = words.reshape(-1, 2, NORMAL_BLOCK // 2, 2).astype(np.uint64)
    whole = (rows[..., 0] << np.uint64(32) | rows[..., 1]) & np.uint64((1 << 53) - 1)
    u = whole.astype(np.float64) * 2.0**-53
    radius = np.sqrt(-2.0 * libm("log", "float64")(1.0 - u[:, 0]))
    angle = u[:, 1] * (2 * math.pi)
    both = [radius * libm(name, "float64")(angle) for name in ("cos", "sin")]
    return np.stack(both, 1).ravel()


def words_for(n: int, dtype: DType) -> int:
    """Words that n normals take: a ragged end takes a block of its own."""
    per = dtype.itemsize // 4
    return per * (n + (NORMAL_BLOCK if n % NORMAL_BLOCK else 0))


def _infer(attrs, words: Form) -> Form:
    n, start, dtype = attrs[:3]
    if n < NORMAL_BLOCK:
        raise ShapeError("normal_blocks", f"{n} normals are less than a block", (words,))
    check_source("normal_blocks", words, start, words_for(n, dtype))
    return form((n,), dtype)


def _reference(attrs, words):
    n, start, dtype, mean, deviation = attrs
    blocks = _blocks32 if dtype is float32 else _blocks64
    per = dtype.itemsize // 4
    words = words[start : start + words_for(n, dtype)]
    ragged = n % NORMAL_BLOCK
    made = blocks(words[: per * (n - ragged)])
    if ragged:
        made = np.concatenate([made[: n - NORMAL_BLOCK], blocks(words[per * n :])])
    mean, deviation = (np.asarray(x, dtype.numpy) for x in (mean, deviation))
    return FMA.reference((), made, deviation, mean)


# attrs: (n, start, float DType, mean, deviation), n at least 16: normals from words_for(n, dtype)
# words from `start` on; if n is no multiple of 16 the last 16 are made anew
NORMAL_BLOCKS = Native("normal_blocks", _infer, _reference)


def normals(words: Node, n: int, dtype: DType, mean: float = 0.0, deviation: float = 1.0) -> Node:
    """Normals [n] from words_for(n, dtype) words."""
    source, start = where_drawn(words)
    return NORMAL_BLOCKS(source, attrs=(n, start, dtype, mean, deviation))


def _uniform_infer(attrs, words: Form) -> Form:
    n, start = attrs[:2]
    check_source("uniforms", words, start, n)
    return form((n,), float32)


def _uniform_reference(attrs, words):
    n, start, *bounds = attrs
    low, high = (_f32(x) for x in bounds)
    value = _fma(_units32(words[start : start + n]), high - low, low)
    return np.where(value == high, low, value)


# attrs: (n, start, low, high): float32 uniforms of [low, high) from n words from `start` on
UNIFORMS = Native("uniforms", _uniform_infer, _uniform_reference)


def uniforms(words: Node, low: float, high: float) -> Node:
    """float32 uniforms of [low, high), one for each word."""
    source, start = where_drawn(words)
    return UNIFORMS(source, attrs=(words.shape[0], start, low, high))
