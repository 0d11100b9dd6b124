"""The micro-kernel: the sums of one tile over one block of k.

Role: `mr * vectors` accumulators in registers; each step of k broadcasts `mr` values of the left
operand and multiplies them with `vectors` vectors of the right one. Input: a plan, where the
operands are (packed or direct). Output: the accumulators, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gemel.codegen.blocks import LINE, product
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.ahead import STEPS, Later
from gemel.codegen.products.contraction_plan import Plan
from gemel.codegen.products.packing import Source, each_k, joined, load_lanes
from gemel.codegen.sizes import divides, is_size


@dataclass(frozen=True)
class Panel:
    """An operand of one tile: packed as `[k][width]` at `packed`, or read from its arrays."""

    source: Source
    packed: Value | None
    width: int
    masks: list[Value] | None = None

    def moved(
        self, f: Function, linear: Operand, offsets: Sequence[Operand], near: Sequence[int]
    ) -> _Place:
        """The panel at a k; what comes next is a constant away, and folds into addresses."""
        source = self.source
        if self.packed is not None:
            at = f.opaque(f.gep(self.packed, f.mul(linear, self.width), source.elem))
            return _Place(self, source, at, (self.width,))
        pointers = tuple(
            f.opaque(f.gep(pointer, offset, access.elem))
            for pointer, offset, access in zip(
                source.pointers, offsets, source.accesses, strict=True
            )
        )
        return _Place(self, replace(source, pointers=pointers), None, tuple(near))


@dataclass(frozen=True)
class _Place:
    """A panel at some k: addresses, and how far apart (per array) the next k is."""

    panel: Panel
    source: Source
    packed: Value | None
    near: tuple[int, ...]

    def scalar(self, f: Function, step: int, row: int) -> Value:
        """The left operand's value of a row, `step` values of k further."""
        source = self.source
        if self.packed is not None:
            return f.load(f.gep(self.packed, step * self.near[0] + row, source.elem), source.elem)
        values = []
        arrays = zip(source.accesses, source.pointers, source.lane_strides, self.near, strict=True)
        for access, pointer, stride, near in arrays:
            if is_size(stride):  # rows begin somewhere; what is near is a constant away
                at = f.gep(f.gep(pointer, row * stride, access.elem), step * near, access.elem)
            else:
                at = f.gep(pointer, row * stride + step * near, access.elem)
            values.append(f.load(at, access.elem))
        return joined(f, source, values)

    def vector(self, f: Function, step: int, number: int, lanes: int) -> Value:
        """The right operand's vector `number`, `step` values of k further."""
        source = self.source
        if self.packed is not None:
            at = f.gep(self.packed, step * self.near[0] + number * lanes, source.elem)
            return f.load(at, source.elem, lanes)
        offsets = [
            number * lanes * stride + step * near
            for stride, near in zip(source.lane_strides, self.near, strict=True)
        ]
        mask = self.panel.masks[number] if self.panel.masks else None
        return load_lanes(f, source, offsets, lanes, mask)

    def prefetch(self, f: Function, step: int) -> None:
        """Ask for the columns of a later step (of a packed panel, or of a matrix)."""
        elem = self.source.accesses[0].elem if self.packed is None else self.source.elem
        first = self.source.pointers[0] if self.packed is None else self.packed
        for start in range(0, self.panel.width, LINE // SIZES[elem]):
            f.prefetch(f.gep(first, step * self.near[0] + start, elem))


def multiply(
    f: Function,
    plan: Plan,
    left: Panel,
    right: Panel,
    k_sizes: list,
    later: Sequence[Later] = (),
) -> list[Value]:
    """The sums of one k block: `mr * vectors` accumulators, row by row. `later`: what is asked
    for meanwhile."""
    zero = f.constant(0, plan.contraction.elem, plan.lanes)
    start = [zero] * (plan.mr * plan.vectors)
    if plan.void:
        return start
    sizes, strides = _k_walk(f, left, right, k_sizes)
    count = len(left.source.accesses)

    def line(linear: Operand, offsets: list[Operand], sums: list[Value]) -> list[Value]:
        """All steps along the last axis of k."""
        size, near = sizes[-1], strides[-1]

        def turn(index: Operand, steps: int, sums: list[Value]) -> list[Value]:
            at = f.add(f.mul(linear, size), index)
            moved = [
                f.add(offset, f.mul(index, stride))
                for offset, stride in zip(offsets, near, strict=True)
            ]
            a = left.moved(f, at, moved[:count], near[:count])
            b = right.moved(f, at, moved[count:], near[count:])
            for lines in later:
                lines.ask(f, index)
            for step in range(steps):
                sums = _step(f, plan, a, b, step, sums)
            return sums

        if is_size(size) and not divides(STEPS, size):
            return _to_the_end(f, size, turn, sums)
        once = STEPS if isinstance(size, int) else 1
        rest = size % once if isinstance(size, int) else 0
        if size != rest:
            with f.loop(0, f.sub(size, rest), once, carry=sums, nonempty=True) as loop:
                loop.next = turn(loop.index, once, loop.values)
            sums = loop.out
        return turn(f.sub(size, rest), rest, sums) if rest else sums

    return each_k(f, sizes[:-1], strides[:-1], [0] * len(strides[0]), line, start)


def _to_the_end(f: Function, size: Operand, turn: Callable, sums: list[Value]) -> list[Value]:
    """Several steps at a time, then one by one."""
    main = f.mul(f.udiv(size, STEPS), STEPS)
    with f.loop(0, main, STEPS, carry=sums) as loop:
        loop.next = turn(loop.index, STEPS, loop.values)
    with f.loop(main, size, carry=loop.out) as loop:
        loop.next = turn(loop.index, 1, loop.values)
    return loop.out


def _step(
    f: Function, plan: Plan, left: _Place, right: _Place, step: int, sums: list[Value]
) -> list[Value]:
    """One value of k."""
    columns = [right.vector(f, step, j, plan.lanes) for j in range(plan.vectors)]
    if plan.prefetch:
        right.prefetch(f, step + plan.prefetch)
    out = []
    for row in range(plan.mr):
        spread = f.splat(left.scalar(f, step, row), plan.lanes)
        for j, column in enumerate(columns):
            out.append(f.fma(spread, column, sums[row * plan.vectors + j]))
    return out


def _k_walk(f: Function, left: Panel, right: Panel, k_sizes: list) -> tuple[list, list]:
    """Loop sizes and strides of the arrays; two packed panels need one flat loop."""
    count = len(left.source.accesses) + len(right.source.accesses)
    if left.packed is not None and right.packed is not None:
        return [product(f, k_sizes)], [[0] * count]
    pairs = zip(left.source.k_strides, right.source.k_strides, strict=True)
    strides = [[*a, *b] for a, b in pairs]
    return (list(k_sizes), strides) if strides else ([1], [[0] * count])
