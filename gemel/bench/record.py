"""What was measured: one JSON file, written again after every row.

    {"format": 1, "gemel": version, "started": time, "machine": {...}, "versions": {...},
     "settings": {"quick": bool}, "peaks": {threads: limits}, "rows": [row, ...]}

A row holds the task (name, group, threads, flops, traffic, goal), its limit, and by candidate
either median, p10, p90, least (seconds a step) and samples, or why there are none. Invariant: the
file is replaced as a whole, so that whoever interrupts a run keeps the rows that were done.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from pathlib import Path

from gemel import __version__
from gemel.explaining.peaks import LEVELS
from gemel.runtime.machine import machine

from .peers import OWN, versions

FORMAT = 1
COUNTING = ("Gemel torch", "Gemel compiled")  # what a goal is held against: a program of the user's


class BadRecord(Exception):
    """A file that is no record, or not one that can be gone on with; the text says why."""


def fresh(quick: bool) -> dict:
    """A record without rows."""
    return {
        "format": FORMAT,
        "gemel": __version__,
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": describe_machine(),
        "versions": versions(),
        "settings": {"quick": quick},
        "peaks": {},
        "rows": [],
    }


def describe_machine() -> dict:
    """What the figures are of."""
    host = machine()
    return {
        "cpu": host.cpu,
        "name": _cpu_name(),
        "cores": host.cores,
        "vector bits": host.vector_bytes * 8,
        "caches": [host.l1, host.l2, host.l3],
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def load(path: str | Path) -> dict:
    """A record from its file. Raises BadRecord."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadRecord(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise BadRecord(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT or "rows" not in found:
        raise BadRecord(f"{path} is no record of `gemel bench` that this version reads")
    return found


def resumed(path: str | Path, quick: bool) -> dict:
    """The record of an earlier run, to go on with; a fresh one where there is no file."""
    if not Path(path).exists():
        return fresh(quick)
    found = load(path)
    now = fresh(quick)
    for part in ("machine", "versions", "settings"):
        if found.get(part) != now[part]:
            raise BadRecord(f"{path} cannot be gone on with: its {part} were {found.get(part)}")
    return found


def write_whole(path: str | Path, text: str) -> None:
    """Replace a file at once: its readers see the old text or the new one."""
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent or ".", prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def save(path: str | Path, record: dict) -> None:
    """Write the record."""
    write_whole(path, json.dumps(record, indent=1))


def put(record: dict, row: dict) -> None:
    """Add a row, or replace the one of that name and number of threads."""
    rows = record["rows"]
    for i, old in enumerate(rows):
        if key(old) == key(row):
            rows[i] = row
            return
    rows.append(row)


def key(row: dict) -> tuple[str, int]:
    """What tells rows apart."""
    return row["name"], row["threads"]


def is_done(record: dict, name: str, threads: int) -> bool:
    """Was the row measured, and did all of Gemel's candidates do it?"""
    for row in record["rows"]:
        if key(row) == (name, threads):
            return not any("failure" in r for n, r in row["results"].items() if n in OWN)
    return False


# ---------- what a row says ----------
def measured(row: dict) -> dict[str, dict]:
    """The candidates that have a time."""
    return {label: r for label, r in row["results"].items() if "median" in r}


def best_peer(row: dict) -> str | None:
    """The fastest of the peers that count; None where there is none."""
    peers = {n: r for n, r in measured(row).items() if n not in OWN}
    counting = {n: r for n, r in peers.items() if n in row["rivals"]} if row["rivals"] else peers
    return min(counting, key=lambda n: counting[n]["median"], default=None)


def own(row: dict) -> str | None:
    """The candidate of Gemel's that stands for the row; None where all failed."""
    times = measured(row)
    counting = [n for n in COUNTING if n in times]
    if not counting:
        counting = [n for n in times if n in OWN]
    return min(counting, key=lambda n: times[n]["median"], default=None)


def ratio(row: dict, label: str | None = None) -> float | None:
    """Time of a candidate (default: Gemel's) over the best peer's; None where one is missing, and
    where seconds count."""
    if row["budget"] is not None:
        return None
    label = label or own(row)
    peer = best_peer(row)
    times = measured(row)
    if label not in times or peer is None:
        return None
    return times[label]["median"] / times[peer]["median"]


def misses(row: dict) -> bool:
    """Is the goal missed, or the budget, or could Gemel not do the row?"""
    label = own(row)
    if label is None:
        return True
    if row["budget"] is not None and measured(row)[label]["median"] > row["budget"]:
        return True
    found = ratio(row)
    if row["goal"] is None or found is None or found <= row["goal"]:
        return False
    return not _near_memory(row, measured(row)[label]["median"])


def _near_memory(row: dict, seconds: float) -> bool:
    """Is memory the limit, and as much of its speed reached as the row asks for at least?"""
    enough = row.get("enough")
    if enough is None or row["limit"] is None or row["limited_by"] not in LEVELS:
        return False
    return row["limit"] / seconds >= enough


# ---------- two records ----------
def regressions(record: dict, before: dict) -> list[dict]:
    """Rows of Gemel's that became slower beyond the spread of both runs.

    Slower than the peers became in the same time: a machine that runs slower today is no
    regression. Each entry: name, threads, label, old and new seconds, times, peers.
    """
    olds = {key(row): row for row in before["rows"]}
    found = []
    for row in record["rows"]:
        old = olds.get(key(row))
        if old is None:
            continue
        drift = _peers_drift(row, old)
        for label, now in measured(row).items():
            then = measured(old).get(label)
            if label not in OWN or then is None:
                continue
            times = now["median"] / then["median"]
            if now["p10"] > then["p90"] * max(drift, 1.0) and times > 1.05 * max(drift, 1.0):
                found.append(
                    {
                        "name": row["name"],
                        "threads": row["threads"],
                        "label": label,
                        "before": then["median"],
                        "now": now["median"],
                        "times": times,
                        "peers": drift,
                    }
                )
    return found


def _peers_drift(row: dict, old: dict) -> float:
    """How much slower the fastest common peer became; 1 without one."""
    now, then = measured(row), measured(old)
    both = [n for n in now if n in then and n not in OWN]
    if not both:
        return 1.0
    fastest = min(both, key=lambda n: then[n]["median"])
    return now[fastest]["median"] / then[fastest]["median"]
