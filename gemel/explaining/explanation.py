"""The kernels of the programs that a function runs, timed one by one.

Role: `gemel.explain`. Input: a function and its arguments. Output: an `Explanation`. The function
is called once while its programs are noted; their kernels are then timed in machine code, in the
programs' order, on copies of what they overwrite. So the function's effects are those of being
called, no more often than `calls` says.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from gemel.passes.compiles import Compile
from gemel.passes.compiles import compiles as told
from gemel.passes.observed import Call, Observed, watching
from gemel.runtime import team
from gemel.runtime.needs import Needs, needs
from gemel.tensor.flush import flush

from . import peaks as machine_peaks
from .limits import limit
from .process import Resident, Watch

BUDGET = 0.5  # seconds for timing the kernels of one program, about
ROUNDS = (5, 1000)
WARM = 2  # rounds that do not count
SAMPLE = 20e-6  # seconds of one sample of a whole program, at least


@dataclass(frozen=True)
class KernelReport:
    """One kernel of a program.

    number    in its program, in running order
    line      the user's (file, line) that most of its work comes from; None: no line is known
    lines     all lines that it computes a part of
    does      what it does, in a few words
    plan      how it does it: tiles, blocks, pieces
    pieces    per stage; pieces of one stage can run on several threads at once
    flops, read, written   operations, and bytes, of one run; see `passes.costs`
    seconds   median of one run
    limit     seconds that this machine needs at least, and what bounds them (`bound`); that of
              one core where the kernel is a single piece
    """

    number: int
    line: tuple[str, int] | None
    lines: tuple[tuple[str, int], ...]
    does: str
    plan: str
    pieces: tuple[int, ...]
    flops: int
    read: int
    written: int
    seconds: float
    limit: float
    bound: str

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return self.read + self.written

    @property
    def gflops(self) -> float:
        """Operations per nanosecond."""
        return self.flops / self.seconds / 1e9

    @property
    def gbytes(self) -> float:
        """Bytes per nanosecond."""
        return self.bytes / self.seconds / 1e9

    @property
    def share(self) -> float:
        """Of the machine's limit: 1 is as fast as it can be."""
        return self.limit / self.seconds


@dataclass(frozen=True)
class ProgramReport:
    """One program.

    calls    how often it ran;  seconds: of one run, as a whole
    memory   bytes that a run needs: `memory.peak` is known before it runs
    largest  (bytes, form, what computes it, line) of the largest values when most is in use
    kept     how many values are alive then that were written long before, and their bytes
    """

    calls: int
    seconds: float
    kernels: tuple[KernelReport, ...]
    memory: Needs
    largest: tuple = ()
    kept: tuple[int, int] = (0, 0)

    @property
    def sum(self) -> float:
        """Seconds of its kernels one after the other."""
        return sum(kernel.seconds for kernel in self.kernels)


@dataclass(frozen=True)
class Explanation:
    """What a call of a function runs. Prints as a table; shows as one in a notebook.

    programs  in the order in which they first ran
    wall      median seconds of a whole call from Python; None where it was not called again
    threads   of the thread team
    peaks     the machine's limits; see `peaks.measure`
    compiles  what the first call compiled or loaded, where that was asked for
    result    what the noted call returned
    resident  what the whole process takes of memory; None where the system does not tell
    """

    programs: tuple[ProgramReport, ...]
    wall: float | None
    threads: int
    peaks: dict
    result: Any = field(repr=False, default=None)
    compiles: tuple[Compile, ...] | None = None
    resident: Resident | None = None

    @property
    def kernels(self) -> tuple[KernelReport, ...]:
        """The kernels of all programs."""
        return tuple(kernel for program in self.programs for kernel in program.kernels)

    @property
    def seconds(self) -> float:
        """Seconds inside of programs in one call of the function."""
        return sum(program.calls * program.seconds for program in self.programs)

    @property
    def peak(self) -> int:
        """Bytes that the program with the largest needs takes, what it reads included."""
        return max(program.memory.peak for program in self.programs)

    @property
    def flops(self) -> int:
        """Operations of one call of the function."""
        return sum(p.calls * k.flops for p in self.programs for k in p.kernels)

    def to_dict(self) -> dict:
        """Plain dictionaries, lists and numbers."""
        found = asdict(replace(self, result=None))
        found.pop("result")
        for program in found["programs"]:
            memory = program["memory"]
            memory["peak"] = sum(memory.values())
            for kernel in program["kernels"]:
                share = kernel["limit"] / kernel["seconds"]
                kernel.update(bytes=kernel["read"] + kernel["written"], share=share)
        if self.resident is not None:
            found["resident"]["total"] = self.resident.total
        return found | {"seconds": self.seconds, "flops": self.flops}

    def __str__(self) -> str:
        from .report import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from .report import as_html

        return as_html(self)


