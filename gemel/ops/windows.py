"""Convolution as a contraction with windows, in the layouts of both faces.

Values are [batch, channels, places...] or [batch, places..., channels]; kernels are
[out, in, window...] or [window..., in, out], with `in` counted per group. The layouts are orders
of labels: nothing is moved. In: nodes and static settings. Out: nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gemel.graph.node import Node

from .contraction import Window, contract
from .movement import reshape

Widths = tuple[tuple[int, int], ...]
_BATCH, _GROUP, _IN, _OUT, _FIRST = range(5)


class Convolution(NamedTuple):
    """The settings of a convolution: per place stride, dilation and padding (before, after)."""

    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    widths: Widths
    groups: int = 1
    channels_last: bool = False
    kernel_last: bool = False  # the kernel is [window..., in, out]

    def window(self, kernel: Node) -> tuple[int, ...]:
        return kernel.shape[:-2] if self.kernel_last else kernel.shape[2:]

    def places(self, x: Node) -> tuple[int, ...]:
        return x.shape[1:-1] if self.channels_last else x.shape[2:]


def same_widths(sizes, window, strides, dilations) -> Widths:
    """Padding with which the result has ceil(size / stride) places; the odd cell comes last."""
    out = []
    for n, k, s, d in zip(sizes, window, strides, dilations, strict=True):
        total = max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
        out.append((total // 2, total - total // 2))
    return tuple(out)


def result_sizes(sizes, window, strides, dilations, widths: Widths) -> tuple[int, ...]:
    """Places of the result; 0 where the window does not fit."""
    rows = zip(sizes, window, strides, dilations, widths, strict=True)
    return tuple(max(0, (n + a + b - (k - 1) * d - 1) // s + 1) for n, k, s, d, (a, b) in rows)


def convolution(x: Node, kernel: Node, how: Convolution, bias: Node | None = None) -> Node:
    """Sums of products of each window with the kernel (which is not turned around), plus bias."""
    places, window = how.places(x), how.window(kernel)
    steps = result_sizes(places, window, how.strides, how.dilations, how.widths)
    form = _Form(how, x.shape[_channel_axis(how)], _outputs(kernel, how), places, steps, window)
    y = contract(form.split(x, _IN), form.kernel(kernel), *form.labels("x", "w", "y"))
    return form.joined(y, _OUT, bias)


def transposed(
    y: Node, kernel: Node, places: Sequence[int], how: Convolution, bias: Node | None = None
) -> Node:
    """What a convolution's input of `places` gets of its result y: the transposed convolution."""
    inputs = how.groups * kernel.shape[-2 if how.kernel_last else 1]
    window, steps = how.window(kernel), how.places(y)
    form = _Form(how, inputs, _outputs(kernel, how), tuple(places), steps, window)
    x = contract(form.split(y, _OUT), form.kernel(kernel), *form.labels("y", "w", "x"))
    return form.joined(x, _IN, bias)


def _channel_axis(how: Convolution) -> int:
    return -1 if how.channels_last else 1


def _outputs(kernel: Node, how: Convolution) -> int:
    return kernel.shape[-1 if how.kernel_last else 0]


class _Form:
    """The labels of one convolution's three values, and the shapes that they stand for."""

    def __init__(self, how: Convolution, inputs: int, outputs: int, places, steps, window):
        self.how = how
        self.per_group = {_IN: inputs // how.groups, _OUT: outputs // how.groups}
        rows = zip(how.strides, how.dilations, how.widths, places, steps, window, strict=True)
        self.windows = tuple(
            Window(at, at + 1, at + 2, s, d, before, n, m, k)
            for at, (s, d, (before, _), n, m, k) in zip(_threes(), rows, strict=False)
        )

    def channels(self, side: int) -> tuple[int, ...]:
        """Labels of a side's channels: groups apart; one channel in each group needs no label."""
        if self.how.groups == 1:
            return (side,)
        return (_GROUP, side) if self.per_group[side] > 1 else (_GROUP,)

    def sizes(self, side: int) -> tuple[int, ...]:
        size = {_GROUP: self.how.groups, side: self.per_group[side]}
        return tuple(size[label] for label in self.channels(side))

    def labels(self, *values: str):
        """Labels of two operands and the result, and the windows."""
        where = tuple(w.place for w in self.windows), tuple(w.step for w in self.windows)
        found = {
            "x": self._value(_IN, where[0]),
            "y": self._value(_OUT, where[1]),
            "w": self._kernel(tuple(w.tap for w in self.windows)),
        }
        return *(found[v] for v in values), self.windows

    def _value(self, side: int, where: tuple) -> tuple[int, ...]:
        if self.how.channels_last:
            return (_BATCH, *where, *self.channels(side))
        return (_BATCH, *self.channels(side), *where)

    def _kernel(self, taps: tuple) -> tuple[int, ...]:
        inner = tuple(c for c in self.channels(_IN) if c != _GROUP)
        outer = self.channels(_OUT)
        return (*taps, *inner, *outer) if self.how.kernel_last else (*outer, *inner, *taps)

    def split(self, x: Node, side: int) -> Node:
        """The channels of a value as the axes of their labels."""
        axis = _channel_axis(self.how) % x.ndim
        return reshape(x, x.shape[:axis] + self.sizes(side) + x.shape[axis + 1 :])

    def kernel(self, kernel: Node) -> Node:
        outer = self.sizes(_OUT)
        inner = tuple(self.per_group[c] for c in self.channels(_IN) if c != _GROUP)
        window = self.how.window(kernel)
        last = self.how.kernel_last
        return reshape(kernel, (*window, *inner, *outer) if last else (*outer, *inner, *window))

    def joined(self, y: Node, side: int, bias: Node | None) -> Node:
        """The result with bias, its channels as one axis."""
        rank = len(self.windows)
        sizes = self.sizes(side)
        if bias is not None:
            y = y + reshape(bias, sizes if self.how.channels_last else sizes + (1,) * rank)
        channels = self.how.groups * self.per_group[side]
        if self.how.channels_last:
            return reshape(y, (*y.shape[: 1 + rank], channels))
        return reshape(y, (y.shape[0], channels, *y.shape[y.ndim - rank :]))


def _threes():
    """The first label of each window: place, step and tap follow one another."""
    return range(_FIRST, 52, 3)
