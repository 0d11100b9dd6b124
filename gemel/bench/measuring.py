"""One row measured: every candidate built, checked against the others, then timed in turn."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gemel.explaining.limits import limit

from .peers import BY_NAME, GEMEL, OWN, PEERS, Peer
from .samples import summary
from .turns import Candidate, Crew, candidates, prepare, take_turns
from .workloads.workload import Workload


@dataclass(frozen=True)
class Effort:
    """How long to measure: seconds of a turn, of all turns of a row, and how many of them; and
    how many seconds a candidate has to become ready."""

    turn: float
    budget: float
    rounds: tuple[int, int]
    patience: int


FULL = Effort(0.02, 8.0, (7, 25), 180)
QUICK = Effort(0.005, 1.0, (3, 5), 60)


def measure_row(
    crew: Crew,
    workload: Workload,
    peaks: dict,
    effort: Effort,
    peers: Sequence[Peer] = PEERS,
    say: Callable[[str], None] = lambda text: None,
) -> dict:
    """The row of the record; see `record.py`. A candidate that fails says why in its place.

    say: is told what is being done
    """
    with tempfile.TemporaryDirectory() as folder:
        found = candidates(workload, folder, peers)
        for candidate in found:
            say(f"{workload.name}: {candidate.label} gets ready")
            prepare(crew, workload, candidate, effort.turn, effort.patience)
        _compare(workload, found)
    ready = [c for c in found if not c.failure]
    say(f"{workload.name}: {len(ready)} take turns")
    least, most = effort.rounds
    rounds = min(least, workload.rounds), min(most, workload.rounds)
    speeds = take_turns(crew, ready, effort.budget, rounds) if ready else []
    crew.drop()
    peak = statistics.median(speeds) if speeds else peaks.get("float32")
    seconds, reason = limit(workload.flops, workload.traffic, peaks, peak)
    return {
        "name": workload.name,
        "group": workload.group,
        "about": workload.about,
        "threads": crew.threads,
        "flops": workload.flops,
        "traffic": workload.traffic,
        "goal": workload.goal,
        "enough": workload.enough,
        "budget": workload.budget,
        "rivals": list(workload.rivals),
        "peak": peak,
        "limit": seconds,
        "limited_by": reason,
        "results": {c.label: _result(c) for c in found},
    }


def measure_peaks(crew: Crew, quick: bool) -> dict:
    """The machine's limits, by Gemel's worker. Raises WorkerFailed."""
    return crew.worker(BY_NAME[GEMEL]).ask(do="peaks", quick=quick)


def _result(candidate: Candidate) -> dict:
    if candidate.failure:
        return {"failure": candidate.failure}
    return {
        **summary(candidate.seconds),
        "steps": candidate.steps,
        "ready": candidate.ready,
        "difference": candidate.difference,
    }


# ---------- are the results right? ----------
def _compare(workload: Workload, found: list[Candidate]) -> None:
    """Fail candidates whose first results are not those of the peer that they are held against."""
    loaded = {id(c): _load(c) for c in found if not c.failure}
    for candidate in found:
        if candidate.failure:
            continue
        other = _reference(workload, candidate, found)
        if other is None:
            continue
        candidate.difference = difference(loaded[id(candidate)], loaded[id(other)])
        if not candidate.difference <= workload.tolerance and candidate.label in OWN:
            candidate.failure = (
                f"wrong: differs from {other.label} by {candidate.difference:.1e}"
                f" (at most {workload.tolerance:.0e})"
            )


def _reference(workload: Workload, candidate: Candidate, found: list[Candidate]):
    """The first peer that computes the same numbers; None without one."""
    for other in found:
        if other is candidate or other.failure or other.label in OWN:
            continue
        if workload.alike or _family(other) == _family(candidate):
            return other
    return None


def _family(candidate: Candidate) -> str:
    """Programs of one text: PyTorch ones and their compiled form, Keras ones."""
    return "keras" if candidate.variant == "keras" else "plain"


def _load(candidate: Candidate) -> list[np.ndarray]:
    with np.load(candidate.results) as file:
        return [file[name] for name in file.files]


def difference(found: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """The largest difference relative to the largest value, array by array; inf if unlike."""
    if [a.shape for a in found] != [a.shape for a in wanted]:
        return float("inf")
    worst = 0.0
    for a, b in zip(found, wanted, strict=True):
        if a.size == 0:
            continue
        scale = max(float(np.abs(b).max()), 1e-30)
        gap = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max()) / scale
        worst = max(worst, gap if gap == gap else float("inf"))
    return worst
