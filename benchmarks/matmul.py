"""Matrix products against the machine's FMA peak and against other libraries, on one core.

    python benchmarks/matmul.py [--peers] [--shape MxNxK[:nt|tn|tt]] ...

The peak is measured first, and again beside every sample, because a shared machine changes its
speed. Each row: the best call's share of the best peak so far, GF/s of the best and of the median
call, microseconds of the best, compile time, and the best time of each peer relative to Gemel's
(above 1: Gemel is faster). Gemel's calls are repeated inside the machine code, as a program would
make them; peers are called from Python, on one thread, and left out when not installed.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import time
from collections.abc import Callable

# The peers read these when they are loaded.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

from gemel.codegen.contraction import Access, Contraction, Pointers  # noqa: E402
from gemel.codegen.llvm import Module  # noqa: E402
from gemel.codegen.strategy import choose  # noqa: E402
from gemel.runtime.jit import load  # noqa: E402
from gemel.runtime.machine import machine  # noqa: E402

SHAPES = [
    "32x64x64", "32x64x64:nt", "64x64x64", "64x64x32:tn", "100x10x64", "32x10x64", "32x64x10",
    "32x64x10:nt", "64x10x32:tn", "128x512x784", "128x512x784:nt", "256x256x256", "512x512x512",
    "512x512x512:nt", "512x512x512:tn", "500x500x500", "1024x1024x1024", "1024x4096x1024",
    "2048x65x256", "1x4096x4096", "1x4096x4096:nt", "4096x1x4096", "2048x2048x2048",
    "64*128x32x128", "64*128x128x32:nt",
]  # fmt: skip


def compiled(f_name: str, module: Module, arguments: list) -> Callable:
    return load(module.text(), [f_name]).function(f_name, None, *arguments)


class Peak:
    """Independent float FMAs: the most the core can do."""

    def __init__(self) -> None:
        lanes = machine().lanes(4)
        turns, chains = 20_000, 20
        module = Module()
        f = module.function("peak", [("ptr", "x")])
        (x,) = f.arguments
        value = f.load(x, "float", lanes)
        with f.loop(0, turns, carry=[value] * chains) as loop:
            loop.next = [f.fma(value, value, total) for total in loop.values]
        for i, total in enumerate(loop.out):
            f.store(total, f.gep(x, i * lanes, "float"))
        f.ret()
        self.flops = 2 * lanes * chains * turns
        self.best = 0.0
        self.data = np.full(4096, 0.5, np.float32)
        self.call = compiled("peak", module, [ctypes.c_void_p])

    def speed(self) -> float:
        """GF/s now; `best` remembers the highest."""
        now = self.flops / shortest(lambda: self.call(self.data.ctypes.data), 3) / 1e9
        self.best = max(self.best, now)
        return now


def shortest(call: Callable[[], object], count: int) -> float:
    """Seconds of the fastest of some calls."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def best_time(call: Callable[[], object], budget: float = 0.25) -> float:
    """Best seconds of a call, after warming up."""
    call()
    once = shortest(call, 2)
    return shortest(call, max(5, min(2000, int(budget / max(once, 1e-7)))))


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    raw = np.zeros(count + 64, np.float32)
    start = -raw.ctypes.data % 64 // 4
    made = raw[start : start + count].reshape(shape)
    made[...] = np.random.default_rng(0).standard_normal(shape, np.float32)
    return made


def store(tile, value) -> None:
    tile.store(0, value)


