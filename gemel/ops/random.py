"""Sources of random words, and the few steps between words and values that are not elementwise.

Role: the primitive `native` and the functions that it names. They are pure: a generator's state is
a value that goes in and comes out, so that draws are ordered by data flow and repeat exactly. What
turns words into uniforms and so on is elementwise: `random_torch` and `random_tensorflow`.

MT19937's state is 625 words: the 624 of the algorithm, then how many of them are used up (0 when
freshly seeded, so that they are still to be renewed). A Philox state is 6 words: key, counter.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np

from gemel.codegen.random.constants import (
    PHILOX_FACTORS,
    PHILOX_ROUNDS,
    PHILOX_STEPS,
    PHILOX_WORDS,
    SCRAMBLE_KEY,
    STATE_WORDS,
    TRUNCATED_RESERVE,
    TWISTER_DISTANCE,
    TWISTER_MATRIX,
    TWISTER_SEED_FACTOR,
    TWISTER_SIZE,
)
from gemel.graph.errors import DTypeError, ShapeError
from gemel.graph.form import Form, float32, float64, form, int64, uint32
from gemel.graph.node import Node

from .movement import SLICE, narrow, zeros
from .record import Primitive

NATIVES: dict[str, Native] = {}


class Native:
    """A function with a reference and a kernel of its own; no gradient flows through.

    infer(attrs, *forms) -> Form and reference(attrs, *arrays) -> array as a primitive's; the
    kernel is `codegen.random.kernels.EMITTERS[name]`.
    """

    def __init__(self, name: str, infer: Callable[..., Form], reference: Callable):
        self.name = name
        self.infer = infer
        self.reference = reference
        NATIVES[name] = self

    def __call__(self, *args: Node, attrs: tuple = ()) -> Node:
        return NATIVE(*args, attrs=(self.name, *attrs))

    def made(self, node: Node) -> bool:
        """Is the node an application of this function?"""
        return node.op is NATIVE and node.attrs[0] == self.name


# attrs: (name of the function, *its own)
NATIVE = Primitive(
    "native",
    "random",
    -1,
    lambda attrs, *forms: NATIVES[attrs[0]].infer(attrs[1:], *forms),
    (),
    lambda attrs, *arrays: NATIVES[attrs[0]].reference(attrs[1:], *arrays),
)


def _check_words(op: str, f: Form, count: int | None) -> None:
    if f.dtype is not uint32:
        raise DTypeError(op, "uint32 words are needed", (f,))
    if f.ndim != 1 or count is not None and f.size != count:
        raise ShapeError(op, f"a vector of {count or 'any number of'} words is needed", (f,))


# ---------- MT19937 ----------
def seeded_words(seed: int) -> np.ndarray:
    """The state of a freshly seeded MT19937; only the low 32 bits of the seed count."""
    word = seed & 0xFFFFFFFF
    words = [word]
    for i in range(1, TWISTER_SIZE):
        word = (TWISTER_SEED_FACTOR * (word ^ word >> 30) + i) & 0xFFFFFFFF
        words.append(word)
    return np.array([*words, 0], np.uint32)


def _twister_infer(attrs, state: Form) -> Form:
    _check_words("mt19937", state, None)
    if state.size < STATE_WORDS:
        raise ShapeError("mt19937", f"a state has {STATE_WORDS} words", (state,))
    return form((STATE_WORDS + attrs[0],), uint32)


def twist(state: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(words, new state) in NumPy: the next `count` outputs of the generator."""
    words, used = state[:-1].astype(np.uint32), int(state[-1])
    pieces = [np.zeros(0, np.uint32)]
    while count:
        if used in (0, TWISTER_SIZE):
            _renew(words)
            used = 0
        taken = min(count, TWISTER_SIZE - used)
        pieces.append(_tempered(words[used : used + taken]))
        used += taken
        count -= taken
    return np.concatenate(pieces), np.append(words, np.uint32(used))


def _tempered(y: np.ndarray) -> np.ndarray:
    y = y ^ (y >> np.uint32(11))
    y = y ^ ((y << np.uint32(7)) & np.uint32(0x9D2C5680))
    y = y ^ ((y << np.uint32(15)) & np.uint32(0xEFC60000))
    return y ^ (y >> np.uint32(18))


def _mixed(here: np.ndarray, after: np.ndarray) -> np.ndarray:
    joined = (here & np.uint32(0x80000000)) | (after & np.uint32(0x7FFFFFFF))
    return (joined >> np.uint32(1)) ^ ((joined & np.uint32(1)) * np.uint32(TWISTER_MATRIX))


