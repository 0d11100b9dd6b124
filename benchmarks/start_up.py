"""Import time, and the first training step from a cold and from a warm cache.

Each measurement is a fresh process; the cold ones get an empty cache directory. Bytecode lies in a
folder of the benchmark's own, filled by an import that does not count, as pip fills it for a user.
"""

import os
import statistics
import subprocess
import sys
import tempfile

from timing import ROOT, pin, row

ROUNDS = 5
IMPORT = """
import time
started = time.perf_counter()
import {module}
print(time.perf_counter() - started)
"""
FIRST_STEP = """
import sys, time
sys.path.insert(0, {folder!r})
import gemel.torch
from network import parts
model, criterion, optimizer, batches = parts(gemel.torch)
inputs, labels = batches[0]
started = time.perf_counter()
loss = criterion(model(inputs), labels)
optimizer.zero_grad()
loss.backward()
optimizer.step()
loss.item()
print(time.perf_counter() - started)
"""

# The step itself takes its time from the second one on; what is printed is the rest.
FIRST_RESNET_STEP = """
import time
from gemel.cli import aliases
aliases.install()
import numpy
from gemel.bench.workloads.networks_torch import train_resnet
images = numpy.random.RandomState(0).rand(1, 32, 32, 32, 3).astype("f4")
job = train_resnet(images, numpy.zeros((1, 32), numpy.int64))
times = []
for _ in range(3):
    started = time.perf_counter()
    job.run(1)
    times.append(time.perf_counter() - started)
print(times[0] - min(times[1:]))
"""


def main() -> None:
    """Print the figures."""
    pin()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        figures()


def figures() -> None:
    """Import times, then first steps."""
    for module, bound in (("gemel.torch", 0.25), ("gemel.tensorflow", 0.25)):
        code = IMPORT.format(module=module)
        in_process(code)
        seconds = median([in_process(code) for _ in range(ROUNDS)])
        row(f"import {module}", f"{seconds:.3f} s", f"at most {bound} s", seconds <= bound)
    code = FIRST_STEP.format(folder=os.path.dirname(os.path.abspath(__file__)))
    first_steps("first training step", code, ROUNDS, cold=0.3, warm=0.1)
    first_steps("first step of ResNet-18, less a step", FIRST_RESNET_STEP, 3, cold=8, warm=0.3)


def first_steps(name: str, code: str, rounds: int, *, cold: float, warm: float) -> None:
    """A first step in fresh processes, with an empty cache and with what the first one left."""
    taken: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for times in taken.values():
                times.append(in_process(code, GEMEL_CACHE=folder))
    for (what, times), bound in zip(taken.items(), (cold, warm), strict=True):
        seconds = median(times)
        row(f"{name}, {what} cache", f"{seconds:.3f} s", f"at most {bound} s", seconds <= bound)


def median(times: list[float]) -> float:
    """The middle one."""
    return statistics.median(times)


def in_process(code: str, **environment: str) -> float:
    """The number that the code prints, run in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout)


if __name__ == "__main__":
    main()
