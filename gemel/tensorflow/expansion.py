"""From operations to one graph of nodes: what `Session.run` does on a first sight of a fetch.

Role: prune to what the fetches need, put it in order, expand it. In: operations, the forms of what
is fed. Out: an `Expansion` with leaves, where their values come from, and the variables' new
values. Invariant: a read sees the writes that it depends on, through data or control, and no
others; writes happen in the order in which the program made them.
"""

from __future__ import annotations

import heapq
from copy import copy

import numpy as np

from gemel.graph.form import Form, bool_, form, uint64
from gemel.graph.node import Node, recorded_at
from gemel.ops.elementwise import cast
from gemel.ops.movement import full
from gemel.ops.random_tensorflow import advanced
from gemel.ops.record import const, leaf

from . import errors, inference
from .bodies import Applied, Constant
from .shape import show
from .symbolic import Operation, SymbolicTensor

FEED, CELL, CONSTANT, STATE, INITIALIZED = "feed", "cell", "constant", "state", "initialized"


def needed(operations: list[Operation], fed: set[Operation]) -> list[Operation]:
    """The operations that have to run, in the order in which they run.

    Operations other than writes come as early as possible, so that a read comes after a write only
    where it depends on it.
    """
    found: dict[Operation, None] = {}
    stack = list(operations)
    while stack:
        op = stack.pop()
        if op in found:
            continue
        found[op] = None
        stack.extend(_before(op, fed))
    return ordered(found, fed)


def _before(op: Operation, fed: set[Operation]) -> list[Operation]:
    if op in fed and len(op.outputs) == 1:
        return []
    return [t.op for t in op.inputs] + list(op.control_inputs)


def ordered(found: dict, fed: set[Operation]) -> list[Operation]:
    """The operations of `found` in an order in which they can run."""
    every = next(iter(found)).graph.get_operations() if found else []
    place = {op: i for i, op in enumerate(every)}
    waits = {op: {b for b in _before(op, fed) if b in found} for op in found}
    users: dict = {}
    for op, before in waits.items():
        for b in before:
            users.setdefault(b, []).append(op)
    ready = [_rank(op, place) for op, before in waits.items() if not before]
    heapq.heapify(ready)
    names = {place[op]: op for op in found}
    out = []
    while ready:
        op = names[heapq.heappop(ready)[1]]
        out.append(op)
        for user in users.get(op, ()):
            waits[user].discard(op)
            if not waits[user]:
                heapq.heappush(ready, _rank(user, place))
    return out


def _rank(op: Operation, place: dict) -> tuple[bool, int]:
    return bool(op.body.writes), place[op]


