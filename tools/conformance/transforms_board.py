"""The scoreboard of transformations of functions; see `transforms` for the checks."""

from __future__ import annotations

import argparse
import fnmatch
import os
from collections import defaultdict

from . import pool, score
from .opinfo import entries
from .opinfo_board import failing
from .transforms import CHECKS, examine


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run what is asked for; 1 where a whole run has lost against the record."""
    parser.add_argument("--only", default="*", help="names, a pattern or several with commas")
    parser.add_argument("--checks", default=",".join(CHECKS))
    parser.add_argument("--samples", type=int, default=6, help="of an entry at most; 0: all")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1, help="worker processes")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds of an entry")
    parser.add_argument("--quiet", action="store_true", help="no list of failing names")
    parser.add_argument("--record", action="store_true", help="keep the score")
    options = parser.parse_args(arguments)
    tallies = collect(options)
    if not options.quiet:
        print("\n".join(failing(tallies)))
    totals = summary(tallies)
    return score.settle("transforms", totals, options.record) if options.only == "*" else 0


def collect(options) -> dict[tuple, tuple]:
    """(name, entry, check, dtype) -> (passed, total, faults)."""
    patterns = options.only.split(",")
    checks = tuple(options.checks.split(","))
    tasks = [
        (f"{number} {name}", (number, checks, options.samples))
        for number, name in entries()
        if any(fnmatch.fnmatchcase(name, p) for p in patterns)
    ]
    found: dict[tuple, tuple] = {}
    for label, result in pool.run(examine, tasks, options.j, options.limit):
        number, name = label.split(" ", 1)
        if isinstance(result, pool.Lost):
            found[name, int(number), checks[0], "float32"] = (0, 1, (result.reason,))
            continue
        for (check, dtype), tally in result.items():
            found[name, int(number), check, dtype] = tuple(tally)
    return dict(sorted(found.items()))


def summary(tallies: dict[tuple, tuple]) -> dict[str, int]:
    """Print a line per check; what is kept as the score."""
    names: dict[str, set[str]] = defaultdict(set)
    wrong: dict[str, set[str]] = defaultdict(set)
    samples: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (name, _, check, _), (passed, total, _) in tallies.items():
        names[check].add(name)
        samples[check][0] += passed
        samples[check][1] += total
        if passed < total:
            wrong[check].add(name)
    totals = {}
    for check in sorted(names):
        passed, total = samples[check]
        right = len(names[check]) - len(wrong[check])
        print(f"{check:10} {passed:6}/{total:<6} samples  {right:4}/{len(names[check]):<4} names")
        totals[f"{check} samples"] = passed
        totals[f"{check} names"] = right
    return totals
