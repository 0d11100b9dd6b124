"""Expensive values of a long row that wait on the stack for a later pass: which, and where.

Role: a row that does not fit registers is walked once per pass, and what costs more than a load is
computed once. Input: a nest's `Timing`, and for how many cells of a row there must be room. Output:
a `Spill` for each value that waits.

Where all of them fit, a place is used again by what comes after its last use: a chain of any length
(normalised rows of normalised rows) needs two or three. Else the first ones get places of their own
and the others are computed again.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from gemel.codegen.nest import Expr
from gemel.codegen.nests.timing import Timing
from gemel.codegen.nests.work import EXPENSIVE

ROOM = 1 << 16  # bytes of stack


@dataclass(frozen=True)
class Spill:
    """A value, the pass that computes it, and the number of its place."""

    value: Expr
    first: int
    place: int


@dataclass
class _Life:
    value: Expr
    first: int  # pass
    last: int


def planned(timing: Timing, cells: int) -> list[Spill]:
    """What waits; places are rows of `cells` elements of one type."""
    lives = [x for x in _lives(timing) if x.last > x.first]
    found = _sharing(lives, cells)
    return _first_ones(timing, cells) if found is None else found


def used_in(timing: Timing, p: int, waiting: Container[int] = ()) -> list[Expr]:
    """Expensive cell values that pass p reads. Those waiting (ids) are not looked behind."""
    roots = [e.args[0] for e in (*timing.sums_of(p), *timing.late_sums_of(p))]
    for s in timing.cell_stores_of(p):
        roots += [s.value] if s.index is None else [s.value, s.index]
    found: dict[int, Expr] = {}
    seen: set[int] = set()
    while roots:
        e = roots.pop()
        if id(e) in seen or not timing.is_cell(e):
            continue
        seen.add(id(e))
        if e.kind == "apply" and e.payload[0] in EXPENSIVE and e.dtype.name != "bool":
            found[id(e)] = e
            if id(e) in waiting:
                continue
        roots.extend(e.args)
    return list(found.values())


def _lives(timing: Timing) -> list[_Life]:
    """From which pass to which each value is needed, if none is computed twice."""
    lives: dict[int, _Life] = {}
    for p in range(timing.passes):
        for e in used_in(timing, p, lives):
            lives.setdefault(id(e), _Life(e, p, p)).last = p
    return list(lives.values())


def _sharing(lives: list[_Life], cells: int) -> list[Spill] | None:
    """In the order of their passes; None where there is no room for all."""
    places: list[_Life] = []  # who has it now
    found, room = [], ROOM
    for life in lives:
        dtype = life.value.dtype
        free = (n for n, x in enumerate(places) if x.last < life.first and x.value.dtype is dtype)
        n = next(free, len(places))
        if n == len(places):
            room -= cells * dtype.itemsize
            places.append(life)
        places[n] = life
        found.append(Spill(life.value, life.first, n))
    return None if room < 0 else found


def _first_ones(timing: Timing, cells: int) -> list[Spill]:
    """As many as fit, for good."""
    first: dict[int, int] = {}
    found: dict[int, Spill] = {}
    room = ROOM
    for p in range(timing.passes):
        for e in used_in(timing, p):
            if first.setdefault(id(e), p) < p and id(e) not in found:
                room -= cells * e.dtype.itemsize
                if room < 0:
                    return list(found.values())
                found[id(e)] = Spill(e, first[id(e)], len(found))
    return list(found.values())
