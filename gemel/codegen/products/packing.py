"""Copies of operand panels in the order the micro-kernel reads them.

Role: read `width` consecutive lanes of an operand (rows of the left one, columns of the right one)
for a block of k and write them as `[k][width]`. Where memory is contiguous along the lanes this is
a vector copy, where it is contiguous along k a register transpose, else a gather. The prologue
runs here, once per element read.

Invariant: a panel may be overrun by one block of lanes at its end (the plan reserves that slack),
and panels are packed in ascending order, so an overrun is overwritten by what belongs there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from gemel.codegen.blocks import LINE, each
from gemel.codegen.llvm import SIZES, Function, Module, Operand, Value
from gemel.codegen.products.contraction_spec import Access, runs_along
from gemel.codegen.sizes import divides, is_size

Join = Callable[[Function, list[Value]], Value]


@dataclass(frozen=True)
class Source:
    """An operand at some place: per array an address, its lane stride and its k strides."""

    accesses: tuple[Access, ...]
    pointers: tuple[Value, ...]
    lane_strides: tuple[int, ...]
    k_strides: tuple[tuple[int, ...], ...]
    elem: str
    join: Join | None

    @property
    def along_k(self) -> bool:
        """Contiguous along the innermost k axis, or repeated there beside one that is."""
        return bool(self.k_strides) and runs_along(self.k_strides[-1])

    @property
    def along_lanes(self) -> bool:
        return set(self.lane_strides) <= {0, 1}

    def moved(self, f: Function, lanes: int) -> Source:
        """The same some lanes further."""
        places = zip(self.pointers, self.lane_strides, self.accesses, strict=True)
        pointers = tuple(f.gep(place, lanes * stride, a.elem) for place, stride, a in places)
        return replace(self, pointers=pointers)

    @property
    def plain(self) -> bool:
        """One array of the right element and no prologue: bytes can be moved as they are."""
        only = len(self.accesses) == 1 and self.join is None
        return only and self.accesses[0].elem == self.elem


def joined(f: Function, source: Source, values: Sequence[Value]) -> Value:
    """The operand's value from the loaded ones: the prologue, or a conversion."""
    if source.join is not None:
        return source.join(f, list(values))
    (value,) = values
    return f.convert(value, source.elem, signed=source.accesses[0].signed)


def load_lanes(
    f: Function, source: Source, offsets: Sequence[Operand], lanes: int, mask: Value | None
) -> Value:
    """`lanes` neighbouring lanes at one k; `offsets` are element offsets, one per array."""
    values = []
    for access, pointer, stride, offset in zip(
        source.accesses, source.pointers, source.lane_strides, offsets, strict=True
    ):
        place = f.gep(pointer, offset, access.elem)
        values.append(load_strided(f, place, access.elem, lanes, stride, mask))
    return joined(f, source, values)


def load_strided(
    f: Function, place: Value, elem: str, lanes: int, stride: int, mask: Value | None
) -> Value:
    """A vector of elements `stride` apart; masked-off lanes touch no memory."""
    if lanes == 1:
        return f.load(place, elem)
    if stride == 0:
        return f.splat(f.load(place, elem), lanes)
    if stride == 1:
        return f.load(place, elem, lanes, mask=mask)
    return f.gather(place, lane_offsets(f, lanes, stride), elem, mask)


def lane_offsets(f: Function, lanes: int, stride: int) -> Value:
    if is_size(stride):
        return f.mul(f.lanes_index(lanes, "i64"), stride)
    elem = "i32" if abs(stride) * lanes < 1 << 31 else "i64"
    return f.constants([lane * stride for lane in range(lanes)], elem)


def pack_panel(
    f: Function,
    source: Source,
    target: Value,
    width: int,
    live: Operand,
    k_sizes: Sequence[Operand],
    lanes: int,
) -> None:
    """Write `[k][width]` at `target`; lanes from `live` on are not read (their content is free)."""
    if source.along_k and not source.along_lanes:
        _pack_transposed(f, source, target, width, live, k_sizes, lanes)
    else:
        _pack_straight(f, source, target, width, live, k_sizes, lanes)


