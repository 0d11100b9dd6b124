"""The scoreboard of PyTorch's database of operations; see `opinfo` for the checks."""

from __future__ import annotations

import argparse
import fnmatch
import os
from collections import defaultdict
from collections.abc import Iterable

from . import pool, score
from .opinfo import CHECKS, entries, examine

DTYPES = ("float32", "float64", "int64", "bool", "bfloat16", "complex64")
GROUPS = ("nn.functional", "linalg", "special", "fft", "masked", "signal.windows", "ops.aten")


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run what is asked for; 1 where a whole run has lost against the record."""
    parser.add_argument("--only", default="*", help="names, a pattern or several with commas")
    parser.add_argument("--dtypes", default="float32")
    parser.add_argument("--checks", default=",".join(CHECKS))
    parser.add_argument("--samples", type=int, default=0, help="of an entry at most; 0: all")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1, help="worker processes")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds of an entry")
    parser.add_argument("--quiet", action="store_true", help="no list of failing names")
    parser.add_argument("--json", help="write every tally to this file")
    parser.add_argument("--record", action="store_true", help="keep the score")
    options = parser.parse_args(arguments)
    tallies = collect(options)
    lines, totals = summary(tallies)
    if not options.quiet:
        print("\n".join(failing(tallies)))
    print("\n".join(lines))
    if options.json:
        score.write(options.json, [[*key, *t] for key, t in tallies.items()])
    whole = options.only == "*" and not options.samples
    return score.settle("opinfo", totals, options.record) if whole else 0


def collect(options) -> dict[tuple, tuple]:
    """(name, entry, check, dtype) -> (passed, total, faults)."""
    patterns = options.only.split(",")
    checks = tuple(options.checks.split(","))
    dtypes = tuple(DTYPES if options.dtypes == "all" else options.dtypes.split(","))
    tasks = [
        (f"{number} {name}", (number, checks, dtypes, options.samples))
        for number, name in entries()
        if any(fnmatch.fnmatchcase(name, p) for p in patterns)
    ]
    found: dict[tuple, tuple] = {}
    for label, result in pool.run(examine, tasks, options.j, options.limit):
        number, name = label.split(" ", 1)
        if isinstance(result, pool.Lost):
            found[name, int(number), "forward", dtypes[0]] = (0, 1, (result.reason,))
            continue
        for (check, dtype), tally in result.items():
            found[name, int(number), check, dtype] = tuple(tally)
    return dict(sorted(found.items()))


def failing(tallies: dict[tuple, tuple]) -> Iterable[str]:
    """A line for each entry and check that is not all right, with its first faults; one for an
    entry that is missing."""
    told = set()
    for (name, entry, check, dtype), (passed, total, faults) in tallies.items():
        if passed < total and faults[0].startswith("missing"):
            if entry not in told:
                yield f"{name:40} {faults[0]}"
            told.add(entry)
        elif passed < total:
            shown = "; ".join(faults[:3])
            yield f"{name:40} {check:9} {dtype:10} {passed:4}/{total:<4} {shown}"


def group_of(name: str) -> str:
    """The namespace that a name belongs to."""
    return next((g for g in GROUPS if name.removeprefix("torch.").startswith(g + ".")), "torch")


def summary(tallies: dict[tuple, tuple]) -> tuple[list[str], dict[str, int]]:
    """Lines by check, dtype and group; and what is kept as the score."""
    samples: dict[tuple, list[int]] = defaultdict(lambda: [0, 0])
    wrong: dict[tuple, set[str]] = defaultdict(set)
    names: dict[tuple, set[str]] = defaultdict(set)
    for (name, _, check, dtype), (passed, total, _) in tallies.items():
        for group in (group_of(name), "all"):
            key = check, dtype, group
            samples[key][0] += passed
            samples[key][1] += total
            names[key].add(name)
            if passed < total:
                wrong[key].add(name)
    lines, totals = [], {}
    for key in sorted(samples, key=lambda k: (CHECKS.index(k[0]), k[1], k[2] == "all", k[2])):
        check, dtype, group = key
        passed, total = samples[key]
        right = len(names[key]) - len(wrong[key])
        lines.append(
            f"{check:9} {dtype:10} {group:15} {passed:6}/{total:<6} samples {passed / total:7.2%}"
            f"  {right:4}/{len(names[key]):<4} names"
        )
        if group == "all":
            totals[f"{check} {dtype} samples"] = passed
            totals[f"{check} {dtype} names"] = right
    return lines, totals
