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
    """Each step is a process; `warm`: all have one cache, which a first process has filled."""
    kept = tempfile.TemporaryDirectory()
    if warm:
        _process(network, kept.name)

    def once() -> tuple[float, float]:
        if warm:
            return _process(network, kept.name)
        with tempfile.TemporaryDirectory() as empty:
            return _process(network, empty)

    def run(steps: int) -> float:
        return sum(once()[0] for _ in range(steps))

    return Job(run, lambda: [np.array([once()[1]])])


def _process(network: str, cache: str) -> tuple[float, float]:
    """(seconds, loss). Raises RuntimeError with what the process said last."""
    through = ["-m", "gemel", "run"] if torch.__name__.startswith("gemel") else []
    done = subprocess.run(
        [sys.executable, *through, str(SCRIPT), network],
        capture_output=True,
        text=True,
        env={**os.environ, "GEMEL_CACHE": cache},
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    seconds, loss = done.stdout.split()
    return float(seconds), float(loss)
