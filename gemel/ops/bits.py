"""The same bits read as cells of another type, which may be larger or smaller."""

from __future__ import annotations

from gemel.graph.form import DType, bool_, float32, float64, uint8, uint16, uint32, uint64
from gemel.graph.node import Node

from .complex import as_complex, as_real
from .elementwise import BITCAST, cast, const, ne, or_, shl, shr
from .movement import expand, iota, reshape, slice_

_WHOLE = {1: uint8, 2: uint16, 4: uint32, 8: uint64}
_PARTS = {8: float32, 16: float64}  # bytes of a complex type -> the type of its parts


def _to_whole(x: Node) -> Node:
    """The bits of each cell as a whole number."""
    dtype = _WHOLE[x.dtype.itemsize]
    if x.dtype is bool_:
        return cast(x, uint8)
    return x if x.dtype is dtype else BITCAST(x, attrs=(dtype,))


def _of_whole(x: Node, dtype: DType) -> Node:
    if dtype is bool_:
        return ne(x, 0)
    return x if x.dtype is dtype else BITCAST(x, attrs=(dtype,))


def reinterpret(x: Node, dtype: DType) -> Node:
    """x's memory as cells of dtype; the last axis grows or shrinks where the sizes differ."""
    if x.dtype is dtype:
        return x
    if x.dtype.is_complex:
        real = as_real(x)
        parts = reshape(real, (*x.shape[:-1], x.shape[-1] * 2)) if x.ndim else real
        return reinterpret(parts, dtype)
    if dtype.is_complex:
        part = reinterpret(x, _PARTS[dtype.itemsize])
        return as_complex(reshape(part, (*part.shape[:-1], part.shape[-1] // 2, 2)))
    have, want = x.dtype.itemsize, dtype.itemsize
    bits = _to_whole(x)
    if have > want:
        bits = _split(bits, _WHOLE[want])
    elif have < want:
        bits = _joined(bits, _WHOLE[want])
    return _of_whole(bits, dtype)


def _split(x: Node, dtype: DType) -> Node:
    """Each cell as several smaller ones, the lowest bits first."""
    count = x.dtype.itemsize // dtype.itemsize
    wide = expand(reshape(x, (*x.shape, 1)), (*x.shape, count))
    places = _multiples(wide, dtype.bits)
    return reshape(cast(shr(wide, places), dtype), (*x.shape[:-1], x.shape[-1] * count))


def _multiples(x: Node, step: int) -> Node:
    return iota(x.shape, x.ndim - 1, x.dtype) * const(step, x.dtype)


def _joined(x: Node, dtype: DType) -> Node:
    """Several cells as one larger, the lowest bits first."""
    count = dtype.itemsize // x.dtype.itemsize
    rows = cast(reshape(x, (*x.shape[:-1], x.shape[-1] // count, count)), dtype)
    whole = [(0, n, 1) for n in rows.shape[:-1]]
    found = None
    for k in range(count):
        part = reshape(slice_(rows, [*whole, (k, k + 1, 1)]), rows.shape[:-1])
        part = shl(part, k * x.dtype.bits) if k else part
        found = part if found is None else or_(found, part)
    assert found is not None
    return found
