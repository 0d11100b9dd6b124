"""Update rules of further optimizers as composites. Numbers are nodes of the parameter's type."""

from __future__ import annotations

import math

from gemel.graph.form import DType, bfloat16
from gemel.graph.node import Node

from .contraction import contract
from .elementwise import ABS, SQRT, cast, const, eq, gt, lt, maximum, minimum, rsqrt, sign, where
from .movement import swap
from .norms import vector_norm
from .statistics import mean


def towards(a: Node, b: Node, share) -> Node:
    """a moved towards b by a share of the way."""
    return a + (b - a) * share


def adadelta(p, g, square, grown, rate, rho, rest, epsilon):
    """Zeiler 2012: steps as large as earlier ones, over the root of the mean square gradient."""
    square = square * rho + g * g * rest
    step = SQRT(grown + epsilon) / SQRT(square + epsilon) * g
    return p - step * rate, square, grown * rho + step * step * rest


def adamax(p, g, m, top, rate, rest1, beta2, epsilon):
    """Kingma and Ba 2015: Adam with the largest of fading gradients for the root."""
    m = towards(m, g, rest1)
    top = maximum(top * beta2, ABS(g) + epsilon)
    return p - m / top * rate, m, top


def nadam(p, g, product, m, v, rate, now, ahead, rest1, beta2, rest2, correction, epsilon):
    """Dozat 2016: Adam with Nesterov's momentum, which grows from step to step."""
    product = product * cast(now, product.dtype)
    m = towards(m, g, rest1)
    v = v * beta2 + g * g * rest2
    root = SQRT(v * correction) + epsilon
    gone = cast(product, p.dtype)
    p = p - g / root * (rate * (1.0 - now) / (1.0 - gone))
    return p - m / root * (rate * ahead / (1.0 - gone * ahead)), product, m, v


def radam(p, g, m, v, rate, rest1, beta2, rest2, epsilon, rectified, plain):
    """Liu et al. 2020: Adam whose root counts once its variance is known (else `plain` is 1)."""
    m = towards(m, g, rest1)
    v = v * beta2 + g * g * rest2
    return p - m * rate * (rectified / (SQRT(v) + epsilon) + plain), m, v


def averaged(p, g, eta, mu, average, fading):
    """Polyak and Juditsky 1992: a gradient step, and the average of where it went."""
    own = cast(eta, p.dtype)
    p = p * (1.0 - fading * own) - g * own
    share = cast(mu, p.dtype)
    return p, where(eq(mu, 1.0), p, average + (p - average) * share)


def resilient(p, g, before, size, shrink, grow, least, most):
    """Riedmiller and Braun 1993: steps by the gradient's sign, whose sizes grow while it stays."""
    turn = g * before
    one = const(1, p.dtype)
    factor = where(gt(turn, 0.0), grow, where(lt(turn, 0.0), shrink, one))
    size = minimum(maximum(size * factor, least), most)
    g = where(lt(turn, 0.0), const(0, p.dtype), g)
    return p - sign(g) * size, g, size


# ---------- factored second moments ----------
def _root_mean_square(x: Node) -> Node:
    return vector_norm(x, 2) / math.sqrt(x.form.size)


def _lengths(g: Node, axis: int) -> Node:
    """Mean squares along an axis, which stays."""
    norm = vector_norm(g, 2, axis, True)
    return norm * norm / float(g.shape[axis])


def factored_variance(g: Node, rows: Node, columns: Node, share, floor: Node):
    """(variance of each cell from running means of rows and of columns, the two means)."""
    rows = towards(rows, _lengths(g, g.ndim - 1), share)
    columns = towards(columns, _lengths(g, g.ndim - 2), share)
    whole = rows * columns
    return whole / maximum(mean(rows, rows.ndim - 2, True), floor), rows, columns


def adafactor(p, g, variance, scale, floor, most, kept):
    """Shazeer and Stern 2018: steps of a size relative to the parameter's, of bounded length."""
    size = maximum(_root_mean_square(p), floor) * scale
    step = rsqrt(variance) * g
    long = maximum(_root_mean_square(step) / most, 1.0)
    return p * kept - step * (size / long)


# ---------- orthogonal steps ----------
def _rounded(x: Node, dtype: DType) -> Node:
    return cast(cast(x, bfloat16), dtype)


def _product(a: Node, b: Node) -> Node:
    return contract(a, b, (0, 1), (1, 2), (0, 2))


def orthogonal(g: Node, coefficients: tuple[float, float, float], steps: int, epsilon: float):
    """About U V^T of the gradient's U S V^T by Newton and Schulz's iteration, in bfloat16."""
    a, b, c = coefficients
    tall = g.shape[0] > g.shape[1]
    x = _rounded(swap(g) if tall else g, g.dtype)
    x = _rounded(x / maximum(_rounded(vector_norm(x, 2), g.dtype), epsilon), g.dtype)
    for _ in range(steps):
        gram = _rounded(_product(x, swap(x)), g.dtype)
        change = _rounded(gram * b + _product(gram, gram) * c, g.dtype)
        x = _rounded(x * a + _product(change, x), g.dtype)
    return swap(x) if tall else x