def _renew(s: np.ndarray) -> None:
    """All words anew, in runs that only need words renewed before."""
    last, bend = TWISTER_SIZE - 1, TWISTER_SIZE - TWISTER_DISTANCE
    s[:bend] = s[TWISTER_DISTANCE:] ^ _mixed(s[:bend], s[1 : bend + 1])
    for low in range(bend, last, bend):
        high = min(low + bend, last)
        there = s[low - bend : high - bend]
        s[low:high] = there ^ _mixed(s[low:high], s[low + 1 : high + 1])
    s[last:] = s[last - bend : last - bend + 1] ^ _mixed(s[last:], s[:1])


def _twister_reference(attrs, state):
    words, after = twist(state[:STATE_WORDS], attrs[0])
    return np.concatenate([after, words])


# attrs: (n,): the new state followed by n words, in one vector. The argument may be such a vector
# too: what follows the state in it is not looked at
MT19937 = Native("mt19937", _twister_infer, _twister_reference)


def draw(state: Node, count: int) -> tuple[Node, Node]:
    """(words, new state): the next `count` words of an MT19937."""
    if count == 0:
        return zeros((0,), uint32), state
    # straight from the last draw of the same program, without a copy of the state in between
    behind = state.args[0] if state.op is SLICE else state
    both = MT19937(behind if MT19937.made(behind) else state, attrs=(count,))
    return narrow(both, 0, STATE_WORDS, count), narrow(both, 0, 0, STATE_WORDS)


def where_drawn(words: Node) -> tuple[Node, int]:
    """(vector, position of the words in it): a native function reads a draw where it is."""
    if words.op is SLICE and MT19937.made(words.args[0]):
        return words.args[0], words.attrs[0][0][0]
    return words, 0


def check_source(op: str, words: Form, start: int, count: int) -> None:
    """Errors unless `words` is a vector that holds `count` words from `start` on."""
    _check_words(op, words, None)
    if words.size < start + count:
        raise ShapeError(op, f"{count} words from {start} on are needed", (words,))


# ---------- shuffling ----------
def _shuffle_infer(attrs, words: Form) -> Form:
    n, start = attrs
    check_source("shuffle", words, start, n - 1)
    return form((n,), int64)


def _shuffle_reference(attrs, words):
    n, start = attrs
    steps = words[start : start + n - 1].astype(np.int64) % np.arange(n, 1, -1)
    order = list(range(n))
    for i, step in enumerate(steps.tolist()):
        order[i], order[i + step] = order[i + step], order[i]
    return np.array(order, np.int64)


# attrs: (n, start): n-1 words from `start` on -> a permutation of n: for each i, position i is
# swapped with i + word % (n-i)
SHUFFLE = Native("shuffle", _shuffle_infer, _shuffle_reference)


def shuffle(words: Node, n: int) -> Node:
    """A permutation int64 [n] from n-1 words."""
    source, start = where_drawn(words)
    return SHUFFLE(source, attrs=(n, start))


# ---------- Philox 4x32 ----------
def _philox_infer(attrs, state: Form) -> Form:
    _check_words("philox", state, PHILOX_WORDS)
    return form((attrs[0],), uint32)


