"""Kernels of the native functions.

Role: `EMITTERS[function](module, name, attrs, arguments, result)` defines `void @name(ptr
argument, ..., ptr result)` over contiguous buffers. attrs, arguments and result are the node's
attributes and forms (`ops.random`). Invariant: words and values are bit for bit those of the
references; the only outside functions called are the C library's, where the function says so. An
argument and the result never share memory.

The work is in internal functions that take the sizes as arguments: a module with many draws holds
them once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gemel.runtime.machine import machine

from .llvm import Function, Module, Operand, Value
from .random_constants import (
    PHILOX_FACTORS,
    PHILOX_ROUNDS,
    PHILOX_STEPS,
    STATE_WORDS,
    TRUNCATED_RESERVE,
    TWISTER_DISTANCE,
    TWISTER_MATRIX,
    TWISTER_SIZE,
)
from .random_normal import TURN, normal_blocks, normal_blocks64, normal_turn

_POINTER = "ptr noalias"
_LOW_BITS = 0xFFFFFFFF


def _right(x: Value, count: int) -> Value:
    """A shift that fills with zeros."""
    return x.function.binary("lshr", x, count)


def _shared(module: Module, name: str, parameters: list, build: Callable[..., None]) -> Function:
    """The module's internal function of this name; `build(f, *arguments)` fills it in once."""
    found = module.functions.get(name)
    if found is None:
        found = module.function(name, parameters, internal=True, inline=False)
        build(found, *found.arguments)
        found.ret()
    return found


def _delegate(module: Module, name: str, callee: Function, n: int, start: int = 0) -> None:
    """void @name(ptr argument, ptr result): `callee(argument from word `start` on, result, n)`."""
    f = module.function(name, [("ptr", "x"), ("ptr", "out")])
    x, out = f.arguments
    f.call(callee, f.gep(x, start, "i32"), out, n)
    f.ret()


# ---------- MT19937 ----------
def _step(f: Function, state: Value, i: Operand, far: Operand, lanes: int, mask=None) -> None:
    """Renew the words from i on, given those at `far`."""
    here, after, there = (
        f.load(f.gep(state, at, "i32"), "i32", lanes, mask=mask) for at in (i, f.add(i, 1), far)
    )
    joined = (here & 0x80000000) | (after & 0x7FFFFFFF)
    new = there ^ _right(joined, 1) ^ (-(after & 1) & TWISTER_MATRIX)
    f.store(new, f.gep(state, i, "i32"), mask=mask)


def _steps(f: Function, state: Value, low: int, high: int, distance: int) -> None:
    """Renew the words of [low, high); each depends on the one `distance` away."""
    lanes = machine().lanes(4)
    whole = low + (high - low) // lanes * lanes
    with f.loop(low, whole, lanes) as loop:
        _step(f, state, loop.index, f.add(loop.index, distance), lanes)
    if whole < high:
        _step(f, state, whole, whole + distance, lanes, f.lanes_below(high - whole, lanes))


def _renew(f: Function, state: Value) -> None:
    """All words anew. Blocks of a vector never reach a word that is not yet renewed."""
    bend = TWISTER_SIZE - TWISTER_DISTANCE
    _steps(f, state, 0, bend, TWISTER_DISTANCE)
    _steps(f, state, bend, TWISTER_SIZE - 1, -bend)
    last = TWISTER_SIZE - 1
    here, after, there = (
        f.load(f.gep(state, at, "i32"), "i32") for at in (last, 0, TWISTER_DISTANCE - 1)
    )
    joined = (here & 0x80000000) | (after & 0x7FFFFFFF)
    new = there ^ _right(joined, 1) ^ (-(after & 1) & TWISTER_MATRIX)
    f.store(new, f.gep(state, last, "i32"))


def _temper(f: Function, source: Value, target: Value, count: Value) -> None:
    """Words of the state to output words."""
    lanes = machine().lanes(4)
    with f.loop(0, count, lanes) as loop:
        live = f.lanes_below(f.sub(count, loop.index), lanes)
        y = f.load(f.gep(source, loop.index, "i32"), "i32", lanes, mask=live)
        y = y ^ _right(y, 11)
        y = y ^ ((y << 7) & 0x9D2C5680)
        y = y ^ ((y << 15) & 0xEFC60000)
        y = y ^ _right(y, 18)
        f.store(y, f.gep(target, loop.index, "i32"), mask=live)


