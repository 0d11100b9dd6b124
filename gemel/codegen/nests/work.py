"""How long a nest takes, roughly: enough to decide whether threads pay, and into how many pieces.

Role: a cost model. Input: a `Nest`. Output: nanoseconds on one core, within a factor of two or so
of what a server core of today takes. Only shapes and expressions count, so that the pieces of a
nest are the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from gemel.codegen.nest import Expr, Nest, accesses, children
from gemel.codegen.sizes import hint, is_size, is_symbol

EXPENSIVE = {"exp", "log", "log1p", "expm1", "tanh", "sigmoid", "erf", "sin", "cos", "pow"}
SIMPLE_COST = 0.02  # nanoseconds per value of an addition and the like
EXPENSIVE_COST = 0.3
DIVISION_COST = 0.1
BYTE_COST = 0.03  # nanoseconds per byte read or written
GATHER_COST = 1.0  # per value, where neighbouring lanes lie apart
MOST_SPILLED = 4096  # cells of a row that are kept where their number is known at run time
DEEP = 0.6  # nanoseconds on one path from which on a cell waits for itself


def is_deep(cells: Iterable[Expr]) -> bool:
    """Does a cell's value come by way of several expensive ones? (arguments first)"""
    depth: dict[int, float] = {}
    for e in cells:
        before = max((depth.get(id(a), 0.0) for a in e.args), default=0.0)
        depth[id(e)] = before + (_apply_cost(e) if e.kind == "apply" else 0.0)
    return max(depth.values(), default=0.0) >= DEEP


def spilled_cells(cells: int) -> int | None:
    """For how many cells of a row there must be room on the stack; None where that may be any
    number, so that values are computed again."""
    if not is_size(cells):
        return cells
    few = is_symbol(cells) and hint(cells) <= MOST_SPILLED and cells <= MOST_SPILLED
    return MOST_SPILLED if few else None


def _apply_cost(e: Expr) -> float:
    """Nanoseconds of a value of 4 bytes."""
    name = e.payload[0]
    cost = DIVISION_COST if name in ("div", "sqrt", "mod") else SIMPLE_COST
    return EXPENSIVE_COST if name in EXPENSIVE else cost


def nest_work(nest: Nest) -> float:
    """Estimated nanoseconds."""
    total = 0.0
    for e in children(nest.stores):
        if e.kind == "apply":
            total += _apply_cost(e) * _cells(nest, e.axes) * e.dtype.itemsize / 4
        elif e.kind == "reduce":
            total += SIMPLE_COST * _cells(nest, e.args[0].axes | e.payload[1])
        elif e.kind == "pick":
            total += GATHER_COST * _cells(nest, e.axes)
    sizes = {s.target: s.value.dtype.itemsize for s in nest.stores}
    for a in accesses(nest.stores):
        apart = nest.lanes is not None and a.stride(nest.lanes) not in (0, 1)
        cost = GATHER_COST if apart else BYTE_COST * sizes.get(a, 4)
        total += cost * _cells(nest, a.axes())
    return total


def _cells(nest: Nest, axes) -> int:
    return math.prod(hint(nest.sizes[a]) for a in axes)
