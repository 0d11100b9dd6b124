"""Mean, variance and normalisation as composites."""

from __future__ import annotations

from gemel.graph.node import Node

from .complex_arithmetic import squared_modulus
from .elementwise import NOT, SQRT, cast, const, is_nan, rsqrt, where
from .reduction import normal_axes, sum_


def count_over(x: Node, axes) -> int:
    n = 1
    for a in normal_axes("mean", axes, x.ndim):
        n *= x.shape[a]
    return n


def _divided(x: Node, n: int | float) -> Node:
    # a division, not a product with the reciprocal: bit for bit what the faces' originals do;
    # an empty axis gives NaN as there
    return x / float(n)


def mean(x: Node, axes=None, keepdims: bool = False) -> Node:
    """The arithmetic mean of floating-point values."""
    return _divided(sum_(x, axes, keepdims), count_over(x, axes))


def sum_of_numbers(x: Node, axes=None, keepdims: bool = False) -> Node:
    """The sum of floats, with NaN as 0."""
    return sum_(where(is_nan(x), const(0, x.dtype), x), axes, keepdims)


def mean_of_numbers(x: Node, axes=None, keepdims: bool = False) -> Node:
    """The mean of the floats that are not NaN; NaN where all are."""
    count = sum_(cast(NOT(is_nan(x)), x.dtype), axes, keepdims)
    return sum_of_numbers(x, axes, keepdims) / count


def variance(x: Node, axes=None, keepdims: bool = False, correction: float = 0) -> Node:
    """The mean squared distance from the mean; divisor n - correction."""
    d = x - mean(x, axes, True)
    return _divided(
        sum_(squared_modulus(d), axes, keepdims), max(0, count_over(x, axes) - correction)
    )


def deviation(x: Node, axes=None, keepdims: bool = False, correction: float = 0) -> Node:
    return SQRT(variance(x, axes, keepdims, correction))


def normalize(x: Node, axes, epsilon: float) -> Node:
    """Zero mean and unit variance over the axes (layer normalisation's core)."""
    d = x - mean(x, axes, True)
    return d * rsqrt(mean(d * d, axes, True) + epsilon)


def layer_norm(x: Node, axes, weight: Node | None, bias: Node | None, epsilon: float) -> Node:
    """Ba, Kiros and Hinton 2016; weight and bias broadcast over the leading axes."""
    y = normalize(x, axes, epsilon)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def moments(x: Node, axes) -> tuple[Node, Node]:
    """(mean, variance) over the axes, which stay as axes of one cell."""
    center = mean(x, axes, True)
    d = x - center
    return center, mean(d * d, axes, True)


def batch_norm(
    x: Node, center: Node, spread: Node, weight: Node | None, bias: Node | None, epsilon: float
) -> Node:
    """Ioffe and Szegedy 2015, from given moments: (x - mean) / sqrt(variance + epsilon), times
    weight, plus bias. Everything broadcasts against x."""
    scale = rsqrt(spread + epsilon)
    y = (x - center) * (scale if weight is None else scale * weight)
    return y if bias is None else y + bias
