"""Implicit products: packed weights by the positions of images, block by block.

Role: what those strategies share that pack their weights in a first stage and use them in a second
one: how blocks of row panels by column panels are dealt to pieces, and the walk through a piece,
block of k by block of k. Input: panels, blocks and work of a subclass. Output: the stages of a
`Strategy`. Invariant: pieces follow from sizes alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import ceil, prod

from gemel.codegen.blocks import extent, split
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.products.contraction import Joins, Pointers
from gemel.codegen.products.contraction_tile import Epilogue
from gemel.codegen.windows.lanes import KBlock, locate, locate_block
from gemel.codegen.windows.pack import readers
from gemel.codegen.windows.packed_weights import PackedWeights, pieces_of
from gemel.codegen.windows.plan import Depth, Groups, count
from gemel.codegen.windows.tile import Shape


class ImplicitProduct(ABC):
    """Tiles of rows by columns. Weights are the rows, or the columns: the blocks of the others
    vary fastest from piece to piece."""

    groups: Groups
    shape: Shape
    depth: Depth
    row_panels: int
    column_panels: int
    row_block: int
    column_block: int
    weights_in_rows = True

    @property
    @abstractmethod
    def weights(self) -> PackedWeights:
        """The panels of weights."""

    @property
    @abstractmethod
    def work(self) -> float:
        """Estimated nanoseconds on one core."""

    @abstractmethod
    def emitter(
        self, f: Function, pointers: Pointers, epilogue: Epilogue, joins: Joins
    ) -> ProductEmitter:
        """What emits its pieces."""

    @property
    def prepares(self) -> str:
        """The operand that the first stage reads."""
        return "left" if self.weights_in_rows != self.groups.swapped else "right"

    @property
    def counts(self) -> list[int]:
        """Blocks along the batch, the weights and the positions."""
        rows = ceil(self.row_panels / self.row_block)
        columns = ceil(self.column_panels / self.column_block)
        blocks = (rows, columns) if self.weights_in_rows else (columns, rows)
        return [count(self.groups.batch), *blocks]

    @property
    def share(self) -> int:
        """Blocks of a piece."""
        return ceil(prod(self.counts) / max(1, pieces_of(self.work)))

    @property
    def stages(self) -> tuple[int, ...]:
        """Weights are packed, then used."""
        if self.groups.empty:
            return ()
        return (self.weights.pieces, ceil(prod(self.counts) / self.share))

    def emit(
        self,
        f: Function,
        stage: int,
        piece: Operand,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins = (None, None),
    ) -> None:
        """Emit one piece of a stage at the builder's position."""
        emitter = self.emitter(f, pointers, epilogue, joins)
        if stage == 0:
            emitter.pack_weights(piece)
        else:
            emitter.piece(piece)


class ProductEmitter(ABC):
    """Emits pieces of one implicit product."""

    def __init__(
        self,
        f: Function,
        plan: ImplicitProduct,
        pointers: Pointers,
        epilogue: Epilogue,
        joins: Joins,
    ):
        self.f = f
        self.plan = plan
        self.pointers = pointers
        self.epilogue = epilogue
        self.left, self.right = readers(plan.groups, pointers, joins)

    @abstractmethod
    def pack_weights(self, piece: Operand) -> None:
        """Some panels of weights, in the order of batch, block of k, panel."""

    @abstractmethod
    def begin(self, scratch: Value) -> None:
        """What a piece does before its first block."""

    @abstractmethod
    def products(
        self, k: KBlock, rows: tuple[Operand, Operand], columns: tuple[Operand, Operand]
    ) -> None:
        """The panels of a block, each as (first, number), over a block of k."""

    def piece(self, piece: Operand) -> None:
        """Some blocks of rows by columns."""
        f, plan = self.f, self.plan
        assert self.pointers.scratch is not None
        self.begin(self.pointers.scratch)
        first, number = extent(f, piece, plan.share, prod(plan.counts))
        with f.loop(0, number, nonempty=True) as loop:
            self._block(f.add(first, loop.index))

    def _block(self, index: Operand) -> None:
        """A block of rows by a block of columns, over all of k."""
        f, plan = self.f, self.plan
        batch, row_block, column_block = split(f, index, plan.counts[1:])
        if not plan.weights_in_rows:
            row_block, column_block = column_block, row_block
        forms = locate(f, plan.groups.start, plan.groups.batch, batch)
        rows = extent(f, row_block, plan.row_block, plan.row_panels)
        columns = extent(f, column_block, plan.column_block, plan.column_panels)
        with f.loop(0, plan.depth.blocks) as blocks:
            sizes, moved = locate_block(f, plan.depth, blocks.index, forms)
            panel = f.add(f.mul(batch, plan.depth.blocks), blocks.index)
            panel = f.mul(panel, plan.row_panels if plan.weights_in_rows else plan.column_panels)
            self.products(KBlock(blocks.index, sizes, moved, panel, forms), rows, columns)

    def packed(self, panel: Operand) -> Value:
        """Where a panel of weights lies."""
        return self.plan.weights.place(self.f, self.pointers.shared, panel)