def each_k(
    f: Function,
    sizes: Sequence[Operand],
    strides: Sequence[Sequence[int]],
    offsets: Sequence[Operand],
    body: Callable[[Operand, list[Operand], list[Value]], Sequence[Value] | None],
    carry: Sequence[Value] = (),
) -> list[Value]:
    """Call `body(linear k, offset per array, carried values)` inside one loop per k axis.

    `strides` has one entry per axis with one stride per array; the body returns the values for
    the next turn, the last ones are returned.
    """

    def level(depth: int, linear: Operand, at: list[Operand], values: list[Value]) -> list[Value]:
        if depth == len(sizes):
            return list(body(linear, at, values) or ())
        with f.loop(0, sizes[depth], carry=values, nonempty=True) as loop:
            inner = f.add(f.mul(linear, sizes[depth]), loop.index)
            moved = [
                f.add(offset, f.mul(loop.index, stride))
                for offset, stride in zip(at, strides[depth], strict=True)
            ]
            loop.next = level(depth + 1, inner, moved, loop.values)
        return loop.out

    return level(0, 0, list(offsets), list(carry))


def _pack_straight(
    f: Function,
    source: Source,
    target: Value,
    width: int,
    live: Operand,
    k_sizes: Sequence[Operand],
    lanes: int,
) -> None:
    def copy(linear: Operand, offsets: list[Operand], _: list[Value]) -> None:
        row = f.gep(target, f.mul(linear, width), source.elem)
        pack_row(f, source, offsets, row, width, lanes, masks)

    lanes = row_lanes(width, lanes)
    exact = type(live) is int and live >= width
    masks = [
        None if exact and width - start >= lanes else f.lanes_below(f.sub(live, start), lanes)
        for start in range(0, width, lanes)
    ]
    each_k(f, k_sizes, source.k_strides, [0] * len(source.accesses), copy)


def row_lanes(width: int, lanes: int) -> int:
    """Vector length for rows of a panel: a narrow panel of a power of two needs no masks."""
    return width if width < lanes and width & (width - 1) == 0 else lanes


def pack_row(
    f: Function,
    source: Source,
    offsets: Sequence[Operand],
    row: Value,
    width: int,
    lanes: int,
    masks: Sequence[Value | None] | None = None,
    past: bool = False,
) -> None:
    """The `width` lanes of one k; without masks all of them exist, and nothing is overrun.

    past: whole aligned vectors, which are stored past the caches.
    """
    lanes = row_lanes(width, lanes)
    starts = range(0, width, lanes)
    exact = masks is None
    if masks is None:
        lefts = [width - start for start in starts]
        masks = [None if left >= lanes else f.lanes_below(left, lanes) for left in lefts]
    for start, mask in zip(starts, masks, strict=True):
        moved = [
            f.add(offset, start * stride)
            for offset, stride in zip(offsets, source.lane_strides, strict=True)
        ]
        value = load_lanes(f, source, moved, lanes, mask)
        place = f.gep(row, start, source.elem)
        left = width - start
        # A last partial vector of several may not spill over the next k's first one.
        cut = left < lanes and (exact or len(starts) > 1)
        if past:
            f.stream(value, place)
        else:
            f.store(value, place, mask=f.lanes_below(left, lanes) if cut else None)


