"""Values between the cells of an image, at places that another tensor gives, as composites.

Places are coordinates in [-1, 1] along each axis. In and out: nodes [N, C, ...places].
"""

from __future__ import annotations

from itertools import product
from math import prod

from gemel.graph.form import int64
from gemel.graph.node import Node

from .contraction import contract
from .elementwise import ROUND, and_, cast, const, floor, ge, le, lt, stop_gradient, where
from .indexing import gather
from .movement import concat, iota, narrow, permute, reshape
from .resizing import CUBIC, cubic_kernel

Taps = list[tuple[Node, Node]]  # positions along an axis, with their shares


def _cell(place: Node, n: int, corners: bool) -> Node:
    """[-1, 1] as a position among n cells: from centre to centre (`corners`), or edge to edge."""
    if corners:
        return (place + 1.0) * ((n - 1) / 2)
    return ((place + 1.0) * float(n) - 1.0) * 0.5


def _clipped(at: Node, n: int) -> Node:
    """Kept inside; no gradient outside nor at the ends."""
    last = const(n - 1, at.dtype)
    at = where(le(at, 0.0), const(0, at.dtype), at)
    return where(ge(at, last), last, at)


def _reflected(at: Node, n: int, corners: bool) -> Node:
    """Mirrored at the outer cells' centres (`corners`) or edges, as often as needed."""
    low, span = (0.0, float(n - 1)) if corners else (-0.5, float(n))
    if span == 0.0:
        return at * 0.0
    away = at - low
    away = where(lt(away, 0.0), -away, away)
    turns = stop_gradient(floor(away / span))
    rest = away - turns * span
    even = lt(turns - floor(turns * 0.5) * 2.0, 0.5)
    return _clipped(where(even, rest, span - rest) + low, n)


def _inside(at: Node, n: int, border: str, corners: bool) -> Node:
    if border == "border":
        return _clipped(at, n)
    return _reflected(at, n, corners) if border == "reflection" else at


def _taps(place: Node, n: int, mode: str, border: str, corners: bool) -> Taps:
    at = _cell(place, n, corners)
    if mode == "cubic":
        first = stop_gradient(floor(at))
        return [
            (_inside(first + tap, n, border, corners), cubic_kernel(at - first - tap, CUBIC))
            for tap in (-1, 0, 1, 2)
        ]
    at = _inside(at, n, border, corners)
    if mode == "nearest":
        # a gradient of zeros, not of nothing, flows to the place
        return [(ROUND(at), (at - stop_gradient(at)) * 0.0 + 1.0)]
    first = stop_gradient(floor(at))
    share, one = at - first, const(1, at.dtype)
    return [(first, one - share), (first + one, share)]


def sample(x: Node, grid: Node, mode: str, border: str, corners: bool) -> Node:
    """x [N, C, ...sizes] at grid [N, ...places, axes], whose coordinates begin with the last axis.

    mode 'nearest', 'linear' or 'cubic'; border 'zeros', 'border' or 'reflection'. Jaderberg et al.
    2015, Spatial Transformer Networks.
    """
    sizes, batch, channels = x.shape[2:], x.shape[0], x.shape[1]
    rank, places = len(sizes), grid.shape[1:-1]
    flat = reshape(grid, (batch, prod(places), rank))
    along = [
        _taps(reshape(narrow(flat, 2, rank - 1 - i, 1), flat.shape[:2]), n, mode, border, corners)
        for i, n in enumerate(sizes)
    ]
    cells = prod(sizes)
    rows = reshape(permute(x, (0, *range(2, x.ndim), 1)), (batch * cells, channels))
    start = iota(flat.shape[:2], 0, int64) * cells
    total = None
    for taps in product(*along):
        part = _met(rows, start, taps, sizes)
        total = part if total is None else total + part
    y = reshape(permute(total, (0, 2, 1)), (batch, channels, *places))
    return y


def _met(rows: Node, start: Node, taps, sizes) -> Node:
    """One combination of taps: its cells [N, places, C] times its shares, 0 where outside."""
    hit, share = None, None
    index = const(0, int64)
    for (at, own), n in zip(taps, sizes, strict=True):
        within = and_(ge(at, 0.0), lt(at, float(n)))
        hit = within if hit is None else and_(hit, within)
        index = index * n + cast(where(within, at, const(0, at.dtype)), int64)
        share = own if share is None else share * own
    found = gather(rows, index + start, 0)
    weight = where(hit, share, const(0, rows.dtype))
    return found * reshape(weight, (*weight.shape, 1))


def affine_grid(theta: Node, sizes: tuple[int, ...], corners: bool) -> Node:
    """theta [N, axes, axes + 1] applied to the coordinates of all cells: [N, ...sizes, axes]."""
    rank = len(sizes)
    columns = []
    for axis in reversed(range(rank)):
        n = sizes[axis]
        at = cast(iota((*sizes, 1), axis, int64), theta.dtype)
        reach = (n - 1 if corners else n) / 2
        columns.append((at - (n - 1) / 2) * (1 / reach if reach else 0.0))
    ones = columns[0] * 0.0 + 1.0
    base = reshape(concat([*columns, ones], rank), (prod(sizes), rank + 1))
    y = contract(base, theta, (0, 1), (2, 3, 1), (2, 0, 3))
    return reshape(y, (theta.shape[0], *sizes, rank))
