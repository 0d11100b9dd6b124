"""The device "observed": native programs that keep what they were made from and called with.

Role: for `gemel.explain` and for benchmarks. Inside of `watching()` every program that runs is
compiled and run as on "cpu", and its call is kept: the program with copies of what it was given.
A `Call` can be run again, whole or kernel by kernel, without touching any tensor.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np

from gemel.graph.node import Node
from gemel.runtime import jit
from gemel.runtime.buffer import Buffer
from gemel.runtime.host_entry import part_names
from gemel.runtime.program import Program

from .native import ENTRY, compile_cpu, faults_of

KERNEL = f"{ENTRY}_kernel"
_calls: list[list[Call]] = []  # of the `watching` blocks that are open, the innermost last


@contextmanager
def watching() -> Iterator[list[Call]]:
    """The calls of programs inside of the block, in order."""
    from .compile import device

    calls: list[Call] = []
    _calls.append(calls)
    try:
        with device("observed"):
            yield calls
    finally:
        _calls.remove(calls)


class Observed:
    """A program that notes its calls. `usual`: the program; `apart`: one that can also run its
    kernels one by one, built when it is asked for."""

    def __init__(self, leaves, scalars, outputs: list[Node], updates: dict[int, Node]):
        self.usual = compile_cpu(leaves, scalars, outputs, updates)
        self.graph = (len(leaves), outputs, updates)

    @property
    def updates(self) -> tuple[int, ...]:
        return self.usual.updates

    @property
    def donated(self) -> frozenset[int]:
        return self.usual.donated

    @property
    def kernels(self) -> list[dict]:
        return self.usual.kernels

    def __call__(self, buffers: list[Buffer], scalars: list) -> list[Buffer | None]:
        if _calls:
            # what the program overwrites is kept as it is now
            kept = [b.copy() if k in self.donated else b for k, b in enumerate(buffers)]
            _calls[-1].append(Call(self, kept, list(scalars)))
        return self.usual(buffers, scalars)

    @cached_property
    def apart(self) -> Program:
        from .pipeline import build

        leaves, outputs, updates = self.graph
        faults = faults_of([*outputs, *updates.values()])
        facts, image = build(ENTRY, leaves, outputs, updates, faults, separate=True)
        names = [*part_names(ENTRY, facts), KERNEL]
        library = jit.load_object(image, names, facts["objects"])
        return Program(library, ENTRY, facts, faults, self.usual.number_kinds)


class Call:
    """A program with what it was called with."""

    def __init__(self, program: Observed, buffers: list[Buffer], scalars: list):
        self.program = program
        self.buffers = buffers
        self.scalars = scalars

    def copies(self) -> list[Buffer]:
        """What was copied of what it was called with: values that the program overwrites."""
        return [self.buffers[k] for k in self.program.donated]

    def repeater(self, fixed: bool = True) -> Callable[[int], float]:
        """A function that runs the whole program so many times and gives the seconds of a run.

        fixed: the inputs are the same in every run, so what was packed of them may be kept.
        """
        from gemel.codegen.stopwatch import repeat

        bound = _Bound(self.program.usual, self, fixed)
        bound.run()
        if bound.program.hosts:
            return lambda turns: bound.seconds(turns) / turns
        return lambda turns: repeat(bound.entry, bound.table, turns) / turns

    def laps(self, rounds: int) -> np.ndarray:
        """Seconds [rounds, kernels] of the kernels, run in order."""
        from gemel.codegen.stopwatch import laps

        program = self.program.apart
        if not program.kernels:
            return np.zeros((rounds, 0))
        bound = _Bound(program, self)
        bound.run()
        entry = program.library.address(KERNEL)
        times = laps(entry, bound.table, len(program.kernels), rounds)
        for call in program.hosts:  # which the entry leaves out
            times[:, call.kernel] = [_seconds(call.run, bound.table) for _ in range(rounds)]
        return times


class _Bound:
    """A program with a table of its own: copies of what it overwrites, its own results."""

    def __init__(self, program: Program, call: Call, fixed: bool = True):
        self.program = program
        donated = program.donated
        given = [b.copy() if k in donated else b for k, b in enumerate(call.buffers)]
        outs = [Buffer(n) for n in program.facts["out_bytes"]]
        self.arena = Buffer(program.facts["arena_bytes"])
        self.held = [*given, *outs]
        self.kept = program.take_kept() if program.keeps else None
        if self.kept is not None:
            self.kept.hold(dict(enumerate(given)) if fixed else {})
        self.words = program.table(given, outs, self.arena, self.kept, call.scalars)
        self.table = ctypes.cast(ctypes.c_char_p(self.words), ctypes.c_void_p).value or 0
        self.entry = program.library.address(ENTRY)
        self.enter = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(self.entry)

    def run(self) -> None:
        """Once, which starts the thread team where it is needed. Raises a check's error."""
        code = self.enter(self.table)
        if code:
            self.program.resume(code, self.enter, self.table, self.arena)

    def seconds(self, turns: int) -> float:
        """That so many runs take which come back to Python for their host calls."""
        begun = time.perf_counter()
        for _ in range(turns):
            self.run()
        return time.perf_counter() - begun


def _seconds(run: Callable, table: int) -> float:
    begun = time.perf_counter()
    run(table)
    return time.perf_counter() - begun
