"""Loops and choices of a graph: operations that hold functions.

Role: a function is made of operations of the same graph, those that differ from step to step, or
run only where they are chosen. A loop's operation expands them as the body of the engine's loop.
In: what the functions read of the graph around them, as inputs. Invariant: an operation of a
function is expanded through the operation that holds it and by nobody else.
"""

from __future__ import annotations

from typing import NamedTuple

from gemel.graph.form import bool_ as bool_type
from gemel.graph.form import int32
from gemel.graph.node import Node
from gemel.ops import elementwise as el
from gemel.ops.loops import UNBOUNDED, either, loop_while, scan
from gemel.ops.record import const

from . import inference
from .bodies import Applied, Body, Check, Constant, Random
from .errors import ShapeMismatch
from .shape import TensorShape, show
from .symbolic import Fact, Operation, SymbolicTensor


class Parameters(Body):
    """What stands for the values that a step is given."""

    type = "Parameters"

    def __init__(self, facts: list[Fact]):
        self.facts = facts

    def infer(self, op) -> list[Fact]:
        return self.facts

    def expand(self, op, made) -> list[Node]:
        raise ValueError(
            f"Operation '{op.name}' belongs to a step of a loop, and has no value outside of it: "
            "carry what is wanted through the loop, and fetch the loop's result."
        )


class Function(NamedTuple):
    """parameters  the operation whose results stand for what is given; None where nothing is
    operations  what is expanded, in order
    results     tensors that are given back
    """

    parameters: Operation | None
    operations: tuple[Operation, ...]
    results: tuple[SymbolicTensor, ...]

    @property
    def writes(self) -> tuple:
        """Variables that it changes."""
        return tuple(dict.fromkeys(v for op in self.operations for v in op.body.writes))

    @property
    def checks(self) -> bool:
        """Can it stop the run?"""
        found = (op.body for op in self.operations)
        return any(isinstance(b, Check) or getattr(b, "checks", False) for b in found)

    @property
    def draws(self) -> bool:
        """Are there random numbers in it?"""
        found = (op.body for op in self.operations)
        return any(isinstance(b, Random) or getattr(b, "draws", False) for b in found)

    def expanded(self, made, nodes=(), variables=None, turn=None, turns=1):
        """An Expansion of the function on these nodes, beginning with these values of variables."""
        given = self.parameters.outputs if self.parameters is not None else ()
        given = dict(zip(given, nodes, strict=True))
        inner = made.within(given, variables or {}, turn, turns)
        inner.run(self.operations)
        return inner

    def values(self, inner) -> list[Node]:
        return [inner.node(t) for t in self.results]


def _passed(inner) -> list[Node]:
    """One integer that all checks have to be computed for."""
    total = const(1, int32)
    for check in inner.checks:
        total = total + check
    return [total]


class Repeat(Body):
    """The inputs: slices, the first carried values, a number of steps at most if `limited`, then
    what the functions read; the results: the last carried values, then stacked values.

    step        gives carried values, then values that are stacked
    condition   of the carried values: does another step run?; None where all slices are taken
    most        steps at most, where that is no input
    """

    type = "While"

    def __init__(
        self,
        step: Function,
        condition: Function | None,
        counts: tuple[int, int],
        backwards: bool = False,
        most: int | None = None,
        limited: bool = False,
    ):
        self.step = step
        self.condition = condition
        self.slices, self.carried = counts
        self.backwards = backwards
        self.most = most
        self.limited = limited
        self.writes = step.writes
        self.checks = step.checks
        self.draws = step.draws

    def infer(self, op) -> list[Fact]:
        given = self.step.parameters.outputs
        carried = [t.fact for t in given[len(given) - self.carried :]]
        values = [t.fact for t in self.step.results[self.carried :]]
        rows = op.inputs[0].fact if self.slices else None
        return carried + [_with_rows(rows, f) for f in values]

    def expand(self, op, made) -> list[Node]:
        nodes = [made.node(t) for t in op.inputs]
        slices, first = nodes[: self.slices], nodes[self.slices :][: self.carried]
        first += [made.read(v) for v in self.writes]
        first += [const(1, int32)] if self.checks else []
        stacks: list[Node] = []
        if self.condition is None:
            steps = slices[0].shape[0]

            def row(number, cut, before):
                turn = (steps - 1) - number if self.backwards else number
                return self._step(made, cut, before, turn, steps)

            last, stacks = scan(row, slices, first, steps, backwards=self.backwards)
        else:
            last = loop_while(
                lambda *state: self._holds(made, state),
                lambda *state: self._step(made, (), state)[0],
                first,
                self._most(op, made),
            )
        for variable, node in zip(self.writes, last[self.carried :], strict=False):
            made.write(variable, node)
        if self.checks:
            made.watch(last[-1])
        return last[: self.carried] + stacks

    def _most(self, op, made) -> int:
        if self.limited:
            return int(made.value(op.inputs[self.slices + self.carried]))
        return UNBOUNDED if self.most is None else self.most

    def _holds(self, made, state) -> Node:
        inner = self.condition.expanded(made, state[: self.carried], self._variables(state))
        (truth,) = self.condition.values(inner)
        return truth

    def _variables(self, state) -> dict:
        return dict(zip(self.writes, state[self.carried :], strict=False))

    def _step(self, made, cut, state, turn=None, turns=1) -> tuple[list[Node], list[Node]]:
        given = [*cut, *state[: self.carried]]
        inner = self.step.expanded(made, given, self._variables(state), turn, turns)
        found = self.step.values(inner)
        after = found[: self.carried] + [inner.read(v) for v in self.writes]
        after += _passed(inner) if self.checks else []
        for tensor, old, new in zip(self.step.results, state, after, strict=False):
            if old.shape != new.shape:
                raise ShapeMismatch(
                    f"A loop variable enters the loop with shape {show(old.shape)}, but "
                    f"{tensor.name} has shape {show(new.shape)} after one iteration. Keep its "
                    "shape: begin with its last size, and write into it"
                )
        return after, found[self.carried :]


