"""What a transformation of functions does around the function: inputs of its own, and results that
remember only what the caller differentiates.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager

from gemel import tensor as lazy
from gemel.ops.movement import reshape
from gemel.ops.record import Call
from gemel.tensor.reaching import leads_beyond

from ..tensor import Tensor

# the value itself, as a result with a history of its own
ALIAS = Call("alias", lambda attrs, x: reshape(x, x.shape))


class _Active(threading.local):
    """The transformations under way on this thread, outermost first."""

    def __init__(self):
        self.levels: list[Level] = []


ACTIVE = _Active()


class Level:
    """One transformation under way.

    name     as users know it
    outer    were gradients recorded where it was called?
    leaves   autograd leaves that it made
    traced   did an input bring a history along?"""

    def __init__(self, name: str):
        self.name = name
        self.outer = lazy.grad_enabled()
        self.leaves: list[Tensor] = []
        self.traced = False

    def input(self, x: Tensor) -> Tensor:
        """x as an input that this level differentiates."""
        if not isinstance(x, Tensor):
            raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
        if self.outer and lazy.requires_grad(x):
            self.traced = True
            return lazy.record1(ALIAS, x)
        return self.leaf(x)

    def dual(self, x: Tensor) -> Tensor:
        """What a function is given for an input: a value that may be written in place."""
        return lazy.record1(ALIAS, x)

    def leaf(self, x: Tensor) -> Tensor:
        made = lazy.detach(x).requires_grad_()
        made.in_transform = True
        self.leaves.append(made)
        return made

    def kept(self, *tensors: Tensor) -> bool:
        """Do the caller's gradients go through any of these values?"""
        if not self.outer:
            return False
        return self.traced or any(leads_beyond(t, self.leaves) for t in tensors)

    def sealed(self, t):
        """A result as the caller sees it: without a history that leads only here."""
        if not isinstance(t, Tensor) or not lazy.requires_grad(t) or self.kept(t):
            return t
        with lazy.no_grad():
            return lazy.record1(lazy.COPY, t)


@contextmanager
def level(name: str):
    """Inside, gradients are recorded."""
    made = Level(name)
    ACTIVE.levels.append(made)
    before = lazy.set_grad_enabled(True)
    try:
        yield made
    finally:
        lazy.set_grad_enabled(before)
        ACTIVE.levels.remove(made)
