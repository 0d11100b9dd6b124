"""Draws inside a function that runs in lanes: the same numbers for each, or each its own.

Where each lane has its own, they are drawn by the caller, all at once and in the caller's shape:
what a draw of that shape gives outside.
"""

from __future__ import annotations

from functools import wraps

from gemel.ops.movement import concat, reshape
from gemel.ops.record import Call

from .record import record_n
from .tape import LOCAL
from .tensor import Tensor

STACK = Call("stack", lambda attrs, *xs: concat([reshape(x, (1, *x.shape)) for x in xs], 0))


def shaped(function):
    """Decorator: a draw f(generator, class, shape, ...)."""

    @wraps(function)
    def draw(g, cls, shape, *rest, **options):
        recording = LOCAL.tape.tracing
        if recording is None or not recording.size:
            return function(g, cls, shape, *rest, **options)
        return recording.drawn(lambda s: draw(g, cls, s, *rest, **options), tuple(shape))

    return draw


def fed(function):
    """Decorator: a draw f(generator, *tensors and settings), one for each value of the tensors."""

    @wraps(function)
    def draw(g, *args, **options):
        recording = LOCAL.tape.tracing
        if recording is None or not recording.size or recording.shares_draws():
            return function(g, *args, **options)
        return recording.drawn_from(lambda *a: draw(g, *a, **options), args)

    return draw


def ordered(function):
    """Decorator: a draw f(generator, class, n, type) of a row of n."""

    @wraps(function)
    def draw(g, cls, n, dtype):
        recording = LOCAL.tape.tracing
        if recording is None or not recording.size:
            return function(g, cls, n, dtype)

        def rows(shape: tuple[int, ...]) -> Tensor:
            if len(shape) == 1:
                return draw(g, cls, n, dtype)
            return record_n(STACK, cls, [draw(g, cls, n, dtype) for _ in range(shape[0])])

        return recording.drawn(rows, (n,))

    return draw
