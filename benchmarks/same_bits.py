"""Does every workload of `gemel bench` give the same bits on 1, 2, 3 and 8 threads, every time?

    gemel run benchmarks/same_bits.py [repetitions] [seconds per row] [part of the rows' names]

A row's job is built once for each number of threads. In each repetition all of them go on by a few
steps, a training job from where its last ones led, and must agree in every bit. A row stops at the
repetitions asked for or when its seconds are over; the table says how many there were. Exit status
1 when two results of a row differ.
"""

import sys
import time

import numpy as np
import torch

from gemel.bench.workloads import every

THREADS = (1, 2, 3, 8)
VARIANTS = ("torch", "torch compiled")


def main() -> int:
    """Print a line a row and variant."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    failed = 0
    for workload in every(sweeps=False):
        for variant in VARIANTS:
            measured = workload.budget is None and part in workload.name
            if measured and variant in workload.builders:
                failed |= not _row(workload, variant, repetitions, seconds)
    return int(failed)


def _row(workload, variant: str, repetitions: int, seconds: float) -> bool:
    """Repetitions until they or the seconds are over; whether all agreed."""
    end = time.perf_counter() + seconds
    jobs = [workload.builders[variant]() for _ in THREADS]
    done, same = 0, True
    while same and done < repetitions and (done == 0 or time.perf_counter() < end):
        same = _agree(jobs)
        done += 1
    verdict = "the same bits" if same else "DIFFERENT"
    print(f"{workload.name:42} {variant:15} {done:4} x {THREADS} threads: {verdict}", flush=True)
    return same


def _agree(jobs) -> bool:
    """A repetition: the results of every number of threads against those of the first."""
    first: list[np.ndarray] = []
    for threads, job in zip(THREADS, jobs, strict=True):
        torch.set_num_threads(threads)
        found = job.results()
        first = first or list(found)
        if not all(_same(a, b) for a, b in zip(first, found, strict=True)):
            return False
    return True


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """In every bit: a NaN is like itself, and zeros of unlike sign are not."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return np.array_equal(a.reshape(-1).view(np.uint8), b.reshape(-1).view(np.uint8))


if __name__ == "__main__":
    sys.exit(main())
