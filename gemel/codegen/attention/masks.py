"""Masks on a block of scores: what takes part, what is hidden, what need not be computed at all.

Role: apply a mask to `scores[key][query]`, and say of a block whether the mask hides all of it, or
changes nothing in it. Input: the problem, a span of queries, a range of keys. Output: changed
scores; i1 values. Invariant: a block that is left out would have added zeros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gemel.codegen.attention.problem import Problem
from gemel.codegen.attention.scores import Span, each_row
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.packing import load_strided

VANISHING = {"float": 104.0, "double": 746.0}  # exp(-x) is zero


@dataclass
class Seen:
    """Of a block: does the mask leave any score visible, and does it change any? None: unknown."""

    some: Value | None = None
    changed: Value | None = None


def hide(
    f: Function, p: Problem, span: Span, first: Operand, count: Operand, scores: Value, seen: Seen
) -> None:
    """Apply the mask, and hide keys after their query."""
    if "mask" in p.views:
        if seen.changed is None:
            _apply(f, p, span, first, count, scores)
        else:
            with f.when(seen.changed):
                _apply(f, p, span, first, count, scores)
    if p.causal:
        _hide_later(f, p, span, first, count, scores)


def _hide_later(
    f: Function, p: Problem, span: Span, first: Operand, count: Operand, scores: Value
) -> None:
    kind = "i64" if SIZES[p.elem] == 8 else "i32"
    numbers = [f.constants(range(j * p.lanes, (j + 1) * p.lanes), kind) for j in range(p.vectors)]
    low = f.max(f.sub(span.first, first), 0)

    def change(x: Value, row: Operand, j: int) -> Value:
        behind = f.convert(f.sub(f.add(first, row), span.first), kind)
        return f.select(f.compare(">=", numbers[j], behind), x, -math.inf)

    each_row(f, p, scores, low, count, change)


def _corner(f: Function, p: Problem, span: Span, first: Operand) -> Value:
    """Where the mask of a block begins."""
    view = p.views["mask"]
    start = f.add(f.mul(span.first, view.row), f.mul(first, view.width))
    return f.gep(span.arrays["mask"], start, view.elem)


def _apply(
    f: Function, p: Problem, span: Span, first: Operand, count: Operand, scores: Value
) -> None:
    view = p.views["mask"]
    base = _corner(f, p, span, first)
    live = [f.lanes_below(f.sub(span.live, j * p.lanes), p.lanes) for j in range(p.vectors)]
    low = -math.inf if p.hidden is None else p.hidden

    def change(x: Value, row: Operand, j: int) -> Value:
        at = f.add(f.mul(row, view.width), j * p.lanes * view.row)
        place = f.gep(base, at, view.elem)
        found = load_strided(f, place, view.elem, p.lanes, view.row, live[j])
        if view.elem == "i1":
            return f.select(found, x, low)
        return x + f.convert(found, p.elem)

    each_row(f, p, scores, 0, count, change)


# ---------- blocks that need no work ----------
def look(f: Function, p: Problem, span: Span, first: Operand, count: Operand) -> Seen:
    """What a mask of truth values or floats does to a block."""
    view = p.views.get("mask")
    if view is None or view.elem not in ("i1", "float", "double"):
        return Seen()
    base = _corner(f, p, span, first)
    rows: Operand = 1 if _is(view.row, 0) else span.live
    columns: Operand = 1 if _is(view.width, 0) else count
    lanes = 1 if _is(view.width, 0) else p.keys
    live = f.lanes_below(columns, lanes)
    elem = "i8" if view.elem == "i1" else view.elem
    none, same = (0, 1) if view.elem == "i1" else (-math.inf, 0.0)
    no = f.constant(False, "i1", lanes)
    with f.loop(0, rows, carry=[no, no], nonempty=True) as loop:
        place = f.gep(base, f.mul(loop.index, view.row), view.elem)
        x = _row(f, place, elem, lanes, view.width, live)
        some, changed = loop.values
        loop.next = [some | f.compare("!=", x, none), changed | f.compare("!=", x, same)]
    some, changed = (f.any(x & live) for x in loop.out)
    return Seen(some, changed)


def _is(stride: int, number: int) -> bool:
    return isinstance(stride, int) and stride == number


def _row(f: Function, place: Value, elem: str, lanes: int, stride: int, live: Value) -> Value:
    if lanes == 1:
        return f.load(place, elem)
    return load_strided(f, place, elem, lanes, stride, live)


def matters(f: Function, p: Problem, seen: Seen, levels: list[Value]) -> Value | None:
    """Has a block to be computed? levels: per query, what its scores are compared with: the
    largest so far, or their logarithm. None: always."""
    if seen.some is None:
        return None
    if p.hidden is None:
        return seen.some
    low = -math.inf
    if p.views["mask"].elem == "i1":
        low = p.hidden + VANISHING[p.elem]
    behind = f.compare(">", levels[0], low)
    for level in levels[1:]:
        behind = behind & f.compare(">", level, low)
    every = f.reduce(lambda a, b: a & b, behind)
    return seen.some | f.compare("==", every, False)
