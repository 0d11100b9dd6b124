"""Activations and softmax as composites."""

from __future__ import annotations

import math

from gemel.graph.node import Node

from .complex import real
from .complex_arithmetic import scaled
from .declared import declares, with_gradient
from .elementwise import (
    ABS,
    ERF,
    EXP,
    EXPM1,
    LOG,
    LOG1P,
    SIGMOID,
    SQRT,
    TANH,
    cast,
    const,
    ge,
    gt,
    le,
    lt,
    maximum,
    minimum,
    stop_gradient,
    where,
)
from .reduction import amax, sum_


def relu(x: Node) -> Node:
    """max(x, 0) with gradient 0 at 0; NaN stays NaN."""
    return where(le(x, 0), const(0, x.dtype), x)


def relu6(x: Node) -> Node:
    return hard_tanh(x, 0.0, 6.0)


def hard_tanh(x: Node, low: float, high: float) -> Node:
    """x kept between two values; no gradient at the bounds themselves."""
    inner = where(le(x, low), const(low, x.dtype), x)
    return where(ge(x, high), const(high, x.dtype), inner)


def leaky_relu(x: Node, slope: float) -> Node:
    return where(gt(x, 0.0), x, x * slope)


def elu(x: Node, alpha: float = 1.0) -> Node:
    negative = where(gt(x, 0.0), const(0, x.dtype), x)  # not `minimum`, which halves at 0
    return where(gt(x, 0.0), x, EXPM1(negative) * alpha)


def selu(x: Node) -> Node:
    """Klambauer et al. 2017, Self-Normalizing Neural Networks."""
    return elu(x, 1.6732632423543772) * 1.0507009873554805


def gelu(x: Node, approximate: bool = False) -> Node:
    """Hendrycks and Gimpel 2016; `approximate` is the tanh form."""
    return _gelu_by_tanh(x) if approximate else _gelu_by_erf(x)


# For these a derivative is one array that the way back needs, where the rules of their steps would
# ask for several.
@declares(lambda x, y: _normal_below(x) + x * EXP(x * x * -0.5) * (1 / math.sqrt(2 * math.pi)))
def _gelu_by_erf(x: Node) -> Node:
    return x * _normal_below(x)


def _normal_below(x: Node) -> Node:
    """The share of a normal distribution that lies below x."""
    return (ERF(x * math.sqrt(0.5)) + 1.0) * 0.5


def _slope_of_gelu_by_tanh(x: Node, y: Node) -> Node:
    t = _bend(x)
    inner = (x * x * (3 * 0.044715) + 1.0) * math.sqrt(2 / math.pi)
    return (t + 1.0) * 0.5 + x * 0.5 * (1.0 - t * t) * inner


@declares(_slope_of_gelu_by_tanh)
def _gelu_by_tanh(x: Node) -> Node:
    return x * 0.5 * (_bend(x) + 1.0)


def _bend(x: Node) -> Node:
    return TANH((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi))


def silu(x: Node) -> Node:
    return x * SIGMOID(x) if x.dtype.is_complex else _silu(x)


@declares(lambda x, y: SIGMOID(x) * (x * (1.0 - SIGMOID(x)) + 1.0))
def _silu(x: Node) -> Node:
    return x * SIGMOID(x)


def softplus(x: Node, beta: float = 1.0, threshold: float = 20.0) -> Node:
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold."""
    z = x * beta
    return where(gt(z, threshold), x, LOG1P(EXP(minimum(z, threshold))) * (1.0 / beta))


def softsign(x: Node) -> Node:
    if x.dtype.is_complex:
        return scaled(x, 1.0 / (ABS(x) + 1.0))
    return x / (where(gt(x, 0.0), x, -x) + 1.0)


def mish(x: Node) -> Node:
    return x * TANH(softplus(x))


def log_sigmoid(x: Node) -> Node:
    return minimum(x, 0.0) - LOG1P(EXP(-maximum(x, -x)))


def hard_sigmoid(x: Node) -> Node:
    return hard_tanh(x * (1 / 6) + 0.5, 0.0, 1.0)


def hard_swish(x: Node) -> Node:
    return x * hard_sigmoid(x)


def soft_shrink(x: Node, width: float) -> Node:
    return where(gt(x, width), x - width, where(lt(x, -width), x + width, 0.0))


def hard_shrink(x: Node, width: float) -> Node:
    return where(gt(ABS(x), width), x, 0.0)


def square_plus(x: Node, b: float) -> Node:
    return (x + SQRT(x * x + b)) * 0.5


def sparse_plus(x: Node) -> Node:
    bend = (x + 1.0) * (x + 1.0) * 0.25
    return where(lt(x, -1.0), 0.0, where(lt(x, 1.0), bend, x))


def sparse_sigmoid(x: Node) -> Node:
    return where(lt(x, -1.0), 0.0, where(ge(x, 1.0), const(1, x.dtype), (x + 1.0) * 0.5))


def softmax(x: Node, axis: int) -> Node:
    """exp(x) / sum exp(x) along the axis, shifted by the maximum. The way back reads it alone."""
    e = EXP(x - stop_gradient(amax(x, axis, True)))
    y = e / sum_(e, axis, True)
    if x.dtype.is_complex:
        return y
    return with_gradient(
        f"softmax {axis}", y, (x,), lambda g, y, x: y * (g - sum_(g * y, axis, True))
    )


def log_softmax(x: Node, axis: int) -> Node:
    shifted = x - stop_gradient(amax(x, axis, True))
    return shifted - LOG(sum_(EXP(shifted), axis, True))


def log_sum_exp(x: Node, axes, keepdims: bool = False) -> Node:
    if not x.form.size:  # the sum of nothing is 0
        return LOG(sum_(x, axes, keepdims))
    top = stop_gradient(amax(real(x), axes, True))
    # infinities stay as they are: no difference of two
    top = cast(where(lt(ABS(top), math.inf), top, 0.0), x.dtype)
    total = LOG(sum_(EXP(x - top), axes, True)) + top
    return total if keepdims else sum_(total, axes)
