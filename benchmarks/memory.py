"""Peak memory of training programs, Gemel beside PyTorch, each in a fresh process.

    python benchmarks/memory.py [resnet gpt lstm deep deep-checkpointed]

Resident bytes beyond those of a process that has trained a tiny network (`memory_programs.py`), at
most in later steps; under Gemel with an empty cache of compiled code and with a full one. Beside
them what `gemel.explain` says: of the program's tensors alone, which is known before they exist,
and of the whole process, less what it held before the model was built.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = ("resnet", "gpt", "lstm", "deep", "deep-checkpointed")


def measured(command: list[str], name: str, cache: str = "") -> dict:
    """The record that the program prints last."""
    ran = subprocess.run(
        [*command, str(HERE / "memory_programs.py"), name],
        capture_output=True,
        text=True,
        check=True,
        cwd=HERE.parent,
        env=os.environ | {"GEMEL_CACHE": cache},
    )
    return json.loads(ran.stdout.splitlines()[-1])


def line(what: str, peer: int, ours: dict) -> str:
    """peer: bytes under PyTorch; ours: the record under Gemel."""
    mine, known, said = ours["later"], ours["known"], ours["said"]
    sizes = " ".join(f"{size / 1e6:9.1f}" for size in (peer, mine, known, said))
    return f"{what:23s} {sizes} {said / mine - 1:+8.1%} {mine / peer:9.2f}"


def main() -> None:
    heads = ("PyTorch", "Gemel", "tensors", "said", "off by", "to peer")
    print(f"{'MB, later steps':23s}" + "".join(f"{head:>10s}" for head in heads))
    for name in sys.argv[1:] or PROGRAMS:
        peer = measured([sys.executable], name)["later"]
        with tempfile.TemporaryDirectory() as cache:
            for how in ("cold", "warm"):
                ours = measured([sys.executable, "-m", "gemel", "run"], name, cache)
                print(line(f"{name}, {how}", peer, ours), flush=True)


if __name__ == "__main__":
    main()