def _draw(f: Function, before: Value, out: Value, n: Value) -> None:
    """The new state, then n words."""
    renew = _shared(f.module, "mt19937_renew", [("ptr", "state")], _renew)
    f.copy_bytes(out, before, 4 * STATE_WORDS)
    place = f.gep(out, TWISTER_SIZE, "i32")
    words = f.gep(out, STATE_WORDS, "i32")
    used = f.convert(f.load(place, "i32"), "i64")
    # the rest of what is there, then whole rounds
    rounds = f.add(f.udiv(f.add(n, TWISTER_SIZE - 1), TWISTER_SIZE), 1)
    with f.loop(0, rounds, carry=(used, f.constant(0, "i64"))) as loop:
        used, done = loop.values
        left = f.sub(n, done)
        stale = f.compare("==", used, 0) | f.compare("==", used, TWISTER_SIZE)
        stale = stale & (left > 0)
        with f.when(stale):
            f.call(renew, out)
        used = f.select(stale, f.constant(0, "i64"), used)
        count = f.min(f.sub(TWISTER_SIZE, used), left)
        _temper(f, f.gep(out, used, "i32"), f.gep(words, done, "i32"), count)
        loop.next = [used + count, done + count]
    f.store(f.convert(loop.out[0], "i32"), place)


_FILL = [(_POINTER, "x"), (_POINTER, "out"), ("i64", "n")]


def _emit_mt19937(module: Module, name: str, attrs, arguments, result) -> None:
    _delegate(module, name, _shared(module, "mt19937_draw", _FILL, _draw), attrs[0])


# ---------- shuffling ----------
def _shuffle(f: Function, words: Value, out: Value, n: Value) -> None:
    with f.loop(0, n) as loop:
        f.store(loop.index, f.gep(out, loop.index, "i64"))
    with f.loop(0, f.sub(n, 1)) as loop:
        i = loop.index
        word = f.load(f.gep(words, i, "i32"), "i32")
        step = f.urem(word, f.convert(f.sub(n, i), "i32"))
        here = f.gep(out, i, "i64")
        there = f.gep(here, f.convert(step, "i64", signed=False), "i64")
        a, b = f.load(here, "i64"), f.load(there, "i64")
        f.store(b, here)
        f.store(a, there)


def _emit_shuffle(module: Module, name: str, attrs, arguments, result) -> None:
    _delegate(module, name, _shared(module, "shuffle_words", _FILL, _shuffle), *attrs)


# ---------- Philox ----------
class _Philox:
    """Key and counter of a state, loaded once; blocks of words at offsets from the counter."""

    def __init__(self, f: Function, state: Value):
        self.f = f
        words = [f.load(f.gep(state, i, "i32"), "i32") for i in range(6)]
        self.keys = words[:2]
        wide = [f.convert(w, "i64", signed=False) for w in words[2:]]
        self.low = wide[0] | (wide[1] << 32)
        self.high = wide[2] | (wide[3] << 32)

    def block(self, offset: Value) -> list[Value]:
        """Four i32 values (of as many lanes as the i64 offset has)."""
        f = self.f
        low = offset + self.low
        carried = f.compare("<", low, offset, unsigned=True)
        high = f.convert(carried, "i64", signed=False) + self.high
        # the upper halves hold rubbish: only the lower ones are ever multiplied or kept
        x = [low, _right(low, 32), high, _right(high, 32)]
        keys = self.keys
        for _ in range(PHILOX_ROUNDS):
            p = (x[0] & _LOW_BITS) * PHILOX_FACTORS[0]
            q = (x[2] & _LOW_BITS) * PHILOX_FACTORS[1]
            k0, k1 = (f.convert(k, "i64", signed=False) for k in keys)
            x = [_right(q, 32) ^ x[1] ^ k0, q, _right(p, 32) ^ x[3] ^ k1, p]
            keys = [k + step for k, step in zip(keys, PHILOX_STEPS, strict=True)]
        return [f.convert(part, "i32") for part in x]

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
    source = _Philox(f, state)
    end = f.alloca("i32", group)
    with f.loop(0, n, group) as loop:
        target = f.gep(out, loop.index, "i32")
        left = f.sub(n, loop.index)
        ragged = left < group
        # the last words go through the stack, so that nothing behind the result is touched
        place = f.select(ragged, end, target)
        source.store_blocks(_right(loop.index, 2), place, lanes)
        with f.when(ragged):
            f.copy_bytes(target, end, f.mul(left, 4))


def _emit_philox(module: Module, name: str, attrs, arguments, result) -> None:
    _delegate(module, name, _shared(module, "philox_words", _FILL, _philox), attrs[0])


