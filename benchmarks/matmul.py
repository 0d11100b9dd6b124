"""Matrix products against the machine's FMA peak and against other libraries.

    [THREADS=2] python benchmarks/matmul.py [--peers] [--plans] [--shape MxNxK[:nt|tn|tt]] ...

Each row: the share of the FMA peak, GF/s, microseconds and compile time of Gemel, then the time of
Gemel relative to each installed peer (below 1: Gemel is faster). A figure is the lowest decile of
many samples; everybody is sampled in turn, in random order and warm, beside a sample of the peak.
On one thread Gemel's calls are repeated inside the machine code, as a program would make them, and
times are the process's CPU time, because a shared machine takes the core away now and then. On
more threads Gemel is called through its PyTorch face, and times are the clock's.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import time
from collections.abc import Callable

THREADS = int(os.environ.get("THREADS", "1"))
# The peers read these when they are loaded.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, str(THREADS))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if THREADS == 1:
    _flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ.setdefault("XLA_FLAGS", _flags)

import numpy as np  # noqa: E402

from gemel.codegen.llvm import Module  # noqa: E402
from gemel.codegen.products.contraction import Access, Contraction, Pointers  # noqa: E402
from gemel.codegen.strategy import choose  # noqa: E402
from gemel.runtime.jit import load  # noqa: E402
from gemel.runtime.machine import machine  # noqa: E402

SHAPES = [
    "32x64x64", "32x64x64:nt", "64x64x64", "64x64x64:nt", "64x64x32:tn", "100x10x64", "32x10x64",
    "32x64x10", "32x64x10:nt", "64x10x32:tn", "128x512x784", "784x512x128:tn", "128x512x512:nt",
    "256x256x256", "512x512x512", "512x512x512:nt", "512x512x512:tn", "500x500x500",
    "1024x1024x1024", "1024x1024x1024:nt", "1024x1024x1024:tn", "2048x2048x2048",
    "1024x4096x1024", "2048x65x256", "256x65x2048:tn", "2048x256x65:nt", "1x4096x4096",
    "1x4096x4096:nt", "4096x1x4096", "64x64x65536", "64*128x32x128", "64*128x32x128:nt",
    "64*128x128x32", "64*128x128x32:nt",
]  # fmt: skip

clock = time.process_time if THREADS == 1 else time.perf_counter


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
        self.data = np.full(4096, 0.5, np.float32)
        self.machine_code = compiled("peak", module, [ctypes.c_void_p])

    def call(self) -> None:
        self.machine_code(self.data.ctypes.data)


def sampled(calls: dict[str, Callable[[int], object]], budget: float) -> dict[str, float]:
    """Lowest decile of the seconds of each call, all of them in random order; a call is given how
    often to repeat itself."""
    turns, times = {}, {name: [] for name in calls}
    for name, call in calls.items():
        call(1)
        started = time.perf_counter()
        call(1)
        turns[name] = max(1, int(100e-6 / (time.perf_counter() - started)))
    names = list(calls)
    end = time.perf_counter() + budget
    while time.perf_counter() < end or len(times[names[0]]) < 5:
        random.shuffle(names)
        for name in names:
            if THREADS > 1:
                time.sleep(0.01)  # until the threads of the one before have stopped waiting busily
            calls[name](2 * turns[name])
            started = clock()
            calls[name](turns[name])
            times[name].append((clock() - started) / turns[name])
    return {name: sorted(spent)[len(spent) // 10] for name, spent in times.items()}


def repeated(call: Callable[[], object]) -> Callable[[int], None]:
    def run(turns: int) -> None:
        for _ in range(turns):
            call()

    return run


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

        torch.set_num_threads(THREADS)
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
    try:
        import tensorflow as tf
    except ImportError:
        return calls
    if not calls_of_tensorflow:
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    u, v = tf.constant(case.a), tf.constant(case.b)
    multiply = tf.function(lambda u, v: tf.matmul(u, v, transpose_a=case.ta, transpose_b=case.tb))
    calls["tensorflow"] = lambda: multiply(u, v).numpy()
    calls_of_tensorflow.append(multiply)
    return calls


calls_of_tensorflow: list[Callable] = []


def through_the_face(case: Case) -> Callable[[int], None]:
    """Gemel's call on several threads."""
    import gemel.torch as torch

    torch.set_num_threads(THREADS)
    a, b = torch.from_numpy(case.a), torch.from_numpy(case.b)
    if case.ta:
        product = torch.compile(lambda a, b: a.transpose(-1, -2) @ b)
    elif case.tb:
        product = torch.compile(lambda a, b: a @ b.transpose(-1, -2))
    else:
        product = torch.compile(lambda a, b: a @ b)

    def run(turns: int) -> None:
        with torch.no_grad():
            for _ in range(turns):
                made = product(a, b).numpy()
            case.out = made

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--plans", action="store_true")
    parser.add_argument("--budget", type=float, default=1.5, help="seconds per row")
    parser.add_argument("--shape", action="append")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    peak = Peak()
    for text in arguments.shape or SHAPES:
        case = Case(text)
        run, spent, chosen = case.call()
        calls = {"peak": repeated(peak.call), "gemel": run}
        if THREADS > 1:
            calls["gemel"] = through_the_face(case)
        if arguments.peers:
            calls.update({name: repeated(call) for name, call in peer_calls(case).items()})
        seconds = sampled(calls, arguments.budget)
        ours, most = case.flops / seconds["gemel"] / 1e9, peak.flops / seconds["peak"] / 1e9
        line = f"{text:18} {ours / most / THREADS:5.0%} of {THREADS} x {most:.0f} {ours:6.1f} GF/s"
        line += f" {seconds['gemel'] * 1e6:10.2f} us  error {case.check():.0e}  {spent:4.0f} ms"
        for name in list(calls)[2:]:
            line += f"  {name} {seconds['gemel'] / seconds[name]:5.2f}"
        print(line + (f"  [{chosen}]" if arguments.plans else ""), flush=True)


if __name__ == "__main__":
    main()
