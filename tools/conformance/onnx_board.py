"""The scoreboard of ONNX's node cases; see `onnx_cases`."""

from __future__ import annotations

import argparse
import fnmatch
import os
from collections import defaultdict

from . import pool, score
from .onnx_cases import cases, examine, group

BATCH = 20  # cases that a worker takes at a time


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run what is asked for; 1 where a whole run has lost against the record."""
    parser.add_argument("--only", default="*", help="names, a pattern or several with commas")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1, help="worker processes")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds of a batch of cases")
    parser.add_argument("--quiet", action="store_true", help="no list of failing names")
    parser.add_argument("--record", action="store_true", help="keep the score")
    options = parser.parse_args(arguments)
    patterns = options.only.split(",")
    names = [n for n in cases() if any(fnmatch.fnmatchcase(n, p) for p in patterns)]
    faults = collect(names, options)
    if not options.quiet:
        for name, fault in sorted(faults.items()):
            if fault:
                print(f"{name:60} {fault}")
    totals = summary(faults)
    return score.settle("onnx", totals, options.record) if options.only == "*" else 0


def collect(names: list[str], options) -> dict[str, str]:
    """name -> what went wrong, "" where nothing did."""
    batches = [tuple(names[i : i + BATCH]) for i in range(0, len(names), BATCH)]
    tasks = [(str(i), (batch,)) for i, batch in enumerate(batches)]
    found: dict[str, str] = {}
    for label, result in pool.run(examine, tasks, options.j, options.limit):
        batch = batches[int(label)]
        rows = [(n, result.reason) for n in batch] if isinstance(result, pool.Lost) else result
        found.update(rows)  # type: ignore[call-overload]
    return found


def summary(faults: dict[str, str]) -> dict[str, int]:
    """Prints passed of total by operator; gives what is kept as the score."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, fault in faults.items():
        for key in (group(name), "all"):
            counts[key][0] += not fault
            counts[key][1] += 1
    for key in sorted(counts, key=lambda k: (k == "all", k)):
        passed, total = counts[key]
        if passed < total or key == "all":
            print(f"{key:30} {passed:5}/{total:<5} {passed / total:7.2%}")
    whole = sum(passed == total for passed, total in counts.values())
    print(f"{whole} of {len(counts)} groups are all right")
    return {"node cases": counts["all"][0]}
