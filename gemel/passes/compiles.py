"""What was compiled, when, why again, and what it cost.

Each program that is asked for leaves a `Compile`. The reason is found by comparison with the
nearest program of this process: the same operations with other sizes or element types, or other
operations from one of the user's lines on.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gemel.graph.form import Form
from gemel.graph.node import Node, order
from gemel.runtime import jit

REMEMBERED = 256  # programs that a new one is compared with, and that are told
LONGEST = 4  # arguments and steps that are named
STARTED = time.perf_counter()


@dataclass(frozen=True)
class Compile:
    """One program.

    at       seconds since Gemel was imported
    how      'compiled', 'sizes' (code for many sizes was given others), 'disk' or 'memory'
    why      what is new against the nearest known program
    line     the user's (file, line) where it begins, or None
    kernels  in it
    seconds  until it was ready;  passes, llvm: of these, in Gemel's passes and in LLVM
    steps    (name, seconds) of the passes, the longest first
    sizes    which sizes are arguments of the code, or why they had to be constants
    """

    at: float
    how: str
    why: str
    line: tuple[str, int] | None
    kernels: int
    seconds: float
    passes: float
    llvm: float
    steps: tuple[tuple[str, float], ...] = ()
    sizes: str = ""

    def __str__(self) -> str:
        place = f"{os.path.basename(self.line[0])}:{self.line[1]}" if self.line else "?"
        cost = f"{1e3 * self.seconds:.1f} ms"
        if self.how == "compiled":
            longest = (f"{name} {1e3 * spent:.1f}" for name, spent in self.steps[:LONGEST])
            named = f": {', '.join(longest)}" if self.steps else ""
            cost += f" (LLVM {1e3 * self.llvm:.1f}, passes {1e3 * self.passes:.1f}{named})"
        told = f"{self.at:.2f} s  {place}  {self.how}, {self.kernels} kernels, {cost}: {self.why}"
        return f"{told}; {self.sizes}" if self.sizes else told


class _Steps(threading.local):
    """Of the program that a thread is making. inner: seconds of steps inside of the one under
    way."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.inner = 0.0


_steps = _Steps()


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Time spent inside counts for this step, but for that of steps inside of it."""
    outer, _steps.inner = _steps.inner, 0.0
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - began
        own = seconds - _steps.inner
        _steps.spent[step] = _steps.spent.get(step, 0.0) + own
        _steps.inner = outer + seconds


@dataclass(frozen=True)
class _Known:
    """A program as it is compared: operations, their lines, the forms of what it reads."""

    operations: tuple[str, ...]
    lines: tuple
    forms: tuple[Form, ...]


_known: list[_Known] = []
_told: list[Compile] = []


def compiles() -> list[Compile]:
    """Those of this process, the latest last; older ones are forgotten."""
    return list(_told)


class Stopwatch:
    """Of one program: made before it is looked for, `stop`ped when it is ready."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.llvm = jit.spent_seconds()
        self.modules = jit.emitted_count()
        _steps.spent.clear()

    def stop(
        self,
        how: str,
        leaves: Sequence[Node],
        results: Sequence[Node],
        kernels: int,
        sizes: str = "",
    ) -> None:
        """how, sizes: of a `Compile`; compiled says itself whether LLVM was asked."""
        seconds = time.perf_counter() - self.began
        llvm = jit.spent_seconds() - self.llvm
        if jit.emitted_count() > self.modules:
            how = "compiled"
        mine = _described(leaves, results)
        why = _reason(mine)
        line = next((where for where in mine.lines if where), None)
        at = self.began - STARTED
        steps = tuple(sorted(_steps.spent.items(), key=lambda item: -item[1]))
        passes = sum(spent for _, spent in steps)
        told = Compile(at, how, why, line, kernels, seconds, passes, llvm, steps, sizes)
        _known.append(mine)
        del _known[:-REMEMBERED]
        _tell(told)

    def stop_alike(self, line: tuple[str, int] | None, kernels: int, sizes: str) -> None:
        """Of a program for which no graph was made: the way of recording is known."""
        seconds = time.perf_counter() - self.began
        why = "other sizes on the same way"
        at = self.began - STARTED
        _tell(Compile(at, "sizes", why, line, kernels, seconds, 0.0, 0.0, (), sizes))


def _tell(told: Compile) -> None:
    _told.append(told)
    del _told[:-REMEMBERED]
    if "compiles" in os.environ.get("GEMEL_SHOW", "").split(","):
        print(f"gemel: {told}", file=sys.stderr)


def _described(leaves: Sequence[Node], results: Sequence[Node]) -> _Known:
    # conversions come and go with element types
    nodes = [n for n in order(results) if n.args and n.op.name != "cast"]
    operations = tuple(n.op.name for n in nodes)
    return _Known(operations, tuple(n.where for n in nodes), tuple(n.form for n in leaves))


def _reason(mine: _Known) -> str:
    if not _known:
        return "the first program"
    alike = [k for k in reversed(_known) if k.operations == mine.operations]
    same = [k for k in alike if len(k.forms) == len(mine.forms)]
    if same:
        return _forms_that_changed(min(same, key=lambda k: _distance(k, mine)), mine)
    there = [k for k in reversed(_known) if k.lines[:1] == mine.lines[:1]]
    if not there:
        return "new: no program began here"
    return _where_they_part(max(there, key=lambda k: _alike(k, mine)), mine)


def _distance(a: _Known, b: _Known) -> int:
    return sum(f is not g for f, g in zip(a.forms, b.forms, strict=True))


def _forms_that_changed(old: _Known, mine: _Known) -> str:
    pairs = zip(old.forms, mine.forms, strict=True)
    rows = [f"{k} {g} (was {f})" for k, (f, g) in enumerate(pairs) if f is not g]
    if not rows:
        return "the same arguments, with another constant, size or setting inside"
    kinds = zip(old.forms, mine.forms, strict=True)
    what = "dtype" if any(f.dtype is not g.dtype for f, g in kinds) else "size"
    more = f" and {len(rows) - LONGEST} more" if len(rows) > LONGEST else ""
    return f"another {what} of argument {', '.join(rows[:LONGEST])}{more}"


def _alike(a: _Known, b: _Known) -> int:
    """Operations from the first one on that are the same."""
    count = 0
    for one, other in zip(a.operations, b.operations, strict=False):
        if one != other:
            break
        count += 1
    return count


def _where_they_part(old: _Known, mine: _Known) -> str:
    at = min(_alike(old, mine), len(mine.lines) - 1)
    where = next((w for w in mine.lines[at:] if w), None)
    place = f"{os.path.basename(where[0])}:{where[1]}" if where else "there"
    return f"other operations from {place} on: {len(mine.operations)}, were {len(old.operations)}"
