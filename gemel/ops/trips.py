"""How many steps a loop takes whose condition counts: `i < n`, where each step adds to i.

In: a loop's condition and carried values, as nodes. Out: a bound on its steps, and whether all of
them run. A loop that is known to run n times needs no condition; one that runs at most n times has
a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gemel.graph.node import Node

DEEPEST = 8  # operations that a constant may be made of, one in the other
SMALL = 16  # cells that are followed at most


class Trips(NamedTuple):
    """At most so many steps run; `exact`: and no fewer, so that nothing has to be asked."""

    steps: int
    exact: bool


def counted(goes_on: Node, carried: Sequence[tuple[Node, Node, Node]]) -> Trips | None:
    """What the condition after a step says of the number of steps; None where it says nothing.

    carried: (what stands for the value before a step, the first value, the value after a step)
    """
    if goes_on.op.name == "and":
        sides = [counted(a, carried) for a in goes_on.args]
        bounds = [s.steps for s in sides if s is not None]
        return Trips(min(bounds), False) if bounds else None
    if goes_on.op.name not in ("lt", "le"):
        return None
    inclusive = goes_on.op.name == "le"
    left, right = goes_on.args
    for counter, bound, sign in ((left, right, 1), (right, left, -1)):
        place = _of_counter(counter, carried)
        last = number(bound)
        if place is None or last is None:
            continue
        first, step = place
        if step * sign > 0:
            way = (last - first) * sign + inclusive
            return Trips(max(0, -(-way // (step * sign))), True)
    return None


def _of_counter(node: Node, carried) -> tuple[int, int] | None:
    """(first value, what each step adds) of a carried integer that is known at every step."""
    for before, first, after in carried:
        if node is not after or node.dtype.kind not in "iu" or node.shape:
            continue
        start, step = number(first), _added(before, after)
        return None if start is None or not step else (start, step)
    return None


def _added(before: Node, after: Node) -> int | None:
    """The constant that a step adds to a value."""
    if after.op.name not in ("add", "sub"):
        return None
    left, right = after.args
    if left is before:
        found = number(right)
        return -found if found is not None and after.op.name == "sub" else found
    return number(left) if right is before and after.op.name == "add" else None


def number(node: Node, deepest: int = DEEPEST) -> int | None:
    """The value of an integer that is made of constants alone."""
    if node.dtype.kind not in "iu" or node.form.size != 1:
        return None
    found = _constant(node, deepest)
    return None if found is None else int(found.item())


def _constant(node: Node, deepest: int):
    """The few numbers of a node; None where they depend on anything given."""
    if node.form.size > SMALL or not deepest:
        return None
    if node.op.name == "const":
        return node.op.reference(node.attrs).reshape(node.shape)
    if node.op.kind not in ("elementwise", "movement") or node.op.name == "check_range":
        return None
    args = [_constant(a, deepest - 1) for a in node.args]
    if not args or any(a is None for a in args):
        return None
    found = node.op.reference(node.attrs, *args)
    return np.asarray(found, node.dtype.numpy).reshape(node.shape)
