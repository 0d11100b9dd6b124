"""Values with a declared gradient: a function computed by a fit, whose derivative is known exactly.

Differentiating a polynomial fit loses digits and doubles the graph; here the derivative is written
down, in terms of functions that have declared derivatives themselves, so that it goes to any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps

from gemel.graph.node import Node

from .elementwise import stop_gradient
from .movement import zeros
from .record import Primitive


@dataclass(frozen=True)
class Rules:
    """The gradient of a function: its name with all its parameters, and a rule per argument of
    `WITH_GRADIENT`, (cotangent, node, value, *arguments) -> Node; None for the value itself."""

    name: str
    each: tuple[Callable | None, ...] = field(compare=False, repr=False)


def _undefined(name: str, place: int) -> Callable:
    def rule(g, y, value, *arguments):
        raise NotImplementedError(
            f"the derivative for argument {place} of '{name}' is not implemented."
        )

    return rule


def _bound(rule: Callable) -> Callable:
    return lambda g, y, value, *arguments: rule(g, y, *arguments)


# attrs: (Rules,): the first argument; the rules say how a gradient goes to the others, and the
# gradient driver asks them. Passes replace it by its first argument.
WITH_GRADIENT = Primitive(
    "with_gradient",
    "elementwise",
    -1,
    lambda attrs, value, *arguments: value,
    lambda g, y, value, *arguments: [
        g if rule is None else rule(g, y, value, *arguments) for rule in y.attrs[0].each
    ],
    lambda attrs, value, *arguments: value,
    lambda e, attrs, value, *arguments: value,
)


def with_gradient(name: str, value: Node, arguments: tuple[Node, ...], *rules) -> Node:
    """`value`, a function of the arguments, with a rule (cotangent, value, *arguments) -> Node for
    each; None where no derivative is known."""
    each = [_undefined(name, i + 1) if r is None else _bound(r) for i, r in enumerate(rules)]
    return WITH_GRADIENT(stop_gradient(value), *arguments, attrs=(Rules(name, (None, *each)),))


def flat(name: str, function: Callable) -> Callable:
    """function(x) of steps: its gradient is 0 wherever it has one, and is passed on as that."""

    def apply(x: Node) -> Node:
        if not x.dtype.is_smooth:
            return function(x)
        return with_gradient(name, function(x), (x,), lambda g, y, x: zeros(x.shape, x.dtype))

    return apply


def with_derivative(name: str, function: Callable, x: Node, derivative: Callable) -> Node:
    """function(x), whose derivative is derivative(x, y) for y = function(x)."""
    return with_gradient(name, function(x), (x,), lambda g, y, x: g * derivative(x, y))


def declares(derivative: Callable) -> Callable:
    """Decorator of a function of one node: its derivative is derivative(x, y)."""

    def declare(function: Callable) -> Callable:
        @wraps(function)
        def apply(x: Node) -> Node:
            return with_derivative(function.__name__, function, x, derivative)

        return apply

    return declare
