"""Operators with subgraphs: their conditions and counts are looked at."""

from __future__ import annotations

import numpy as np

from gemel import tensor as engine
from gemel.ops import movement as m
from gemel.ops.record import Call

from .operators import operator
from .values import Value


@operator("If", kind="control")
def branch(node, condition: Value) -> list[Value]:
    name = "then_branch" if bool(condition.array()) else "else_branch"
    return node.graph(name).run(node.scope, node.kind)


def _stacked(attrs, *nodes):
    return m.stack(list(nodes), attrs[0])


STACKED = Call("onnx.stacked", _stacked)


def _joined(node, rows: list[Value], axis: int = 0) -> Value:
    """Values of all turns along a new axis."""
    if all(v.known for v in rows):
        return Value(array=np.stack([v.array() for v in rows], axis))
    tensors = [v.tensor(node.kind) for v in rows]
    return Value(engine.record_n(STACKED, node.kind, tensors, (axis,)))


@operator("Loop", kind="control")
def loop(node, most: Value | None = None, condition: Value | None = None, *carried: Value):
    body = node.graph("body")
    limit = None if most is None else int(most.array().item())
    going = True if condition is None else bool(condition.array())
    state, rows, turn = list(carried), [], 0
    while going and (limit is None or turn < limit):
        given = [Value(array=np.array(turn, np.int64)), Value(array=np.array(going)), *state]
        scope = node.scope | dict(zip(body.inputs, given, strict=False))
        made = body.run(scope, node.kind)
        going = bool(made[0].array())
        state = made[1 : 1 + len(carried)]
        rows.append(made[1 + len(carried) :])
        turn += 1
    outs = len(body.outputs) - 1 - len(carried)
    if not rows and outs:
        raise NotImplementedError("ONNX Loop: no turn was taken, so its outputs have no shape")
    return [*state, *(_joined(node, [row[i] for row in rows]) for i in range(outs))]


def _part(attrs, x):
    axis, place = attrs
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    return m.reshape(m.narrow(x, axis, place, 1), shape)


PART = Call("onnx.part", _part)


@operator("Scan", since=9, kind="control")
def scan(node, *given: Value) -> list[Value]:
    body, count = node.graph("body"), node.get("num_scan_inputs")
    state, scanned = list(given[: len(given) - count]), given[len(given) - count :]
    return _scanned(node, body, state, scanned)


@operator("Scan", since=8, kind="control")
def old_scan(node, lengths, *given: Value) -> list[Value]:
    """With a batch axis first, each of which is scanned on its own."""
    if lengths is not None:
        raise NotImplementedError("ONNX Scan of version 8 with lengths is not supported")
    count = node.get("num_scan_inputs")
    rows = []
    for b in range(given[0].form.shape[0]):
        mine = [_taken(node, v, 0, b) for v in given]
        cut = len(mine) - count
        rows.append(_scanned(node, node.graph("body"), mine[:cut], mine[cut:]))
    return [_joined(node, list(column)) for column in zip(*rows, strict=True)]


def _taken(node, value: Value, axis: int, place: int) -> Value:
    return Value(engine.record_n(PART, node.kind, [value.tensor(node.kind)], (axis, place)))


def _scanned(node, body, state: list[Value], scanned) -> list[Value]:
    ways = node.get("scan_input_directions") or [0] * len(scanned)
    axes = node.get("scan_input_axes") or [0] * len(scanned)
    axes = [a % v.form.ndim for a, v in zip(axes, scanned, strict=True)]
    n = scanned[0].form.shape[axes[0]]
    rows, carried = [], len(state)
    for turn in range(n):
        columns = [
            _taken(node, v, axis, n - 1 - turn if way else turn)
            for v, axis, way in zip(scanned, axes, ways, strict=True)
        ]
        scope = node.scope | dict(zip(body.inputs, [*state, *columns], strict=True))
        made = body.run(scope, node.kind)
        state = made[:carried]
        rows.append(made[carried:])
    return [*state, *_collected(node, rows, len(body.outputs) - carried)]


def _collected(node, rows: list, outs: int) -> list[Value]:
    ways = node.get("scan_output_directions") or [0] * outs
    axes = node.get("scan_output_axes") or [0] * outs
    found = []
    for i, (way, axis) in enumerate(zip(ways, axes, strict=True)):
        column = [row[i] for row in rows]
        axis %= column[0].form.ndim + 1
        found.append(_joined(node, column[::-1] if way else column, axis))
    return found


@operator("OptionalHasElement", kind="control")
def has_element(node, x: Value | None = None) -> list[Value]:
    return [Value(array=np.array(x is not None))]


@operator("OptionalGetElement", kind="control")
def get_element(node, x: Value) -> list[Value]:
    return [x]
