"""PyTorch's rules for the result type of an operation, applied to nodes by inserting casts.

There are three ranks of operands: tensors with dimensions, tensors without, Python numbers. A lower
rank changes the result only where it is of a higher category (bool < integer < floating point <
complex).
"""

from __future__ import annotations

from gemel.graph.form import (
    DType,
    bool_,
    complex64,
    complex128,
    float32,
    float64,
    int8,
    int16,
    uint8,
)
from gemel.graph.node import Node
from gemel.ops.elementwise import cast
from gemel.ops.record import is_number

from . import dtypes


def promote_types(a: DType, b: DType) -> DType:
    """The smallest type that holds both, as PyTorch has it."""
    if a is b:
        return a
    if a.kind == "c" or b.kind == "c":
        return _complex(a, b)
    if a.kind == "f" or b.kind == "f":
        return _floating(a, b)
    if a.kind == "u" or b.kind == "u":
        return _with_unsigned(a, b)
    if a is bool_ or b is bool_:
        return b if a is bool_ else a
    return _wider(a, b)


def _wider(a: DType, b: DType) -> DType:
    return a if a.itemsize >= b.itemsize else b


def _complex(a: DType, b: DType) -> DType:
    for x in (a, b):
        if x.kind == "u" and x is not uint8:
            raise _unsigned_error(a, b)
    return complex128 if complex128 in (a, b) or float64 in (a, b) else complex64


def _floating(a: DType, b: DType) -> DType:
    if a.kind != b.kind:
        return a if a.kind == "f" else b
    return float32 if a.half and b.half else _wider(a, b)


def _with_unsigned(a: DType, b: DType) -> DType:
    unsigned, other = (a, b) if a.kind == "u" else (b, a)
    if unsigned is not uint8 or other.kind == "u":
        raise _unsigned_error(a, b)
    if other is bool_:
        return unsigned
    return int16 if other is int8 else other


def _unsigned_error(a: DType, b: DType) -> RuntimeError:
    return RuntimeError(
        "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
        f"{dtypes.short_name(a)} and {dtypes.short_name(b)}"
    )


def _scalar_type(node: Node) -> DType:
    default = dtypes.get_default_dtype()
    if node.dtype.kind == "c":
        return default.to_complex().engine
    return default.engine if node.dtype.kind == "f" else node.dtype


def _joined(higher: DType | None, lower: DType | None) -> DType | None:
    """The type of two ranks together: the higher rank's, unless the lower is of more category."""
    if higher is None or lower is None:
        return lower if higher is None else higher
    if higher.kind == "c":
        return higher
    if higher.kind == "f":
        return dtypes.FACE[higher].to_complex().engine if lower.kind == "c" else higher
    if higher is bool_ or lower.kind in "fc":
        return promote_types(higher, lower)
    return higher


def result_type(*nodes: Node) -> DType:
    """The type that an arithmetic operation of these operands computes in."""
    first = nodes[0].dtype
    if all(n.dtype is first and not is_number(n) for n in nodes):
        return first
    ranks: list[DType | None] = [None, None, None]
    for n in nodes:
        scalar = is_number(n)
        rank = 2 if scalar else 0 if n.ndim else 1
        own = _scalar_type(n) if scalar else n.dtype
        known = ranks[rank]
        ranks[rank] = own if known is None else promote_types(known, own)
    found = _joined(_joined(ranks[0], ranks[1]), ranks[2])
    assert found is not None
    return found


def promoted(*nodes: Node) -> tuple[Node, ...]:
    """The operands cast to their result type."""
    dtype = result_type(*nodes)
    return tuple(cast(n, dtype) for n in nodes)


def as_float(*nodes: Node) -> tuple[Node, ...]:
    """The same for operations with floating-point results: integers become the default type."""
    dtype = result_type(*nodes)
    if dtype.kind not in "fc":
        dtype = dtypes.get_default_dtype().engine
    return tuple(cast(n, dtype) for n in nodes)


_SAFE = {"b": "buifc", "u": "uifc", "i": "uifc", "f": "fc", "c": "c"}


def can_cast(source: DType, target: DType) -> bool:
    """May an in-place operation with result `source` be stored as `target`?"""
    return target.kind in _SAFE[source.kind]


def check_cast(source: DType, target: DType) -> None:
    """RuntimeError in PyTorch's words where `can_cast` is False."""
    if not can_cast(source, target):
        raise RuntimeError(
            f"result type {dtypes.short_name(source)} can't be cast to the desired output type "
            f"{dtypes.short_name(target)}"
        )
