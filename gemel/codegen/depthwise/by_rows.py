"""Windows over one channel that advance by one place: rows of the image straight from memory.

Role: the strategy for depthwise convolutions, their input gradients, and convolutions of one input
channel, where a plane's lines are neighbours in memory (see `walk`). A row of the image
is loaded once, for all rows of results that it is part of; their sums stay in registers until the
last row of taps has passed. One stage; a piece is a range of planes of the result. The next plane
of the image is fetched while one is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

from gemel.codegen.blocks import each, remaining, split, stepped
from gemel.codegen.depthwise.direct_plan import NANOSECONDS
from gemel.codegen.depthwise.pieces import PIECES, each_vector, wanted_pieces
from gemel.codegen.depthwise.walk import FEW, FILLED, Walk, walk
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.windows.axes import Roles, roles
from gemel.codegen.windows.result_lanes import ResultLanes, are_many
from gemel.runtime.machine import Machine


def by_rows(spec: Contraction, machine: Machine, joined: bool) -> DepthwiseRows | None:
    """The strategy, or None where the contraction is something else."""
    found = roles(spec) if spec.elem in ("float", "double") and not joined else None
    if found is None or not _matches(found):
        return None
    lanes = machine.lanes(SIZES[spec.elem])
    # The other half of the registers holds weights and what is loaded.
    most = machine.vector_registers // 2 // found.windows[0].summed.size
    chosen = walk(found, True, spec.elem, lanes, most)
    if chosen is None or (found.single("columns").size > FEW and chosen.filled < FILLED):
        return None
    return DepthwiseRows(found, chosen, are_many(spec, machine))


def _matches(found: Roles) -> bool:
    return (
        len(found.windows) == 2
        and not found.depth
        and all(len(group) <= 1 for group in (found.batch, found.rows, found.columns))
        and len(found.plain) == 1
    )


class DepthwiseRows:
    """See the module."""

    def __init__(self, found: Roles, chosen: Walk, claims: bool):
        """`claims`: whether memory is claimed before results are stored."""
        self.claims = claims
        self.roles = found
        self.walk = chosen
        self.axes = [found.single(name) for name in ("rows", "batch", "columns")]
        # Results are written in the order in which they lie in memory.
        self.axes.sort(key=lambda axis: [-abs(stride) for stride in axis.strides[found.of_tile]])
        self.planes = prod(axis.size for axis in self.axes)
        taps = chosen.taps * chosen.columns.tap.size
        row = chosen.vectors * taps / 2 + 6
        self.cycles = self.planes * (row * chosen.rows.position.size + 50)
        wanted = max(1, min(wanted_pieces(self.cycles, PIECES), self.planes))
        self.step = ceil(self.planes / wanted)
        self.stages = (ceil(self.planes / self.step),)
        self.scratch_bytes = 0
        self.shared_bytes = 0
        self.work = self.cycles * NANOSECONDS

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
        first = f.mul(piece, self.step)
        with each(f, remaining(f, self.planes, self.step, first)) as index:
            _Plane(f, self, pointers, epilogue).run(f.add(first, index))

    def describe(self) -> str:
        """One line for people."""
        w = self.walk
        return (
            f"depthwise rows, {w.taps} rows of sums in {len(w.chunks)} parts of at most {w.wide} "
            f"vectors, {self.planes} planes, {self.stages[0]} pieces"
        )


class _Plane:
    """One plane: parts of its rows, each from top to bottom."""

    def __init__(self, f: Function, owner: DepthwiseRows, pointers: Pointers, epilogue: Epilogue):
        self.f = f
        self.walk = owner.walk
        self.claims = owner.claims
        self.roles = owner.roles
        self.axes = owner.axes
        # How far the next plane of the image is; 0: it is the same one, most often.
        self.further = next((a.strides[0] for a in reversed(self.axes) if a.size > 1), 0)
        self.image, self.plain = self.roles.sides((pointers.left[0], pointers.right[0]))
        self.tiles = pointers.tile
        self.epilogue = epilogue

    def run(self, number: Operand) -> None:
        f, w = self.f, self.walk
        places = split(f, number, [axis.size for axis in self.axes[1:]])
        offsets = self.roles.offsets(f, slice(None), self.axes, places)
        self.base = f.gep(self.image, offsets[0], w.elem)
        self.weights = self._weights(offsets[1])
        self.offsets = offsets[2:]
        for chunk in w.chunks:
            self._part(chunk)

    def _weights(self, offset: Operand) -> list[list[Value]]:
        """A vector per tap: [row, in the order in which they meet a row][column]."""
        f, w = self.f, self.walk
        rows, columns = w.rows.tap.strides[1], w.columns.tap.strides[1]

        def weight(row: int, column: int) -> Value:
            place = f.add(offset, row * rows + column * columns)
            return f.splat(f.load(f.gep(self.plain, place, w.elem), w.elem), w.lanes)

        return [[weight(row, i) for i in range(w.columns.tap.size)] for row in w.rows.order]

    def _part(self, chunk: Sequence[int]) -> None:
        """All rows: those of the upper border, the steady ones, those of the lower border."""
        f, w = self.f, self.walk
        count, taps = w.rows.position.size, w.taps
        zero = [f.constant(0, w.elem, w.lanes)] * len(chunk)
        # Sums of the last rows of results, the youngest first.
        sums = [zero] * (taps - 1)
        for row in range(w.rows.first, taps - 1):
            made = self._row(row, [zero, *sums], chunk, range(row + 1))
            sums = made[: taps - 1]
        carry = [value for held in sums for value in held]
        with f.loop(taps - 1, count, carry=carry) as loop:
            wide = len(chunk)
            held = [loop.values[i : i + wide] for i in range(0, len(carry), wide)]
            made = self._row(loop.index, [zero, *held], chunk, range(taps))
            self._deliver(f.sub(loop.index, taps - 1), chunk, made[-1])
            loop.next = [value for held in made[:-1] for value in held]
        sums = [loop.out[i : i + wide] for i in range(0, len(carry), wide)]
        for row in range(count, count + taps - 1):
            if row < w.rows.last:
                sums = self._row(row, [zero, *sums], chunk, range(row - count + 1, taps))[1:]
            self._deliver(row - taps + 1, chunk, sums[-1])
            sums = [zero, *sums[:-1]]

    def _row(
        self, number: Operand, sums: list[list[Value]], chunk: Sequence[int], live: range
    ) -> list[list[Value]]:
        """One row of the image: what it adds to the rows of results so far behind it."""
        f, w = self.f, self.walk
        row = w.row(f, self.base, number)
        if self.further:
            w.fetch(f, row, chunk, self.further)
        out = [list(held) for held in sums]
        for tap in range(w.columns.tap.size):
            for j, vector in enumerate(chunk):
                value = w.load(f, row, vector, tap)
                for behind in live:
                    out[behind][j] = f.fma(value, self.weights[behind][tap], out[behind][j])
        return out

    def _deliver(self, row: Operand, chunk: Sequence[int], values: Sequence[Value]) -> None:
        """The epilogue for a part of one row of results: vector by vector, or a loop of them."""
        f, w, tile = self.f, self.walk, self.roles.of_tile
        rows = w.rows.position.strides[tile]
        offsets = stepped(f, self.offsets, rows, row)

        def one(number: Operand, value: Value) -> None:
            self._vector(offsets, f.add(number, chunk[0]), value)

        each_vector(f, values, one)

    def _vector(self, offsets: Sequence[Operand], vector: Operand, value: Value) -> None:
        f, w, roles = self.f, self.walk, self.roles
        columns = w.columns.position.strides[roles.of_tile]
        further = [0] * len(columns)
        if isinstance(vector, int):
            further = [vector * w.lanes * s for s in columns]
        else:
            place = f.mul(vector, w.lanes)
            offsets = stepped(f, offsets, columns, place)
        tile, mask = roles.contraction.tile, w.live(f, vector)
        view = ResultLanes(f, tile, self.tiles, offsets, columns, w.lanes, mask, further)
        self.epilogue(view, value)
        if self.claims:
            view.claim()
