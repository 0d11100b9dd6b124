"""Loops made ready: each knows everything that is taken from it, and computes nothing else.

While a graph is built, results are taken from a loop one by one (`ops.loops`): the gradient asks
for values of the steps that the loop did not know of before. Here the loop's body gets them as
results of its own, by number, and what is not asked for goes: carried values that lead nowhere,
operands that nobody reads. A carried value that is stacked as well is kept once, in its history.
"""

from __future__ import annotations

from gemel.graph.body import Body
from gemel.graph.form import form
from gemel.graph.node import Node, order, rebuild, recorded_at
from gemel.ops.loops import LOOP, RESULT, Turns
from gemel.ops.movement import narrow, reshape
from gemel.ops.record import leaf


def close_loops(outputs: list[Node]) -> list[Node]:
    """The same values; every loop with a closed body."""
    nodes = order(outputs)
    taken: dict[Node, list[Node]] = {}
    for node in nodes:
        if node.op is RESULT:
            taken.setdefault(node.args[0], []).append(node)
    if not taken:
        return outputs
    done: dict[Node, Node] = {}
    for node in nodes:
        if node.op is LOOP:
            with recorded_at(node.where):
                _close(node, taken.get(node, []), done)
        elif node.op is not RESULT:
            done[node] = rebuild(node, tuple(done[a] for a in node.args))
    return [done[o] for o in outputs]


def _close(loop: Node, taken: list[Node], done: dict[Node, Node]) -> None:
    """Put the loop and its results, of other operands by now, into `done`."""
    closing = _Closing(loop, taken)
    made = closing.made(tuple(done[a] for a in loop.args))
    for result in taken:
        done[result] = closing.result(made, result)


class _Closing:
    """carried, sliced, fixed: numbers of the carried values, slices and constants that are left
    histories: carried values of which all are asked for;  stacks: values that are stacked"""

    def __init__(self, loop: Node, taken: list[Node]):
        body, self.turns = loop.attrs
        turns = self.turns
        self.loop = loop
        inputs = body.inputs
        self.slice_leaves = inputs[1 : 1 + turns.slices]
        self.carry_leaves = inputs[1 + turns.slices :][: turns.carried]
        self.constant_leaves = inputs[1 + turns.slices + turns.carried :]
        self.number = inputs[0]
        self.news = body.results[turns.conditional :][: turns.carried]
        self.head = body.results[: turns.conditional]
        asked = [(r.attrs[0], r.attrs[1]) for r in taken]
        stacked = [what for which, what in asked if which == "stack"]
        if all(isinstance(what, int) for what in stacked) and stacked:
            stacked = [body.results[turns.conditional + turns.carried + j] for j in stacked]
        self.stacks = list(dict.fromkeys(stacked))
        self.by_number = body.results[turns.conditional + turns.carried :]
        self.lasts = {what for which, what in asked if which == "last"}
        self.histories = {what for which, what in asked if which == "history"}
        self._live()

    def _live(self) -> None:
        carried = self.lasts | self.histories
        while True:
            ends = [*self.head, *self.stacks, *(self.news[k] for k in sorted(carried))]
            read = set(order(ends))
            more = {k for k, x in enumerate(self.carry_leaves) if x in read} | carried
            if more == carried:
                break
            carried = more
        self.carried = sorted(carried)
        self.sliced = [i for i, x in enumerate(self.slice_leaves) if x in read]
        self.fixed = [i for i, x in enumerate(self.constant_leaves) if x in read]

    def made(self, args: tuple[Node, ...]) -> Node:
        """The closed loop over these operands."""
        turns = self.turns
        chosen = [self.slice_leaves[i] for i in self.sliced]
        chosen += [self.carry_leaves[k] for k in self.carried]
        chosen += [self.constant_leaves[i] for i in self.fixed]
        inputs = [leaf(i, x.form) for i, x in enumerate([self.number, *chosen])]
        done = dict(zip([self.number, *chosen], inputs, strict=True))
        ends = [*self.head, *(self.news[k] for k in self.carried), *self.stacks]
        ends = [self._over(e, done) for e in ends]
        body = Body(tuple(inputs), tuple(close_loops(ends)))
        first, second = turns.head, turns.head + turns.slices
        third = second + turns.carried
        operands = [*args[:first], *(args[first + i] for i in self.sliced)]
        operands += [args[second + k] for k in self.carried]
        operands += [args[third + i] for i in self.fixed]
        now = Turns(turns.steps, len(self.sliced), len(self.carried), *turns[3:])
        return Node(LOOP, (body, now), tuple(operands), self.loop.form)

    @staticmethod
    def _over(end: Node, done: dict[Node, Node]) -> Node:
        for node in order([end]):
            if node not in done:
                done[node] = rebuild(node, tuple(done[a] for a in node.args))
        return done[end]

    def result(self, made: Node, old: Node) -> Node:
        """What was taken from the loop, of the closed one."""
        which, what, f = old.attrs
        if which == "stack":
            inner = self.by_number[what] if isinstance(what, int) else what
            return Node(RESULT, (which, self.stacks.index(inner), f), (made,), f)
        if which == "count":
            return Node(RESULT, old.attrs, (made,), f)
        k = self.carried.index(what)
        if which == "last" and what in self.histories and self.turns.plain:
            steps = self.turns.steps
            whole = form((steps + 1, *f.shape), f.dtype)
            history = Node(RESULT, ("history", k, whole), (made,), whole)
            at = 0 if self.turns.backwards else steps
            return reshape(narrow(history, 0, at, 1), f.shape)
        return Node(RESULT, (which, k, f), (made,), f)
