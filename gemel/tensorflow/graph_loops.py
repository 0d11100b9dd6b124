"""Loops and choices where a graph is built: what `tf.while_loop`, `tf.scan`, `tf.map_fn`, the folds
and `tf.cond` do there.

Role: calls the user's functions once, with tensors that stand for those of a step, and finds which
operations they made belong to the step: those that follow from what it is given, and those that
change or read a variable that it changes. Everything else is computed once, outside of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import zip_longest

import numpy as np

from . import inference
from .bodies import Constant, Random, Read
from .convert import constant_in, in_graph
from .expansion import ordered
from .loop_bodies import Choice, Function, Parameters, Repeat
from .looping import flat, like, shaped, with_first
from .shape import TensorShape, show
from .symbolic import Fact, Operation, SymbolicTensor
from .tensor_arrays import TensorArray


class _Recorded:
    """A call of a user's function: its structured results, and the operations that they need."""

    def __init__(self, graph, function: Callable, facts=None, types=()):
        """facts: of what it is given; types: element types that plain numbers are taken in."""
        self.parameters = None
        first = graph.version
        given: list[SymbolicTensor] = []
        if facts is not None:
            body = Parameters(facts)
            self.parameters = Operation(graph, graph.unique_name("Parameters"), body, (), ())
            given = self.parameters.outputs
        self.made = function(list(given))
        leaves = _leaves(self.made)
        hinted = zip_longest(leaves, types[: len(leaves)])
        self.results = [_tensor(graph, x, t) for x, t in hinted]
        new = set(graph.get_operations()[first:])
        self.operations = _needed([t.op for t in self.results], new)

    def of_step(self, written: set) -> list[Operation]:
        """The operations that differ from step to step."""
        inside = {self.parameters}
        found = []
        for op in self.operations:
            own = bool(op.body.writes) or isinstance(op.body, Random)
            reads = isinstance(op.body, Read) and op.body.variable in written
            before = [t.op for t in op.inputs] + list(op.control_inputs)
            if own or reads or any(b in inside for b in before):
                inside.add(op)
                found.append(op)
        return found

    def of_side(self, written: set) -> Iterable[Operation]:
        """The operations that run where the side is chosen."""
        for op in self.operations:
            body = op.body
            if isinstance(body, Read) and body.variable not in written:
                continue
            if not isinstance(body, Constant):
                yield op

    @property
    def writes(self) -> set:
        return {v for op in self.operations for v in op.body.writes}

    def function(self, operations: Iterable[Operation]) -> Function:
        found = ordered(dict.fromkeys(operations), set())
        return Function(self.parameters, tuple(found), tuple(self.results))


def _leaves(value) -> list:
    """What a structure of lists, tuples and dictionaries holds."""
    if isinstance(value, TensorArray):
        return [value.carried()]
    if isinstance(value, dict):
        return [x for key in sorted(value) for x in _leaves(value[key])]
    if isinstance(value, (list, tuple)):
        return [x for part in value for x in _leaves(part)]
    return [value]


def _tensor(graph, value, dtype) -> SymbolicTensor:
    """A result as a tensor; of an operation a truth value that comes after it."""
    from .array import identity

    if not isinstance(value, Operation):
        return in_graph(graph, value, hint=dtype)
    with graph.control_dependencies([value]):
        return identity(constant_in(graph, np.array(True), "Const"))


def _needed(roots: list[Operation], among: set[Operation]) -> list[Operation]:
    """Those of the operations that the roots depend on, in the order in which they were made."""
    found: set[Operation] = set()
    stack = [op for op in roots if op in among]
    while stack:
        op = stack.pop()
        if op in found:
            continue
        found.add(op)
        before = [t.op for t in op.inputs] + list(op.control_inputs)
        stack.extend(b for b in before if b in among)
    order = next(iter(found)).graph.get_operations() if found else []
    return [op for op in order if op in found]


def _outside(functions: list[Function]) -> tuple[list[SymbolicTensor], tuple[Operation, ...]]:
    """(tensors, operations) of the graph around that functions read, or come after."""
    tensors: dict[SymbolicTensor, None] = {}
    control: dict[Operation, None] = {}
    for f in functions:
        own = {*f.operations, f.parameters}
        read = [t for op in f.operations for t in op.inputs] + list(f.results)
        tensors |= dict.fromkeys(t for t in read if t.op not in own)
        before = (b for op in f.operations for b in op.control_inputs)
        control |= dict.fromkeys(b for b in before if b not in own)
    return list(tensors), tuple(control)


def _added(graph, name: str, body, given: list, functions: list[Function]):
    """The results of the operation that holds the functions."""
    tensors, control = _outside(functions)
    control = tuple(dict.fromkeys(graph.control_inputs + control))
    op = Operation(graph, graph.unique_name(name), body, [*given, *tensors], control)
    return list(op.outputs)


# ---------- loops ----------
def while_loop(graph, cond, body, state, most, invariants=None, name: str | None = None):
    """The last state, in the structure of the first one."""
    with graph.name_scope(name or "while"):
        state = shaped(body, state)
        pattern = list(state)
        given = [in_graph(graph, x) for x in _leaves(pattern)]
        facts = _facts(given, invariants)
        holds = _Recorded(graph, lambda t: cond(*like(pattern, iter(t))), facts)
        turn = _Recorded(
            graph, lambda t: _listed(body(*like(pattern, iter(t)))), facts, [t.dtype for t in given]
        )
        _check_steps(given, facts, turn.results)
        written = turn.writes
        step = turn.function(turn.of_step(written))
        condition = holds.function(holds.of_step(written))
        _refuse_draws(step, condition)
        limit = [] if most is None or isinstance(most, int) else [in_graph(graph, most)]
        made = Repeat(step, condition, (0, len(given)), False, None if limit else most, bool(limit))
        found = _added(graph, "While", made, given + limit, [condition, step])
    return like(state if isinstance(state, tuple) else pattern, iter(found))


