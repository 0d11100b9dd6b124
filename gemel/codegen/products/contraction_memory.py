"""What a contraction does because memory is slow: which panels it asks for, what it stores past.

Role: the parts of a plan that follow from operands and results that outgrow the caches. Input: an
option under way, with its tile. Output: flags of the `Plan`. Like all of a plan they follow from
sizes and strides alone, and no result depends on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod
from typing import TYPE_CHECKING

from gemel.codegen.blocks import LINE
from gemel.codegen.sizes import is_size
from gemel.codegen.values import SIZES
from gemel.runtime.machine import machine

if TYPE_CHECKING:
    from gemel.codegen.products.contraction_plan import Axis, Option, Plan

# Sums of at most so many values take no longer than reading what they are stored over, nearly.
_SHORT = 512
_STEPS_AHEAD = 12
_ANSWERED = 64  # steps of k, which take longer than memory takes to answer
_FOLLOWED = 8  # rows side by side
_FORESEEN = 4 << 10  # bytes of a row
# Rows that read a matrix where it lies, however large it is.
FEW_ROWS = 64
_MANY_ROWS = 1024


def near_columns(option: Option) -> bool:
    """A matrix that is read as it lies, and stays in the second cache while many rows meet it."""
    if not option.plain():
        return False
    # Vectors that straddle cache lines cost two loads, in every row panel again.
    row_bytes = abs(option.k[-1].strides[option.left_count]) * option.itemsize
    rows = prod(axis.size for axis in option.rows)
    room = option.machine.l2 // (4 if option.few_rows() else 2)
    return rows > FEW_ROWS and row_bytes % LINE == 0 and column_bytes(option) <= room


def column_bytes(option: Option) -> int:
    """All columns of one batch."""
    return prod(axis.size for axis in option.columns) * option.depth * option.itemsize


def longest_panel(option: Option, nr: int) -> int:
    """Values of k for which so many columns stay in the first cache, beside the rows."""
    return max(1, option.machine.l1 * 2 // 3 // (nr * option.itemsize))


def parts_of_k(option: Option, nr: int) -> int:
    """Blocks of k of few rows, which pack a panel of so many columns when they use it."""
    if not option.few_rows() or option.lasting[1]:
        return 1
    most = longest_panel(option, nr)
    return 1 if option.depth <= most * 3 // 2 else ceil(option.depth / most)


def most_of_k(option: Option, rows: bool, columns: bool) -> tuple[int, int]:
    """How long blocks of k are, and how long one is that is not cut. rows, columns: are they
    packed?"""
    most = option.machine.l1 // 2 // (option.mr * option.itemsize)
    nr = option.vectors * option.lanes
    many = prod(axis.size for axis in option.rows) >= _MANY_ROWS
    if columns and (option.few_rows() or _is_narrow(option) and many and not rows):
        # Many rows that lie apart are slow to fetch beside columns from the second cache.
        most = longest_panel(option, nr)
    elif columns:
        # A panel of columns stays in the second cache, and its sums in registers.
        most = max(most, option.machine.l2 // 2 // (nr * option.itemsize))
        return most, most
    return most, most * 3 // 2


def columns_past(option: Option) -> bool:
    """Packed columns that the second cache cannot hold are not brought into it first."""
    return column_bytes(option) > option.machine.l2 // 2 and option.contraction.elem != "i1"


def rows_at_a_time(option: Option) -> int:
    """How many rows of a matrix that is read as it lies are used at a time, so that they stay in
    the cache. Machines of narrow vectors lose track of more than a few."""
    if _is_narrow(option):
        return _FOLLOWED
    row_bytes = option.columns[-1].size * option.itemsize
    return max(8, min(256, option.machine.l2 // 8 // row_bytes))


def _is_narrow(option: Option) -> bool:
    return option.lanes * option.itemsize < LINE


def _unforeseen(option: Option) -> bool:
    """Rows that a single row meets, and that end before such a machine has noticed them."""
    one = prod(axis.size for axis in option.rows) == 1
    row_bytes = option.columns[-1].size * option.itemsize
    return one and option.plain() and _is_narrow(option) and row_bytes <= _FORESEEN


def steps_ahead(option: Option, panel_bytes: int, packed: bool) -> int:
    """How far ahead a panel of columns is asked for: where the first cache does not hold it and
    no machine foresees it."""
    if not packed and not option.dot and _unforeseen(option):
        return _FOLLOWED
    if packed:
        far = panel_bytes > option.machine.l1 * 2 // 3
    else:
        far = near_columns(option) and column_bytes(option) > option.machine.l2 // 4
    return _STEPS_AHEAD if far else 0


def ask_rows(option: Option, columns: int) -> bool:
    """Rows that are read as they lie, and once or twice only, come from far away."""
    if option.dot or option.left_count > 1 or columns > 2 or option.k[-1].strides[0] != 1:
        return False
    near = len(option.k) == 1 and option.rows[-1].strides[0] == option.depth
    return _bytes(option, option.rows) > (option.machine.l1 if near else option.machine.l2)


def ask_columns(option: Option) -> bool:
    """So do columns that each panel of rows meets before the next ones are packed: other kernels
    have had the second cache since the last time, where they are a good part of it."""
    large = _bytes(option, option.columns) > option.machine.l2 // 16
    return large and option.few_rows() and option.right_count == 1


def _bytes(option: Option, group: Sequence[Axis]) -> int:
    return prod(axis.size for axis in (*group, *option.k, *option.batch)) * option.itemsize


def large_results(option: Option) -> tuple[int, ...]:
    """Tile arrays of whole aligned vectors that the caches cannot hold, of sums so short that
    memory limits them: storing past the caches saves reading them first. (Where rows are many, the
    tiles of a row follow each other, and the machine foresees them.)"""
    groups = (*option.batch, *option.rows, *option.columns)
    size = prod(axis.size for axis in groups) * option.itemsize
    short = option.depth <= _SHORT and option.few_rows()
    if option.dot or not short or size < 4 * option.machine.l2:
        return ()
    slots = range(len(option.contraction.tile))
    return tuple(slot for slot in slots if _stores_whole_vectors(option, slot))


def results_ahead(plan: Plan) -> tuple[int, ...]:
    """Tile arrays in rows of whole lines, of which a tile asks for its own before it multiplies:
    they outgrow the second cache, and sums are long enough for memory to answer. Machines of narrow
    vectors wait for them otherwise."""
    host = machine()
    groups = (*plan.batch, *plan.rows, *plan.columns)
    count = prod(axis.size for axis in groups)
    if host.vector_bytes >= LINE or plan.dot or is_size(count) or is_size(plan.depth):
        return ()
    if plan.k_blocks > 1 or plan.depth < _ANSWERED:
        return ()
    first = len(plan.left) + len(plan.right)
    strides = plan.columns[-1].strides[first:]
    return tuple(
        slot
        for slot, array in enumerate(plan.contraction.tile)
        if strides[slot] == 1 and count * SIZES[array.elem] > host.l2 and slot not in plan.past
    )


def _stores_whole_vectors(option: Option, slot: int) -> bool:
    accesses = option.contraction.tile
    first = option.left_count + option.right_count
    others = (*option.batch, *option.rows, *option.columns[:-1])
    steps = [axis.strides[first + slot] for axis in others if axis.size > 1]
    whole = all(step and step % option.lanes == 0 for step in steps)
    # An array that lies the same way may be the same memory, and in the caches.
    alone = sum(other.strides == accesses[slot].strides for other in accesses) == 1
    elem = accesses[slot].elem
    whole = whole and SIZES[elem] == option.itemsize and elem != "i1"
    return whole and alone and option.columns[-1].strides[first + slot] == 1
