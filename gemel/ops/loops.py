"""`loop`: a graph that is entered again and again inside of one program.

Role: time loops, loops that run while something holds, and conditions, as one primitive. Its
operands are values that all steps read, arrays of which each step reads the slice of its number,
and the first carried values; its results are taken from it by `result`: the last carried values,
all carried values on the way (`history`, where all steps run), any value of the steps stacked, and
how many steps ran.
A graph of nodes with one value each holds them both.

Steps are numbered 0, 1, ... and run in that order, or backwards. A loop may be `limited` to fewer
steps by a run-time number, and `conditional`: then a truth value is carried, and the loop ends
where it is false. Stacks are zero at the steps that did not run.

Invariant: a body reads nothing but its inputs, so what does not depend on the step is computed
once, in front of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from gemel.graph.body import Body
from gemel.graph.errors import DTypeError, ShapeError
from gemel.graph.form import Form, bool_, float32, form, int64
from gemel.graph.node import Node, order, rebuild
from gemel.runtime.interpreter import evaluated

from .elementwise import NOT, cast, where
from .movement import expand, narrow, reshape, zeros
from .record import Primitive, leaf
from .trips import counted

UNBOUNDED = 1 << 62  # steps, where nobody says how many there are at most


class Turns(NamedTuple):
    """How a loop runs, and what its operands are.

    The operands: the limit (int64) if `limited`, the first truth if `conditional`, then so many
    slices, first carried values and constants. The body's inputs: the step's number, slices,
    carried values, constants; its results: the next truth if `conditional`, the new carried
    values, then, in a closed loop, the stacked values.
    """

    steps: int
    slices: int
    carried: int
    backwards: bool = False
    limited: bool = False
    conditional: bool = False

    @property
    def head(self) -> int:
        """Operands before the slices."""
        return self.limited + self.conditional

    @property
    def plain(self) -> bool:
        """Do all steps run?"""
        return not (self.limited or self.conditional)


def _infer(attrs, *forms: Form) -> Form:
    body, turns = attrs
    first, after = turns.head, turns.head + turns.slices
    wanted = [int64] * turns.limited + [bool_] * turns.conditional
    if [f.dtype for f in forms[:first]] != wanted or any(f.shape for f in forms[:first]):
        raise DTypeError("loop", "a limit is an int64 and a condition a bool", forms)
    inner = [leaf.form for leaf in body.inputs[1:]]
    for f, own in zip(forms[first:after], inner, strict=False):
        if f.shape[:1] != (turns.steps,) or form(f.shape[1:], f.dtype) is not own:
            raise ShapeError("loop", f"{f} are not {turns.steps} of {own}", forms)
    if list(forms[after:]) != inner[turns.slices :]:
        raise ShapeError("loop", "the operands do not fit the body", forms)
    news = body.results[turns.conditional :][: turns.carried]
    if [n.form for n in news] != inner[turns.slices :][: turns.carried]:
        raise ShapeError("loop", "a carried value must keep its form", forms)
    return form((), float32)


def _no_gradient(*args):
    raise AssertionError("gradients of loops are made by autodiff.loops")


# ---------- reference ----------
def _running(turns: Turns, args) -> tuple[range, bool, list]:
    """(the steps' numbers, does the first one run?, the other operands)"""
    count = turns.steps
    rest = list(args)
    if turns.limited:
        count = max(0, min(count, int(rest.pop(0))))
    go = bool(rest.pop(0)) if turns.conditional else True
    numbers = range(count)
    return (numbers[::-1] if turns.backwards else numbers), go, rest


def _reference(attrs, *args):
    body, turns = attrs
    numbers, go, rest = _running(turns, args)
    slices, rest = rest[: turns.slices], rest[turns.slices :]
    state, fixed = rest[: turns.carried], rest[turns.carried :]
    news = body.results[turns.conditional :]
    stacks = [np.zeros((turns.steps, *n.shape), n.dtype.numpy) for n in news[turns.carried :]]
    histories = [np.zeros((turns.steps + 1, *s.shape), s.dtype) for s in state]
    at = turns.steps if turns.backwards else 0
    for history, s in zip(histories, state, strict=True):
        history[at] = s
    nodes = order(body.results)
    count = 0
    for t in numbers:
        if not go:
            break
        given = [np.int64(t), *(x[t] for x in slices), *state, *fixed]
        values = evaluated(nodes, dict(zip(body.inputs, given, strict=True)))
        found = [values[r] for r in body.results]
        go = bool(found.pop(0)) if turns.conditional else True
        state = found[: turns.carried]
        for history, s in zip(histories, state, strict=True):
            history[t if turns.backwards else t + 1] = s
        for stack, value in zip(stacks, found[turns.carried :], strict=True):
            stack[t] = value
        count += 1
    return {"last": state, "history": histories, "stack": stacks, "count": [np.int64(count)]}


# attrs: (Body, Turns). Its value is nothing but what its results are taken from.
LOOP = Primitive("loop", "loop", -1, _infer, _no_gradient, _reference)
# attrs: (which, of what, Form). which: 'last' or 'history' of a carried value, by number; 'stack'
# of a value of the body (of a closed loop: by number); 'count'
RESULT = Primitive(
    "result",
    "result",
    1,
    lambda attrs, f: attrs[2],
    _no_gradient,
    lambda attrs, found: found[attrs[0]][attrs[1]],
)


# ---------- what is taken from a loop ----------
def result_of(loop: Node, which: str, what) -> Node:
    """The one node of a loop's result."""
    body, turns = loop.attrs
    key = (loop, which, what)
    found = body.made.get(key)
    if found is None:
        made = _result_form(body, turns, which, what)
        found = body.made[key] = Node(RESULT, (which, what, made), (loop,), made)
    return found


def _result_form(body: Body, turns: Turns, which: str, what) -> Form:
    if which == "count":
        return form((), int64)
    if turns.steps >= UNBOUNDED and which != "last":
        raise NotImplementedError(
            "all steps' values of a loop whose number of steps is not bounded, which its gradient "
            "needs: say how many steps it has at most (maximum_iterations)"
        )
    if which == "stack":
        return form((turns.steps, *what.shape), what.dtype)
    own = body.inputs[1 + turns.slices + what].form
    return own if which == "last" else form((turns.steps + 1, *own.shape), own.dtype)


def history(loop: Node, k: int, after: bool) -> Node:
    """[steps, ...]: a carried value before each step, or after it."""
    turns = loop.attrs[1]
    return narrow(result_of(loop, "history", k), 0, int(after != turns.backwards), turns.steps)


def stacked(loop: Node, inner: Node) -> Node:
    """[steps, ...]: a value of the body at each step."""
    body, turns = loop.attrs
    if not turns.plain:
        return result_of(loop, "stack", inner)
    carried = body.inputs[1 + turns.slices :][: turns.carried]
    news = body.results[turns.conditional :][: turns.carried]
    if inner in news:
        return history(loop, news.index(inner), True)
    if inner in carried:
        return history(loop, carried.index(inner), False)
    if inner in body.inputs[1:]:
        at = body.inputs.index(inner) - 1
        outer = loop.args[turns.head + at]
        return outer if at < turns.slices else expand(outer, (turns.steps, *inner.shape))
    return result_of(loop, "stack", inner)


def over(node: Node, known: dict[Node, Node]) -> Node:
    """The node with others in the place of those that are `known`, which is filled."""
    first = min((k.serial for k in known), default=node.serial + 1)
    stack = [node]
    while stack:
        at = stack[-1]
        inside = at.serial >= first and at not in known
        missing = [a for a in at.args if a.serial >= first and a not in known] if inside else []
        if missing:
            stack.extend(missing)
            continue
        if inside:
            known[at] = rebuild(at, tuple(known.get(a, a) for a in at.args))
        stack.pop()
    return known.get(node, node)


# ---------- building ----------
class Loop:
    """A loop that is being built.

    node   the loop;  inner: a node that the steps were written with -> the body's, or the outer
           node itself where it does not depend on the step
    """

    def __init__(self, turns: Turns, carried: list[tuple[Node, Node, Node]]):
        self.turns = turns
        self.carried = carried
        self.inner: dict[Node, Node] = {}
        self.fixed: dict[int, Node] = {}  # carried values that never change
        self.places: dict[int, int] = {}  # number of a carried value -> its place in the loop
        self.node: Node | None = None

    def last(self, k: int) -> Node:
        """A carried value after the last step."""
        return self.fixed[k] if k in self.fixed else result_of(self.node, "last", self.places[k])

    def history(self, k: int) -> Node:
        """[steps + 1, ...]: a carried value before the first step and after each one; the last
        first if the steps run backwards."""
        if k in self.fixed:
            first = self.fixed[k]
            return expand(first, (self.turns.steps + 1, *first.shape))
        return result_of(self.node, "history", self.places[k])

    def count(self) -> Node:
        """How many steps have run."""
        return result_of(self.node, "count", 0)

    def stack(self, value: Node) -> Node:
        """[steps, ...]: one of the `values` at each step."""
        inner = self.inner.get(value, value)
        if inner is value:
            return expand(value, (self.turns.steps, *value.shape))
        return stacked(self.node, inner)


def build(
    number: Node,
    slices: Sequence[tuple[Node, Node]],
    carried: Sequence[tuple[Node, Node, Node]],
    values: Sequence[Node],
    steps: int,
    *,
    backwards: bool = False,
    limit: Node | None = None,
    condition: tuple[Node, Node] | None = None,
    whole: bool = False,
    known: dict[Node, Node] | None = None,
) -> Loop:
    """A loop from nodes that stand for what a step is given.

    number     stands for the step's number
    slices     (what stands for a slice, the array [steps, ...])
    carried    (what stands for the value before a step, the first value, the value after a step)
    values     what else of a step may be asked for
    condition  (does the first step run?, does another one after this?)
    known      other nodes that stand for something, and what they stand for
    whole      every node born after what stands for inputs belongs to the step

    A condition that only counts (`trips`) gives the number of steps, and is not asked for.
    """
    if condition is not None and limit is None and not slices and not values:
        steps, condition = _counted(steps, condition, carried)
    fixed = {k: (old, first) for k, (old, first, new) in enumerate(carried) if new is old}
    moving = [k for k in range(len(carried)) if k not in fixed]
    turns = Turns(
        steps, len(slices), len(moving), backwards, limit is not None, condition is not None
    )
    loop = Loop(turns, list(carried))
    loop.fixed = {k: first for k, (_, first) in fixed.items()}
    loop.places = {k: i for i, k in enumerate(moving)}
    bounds = [number, *(s for s, _ in slices), *(carried[k][0] for k in moving)]
    closing = _Closing(bounds, {**dict(fixed.values()), **(known or {})}, whole)
    ends = [condition[1]] if condition else []
    ends += [carried[k][2] for k in moving]
    found = closing.closed([*ends, *values])
    body = Body(tuple(closing.inputs), tuple(found[: len(ends)]))
    loop.inner = {v: n for v, n in closing.made.items() if v in closing.inside}
    head = [limit] if limit is not None else []
    head += [condition[0]] if condition else []
    args = [*head, *(x for _, x in slices), *(carried[k][1] for k in moving), *closing.outer]
    loop.node = Node(LOOP, (body, turns), tuple(args), form((), float32))
    _infer(loop.node.attrs, *(a.form for a in args))
    return loop


def _counted(steps: int, condition: tuple[Node, Node], carried) -> tuple:
    """(at most so many steps, the condition) with what the condition says of their number."""
    trips = counted(condition[1], carried)
    if trips is None or not trips.steps:
        return steps, condition
    return min(steps, trips.steps), None if trips.exact else condition


_VIEWS = ("reshape", "permute", "expand", "slice")


class _Closing:
    """Makes the graph of a step read nothing but inputs of its own.

    inside  nodes that depend on the step;  outer: the values of other nodes that it reads
    """

    def __init__(self, bounds: list[Node], known: dict[Node, Node], whole: bool):
        self.inputs = [leaf(i, b.form) for i, b in enumerate(bounds)]
        self.inside = set(bounds)
        self.made: dict[Node, Node] = dict(zip(bounds, self.inputs, strict=True))
        self.outer: list[Node] = []
        self.read: dict[Node, Node] = {}
        self.known = dict(known)  # stand for values that do not depend on the step
        self.first = min(b.serial for b in (*bounds, *known))
        self.plain: dict[Node, bool] = {}
        self.whole = whole

    def closed(self, results: list[Node]) -> list[Node]:
        for node in self._above(results):
            if self.whole or any(a in self.inside for a in node.args):
                self.inside.add(node)
                self.made[node] = rebuild(node, tuple(self._seen(a) for a in node.args))
        return [self._seen(r) for r in results]

    def _above(self, results: list[Node]) -> list[Node]:
        """Nodes that may depend on the step: born after what stands for its inputs."""
        found: dict[int, Node] = {}
        stack = list(results)
        while stack:
            node = stack.pop()
            given = node in self.inside or node in self.known
            if given or node.serial in found or node.serial <= self.first:
                continue
            found[node.serial] = node
            stack.extend(node.args)
        return [found[s] for s in sorted(found)]

    def _seen(self, node: Node) -> Node:
        """What the body reads for a node."""
        if node in self.inside:
            return self.made[node]
        if node not in self.read:
            self.read[node] = self._outside(node)
        return self.read[node]

    def _outside(self, node: Node) -> Node:
        """Constants are the body's own, and so are views of what it is given."""
        node = over(node, self.known)
        if node.op.name in ("const", "iota") or self._constant(node):
            return node
        if node.op.name in _VIEWS:
            return rebuild(node, (self._seen(node.args[0]),))
        for k, outer in enumerate(self.outer):
            if outer is node:
                return self.inputs[len(self.inputs) - len(self.outer) + k]
        self.outer.append(node)
        self.inputs.append(leaf(len(self.inputs), node.form))
        return self.inputs[-1]

    def _constant(self, node: Node, deepest: int = 6) -> bool:
        """Is it made of constants alone?"""
        if node not in self.plain:
            named = node.op.kind in ("elementwise", "source") or node.op.name in _VIEWS
            given = node.op.name in ("leaf", "scalar", "check_range")
            below = deepest > 0 and all(self._constant(a, deepest - 1) for a in node.args)
            self.plain[node] = named and not given and below
        return self.plain[node]


# ---------- loops as functions ----------
Step = Callable[[Node, tuple[Node, ...], tuple[Node, ...]], tuple[Sequence[Node], Sequence[Node]]]


def _placeholders(forms: Iterable[Form], start: int) -> list[Node]:
    return [leaf(start - i, f) for i, f in enumerate(forms)]


def scan(
    step: Step,
    slices: Sequence[Node],
    carried: Sequence[Node],
    steps: int,
    *,
    backwards: bool = False,
    limit: Node | None = None,
) -> tuple[list[Node], list[Node]]:
    """(last carried values, stacked values) of `step(number, slices, carried)`, which gives
    (new carried values, values to stack). It may read any other node.

    slices [steps, ...] are given to it one by one, the last first if `backwards`. limit: a number
    of steps (int64, shape ()) that is known when the program runs.
    """
    (number,) = _placeholders([form((), int64)], -1)
    cut = _placeholders((form(x.shape[1:], x.dtype) for x in slices), -2)
    before = _placeholders((x.form for x in carried), -2 - len(cut))
    after, values = step(number, tuple(cut), tuple(before))
    if not steps:
        return list(carried), [zeros((0, *v.shape), v.dtype) for v in values]
    triples = list(zip(before, carried, after, strict=True))
    pairs = list(zip(cut, slices, strict=True))
    loop = build(number, pairs, triples, values, steps, backwards=backwards, limit=limit)
    return [loop.last(k) for k in range(len(triples))], [loop.stack(v) for v in values]


def loop_while(
    condition: Callable[..., Node],
    step: Callable[..., Sequence[Node]],
    carried: Sequence[Node],
    steps: int,
) -> list[Node]:
    """`carried = step(*carried)` while `condition(*carried)`, at most so many steps."""
    (number,) = _placeholders([form((), int64)], -1)
    before = _placeholders((x.form for x in carried), -2)
    after = list(step(*before))
    triples = list(zip(before, carried, after, strict=True))
    goes_on = condition(*carried), condition(*after)
    loop = build(number, [], triples, [], steps, condition=goes_on)
    return [loop.last(k) for k in range(len(triples))]


def either(
    truth: Node, yes: Callable[[], Sequence[Node]], no: Callable[[], Sequence[Node]]
) -> list[Node]:
    """The values of yes() where the truth value of shape () holds, else those of no(): a loop of
    at most one step each, so only one of them is computed."""
    found = [_once(truth, yes), _once(NOT(truth), no)]
    return [where(truth, a, b) for a, b in zip(*found, strict=True)]


def _once(truth: Node, values: Callable[[], Sequence[Node]]) -> list[Node]:
    """The values where the truth holds, else zeros."""
    (number,) = _placeholders([form((), int64)], -1)
    found = list(values())
    loop = build(number, [], [], found, 1, limit=cast(truth, int64), whole=True)
    return [reshape(loop.stack(v), v.shape) for v in found]
