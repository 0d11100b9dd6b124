"""Seconds of whole programs, start-up and compilation included: Gemel beside the originals.

    python benchmarks/programs.py [NAME ...]

Each program of `tests/programs/` runs in processes of its own, in turn: under the original, under
`gemel run` with an empty cache of compiled code, and with a full one. One core, medians of three
rounds, or of as many as ROUNDS in the environment says.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from timing import ROOT, pin

sys.path.insert(0, str(ROOT / "tests"))
import real_programs  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "3"))
WAYS = ("original", "cold", "warm")


def seconds(name: str, way: str, cache: str) -> float:
    """One run of the program; RuntimeError where it fails."""
    machinery = [] if way == "original" else ["-m", "gemel", "run"]
    command = [sys.executable, *machinery, str(real_programs.PROGRAMS / f"{name}.py")]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "GEMEL_CACHE": cache}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation has its sources compiled
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    taken = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{name} ({way}): {done.stderr[-2000:]}")
    return taken


def measure(name: str, rounds: int) -> dict[str, float]:
    """Median seconds of each way."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for way in WAYS:
                taken[way].append(seconds(name, way, cache))
    return {way: statistics.median(times) for way, times in taken.items()}


def main() -> None:
    """A line a program: seconds, and Gemel's share of the original's."""
    pin()
    os.environ["GEMEL_NUM_THREADS"] = "1"
    print(f"{'program':18s} {'original':>9s} {'cold':>9s} {'warm':>9s}  {'cold':>5s} {'warm':>5s}")
    for name in sys.argv[1:] or real_programs.NAMES:
        found = measure(name, ROUNDS)
        shares = [found[way] / found["original"] for way in WAYS[1:]]
        shown = " ".join(f"{found[way]:8.2f}s" for way in WAYS)
        print(f"{name:18s} {shown}  {shares[0]:5.2f} {shares[1]:5.2f}", flush=True)


if __name__ == "__main__":
    main()
