"""Results far larger than the caches are stored past them.

Role: saves reading the memory that is about to be overwritten. Input: a nest. Output: the stores
that qualify by shape, and the test whether they do when the kernel runs: vectors must be aligned,
and a result that takes the place of an operand is in the caches anyway.
"""

from __future__ import annotations

import math

from gemel.codegen.llvm import I64, Function, Value
from gemel.codegen.nest import Nest, Store, children
from gemel.codegen.sizes import divides, hint
from gemel.runtime.machine import machine


def streamed(nest: Nest) -> list[Store]:
    """Stores of whole aligned vectors into arrays that the second cache cannot hold."""
    if nest.lanes is None or any(e.kind == "reduce" for e in children(nest.stores)):
        return []
    return [s for s in nest.stores if _large(nest, s) and _aligned(nest, s)]


def _large(nest: Nest, s: Store) -> bool:
    cells = math.prod(hint(nest.sizes[a]) for a in s.target.axes())
    return cells * s.value.dtype.itemsize >= 2 * machine().l2


def _aligned(nest: Nest, s: Store) -> bool:
    width, size = nest.width, s.value.dtype.itemsize
    if s.adding or s.index is not None or s.target.stride(nest.lanes) != 1:
        return False
    steps = [stride for axis, stride in s.target.strides if axis != nest.lanes]
    whole = all(divides(width, step) for step in [s.target.offset, *steps])
    return whole and width * size == machine().vector_bytes and s.value.dtype.name != "bool"


def may_stream(f: Function, nest: Nest, stores: list[Store], pointers: list[Value]) -> Value:
    """Is every target aligned, and none of them an array that the nest reads?"""
    loads = [e.payload for e in children(nest.stores) if e.kind == "load"]
    loads += [e.payload[0] for e in children(nest.stores) if e.kind in ("pick", "edge")]
    free = f.constant(True, "i1")
    for number in dict.fromkeys(s.target.buffer for s in stores):
        target = f.value(f"ptrtoint ptr {pointers[number]} to i64", I64)
        free = free & f.compare("==", target & (machine().vector_bytes - 1), 0)
        for other in dict.fromkeys(a.buffer for a in loads):
            read = f.value(f"ptrtoint ptr {pointers[other]} to i64", I64)
            free = free & f.compare("!=", target, read)
    return free
