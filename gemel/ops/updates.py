"""Optimizer update rules on nodes: one parameter in, its new value and state out.

Hyper-parameters that change from step to step are nodes (run-time scalars), so that a scheduler
compiles nothing.
"""

from __future__ import annotations

from gemel.graph.form import float64
from gemel.graph.node import Node

from .elementwise import ABS, SQRT, cast, const, lt, maximum, where


def _as(x, like: Node):
    """A run-time number in the parameter's element type (a Python number stays one)."""
    return cast(x, like.dtype) if isinstance(x, Node) else x


# averages that fade below this are zero: a step on denormal numbers takes many times as long
_LEAST, _LEAST_WIDE = 1e-36, 1e-300


def faded(x: Node) -> Node:
    """A running average, 0 where it has faded so far that no parameter could feel it."""
    least = _LEAST_WIDE if x.dtype is float64 else _LEAST
    return where(lt(ABS(x), least), const(0, x.dtype), x)


def decayed(g: Node, p: Node, weight_decay: float, maximize: bool = False) -> Node:
    """The gradient with L2 decay added, as SGD and Adam take it."""
    g = -g if maximize else g
    return g + p * weight_decay if weight_decay else g


def sgd(p: Node, g: Node, rate) -> Node:
    return p - g * _as(rate, p)


def momentum(velocity: Node, g: Node, factor: float, dampening: float) -> Node:
    """The new velocity of SGD with momentum."""
    return faded(velocity * factor + g * (1.0 - dampening))


def nesterov(g: Node, velocity: Node, factor: float) -> Node:
    """The step of Nesterov's form, from the new velocity."""
    return g + velocity * factor


def adam(p, g, m, v, step_size, root_correction, beta1, beta2, epsilon, top=None):
    """Kingma and Ba 2015. Returns (p, m, v) or with `top` (AMSGrad) (p, m, v, top).

    step_size        rate / (1 - beta1^t)
    root_correction  sqrt(1 - beta2^t)
    """
    size, scale = _as(step_size, p), 1.0 / _as(root_correction, p)
    return adam_scaled(p, g, m, v, size, scale, 1.0 - beta1, beta2, 1.0 - beta2, epsilon, top)


def adam_scaled(p, g, m, v, step_size, scale, rest1, beta2, rest2, epsilon, top=None):
    """The same from numbers made ready: rest1 = 1 - beta1, rest2 = 1 - beta2, and
    scale = 1 / sqrt(1 - beta2^t), a product instead of a division per value."""
    m = faded(m + (g - m) * rest1)
    v = faded(v * beta2 + g * g * rest2)
    seen = v if top is None else maximum(top, v)
    new = p - m * step_size / (SQRT(seen) * scale + epsilon)
    return (new, m, v) if top is None else (new, m, v, seen)


def rmsprop(p, g, square, velocity, average, rate, alpha, rest, epsilon, factor):
    """Hinton's rule. Returns (p, square[, velocity][, average]); the last two may be None.

    velocity  of momentum `factor`
    average   running mean of the gradient, taken from the mean square (the centered form)
    """
    square = faded(square * alpha + g * g * rest)
    kept = [square]
    spread = square
    if average is not None:
        average = faded(average + (g - average) * rest)
        spread = square - average * average
    step = g / (SQRT(spread) + epsilon)
    if velocity is not None:
        step = faded(velocity * factor + step)
        kept.append(step)
    if average is not None:
        kept.append(average)
    return (p - step * rate, *kept)


def adagrad(p, g, total, rate, epsilon):
    """Duchi, Hazan and Singer 2011. Returns (p, total)."""
    total = total + g * g
    return p - g * rate / (SQRT(total) + epsilon), total


def shrunk(p: Node, rate, weight_decay: float) -> Node:
    """AdamW's decoupled decay: the parameter, not its gradient."""
    return p * (1.0 - _as(rate, p) * weight_decay) if weight_decay else p
