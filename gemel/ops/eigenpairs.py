"""Some eigenvalues and eigenvectors of symmetric matrices, and their gradient.

The gradient solves, for each pair, the system that says how the pair moves with the matrices:
(a - e b) dv - b v de = (e db - da) v with v^T b v = 1 kept, so it asks for distinct eigenvalues.
"""

from __future__ import annotations

from gemel.graph.node import Node

from .elementwise import stop_gradient
from .linear_algebra import (
    SAME,
    Factorisation,
    adjoint,
    beside,
    halved,
    part,
    product,
    stacked,
    unit_matrix,
)
from .linear_systems import solve
from .movement import expand, reshape, zeros


def _layout(settings, a, x, b, inverse):
    return [((settings[0],), SAME), ((a[0], settings[0]), SAME)]


def _bordered(a: Node, b: Node, e: Node, v: Node) -> Node:
    """[..., pairs, m + 1, m + 1]: the transposes of the pairs' systems."""
    lead, m, k = a.shape[:-2], a.shape[-1], e.shape[-1]
    each = (*lead, k, m, m)
    a, b = (expand(reshape(y, (*lead, 1, m, m)), each) for y in (a, b))
    border = product(b, v)
    last = zeros((*lead, k, 1, 1), a.dtype)
    above = beside(a - b * reshape(e, (*lead, k, 1, 1)), border)
    return stacked(above, beside(-adjoint(border), last))


def _gradient(settings, cotangents, results, arguments):
    (ge, gv), (e, v) = cotangents, results
    a, _, b, _ = arguments
    lead, m, k = a.shape[:-2], a.shape[-1], e.shape[-1]
    v, gv = adjoint(v), adjoint(gv)  # a row per pair
    columns, given = (reshape(y, (*lead, k, m, 1)) for y in (v, gv))
    given = stacked(given, reshape(ge, (*lead, k, 1, 1)))
    found, _ = solve(_bordered(a, b, e, columns), given)
    found = reshape(found, (*lead, k, m + 1))
    moved, length = part(found, 0, m, -1), part(found, m, 1, -1)
    ga = _over_pairs(-moved, v)
    gb = _over_pairs(moved * reshape(e, (*lead, k, 1)) - halved(length * v), v)
    return [ga, None, gb, None]


def _over_pairs(x: Node, y: Node) -> Node:
    """The symmetric part of the sum over pairs of x_i y_i^T: only such matrices are meant."""
    found = product(adjoint(x), y)
    return halved(found + adjoint(found))


LOBPCG = Factorisation("eigenpairs.lobpcg", _layout, _gradient, cores=(2,) * 4)


def extreme_pairs(
    a: Node, x: Node, b: Node | None, inverse: Node | None, pairs: int, steps: int,
    tolerance: float, largest: bool,
) -> list[Node]:  # fmt: skip
    """(values [..., pairs], vectors [..., m, pairs]) of a v = e b v at one end of the spectrum, in
    order from that end; v^T b v = 1. Knyazev's LOBPCG from the vectors x [..., m, n] on, with an
    approximate inverse of a to go ahead with, until residuals are below the tolerance."""
    unit = unit_matrix(a.shape[-1], a)
    settings = (pairs, steps, tolerance, largest, b is not None, inverse is not None)
    given = [unit if y is None else y for y in (b, inverse)]
    return LOBPCG(a, stop_gradient(x), given[0], stop_gradient(given[1]), settings=settings)
