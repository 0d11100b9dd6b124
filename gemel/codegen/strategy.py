"""Which way a contraction is computed, and how its work is cut into pieces.

Role: the one entrance to contractions for those who emit kernels. Input: a `Contraction` and the
machine description. Output: a `Strategy`, which says how many pieces each of its stages has, how
much memory they need, and emits one of them. Stages run one after the other; the pieces of a stage
run in any order, on any thread. Invariant: the choice and the pieces depend on sizes and strides
only, never on the number of threads, so neither do results.

    strategy = choose(spec, machine())
    for stage, pieces in enumerate(strategy.stages):
        with f.loop(0, pieces) as loop:
            strategy.emit(f, stage, loop.index, pointers, epilogue)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gemel.codegen.llvm import Function, Operand
from gemel.codegen.products.contraction import Joins, Pointers, emit
from gemel.codegen.products.contraction_parts import Either, Shares, Together, sliced
from gemel.codegen.products.contraction_pieces import odd_columns, shares_of
from gemel.codegen.products.contraction_plan import EVEN_ROWS, Option, Plan, cheapest, plan
from gemel.codegen.products.contraction_spec import PLAIN, Contraction, Joined
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.sizes import LEAST, NeedsConstants, is_size, is_symbol
from gemel.runtime.machine import Machine

__all__ = ["Strategy", "Tiled", "choose"]

NO_JOINS: Joins = (None, None)
_NANOSECONDS = 0.4  # of a cycle, about


class Strategy(Protocol):
    """One way to compute one contraction.

    stages         how many pieces each stage has; () when there is nothing to do
    scratch_bytes  memory of the running thread, undefined at the start of a piece
    shared_bytes   memory of all pieces, alive from the first stage to the last
    work           estimated nanoseconds on one core
    prepares       optional: the operand ("left", "right") that stage 0 reads, when it only fills
                   shared memory that no later stage writes: it may be left out while that
                   operand stays the same
    """

    @property
    def stages(self) -> tuple[int, ...]: ...

    @property
    def scratch_bytes(self) -> int: ...

    @property
    def shared_bytes(self) -> int: ...

    @property
    def work(self) -> float: ...

    def emit(
        self,
        f: Function,
        stage: int,
        piece: Operand,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins = NO_JOINS,
    ) -> None:
        """Emit one piece of a stage at the builder's position."""

    def describe(self) -> str:
        """One line for people."""


class Tiled:
    """Tiles in registers over packed or direct panels: matrix products and what is like them."""

    def __init__(self, chosen: Plan):
        self.plan = chosen
        self.stages = chosen.stages()
        self.scratch_bytes = chosen.scratch_bytes
        self.shared_bytes = chosen.shared_bytes
        self.work = chosen.work * _NANOSECONDS
        self.prepares = self._prepares()

    def _prepares(self) -> str | None:
        cut = self.plan.pieces
        if not self.stages or cut.ahead_left == cut.ahead_right:
            return None
        return "left" if cut.ahead_left != self.plan.swapped else "right"

    def emit(
        self,
        f: Function,
        stage: int,
        piece: Operand,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins = NO_JOINS,
    ) -> None:
        """Emit one piece of a stage at the builder's position."""
        emit(f, self.plan, stage, piece, pointers, epilogue, joins)

    def describe(self) -> str:
        """One line for people: tile, packing, blocks."""
        return self.plan.describe()


def _by_rows(
    contraction: Contraction, machine: Machine, joined: Joined
) -> tuple[int, Plan, Plan] | None:
    """(rows, a plan for EVEN_ROWS of them and more, one for fewer), where it is known only when
    the program runs which of the two it needs."""
    best = cheapest(contraction, machine, joined)
    rows = best.sized.rows[-1].size
    if not is_symbol(rows):
        return None  # of a product of sizes there are enough, as a rule
    option = contraction, machine, best.swapped, best.joined
    return rows, Option(*option, EVEN_ROWS).plan(), Option(*option, LEAST).plan()


def _tiled(spec: Contraction, machine: Machine, joined: Joined) -> Strategy:
    def side_by_side(spec: Contraction) -> Strategy:
        return _side_by_side(lambda spec: Tiled(plan(spec, machine, joined=joined)), spec)

    varying = _by_rows(spec, machine, joined)
    if varying is not None:
        rows, many, few = varying
        return Either(rows, many.mr, Tiled(many), Tiled(few))
    whole = Tiled(plan(spec, machine, joined=joined))
    shares = shares_of(whole.plan)
    return Shares(side_by_side, spec, *shares) if shares else side_by_side(spec)


def _side_by_side(tiled: Callable[[Contraction], Tiled], spec: Contraction) -> Strategy:
    """Columns that do not fill a vector go to a strategy of their own where that is less work."""
    whole = tiled(spec)
    found = odd_columns(whole.plan)
    if found is None:
        return whole
    axis, count = found
    parts = [sliced(tiled, spec, axis, 0, count)]
    parts.append(sliced(tiled, spec, axis, count, spec.sizes[axis] - count))
    together = Together(parts)
    return together if together.work < whole.work else whole


def choose(spec: Contraction, machine: Machine, *, joined: Joined = PLAIN) -> Strategy:
    """Decide. `joined`: on which side a prologue computes on loaded elements."""
    if spec.bfloat16 and machine.matrix_tiles:
        from gemel.codegen.dots.product import TileProduct

        return TileProduct(spec, machine)
    if not any(access.bounds for access in (*spec.left, *spec.right)):
        return _tiled(spec, machine, joined)
    if any(map(is_size, spec.sizes)):
        raise NeedsConstants("the code of windows takes no others")
    from gemel.codegen.windowed import WAYS

    for way in WAYS:
        found = way(spec, machine, any(joined))
        if found is not None:
            return found
    raise ValueError(f"no way to compute {spec}")
