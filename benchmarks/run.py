"""Runs every benchmark, each in a process of its own, and prints their figures below each other."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "tf1_session.py",
    "start_up.py",
    "recording.py",
    "loops.py",
    "random_draws.py",
    "matmul.py",
    "rows.py",
)


def main() -> int:
    """1 when a script failed; a figure that misses its bound is marked, not a failure."""
    failed = 0
    for script in SCRIPTS:
        path = Path(__file__).with_name(script)
        failed |= subprocess.run([sys.executable, str(path)]).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
