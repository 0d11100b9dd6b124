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

from collections.abc import Callable

from gemel.codegen.llvm import Function, Module, Operand, Value
from gemel.codegen.native import ELEMENTS, FILL, delegate, libm, right, shared
from gemel.codegen.order_kernel import emit_order
from gemel.codegen.random.constants import (
    STATE_WORDS,
    TWISTER_DISTANCE,
    TWISTER_MATRIX,
    TWISTER_SIZE,
)
from gemel.codegen.random.fills import emit_normal_blocks, emit_uniforms
from gemel.codegen.random.gamma import emit_gamma
from gemel.codegen.random.philox import emit_philox, emit_scramble, emit_truncated
from gemel.codegen.sort_kernel import emit_sort
from gemel.runtime.machine import machine


# ---------- MT19937 ----------
def _step(f: Function, state: Value, i: Operand, far: Operand, lanes: int, mask=None) -> None:
    """Renew the words from i on, given those at `far`."""
    after = 0 if isinstance(i, int) else f.add(i, 1)  # a number only for the last word
    here, following, there = (
        f.load(f.gep(state, at, "i32"), "i32", lanes, mask=mask) for at in (i, after, far)
    )
    joined = (here & 0x80000000) | (following & 0x7FFFFFFF)
    new = there ^ right(joined, 1) ^ (-(following & 1) & TWISTER_MATRIX)
    f.store(new, f.gep(state, i, "i32"), mask=mask)


_SPAN = [("ptr", "state"), ("i64", "low"), ("i64", "high"), ("i64", "distance")]


def _renew_span(f: Function, state: Value, low: Value, high: Value, distance: Value) -> None:
    """Renew the words of [low, high); each depends on the one `distance` away."""
    lanes = machine().lanes(4)
    with f.loop(low, high, lanes) as loop:
        i = loop.index
        _step(f, state, i, i + distance, lanes, f.lanes_below(f.sub(high, i), lanes))


def _renew(f: Function, state: Value) -> None:
    """All words anew. Blocks of a vector never reach a word that is not yet renewed."""
    span = shared(f.module, "mt19937_renew_span", _SPAN, _renew_span)
    last, bend = TWISTER_SIZE - 1, TWISTER_SIZE - TWISTER_DISTANCE
    f.call(span, state, 0, bend, TWISTER_DISTANCE)
    f.call(span, state, bend, last, -bend)
    _step(f, state, last, last - bend, 1)


def _temper(f: Function, source: Value, target: Value, count: Value) -> None:
    """Words of the state to output words."""
    lanes = machine().lanes(4)
    with f.loop(0, count, lanes) as loop:
        live = f.lanes_below(f.sub(count, loop.index), lanes)
        y = f.load(f.gep(source, loop.index, "i32"), "i32", lanes, mask=live)
        y = y ^ right(y, 11)
        y = y ^ ((y << 7) & 0x9D2C5680)
        y = y ^ ((y << 15) & 0xEFC60000)
        y = y ^ right(y, 18)
        f.store(y, f.gep(target, loop.index, "i32"), mask=live)


def _draw(f: Function, before: Value, out: Value, n: Value) -> None:
    """The new state, then n words."""
    renew = shared(f.module, "mt19937_renew", [("ptr", "state")], _renew)
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


def _emit_mt19937(module: Module, name: str, attrs, arguments, result) -> None:
    delegate(module, name, shared(module, "mt19937_draw", FILL, _draw), attrs[0])


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
    delegate(module, name, shared(module, "shuffle_words", FILL, _shuffle), *attrs)


# ---------- the C library ----------
def _emit_libm(module: Module, name: str, attrs, arguments, result) -> None:
    elem = ELEMENTS[result.dtype.name]

    def each(f: Function, x: Value, out: Value, n: Value) -> None:
        with f.loop(0, n) as loop:
            value = libm(f, attrs[0], f.load(f.gep(x, loop.index, elem), elem))
            f.store(value, f.gep(out, loop.index, elem))

    callee = shared(module, f"libm_{attrs[0]}_{elem}", FILL, each)
    delegate(module, name, callee, result.size)


def _emit_native(module: Module, name: str, attrs, arguments, result) -> None:
    EMITTERS[attrs[0]](module, name, attrs[1:], arguments, result)


# the primitive, and the functions that it names in its first attribute
EMITTERS: dict[str, Callable[..., None]] = {
    "native": _emit_native,
    "mt19937": _emit_mt19937,
    "shuffle": _emit_shuffle,
    "philox": emit_philox,
    "philox_scramble": emit_scramble,
    "normal_blocks": emit_normal_blocks,
    "uniforms": emit_uniforms,
    "libm": _emit_libm,
    "truncated_normal": emit_truncated,
    "gamma": emit_gamma,
    "order": emit_order,
    "sort": emit_sort,
}