def _counters(state: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
    """The counter plus each offset (uint64), as four vectors of words, in 128-bit arithmetic."""
    low = np.uint64(state[2]) | np.uint64(state[3]) << np.uint64(32)
    high = np.uint64(state[4]) | np.uint64(state[5]) << np.uint64(32)
    lows = low + offsets
    highs = high + (lows < offsets).astype(np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    return [lows & mask, lows >> np.uint64(32), highs & mask, highs >> np.uint64(32)]


def philox_blocks(state: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Words [blocks, 4] of the counters at `offsets` from the state's."""
    mask = np.uint64(0xFFFFFFFF)
    x = _counters(state, offsets.astype(np.uint64))
    keys = [int(state[0]), int(state[1])]
    for _ in range(PHILOX_ROUNDS):
        p = np.uint64(PHILOX_FACTORS[0]) * x[0]
        q = np.uint64(PHILOX_FACTORS[1]) * x[2]
        first = (q >> np.uint64(32)) ^ x[1] ^ np.uint64(keys[0])
        third = (p >> np.uint64(32)) ^ x[3] ^ np.uint64(keys[1])
        x = [first, q & mask, third, p & mask]
        keys = [(k + s) & 0xFFFFFFFF for k, s in zip(keys, PHILOX_STEPS, strict=True)]
    return np.stack(x, 1).astype(np.uint32)


def _philox_reference(attrs, state):
    with np.errstate(over="ignore"):
        return philox_blocks(state, np.arange(-(-attrs[0] // 4))).ravel()[: attrs[0]]


# attrs: (n,): the first n words of consecutive counters, four words each
PHILOX = Native("philox", _philox_infer, _philox_reference)


def _scramble_infer(attrs, seed: Form) -> Form:
    if seed.shape != (2,) or seed.dtype is not int64:
        raise DTypeError("philox_scramble", "two int64 numbers are needed", (seed,))
    return form((PHILOX_WORDS,), uint32)


def _scramble_reference(attrs, seed):
    halves = np.ascontiguousarray(seed).view(np.uint32)
    words = philox_blocks(np.append(np.array(SCRAMBLE_KEY, np.uint32), halves), np.zeros(1))[0]
    return np.concatenate([words[:2], np.zeros(2, np.uint32), words[2:]])


# the Philox state that follows from a seed of two numbers: their own words under a fixed key
PHILOX_SCRAMBLE = Native("philox_scramble", _scramble_infer, _scramble_reference)


# ---------- the C library's scalar functions ----------
LIBM = ("log", "log1p", "exp", "sin", "cos", "tan")


@cache
def libm(name: str, dtype: str):
    """The C library's function over NumPy arrays, value by value."""
    kind = ctypes.c_float if dtype == "float32" else ctypes.c_double
    function = getattr(ctypes.CDLL(None), name + "f" * (dtype == "float32"))
    function.restype = kind
    function.argtypes = [kind]
    return np.vectorize(function, otypes=[dtype])


def _libm_infer(attrs, x: Form) -> Form:
    if attrs[0] not in LIBM or x.dtype not in (float32, float64):
        raise DTypeError("libm", f"no function {attrs[0]} for {x.dtype}", (x,))
    return x


# attrs: (name,): PyTorch's double samplers and TensorFlow's normals call the C library, whose last
# bit no vector function repeats; so these call it too
CLIB = Native(
    "libm",
    _libm_infer,
    lambda attrs, x: libm(attrs[0], x.dtype.name)(x) if x.size else x,
)


def clib(name: str, x: Node) -> Node:
    return CLIB(x, attrs=(name,))


# ---------- TensorFlow's truncated normal ----------
def _truncated_infer(attrs, state: Form) -> Form:
    _check_words("truncated_normal", state, PHILOX_WORDS)
    return form((attrs[0],), attrs[1])


def unit32(words: np.ndarray) -> np.ndarray:
    bits = (words & np.uint32(0x7FFFFF)) | np.uint32(0x3F800000)
    return bits.view(np.float32) - np.float32(1)


def unit64(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    wide = (high.astype(np.uint64) & np.uint64(0xFFFFF)) << np.uint64(32) | low
    return (wide | np.uint64(0x3FF << 52)).view(np.float64) - 1.0


def box_muller(words: np.ndarray, dtype: str) -> np.ndarray:
    """Normals [n] from words [n] (float32) or [2n] (float64), sines before cosines."""
    kind = np.dtype(dtype).type
    if dtype == "float32":
        u, v = unit32(words[0::2]), unit32(words[1::2])
    else:
        u, v = unit64(words[0::4], words[1::4]), unit64(words[2::4], words[3::4])
    radius = np.sqrt(kind(-2) * libm("log", dtype)(np.maximum(u, kind(1e-7))))
    angle = (2 * np.pi * v.astype(np.float64)).astype(dtype)
    pair = [libm("sin", dtype)(angle) * radius, libm("cos", dtype)(angle) * radius]
    return np.stack(pair, 1).ravel()


def _truncated_group(state: np.ndarray, group: int, dtype: str) -> np.ndarray:
    """One group: as many accepted normals as a counter gives samples."""
    size = 4 if dtype == "float32" else 2
    start = group * size * TRUNCATED_RESERVE // 4
    for blocks in (4, 16, 64, size * TRUNCATED_RESERVE // 4):
        words = philox_blocks(state, np.arange(start, start + blocks)).ravel()
        normals = box_muller(words, dtype)
        kept = normals[np.abs(normals) < 2]
        if len(kept) >= size:
            return kept[:size]
    raise AssertionError("a group's counters gave too few normals within two deviations")


def _truncated_reference(attrs, state):
    n, dtype = attrs
    size = 4 if dtype is float32 else 2
    groups = [_truncated_group(state, g, dtype.name) for g in range(-(-n // size))]
    return np.concatenate([*groups, np.zeros(0, dtype.numpy)])[:n]


# attrs: (n, DType): normals redrawn while beyond two deviations; each group has its own counters
TRUNCATED_NORMAL = Native("truncated_normal", _truncated_infer, _truncated_reference)
