"""The way from the last product of an attention back to its first.

Role: walk a graph from softmax(...) V over movement, masks and scales to Q K^T, and keep what
labels the axes of scores have on the way. Input: a product. Output: a `Way`, or None. Invariant:
every step but masks is the same for all scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from gemel.graph.node import Node
from gemel.ops.attention import hides
from gemel.ops.elementwise import DIV, MUL

from .simplify import value_of

_MOST_STEPS = 32

Labels = tuple[int, ...]


@dataclass(frozen=True)
class Scaled:
    """Scores times or divided by one number."""

    op: Callable
    number: Node


@dataclass(frozen=True)
class Added:
    """Scores plus or minus a mask of numbers. labels: of the axes of the scores there."""

    mask: Node
    labels: Labels
    stretch: int
    negative: bool


@dataclass(frozen=True)
class Hidden:
    """Scores replaced by a number where the mask is True, or where it is not."""

    mask: Node
    labels: Labels
    stretch: int
    where_true: bool
    number: float


Step = Scaled | Added | Hidden


def constant_of(node: Node) -> float | None:
    """The number that a node is everywhere, also one of another type at first."""
    while node.op.name in ("cast", "expand", "reshape"):
        node = node.args[0]
    return value_of(node)


@dataclass(frozen=True)
class Side:
    """An operand of a product: labels of its axes; the last two that it shall have."""

    node: Node
    labels: Labels
    stretch: int
    last: Labels


@dataclass(frozen=True)
class Stretch:
    """The leading axes of scores between reshapes that merge or part them: labels in the order in
    which the reshapes see them, and sizes."""

    order: Labels
    sizes: tuple[int, ...]


@dataclass
class Way:
    """labels: of the last product's axes. queries, keys, depth: labels of these axes. steps: from
    the softmax towards the scores. chosen: the stretch whose leading axes masks have. low: what
    hidden scores are; None: -inf, and zeros where all are hidden."""

    value: Side
    labels: Labels
    queries: int
    keys: int
    depth: int
    query: Side = field(init=False)
    key: Side = field(init=False)
    steps: list[Step] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    inside: set[Node] = field(default_factory=set)
    chosen: int = 0
    low: float | None = -math.inf


def way_to(out: Node) -> Way | None:
    """The way from the last product, if it is one of attention."""
    if out.op.name != "contract" or out.attrs[3]:
        return None
    for side in (0, 1):
        if _may_be_shares(out.args[side]):
            found = _Walk(out, side).found()
            if found is not None:
                return found
    return None


def _may_be_shares(node: Node) -> bool:
    while node.op.name in ("permute", "reshape", "where"):
        cleared = node.op.name == "where" and constant_of(node.args[1]) is not None
        node = node.args[2] if cleared else node.args[1 if node.op.name == "where" else 0]
    if node.op.name == "with_gradient":
        return node.attrs[0].name.startswith("softmax ")
    return node.op.name == "div" and node.args[0].op.name == "exp"


def _other(labels, *known) -> int | None:
    """The only label that is none of the known."""
    found = set(labels).difference(*known)
    return found.pop() if len(found) == 1 else None


class _Walk:
    """at: the node; labels: of its axes; entered: the leading labels at the reshape that the walk
    came through last."""

    def __init__(self, out: Node, side: int):
        self.out = out
        self.side = side
        self.at = out.args[side]
        self.fresh = count(1 + max(max(labels, default=0) for labels in out.attrs[:3]))
        self.entered: Labels | None = None
        self.labels: Labels = out.attrs[side]
        self.cleared: tuple[Node, bool] | None = None  # shares are zero where this mask is so

    def found(self) -> Way | None:
        self.way = self._begun()
        if self.way is None or not self._to_softmax():
            return None
        for _ in range(_MOST_STEPS):
            if self.at.op.name == "contract":
                return self.way if self._products() and self._masks_fit() else None
            if not self._step():
                return None
        return None

    def _begun(self) -> Way | None:
        shares, values = self.out.attrs[self.side], self.out.attrs[1 - self.side]
        result = self.out.attrs[2]
        keys = _other(shares, result)
        queries = _other(shares, values)
        depth = _other(values, shares)
        if keys not in values or None in (queries, depth) or {queries, depth} - set(result):
            return None
        side = Side(self.out.args[1 - self.side], values, 0, (keys, depth))
        return Way(side, result, queries, keys, depth)

    # ---------- steps ----------
    def _go(self, node: Node) -> bool:
        self.way.inside.add(self.at)
        self.at = node
        return True

    def _step(self) -> bool:
        name = self.at.op.name
        if name in ("permute", "reshape"):
            return self._move()
        if name in ("mul", "div"):
            return self._scale()
        if name in ("add", "sub"):
            return self._add()
        return name == "where" and self._hide()

    def _move(self) -> bool:
        x = self.at.args[0]
        if x.shape == self.at.shape and self.at.op.name == "reshape":
            return self._go(x)
        if self.at.op.name == "permute":
            here = dict(zip(self.at.attrs[0], self.labels, strict=True))
            self.labels = tuple(here[i] for i in range(x.ndim))
            return self._go(x)
        last = (self.way.queries, self.way.keys)
        if self.labels[-2:] != last or x.shape[-2:] != self.at.shape[-2:]:
            return False
        if not self._leave(self.labels[:-2], self.at.shape[:-2]):
            return False
        self.entered = tuple(next(self.fresh) for _ in x.shape[:-2])
        self.labels = (*self.entered, *last)
        return self._go(x)

    def _leave(self, order: Labels, sizes: tuple) -> bool:
        """The end of a stretch, whose leading axes lie as they lay at its beginning."""
        self.way.stretches.append(Stretch(order, sizes))
        return self.entered is None or self.entered == order

    def _scale(self) -> bool:
        a, b = self.at.args
        if a.form.size == 1 and self.at.op is MUL:
            a, b = b, a
        if b.form.size != 1 or a.shape != self.at.shape or b.dtype is not a.dtype:
            return False
        self.way.steps.append(Scaled(self.at.op, b))
        return self._go(a)

    def _add(self) -> bool:
        a, b = self.at.args
        negative = self.at.op.name == "sub"
        if not negative and not _leads_on(a):
            a, b = b, a
        if a.shape != self.at.shape:
            return False
        self.way.steps.append(Added(b, self.labels, len(self.way.stretches), negative))
        return self._go(a)

    def _hide(self) -> bool:
        mask, a, b = self.at.args
        known = constant_of(mask)
        if known is not None:  # a write in place that no view narrows
            self.way.inside.add(b if known else a)
            return self._go(a if known else b)
        where_true = constant_of(a) is not None
        number, scores = (constant_of(a), b) if where_true else (constant_of(b), a)
        number = self._scaled(number)
        if number is None or not hides(float(number)) or scores.shape != self.at.shape:
            return False
        at = len(self.way.stretches)
        self.way.steps.append(Hidden(mask, self.labels, at, where_true, number))
        return self._go(scores)

    def _scaled(self, number: float | None) -> float | None:
        """What the steps after it make of a number; None where they do not only scale it by a
        constant."""
        for step in reversed(self.way.steps):
            if isinstance(step, Hidden) or number is None:
                continue
            if isinstance(step, Added):
                number = number if number == -math.inf else None
                continue
            factor = constant_of(step.number)
            if factor is None or not factor > 0:
                return None
            number = number * factor if step.op is MUL else number / factor
        return number

    # ---------- the softmax ----------
    def _to_softmax(self) -> bool:
        while self.at.op.name in ("permute", "reshape", "where"):
            if not (self._clear() if self.at.op.name == "where" else self._move()):
                return False
        axis = self.labels.index(self.way.keys)
        if self.at.op.name == "with_gradient":
            value, x = self.at.args[0], self.at.args[-1]
            if self.at.attrs[0].name != f"softmax {axis}" or value.op.name != "stop_gradient":
                return False
            self._go(value)
            self._go(value.args[0])
            return self._softmax(axis) and self.at is x
        return self._softmax(axis)

    def _clear(self) -> bool:
        """Zeros in the place of shares of hidden scores."""
        mask, a, b = self.at.args
        where_true = constant_of(a) == 0
        shares = b if where_true else a
        if self.cleared or not where_true and constant_of(b) != 0 or shares.shape != self.at.shape:
            return False
        self.cleared = (mask, where_true)
        return self._go(shares)

    def _softmax(self, axis: int) -> bool:
        """exp(x - top) / sum(exp(x - top))"""
        if self.at.op is not DIV:
            return False
        e, total = self.at.args
        if e.op.name != "exp" or not _over(total, "sum", e, axis):
            return False
        shifted = e.args[0]
        if shifted.op.name != "sub" or shifted.shape != e.shape:
            return False
        x, top = shifted.args
        bare = top.args[0] if top.op.name == "stop_gradient" else top
        if not _over(bare, "max", x, axis):
            return False
        self.way.inside |= {total, top, bare}
        return self._go(e) and self._go(shifted) and self._go(x)

    # ---------- the first product ----------
    def _products(self) -> bool:
        node, way = self.at, self.way
        la, lb, lo, windows = node.attrs
        if windows:
            return False
        name = dict(zip(lo, self.labels, strict=True))
        width = _other(la, lo)
        if width is None or _other(lb, lo) != width:
            return False
        name[width] = next(self.fresh)
        sides = [tuple(name[x] for x in labels) for labels in (la, lb)]
        first = 0 if way.queries in sides[0] else 1
        lead = tuple(x for x in self.labels if x not in (way.queries, way.keys))
        if self.entered is not None:
            lead = self.entered
        sizes = dict(zip(self.labels, node.shape, strict=True))
        way.stretches.append(Stretch(lead, tuple(sizes[x] for x in lead)))
        at = len(way.stretches) - 1
        way.query, way.key = (
            Side(node.args[i], sides[i], at, (own, name[width]))
            for i, own in ((first, way.queries), (1 - first, way.keys))
        )
        way.inside.add(node)
        return all(
            set(s.labels) == {*way.stretches[s.stretch].order, *s.last}
            for s in (way.query, way.key, way.value)
        )

    def _masks_fit(self) -> bool:
        """Can all masks be one?"""
        way = self.way
        masks = [s for s in way.steps if not isinstance(s, Scaled)]
        hidden = {s.number for s in masks if isinstance(s, Hidden)}
        way.low = hidden.pop() if hidden else -math.inf
        only = all(isinstance(s, Hidden) for s in masks)
        if hidden or not only and way.low != -math.inf:
            return False
        if self.cleared is not None:
            way.low = None
            if [(s.mask, s.where_true) for s in masks if isinstance(s, Hidden)] != [self.cleared]:
                return False
        bound = {s.stretch for s in masks if not _is_free(s)}
        way.chosen = bound.pop() if bound else len(way.stretches) - 1
        return not bound


def _leads_on(node: Node) -> bool:
    """Does it look like scores?"""
    for _ in range(_MOST_STEPS):
        if node.op.name == "contract":
            return True
        if node.op.name not in ("permute", "reshape", "mul", "div", "add", "sub", "where"):
            return False
        node = max(node.args, key=lambda a: (a.form.size, a.ndim))
    return False


def _over(node: Node, name: str, of: Node, axis: int) -> bool:
    """Is it this reduction of the value along the axis, which it keeps?"""
    return node.op.name == name and node.args[0] is of and node.attrs == ((axis,), True)


def _is_free(step: Added | Hidden) -> bool:
    """Is the mask the same for all leading axes?"""
    return all(n == 1 for n in step.mask.shape[:-2])
