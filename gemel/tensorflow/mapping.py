"""`tf.map_fn` and its kin: a function over the rows of tensors.

The number of rows must be known. Inside of tf.function the function is recorded once, as the body
of a loop in its program; elsewhere this is a Python loop, which in a graph is written out.
"""

from __future__ import annotations

from gemel.tensor import tracing

from . import context, looping
from .array import stack, unstack


def _rows(elems) -> list:
    """What the function is called with, row by row."""
    columns = [unstack(x) for x in looping.flat(elems)]
    return [looping.like(elems, iter(row)) for row in zip(*columns, strict=True)]


def _in_program(elems) -> bool:
    """Is a function being recorded, and are there rows?"""
    if not tracing() or context.building() is not None:
        return False
    return looping.flat(elems)[0].shape[0] > 1


def _stacked(results: list):
    columns = zip(*map(looping.flat, results), strict=True)
    return looping.like(results[0], iter([stack(list(column)) for column in columns]))


def map_fn(
    fn, elems, dtype=None, parallel_iterations=None, back_prop=True, swap_memory=False,
    infer_shape=True, name=None, fn_output_signature=None,
):
    """fn of each row, stacked."""
    if _in_program(elems):
        return looping.mapped(fn, elems)
    return _stacked([fn(row) for row in _rows(elems)])


vectorized_map = map_fn


def foldl(
    fn, elems, initializer=None, parallel_iterations=10, back_prop=True, swap_memory=False,
    name=None,
):
    """fn(fn(start, first), second) ...; the first row starts where none is given."""
    if _in_program(elems):
        return looping.scanned(fn, elems, initializer, False, False)
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
    if _in_program(elems):
        return looping.scanned(fn, elems, initializer, True, False)
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
    if _in_program(elems):
        return looping.scanned(fn, elems, initializer, reverse, True)
    rows = _rows(elems)
    rows = rows[::-1] if reverse else rows
    values = [rows.pop(0)] if initializer is None else []
    value = values[0] if values else initializer
    for row in rows:
        value = fn(value, row)
        values.append(value)
    return _stacked(values[::-1] if reverse else values)
