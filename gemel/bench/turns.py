"""Worker processes taking turns at one row.

Role: starts a worker per framework and number of threads, and has them measure in turn, so that a
change of the machine's clock meets all. Input: a workload. Output: samples by candidate, or why
there are none. Invariant: while one works, the others wait for their next request; a worker that
dies or does not answer is given up, and the next row gets a fresh one.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .peers import BY_NAME, GEMEL, PEERS, Peer, environment

WORKER = Path(__file__).with_name("worker.py")
ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 900.0  # seconds for one answer; compilers take their time


class WorkerFailed(Exception):
    """A worker died, or could not do what it was asked; the text says what it said last."""


class WorkerProcess:
    """One framework with one number of threads, in a process of its own."""

    def __init__(self, peer: Peer, threads: int, cores: list[int]):
        self.peer = peer
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        through = ["-m", "gemel", "run"] if peer.name == GEMEL else []
        settings = environment(peer, threads)
        settings["PYTHONPATH"] = os.pathsep.join([str(ROOT), settings.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, *through, str(WORKER), str(threads), json.dumps(cores)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=settings,
        )

    def ask(self, within: float = PATIENCE, **request) -> dict:
        """The answer to a request. Raises WorkerFailed when there is none or it is an error."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write((json.dumps(request) + "\n").encode())
            self.process.stdin.flush()
        except OSError:
            raise WorkerFailed(self._last_words()) from None
        ready, _, _ = select.select([self.process.stdout], [], [], within)
        if not ready:
            self.end()
            raise WorkerFailed(f"no answer in {within:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise WorkerFailed(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerFailed(_brief(answer["error"]))
        return answer

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """Stop the process and wait for it."""
        if self.alive:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except OSError:
                    pass

    def _last_words(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return _brief(
            f"the process ended with status {code}" + "".join(f": {x}" for x in lines[-1:])
        )


def _brief(text: str) -> str:
    """The first line, not too long."""
    line = text.strip().splitlines()[0] if text.strip() else "no reason given"
    return line if len(line) <= 300 else line[:297] + "..."


class Crew:
    """The workers of one number of threads, started when they are first needed."""

    def __init__(self, threads: int, cores: list[int]):
        self.threads = threads
        self.cores = cores
        self.workers: dict[str, WorkerProcess] = {}

    def worker(self, peer: Peer) -> WorkerProcess:
        """The peer's worker; a new one where there is none alive."""
        found = self.workers.get(peer.name)
        if found is None or not found.alive:
            if found is not None:
                found.end()
            found = self.workers[peer.name] = WorkerProcess(peer, self.threads, self.cores)
        return found

    def drop(self) -> None:
        """Have all forget their jobs."""
        for worker in list(self.workers.values()):
            if worker.alive:
                try:
                    worker.ask(do="drop")
                except WorkerFailed:
                    worker.end()

    def end(self) -> None:
        """Stop every worker."""
        for worker in self.workers.values():
            worker.end()
        self.workers.clear()


@dataclass
class Candidate:
    """One way of doing a row: a variant of the workload in one framework."""

    peer: Peer
    variant: str
    label: str
    results: str
    steps: int = 1
    once: float = 0.0
    ready: float = 0.0
    seconds: list[float] = field(default_factory=list)
    failure: str = ""
    difference: float | None = None


def candidates(workload, folder: str, peers: Sequence[Peer] = PEERS) -> list[Candidate]:
    """Everything installed that can do the row, Gemel first."""
    found = []
    for peer in peers:
        for variant, label in peer.variants().items():
            if variant in workload.builders:
                path = os.path.join(folder, f"{peer.name} {variant}.npz")
                found.append(Candidate(peer, variant, label, path))
    return found


def prepare(crew: Crew, workload, candidate: Candidate, target: float, patience: int) -> None:
    """Build the candidate's job in its worker, in `patience` seconds; a failure is noted."""
    try:
        answer = crew.worker(candidate.peer).ask(
            do="prepare",
            row=workload.name,
            variant=candidate.variant,
            results=candidate.results,
            target=target,
            patience=patience,
        )
    except WorkerFailed as failure:
        candidate.failure = str(failure)
        return
    candidate.steps = answer["steps"]
    candidate.once = answer["seconds"]
    candidate.ready = answer["ready"]


def take_turns(crew: Crew, ready: list[Candidate], budget: float, rounds: tuple[int, int]):
    """Fill the candidates' samples; returns the cores' GFLOP/s seen in between.

    budget  seconds for all; rounds: at least and at most that many, whatever the budget.
    """
    speeds = []
    begun = time.perf_counter()
    for turn in range(rounds[1]):
        if turn >= rounds[0] and time.perf_counter() - begun > budget:
            break
        speeds.append(_peak(crew))
        # Each comes first now and then: what runs before it leaves the machine warm or hot.
        first = turn % max(1, len(ready))
        for candidate in (*ready[first:], *ready[:first]):
            if not candidate.failure:
                _one_turn(crew, candidate)
    return [s for s in speeds if s is not None]


def _one_turn(crew: Crew, candidate: Candidate) -> None:
    worker = crew.workers[candidate.peer.name]
    try:
        answer = worker.ask(do="time", variant=candidate.variant, steps=candidate.steps)
    except WorkerFailed as failure:
        candidate.failure = str(failure)
    else:
        candidate.seconds.append(answer["seconds"])


def _peak(crew: Crew) -> float | None:
    try:
        return crew.worker(BY_NAME[GEMEL]).ask(do="peak")["gflops"]
    except WorkerFailed:
        return None
