"""First training steps in processes of their own, from a cold and from a warm cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from .workload import Job

SCRIPT = Path(__file__).with_name("first_step.py")


def job(network: str, warm: bool) -> Job:
    """Each step is a process. `warm`: all have one cache, which a first process has filled, and
    what counts is the time beyond that of a later step. Modules are read as bytecode that the first
    process has left, as a user finds them after the first import of all."""
    kept = tempfile.TemporaryDirectory()
    _process(network, kept.name, kept.name)

    def once() -> tuple[float, float, float]:
        if warm:
            return _process(network, kept.name, kept.name)
        with tempfile.TemporaryDirectory() as empty:
            return _process(network, empty, kept.name)

    def run(steps: int) -> float:
        times = [once() for _ in range(steps)]
        return sum(max(first - later, 0.0) if warm else first for first, later, _ in times)

    return Job(run, lambda: [np.array([once()[2]])])


def _process(network: str, cache: str, bytecode: str) -> tuple[float, float, float]:
    """(seconds, a later step's, loss). Raises RuntimeError with what the process said last."""
    known = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    known |= {"GEMEL_CACHE": cache, "PYTHONPYCACHEPREFIX": os.path.join(bytecode, "bytecode")}
    through = ["-m", "gemel", "run"] if torch.__name__.startswith("gemel") else []
    done = subprocess.run(
        [sys.executable, *through, str(SCRIPT), network],
        capture_output=True,
        text=True,
        env=known,
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    seconds, later, loss = map(float, done.stdout.split())
    return seconds, later, loss
