"""`tf.map_fn` and its kin: a function over the rows of tensors.

In a graph and inside of tf.function the function is recorded once, as the body of a loop of the
program. Elsewhere this is a Python loop.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.tensor import tracing

from . import context, graph_loops, looping
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


def _in_graph(elems, build: Callable):
    """build(graph) where a graph is built; None elsewhere, and for less than two rows."""
    graph = context.building()
    if graph is None:
        return None
    rows = looping.flat(elems)[0].shape
    few = rows.rank is not None and rows[0] is not None and rows[0] < 2
    return None if few else build(graph)


def map_fn(
    fn, elems, dtype=None, parallel_iterations=None, back_prop=True, swap_memory=False,
    infer_shape=True, name=None, fn_output_signature=None,
):
    """fn of each row, stacked."""
    if _in_program(elems):
        return looping.mapped(fn, elems)
    found = _in_graph(elems, lambda graph: graph_loops.mapped(graph, fn, elems, name or "map"))
    return _stacked([fn(row) for row in _rows(elems)]) if found is None else found


vectorized_map = map_fn


def _folded(fn, elems, initializer, backwards: bool, stacks: bool, name: str):
    """The loop of a fold or a scan in a program; None where there is none."""
    if _in_program(elems):
        return looping.scanned(fn, elems, initializer, backwards, stacks)
    return _in_graph(
        elems,
        lambda graph: graph_loops.scanned(
            graph, fn, elems, initializer, backwards, stacks, name
        ),
    )


def foldl(
    fn, elems, initializer=None, parallel_iterations=10, back_prop=True, swap_memory=False,
    name=None,
):
    """fn(fn(start, first), second) ...; the first row starts where none is given."""
    found = _folded(fn, elems, initializer, False, False, name or "foldl")
    if found is not None:
        return found
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
    found = _folded(fn, elems, initializer, True, False, name or "foldr")
    if found is not None:
        return found
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
    found = _folded(fn, elems, initializer, reverse, True, name or "scan")
    if found is not None:
        return found
    rows = _rows(elems)
    rows = rows[::-1] if reverse else rows
    values = [rows.pop(0)] if initializer is None else []
    value = values[0] if values else initializer
    for row in rows:
        value = fn(value, row)
        values.append(value)
    return _stacked(values[::-1] if reverse else values)
