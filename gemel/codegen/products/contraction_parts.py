"""Contractions made of contractions: columns side by side, and sums in shares.

Role: two ways to compose strategies. `Together` runs the parts of one result next to each other,
for sizes that fill no whole number of vectors. `Shares` cuts a long sum into equal shares that are
contractions of their own; their results lie in shared memory and a last contraction, with a vector
of ones, adds them. Invariant: the number of shares follows from sizes alone, and the last stage
adds them in order, so results do not depend on who computed which share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

from gemel.codegen.blocks import lines
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Access, Contraction
from gemel.codegen.products.contraction_tile import Epilogue, Tile
from gemel.codegen.sizes import hint, is_size, most

if TYPE_CHECKING:
    from gemel.codegen.strategy import Strategy

_LITTLE = 40_000  # nanoseconds

Choose = Callable[[Contraction], "Strategy"]


@dataclass(frozen=True)
class Part:
    """A strategy for a slice of a contraction that starts at index `start` of an axis."""

    strategy: Strategy
    spec: Contraction
    axis: int
    start: int

    def pointers(self, f: Function, whole: Pointers, shared: Value | None) -> Pointers:
        """The slice's arrays."""
        spec = self.spec
        return Pointers(
            left=self._moved(f, whole.left, spec.left),
            right=self._moved(f, whole.right, spec.right),
            tile=self._moved(f, whole.tile, spec.tile),
            scratch=whole.scratch,
            shared=shared,
        )

    def _moved(self, f: Function, places: Sequence[Value], accesses: Sequence[Access]) -> list:
        return [
            f.gep(place, access.strides[self.axis] * self.start, access.elem)
            for place, access in zip(places, accesses, strict=True)
        ]


def sliced(choose: Choose, spec: Contraction, axis: int, start: int, size: int) -> Part:
    """The slice of `size` indices from `start` on, with its own strategy."""
    sizes = tuple(size if i == axis else n for i, n in enumerate(spec.sizes))
    smaller = replace(spec, sizes=sizes)
    return Part(choose(smaller), smaller, axis, start)


class Together:
    """Parts of one contraction, in the same stages; their last stages coincide."""

    def __init__(self, parts: Sequence[Part]):
        self.parts = parts
        depth = max(len(x.strategy.stages) for x in parts)
        rows = [(0,) * (depth - len(x.strategy.stages)) + x.strategy.stages for x in parts]
        self._pieces = list(zip(*rows, strict=True))
        self.scratch_bytes = reduce(most, (x.strategy.scratch_bytes for x in parts))
        self._rooms = [lines(x.strategy.shared_bytes) for x in parts]
        self.shared_bytes = sum(self._rooms)
        self.work = sum(x.strategy.work for x in parts)
        # A little work stays in one piece that does all parts.
        little = self.work < _LITTLE
        self._alone = little and all(_at_most_one(row) for row in self._pieces)
        self.stages = tuple(1 if self._alone else sum(row) for row in self._pieces)

    def emit(
        self,
        f: Function,
        stage: int,
        piece: Operand,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins = (None, None),
    ) -> None:
        """Emit one piece of a stage at the builder's position."""

        def emit_part(number: int, piece: Operand) -> None:
            chosen, shared = self.parts[number], pointers.shared
            if shared is not None:
                shared = f.gep(shared, sum(self._rooms[:number]), "i8")
            own = stage - (len(self.stages) - len(chosen.strategy.stages))
            where = chosen.pointers(f, pointers, shared)
            chosen.strategy.emit(f, own, piece, where, epilogue, joins)

        active = [number for number, count in enumerate(self._pieces[stage]) if count]
        if self._alone:
            for number in active:
                emit_part(number, 0)
            return
        self._emit_one_of(f, stage, piece, active, emit_part)

    def _emit_one_of(
        self,
        f: Function,
        stage: int,
        piece: Operand,
        numbers: list[int],
        emit_part: Callable[[int, Operand], None],
    ) -> None:
        first, *others = numbers
        if not others:
            emit_part(first, piece)
            return
        count = self._pieces[stage][first]
        f.if_else(
            f.compare("<", piece, count),
            lambda: emit_part(first, piece),
            lambda: self._emit_one_of(f, stage, f.sub(piece, count), others, emit_part),
        )

    def describe(self) -> str:
        """One line for people."""
        return " + ".join(x.strategy.describe() for x in self.parts)