# ---------- normals ----------
def _emit_normal_blocks(module: Module, name: str, attrs, arguments, result) -> None:
    n, start, dtype = attrs
    if dtype.name == "float64":
        callee = _shared(module, "normal_blocks64", _FILL, normal_blocks64)
    else:
        turn = _shared(module, "normal_turn", TURN, normal_turn)

        def blocks(f: Function, *arguments: Value) -> None:
            normal_blocks(f, turn, *arguments)

        callee = _shared(module, "normal_blocks32", _FILL, blocks)
    _delegate(module, name, callee, n, start)


# ---------- the C library ----------
_ELEMENTS = {"float32": "float", "float64": "double"}
# truncated normals that share one run of counters
_GROUP = {"float": 4, "double": 2}


def _emit_libm(module: Module, name: str, attrs, arguments, result) -> None:
    elem = _ELEMENTS[result.dtype.name]

    def each(f: Function, x: Value, out: Value, n: Value) -> None:
        with f.loop(0, n) as loop:
            value = _libm(f, attrs[0], f.load(f.gep(x, loop.index, elem), elem))
            f.store(value, f.gep(out, loop.index, elem))

    callee = _shared(module, f"libm_{attrs[0]}_{elem}", _FILL, each)
    _delegate(module, name, callee, result.size)


def _libm(f: Function, name: str, x: Value) -> Value:
    return f.call_external(name + ("f" if x.elem == "float" else ""), x.elem, x)


# ---------- truncated normals ----------
def _unit32(f: Function, word: Value) -> Value:
    return f.bitcast((word & 0x7FFFFF) | 0x3F800000, "float") - 1.0


def _unit64(f: Function, high: Value, low: Value) -> Value:
    top = f.convert(high & 0xFFFFF, "i64", signed=False) << 32
    wide = top | f.convert(low, "i64", signed=False)
    return f.bitcast(wide | (0x3FF << 52), "double") - 1.0


def _box_muller(f: Function, words: list[Value], elem: str) -> list[Value]:
    """The normals of one block of words."""
    if elem == "float":
        u = [_unit32(f, w) for w in words]
        tau = 2 * math.pi
        angles = [f.convert(f.convert(v, "double") * tau, "float") for v in u[1::2]]
        pairs = list(zip(u[0::2], angles, strict=True))
    else:
        u = [_unit64(f, words[0], words[1]), _unit64(f, words[2], words[3])]
        pairs = [(u[0], u[1] * (2 * math.pi))]
    out = []
    for x, angle in pairs:
        x = f.select(f.compare("<", x, 1e-7), f.constant(1e-7, elem), x)
        radius = f.sqrt(_libm(f, "log", x) * -2.0)
        out += [_libm(f, "sin", angle) * radius, _libm(f, "cos", angle) * radius]
    return out


def _truncated_group(f: Function, state: Value, first: Value, out: Value, wanted: Value, elem):
    """One group of normals from the counters that start at `first`."""
    source = _Philox(f, state)
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
    for x in _box_muller(f, words, elem):
        good = (f.abs(x) < 2.0) & (found < wanted)
        with f.when(good):
            f.store(x, f.gep(out, found, elem))
        found = found + f.convert(good, "i64", signed=False)
    return found


def _emit_truncated(module: Module, name: str, attrs, arguments, result) -> None:
    elem = _ELEMENTS[attrs[1].name]
    size = _GROUP[elem]
    parameters = [("ptr", "state"), ("i64", "first"), ("ptr", "out"), ("i64", "wanted")]

    def fill_group(f: Function, *arguments: Value) -> None:
        state, first, out, wanted = arguments
        _truncated_group(f, state, first, out, wanted, elem)

    group = _shared(module, f"truncated_group_{elem}", parameters, fill_group)

    def every(f: Function, state: Value, out: Value, n: Value) -> None:
        with f.loop(0, n, size) as loop:
            first = f.mul(loop.index, TRUNCATED_RESERVE // 4)
            wanted = f.min(f.sub(n, loop.index), size)
            f.call(group, state, first, f.gep(out, loop.index, elem), wanted)

    _delegate(module, name, _shared(module, f"truncated_{elem}", _FILL, every), attrs[0])


def _emit_native(module: Module, name: str, attrs, arguments, result) -> None:
    EMITTERS[attrs[0]](module, name, attrs[1:], arguments, result)


# the primitive, and the functions that it names in its first attribute
EMITTERS: dict[str, Callable[..., None]] = {
    "native": _emit_native,
    "mt19937": _emit_mt19937,
    "shuffle": _emit_shuffle,
    "philox": _emit_philox,
    "normal_blocks": _emit_normal_blocks,
    "libm": _emit_libm,
    "truncated_normal": _emit_truncated,
}
