"""A plane of a depthwise window, walked row by row straight from memory.

Role: what the kernels of depthwise convolutions and of their weight gradients have in common where
both windows advance by one: `by_rows` and `gradient_by_rows`. Input: the roles of the axes. Output:
a `Walk`, which says where the rows of the image lie, and loads vectors of one. A row is loaded once
and serves all rows of taps, so nothing is copied: the places beyond a row's ends are lanes of known
masks, and rows that do not exist are left out of the walk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from gemel.codegen.blocks import LINE, even_block
from gemel.codegen.llvm import I64, SIZES, Function, Operand, Value
from gemel.codegen.products.contraction_plan import Axis
from gemel.codegen.windows.axes import Roles, Window

# More outputs of short rows are left to those whose vectors cross rows: fewer lanes idle.
FEW, FILLED = 4, 0.6
_CHUNKS = 4  # parts of a row, each with code of its own
_FEWEST_TAPS = 6
_BORDERS = 4  # strips with code of their own, at most


@dataclass(frozen=True)
class Line:
    """One window that advances by one: a place is `start + position + tap * step`."""

    position: Axis
    tap: Axis
    step: int
    start: int
    size: int
    unit: int

    @property
    def low(self) -> int:
        """The lowest place that position 0 meets, relative to the start."""
        return min(0, (self.tap.size - 1) * self.step)

    def shift(self, tap: int) -> int:
        """How many places behind the lowest one a tap lies."""
        return tap * self.step - self.low

    @cached_property
    def order(self) -> list[int]:
        """Which tap meets the place so far behind a position (with steps of one)."""
        return sorted(range(self.tap.size), key=self.shift)

    @property
    def first(self) -> int:
        """The first place that exists; places are counted from the lowest one."""
        return max(0, -(self.start + self.low))

    @property
    def last(self) -> int:
        """The place behind the last one that exists and is met."""
        most = self.position.size + self.tap.size - 1
        return min(most, self.size - self.start - self.low)

    @property
    def steady(self) -> bool:
        """Whether taps are neighbours, borders are narrower than the window, and there are
        positions between them."""
        most = self.position.size + self.tap.size - 1
        return (
            abs(self.step) == 1
            and self.first < self.tap.size
            and most - self.last < self.tap.size
            and self.position.size >= self.tap.size
            and self.last > self.tap.size
        )


@dataclass(frozen=True)
class Walk:
    """Rows and columns of a plane; vectors of `lanes` columns in `chunks` parts of a row."""

    rows: Line
    columns: Line
    elem: str
    lanes: int
    wide: int  # vectors in a part

    @property
    def vectors(self) -> int:
        return ceil(self.columns.position.size / self.lanes)

    @property
    def filled(self) -> float:
        """The share of lanes whose positions exist."""
        return self.columns.position.size / (self.vectors * self.lanes)

    @property
    def chunks(self) -> list[range]:
        """The vectors of each part."""
        firsts = range(0, self.vectors, self.wide)
        return [range(first, min(first + self.wide, self.vectors)) for first in firsts]

    @property
    def taps(self) -> int:
        """Rows of taps."""
        return self.rows.tap.size

    def row(self, f: Function, base: Value, number: Operand) -> Value:
        """The address of a row of the image (at position and tap 0 of its columns)."""
        at = f.mul(f.add(number, self.rows.low), self.rows.unit)
        return f.opaque(f.gep(base, at, self.elem))

    def load(self, f: Function, row: Value, vector: int, tap: int) -> Value:
        """What a vector of positions meets at a tap; places that do not exist are 0."""
        further = tap * self.columns.step + vector * self.lanes
        lanes = range(self.lanes)
        place = self.columns.start + further
        live = [
            vector * self.lanes + lane < self.columns.position.size
            and 0 <= place + lane < self.columns.size
            for lane in lanes
        ]
        mask = None if all(live) else f.constants(live, "i1")
        return f.load(f.gep(row, further, self.elem), self.elem, self.lanes, mask=mask)

    def live(self, f: Function, vector: Operand) -> Value | None:
        """Which positions of a vector exist; None: all."""
        size = self.columns.position.size
        left = f.sub(size, f.mul(vector, self.lanes))
        whole = size % self.lanes == 0 or (isinstance(left, int) and left >= self.lanes)
        return None if whole else f.lanes_below(left, self.lanes)

    def fetch(self, f: Function, row: Value, chunk: Sequence[int], further: Operand) -> None:
        """Start to fetch a part of a row so many elements further on."""
        size = SIZES[self.elem]
        low = chunk[0] * self.lanes * size
        high = min((chunk[-1] + 1) * self.lanes, self.columns.position.size) * size
        there = f.gep(row, further, self.elem)
        for byte in range(low, high, LINE):
            f.prefetch(f.gep(there, byte, "i8"), cache=2)


@dataclass(frozen=True)
class Strips:
    """Rows of positions, `high` at a time."""

    rows: Line
    high: int

    @property
    def count(self) -> int:
        return self.rows.position.size // self.high

    def live(self, strip: int) -> list[int]:
        """Which rows of the image exist, counted from the lowest that a strip meets."""
        first = strip * self.high
        span = range(self.high + self.rows.tap.size - 1)
        return [n for n in span if self.rows.first <= first + n < self.rows.last]

    @cached_property
    def borders(self) -> list[int]:
        """The strips that meet rows that do not exist."""
        whole = self.high + self.rows.tap.size - 1
        return [n for n in range(self.count) if len(self.live(n)) < whole]

    def run(self, f: Function, strip: Operand, body: Callable[[Operand, list[int]], None]) -> None:
        """`body(strip, live)`: emitted for each strip at the borders, and once for all others."""
        steady = f.constant(True, "i1")
        here = f.lift(strip, I64)
        for n in self.borders:
            steady = steady & f.compare("!=", here, n)
            with f.when(f.compare("==", here, n)):
                body(n, self.live(n))
        others = [n for n in range(self.count) if n not in self.borders]
        if others:
            with f.when(steady):
                body(strip, self.live(others[0]))


def strips(rows: Line, most: int) -> Strips | None:
    """Equal strips of at most `most` rows; None where too many of them are at borders."""
    size = rows.position.size
    found = Strips(rows, max(n for n in range(1, min(most, size) + 1) if size % n == 0))
    return found if len(found.borders) <= _BORDERS else None


def walk(roles: Roles, kept: bool, elem: str, lanes: int, most: int) -> Walk | None:
    """The walk; `kept`: whether positions are kept. `most`: vectors in a part of a row, at most.

    None where a window advances by more than one place, or the borders are wider than the window.
    """
    if len(roles.windows) != 2 or len(roles.image) != 1 or most < 1:
        return None
    lines = [line(window, kept) for window in roles.windows]
    rows, columns = lines
    if rows is None or columns is None or not rows.steady or columns.unit != 1:
        return None
    vectors = ceil(columns.position.size / lanes)
    found = Walk(rows, columns, elem, lanes, even_block(vectors, most))
    many = rows.tap.size * columns.tap.size >= _FEWEST_TAPS
    plain = all(a.elem == elem for a in (*roles.image, *roles.plain))
    return found if plain and many and len(found.chunks) <= _CHUNKS else None


def line(window: Window, kept: bool) -> Line | None:
    """A window whose positions are its kept axis, or its summed one; None: it advances by more."""
    summed, other = (window.summed, window.summed_step), (window.kept, window.kept_step)
    (position, by), (tap, step) = (other, summed) if kept else (summed, other)
    if by != 1:
        return None
    return Line(position, tap, step, window.start, window.size, window.unit[0])
