"""`contract`: the one primitive of products summed over shared axes.

Each axis of an operand carries a label (a small integer). A label in both operands and in the
result is a batch axis; in one operand and the result a free axis; in both operands only, summed.
A `Window` ties three labels together, one in each of the two operands and the result: the place
in the longest of them is `stride * step + dilation * tap - pad`, and where there is no such place
the product is 0. So a convolution is a contraction (steps in the result), and so are the gradients
for its input (places in the result) and for its kernel (taps in the result).

The family is closed under differentiation: the sum over everything of a, b and the result's
cotangent is a trilinear form with labels and windows of its own, and each gradient is that form
with another one of the three taken out.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from gemel.graph.errors import DTypeError, ShapeError
from gemel.graph.form import Form, form
from gemel.graph.node import Node

from .movement import expand, reshape
from .record import Primitive


class Window(NamedTuple):
    """place = stride * step + dilation * tap - pad. Three labels, and how many of each exist."""

    place: int
    step: int
    tap: int
    stride: int
    dilation: int
    pad: int
    places: int
    steps: int
    taps: int

    def sizes(self) -> dict[int, int]:
        """label -> size."""
        return {self.place: self.places, self.step: self.steps, self.tap: self.taps}


def label_sizes(attrs, a: Form, b: Form) -> dict[int, int]:
    """label -> size; ShapeError where operands and windows disagree."""
    sizes: dict[int, int] = {}
    for window in attrs[3]:
        sizes.update(window.sizes())
    for labels, f in ((attrs[0], a), (attrs[1], b)):
        if len(labels) != f.ndim or len(set(labels)) != len(labels):
            raise ShapeError("contract", f"labels {labels} for {f.ndim} axes", (a, b))
        for label, n in zip(labels, f.shape, strict=True):
            if sizes.setdefault(label, n) != n:
                raise ShapeError("contract", f"axis {label}: {sizes[label]} against {n}", (a, b))
    return sizes


def _check_windows(attrs, forms) -> set[int]:
    """The labels of the windows; ShapeError unless each is in one of the three values only."""
    *values, windows = attrs
    found: set[int] = set()
    for w in windows:
        labels = {w.place, w.step, w.tap}
        held = [labels & set(value) for value in values]
        if len(labels) != 3 or labels & found or [len(h) for h in held] != [1, 1, 1]:
            raise ShapeError("contract", f"{w} needs one label in each of {values}", forms)
        if w.stride < 1 or w.dilation < 1 or min(w.sizes().values()) < 0:
            raise ShapeError("contract", f"{w}: stride and dilation must be positive", forms)
        found |= labels
    return found


def _infer(attrs, a: Form, b: Form) -> Form:
    la, lb, lo, _ = attrs
    if a.dtype is not b.dtype or a.dtype.kind == "b":
        raise DTypeError("contract", "operands of one number type are needed", (a, b))
    sizes = label_sizes(attrs, a, b)
    windowed = _check_windows(attrs, (a, b))
    alone = (set(la) ^ set(lb)) - windowed
    if alone != alone & set(lo):
        raise ShapeError("contract", "an axis of one operand only must be in the result", (a, b))
    if not set(lo) <= set(sizes) or len(set(lo)) != len(lo):
        raise ShapeError("contract", f"result axes {lo} come from nowhere", (a, b))
    return form(tuple(sizes[label] for label in lo), a.dtype)


# ---------- reference ----------
def _reference(attrs, a, b):
    la, lb, lo, windows = attrs
    sizes = dict(zip(la + lb, a.shape + b.shape, strict=True))
    for w in windows:
        sizes.update(w.sizes())
    out = np.zeros([sizes[label] for label in lo], a.dtype)
    if not a.size or not b.size or not out.size:
        return out
    if not windows:
        return np.einsum(a, list(la), b, list(lb), list(lo)).astype(a.dtype)
    # a place too far is a cell of the border: zero in an operand, cut off from the result
    a, la = _windows_of(_bordered(a, la, windows), la, windows)
    b, lb = _windows_of(_bordered(b, lb, windows), lb, windows)
    whole = _bordered(out, lo, windows)
    cells, labels = _windows_of(whole, lo, windows, writable=True)
    spread = [w for w in windows if w.place in lo]
    for at in product(*(range(w.taps) for w in spread)):
        tap = {w.tap: i for w, i in zip(spread, at, strict=True)}
        x, lx = _taken(a, la, tap)
        y, ly = _taken(b, lb, tap)
        cell, lc = _taken(cells, labels, tap)
        cell += np.einsum(x, lx, y, ly, lc)
    return _inside(whole, lo, windows)


def _border(w: Window) -> tuple[int, int]:
    """Cells before and after the places, so that every step and tap has one."""
    last = w.stride * (w.steps - 1) + w.dilation * (w.taps - 1) - w.pad
    return max(0, w.pad), max(0, last + 1 - w.places)


def _bordered(x, labels, windows):
    widths = {w.place: _border(w) for w in windows}
    return np.pad(x, [widths.get(label, (0, 0)) for label in labels])


def _inside(x, labels, windows):
    cut = {w.place: slice(_border(w)[0], _border(w)[0] + w.places) for w in windows}
    return x[tuple(cut.get(label, slice(None)) for label in labels)]


def _windows_of(x, labels, windows, writable: bool = False):
    """A view of x in which steps and taps take the place of places, and its labels."""
    found = {w.place: w for w in windows}
    shape, strides, names, start = [], [], [], []
    for n, s, label in zip(x.shape, x.strides, labels, strict=True):
        w = found.get(label)
        if w is None:
            shape, strides, names = [*shape, n], [*strides, s], [*names, label]
            start.append(slice(None))
            continue
        shape += [w.steps, w.taps]
        strides += [s * w.stride, s * w.dilation]
        names += [w.step, w.tap]
        start.append(slice(_border(w)[0] - w.pad, None))
    view = np.lib.stride_tricks.as_strided(x[tuple(start)], shape, strides, writeable=writable)
    return view, names


def _taken(x, labels, at: dict[int, int]):
    """x at one tap of some windows, and the labels left."""
    place = tuple(at.get(label, slice(None)) for label in labels)
    return x[place], [label for label in labels if label not in at]


# attrs: (labels of a, labels of b, labels of the result, windows)
CONTRACT = Primitive(
    "contract",
    "contraction",
    2,
    _infer,
    (
        lambda g, y, a, b: _turned(g, b, y.attrs, (2, 1, 0)),
        lambda g, y, a, b: _turned(g, a, y.attrs, (2, 0, 1)),
    ),
    _reference,
)


def _turned(a: Node, b: Node, attrs, order) -> Node:
    """The same trilinear form with another value taken out."""
    return CONTRACT(a, b, attrs=(*(attrs[i] for i in order), attrs[3]))


def contract(a: Node, b: Node, la, lb, lo, windows=()) -> Node:
    """a and b multiplied and summed, by labels of their axes and of the result's.

    Both of one number type; the result has it too. ShapeError where labels and sizes disagree.
    """
    return CONTRACT(a, b, attrs=(tuple(la), tuple(lb), tuple(lo), tuple(windows)))


def matmul(a: Node, b: Node) -> Node:
    """NumPy's matmul: vectors on either side, leading axes broadcast as batches."""
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("matmul", "both operands need at least one axis", (a.form, b.form))
    if a.ndim == 1 and b.ndim == 1:
        return contract(a, b, (0,), (0,), ())
    if b.ndim == 1:
        free = tuple(range(1, a.ndim))
        return contract(a, b, free + (0,), (0,), free)
    if a.ndim == 1:
        batch = tuple(range(2, b.ndim))
        return contract(a, b, (0,), batch + (0, 1), batch + (1,))
    return _batched(a, b)


