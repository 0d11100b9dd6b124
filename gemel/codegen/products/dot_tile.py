"""Contractions whose vectors run along k: few rows, both operands contiguous in k.

Role: the tile of matrix-vector products with a transposed matrix and of inner products. Each
result has its own accumulators; their lanes are folded at the end, those of several results
together. Results are collected on the stack, one vector of columns per row, so that the epilogue is
the same as for other tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

from gemel.codegen.blocks import LINE
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.products.contraction_plan import Plan
from gemel.codegen.products.contraction_tile import Epilogue, Tile, deliver_staged
from gemel.codegen.products.packing import Source, each_k, joined, load_strided
from gemel.codegen.sizes import hint, is_size
from gemel.codegen.values import SIZES

# Sums in flight: enough to hide the latency of additions and to stream several rows of memory; half
# of the registers.
_SUMS = 8
_SUMS_OF_WIDE = 16
_WIDE = 64  # bytes of a vector
# Machines of narrower vectors foresee rows badly that end before they have noticed them: lines are
# asked for so many bytes ahead at least. The next group has to fit beside the one at work, or the
# groups are of two columns; very long rows are foreseen.
_AHEAD = 8 << 10
_GROUP = 24 << 10
_FORESEEN = 8 << 10
_NEAR = 32 << 10  # bytes of a matrix that waits in the first cache


@dataclass(frozen=True)
class _Walk:
    """How a tile goes through memory.

    `together` columns have their sums made at once, each in `chains` sums that are added at the
    end, of which a turn of the loop adds `turns` vectors. A turn asks for its lines of the columns
    that come `ahead` columns later (0: of none) into a `cache`.
    """

    together: int
    chains: int
    turns: int = 1
    ahead: int = 0
    cache: int = 1


def _walk(plan: Plan, right: Source, k_sizes: Sequence[Operand]) -> _Walk:
    sums = _in_flight(plan)
    together = max(1, min(sums // plan.mr, hint(plan.columns[-1].size), plan.lanes))
    if not _asks(plan, right, k_sizes):
        return _Walk(together, max(1, sums // (plan.mr * together)))
    size = SIZES[right.elem]
    row = hint(k_sizes[-1]) * size
    cache = 2
    if row * together > _GROUP:
        together, cache = min(2, together), 1
    chains = max(1, sums // (plan.mr * together))
    turns = ceil(LINE / (plan.lanes * chains * size))
    return _Walk(together, chains, turns, together * ceil(_AHEAD / (row * together)), cache)


def _asks(plan: Plan, right: Source, k_sizes: Sequence[Operand]) -> bool:
    """Does the matrix come from beyond the first cache, in rows that are not foreseen?"""
    depth, size = k_sizes[-1], SIZES[right.elem]
    if _is_wide(plan) or not right.plain or is_size(depth) or depth * size >= _FORESEEN:
        return False
    return prod(hint(axis.size) for axis in plan.columns) * depth * size > _NEAR


def emit_dot_tile(
    f: Function,
    plan: Plan,
    left: Source,
    right: Source,
    k_sizes: Sequence[Operand],
    tile: Tile,
    epilogue: Epilogue,
    first_row: Operand,
) -> None:
    """The sums of `mr` rows and one vector of columns, then the epilogue."""
    elem = plan.contraction.elem
    stage = f.alloca(elem, plan.mr * plan.lanes)
    walk = _walk(plan, right, k_sizes)
    together = walk.together
    live = tile.live(plan.lanes)
    with f.loop(0, live, together, nonempty=True) as loop:
        # The last group starts early to be full; what it repeats goes to the same place.
        first = f.max(f.min(loop.index, f.sub(live, together)), 0)
        sums = _group(f, plan, left, right, k_sizes, first, walk, live)
        for row in range(plan.mr):
            at = f.gep(stage, f.add(first, row * plan.lanes), elem)
            found = folded(f, sums[row * together : (row + 1) * together])
            for j, value in enumerate(found):
                f.store(value, f.gep(at, j * value.lanes, elem))
    deliver_staged(f, plan, stage, tile, epilogue, first_row)


def _in_flight(plan: Plan) -> int:
    return _SUMS_OF_WIDE if _is_wide(plan) else _SUMS


def _is_wide(plan: Plan) -> bool:
    return plan.lanes * SIZES[plan.contraction.elem] == _WIDE


def folded(f: Function, sums: Sequence[Value]) -> list[Value]:
    """The sum of each vector's lanes, in order: one vector where the count is a power of two, which
    takes a third of the steps of one sum after the other."""
    count, lanes = len(sums), sums[0].lanes
    if count & (count - 1) or count > lanes:
        return [f.reduce(f.add, x) for x in sums]
    parts = list(sums)
    width = lanes  # lanes that belong to the same sum
    while width > 1:
        width //= 2
        pairs = zip(parts[::2], parts[1::2], strict=True) if len(parts) > 1 else [(parts[0], None)]
        parts = [_halves_added(f, a, b, width) for a, b in pairs]
    return parts


def _halves_added(f: Function, a: Value, b: Value | None, width: int) -> Value:
    """In runs of twice the width, the first half of each and the second; runs of a, then of b."""
    total = a.lanes * (1 if b is None else 2)
    first = [at + i for at in range(0, total, 2 * width) for i in range(width)]
    return f.shuffle(a, b, first) + f.shuffle(a, b, [lane + width for lane in first])


def _group(
    f: Function,
    plan: Plan,
    left: Source,
    right: Source,
    k_sizes: Sequence[Operand],
    first: Operand,
    walk: _Walk,
    live: Operand,
) -> list[Value]:
    """The sums of all rows with some columns, a vector each, whose lanes are to be added."""
    elem, lanes, chains = plan.contraction.elem, plan.lanes, walk.chains
    results = plan.mr * walk.together
    start = [f.constant(0, elem, lanes)] * (results * chains)
    strides = [[*a, *b] for a, b in zip(left.k_strides, right.k_strides, strict=True)]
    count = len(left.accesses)
    columns = [_column(f, plan, first, j, live) for j in range(walk.together)]
    coming = _coming(f, right, columns, walk)

    def vectors(offsets: list[Operand], along: Operand, mask: Value | None) -> list[Value]:
        at = [f.add(o, f.mul(along, step)) for o, step in zip(offsets, strides[-1], strict=True)]
        rows = [_vector(f, left, at[:count], row, lanes, mask) for row in range(plan.mr)]
        others = [_vector(f, right, at[count:], column, lanes, mask) for column in columns]
        return [(a, b) for a in rows for b in others]

    def inner(_: Operand, offsets: list[Operand], sums: list[Value]) -> list[Value]:
        depth = k_sizes[-1]
        step = lanes * chains * walk.turns
        whole = depth // step * step
        if is_size(depth) or whole:
            with f.loop(0, whole, step, carry=sums) as loop:
                sums = list(loop.values)
                at = f.add(offsets[count], loop.index)
                _ask(f, coming, right.elem, at, step, walk.cache)
                for number in range(chains * walk.turns):
                    pairs = vectors(offsets, f.add(loop.index, number * lanes), None)
                    part = slice(number % chains * results, (number % chains + 1) * results)
                    sums[part] = _added(f, pairs, sums[part])
                loop.next = sums
            sums = loop.out
        sums = list(sums)
        if is_size(depth):
            with f.loop(whole, depth, lanes, carry=sums[:results]) as loop:
                live = f.lanes_below(f.sub(depth, loop.index), lanes)
                loop.next = _added(f, vectors(offsets, loop.index, live), loop.values)
            return [*loop.out, *sums[results:]]
        for number, along in enumerate(range(whole, depth, lanes)):
            chain = number % chains
            mask = f.lanes_below(depth - along, lanes) if depth - along < lanes else None
            pairs = vectors(offsets, along, mask)
            for i, (a, b) in enumerate(pairs):
                sums[chain * results + i] = f.fma(a, b, sums[chain * results + i])
        return sums

    sums = each_k(f, k_sizes[:-1], strides[:-1], [0] * len(strides[0]), inner, start)
    return [sum(sums[i + results :: results], start=sums[i]) for i in range(results)]


def _coming(f: Function, right: Source, columns: Sequence[Operand], walk: _Walk) -> list[Value]:
    """Where the columns lie that are asked for."""
    if not walk.ahead:
        return []
    elem, stride = right.accesses[0].elem, right.lane_strides[0]
    places = [f.mul(f.add(column, walk.ahead), stride) for column in columns]
    return [f.opaque(f.gep(right.pointers[0], place, elem)) for place in places]


def _ask(
    f: Function, coming: Sequence[Value], elem: str, at: Operand, step: int, cache: int
) -> None:
    """Ask for the lines of a turn of `step` elements."""
    for pointer in coming:
        for further in range(0, step, LINE // SIZES[elem]):
            f.prefetch(f.gep(pointer, f.add(at, further), elem), cache=cache)


def _added(f: Function, pairs: list, sums: Sequence[Value]) -> list[Value]:
    """Each sum and the product of its pair."""
    return [f.fma(a, b, s) for (a, b), s in zip(pairs, sums, strict=True)]


def _column(f: Function, plan: Plan, first: Operand, j: int, live: Operand) -> Operand:
    """The column's number in the tile, kept inside it (a group may be wider than the tile)."""
    return f.min(f.add(first, j), f.sub(live, 1))


def _vector(
    f: Function,
    source: Source,
    offsets: Sequence[Operand],
    lane: Operand,
    lanes: int,
    mask: Value | None,
) -> Value:
    """Elements along k of one row or column."""
    values = []
    near = source.k_strides[-1]
    arrays = zip(source.accesses, source.pointers, source.lane_strides, offsets, near, strict=True)
    for access, pointer, stride, offset, step in arrays:
        place = f.gep(f.gep(pointer, f.mul(lane, stride), access.elem), offset, access.elem)
        values.append(load_strided(f, place, access.elem, lanes, step, mask))
    return joined(f, source, values)
