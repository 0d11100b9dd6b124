"""Does every workload of `gemel bench` give the same bits on 1, 2, 3 and 8 threads, every time?

    gemel run benchmarks/same_bits.py [repetitions] [seconds per row] [part of the rows' names]

Each repetition builds the job anew and hashes the results of its first steps. A row stops at the
repetitions asked for or when its seconds are over; the table says how many there were. Exit status
1 when two hashes of a row differ.
"""

import hashlib
import sys
import time

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
    """Rounds of all numbers of threads, so that a row that is cut short has met all of them."""
    found: set[str] = set()
    end = time.perf_counter() + seconds
    done = 0
    while done < repetitions and (done == 0 or time.perf_counter() < end):
        for threads in THREADS:
            torch.set_num_threads(threads)
            found.add(_hash(workload.builders[variant]()))
        done += 1
    verdict = "the same bits" if len(found) == 1 else f"DIFFERENT: {len(found)} results"
    print(f"{workload.name:42} {variant:15} {done:4} x {THREADS} threads: {verdict}", flush=True)
    return len(found) == 1


def _hash(job) -> str:
    digest = hashlib.sha256()
    for array in job.results():
        digest.update(array.tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
