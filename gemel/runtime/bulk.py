"""Many runs of one program in one native call.

Role: a training loop runs one program again and again on other data. Here the loop itself is
native: before a run the words of the table that change are written, and rows are gathered from
arrays in memory; after it, new values that the program leaves elsewhere are copied home. In: the
first run's table, and what changes from run to run. Out: how many runs were done.

Invariant: a run sees what it would see if it were called alone.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import jit
from .buffer import Buffer
from .builtins.call import image_of
from .builtins.text import loop
from .native_call import entry_address, entry_by_address
from .program import Program

_NAME = "gemel_bulk"
_AT, _RESUMED, _LAST = 2, 3, 4  # words of the plan that change


class Gather(NamedTuple):
    """Before a run, rows of the C-contiguous array are copied into the buffer, in order."""

    array: np.ndarray
    target: Buffer


class Copy(NamedTuple):
    """After a run, bytes are copied from one address to another, which is `step` bytes further with
    each run."""

    source: int
    target: int
    nbytes: int
    step: int = 0


@dataclass
class Runs:
    """What the program is given, and what of it changes.

    words    the table; its run-time numbers come last
    moving   (place in the table, its word in every run, int64)
    count    how many runs at most
    gathers  with `rows`, int64 [runs, rows of each]
    copies   in order
    arena    of the program;  held: what else keeps the addresses valid
    """

    words: list[int]
    moving: list[tuple[int, np.ndarray]]
    count: int
    gathers: list[Gather]
    rows: np.ndarray | None
    copies: list[Copy]
    arena: Buffer
    held: Any


class Bulk:
    """Calls of a program, done in stretches."""

    def __init__(self, program: Program, runs: Runs):
        self.program = program
        self.runs = runs
        self.enter = entry_by_address(program)
        self.table = (ctypes.c_uint64 * len(runs.words))(*runs.words)
        rows = np.empty((0, 0), np.int64) if runs.rows is None else runs.rows
        kinds = program.number_kinds
        behind = range(len(runs.words) - len(kinds), len(runs.words))
        lists = [
            np.array([place for place, _ in runs.moving] + list(behind), np.int64),
            _matrix([words for _, words in runs.moving], runs.count, len(kinds)),
            np.array([_gather_words(gather) for gather in runs.gathers], np.int64),
            np.ascontiguousarray(rows, np.int64),
            np.array(runs.copies, np.int64),
        ]
        places, matrix, gathers, rows, copies = lists
        self._lists = lists
        columns = range(len(runs.moving), len(places))
        self.numbers = [
            matrix[:, k].view(np.float64 if kind == "d" else np.int64)
            for k, kind in zip(columns, kinds, strict=True)
        ]
        self.plan = (ctypes.c_int64 * 14)(
            entry_address(program), ctypes.addressof(self.table), 0, 0, 0,
            len(places), places.ctypes.data, matrix.ctypes.data,
            len(gathers), gathers.ctypes.data, rows.shape[1], rows.ctypes.data,
            len(copies), copies.ctypes.data,
        )  # fmt: skip

    def set_numbers(self, first: int, rows: list[list]) -> None:
        """The run-time numbers of the runs from number `first` on."""
        for column, values in zip(self.numbers, zip(*rows, strict=True), strict=True):
            column[first : first + len(rows)] = values

    def run(self, first: int, last: int) -> None:
        """Runs number `first` to `last` - 1. Raises the error of a check that failed."""
        plan = self.plan
        plan[_AT], plan[_RESUMED], plan[_LAST] = first, 0, last
        address = ctypes.addressof(plan)
        native = _native()
        while code := native(address):
            table = ctypes.addressof(self.table)
            self.program.resume(code, self.enter, table, self.runs.arena)
            plan[_RESUMED] = 1

    @property
    def done(self) -> int:
        """Complete runs, counted from number 0; also after an error."""
        return self.plan[_AT]


def _matrix(columns: list[np.ndarray], runs: int, more: int) -> np.ndarray:
    """[runs, moving words]: these, and room for `more` of them."""
    matrix = np.zeros((runs, len(columns) + more), np.int64)
    for k, column in enumerate(columns):
        matrix[:, k] = column
    return matrix


def _gather_words(gather: Gather) -> tuple[int, int, int]:
    array = gather.array
    return array.ctypes.data, array.nbytes // max(len(array), 1), gather.target.address


@cache
def _native() -> Any:
    library = jit.load_object(image_of(_text()), [_NAME])
    return library.function(_NAME, ctypes.c_int64, ctypes.c_void_p)


_MOVE = """
  %m.k = add i64 %m, %m.base
  %m.word = call i64 @word(ptr %matrix, i64 %m.k)
  %m.place = call i64 @word(ptr %places, i64 %m)
  %m.at = getelementptr i64, ptr %table, i64 %m.place
  store i64 %m.word, ptr %m.at"""

_ROW = """
  %r.k = add i64 %r, %r.base
  %r.row = call i64 @word(ptr %rows, i64 %r.k)
  %r.begin = mul i64 %r.row, %g.bytes
  %r.source = getelementptr i8, ptr %g.source, i64 %r.begin
  %r.offset = mul i64 %r, %g.bytes
  %r.target = getelementptr i8, ptr %g.target, i64 %r.offset
  call void @llvm.memcpy.p0.p0.i64(ptr %r.target, ptr %r.source, i64 %g.bytes, i1 false)"""

_GATHER = f"""
  %g.at = mul i64 %g, 3
  %g.words = getelementptr i64, ptr %gathers, i64 %g.at
  %g.source = call ptr @address(ptr %g.words, i64 0)
  %g.bytes = call i64 @word(ptr %g.words, i64 1)
  %g.target = call ptr @address(ptr %g.words, i64 2)
{loop("r", "width", _ROW)}"""

_COPY = """
  %c.at = mul i64 %c, 4
  %c.words = getelementptr i64, ptr %copies, i64 %c.at
  %c.source = call ptr @address(ptr %c.words, i64 0)
  %c.begin = call ptr @address(ptr %c.words, i64 1)
  %c.bytes = call i64 @word(ptr %c.words, i64 2)
  %c.step = call i64 @word(ptr %c.words, i64 3)
  %c.offset = mul i64 %run, %c.step
  %c.target = getelementptr i8, ptr %c.begin, i64 %c.offset
  call void @llvm.memcpy.p0.p0.i64(ptr %c.target, ptr %c.source, i64 %c.bytes, i1 false)"""


@cache
def _text() -> str:
    return f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define internal i64 @word(ptr %words, i64 %k) alwaysinline {{
  %at = getelementptr i64, ptr %words, i64 %k
  %value = load i64, ptr %at
  ret i64 %value
}}

define internal ptr @address(ptr %words, i64 %k) alwaysinline {{
  %at = getelementptr ptr, ptr %words, i64 %k
  %value = load ptr, ptr %at
  ret ptr %value
}}

define i64 @{_NAME}(ptr %plan) {{
entry:
  %program = call ptr @address(ptr %plan, i64 0)
  %table = call ptr @address(ptr %plan, i64 1)
  %first = call i64 @word(ptr %plan, i64 {_AT})
  %resumed = call i64 @word(ptr %plan, i64 {_RESUMED})
  %last = call i64 @word(ptr %plan, i64 {_LAST})
  %many.moving = call i64 @word(ptr %plan, i64 5)
  %places = call ptr @address(ptr %plan, i64 6)
  %matrix = call ptr @address(ptr %plan, i64 7)
  %many.gathers = call i64 @word(ptr %plan, i64 8)
  %gathers = call ptr @address(ptr %plan, i64 9)
  %width = call i64 @word(ptr %plan, i64 10)
  %rows = call ptr @address(ptr %plan, i64 11)
  %many.copies = call i64 @word(ptr %plan, i64 12)
  %copies = call ptr @address(ptr %plan, i64 13)
  %now = getelementptr i64, ptr %plan, i64 {_AT}
  %begun = icmp ne i64 %resumed, 0
  br i1 %begun, label %ran, label %look
look:
  %s = phi i64 [ %first, %entry ], [ %s.next, %c.done ]
  store i64 %s, ptr %now
  %more = icmp slt i64 %s, %last
  br i1 %more, label %begin, label %finished
begin:
  %m.base = mul i64 %s, %many.moving
  %r.base = mul i64 %s, %width
{loop("m", "many.moving", _MOVE)}
{loop("g", "many.gathers", _GATHER)}
  %code = call i32 %program(ptr %table)
  %well = icmp eq i32 %code, 0
  br i1 %well, label %ran, label %stopped
ran:
  %run = phi i64 [ %first, %entry ], [ %s, %g.done ]
{loop("c", "many.copies", _COPY)}
  %s.next = add i64 %run, 1
  br label %look
stopped:
  %answer = sext i32 %code to i64
  ret i64 %answer
finished:
  ret i64 0
}}
"""