class Expansion:
    """Nodes of one run.

    leaves   leaf nodes, in position
    sources  for each leaf (kind, what): where its value comes from
    writes   variable -> its new value
    checks   nodes that must be computed for the errors they may raise
    """

    def __init__(self, forms: dict[SymbolicTensor, Form], statics: dict):
        """forms: of what is fed. statics: fed tensor -> its value, where a shape depends on it."""
        self.forms = forms
        self.statics = statics
        self.leaves: list[Node] = []
        self.sources: list[tuple] = []
        self.writes: dict = {}
        self.checks: list[Node] = []
        self.turn: Node | None = None  # which step of a loop this is, of so many
        self.turns = 1
        self._nodes: dict[SymbolicTensor, Node] = {}
        self._reads: dict = {}
        self._cells: dict = {}
        self._values: dict[SymbolicTensor, np.ndarray] = {}
        for tensor, f in forms.items():
            self._nodes[tensor] = self._leaf(f, FEED, tensor)

    def run(self, operations: list[Operation]) -> None:
        """Expand the operations, in order. An expansion's error names the operation."""
        for op in operations:
            if op.outputs and all(t in self.forms for t in op.outputs):
                continue
            with recorded_at(op.where):
                try:
                    made = op.body.expand(op, self)
                except errors.MISMATCHES as error:
                    raise self._located(error, op) from None
            for tensor, node in zip(op.outputs, made, strict=bool(made)):
                self._nodes.setdefault(tensor, node)

    @staticmethod
    def _located(error: Exception, op: Operation) -> errors.InvalidArgumentError:
        place = f", made at {op.where[0]}:{op.where[1]}" if op.where else ""
        return errors.InvalidArgumentError(
            None, op, f"{error}\n\t [[{{{{node {op.name}}}}}]]{place}"
        )

    def within(self, given: dict, variables: dict, turn: Node | None, turns: int) -> Expansion:
        """The same run inside of a loop or a choice, where tensors have these values and variables
        have changed to those; its writes and checks are its own.

        turn  which step of a loop it is (int64), of so many `turns`; None outside of loops
        """
        inner = copy(self)
        if turn is not None:
            inner.turn = turn if self.turn is None else self.turn * turns + turn
            inner.turns = self.turns * turns
        inner._nodes = self._nodes | given
        inner._values = {}
        inner._reads = {v: list(rows) for v, rows in self._reads.items()}
        inner.writes = self.writes | variables
        inner.checks = []
        return inner

    def _leaf(self, f: Form, kind: str, what) -> Node:
        node = leaf(len(self.leaves), f)
        self.leaves.append(node)
        self.sources.append((kind, what))
        return node

    # ---------- what bodies ask for ----------
    def node(self, tensor: SymbolicTensor) -> Node:
        return self._nodes[tensor]

    def constant(self, op: Operation, value: np.ndarray) -> Node:
        dtype = op.outputs[0].dtype.engine
        flat = value.ravel()
        if value.size == 0 or value.size == 1 or (flat == flat[0]).all() and value.size > 16:
            return full(value.shape, flat[0].item() if value.size else 0, dtype)
        return self._leaf(form(value.shape, dtype), CONSTANT, op)

    def unfed(self, op: Operation) -> Node:
        fact = op.outputs[0].fact
        shape = show(fact.shape)
        place = f"\n\t made at {op.where[0]}:{op.where[1]}" if op.where else ""
        raise errors.InvalidArgumentError(
            None,
            op,
            f"You must feed a value for placeholder tensor '{op.name}' with dtype "
            f"{fact.dtype.enum_name} and shape {shape}\n\t [[{{{{node {op.name}}}}}]]{place}",
        )

    def read(self, variable) -> Node:
        """The variable's present value."""
        found = self.writes.get(variable)
        if found is None:
            found = self._initial(variable)
        rows = self._reads.setdefault(variable, [])
        if all(found is not r for r in rows):
            rows.append(found)
        return found

    def _initial(self, variable) -> Node:
        found = self._cells.get(variable)
        if found is None:
            f = form(tuple(variable.shape), variable.dtype.engine)
            found = self._cells[variable] = self._leaf(f, CELL, variable)
        return found

    def reads(self, variable) -> list[Node]:
        """The values that were read of the variable so far: where its gradient ends."""
        return self._reads.get(variable) or [self.read(variable)]

    def write(self, variable, node: Node) -> None:
        self.writes[variable] = node

    def initialized(self, variable) -> Node:
        if variable in self.writes:
            return const(True, bool_)
        return self._leaf(form((), bool_), INITIALIZED, variable)

    def random_state(self, op: Operation, body, attrs: tuple, f: Form) -> Node:
        """The words that an operation begins to draw from; in a loop each step draws on."""
        words = self._leaf(f, STATE, (op, body, attrs, self.turns))
        if self.turn is None:
            return words
        skipped = cast(self.turn, uint64) * body.sampler.counters(attrs[0])
        return advanced(words, skipped)

    def watch(self, node: Node) -> None:
        self.checks.append(node)

    def value(self, tensor: SymbolicTensor) -> np.ndarray:
        """A tensor's value where it follows from shapes, constants and static feeds.

        Raises inference.Unknown, with the fed tensor that it depends on.
        """
        found = self._values.get(tensor)
        if found is None:
            found = self._values[tensor] = self._found_value(tensor)
        return found

    def _found_value(self, tensor: SymbolicTensor) -> np.ndarray:
        if tensor in self.statics:
            return self.statics[tensor]
        if tensor in self.forms:
            raise inference.Unknown(tensor)
        body = tensor.op.body
        if isinstance(body, Constant):
            return body.value
        if not isinstance(body, Applied):
            if tensor.op.type == "PlaceholderWithDefault":
                return self.value(tensor.op.inputs[0])
            raise inference.Unknown(tensor)
        attrs = inference.resolved(body.attrs, self.value)
        inputs = tensor.op.inputs[: body.count]
        if getattr(body.call, "value", None) is not None:
            return body.call.value(attrs, *(self.node(t).shape for t in inputs))
        values = [self.value(t) for t in inputs]
        return inference.folded(body.call, attrs, values)[tensor.value_index]
