"""Running sums, sorting and picking along an axis, as composites.

Sorting is a native function of integer keys: values become keys whose order is theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gemel.codegen import sort_kernel
from gemel.codegen.order_kernel import merging_turns
from gemel.graph.errors import DTypeError, NotForComplex
from gemel.graph.form import Form, form, int64, uint64
from gemel.graph.node import Node

from .elementwise import (
    BITCAST,
    NOT,
    SIGNED_BITS,
    add,
    and_,
    cast,
    const,
    eq,
    is_nan,
    lt,
    mul,
    or_,
    shl,
    sub,
    where,
    xor,
)
from .indexing import gather, scatter_add, scatter_set
from .movement import iota, narrow, pad, permute, reshape, slice_, zeros
from .random import Native


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


def flat_positions(index: Node, shape: tuple[int, ...], axis: int) -> Node:
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
    return gather(reshape(x, (x.form.size,)), flat_positions(index, x.shape, axis), 0)


def put_along(base: Node, index: Node, value: Node, axis: int, adding: bool) -> Node:
    """base with value's cells put at (or added to) the places that `take_along` would read."""
    put = scatter_add if adding else scatter_set
    count = (index.form.size,)
    at = reshape(flat_positions(index, base.shape, axis), count)
    flat = put(reshape(base, (base.form.size,)), at, reshape(value, count), 0)
    return reshape(flat, base.shape)


def _two_halves(attrs, keys: Form) -> Form:
    if keys.dtype is not int64 or keys.ndim != 2:
        raise DTypeError("sort", "rows of int64 keys are needed", (keys,))
    rows, n = keys.shape
    return form((rows, 2, n), int64)


def _order_reference(attrs, keys):
    rows, n = keys.shape
    out = np.zeros((rows, 2, n), np.int64)
    out[:, merging_turns(n) % 2] = np.argsort(keys, axis=1, kind="stable")
    return out


# keys [rows, n] -> [rows, 2, n]: the positions that sort each row are the half number
# `merging_turns(n) % 2`, the other half is scratch
ORDER = Native("order", _two_halves, _order_reference)


def _sort_reference(attrs, keys):
    rows, n = keys.shape
    out = np.zeros((rows, 2, n), np.int64)
    out[:, sort_kernel.merging_turns(n) % 2] = np.sort(keys, axis=1)
    return out


# keys [rows, n] -> [rows, 2, n]: the sorted keys are the half number
# `sort_kernel.merging_turns(n) % 2`; n is one of `sort_kernel.padded`
SORT = Native("sort", _two_halves, _sort_reference)


def sorting_keys(x: Node, descending: bool) -> Node:
    """int64 keys in the order of the values; NaN counts as the largest value."""
    if x.dtype.is_float:
        wide = SIGNED_BITS[x.dtype.itemsize]
        x = where(eq(x, 0.0), const(0, x.dtype), x)  # one zero
        bits = BITCAST(where(is_nan(x), const(math.nan, x.dtype), x), attrs=(wide,))
        # below zero the bits count downwards
        flip = (1 << (wide.bits - 1)) - 1
        x = where(lt(bits, 0), xor(bits, flip), bits)
    keys = cast(x, int64)
    if x.dtype.kind == "u" and x.dtype.itemsize >= 4:  # the highest bit is a value's, not a sign
        keys = xor(keys, -(1 << 63)) if x.dtype is uint64 else sub(keys, 1 << 31)
    return NOT(keys) if descending else keys


def sorting_order(x: Node, axis: int, descending: bool = False) -> Node:
    """The indices that sort x along the axis; equal values keep their order."""
    if x.dtype.is_complex:
        raise NotForComplex("sort", "not implemented for complex numbers", (x.form,))
    if x.ndim == 0 or x.shape[axis] <= 1:
        return zeros(x.shape, int64)
    axes = [d for d in range(x.ndim) if d != axis] + [axis]
    turned = permute(x, axes)
    n = turned.shape[-1]
    rows = turned.form.size // n
    if not rows:
        return zeros(x.shape, int64)
    keys = reshape(sorting_keys(turned, descending), (rows, n))
    short = x.dtype.itemsize <= 4 and n < 1 << 31
    found = _order_of_short(keys) if short else _order_of_long(keys)
    found = reshape(found, turned.shape)
    back = [axes.index(d) for d in range(x.ndim)]
    return permute(found, back)


def _order_of_long(keys: Node) -> Node:
    halves = ORDER(keys)
    return narrow(halves, 1, merging_turns(keys.shape[1]) % 2, 1)


def _order_of_short(keys: Node) -> Node:
    """Keys of 32 bits and their positions are sorted as one number: equal keys keep their order."""
    rows, n = keys.shape
    joined = or_(shl(keys, 32), iota(keys.shape, 1, int64))
    m = sort_kernel.padded(n)
    joined = pad(joined, [(0, 0), (0, m - n)], (1 << 63) - 1)
    half = narrow(SORT(joined), 1, sort_kernel.merging_turns(m) % 2, 1)
    return and_(narrow(reshape(half, (rows, m)), 1, 0, n), 0xFFFFFFFF)


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
