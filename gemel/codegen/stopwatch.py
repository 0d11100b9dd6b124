"""Native loops that time native code: a program again and again, or its kernels one by one.

Role: for measuring only. Input: addresses. Output: seconds from the system's monotonic clock, read
inside of the loop, so that Python's own time is no part of it. What is called answers 0; another
answer ends the loop and is returned.
"""

from __future__ import annotations

import ctypes
import time
from functools import cache
from typing import Any

import numpy as np

from gemel.codegen.llvm import Function, Module, Type, Value
from gemel.runtime.jit import load

_STATUS = Type("i32")
_CLOCK = getattr(time, "CLOCK_MONOTONIC", 1)


class Interrupted(Exception):
    """The code that was timed answered something else than 0: `code`."""

    def __init__(self, code: int):
        super().__init__(f"the program answered {code}")
        self.code = code


def repeat(entry: int, table: int, turns: int) -> float:
    """Seconds that `turns` calls of `i32 entry(table)` take. Raises Interrupted."""
    spent = ctypes.c_int64()
    code = _loops()[0](entry, table, turns, ctypes.byref(spent))
    if code:
        raise Interrupted(code)
    return spent.value * 1e-9


def laps(entry: int, table: int, kernels: int, rounds: int) -> np.ndarray:
    """Seconds [rounds, kernels] of `i32 entry(table, number)`, in order, round after round.

    Raises Interrupted.
    """
    times = np.zeros((rounds, kernels), np.int64)
    code = _loops()[1](entry, table, kernels, rounds, times.ctypes.data)
    if code:
        raise Interrupted(code)
    return times * 1e-9


@cache
def _loops() -> tuple[Any, Any]:
    module = Module()
    _emit_repeat(module)
    _emit_laps(module)
    library = load(module.text(), ["repeat", "laps"])
    address, count = ctypes.c_void_p, ctypes.c_int64
    return (
        library.function("repeat", ctypes.c_int, address, address, count, address),
        library.function("laps", ctypes.c_int, address, address, count, count, address),
    )


def _now(f: Function, place: Value) -> Value:
    """Nanoseconds; `place` is room for a timespec."""
    clock = f.constant(_CLOCK, "i32")
    f.call_external("clock_gettime", "i32", clock, place)
    seconds = f.load(place, "i64")
    return f.add(f.mul(seconds, 1_000_000_000), f.load(f.gep(place, 1, "i64"), "i64"))


def _leave_unless_zero(f: Function, code: Value) -> None:
    with f.when(f.compare("!=", code, 0)):
        f.ret(code)


def _emit_repeat(module: Module) -> None:
    parameters = [("ptr", "code"), ("ptr", "table"), ("i64", "turns"), ("ptr", "spent")]
    f = module.function("repeat", parameters, "i32")
    entry, table, turns, spent = f.arguments
    place = f.alloca("i64", 2)
    begun = _now(f, place)
    with f.loop(0, turns):
        _leave_unless_zero(f, f.value(f"call i32 {entry}(ptr {table})", _STATUS))
    f.store(f.sub(_now(f, place), begun), spent)
    f.ret(0)


def _emit_laps(module: Module) -> None:
    parameters = [("ptr", "code"), ("ptr", "table"), ("i64", "kernels"), ("i64", "rounds")]
    f = module.function("laps", [*parameters, ("ptr", "times")], "i32")
    entry, table, kernels, rounds, times = f.arguments
    place = f.alloca("i64", 2)
    with f.loop(0, rounds) as lap:
        row = f.gep(times, f.mul(lap.index, kernels), "i64")
        with f.loop(0, kernels) as kernel:
            begun = _now(f, place)
            call = f"call i32 {entry}(ptr {table}, i64 {kernel.index})"
            _leave_unless_zero(f, f.value(call, _STATUS))
            f.store(f.sub(_now(f, place), begun), f.gep(row, kernel.index, "i64"))
    f.ret(0)
