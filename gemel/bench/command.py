"""`gemel bench`: which rows, with how many threads, and what is written.

Role: entry of the command line. Input: the options. Output: lines while it measures, a table, and
the files asked for. Status 0; 1 when a result of Gemel's was wrong or a regression was found; 2
for options that make no sense; 130 when interrupted, with everything measured so far kept.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from fnmatch import fnmatchcase

from gemel.runtime.machine import usable_cores

from . import record as records
from .measuring import FULL, QUICK, measure_peaks, measure_row
from .page import page
from .peers import BY_NAME, GEMEL, PEERS, Peer
from .table import peaks_lines, progress_line, regression_lines, summary_lines, table_lines
from .turns import Crew, WorkerFailed
from .workloads import every
from .workloads.workload import Workload

FAILED, REFUSED, INTERRUPTED = 1, 2, 130


class Refused(Exception):
    """Options that make no sense; the text says which."""


def command(options) -> int:
    """Entry of the command line."""
    try:
        if os.name != "posix":
            raise Refused("its worker processes need a POSIX system")
        chosen = select(options.only, options.sweeps)
        if options.list:
            _list(chosen)
            return 0
        before = records.load(options.compare) if options.compare else None
        if options.show:
            record, status = records.load(options.show), 0
        else:
            record, status = _measure(options, chosen)
    except (Refused, records.BadRecord) as error:
        print(f"gemel bench: {error}", file=sys.stderr)
        return REFUSED
    return _report(options, record, before) or status


def select(patterns: list[str] | None, sweeps: bool) -> list[Workload]:
    """The rows that a pattern names: a part of the name or group, or one with * and ?."""
    if not patterns:
        return every(sweeps)
    kept = {}
    for pattern in patterns:
        found = [w for w in every(sweeps or "sweep" in pattern) if matches(pattern, w)]
        if not found:
            raise Refused(f"no row matches {pattern!r}; `gemel bench --list` shows them all")
        kept.update({w.name: w for w in found})
    return [w for w in every() if w.name in kept]


def matches(pattern: str, workload: Workload) -> bool:
    """Does a pattern name the row?"""
    pattern = pattern.lower()
    names = (workload.name.lower(), workload.group)
    if any(mark in pattern for mark in "*?["):
        return any(fnmatchcase(name, pattern) for name in names)
    return pattern in names[0] or pattern == names[1]


def thread_counts(text: str | None) -> list[int]:
    """Numbers of threads from "1,2"; without any: one, and all."""
    most = usable_cores()
    if text is None:
        return sorted({1, most})
    try:
        counts = list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise Refused(f"--threads takes numbers such as 1,2, not {text!r}") from None
    if not all(1 <= n <= most for n in counts):
        raise Refused(f"--threads {text}: this process may use {most} core(s)")
    return counts


def _list(chosen: list[Workload]) -> None:
    for w in chosen:
        goal = f"at most {w.goal:g} x" if w.goal else ""
        print(f"{w.group:12s} {w.name:44s} {goal:14s} {w.about}".rstrip())


def _measure(options, chosen: list[Workload]) -> tuple[dict, int]:
    """(record, status): all rows for all numbers of threads."""
    if options.resume and not options.json:
        raise Refused("--resume needs --json FILE, the record to go on with")
    if options.patience is not None and options.patience < 1:
        raise Refused(f"--patience takes seconds, at least 1, not {options.patience}")
    counts = thread_counts(options.threads)
    peers = chosen_peers(options.peers)
    fresh = not options.resume
    record = records.fresh(options.quick) if fresh else records.resumed(options.json, options.quick)
    _say_who(chosen, peers)
    try:
        for threads in counts:
            _measure_rows(options, record, chosen, peers, threads)
    except KeyboardInterrupt:
        kept = f"; `--resume --json {options.json}` goes on" if options.json else ""
        print(f"\ninterrupted: what was measured is kept{kept}", file=sys.stderr)
        return record, INTERRUPTED
    return record, FAILED if _wrong(record) else 0


def chosen_peers(text: str | None) -> list[Peer]:
    """Gemel, and the peers named in "torch,jax"; all of them without a text."""
    if text is None:
        return list(PEERS)
    names = [name for name in text.split(",") if name not in ("", "none")]
    for name in names:
        if name not in BY_NAME:
            raise Refused(f"no peer {name!r}; there are {', '.join(BY_NAME)}")
    return [peer for peer in PEERS if peer.name in (GEMEL, *names)]


def _measure_rows(options, record: dict, chosen: list[Workload], peers, threads: int) -> None:
    todo = [w for w in chosen if not records.is_done(record, w.name, threads)]
    if len(todo) < len(chosen):
        print(f"{len(chosen) - len(todo)} rows are measured already, {threads} thread(s)")
    if not todo:
        return
    crew = Crew(threads, cores_for(threads))
    effort = QUICK if options.quick else FULL
    if options.patience is not None:
        effort = replace(effort, patience=options.patience)
    try:
        peaks = _peaks(record, crew, options.quick)
        for i, workload in enumerate(todo):
            row = measure_row(crew, workload, peaks, effort, peers, _progress)
            records.put(record, row)
            if options.json:
                records.save(options.json, record)
            _progress(f"{workload.name}: {progress_line(row, i + 1, len(todo))}", last=True)
    finally:
        crew.end()


def _progress(text: str, last: bool = False) -> None:
    """What is being done. On a terminal the line is written over until it is the row's last."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}", end="\n" if last else "", flush=True)
    elif last:
        print(text, flush=True)
    else:
        print(f"    {text}", flush=True)


def cores_for(threads: int) -> list[int]:
    """The cores that the workers are bound to: the last ones, where the system does least else."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(threads))
    return sorted(os.sched_getaffinity(0))[-threads:]


def _peaks(record: dict, crew: Crew, quick: bool) -> dict:
    """This run's limits for the number of threads, said and kept."""
    try:
        found = measure_peaks(crew, quick)
    except WorkerFailed as failure:
        raise Refused(f"the machine's limits could not be measured: {failure}") from None
    record["peaks"][str(crew.threads)] = found
    print("\n".join(peaks_lines(found)), flush=True)
    return found


def _say_who(chosen: list[Workload], peers: list[Peer]) -> None:
    useful = {v for w in chosen for v in w.builders}
    names = [p.name for p in peers if p.name != GEMEL and useful & set(p.variants())]
    if names:
        print(f"{len(chosen)} rows beside {', '.join(names)}", flush=True)
    else:
        print(f"{len(chosen)} rows; no peers are here: only limits stand beside", flush=True)


def _wrong(record: dict) -> bool:
    results = [r for row in record["rows"] for r in row["results"].values()]
    return any(r.get("failure", "").startswith("wrong") for r in results)


def _report(options, record: dict, before: dict | None) -> int:
    """Print the tables, write the page; FAILED when something became slower."""
    print()
    print("\n".join(table_lines(record)))
    print("\n".join(summary_lines(record)))
    if options.html:
        records.write_whole(options.html, page(record))
        print(f"page: {os.path.abspath(options.html)}")
    if options.json and not options.show:
        print(f"record: {os.path.abspath(options.json)}")
    if before is None:
        return 0
    slower = records.regressions(record, before)
    print("\n".join(regression_lines(slower, options.compare)))
    return FAILED if slower else 0
