"""What a nest knows when: which pass over the columns makes a value known.

Role: the order of a nest's work, before any of it is emitted. Input: a `Nest`. Output: per
expression the pass that makes it known, the reductions by when they end, the number of passes.
"""

from __future__ import annotations

from gemel.codegen.nest import Expr, Nest, Store, children


class Timing:
    """When the values of a nest are known.

    depth      id of an expression -> passes over the columns that must end before
    late       known only after all rows
    free       depends on no loop at all
    late_sums  reductions that end after the last row
    row_sums   reductions that end with a pass of each row
    passes     passes over the columns of a row
    """

    def __init__(self, nest: Nest):
        self.stores = nest.stores
        self.cols = frozenset(nest.cols)
        self.rows = frozenset(nest.rows)
        self.exprs = children(nest.stores)
        self.depth: dict[int, int] = {}
        self.late: set[int] = set()
        self.free: set[int] = set()
        for e in self.exprs:
            self._place(e)
        reductions = [e for e in self.exprs if e.kind == "reduce"]
        self.late_sums = [e for e in reductions if id(e) in self.late]
        self.row_sums = [e for e in reductions if id(e) not in self.late]
        self.passes = self._passes()

    def _place(self, e: Expr) -> None:
        d = max((self.depth[id(a)] for a in e.args), default=0)
        ends_late = e.kind == "reduce" and bool(self.rows) and self.rows <= e.payload[1]
        self.depth[id(e)] = d + (e.kind == "reduce" and not ends_late)
        if ends_late or any(id(a) in self.late for a in e.args):
            self.late.add(id(e))
        if not e.axes and e.kind != "reduce" and all(id(a) in self.free for a in e.args):
            self.free.add(id(e))

    def _passes(self) -> int:
        cells = [e for e in self.exprs if self.is_cell(e) and id(e) not in self.late]
        ends = [self.depth[id(e)] for e in cells]
        ends += [self.when(s) for s in self.stores if self.stores_cell(s)]
        ends += [self.depth[id(e)] - 1 for e in self.row_sums]
        ends += [self.depth[id(e.args[0])] for e in self.late_sums if self.sums_cells(e)]
        return 1 + max(ends, default=0)

    def is_cell(self, e: Expr) -> bool:
        """Does it vary along the columns?"""
        return bool(e.axes & self.cols)

    def sums_cells(self, e: Expr) -> bool:
        """Does a late reduction take one value per cell (else one per row)?"""
        return self.is_cell(e.args[0]) or bool(e.payload[1] & self.cols)

    def stores_cell(self, s: Store) -> bool:
        return bool(s.axes() & self.cols)

    def when(self, s: Store) -> int:
        """The pass that can store it."""
        index = self.depth[id(s.index)] if s.index is not None else 0
        return max(self.depth[id(s.value)], index)

    def sums_of(self, p: int) -> list[Expr]:
        """Reductions that pass p completes."""
        return [e for e in self.row_sums if self.depth[id(e)] == p + 1]

    def late_sums_of(self, p: int) -> list[Expr]:
        """Reductions over all rows that take their cells in pass p."""
        late = [e for e in self.late_sums if self.sums_cells(e)]
        return [e for e in late if self.depth[id(e.args[0])] == p]

    def cell_stores_of(self, p: int) -> list[Store]:
        """What pass p writes, cell by cell."""
        early = [s for s in self.stores if self.stores_cell(s) and id(s.value) not in self.late]
        return [s for s in early if self.when(s) == p]

    def row_stores(self) -> list[Store]:
        """What is written once a row, after its last pass."""
        early = [s for s in self.stores if id(s.value) not in self.late]
        return [s for s in early if not self.stores_cell(s)]

    def late_stores(self) -> list[Store]:
        """What is written after the last row."""
        return [s for s in self.stores if id(s.value) in self.late]
