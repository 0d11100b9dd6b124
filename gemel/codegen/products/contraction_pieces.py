"""How the tiles of a contraction are dealt to pieces that may run on different threads.

Role: cut batches, column panels and row panels into equal blocks; a piece is one block of each,
with all of k. Input: counts and estimated cycles. Output: `Pieces`. Invariant: the cut follows
from sizes alone. Neighbouring pieces share their columns, which then lie in the cache.

An operand that many pieces need in packed form is packed once, by a stage before (`ahead`); one
that a single piece needs is packed by that piece in its own scratch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from gemel.codegen.blocks import even_block
from gemel.codegen.sizes import is_size

if TYPE_CHECKING:
    from gemel.codegen.products.contraction_plan import Plan

# Less work than this many cycles does not pay a hand-over to another thread.
_PIECE_CYCLES = 50_000
# Fewer bytes of a matrix, fetched for few rows, neither. Such pieces are as many as a power of two:
# there are few of them, they should be equal for any even number of threads, and two threads that
# meet the matrix again and again have a half each in their caches.
_FETCHED = 384 << 10
# Enough to keep many cores busy to the end.
_PIECES = 128
# A batch is not cut for pieces this many times smaller.
_WHOLE = 4
# Row panels of a piece that pay for fetching its columns.
_HIGH = 4
# The same where a piece fetches them again for each block of k.
_HIGH_BLOCKS = 24
# A sum is cut into shares of at least so many values until there are so many pieces: few of a large
# result, whose shares take a while to add.
_SHARE = 512
_SHARED_PIECES = 32
_ENOUGH_PIECES = 6
_SMALL = 32  # tiles
# Columns of a matrix that is read as it lies: shorter runs are slow to fetch.
_RUN = 4096
# Elements that one piece packs, about.
_PACKED = 1 << 16
# Rows of a matrix that are packed together.
TOGETHER = 16
# More memory than this is not spent on packed operands; pieces then pack for themselves.
_AHEAD_BYTES = 128 << 20
_LONE_ROWS = 512


@dataclass(frozen=True)
class Pieces:
    """How many batches, column panels and row panels a piece has; which operands come packed."""

    batches: int
    columns: int
    rows: int
    ahead_left: bool = False
    ahead_right: bool = False


def cut(plan: Plan) -> Pieces:
    """Blocks of about equal work; an operand that lasts is packed ahead."""
    found = _blocks(plan)
    left, right = plan.contraction.lasting[:: -1 if plan.swapped else 1]
    return replace(
        found,
        ahead_left=found.ahead_left or plan.pack_left and left and not plan.dot,
        ahead_right=found.ahead_right or plan.pack_right and right,
    )


def _blocks(plan: Plan) -> Pieces:
    rows, columns, batches = plan.row_panels, plan.column_panels, plan.batches
    tiles = rows * columns
    count = _count(plan)
    if count < 2:
        # Few rows meet one panel of columns after the other; all of them must be at hand.
        return Pieces(max(1, batches), columns, rows, plan.pack_left and plan.few_rows)
    each = max(1, int(tiles * batches / count))
    if each * _WHOLE >= tiles and batches > 1 or each >= tiles:
        several = even_block(batches, max(1, each // tiles))
        return Pieces(several, columns, rows, plan.pack_left and plan.few_rows)
    high, wide = _sides(plan, each)
    ahead_left = plan.pack_left and not plan.dot and (wide < columns or plan.few_rows)
    ahead_right = plan.pack_right and high < rows
    if plan.ahead_bytes(ahead_left, ahead_right) > _AHEAD_BYTES:
        high = even_block(rows, max(high, _LONE_ROWS // plan.mr))
        return Pieces(1, wide, high)
    return Pieces(1, wide, high, ahead_left, ahead_right)


def _count(plan: Plan) -> float:
    """Into how many pieces it is cut, about; less than 2 for none."""
    if plan.empty:
        return 0
    count = plan.cycles / _PIECE_CYCLES
    if plan.fetched >= 2 * _FETCHED:
        count = max(count, plan.fetched // _FETCHED)
        count = 1 << int(count).bit_length() - 1
    return min(_PIECES, count)


def _sides(plan: Plan, each: int) -> tuple[int, int]:
    """Row and column panels of a piece of about `each` tiles."""
    rows, columns = plan.row_panels, plan.column_panels
    if plan.few_rows:
        return rows, even_block(columns, max(1, each // rows))
    # Rows are cheap to fetch anew for other columns, columns are not for other rows.
    wide = even_block(columns, plan.column_block)
    least = 1 if plan.dot or plan.pack_right else ceil(_RUN / plan.nr)
    least_high = _HIGH_BLOCKS if plan.k_blocks > 1 and plan.pack_right else _HIGH
    high = min(rows, max(each // wide, least_high))
    if high == rows:
        wide = min(wide, max(least, each // rows))
    return even_block(rows, high), even_block(columns, wide)


def shares_of(plan: Plan) -> tuple[int, int] | None:
    """The axis of a long sum, and how much of it makes a share, where the results alone give too
    few pieces."""
    spec = plan.contraction
    if plan.empty or plan.void or plan.cycles < 2 * _PIECE_CYCLES or any(map(is_size, spec.sizes)):
        return None
    # A small result is not cut besides: its operands would be fetched once for each piece.
    small = plan.row_panels * plan.column_panels <= _SMALL
    most = _SHARED_PIECES if small else _ENOUGH_PIECES
    wanted = min(most, int(plan.cycles / _PIECE_CYCLES))
    count = min(wanted // (1 if small else plan.stages()[-1]), plan.depth // _SHARE)
    if count < 2:
        return None
    summed = [n if reduced else 0 for n, reduced in zip(spec.sizes, spec.reduced, strict=True)]
    axis = summed.index(max(summed))
    # Equal shares, where some number of them allows it.
    for even in range(count, count // 2, -1):
        if summed[axis] % (even * plan.lanes) == 0:
            return axis, summed[axis] // even
    size = ceil(ceil(summed[axis] / count) / plan.lanes) * plan.lanes
    return (axis, size) if size < summed[axis] else None


def odd_columns(plan: Plan) -> tuple[int, int] | None:
    """The axis of the columns, and how many of them fill whole vectors, when few are left over."""
    spec = plan.contraction
    columns = plan.columns[-1].size
    if is_size(columns):
        return None
    rest = columns % plan.lanes
    if plan.empty or plan.dot or len(plan.columns) > 1 or not 0 < rest <= 4 or columns == rest:
        return None
    for axis, (size, reduced) in enumerate(zip(spec.sizes, spec.reduced, strict=True)):
        if size == columns and not reduced and any(a.strides[axis] for a in plan.right):
            if not any(a.strides[axis] for a in plan.left):
                return axis, columns - rest
    return None


def packing_block(total: int, elements: int, unit: int = 1) -> int:
    """How many panels (or rows) of so many elements one piece packs: a multiple of `unit`."""
    block = even_block(total, max(1, _PACKED // max(1, elements), ceil(total / _PIECES)))
    return ceil(block / unit) * unit