def _batched(a: Node, b: Node) -> Node:
    """Leading axes: a batch label where both have the size, else free where one has it."""
    lead = max(a.ndim, b.ndim) - 2
    sizes_a = (1,) * (lead + 2 - a.ndim) + a.shape[:-2]
    sizes_b = (1,) * (lead + 2 - b.ndim) + b.shape[:-2]
    la: list[int] = []
    lb: list[int] = []
    for i, (n, m) in enumerate(zip(sizes_a, sizes_b, strict=True)):
        if n != m and n != 1 and m != 1:
            raise ShapeError("matmul", f"batches of {n} and {m}", (a.form, b.form))
        if n == m or n != 1:
            la.append(i + 3)
        if n == m or m != 1:
            lb.append(i + 3)
    batch = tuple(i + 3 for i in range(lead))
    a = reshape(a, tuple(sizes_a[i - 3] for i in la) + a.shape[-2:])
    b = reshape(b, tuple(sizes_b[i - 3] for i in lb) + b.shape[-2:])
    return contract(a, b, (*la, 1, 0), (*lb, 0, 2), (*batch, 1, 2))


def outer(a: Node, b: Node) -> Node:
    """The product of every pair: shape of a, then shape of b."""
    return expand(reshape(a, a.shape + (1,) * b.ndim), a.shape + b.shape) * b
