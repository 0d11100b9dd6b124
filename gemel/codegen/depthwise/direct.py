"""Windows with few output channels per group, straight from bordered lines.

Role: the strategy for depthwise convolutions and for those with one to four output channels per
group, and for the input gradients of the same form (see `direct_plan`). One stage; a piece is a
range of units, a unit copies one block of lines and forms all results in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from gemel.codegen.blocks import LINE, each, lines, remaining, split
from gemel.codegen.depthwise.direct_plan import NANOSECONDS, DirectPlan, direct_plan
from gemel.codegen.depthwise.pieces import INLINE_LINES
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_spec import Contraction
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.products.packing import load_strided
from gemel.codegen.windows.axes import roles
from gemel.codegen.windows.bordered import BorderedCopy, Start, combined
from gemel.codegen.windows.result_lanes import ResultLanes, are_many
from gemel.runtime.machine import Machine

# An epilogue of at most this many instructions is repeated for each vector of a tile.


def few_outputs(spec: Contraction, machine: Machine, joined: bool) -> DirectWindows | None:
    """The strategy, or None where the contraction is something else."""
    found = roles(spec)
    chosen = direct_plan(found, machine) if found is not None else None
    return DirectWindows(chosen, are_many(spec, machine)) if chosen is not None else None


class DirectWindows:
    """See the module."""

    def __init__(self, chosen: DirectPlan, claims: bool):
        """`claims`: whether memory is claimed before results are stored."""
        self.plan = chosen
        self.claims = claims
        size = SIZES[chosen.elem]
        self.stages = (chosen.pieces,)
        # A vector of weights per group and tap, then the block.
        weights = chosen.groups * chosen.outputs * chosen.weights * chosen.lanes
        self.weight_bytes = weights * size if chosen.along == "channels" else 0
        self.scratch_bytes = self.weight_bytes + lines(chosen.block.elements * size, LINE)
        self.shared_bytes = 0
        self.work = chosen.cycles * NANOSECONDS

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
        first = f.mul(piece, self.plan.unit_step)
        count = remaining(f, self.plan.units, self.plan.unit_step, first)
        work = _Unit(f, self, pointers, epilogue, joins)
        if self.plan.along == "channels":
            work.keep_weights()
        with each(f, count) as index:
            work.run(f.add(first, index))

    def describe(self) -> str:
        """One line for people."""
        p = self.plan
        return (
            f"direct windows, lanes along {p.along}, {p.outputs}x{p.tile.rows} lines of "
            f"{p.tile.vectors} vectors, {p.units} blocks of {p.lines} lines, {p.pieces} pieces"
        )


class _Unit:
    """One block: copied, then tile after tile."""

    def __init__(
        self,
        f: Function,
        owner: DirectWindows,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins,
    ):
        self.f = f
        self.plan = owner.plan
        self.claims = owner.claims
        self.roles = owner.plan.roles
        self.image, self.plain = self.roles.sides((pointers.left, pointers.right))
        self.image_join, self.plain_join = self.roles.sides(joins)
        self.tile_pointers = pointers.tile
        self.epilogue = epilogue
        self.weights = pointers.scratch
        self.copy = f.gep(pointers.scratch, owner.weight_bytes, "i8")

    def run(self, number: Operand) -> None:
        f, p = self.f, self.plan
        which, *outer, part = split(f, number, p.unit_counts[1:])
        first = f.mul(which, p.together)
        self._enter(first)
        self.line = f.mul(part, p.lines)
        self.lines = remaining(f, p.rows, p.lines, self.line)
        self.outer = outer
        members = remaining(f, p.groups, p.together, first)
        self._copy(members)
        columns = -(-p.inner.kept.size // (p.tile.vectors * p.step))
        with each(f, self._row_tiles()) as row, each(f, columns) as column:
            # Groups inside: their results are neighbours in memory.
            with each(f, members) as member:
                self._enter(f.add(first, member))
                self.place = f.mul(member, p.block.channel_stride)
                self._tile(row, f.mul(column, p.tile.vectors))

    def _enter(self, group: Operand) -> None:
        """Go to a group, or to a vector of groups."""
        f, p = self.f, self.plan
        self.mask: Value | None = None
        self.group = group
        if p.along == "channels":
            self.group = f.mul(group, p.lanes)
            self.kept = f.mul(group, p.outputs * p.weights * p.lanes)
            size = self.roles.single("batch").size
            if size % p.lanes:
                self.mask = f.lanes_below(f.sub(size, self.group), p.lanes)

    def _row_tiles(self) -> Operand:
        f, rows = self.f, self.plan.tile.rows
        return f.udiv(f.add(self.lines, rows - 1), rows)

    def _copy(self, members: Operand) -> None:
        f, p = self.f, self.plan
        image, *places = self.outer
        windows: list[tuple[Operand, Operand]] = [(0, place) for place in places]
        if p.row_window is not None:
            windows.append((0, self.line))
        windows.append((0, 0))
        groups, depth = self.roles.single("batch"), self.roles.single("depth").size
        axes, indices = [self.roles.single("rows")], [image]
        if p.along == "places":
            axes, indices = [*axes, groups], [*indices, self.group]
        live: Operand = 1
        if p.along == "channels":
            live = f.mul(members, p.lanes)
            if groups.size % p.lanes:
                live = f.min(f.sub(groups.size, self.group), live)
        deep = (depth,) if self.roles.depth else ()
        start = Start(
            depth=(0,) * len(deep),
            counts=deep,
            channel=self.group if p.along == "channels" else 0,
            live=live,
            windows=windows,
            offsets=self.roles.offsets(f, self.roles.of_image, axes, indices),
        )
        BorderedCopy(f, p.block, self.image, self.copy, self.image_join).run(start)

    # Weights.

    def _weight_base(self) -> list[Operand]:
        roles = self.roles
        return roles.offsets(self.f, roles.of_plain, [roles.single("batch")], [self.group])

    def keep_weights(self) -> None:
        """A vector of weights per tap, for all groups."""
        with each(self.f, self.plan.groups) as group:
            self._enter(group)
            self._keep_group()

    def _keep_group(self) -> None:
        f, p = self.f, self.plan
        roles, base = self.roles, self._weight_base()
        axes = [roles.single("columns"), roles.single("depth"), *(w.summed for w in roles.windows)]
        for number, index in enumerate(_indices([axis.size for axis in axes])):
            moved = self.roles.offsets(f, roles.of_plain, axes, index)
            offsets = [f.add(a, b) for a, b in zip(base, moved, strict=True)]
            strides = roles.single("batch").strides[roles.of_plain]
            value = self._plain_value(offsets, strides, p.lanes)
            f.store(value, f.gep(self.weights, f.add(self.kept, number * p.lanes), p.elem))

    def _plain_value(self, offsets: Sequence[Operand], strides: Sequence[int], lanes: int) -> Value:
        f, p = self.f, self.plan
        values = []
        arrays = zip(self.roles.plain, self.plain, offsets, strides, strict=True)
        for access, pointer, offset, stride in arrays:
            place = f.gep(pointer, offset, access.elem)
            values.append(load_strided(f, place, access.elem, lanes, stride, self.mask))
        return combined(f, self.roles.plain, values, p.elem, self.plain_join)

    def _weight(self, base: Sequence[Operand], output: int, taps: Sequence[int]) -> Value:
        """The weight of an output channel at a tap of the unrolled dimensions."""
        f, p, roles = self.f, self.plan, self.roles
        if p.along == "channels":
            number = 0
            for window, tap in zip(roles.windows[-len(taps) :], taps, strict=True):
                number = number * window.summed.size + tap
            number += output * p.weights
            at = f.gep(self.weights, f.add(base[0], number * p.lanes), p.elem)
            return f.load(at, p.elem, p.lanes)
        axes = [
            roles.single("columns"),
            *(w.summed for w in roles.windows[len(roles.windows) - len(taps) :]),
        ]
        moved = self.roles.offsets(f, roles.of_plain, axes, [output, *taps])
        offsets = [f.add(a, b) for a, b in zip(base, moved, strict=True)]
        return f.splat(self._plain_value(offsets, (1,) * len(offsets), 1), p.lanes)

    # One tile.

    def _tile(self, row: Operand, column: Operand) -> None:
        f, p = self.f, self.plan
        start = f.mul(row, p.tile.rows)
        first_row: Operand = 0
        early = start
        if p.row_window is not None and p.rows % p.tile.rows:
            # The last tile of a block starts early to be full, and leaves out what is done.
            early = f.max(f.min(start, f.sub(self.lines, p.tile.rows)), 0)
            first_row = f.sub(start, early)
        sums = self._sums(early, column)
        self._deliver(sums, early, first_row, column)

    def _sums(self, row: Operand, column: Operand) -> list[Value]:
        f, p = self.f, self.plan
        count = p.outputs * p.tile.rows * p.tile.vectors
        start = [f.constant(0, p.elem, p.lanes)] * count
        at = f.mul(
            column, p.step * (p.block.width or 1) * (p.inner.kept_step if p.block.width else 1)
        )
        if p.row_window is not None:
            stride = p.block.place_strides[-2] * p.row_window.kept_step
            at = f.add(at, f.mul(row, stride))
        base = [self.kept] if p.along == "channels" else self._weight_base()
        return self._around(0, at, base, start)

    def _around(
        self, level: int, at: Operand, base: list[Operand], sums: list[Value]
    ) -> list[Value]:
        """Loops over the depth and over the taps that are not unrolled."""
        f, p, roles = self.f, self.plan, self.roles
        dims = len(roles.windows)
        if level == 1 + dims - p.tile.taps:
            return self._unrolled(at, base, sums)
        if level == 0:
            axis, low = roles.single("depth"), 0
            stride = p.block.depth_strides[0] if roles.depth else 0
        else:
            window = roles.windows[level - 1]
            axis, stride = window.summed, window.summed_step * p.block.place_strides[level - 1]
            low = -p.block.lowest[level - 1] * p.block.place_strides[level - 1]
        at = f.add(at, low)
        if axis.size == 1:
            return self._around(level + 1, at, base, sums)
        with f.loop(0, axis.size, carry=sums) as loop:
            there = f.add(at, f.mul(loop.index, stride))
            if p.along == "channels":
                inner = p.lanes
                for window in roles.windows[level:]:
                    inner *= window.summed.size
                moved = [f.add(base[0], f.mul(loop.index, inner))]
            else:
                moved = self.roles.offsets(f, roles.of_plain, [axis], [loop.index])
                moved = [f.add(a, b) for a, b in zip(base, moved, strict=True)]
            loop.next = self._around(level + 1, there, moved, loop.values)
        return loop.out

    def _unrolled(self, at: Operand, base: list[Operand], sums: list[Value]) -> list[Value]:
        """All taps of the innermost dimensions; a vector of the image is loaded once."""
        f, p, roles = self.f, self.plan, self.roles
        windows = roles.windows[len(roles.windows) - p.tile.taps :]
        sizes = [window.summed.size for window in windows]
        sums = list(sums)
        here = f.opaque(f.gep(self.copy, f.add(at, self.place), p.elem))
        # Which (row of the tile, taps) meet a line of the image at a shift.
        meets: dict[tuple[int, int], list[tuple[int, tuple[int, ...]]]] = {}
        for row in range(p.tile.rows):
            for taps in _indices(sizes):
                meets.setdefault(self._meeting(row, taps), []).append((row, taps))
        weights: dict[tuple[int, tuple[int, ...]], Value] = {}
        for (line, shift), pairs in sorted(meets.items()):
            values = [
                f.load(f.gep(here, line + self._along(shift, j), p.elem), p.elem, p.lanes)
                for j in range(p.tile.vectors)
            ]
            for row, taps in pairs:
                for output in range(p.outputs):
                    if (output, taps) not in weights:
                        weights[output, taps] = self._weight(base, output, taps)
                    first = (output * p.tile.rows + row) * p.tile.vectors
                    for j, value in enumerate(values):
                        sums[first + j] = f.fma(value, weights[output, taps], sums[first + j])
        return sums

    def _meeting(self, row: int, taps: tuple[int, ...]) -> tuple[int, int]:
        """The line (elements from the tile's first) and the place in it that a tap meets."""
        p = self.plan
        shift = taps[-1] * p.inner.summed_step - p.block.lowest[-1]
        if p.row_window is None:
            return 0, shift
        line = row * p.row_window.kept_step
        if p.tile.taps > 1:
            line += taps[-2] * p.row_window.summed_step - p.block.lowest[-2]
        return line * p.block.place_strides[-2], shift

    def _along(self, shift: int, vector: int) -> int:
        """Where vector `vector` of a tile lies in a line, at a place."""
        p = self.plan
        if p.block.width:
            return (shift + vector * p.inner.kept_step) * p.block.width
        phases = p.block.phases
        return shift % phases * p.block.phase + shift // phases + vector * p.lanes

    def _deliver(
        self, sums: list[Value], row: Operand, first_row: Operand, column: Operand
    ) -> None:
        """The epilogue: for each vector where tiles are whole and it is short, else in a loop."""
        f, p = self.f, self.plan
        start = f.add(self.line, row)
        if (
            not p.whole_tiles
            or f.trial(lambda: self._vector(sums[0], start, column, 0, 0, 0)) > INLINE_LINES
        ):
            self._deliver_staged(sums, row, first_row, column)
            return
        live = min(p.tile.vectors, -(-p.inner.kept.size // p.step))
        numbers = iter(sums)
        for output in range(p.outputs):
            for line in range(p.tile.rows):
                for vector in range(p.tile.vectors):
                    value = next(numbers)
                    if vector < live:
                        self._vector(value, start, column, output, line, vector)

    def _vector(
        self,
        value: Value,
        start: Operand,
        column: Operand,
        output: int,
        line: int,
        vector: int,
    ) -> None:
        """The epilogue at a known place of a tile whose first line and vector are given."""
        p, roles = self.plan, self.roles
        steps = [(roles.single("columns"), output), (p.inner.kept, vector * p.step)]
        if p.row_window is not None:
            steps.append((p.row_window.kept, line))
        further = [0] * len(self.tile_pointers)
        for axis, index in steps:
            along = axis.strides[roles.of_tile]
            further = [a + index * b for a, b in zip(further, along, strict=True)]
        left = None
        if p.inner.kept.size % (p.tile.vectors * p.step):
            left = p.inner.kept.size - vector * p.step
        self._result(value, 0, start, self.f.mul(column, p.step), left, further)

    def _deliver_staged(
        self, sums: list[Value], row: Operand, first_row: Operand, column: Operand
    ) -> None:
        """The epilogue, emitted once, over the sums on the stack."""
        f, p = self.f, self.plan
        rows, vectors = p.tile.rows, p.tile.vectors
        stage = f.alloca(p.elem, len(sums) * p.lanes)
        for i, value in enumerate(sums):
            f.store(value, f.gep(stage, i * p.lanes, p.elem))
        live_rows = f.min(f.sub(self.lines, row), rows) if p.row_window is not None else 1
        left = f.sub(-(-p.inner.kept.size // p.step), column)
        live = vectors if p.inner.kept.size % (vectors * p.step) == 0 else f.min(left, vectors)
        for output in range(p.outputs):
            with f.loop(first_row, live_rows, nonempty=True) as lines, each(f, live) as vector:
                number = f.add(f.mul(f.add(lines.index, output * rows), vectors), vector)
                value = f.load(f.gep(stage, f.mul(number, p.lanes), p.elem), p.elem, p.lanes)
                line = f.add(self.line, f.add(row, lines.index))
                place = f.mul(f.add(column, vector), p.step)
                self._result(value, output, line, place, f.sub(p.inner.kept.size, place))

    def _result(
        self,
        value: Value,
        output: int,
        line: Operand,
        place: Operand,
        left: Operand | None,
        further: Sequence[int] | None = None,
    ) -> None:
        """The epilogue; `left` places of the line exist from here on (None: a whole vector)."""
        f, p, roles = self.f, self.plan, self.roles
        axes = [roles.single("batch"), roles.single("columns"), *p.outer, p.inner.kept]
        indices = [self.group, output, *self.outer, place]
        if p.row_window is not None:
            axes, indices = [*axes, p.row_window.kept], [*indices, line]
        offsets = self.roles.offsets(f, roles.of_tile, axes, indices)
        mask, along = self.mask, roles.single("batch")
        if p.along == "places":
            along, mask = p.inner.kept, None
            if left is not None and p.inner.kept.size % p.lanes:
                whole = isinstance(left, int) and left >= p.lanes
                mask = None if whole else f.lanes_below(left, p.lanes)
        strides = along.strides[roles.of_tile]
        tile = roles.contraction.tile
        view = ResultLanes(f, tile, self.tile_pointers, offsets, strides, p.lanes, mask, further)
        self.epilogue(view, value)
        if self.claims:
            view.claim()


def _indices(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """All indices, in order."""
    out: list[tuple[int, ...]] = [()]
    for size in sizes:
        out = [(*index, i) for index in out for i in range(size)]
    return out
