"""Timing for the benchmarks: one core, peers in turn, medians.

Role: shared by every script here. Input: functions that do a known number of steps. Output:
seconds per step, and lines on standard output.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


def pin() -> None:
    """Bind this process to one core. Call before any framework is imported."""
    os.environ.update(ONE_THREAD)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def in_turn(
    candidates: dict[str, Callable[[], None]], steps: int, rounds: int = 15
) -> dict[str, float]:
    """Median seconds per step of each candidate; a call does `steps` steps. One round warms up."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, run in candidates.items():
            started = time.perf_counter()
            run()
            if turn:
                taken[name].append((time.perf_counter() - started) / steps)
    return {name: statistics.median(times) for name, times in taken.items()}


def in_processes(script: str, names: list[str], rounds: int) -> dict[str, float]:
    """Median of what `script NAME` prints last, each name in turn in fresh processes."""
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, times in taken.items():
            times.append(_in_process(script, name))
    return {name: statistics.median(times) for name, times in taken.items()}


def _in_process(script: str, name: str) -> float:
    done = subprocess.run(
        [sys.executable, script, name],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def row(what: str, measured: str, bound: str, holds: bool) -> None:
    """Print one figure beside its bound."""
    print(f"{'  ' if holds else '! '}{what:46s} {measured:>28s}   {bound}", flush=True)


def ratio_row(what: str, seconds: dict[str, float], peer: str, bound: float) -> None:
    """Print Gemel's time, its peer's, and their ratio beside the ratio's bound."""
    ours, theirs = seconds["gemel"], seconds[peer]
    measured = f"{ours * 1e6:.1f} / {theirs * 1e6:.1f} us = {ours / theirs:.2f}"
    row(f"{what}, gemel / {peer}", measured, f"at most {bound}", ours <= bound * theirs)