class Case:
    """One product: batch of m x k by k x n, either operand stored transposed."""

    def __init__(self, text: str):
        self.text = text
        sizes, _, layout = text.partition(":")
        batch, _, rest = sizes.rpartition("*")
        self.batch = int(batch or 1)
        self.m, self.n, self.k = (int(part) for part in rest.split("x"))
        layout = layout or "nn"
        ta, tb = layout[0] == "t", layout[1] == "t"
        m, n, k = self.m, self.n, self.k
        self.a = aligned((self.batch, k, m) if ta else (self.batch, m, k))
        self.b = aligned((self.batch, n, k) if tb else (self.batch, k, n))
        self.left = self.a.swapaxes(1, 2) if ta else self.a
        self.right = self.b.swapaxes(1, 2) if tb else self.b
        self.out = aligned((self.batch, m, n))
        if self.batch == 1:
            self.left, self.right = self.left[0], self.right[0]
        self.flops = 2 * self.batch * m * n * k
        self.ta, self.tb = ta, tb

    def spec(self) -> Contraction:
        m, n, k = self.m, self.n, self.k
        left = (m * k, 1, 0, m) if self.ta else (m * k, k, 0, 1)
        right = (n * k, 0, k, 1) if self.tb else (n * k, 0, 1, n)
        return Contraction(
            sizes=(self.batch, m, n, k),
            reduced=(False, False, False, True),
            elem="float",
            left=(Access("float", left),),
            right=(Access("float", right),),
            tile=(Access("float", (m * n, n, 1, 0)),),
        )

    def call(self) -> tuple[Callable[[int], None], float, str]:
        """A call that repeats the product, its compile time in milliseconds, its plan."""
        start = time.perf_counter()
        chosen = choose(self.spec(), machine())
        module = Module()
        head = [("ptr", name) for name in ("a", "b", "c", "scratch", "shared")]
        f = module.function("product", [*head, ("i64", "turns")])
        a, b, c, scratch, shared, turns = f.arguments
        pointers = Pointers([a], [b], [c], scratch, shared)
        with f.loop(0, turns):
            for stage, pieces in enumerate(chosen.stages):
                with f.loop(0, pieces) as loop:
                    chosen.emit(f, stage, loop.index, pointers, store)
        f.ret()
        call = compiled("product", module, [ctypes.c_void_p] * 5 + [ctypes.c_int64])
        spent = (time.perf_counter() - start) * 1e3
        rooms = [aligned((n // 4 + 16,)) for n in (chosen.scratch_bytes, chosen.shared_bytes)]
        kept = (self.a, self.b, self.out, *rooms)
        places = [x.ctypes.data for x in kept]

        def run(turns: int) -> None:
            call(*places, turns)
            assert kept

        return run, spent, chosen.describe()

    def measure(self, run: Callable[[int], None], peak: Peak) -> tuple[float, float]:
        """Best and median seconds of one product."""
        run(1)
        once = shortest(lambda: run(1), 3)
        turns = max(1, int(100e-6 / once))
        times = []
        for _ in range(max(5, min(60, int(0.3 / (once * turns))))):
            peak.speed()
            times.append(shortest(lambda: run(turns), 2) / turns)
        return min(times), statistics.median(times)

    def check(self) -> float:
        """The error relative to the largest result."""
        wanted = self.left.astype(np.float64) @ self.right.astype(np.float64)
        return float(np.abs(self.out.reshape(wanted.shape) - wanted).max() / np.abs(wanted).max())


def peer_calls(case: Case) -> dict[str, Callable]:
    calls = {}
    out = np.empty(np.broadcast_shapes(case.left.shape[:-2]) + (case.m, case.n), np.float32)
    calls["numpy"] = lambda: np.matmul(case.left, case.right, out=out)
    try:
        import torch

        torch.set_num_threads(1)
        a, b = torch.from_numpy(case.left), torch.from_numpy(case.right)
        result = torch.empty(out.shape)
        calls["torch"] = lambda: torch.matmul(a, b, out=result)
    except ImportError:
        pass
    try:
        import jax

        product = jax.jit(jax.numpy.matmul)
        x, y = jax.numpy.asarray(case.left), jax.numpy.asarray(case.right)
        calls["jax"] = lambda: product(x, y).block_until_ready()
    except ImportError:
        pass
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--plans", action="store_true")
    parser.add_argument("--shape", action="append")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    peak = Peak()
    print(f"FMA peak {max(peak.speed() for _ in range(20)):.0f} GF/s (float, one core)")
    for text in arguments.shape or SHAPES:
        case = Case(text)
        run, spent, chosen = case.call()
        seconds, median = case.measure(run, peak)
        speed = case.flops / seconds / 1e9
        line = f"{text:18} {speed / peak.best:5.0%} {speed:6.1f}/{case.flops / median / 1e9:5.1f}"
        line += f" GF/s {seconds * 1e6:10.2f} us"
        line += f"  error {case.check():.0e}  compile {spent:4.0f} ms"
        if arguments.peers:
            for name, peer in peer_calls(case).items():
                line += f"  {name} {best_time(peer) / seconds:5.2f}"
        print(line + (f"  [{chosen}]" if arguments.plans else ""), flush=True)


if __name__ == "__main__":
    main()
