"""Kernels on Philox words: the words, and truncated normals.

Role: `Philox`, the generator's blocks in any number of lanes, and what is drawn with it where a
value takes as many words as it needs.
"""

from __future__ import annotations

import math

from gemel.codegen.llvm import Function, Module, Value
from gemel.codegen.native import ELEMENTS, FILL, delegate, libm, right, shared
from gemel.codegen.random.constants import (
    PHILOX_FACTORS,
    PHILOX_ROUNDS,
    PHILOX_STEPS,
    SCRAMBLE_KEY,
    TRUNCATED_RESERVE,
)
from gemel.runtime.machine import machine

_LOW_BITS = 0xFFFFFFFF
# truncated normals that share one run of counters
_GROUP = {"float": 4, "double": 2}


class Philox:
    """Key and counter of a state, loaded once; blocks of words at offsets from the counter."""

    def __init__(self, f: Function, state: Value):
        self.f = f
        words = [f.load(f.gep(state, i, "i32"), "i32") for i in range(6)]
        wide = [f.convert(w, "i64", signed=False) for w in words]
        self.keys = wide[:2]
        self.low = wide[2] | (wide[3] << 32)
        self.high = wide[4] | (wide[5] << 32)

    def block(self, offset: Value) -> list[Value]:
        """Four i32 values (of as many lanes as the i64 offset has)."""
        f = self.f
        low = offset + self.low
        carried = f.compare("<", low, offset, unsigned=True)
        high = f.convert(carried, "i64", signed=False) + self.high
        # the upper halves hold rubbish: only the lower ones are ever multiplied or kept
        start = [low, right(low, 32), high, right(high, 32), *self.keys]
        # a loop, not ten copies: a program that draws once compiles in a third of the time
        with f.loop(0, PHILOX_ROUNDS, carry=start) as rounds:
            *x, k0, k1 = rounds.values
            p = (x[0] & _LOW_BITS) * PHILOX_FACTORS[0]
            q = (x[2] & _LOW_BITS) * PHILOX_FACTORS[1]
            made = [right(q, 32) ^ x[1] ^ k0, q, right(p, 32) ^ x[3] ^ k1, p]
            rounds.next = [*made, k0 + PHILOX_STEPS[0], k1 + PHILOX_STEPS[1]]
        return [f.convert(part, "i32") for part in rounds.out[:4]]

    def store_blocks(self, first: Value, target: Value, lanes: int) -> None:
        """The words of `lanes` consecutive blocks."""
        f = self.f
        x = self.block(f.lanes_index(lanes, "i64") + first)
        both = zip(range(lanes), range(lanes, 2 * lanes), strict=True)
        zipped = [i for pair in both for i in pair]
        a, b = f.shuffle(x[0], x[1], zipped), f.shuffle(x[2], x[3], zipped)
        fours = [i + k for i in range(0, 2 * lanes, 2) for k in (0, 1, 2 * lanes, 2 * lanes + 1)]
        f.store(f.shuffle(a, b, fours), target)


def _philox(f: Function, state: Value, out: Value, n: Value) -> None:
    lanes = machine().lanes(4)
    group = 4 * lanes
    source = Philox(f, state)
    end = f.alloca("i32", group)
    with f.loop(0, n, group) as loop:
        target = f.gep(out, loop.index, "i32")
        left = f.sub(n, loop.index)
        ragged = left < group
        # the last words go through the stack, so that nothing behind the result is touched
        place = f.select(ragged, end, target)
        source.store_blocks(right(loop.index, 2), place, lanes)
        with f.when(ragged):
            f.copy_bytes(target, end, f.mul(left, 4))


def emit_philox(module: Module, name: str, attrs, arguments, result) -> None:
    delegate(module, name, shared(module, "philox_words", FILL, _philox), attrs[0])


