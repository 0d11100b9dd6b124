"""Loops made ready: each knows everything that is taken from it, and computes nothing else.

While a graph is built, results are taken from a loop one by one (`ops.loops`): the gradient asks
for values of the steps that the loop did not know of before. Here the loop's body gets them as
results of its own, by number, and what is not asked for goes: carried values that lead nowhere,
operands that nobody reads. A carried value that is stacked as well is kept once, in its history.
"""

from __future__ import annotations

from gemel.graph.body import Body
from gemel.graph.form import form, int64
from gemel.graph.node import Node, order, rebuild, recorded_at
from gemel.ops.loops import LOOP, RESULT, Turns, over
from gemel.ops.movement import narrow, reshape, stack
from gemel.ops.record import const, leaf


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
    results = {r: closing.result(made, r) for r in taken}
    if calls_numpy(made.attrs[0]):
        results = _written_out(made, results)
    done.update(results)


# ---------- loops that cannot be entered ----------
def calls_numpy(body: Body) -> bool:
    """Is there a call of a NumPy function, for which a program is left?"""
    nodes = order(body.results)
    return any(n.op.name == "host" for n in nodes)


def _written_out(loop: Node, results: dict[Node, Node]) -> dict[Node, Node]:
    """The results, with the loop's steps one after the other."""
    body, turns = loop.attrs
    if not turns.plain:
        raise NotImplementedError(
            "a factorisation, a Fourier transform or another call of a NumPy function in a loop "
            "whose number of steps depends on data: loop a fixed number of times"
        )
    number, *inputs = body.inputs
    slices, rest = loop.args[: turns.slices], loop.args[turns.slices :]
    state, fixed = list(rest[: turns.carried]), rest[turns.carried :]
    rows: list[tuple[list[Node], list[Node]]] = []
    steps = range(turns.steps)
    for t in steps[::-1] if turns.backwards else steps:
        here = [reshape(narrow(x, 0, t, 1), x.shape[1:]) for x in slices]
        given = dict(zip(inputs, [*here, *state, *fixed], strict=True))
        known = {number: const(t, int64), **given}
        made = [over(r, known) for r in body.results]
        rows.append((state, made))
        state = made[: turns.carried]
    values: dict[tuple, Node] = {("last", k): x for k, x in enumerate(state)}
    way = -1 if turns.backwards else 1
    for k, last in enumerate(state):
        values["history", k] = stack([*(before[k] for before, _ in rows), last][::way], 0)
    for j in range(len(body.results) - turns.carried):
        values["stack", j] = stack([made[turns.carried + j] for _, made in rows][::way], 0)
    values["count", 0] = const(turns.steps, int64)
    return {old: _on(values, new) for old, new in results.items()}


def _on(values: dict[tuple, Node], node: Node) -> Node:
    """A result, or the view of a history that it is, as one of the values."""
    if node.op is RESULT:
        return values[node.attrs[:2]]
    return rebuild(node, (_on(values, node.args[0]),))


# ---------- closing ----------
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
