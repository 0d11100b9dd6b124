"""`tf.map_fn` and its kin: a function over the rows of tensors, as a Python loop.

The number of rows must be known. In a graph, and inside of tf.function, the loop is written out.
"""

from __future__ import annotations

from .array import stack, unstack
from .convert import convert_to_tensor


def _rows(elems) -> list:
    """What the function is called with, row by row."""
    if isinstance(elems, (list, tuple)):
        parts = [_rows(e) for e in elems]
        return [type(elems)(row) for row in zip(*parts, strict=True)]
    return unstack(convert_to_tensor(elems))


def _stacked(results: list):
    first = results[0]
    if isinstance(first, (list, tuple)):
        return type(first)(_stacked(list(column)) for column in zip(*results, strict=True))
    return stack(results)


def map_fn(
    fn, elems, dtype=None, parallel_iterations=None, back_prop=True, swap_memory=False,
    infer_shape=True, name=None, fn_output_signature=None,
):
    """fn of each row, stacked."""
    return _stacked([fn(row) for row in _rows(elems)])


vectorized_map = map_fn


def foldl(
    fn, elems, initializer=None, parallel_iterations=10, back_prop=True, swap_memory=False,
    name=None,
):
    """fn(fn(start, first), second) ...; the first row starts where none is given."""
    rows = _rows(elems)
    value = rows.pop(0) if initializer is None else initializer
    for row in rows:
        value = fn(value, row)
    return value


def foldr(
    fn, elems, initializer=None, parallel_iterations=10, back_prop=True, swap_memory=False,
    name=None,
):
    """The same from the last row on."""
    rows = _rows(elems)
    value = rows.pop() if initializer is None else initializer
    for row in reversed(rows):
        value = fn(value, row)
    return value


def scan(
    fn, elems, initializer=None, parallel_iterations=10, back_prop=True, swap_memory=False,
    infer_shape=True, reverse=False, name=None,
):
    """All the values on the way of a fold, stacked."""
    rows = _rows(elems)
    rows = rows[::-1] if reverse else rows
    values = [rows.pop(0)] if initializer is None else []
    value = values[0] if values else initializer
    for row in rows:
        value = fn(value, row)
        values.append(value)
    return _stacked(values[::-1] if reverse else values)