def _with_rows(rows: Fact, row: Fact) -> Fact:
    """A stack of such rows, as many as `rows` has."""
    if row.shape.rank is None or rows.shape.rank is None:
        return Fact(row.dtype, TensorShape(None))
    shape = TensorShape([rows.shape[0], *row.shape])
    if rows.probes is None or row.probes is None:
        return inference.fact_of(row.dtype, shape)
    pairs = zip(rows.probes, row.probes, strict=True)
    return Fact(row.dtype, shape, tuple((a[0], *b) for a, b in pairs))


class Choice(Body):
    """`tf.cond`: the first input is the truth value; then come what both sides read.

    A truth value that is fed, or follows from shapes and constants, leaves one side of a program.
    Another one chooses when the program runs, and only the chosen side is computed; where a side
    draws random numbers both are.
    """

    type = "If"

    def __init__(self, yes: Function, no: Function):
        self.yes = yes
        self.no = no
        self.writes = tuple(dict.fromkeys(yes.writes + no.writes))
        self.checks = yes.checks or no.checks
        self.draws = yes.draws or no.draws

    def infer(self, op) -> list[Fact]:
        return [_either(a, b) for a, b in zip(self.yes.results, self.no.results, strict=True)]

    def expand(self, op, made) -> list[Node]:
        if _is_decided(op.inputs[0], made):
            side = self.yes if made.value(op.inputs[0]) else self.no
            inner = side.expanded(made)
            for variable in side.writes:
                made.write(variable, inner.read(variable))
            for check in inner.checks:
                made.watch(check)
            return side.values(inner)
        truth = made.node(op.inputs[0])
        truth = truth if truth.dtype is bool_type else el.ne(truth, 0)
        found = self._chosen(made, truth)
        count = len(self.yes.results)
        for variable, node in zip(self.writes, found[count:], strict=False):
            made.write(variable, node)
        if self.checks:
            made.watch(found[-1])
        return found[:count]

    def _chosen(self, made, truth: Node) -> list[Node]:
        before = {v: made.read(v) for v in self.writes}

        def side(function: Function):
            inner = function.expanded(made, (), before)
            found = function.values(inner) + [inner.read(v) for v in self.writes]
            return found + (_passed(inner) if self.checks else [])

        if not self.draws:
            return either(truth, lambda: side(self.yes), lambda: side(self.no))
        pairs = zip(side(self.yes), side(self.no), strict=True)
        return [el.where(truth, a, b) for a, b in pairs]


def _either(a: SymbolicTensor, b: SymbolicTensor) -> Fact:
    if a.shape.rank is None or a.shape.rank != b.shape.rank:
        return Fact(a.dtype, TensorShape(None))
    pairs = zip(a.shape, b.shape, strict=True)
    return inference.fact_of(a.dtype, [n if n == m else None for n, m in pairs])


def _is_decided(truth: SymbolicTensor, made) -> bool:
    """Is a truth value known before the program runs: fed, or made of such and of constants?"""
    if truth.shape.rank != 0:
        return False
    if truth in made.forms:
        return truth.dtype.is_bool
    body = truth.op.body
    if isinstance(body, Constant) or truth.fact.known is not None:
        return True
    if truth.op.type == "PlaceholderWithDefault":
        return _is_decided(truth.op.inputs[0], made)
    if not isinstance(body, Applied) or not truth.op.inputs:
        return False
    return all(t.dtype.is_bool and _is_decided(t, made) for t in truth.op.inputs)
