"""Running sums, sorting and picking along an axis, as composites.

Sorting counts, for every value, those that come before it: n * n comparisons along the axis that
fuse into one reduction. It suits the short axes of everyday programs (thousands, not millions).
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.graph.form import int64
from gemel.graph.node import Node

from .elementwise import NOT, add, and_, cast, eq, is_nan, lt, mul, or_, where
from .indexing import gather, scatter_add, scatter_set
from .movement import expand, iota, narrow, pad, permute, reshape, slice_, zeros
from .reduction import sum_


def scan(x: Node, axis: int, combine: Callable[[Node, Node], Node], neutral) -> Node:
    """Running combination along the axis, in log2(n) steps of doubling reach."""
    reach = 1
    while reach < x.shape[axis]:
        head = narrow(x, axis, 0, x.shape[axis] - reach)
        widths = [(reach, 0) if d == axis else (0, 0) for d in range(x.ndim)]
        x = combine(pad(head, widths, neutral), x)
        reach *= 2
    return x


def running_sum(x: Node, axis: int) -> Node:
    return scan(x, axis, add, 0) if x.ndim else x


def running_product(x: Node, axis: int) -> Node:
    return scan(x, axis, mul, 1) if x.ndim else x


def _flat_positions(index: Node, shape: tuple[int, ...], axis: int) -> Node:
    """Positions in the flattened tensor of the cells that index names along the axis."""
    flat = zeros(index.shape, int64)
    stride = 1
    for d in reversed(range(len(shape))):
        along = cast(index, int64) if d == axis else iota(index.shape, d, int64)
        flat = flat + along * stride
        stride *= shape[d]
    return flat


def take_along(x: Node, index: Node, axis: int) -> Node:
    """out[i][j] = x[index[i][j]][j] for axis 0 of two, and so on; index has x's rank."""
    if x.ndim == 0:
        return reshape(gather(reshape(x, (1,)), reshape(index, (1,)), 0), ())
    return gather(reshape(x, (x.form.size,)), _flat_positions(index, x.shape, axis), 0)


def put_along(base: Node, index: Node, value: Node, axis: int, adding: bool) -> Node:
    """base with value's cells put at (or added to) the places that `take_along` would read."""
    put = scatter_add if adding else scatter_set
    count = (index.form.size,)
    at = reshape(_flat_positions(index, base.shape, axis), count)
    flat = put(reshape(base, (base.form.size,)), at, reshape(value, count), 0)
    return reshape(flat, base.shape)


def _before(a: Node, b: Node, descending: bool) -> Node:
    """Does a come before b? NaN counts as the largest value."""
    if descending:
        a, b = b, a
    less = lt(a, b)
    return or_(less, and_(is_nan(b), NOT(is_nan(a)))) if a.dtype.is_float else less


def ranks(x: Node, descending: bool = False) -> Node:
    """The place of each value along the last axis when sorted; equal values keep their order."""
    n = x.shape[-1]
    wide = x.shape + (n,)
    this = expand(reshape(x, x.shape + (1,)), wide)
    other = expand(reshape(x, x.shape[:-1] + (1, n)), wide)
    earlier = lt(iota(wide, x.ndim, int64), iota(wide, x.ndim - 1, int64))
    tie = NOT(or_(_before(this, other, descending), _before(other, this, descending)))
    first = or_(_before(other, this, descending), and_(tie, earlier))
    return sum_(cast(first, int64), x.ndim)


def sorting_order(x: Node, axis: int, descending: bool = False) -> Node:
    """The indices that sort x along the axis."""
    if x.ndim == 0:
        return zeros((), int64)
    axes = [d for d in range(x.ndim) if d != axis] + [axis]
    turned = permute(x, axes)
    where_to = ranks(turned, descending)
    place = iota(turned.shape, x.ndim - 1, int64)
    found = put_along(zeros(turned.shape, int64), where_to, place, x.ndim - 1, False)
    back = [axes.index(d) for d in range(x.ndim)]
    return permute(found, back)


def triangle(x: Node, offset: int, lower: bool) -> Node:
    """The last two axes with zeros above (lower) or below the diagonal number `offset`."""
    rows = iota(x.shape, x.ndim - 2, int64)
    columns = iota(x.shape, x.ndim - 1, int64)
    out = lt(rows + offset, columns) if lower else lt(columns, rows + offset)
    return where(out, zeros((), x.dtype), x)


def identity(rows: int, columns: int, dtype) -> Node:
    """Ones on the diagonal."""
    shape = (rows, columns)
    return cast(eq(iota(shape, 0, int64), iota(shape, 1, int64)), dtype)


def take_diagonal(x: Node, a: int, b: int) -> Node:
    """The diagonal of two axes of one size n, as last axis."""
    n = x.shape[a]
    rest = [d for d in range(x.ndim) if d not in (a, b)]
    lead = tuple(x.shape[d] for d in rest)
    flat = reshape(permute(x, [*rest, a, b]), (*lead, n * n))
    step = [(0, m, 1) for m in lead] + [(0, n * n, n + 1)]
    return slice_(flat, step)