def _listed(made) -> list:
    return list(made) if isinstance(made, (list, tuple)) else [made]


def _facts(given: list[SymbolicTensor], invariants) -> list[Fact]:
    """What is known of the state at every step."""
    plain = [Fact(t.dtype, t.shape, t.fact.probes) for t in given]
    if invariants is None:
        return plain
    shapes = _shapes(invariants)
    if len(shapes) != len(given):
        raise ValueError("`shape_invariants` must have the structure of `loop_vars`")
    return [inference.fact_of(t.dtype, s) for t, s in zip(given, shapes, strict=True)]


def _shapes(value) -> list[TensorShape]:
    if isinstance(value, dict):
        return [s for key in sorted(value) for s in _shapes(value[key])]
    if isinstance(value, (list, tuple)) and not all(isinstance(n, int | None) for n in value):
        return [s for part in value for s in _shapes(part)]
    if isinstance(value, (list, tuple)) and not value:
        return []
    return [TensorShape(value)]


def _check_steps(given, facts: list[Fact], results: list[SymbolicTensor]) -> None:
    """TensorFlow's checks on what a step makes of its state."""
    if len(given) != len(results):
        raise ValueError(
            "The number of inputs and outputs of the loop body must match: "
            f"{len(given)} against {len(results)}"
        )
    for first, fact, after in zip(given, facts, results, strict=False):
        if first.dtype is not after.dtype:
            raise TypeError(
                f"Body input and output types mismatch: {first.name} enters the loop with type "
                f"{first.dtype!r}, but has type {after.dtype!r} after one iteration."
            )
        if not fact.shape.is_compatible_with(after.shape):
            raise ValueError(
                f"Input tensor '{first.name}' enters the loop with shape {show(fact.shape)}, but "
                f"has shape {show(after.shape)} after one iteration. Keep its shape: begin with "
                "its last size, and write into it."
            )


def _refuse_draws(*functions: Function) -> None:
    if any(f.draws for f in functions):
        raise NotImplementedError(
            "random numbers in a tf.while_loop of a graph: draw them outside for all steps at "
            "once, and take those of a step with tf.gather; or use tf.scan, whose steps may draw"
        )


def mapped(graph, fn: Callable, elems, name: str):
    """fn of each row, stacked."""
    made: list = []

    def turn(slices, carried):
        made[:] = [fn(like(elems, iter(slices)))]
        return _leaves(made[0])

    _, found = _over_rows(graph, turn, flat(elems), [], False, name)
    return like(made[0], iter(found))


def scanned(graph, fn: Callable, elems, initializer, backwards: bool, stacks: bool, name: str):
    """fn(value so far, row) from row to row; all values stacked, or the last one."""
    rows, first = flat(elems), initializer
    if initializer is None:
        at = -1 if backwards else 0
        first = like(elems, iter([r[at] for r in rows]))
        rows = [r[:-1] if backwards else r[1:] for r in rows]
    given = [in_graph(graph, x) for x in _leaves(first)]

    def turn(slices, carried):
        new = _leaves(fn(like(first, iter(carried)), like(elems, iter(slices))))
        hinted = zip(new, given, strict=True)
        after = [in_graph(graph, x, hint=t.dtype) for x, t in hinted]
        return after * 2 if stacks else after

    last, found = _over_rows(graph, turn, rows, given, backwards, name)
    if not stacks:
        return like(first, iter(last))
    if initializer is None:
        found = [with_first(x, s, backwards) for x, s in zip(given, found, strict=True)]
    return like(first, iter(found))


def _over_rows(graph, fn: Callable, rows, first, backwards: bool, name: str):
    """(last carried values, stacked values) of fn(slices, carried), which gives carried values,
    then values to stack, from row to row."""
    facts = [_row(t.fact) for t in rows] + _facts(first, None)
    n, count = len(rows), len(first)
    with graph.name_scope(name):
        recorded = _Recorded(graph, lambda given: fn(given[:n], given[n:]), facts)
        _check_steps(first, facts[n:], recorded.results[:count])
        step = recorded.function(recorded.of_step(recorded.writes))
        body = Repeat(step, None, (n, count), backwards)
        found = _added(graph, "While", body, [*rows, *first], [step])
    return found[:count], found[count:]


def _row(rows: Fact) -> Fact:
    """One of the rows."""
    if rows.shape.rank is None:
        return Fact(rows.dtype, TensorShape(None))
    shape = TensorShape(list(rows.shape)[1:])
    probes = None if rows.probes is None else tuple(p[1:] for p in rows.probes)
    return Fact(rows.dtype, shape, probes)


# ---------- choices ----------
def chosen(graph, pred, yes: Callable, no: Callable, name: str | None = None):
    """yes() where the truth value holds, else no()."""
    with graph.name_scope(name or "cond"):
        truth = in_graph(graph, pred)
        first = _Recorded(graph, lambda given: yes())
        second = _Recorded(graph, lambda given: no(), None, [t.dtype for t in first.results])
        _check_sides(first, second)
        written = first.writes | second.writes
        sides = [s.function(s.of_side(written)) for s in (first, second)]
        found = _added(graph, "If", Choice(*sides), [truth], sides)
    return like(first.made, iter(found))


def _check_sides(first: _Recorded, second: _Recorded) -> None:
    if len(first.results) != len(second.results):
        raise ValueError("true_fn and false_fn must return the same number of results")
    for a, b in zip(first.results, second.results, strict=True):
        if a.dtype is not b.dtype:
            raise TypeError(f"true_fn and false_fn return different types: {a} and {b}")
