"""Optimizer rules in the form of TensorFlow's training operations: one parameter in, its new value
and state out. `rate` and the powers are nodes of shape ().

Where they differ from `updates`: the epsilon of Adam stands beside the uncorrected root, momentum
keeps no dampening, and AdaGrad and RMSProp take the root of the sum with epsilon inside or not.
"""

from __future__ import annotations

from gemel.graph.node import Node

from .elementwise import SQRT, rsqrt


def rest(share: float, p: Node) -> float:
    """1 - share, as arithmetic in p's element type gives it: for 0.999 the fifth digit differs."""
    kind = p.dtype.numpy.type
    return float(kind(1) - kind(share))


def descent(p: Node, g: Node, rate: Node) -> tuple[Node]:
    return (p - g * rate,)


def momentum(p, velocity, g, rate, factor: float, nesterov: bool) -> tuple[Node, Node]:
    """Returns (p, velocity)."""
    velocity = velocity * factor + g
    if nesterov:
        return p - (g * rate + velocity * factor * rate), velocity
    return p - velocity * rate, velocity


def adam(
    p, m, v, g, power1, power2, rate, beta1: float, beta2: float, epsilon: float
) -> tuple[Node, Node, Node]:
    """Returns (p, m, v). power1, power2: beta1^t and beta2^t of the present step."""
    step = rate * SQRT(1.0 - power2) / (1.0 - power1)
    m = m + (g - m) * rest(beta1, p)
    v = v + (g * g - v) * rest(beta2, p)
    return p - m * step / (SQRT(v) + epsilon), m, v


def adagrad(p, total, g, rate) -> tuple[Node, Node]:
    """Returns (p, sum of squares)."""
    total = total + g * g
    return p - g * rate * rsqrt(total), total


def rms_prop(p, square, velocity, g, rate, decay, factor, epsilon):
    """Returns (p, mean square, velocity)."""
    square = square + (g * g - square) * rest(decay, p)
    velocity = velocity * factor + g * rate * rsqrt(square + epsilon)
    return p - velocity, square, velocity


def centred_rms_prop(p, square, velocity, mean, g, rate, decay, factor, epsilon):
    """Returns (p, mean square, velocity, mean)."""
    square = square + (g * g - square) * rest(decay, p)
    mean = mean + (g - mean) * rest(decay, p)
    velocity = velocity * factor + g * rate * rsqrt(square - mean * mean + epsilon)
    return p - velocity, square, velocity, mean


def adadelta(p, squares, steps, g, rate, decay: float, epsilon: float):
    """Returns (p, mean square gradient, mean square step)."""
    squares = squares * decay + g * g * rest(decay, p)
    step = SQRT(steps + epsilon) * rsqrt(squares + epsilon) * g
    steps = steps * decay + step * step * rest(decay, p)
    return p - step * rate, squares, steps
