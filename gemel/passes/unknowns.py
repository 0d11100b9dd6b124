"""Which sizes are unknown: symbols read off a few of them, from which all others follow.

Input: what a few things of one kind (`Outline`s of graphs, or ways of recording) have of sizes.
Output: `explain` names each size that differs as a symbol, or by way of others; `Unknowns` reads
the symbols' values off the sizes of another one, and says whether it is of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement
from math import prod
from operator import itemgetter
from typing import Any

from gemel.codegen.sizes import LEAST, Space, evaluator

from .outlines import Outline

MOST_BASES = 12  # sizes that others are explained by
NEAR = 8  # a size may be another one and so much more or less


class Unknowns:
    """symbols    positions that the symbols' values are read from
    explained  position -> the text of its size
    guards     texts that have to hold"""

    def __init__(self, sizes: Sequence, symbols: list[int], guards: Iterable[str]):
        """sizes: of one that is served, as symbols or plain."""
        self.symbols = symbols
        self.names = [f"s{k}" for k in range(len(symbols))]
        self.guards = list(guards)
        self._all = evaluator(self.names, map(repr, sizes))
        self._guards = evaluator(self.names, self.guards)
        self._read = _getter(symbols)

    def values(self, sizes: tuple[int, ...]) -> tuple[int, ...] | None:
        """The symbols' values, where these sizes are served."""
        values = self._read(sizes)
        if min(values) < LEAST or not all(self._guards(*values)):
            return None
        return values if self._all(*values) == sizes else None

    def fixed(self) -> list[str]:
        """Guards that leave a size no choice."""
        return [g for g in self.guards if " == " in g and not g.startswith("not")]


def _getter(places: list[int]):
    if len(places) == 1:
        return lambda row: (row[places[0]],)
    return itemgetter(*places)


def differing(seen: list[Outline]) -> tuple[list[int], list[int]]:
    """Positions of the sizes and of the constants that are not the same in all graphs."""
    columns = enumerate(zip(*(s.sizes for s in seen), strict=True))
    sizes = [k for k, column in columns if len(set(column)) > 1]
    rows = enumerate(zip(*(s.constants for s in seen), strict=True))
    return sizes, [k for k, row in rows if len(set(map(repr, row))) > 1]


def explain(
    space: Space,
    seen: list[Outline],
    places: list[int],
    fresh_first: bool = False,
    close: bool = False,
) -> tuple[dict, list[int]]:
    """(position -> size, positions of the symbols): each size that differs as a symbol or by way
    of others, the smallest first. The last graph gives the hints. fresh_first: those of leaves
    before all others; close: one of a leaf may be near one of another."""
    columns = {k: tuple(s.sizes[k] for s in seen) for k in places}
    fresh = seen[0].fresh
    known: dict[tuple, Any] = {}
    symbols: list[int] = []
    bases: list[tuple[tuple, Any]] = []
    late = [fresh_first and not fresh[k] for k in range(len(fresh))]
    for k in sorted(places, key=lambda k: (late[k], columns[k], not fresh[k])):
        column = columns[k]
        if column in known:
            continue
        size = _by_products(column, bases, near=close or not fresh[k])
        if size is None:
            size = space.symbol(f"s{len(symbols)}", column[-1])
            symbols.append(k)
            bases.append((column, size))
        elif fresh_first and len(bases) < MOST_BASES:
            bases.append((column, size))  # rows of a text but for its last word
        known[column] = size
    return {k: known[columns[k]] for k in places}, symbols


def _by_products(column: tuple, bases: list, near: bool) -> Any:
    """A multiple of a product of up to three symbols, or something near one."""
    for count in (1, 2, 3):
        for chosen in combinations_with_replacement(bases, count):
            base = [prod(row) for row in zip(*(c for c, _ in chosen), strict=True)]
            whole = prod(size for _, size in chosen)
            factor, apart = column[0] // base[0], column[0] - base[0]
            if column == tuple(factor * b for b in base):
                return whole * factor
            if near and abs(apart) <= NEAR and column == tuple(b + apart for b in base):
                return whole + apart
    return _by_line(column, bases) if near else None


def _by_line(column: tuple, bases: list) -> Any:
    """So many times a product of symbols, and a constant more or a little less."""
    for count in (1, 2, 3):
        for chosen in combinations_with_replacement(bases, count):
            base = [prod(row) for row in zip(*(c for c, _ in chosen), strict=True)]
            run, rise = base[-1] - base[0], column[-1] - column[0]
            factor = rise // run if run else 0
            rest = column[0] - factor * base[0]
            near = 0 < rest or 0 < -rest <= NEAR * factor
            if 0 < factor and near and column == tuple(factor * b + rest for b in base):
                return prod(size for _, size in chosen) * factor + rest
    return None
