"""The value of a rank, without sorting: a histogram of the leading digits tells in which of their
numbers it lies; then the next digits of what lies there are counted, and so on.

It is radix sorting from the highest digit on (Knuth, The Art of Computer Programming, volume 3,
5.2.5) of which only the part with the rank is followed.
"""

from __future__ import annotations

from gemel.graph.form import int64
from gemel.graph.node import Node

from .elementwise import add, and_, cast, eq, le, shr, stop_gradient, sub, where
from .indexing import gather
from .movement import full, iota, reshape, zeros
from .ordering import put_along, sorting_keys
from .reduction import argmax, sum_

DIGIT = 11  # bits: its counts stay in the cache nearest to the CPU
GROUP = 64  # bins
LONG = 4096  # elements from which counting is faster than sorting


def of_rank(x: Node, k: int) -> Node:
    """The element number k (from 0) of a vector in ascending order, NaN last: a scalar. Its
    gradient goes to the first element that is equal."""
    keys = sorting_keys(stop_gradient(x), False)
    found = _key_of_rank(keys, 8 * x.dtype.itemsize, k)
    at = argmax(cast(eq(keys, found), int64))
    return gather(x, at, 0)


def _key_of_rank(keys: Node, bits: int, k: int) -> Node:
    """The key of this rank. Those of a prefix that is known so far are counted by the digit that
    comes next; `left` of them are before it."""
    left = full((), k, int64)
    prefix = None
    for low in reversed(range(0, bits, DIGIT)):
        width = min(DIGIT, bits - low)
        if prefix is None:
            # the highest digit has a sign, or is that of an unsigned number
            digits, bins, lowest = shr(keys, low), 2 << width, 1 << width
            among = full(keys.shape, 1, int64)
        else:
            digits, bins, lowest = and_(shr(keys, low), (1 << width) - 1), 1 << width, 0
            among = cast(eq(shr(keys, low + width), prefix), int64)
        counts = put_along(zeros((bins,), int64), add(digits, lowest), among, 0, True)
        place, left = _bin_of(counts, left)
        found = sub(place, lowest)
        prefix = found if prefix is None else add(prefix * (1 << width), found)
    return prefix


def _bin_of(counts: Node, left: Node) -> tuple[Node, Node]:
    """The bin in which number `left` is, and its number there: its group first."""
    groups = reshape(counts, (counts.form.size // GROUP, GROUP))
    row, left = _passed(sum_(groups, 1), left)
    place, left = _passed(gather(groups, row, 0), left)
    return add(row * GROUP, place), left


def _passed(counts: Node, left: Node) -> tuple[Node, Node]:
    """How many counts, in their order, are passed before number `left`, and what is left then."""
    n = counts.form.size
    here, other = (iota((n, n), axis, int64) for axis in (0, 1))
    sums = sum_(where(le(other, here), counts, 0), 1)
    passed = le(sums, left)
    return sum_(cast(passed, int64)), sub(left, sum_(where(passed, counts, 0)))