def emit_scramble(module: Module, name: str, attrs, arguments, result) -> None:
    """The key and half of the counter from one block, whose counter is the seed."""
    f = module.function(name, [("ptr", "seed"), ("ptr", "out")])
    seed, out = f.arguments
    given = f.alloca("i32", 6)
    for i, word in enumerate(SCRAMBLE_KEY):
        f.store(f.constant(word, "i32"), f.gep(given, i, "i32"))
    f.copy_bytes(f.gep(given, 2, "i32"), seed, 16)
    words = Philox(f, given).block(f.constant(0, "i64"))
    zero = f.constant(0, "i32")
    for i, word in enumerate([*words[:2], zero, zero, *words[2:]]):
        f.store(word, f.gep(out, i, "i32"))
    f.ret()


# ---------- truncated normals ----------
def _unit32(f: Function, word: Value) -> Value:
    return f.bitcast((word & 0x7FFFFF) | 0x3F800000, "float") - 1.0


def unit64(f: Function, high: Value, low: Value) -> Value:
    top = f.convert(high & 0xFFFFF, "i64", signed=False) << 32
    wide = top | f.convert(low, "i64", signed=False)
    return f.bitcast(wide | (0x3FF << 52), "double") - 1.0


def box_muller(f: Function, words: list[Value], elem: str) -> list[Value]:
    """The normals of one block of words."""
    if elem == "float":
        u = [_unit32(f, w) for w in words]
        tau = 2 * math.pi
        angles = [f.convert(f.convert(v, "double") * tau, "float") for v in u[1::2]]
        pairs = list(zip(u[0::2], angles, strict=True))
    else:
        u = [unit64(f, words[0], words[1]), unit64(f, words[2], words[3])]
        pairs = [(u[0], u[1] * (2 * math.pi))]
    out = []
    for x, angle in pairs:
        x = f.select(f.compare("<", x, 1e-7), f.constant(1e-7, elem), x)
        radius = f.sqrt(libm(f, "log", x) * -2.0)
        out += [libm(f, "sin", angle) * radius, libm(f, "cos", angle) * radius]
    return out


def _truncated_group(f: Function, state: Value, first: Value, out: Value, wanted: Value, elem):
    """One group of normals from the counters that start at `first`."""
    source = Philox(f, state)
    counters = _GROUP[elem] * TRUNCATED_RESERVE // 4
    # in pieces of 16 counters, so that few turns are left once the group is full
    with f.loop(0, counters, 16, carry=(f.constant(0, "i64"),)) as outer:

        def piece() -> list[Value]:
            with f.loop(0, 16, carry=(outer.values[0],)) as inner:
                at = first + outer.index + inner.index
                found = inner.values[0]
                inner.next = f.if_else(
                    found < wanted,
                    lambda: [_accept(f, source.block(at), elem, out, found, wanted)],
                    lambda: [found],
                )
            return inner.out

        found = outer.values[0]
        outer.next = f.if_else(found < wanted, piece, lambda: [found])


def _accept(f: Function, words, elem: str, out: Value, found: Value, wanted: Value) -> Value:
    """Store those of a block's normals that lie within two deviations; how many there are now."""
    for x in box_muller(f, words, elem):
        good = (f.abs(x) < 2.0) & (found < wanted)
        with f.when(good):
            f.store(x, f.gep(out, found, elem))
        found = found + f.convert(good, "i64", signed=False)
    return found


def emit_truncated(module: Module, name: str, attrs, arguments, result) -> None:
    elem = ELEMENTS[attrs[1].name]
    size = _GROUP[elem]
    parameters = [("ptr", "state"), ("i64", "first"), ("ptr", "out"), ("i64", "wanted")]

    def fill_group(f: Function, *arguments: Value) -> None:
        state, first, out, wanted = arguments
        _truncated_group(f, state, first, out, wanted, elem)

    group = shared(module, f"truncated_group_{elem}", parameters, fill_group)

    def every(f: Function, state: Value, out: Value, n: Value) -> None:
        with f.loop(0, n, size) as loop:
            first = f.mul(loop.index, TRUNCATED_RESERVE // 4)
            wanted = f.min(f.sub(n, loop.index), size)
            f.call(group, state, first, f.gep(out, loop.index, elem), wanted)

    delegate(module, name, shared(module, f"truncated_{elem}", FILL, every), attrs[0])
