"""How the table of a native program is laid out, for callers that keep one between calls."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from .program import Program

_BY_ADDRESS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Layout:
    """words: of the whole table; places count words. Leaves come first, in order.

    outputs_at, arena_at, numbers_at  where the parts begin
    team          what comes behind the arena: the team's address, or nothing
    kept_at       the place of the memory that is kept between runs, or None
    outputs       how many results have a buffer of their own
    out_bytes     their sizes
    results       per result, then per update: ('out', which of those), ('leaf', which leaf: it is
                  what that one held), ('donated', which leaf: it was written into its memory)
    plain         are the first results the outputs, in order, and all updates donated?
    number_kinds  of the run-time numbers, as `struct` has them
    """

    words: int
    outputs_at: int
    outputs: int
    out_bytes: list[int]
    results: list[tuple[str, int]]
    plain: bool
    arena_at: int
    arena_bytes: int
    team: tuple[int, ...]
    kept_at: int | None
    numbers_at: int
    number_kinds: str


def table_layout(program: Any) -> Layout | None:
    """The layout, or None for other devices and for programs that call NumPy functions: meanwhile
    anything may run."""
    if type(program) is not Program or program.hosts:
        return None
    leaves = program.facts["leaves"]
    outputs = len(program._out_bytes)
    arena_at = leaves + outputs
    kinds = program.number_kinds
    after = arena_at + 1 + len(program.team)
    keeps = program.keeps
    return Layout(
        words=after + keeps + len(kinds),
        outputs_at=leaves,
        outputs=outputs,
        out_bytes=list(program._out_bytes),
        results=program._results,
        plain=program._only_donated,
        arena_at=arena_at,
        arena_bytes=program._arena_bytes,
        team=program.team,
        kept_at=after if keeps else None,
        numbers_at=after + keeps,
        number_kinds=kinds,
    )


def entry_address(program: Program) -> int:
    """Where the program's entry lies; valid as long as the program."""
    return ctypes.cast(program._function, ctypes.c_void_p).value or 0


def entry_by_address(program: Program) -> Any:
    """The program's entry as a function of the table's address."""
    entry: Any = _BY_ADDRESS(entry_address(program))
    entry.library = program.library  # owns the code
    return entry
