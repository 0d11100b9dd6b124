"""Tables that are read row by row: which rows were read while a gradient was being recorded.

Role: TensorFlow gives an optimizer the gradient of an embedding as rows that are not added up, and
what Keras's optimizers square is each of them. In: reads of a table, by rows or whole. Out: on a
gradient, the attribute `rows`: pairs of indices and of the gradients of what was read there.
Invariant: only of a table that was read by rows and in no other way.
"""

from __future__ import annotations

from collections.abc import Sequence

from .tensor import Tensor

OPEN: list[Lookups] = []  # those of tapes that record


class Lookups:
    """What one tape saw."""

    def __init__(self) -> None:
        self._reads: dict[int, int] = {}
        self._rows: dict[int, list[tuple[Tensor, Tensor]]] = {}

    def read(self, table: Tensor) -> None:
        """The table was read, by rows or whole."""
        self._reads[id(table)] = self._reads.get(id(table), 0) + 1

    def rows_of(self, tables: Sequence[Tensor | None]) -> list[list[tuple[Tensor, Tensor]]]:
        """For each table (indices, what was read there); nothing where it was read otherwise."""
        return [self._alone(id(t)) for t in tables]

    def _alone(self, table: int) -> list[tuple[Tensor, Tensor]]:
        found = self._rows.get(table, [])
        return found if len(found) == self._reads.get(table) else []


def looked_up(table: Tensor, index: Tensor, rows: Tensor) -> None:
    """A read of the table took these rows along its first axis."""
    for seen in OPEN:
        seen._rows.setdefault(id(table), []).append((index, rows))


def open_lookups(seen: Lookups) -> None:
    OPEN.append(seen)


def close_lookups(seen: Lookups) -> None:
    """Also where it is closed already."""
    OPEN[:] = [other for other in OPEN if other is not seen]


def with_rows(gradients: Sequence[Tensor | None], rows: Sequence[list], slopes) -> None:
    """Hang on each gradient the rows that it is the sum of; slopes: of all that was read."""
    made = iter(slopes)
    for gradient, pairs in zip(gradients, rows, strict=True):
        found = [(index, next(made)) for index, _ in pairs]
        if gradient is not None and found and all(g is not None for _, g in found):
            gradient.rows = tuple(found)
