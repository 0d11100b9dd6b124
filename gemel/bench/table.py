"""A record as text: progress, tables as wide as the terminal allows, summaries.

A table has a line for each way of Gemel's to do a row: its time, its 10th and 90th percentile, the
best peer, the ratio of both, the goal, and the share of the machine's limit that was reached.
"""

from __future__ import annotations

import math
import shutil

from gemel.explaining.peaks import KINDS, LEVELS
from gemel.explaining.quantities import duration

from . import record as records
from .misses import miss_lines
from .peers import OWN

WIDE = 124  # columns from which all parts of the table are shown
NAME = 38


def peaks_lines(peaks: dict) -> list[str]:
    """The machine's limits."""
    threads = peaks["threads"]
    many = f"{threads} threads" if threads > 1 else "one core"
    lines = [
        f"{many}: {peaks['float32']:.0f} GFLOP/s in float32, {peaks['float64']:.0f} in float64;"
        " GB/s:"
    ]
    for level in LEVELS:
        found = peaks["levels"][level]
        speeds = ", ".join(f"{kind} {found[kind]:.0f}" for kind in KINDS)
        lines.append(f"  {level:7s} {speeds}")
    return lines


def progress_line(row: dict, number: int, count: int) -> str:
    """A row that was just measured."""
    label = records.own(row)
    head = f"[{number}/{count}]"
    if label is None:
        return f"{head} {_failure(row)}"
    time = duration(records.measured(row)[label]["median"])
    ratio = records.ratio(row)
    beside = f", {ratio:.2f} x {records.best_peer(row)}" if ratio is not None else ""
    return f"{head} {label} {time}{beside}"


def table_lines(record: dict, width: int | None = None) -> list[str]:
    """All rows, a table a number of threads."""
    width = width or shutil.get_terminal_size((WIDE, 24)).columns
    lines = []
    for threads in sorted({row["threads"] for row in record["rows"]}):
        rows = [row for row in record["rows"] if row["threads"] == threads]
        lines.append(f"{threads} threads" if threads > 1 else "One core")
        lines += _table(rows, width)
        lines.append("")
    return lines or ["nothing was measured"]


def _table(rows: list[dict], width: int) -> list[str]:
    name = max(20, min(NAME, width - 66))
    wide = width >= WIDE
    lines = [
        _line(name, wide, "", "row", "Gemel", "time", "p10-p90", "best peer", "x", "goal", "limit")
    ]
    for row in rows:
        lines += _row_lines(row, name, wide)
    return lines


def _row_lines(row: dict, name: int, wide: bool) -> list[str]:
    chosen = records.own(row)
    times = records.measured(row)
    if chosen is None:
        return [f"! {row['name']:{name}.{name}s} {_failure(row)}"]
    lines = [_own_line(row, chosen, name, wide, row["name"])]
    others = [label for label in times if label in OWN and label != chosen]
    lines += [_own_line(row, label, name, wide, "") for label in others]
    failed = {n: r["failure"] for n, r in row["results"].items() if "failure" in r}
    lines += [f"    {label}: {why}" for label, why in failed.items()]
    return lines


def _own_line(row: dict, label: str, name: int, wide: bool, title: str) -> str:
    now = records.measured(row)[label]
    peer = records.best_peer(row)
    ratio = records.ratio(row, label)
    stands = label == records.own(row)
    theirs = ""
    if stands and peer is not None:
        theirs = f"{duration(records.measured(row)[peer]['median'])} {peer}"
    return _line(
        name,
        wide,
        "!" if stands and records.misses(row) else "",
        title,
        label.removeprefix("Gemel "),
        duration(now["median"]),
        f"{duration(now['p10'])} - {duration(now['p90'])}",
        theirs,
        "" if ratio is None else f"{ratio:.2f}",
        _goal_text(row) if stands else "",
        _limit_text(row, now["median"]),
    )


def _goal_text(row: dict) -> str:
    if row["budget"] is not None:
        return duration(row["budget"])
    return f"{row['goal']:g}" if row["goal"] else ""


def _limit_text(row: dict, seconds: float) -> str:
    if row["limit"] is None:
        return ""
    return f"{row['limit'] / seconds:.0%} {row['limited_by']}"


def _line(name, wide, mark, title, way, time, spread, peer, ratio, goal, limit) -> str:
    middle = f" {spread:>19s}" if wide else ""
    text = (
        f"{mark:1s} {title:{name}.{name}s} {way:8s} {time:>8s}{middle}  {peer:25.25s} {ratio:>5s}"
    )
    text += f" {goal:>6s}"
    return (text + (f"  {limit}" if wide else "")).rstrip()


def _failure(row: dict) -> str:
    for label, result in row["results"].items():
        if label in OWN and "failure" in result:
            return f"{label} failed: {result['failure']}"
    return "nothing of Gemel's can do it"


def summary_lines(record: dict) -> list[str]:
    """Geometric means by group, and the rows that miss their goal with what stands in the way."""
    lines = []
    groups: dict[tuple[str, int], list[float]] = {}
    for row in record["rows"]:
        ratio = records.ratio(row)
        if ratio is not None:
            groups.setdefault((row["group"], row["threads"]), []).append(ratio)
    for (group, threads), found in groups.items():
        mean = math.exp(sum(map(math.log, found)) / len(found))
        lines.append(
            f"{group}, {threads} thread(s): {mean:.2f} x the best peer in geometric mean"
            f" of {len(found)}, from {min(found):.2f} to {max(found):.2f}"
        )
    return lines + miss_lines(record)


def regression_lines(slower: list[dict], path: str) -> list[str]:
    """What became slower, beside what the peers became."""
    if not slower:
        return [f"against {path}: nothing is slower beyond the spread"]
    lines = [f"against {path}: {len(slower)} slower beyond the spread"]
    for r in slower:
        lines.append(
            f"  {r['name']}, {r['threads']} thread(s), {r['label']}: {duration(r['before'])}"
            f" -> {duration(r['now'])}, {r['times']:.2f} x (the best peer {r['peers']:.2f} x)"
        )
    return lines
