"""A worker process: one framework with one number of threads, asked for one thing at a time.

Role: a script, not a module: Gemel's worker is started by `gemel run`, so that its `import torch`
means Gemel and the workloads are the same text for all. Input: a request a line on standard input,
as JSON. Output: an answer a line on what standard output was; whatever a framework prints goes to
standard error.

    {"do": "prepare", "row": name, "variant": v, "results": path, "target": s}  builds, warms up
    {"do": "time", "variant": v, "steps": n}                        seconds per step of n steps
    {"do": "peaks", "quick": bool}                                  the machine's limits
    {"do": "peak"}                                                  this worker's cores: GFLOP/s
    {"do": "drop"}                                                  forgets the job
"""

import sys

del sys.path[0]  # this folder: its files are no modules of their own

import gc  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from typing import Any  # noqa: E402

WARM_UP = 0.15  # seconds
ENOUGH = 8  # steps that warm up at least, where they are not long
LONG = 0.6
NAP = 0.01  # two ticks of the clock that counts other threads' time
RESTLESS = 1.0


class Worker:
    """Answers requests; `job` is what was prepared last."""

    def __init__(self, threads: int):
        self.threads = threads
        self.jobs: dict = {}
        self.once: dict[str, float] = {}  # seconds of a step
        self.meter: Any = None

    def answer(self, request: dict) -> dict:
        """The answer to one request; a failure is an answer too."""
        try:
            return getattr(self, request.pop("do"))(**request)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return {
                "error": f"{type(error).__name__}: {error}",
                "trace": traceback.format_exc(),
            }

    def prepare(self, row: str, variant: str, results: str, target: float, patience: int) -> dict:
        """Build the job, keep its first results, warm it up; steps that fill a turn."""
        import numpy as np

        from gemel.bench.workloads import named

        started = time.perf_counter()
        with _at_most(patience):
            job = named(row).builders[variant]()
            np.savez(results, *job.results())
            ready = time.perf_counter() - started
            once = _warm_up(job)
        steps = max(1, round(target / once / job.unit)) * job.unit
        self.jobs[variant], self.once[variant] = job, once
        _until_asleep()
        return {"steps": steps, "seconds": once, "ready": ready}

    def time(self, variant: str, steps: int) -> dict:
        """Seconds per step, after one that brings the job's memory back into the caches."""
        job = self.jobs[variant]
        if self.once[variant] < LONG:
            job.run(job.unit)
        gc.disable()
        seconds = _seconds(job, steps) / steps
        gc.enable()
        _until_asleep()
        return {"seconds": seconds}

    def peak(self) -> dict:
        """The cores' speed now, by independent multiply-adds."""
        from gemel.explaining.peaks import FmaPeak

        if self.meter is None:
            self.meter = FmaPeak(self.threads)
        return {"gflops": self.meter.speed()}

    def peaks(self, quick: bool) -> dict:
        """The machine's limits; see `gemel.explaining.peaks`."""
        from gemel.explaining.peaks import measure

        return measure(self.threads, quick)

    def drop(self) -> dict:
        """Forget the jobs and their memory."""
        self.jobs.clear()
        gc.collect()
        return {}


@contextmanager
def _at_most(seconds: int):
    """Raise TimeoutError inside of the block when it takes longer; a compiler may never end."""

    def stop(number, frame):
        raise TimeoutError(f"not ready in {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _seconds(job, steps: int) -> float:
    started = time.perf_counter()
    counted = job.run(steps)
    return time.perf_counter() - started if counted is None else counted


def _until_asleep() -> None:
    """Wait until the framework's threads have stopped looking for work: those of NumPy's OpenBLAS
    go on for 130 ms, and would take a core from whoever measures next."""
    end = time.perf_counter() + RESTLESS
    while time.perf_counter() < end:
        used = time.process_time()
        time.sleep(NAP)
        if time.process_time() - used < NAP / 10:
            return


def _warm_up(job) -> float:
    """Seconds of a step, after enough of them."""
    begun = time.perf_counter()
    done, once = 0, 1e9
    while True:
        once = min(once, _seconds(job, job.unit) / job.unit)
        done += 1
        spent = time.perf_counter() - begun
        if spent > LONG and done > 1 or spent > WARM_UP and done >= ENOUGH:
            return once


def main() -> None:
    """Answer until standard input ends."""
    threads, cores = int(sys.argv[1]), json.loads(sys.argv[2])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(threads)
    for line in sys.stdin:
        answers.write(json.dumps(worker.answer(json.loads(line))) + "\n")
        answers.flush()


main()