def pack_rows(
    f: Function, source: Source, target: Value, count: int, k_sizes: Sequence[int]
) -> Source:
    """A few lanes one after the other, each with all of k; the copy as an operand."""
    depth = prod(k_sizes)

    def copy(linear: Operand, offsets: list[Operand], _: list[Value]) -> None:
        for lane in range(count):
            moved = [
                f.add(offset, lane * stride)
                for offset, stride in zip(offsets, source.lane_strides, strict=True)
            ]
            value = load_lanes(f, source, moved, 1, None)
            f.store(value, f.gep(target, f.add(linear, lane * depth), source.elem))

    each_k(f, k_sizes, source.k_strides, [0] * len(source.accesses), copy)
    strides = tuple((prod(k_sizes[i + 1 :]),) for i in range(len(k_sizes)))
    accesses = (Access(source.elem, ()),)
    return Source(accesses, (target,), (depth,), strides, source.elem, None)


def _pack_transposed(
    f: Function,
    source: Source,
    target: Value,
    width: int,
    live: Operand,
    k_sizes: Sequence[Operand],
    lanes: int,
) -> None:
    """Blocks of `lanes` lanes by `lanes` values of k; those of a line of memory one by one."""
    stage = None if source.plain else f.alloca(source.elem, lanes * lanes)
    near = source.k_strides[-1]

    def run(linear: Operand, offsets: list[Operand], _: list[Value]) -> None:
        inner = k_sizes[-1]
        step = _line(source, inner, lanes)

        def one(at: Operand, start: int) -> None:
            columns = f.min(f.sub(inner, at), lanes)
            row = f.gep(target, f.mul(f.add(f.mul(linear, inner), at), width), source.elem)
            pairs = zip(offsets, near, strict=True)
            moved = [f.add(offset, f.mul(at, stride)) for offset, stride in pairs]
            rows = f.min(f.sub(live, start), min(lanes, width - start))
            _one_block(f, source, lanes, stage, moved, start, rows, columns, row, width)

        with f.loop(0, inner, step, nonempty=True) as loop:
            for start in range(0, width, lanes):
                with each(f, step // lanes) as turn:
                    one(f.add(loop.index, f.mul(turn, lanes)), start)

    each_k(f, k_sizes[:-1], source.k_strides[:-1], [0] * len(source.accesses), run)


def _line(source: Source, inner: Operand, lanes: int) -> int:
    """Values of k to take from each lane before the next one is looked at."""
    narrowest = min(SIZES[access.elem] for access in source.accesses)
    step = max(lanes, LINE // narrowest)
    return step if isinstance(inner, int) and divides(step, inner) else lanes


def _one_block(
    f: Function,
    source: Source,
    lanes: int,
    stage: Value | None,
    offsets: Sequence[Operand],
    start: int,
    rows: Operand,
    columns: Operand,
    row: Value,
    width: int,
) -> None:
    places = [
        f.gep(pointer, f.add(offset, start * stride), access.elem)
        for access, pointer, stride, offset in zip(
            source.accesses, source.pointers, source.lane_strides, offsets, strict=True
        )
    ]
    target = f.gep(row, start, source.elem)
    block = transpose_function(f.module, source.elem, lanes, min(lanes, width - start))

    def move() -> None:
        if stage is None:
            f.call(block, places[0], source.lane_strides[0], target, width, rows, columns)
            return
        _stage_rows(f, source, places, stage, rows, columns, lanes)
        f.call(block, stage, lanes, target, width, rows, columns)

    if type(rows) is int:
        if rows > 0:
            move()
    else:
        with f.when(f.compare(">", rows, 0)):
            move()


def _stage_rows(
    f: Function,
    source: Source,
    places: Sequence[Value],
    stage: Value,
    rows: Operand,
    columns: Operand,
    lanes: int,
) -> None:
    """The prologue on rows that are contiguous along k, into the stage."""
    mask = f.lanes_below(columns, lanes)
    with f.loop(0, rows, nonempty=True) as loop:
        values = []
        arrays = zip(
            source.accesses, places, source.lane_strides, source.k_strides[-1], strict=True
        )
        for access, place, stride, near in arrays:
            at = f.gep(place, f.mul(loop.index, stride), access.elem)
            values.append(load_strided(f, at, access.elem, lanes, near, mask))
        value = joined(f, source, values)
        f.store(value, f.gep(stage, f.mul(loop.index, lanes), source.elem))


def transpose_function(module: Module, elem: str, lanes: int, written: int = 0) -> Function:
    """`(source, source stride, target, target stride, rows, columns)`: a square block.

    target[c][r] = source[r][c] for r < rows, c < columns. Further rows repeat the last one, and
    all `lanes` target rows are written, `written` elements each (0: all). One function of a kind
    per module: its shuffles are dear to compile.
    """
    written = written or lanes
    name = f"transpose_{elem}_{lanes}" + (f"_{written}" if written < lanes else "")
    if name in module.functions:
        return module.functions[name]
    f = module.function(
        name,
        [("ptr", "s"), ("i64", "ss"), ("ptr", "t"), ("i64", "ts")]
        + [("i64", "rows"), ("i64", "columns")],
        internal=True,
        inline=False,
    )
    source, source_stride, target, target_stride, rows, columns = f.arguments
    block = max(1, min(lanes, 16 // SIZES[elem]))
    stage = f.alloca(elem, lanes * lanes)
    mask = f.lanes_below(columns, lanes)
    # First within 16-byte blocks, then the blocks themselves: every shuffle is one instruction
    # without an index vector. In loops, because shuffles are dear to compile.
    with f.loop(0, lanes, block) as loop:
        vectors = []
        for i in range(block):
            row = f.min(f.add(loop.index, i), f.sub(rows, 1))
            place = f.gep(source, f.mul(row, source_stride), elem)
            vectors.append(f.load(place, elem, lanes, mask=mask))
        at = f.gep(stage, f.mul(loop.index, lanes), elem)
        for i, vector in enumerate(_within_blocks(f, vectors, 1, block)):
            f.store(vector, f.gep(at, i * lanes, elem))
    mask = f.lanes_below(written, lanes) if written < lanes else None
    with f.loop(0, block) as loop:
        at = f.gep(stage, f.mul(loop.index, lanes), elem)
        parts = [
            f.load(f.gep(at, i * block * lanes, elem), elem, lanes) for i in range(lanes // block)
        ]
        for q, column in enumerate(_deal_blocks(f, parts, block)):
            row = f.mul(f.add(loop.index, q * block), target_stride)
            f.store(column, f.gep(target, row, elem), mask=mask)
    f.ret()
    return f


def _within_blocks(f: Function, rows: list[Value], unit: int, block: int) -> list[Value]:
    """Interleave units of neighbours, then of pairs of them, inside each block."""
    if len(rows) == 1:
        return rows
    lanes = rows[0].lanes
    picks: tuple[list[int], list[int]] = ([], [])
    for start in range(0, lanes, block):
        for half, out in enumerate(picks):
            for at in range(start + half * block // 2, start + (half + 1) * block // 2, unit):
                out += [*range(at, at + unit), *range(lanes + at, lanes + at + unit)]
    low, high = (
        [f.shuffle(a, b, out) for a, b in zip(rows[::2], rows[1::2], strict=True)] for out in picks
    )
    return _within_blocks(f, low, unit * 2, block) + _within_blocks(f, high, unit * 2, block)


def _deal_blocks(f: Function, rows: list[Value], block: int) -> list[Value]:
    """Transpose a square of blocks: deal even and odd blocks of neighbours, recursively."""
    if len(rows) == 1:
        return rows
    starts = range(0, 2 * rows[0].lanes, block)
    dealt = []
    for first in (0, 1):
        picks = [lane for start in starts[first::2] for lane in range(start, start + block)]
        joined_rows = [f.shuffle(a, b, picks) for a, b in zip(rows[::2], rows[1::2], strict=True)]
        dealt.append(_deal_blocks(f, joined_rows, block))
    return [column for pair in zip(*dealt, strict=True) for column in pair]
