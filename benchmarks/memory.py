"""Peak memory of training programs, Gemel beside PyTorch, each in a fresh process.

    python benchmarks/memory.py [resnet gpt lstm deep deep-checkpointed]

Resident bytes beyond those of a process that has trained a tiny network (`memory_programs.py`), at
most in later steps. Under Gemel also what is known before the step runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = ("resnet", "gpt", "lstm", "deep", "deep-checkpointed")


def measured(command: list[str], name: str) -> dict:
    """The record that the program prints last."""
    ran = subprocess.run(
        [*command, str(HERE / "memory_programs.py"), name],
        capture_output=True,
        text=True,
        check=True,
        cwd=HERE.parent,
    )
    return json.loads(ran.stdout.splitlines()[-1])


def main() -> None:
    print(f"{'MB, later steps':20s} {'PyTorch':>9s} {'Gemel':>9s} {'ratio':>6s} {'known':>9s}")
    for name in sys.argv[1:] or PROGRAMS:
        theirs = measured([sys.executable], name)
        ours = measured([sys.executable, "-m", "gemel", "run"], name)
        peer, mine, known = theirs["later"], ours["later"], ours.get("known", 0)
        print(
            f"{name:20s} {peer / 1e6:9.1f} {mine / 1e6:9.1f} {mine / peer:6.2f} {known / 1e6:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