class Either:
    """Two strategies for the same contraction: for at least so many rows, and for fewer."""

    def __init__(self, rows: int, least: int, many: Strategy, few: Strategy):
        self.rows = rows
        self.least = least
        self.ways = many, few
        depth = max(len(way.stages) for way in self.ways)
        self._pieces = [(0,) * (depth - len(way.stages)) + tuple(way.stages) for way in self.ways]
        self.stages = tuple(most(a, b) for a, b in zip(*self._pieces, strict=True))
        self.scratch_bytes = most(many.scratch_bytes, few.scratch_bytes)
        self.shared_bytes = most(many.shared_bytes, few.shared_bytes)
        self.work = (many if hint(rows) >= least else few).work
        sides = {getattr(way, "prepares", None) for way in self.ways}
        self.prepares = sides.pop() if len(sides) == 1 else None

    def emit(
        self,
        f: Function,
        stage: int,
        piece: Operand,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins = (None, None),
    ) -> None:
        """Emit one piece of a stage at the builder's position."""

        def emit(number: int) -> None:
            way, count = self.ways[number], self._pieces[number][stage]
            own = stage - (len(self.stages) - len(way.stages))
            if own < 0:
                return
            with f.when(f.compare("<", piece, count)):
                way.emit(f, own, piece, pointers, epilogue, joins)

        f.if_else(f.compare(">=", self.rows, self.least), lambda: emit(0), lambda: emit(1))

    def describe(self) -> str:
        """One line for people."""
        many, few = (way.describe() for way in self.ways)
        return f"{many}; with fewer than {self.least} rows: {few}"


class Shares:
    """The sum over one axis in shares of `size` values, the last one perhaps shorter."""

    def __init__(self, choose: Choose, spec: Contraction, axis: int, size: int):
        whole, rest = divmod(spec.sizes[axis], size)
        dense, cells = _dense(spec)
        self._elem = spec.elem
        shared = _with_shares(spec, axis, size, whole, (*dense, cells))
        last = len(spec.sizes)
        parts = [Part(choose(shared), shared, last, 0)]
        if rest:
            shorter = tuple(rest if i == axis else n for i, n in enumerate(spec.sizes))
            left = replace(shared, sizes=(*shorter, 1))
            parts.append(Part(choose(left), left, last, whole))
        self._sum = Together(parts)
        count = whole + bool(rest)
        self._add = choose(_added(spec, axis, count, dense, cells))
        self._room = lines(count * cells * SIZES[spec.elem])
        self.stages = (*self._sum.stages, *self._add.stages)
        self.scratch_bytes = most(self._sum.scratch_bytes, self._add.scratch_bytes)
        self.shared_bytes = self._room + most(self._sum.shared_bytes, self._add.shared_bytes)
        self.work = self._sum.work + self._add.work

    def emit(
        self,
        f: Function,
        stage: int,
        piece: Operand,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins = (None, None),
    ) -> None:
        """Emit one piece of a stage at the builder's position."""
        if pointers.shared is None:
            raise ValueError(f"the contraction needs {self.shared_bytes} bytes of shared memory")
        partial = pointers.shared
        shared = f.gep(partial, self._room, "i8")
        before = len(self._sum.stages)
        if stage < before:
            where = replace(pointers, tile=[partial], shared=shared)
            self._sum.emit(f, stage, piece, where, _keep, joins)
            return
        one = f.table(self._elem, [1])
        where = replace(pointers, left=[one], right=[partial], shared=shared)
        self._add.emit(f, stage - before, piece, where, epilogue)

    def describe(self) -> str:
        """One line for people."""
        return f"{self._sum.describe()}; shares of the sum added: {self._add.describe()}"


def _at_most_one(pieces: Sequence[int]) -> bool:
    return not any(is_size(n) or n > 1 for n in pieces)


def _keep(tile: Tile, value: Value) -> None:
    tile.store(0, value)


def _dense(spec: Contraction) -> tuple[tuple[int, ...], int]:
    """Strides of a dense array of the results, in the order of the first tile array; its cells."""
    kept = [i for i, summed in enumerate(spec.reduced) if not summed]
    strides = [0] * len(spec.sizes)
    cells = 1
    for i in sorted(kept, key=lambda i: abs(spec.tile[0].strides[i])):
        strides[i] = cells if spec.sizes[i] > 1 else 0
        cells *= spec.sizes[i]
    return tuple(strides), -(-cells // 16) * 16


def _with_shares(
    spec: Contraction, axis: int, size: int, count: int, tile: tuple[int, ...]
) -> Contraction:
    """The contraction with one more axis: which share of `axis`, each with its own results."""

    def shared(access: Access) -> Access:
        return replace(access, strides=(*access.strides, size * access.strides[axis]))

    return Contraction(
        sizes=(*(size if i == axis else n for i, n in enumerate(spec.sizes)), count),
        reduced=(*spec.reduced, False),
        elem=spec.elem,
        left=tuple(shared(access) for access in spec.left),
        right=tuple(shared(access) for access in spec.right),
        tile=(Access(spec.elem, tile),),
    )


def _added(
    spec: Contraction, axis: int, count: int, dense: tuple[int, ...], cells: int
) -> Contraction:
    """One times each share, summed over the shares."""
    sizes = [1 if summed else n for n, summed in zip(spec.sizes, spec.reduced, strict=True)]
    sizes[axis] = count
    along = tuple(cells if i == axis else n for i, n in enumerate(dense))
    ones = (0,) * len(sizes)
    left, right = (Access(spec.elem, ones),), (Access(spec.elem, along),)
    return replace(spec, sizes=tuple(sizes), left=left, right=right)
