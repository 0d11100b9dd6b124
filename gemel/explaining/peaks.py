"""The machine's limits, measured by kernels that Gemel's own generator emits.

Role: what a row can be held against. Input: a number of threads; the process is on their cores.
Output: multiply-adds per second, and bytes per second read, written and copied where the data lie
in the first, second and third cache and in memory. Invariant: the best of several is taken, since
everything that disturbs a measurement makes it slower.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gemel.codegen.llvm import Module, Value
from gemel.runtime.jit import load
from gemel.runtime.machine import machine

FMA_TURNS = 40_000  # of one thread; with several, their start has to weigh nothing
UNROLL = 8
SPAN = 4e-3  # seconds of one sample of a bandwidth, about
SAMPLES = 7
LEVELS = ("L1", "L2", "L3", "memory")
MOST_MEMORY = 1 << 30
QUICK_MEMORY = 1 << 28
KINDS = ("read", "write", "copy")


class FmaPeak:
    """Independent multiply-adds in registers: the most that the cores can do."""

    def __init__(self, threads: int, elem: str = "float"):
        self.threads = threads
        self.lanes = machine().lanes(4 if elem == "float" else 8)
        turns = FMA_TURNS if threads == 1 else 10 * FMA_TURNS
        self.flops = 2 * self.lanes * chains() * turns * threads
        module = fma_module(elem, self.lanes, turns)
        self.call = load(module.text(), ["fma_peak"]).function("fma_peak", None, ctypes.c_void_p)
        self.rows = [np.full(4096, 0.5, np.float64) for _ in range(threads)]
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.speed()

    def speed(self) -> float:
        """GFLOP/s now, the best of three."""
        places = [row.ctypes.data for row in self.rows]
        return max(self.flops / _together(self.pool, self.call, places) for _ in range(3)) / 1e9


def chains() -> int:
    """Independent sums: more than the latency of a multiply-add hides, and all of them in
    registers."""
    return 20 if machine().vector_registers >= 32 else 12


def measure(threads: int, quick: bool = False) -> dict:
    """GFLOP/s in float32 and float64, and GB/s by level and kind; all threads together.

    quick: fewer samples, and less memory for what lies outside of the caches.
    """
    host = machine()
    levels = {}
    pool = ThreadPoolExecutor(threads) if threads > 1 else None
    for level, size in working_sets().items():
        size = min(size, QUICK_MEMORY) if quick else size
        levels[level] = {"bytes": size, **_bandwidths(pool, threads, size, quick)}
    return {
        "threads": threads,
        "float32": max(FmaPeak(threads).speed() for _ in range(10)),
        "float64": max(FmaPeak(threads, "double").speed() for _ in range(5)),
        "levels": levels,
        "caches": {"L1": host.l1 * threads, "L2": host.l2 * threads, "L3": host.l3},
    }


def working_sets() -> dict[str, int]:
    """Bytes per thread that lie well inside each level, and outside of the one before."""
    host = machine()
    third = max(4 * host.l2, min(host.l3 // 4, 32 << 20))
    return {
        "L1": host.l1 // 2,
        "L2": host.l2 // 2,
        "L3": third,
        "memory": min(4 * host.l3, MOST_MEMORY),
    }


def _bandwidths(pool, threads: int, size: int, quick: bool) -> dict[str, float]:
    """GB/s. A copy has half of the bytes on either side; both count."""
    share = size if size < machine().l3 // 8 or threads == 1 else size // threads
    areas = [_Area(share) for _ in range(threads)]
    found = {}
    for kind in ("read", "write", "copy", "move"):
        found[kind] = _best_bandwidth(pool, _bandwidth_kernel(kind), areas, share, quick)
    # The C library copies large pieces past the caches.
    found["copy"] = max(found["copy"], found.pop("move"))
    return found


class _Area:
    """Memory that starts on a page, touched once."""

    def __init__(self, size: int):
        self.kept = np.zeros(size + 8192, np.uint8)
        self.kept += 1
        self.address = -(-self.kept.ctypes.data // 4096) * 4096


def _best_bandwidth(pool, call: Callable, areas: list[_Area], size: int, quick: bool) -> float:
    turns = 1

    def once() -> float:
        return _together(pool, lambda at: call(at, size, turns), [a.address for a in areas])

    spent = once()
    while spent < SPAN / 2:
        turns *= 2
        spent = once()
    samples = SAMPLES if turns > 1 and not quick else 3
    return len(areas) * size * turns / min(once() for _ in range(samples)) / 1e9


def _together(pool, call: Callable, places: list[int]) -> float:
    """Seconds until a call at every place is done, each in a thread of its own."""
    started = time.perf_counter()
    if pool is None:
        call(places[0])
    else:
        list(pool.map(call, places))
    return time.perf_counter() - started


def fma_module(elem: str, lanes: int, turns: int) -> Module:
    """fma_peak(ptr): so many rounds of a multiply-add for each chain."""
    module = Module()
    # Not `fma`: so is the library's function called, where there is no such instruction.
    f = module.function("fma_peak", [("ptr", "x")])
    (x,) = f.arguments
    value = f.load(x, elem, lanes)
    with f.loop(0, turns, carry=[value] * chains()) as loop:
        loop.next = [f.fma(value, value, total) for total in loop.values]
    for i, total in enumerate(loop.out):
        f.store(total, f.gep(x, i * lanes, elem))
    f.ret()
    return module


def _bandwidth_kernel(kind: str) -> Callable:
    """kernel(address, bytes, turns): reads, writes or copies that memory so many times."""
    module = Module()
    f = module.function(kind, [("ptr", "x"), ("i64", "bytes"), ("i64", "turns")])
    x, size, turns = f.arguments
    lanes = machine().lanes(4)
    half = f.value(f"lshr i64 {size}, 1", size.type)
    begin = f.load(x, "float", lanes)
    with f.loop(0, turns, carry=[begin] * UNROLL) as again:
        if kind == "move":
            f.copy_bytes(f.gep(x, half, "i8"), x, half)
        else:
            totals = _pass_over(f, kind, x, size, half, again.values)
            again.next = totals
    if kind == "read":
        for i, total in enumerate(again.out):
            f.store(total, f.gep(x, i * lanes, "float"))
    f.ret()
    arguments = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    return load(module.text(), [kind]).function(kind, None, *arguments)


def _pass_over(f, kind: str, x: Value, size: Value, half: Value, totals: list) -> list:
    """One walk over the memory, UNROLL vectors a turn."""
    vector = machine().vector_bytes
    lanes = vector // 4
    end = half if kind == "copy" else size
    steps = [i * vector for i in range(UNROLL)]
    with f.loop(0, end, UNROLL * vector, carry=totals, nonempty=True) as loop:
        places = [f.gep(f.gep(x, loop.index, "i8"), step, "i8") for step in steps]
        if kind == "write":
            for place, total in zip(places, loop.values, strict=True):
                f.store(total, place)
        else:
            loaded = [f.load(place, "float", lanes) for place in places]
            if kind == "copy":
                for place, value in zip(places, loaded, strict=True):
                    f.store(value, f.gep(place, half, "i8"))
            else:
                loop.next = [a + b for a, b in zip(loop.values, loaded, strict=True)]
    return loop.out
