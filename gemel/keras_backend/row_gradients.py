"""Gradients of embeddings as optimizers see them over TensorFlow: rows that are not added up.

An embedding whose gradient reaches an optimizer is, over TensorFlow, a list of rows with their
places; the same place may come several times. What is linear in it does not tell the difference.
Squares and absolute values do: they are those of each row, and are added up afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from gemel import tensor as lazy
from gemel.ops.indexing import scatter_add
from gemel.ops.movement import zeros
from gemel.ops.record import Call


def _summed(attrs, *nodes):
    """Rows [..., width] at indices [...], added up in a table of zeros."""
    (shape,) = attrs
    table = zeros(shape, nodes[1].dtype)
    for index, rows in zip(nodes[::2], nodes[1::2], strict=True):
        table = scatter_add(table, index, rows, 0)
    return table


SUMMED = Call("sum_of_rows", _summed)


def by_rows(op: Callable) -> Callable:
    """An elementwise op that takes a gradient of rows row by row."""

    @wraps(op)
    def applied(x) -> lazy.Tensor:
        rows = getattr(x, "rows", None)
        if rows is None:
            return op(x)
        flat = [t for index, values in rows for t in (index, op(values))]
        return lazy.record_n(SUMMED, x.kin, flat, (x.form.shape,))

    return applied
