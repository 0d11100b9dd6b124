"""A step that leaves everything as it was where gradients are not finite.

The decision is part of the program that steps: every new value is chosen there. What Python counts
(steps, first steps) is taken back afterwards, when the program has run and the answer is known.
"""

from __future__ import annotations

from functools import cache

from gemel import tensor as lazy
from gemel.graph.node import Node
from gemel.ops.elementwise import const, eq, where
from gemel.ops.record import Call, is_number
from gemel.torch.tensor import Tensor

from .optimizer import Optimizer


def can_skip(optimizer: Optimizer) -> bool:
    """Are its steps those of this face: no step of its own, no hooks, not under a trace?"""
    own = type(optimizer).step is not Optimizer.step
    return not (own or optimizer._before or optimizer._after or lazy.tracing())


@cache
def _unless(call: Call) -> Call:
    """`call` whose reads end with a number: where that is not 0, its targets keep their values."""

    def expand(attrs, *operands: Node):
        count = attrs[0]
        first = sum(map(is_number, operands))
        end = first + 2 * count
        old = operands[first : first + count] + operands[end + 1 :]
        new = call.expand(attrs, *operands[:end], *operands[end + 1 :])
        found = operands[end]
        good = eq(found, const(0.0, found.dtype))
        return tuple(where(good, n, o) for n, o in zip(new, old, strict=True))

    return Call(call.name, expand, call.differentiable)


def step_unless(optimizer: Optimizer, found: Tensor) -> None:
    """One step of all groups, if `found` (a tensor without dimensions) is 0. Runs all."""
    stepped = []
    optimizer._called = True
    for group in optimizer.param_groups:
        for bunch in optimizer.bunches(group):
            stepped.append((bunch, bunch.counter.steps, bunch.first))
            grads = [p.grad for p in bunch.params]
            scalars = optimizer._numbers(group, bunch)
            static = (len(bunch.params), *optimizer.static(group))
            call = _unless(optimizer.call)
            lazy.update(call, bunch.params, [*grads, found], scalars, static, bunch.pack)
    lazy.flush()
    if found.item():
        for bunch, steps, first in stepped:
            bunch.counter.steps, bunch.first = steps, first
