"""The programs of `programs/`: how one is run, by Gemel or by the original, and how the numbers
that it prints are compared.

Each is a script as a user of PyTorch or TensorFlow writes it: it names nothing of Gemel.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(__file__).resolve().parent / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py"))
TENSORFLOW = ("keras_functional", "tf1_session")
LAST_LOSS = 1e-3  # relative
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def original_of(name: str) -> str:
    """The package that the program is written for."""
    return "tensorflow" if name in TENSORFLOW else "torch"


def run(name: str, original: bool = False) -> str:
    """What the program prints. RuntimeError with its standard error where it fails."""
    machinery = [] if original else ["-m", "gemel", "run"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *machinery, str(PROGRAMS / f"{name}.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-3000:]}")
    return done.stdout


def losses(printed: str) -> list[float]:
    """The number behind the last word "loss" of each line that has one."""
    lines = [line.rpartition("loss ")[2] for line in printed.splitlines() if "loss " in line]
    return [float(_NUMBER.match(line).group()) for line in lines]


def differences(found: str, wanted: str) -> list[str]:
    """What is not as the original prints it; nothing where all is well."""
    told = []
    plain = [[_NUMBER.sub("#", line) for line in losses_lines(text)] for text in (found, wanted)]
    if plain[0] != plain[1]:
        return [f"other lines: {plain[0]} instead of {plain[1]}"]
    ours, theirs = losses(found), losses(wanted)
    if not abs(ours[-1] - theirs[-1]) <= LAST_LOSS * abs(theirs[-1]):
        told.append(f"last loss {ours[-1]} instead of {theirs[-1]}")
    return told


def losses_lines(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if "loss " in line]
