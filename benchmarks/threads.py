"""More threads against one, in turn, and what busy neighbours cost.

    gemel run benchmarks/threads.py [threads] [rounds] [part of the rows' names]

Each round times every row's job on one thread and on all, and the cores' multiply-adds likewise, so
that what the machine itself gives is beside what a row makes of it. Then the same with as many
other busy processes as cores: `fair` is the threads' share of the cores, `kept` the speed that is
left of it. Medians over the rounds.
"""

import statistics
import subprocess
import sys
import time

import torch

from gemel.bench.workloads import named
from gemel.explaining.peaks import FmaPeak

ROWS = (
    ("matmul 512x512x512", "torch"),
    ("mlp 64-64-10", "torch"),
    ("mlp 64-64-10 compiled", "torch compiled"),
    ("cnn 28x28", "torch"),
    ("resnet-18 32x32", "torch"),
)
TURN = 0.05  # seconds of a sample, where a step is shorter
BUSY = "while True: pass"


class Row:
    """A job and its samples: seconds of a step by (busy processes, threads)."""

    def __init__(self, name: str, variant: str):
        self.name = name
        self.job = named(name).builders[variant]()
        self.job.results()
        self.steps = 1
        self.steps = max(1, round(TURN / self._step()))
        self.samples: dict[tuple[int, int], list[float]] = {}

    def _step(self) -> float:
        self.job.run(self.job.unit)
        begun = time.perf_counter()
        self.job.run(self.steps * self.job.unit)
        return (time.perf_counter() - begun) / (self.steps * self.job.unit)

    def sample(self, busy: int, threads: int) -> None:
        """One more on so many threads, beside so many processes."""
        torch.set_num_threads(threads)
        self.samples.setdefault((busy, threads), []).append(self._step())

    def median(self, busy: int, threads: int) -> float:
        """Seconds of a step."""
        return statistics.median(self.samples[busy, threads])


def main() -> None:
    """Print a line a row."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    rows = [Row(name, variant) for name, variant in ROWS if part in name]
    meters = {n: FmaPeak(n) for n in (1, threads)}
    scales = []
    for _ in range(rounds):
        scales.append(meters[threads].speed() / meters[1].speed())
        for row in rows:
            for n in (1, threads):
                row.sample(0, n)
    print(f"multiply-adds {threads} / 1 threads: {statistics.median(scales):.2f}")
    for row in rows:
        one, all_ = row.median(0, 1), row.median(0, threads)
        print(f"{row.name:24} {one * 1e3:10.4f} ms {all_ * 1e3:10.4f} ms {one / all_:6.2f} x")
    for busy in range(1, threads + 1):
        _beside(busy, rows, threads, rounds)


def _beside(busy: int, rows: list[Row], threads: int, rounds: int) -> None:
    """The same on all threads beside busy processes."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(busy)]
    try:
        for _ in range(rounds):
            for row in rows:
                row.sample(busy, threads)
    finally:
        for other in others:
            other.kill()
            other.wait()
    # A program's threads and the others' share the cores alike.
    fair = min(1.0, threads / (threads + busy))
    print(f"beside {busy} busy processes; a fair share is {fair:.2f} of the speed alone")
    for row in rows:
        kept = row.median(0, threads) / row.median(busy, threads)
        print(f"{row.name:24} {row.median(busy, threads) * 1e3:10.4f} ms {kept:6.2f} of it")


if __name__ == "__main__":
    main()