def explain(f: Callable, *args, calls: int = 5, compiles: bool = False, **kwargs) -> Explanation:
    """The kernels that `f(*args, **kwargs)` runs, each with its line, cost, time and limit.

    f      a function over tensors of any face, a compiled step, a Keras model or one of its
           methods, a session's `run`
    calls  how often f is called again for its time from Python; 0: not at all, `wall` is None
    compiles  also tell what one more call, before all others, compiles, why, and what it costs

    f is called 1 + calls times (+ 1 with `compiles`), with all its effects. Raises what f raises;
    ValueError when f runs no program.
    """
    if calls < 0:
        raise ValueError(f"calls must not be negative, not {calls}")
    flush()
    made = _compiles(f, args, kwargs) if compiles else None
    watch = Watch()
    with watching() as noted:
        result = f(*args, **kwargs)
        flush()
    noted = [call for call in noted if call.program.kernels]
    if not noted:
        raise ValueError("the function runs no program: nothing is computed, or all is known")
    threads = team.size()
    resident = _resident(watch, noted, threads)
    peaks = {n: _peaks(n) for n in sorted({1, threads})}
    programs = tuple(_program(same, peaks) for same in _grouped(noted))
    wall = _wall(f, args, kwargs, calls)
    return Explanation(programs, wall, threads, peaks[threads], result, made, resident)


def _resident(watch: Watch, noted: list[Call], threads: int) -> Resident | None:
    copied = {id(b): b.nbytes for call in noted for b in call.copies()}
    tensors = max(_needs(call, threads).peak for call in noted)
    return watch.found(tensors, sum(copied.values()))


def _needs(call: Call, threads: int) -> Needs:
    read = {b.address: b.nbytes for b in call.buffers}
    return needs(call.program.usual.facts, sum(read.values()), threads)


def _compiles(f: Callable, args, kwargs) -> tuple[Compile, ...]:
    """What a call compiles."""
    known = set(map(id, told()))
    result = f(*args, **kwargs)  # held: what nobody holds is not computed
    flush()
    del result
    return tuple(one for one in told() if id(one) not in known)


@cache
def _peaks(threads: int) -> dict:
    return machine_peaks.measure(threads, quick=True)


def _grouped(noted: list[Call]) -> list[list[Call]]:
    """The calls by program, in the order of the first ones."""
    groups: dict[Observed, list[Call]] = {}
    for call in noted:
        groups.setdefault(call.program, []).append(call)
    return list(groups.values())


def _program(calls: list[Call], peaks: dict[int, dict]) -> ProgramReport:
    call = calls[-1]
    again = call.repeater()
    once = again(1)
    rounds = int(max(ROUNDS[0], min(ROUNDS[1], BUDGET / max(once, 1e-7))))
    turns = max(1, round(SAMPLE / max(once, 1e-7)))
    seconds = statistics.median(again(turns) for _ in range(max(ROUNDS[0], rounds // turns)))
    times = np.median(call.laps(rounds + WARM)[WARM:], axis=0)
    facts = call.program.apart.kernels
    kernels = [
        _kernel(i, k, float(t), peaks) for i, (k, t) in enumerate(zip(facts, times, strict=True))
    ]
    memory = _needs(call, max(peaks))
    told = call.program.usual.facts["peak"]
    largest = tuple(map(tuple, told["largest"]))
    return ProgramReport(len(calls), seconds, tuple(kernels), memory, largest, tuple(told["kept"]))


def _kernel(number: int, facts: dict, seconds: float, peaks: dict[int, dict]) -> KernelReport:
    threads = min(max(peaks), max(facts["pieces"], default=1))  # more cannot work at once
    known = peaks.get(threads, peaks[max(peaks)])
    least, bound = limit(facts["flops"], facts["read"] + facts["written"], known)
    return KernelReport(
        number=number,
        line=facts["line"] and tuple(facts["line"]),
        lines=tuple(map(tuple, facts["lines"])),
        does=facts["does"],
        plan=facts["about"],
        pieces=tuple(facts["pieces"]),
        flops=facts["flops"],
        read=facts["read"],
        written=facts["written"],
        seconds=max(seconds, 1e-9),
        limit=least or 0.0,
        bound=bound,
    )


def _wall(f: Callable, args, kwargs, calls: int) -> float | None:
    """Median seconds of calls as usual; the first, which may have to compile, only warms up."""
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        result = f(*args, **kwargs)  # held: what nobody holds is not computed
        flush()
        times.append(time.perf_counter() - started)
        del result
    return statistics.median(times[1:] or times) if times else None
