"""Linear systems: solutions, inverses, determinants, and the factors that give them.

Each has a rule for its gradient that is made of the same functions, so that gradients of gradients
follow. Giles, Collected matrix derivative results for forward and reverse mode (2008).
"""

from __future__ import annotations

from gemel.graph.form import int64
from gemel.graph.node import Node

from .complex import conjugate, from_parts, imaginary
from .elementwise import cast, eq
from .host import Host
from .linear_algebra import (
    REAL,
    SAME,
    Factorisation,
    adjoint,
    beside,
    first,
    halved,
    in_one_batch,
    like_type,
    lower,
    part,
    product,
    stacked,
    unit_matrix,
    upper,
)
from .movement import iota, reshape
from .reduction import sum_


# ---------- general systems ----------
def _inverse_gradient(settings, cotangents, results, arguments):
    turned = adjoint(results[0])
    return [-product(turned, cotangents[0], turned)]


INVERSE = Factorisation(
    "linear_algebra.inverse", lambda s, a: [(a, SAME), ((), REAL)], _inverse_gradient
)


def inverse(a: Node) -> tuple[Node, Node]:
    """(a^-1, info): info is 0, or the number of the first zero pivot."""
    x, info = INVERSE(a)
    return x, cast(info, int64)


def _solution_gradient(settings, cotangents, results, arguments):
    gb, _ = SOLVE(adjoint(arguments[0]), cotangents[0])
    return [-product(gb, adjoint(results[0])), gb]


SOLVE = Factorisation(
    "linear_algebra.solve",
    lambda s, a, b: [(b, SAME), ((), REAL)],
    _solution_gradient,
    cores=(2, 2),
)


def solve(a: Node, b: Node) -> tuple[Node, Node]:
    """(x, info) of a x = b with matrices b; batches broadcast."""
    x, info = SOLVE(a, b)
    return x, cast(info, int64)


# ---------- triangular systems ----------
def _triangular_gradient(settings, cotangents, results, arguments):
    is_upper, unit = settings
    (gb,) = TRIANGULAR(adjoint(arguments[0]), cotangents[0], settings=(not is_upper, unit))
    whole = -product(gb, adjoint(results[0]))
    return [upper(whole, int(unit)) if is_upper else lower(whole, -int(unit)), gb]


TRIANGULAR = Factorisation(
    "triangular.solve_triangular",
    lambda s, a, b: [(b, SAME)],
    _triangular_gradient,
    cores=(2, 2),
)


def solve_triangular(
    a: Node, b: Node, is_upper: bool, unit: bool = False, left: bool = True
) -> Node:
    """x of a x = b, or of x a = b, for triangular a; batches broadcast."""
    if not left:
        turned = solve_triangular(adjoint(a), adjoint(b), not is_upper, unit)
        return adjoint(turned)
    return TRIANGULAR(a, b, settings=(is_upper, unit))[0]


# ---------- Cholesky ----------
def _cholesky_gradient(settings, cotangents, results, arguments):
    """Murray, Differentiation of the Cholesky decomposition (2016)."""
    (is_upper,) = settings
    factor, g = results[0], cotangents[0]
    if is_upper:
        factor, g = adjoint(factor), adjoint(g)
    inner = lower(product(adjoint(factor), g))
    inner = halved(inner + adjoint(lower(inner, -1)))
    outer = adjoint(factor)
    left = solve_triangular(outer, inner, True)
    return [solve_triangular(factor, left, False, left=False)]


CHOLESKY = Factorisation(
    "linear_algebra.cholesky", lambda s, a: [(a, SAME), ((), REAL)], _cholesky_gradient
)


def cholesky(a: Node, is_upper: bool = False) -> tuple[Node, Node]:
    """(factor, info): info is 0, or the order of the first minor that is not positive."""
    factor, info = CHOLESKY(a, settings=(is_upper,))
    return factor, cast(info, int64)


def _cholesky_solve_gradient(settings, cotangents, results, arguments):
    """Through a = L L^H: the whole factor counts, not its triangle alone."""
    (is_upper,) = settings
    factor = arguments[1]
    gb = cholesky_solve(cotangents[0], factor, is_upper)
    inner = product(gb, adjoint(results[0]))
    inner = inner + adjoint(inner)
    return [gb, -(product(factor, inner) if is_upper else product(inner, factor))]


CHOLESKY_SOLVE = Factorisation(
    "triangular.cholesky_solve",
    lambda s, b, factor: [(b, SAME)],
    _cholesky_solve_gradient,
    cores=(2, 2),
)


def cholesky_solve(b: Node, factor: Node, is_upper: bool) -> Node:
    """x of a x = b, for a given by its factor; batches broadcast."""
    return CHOLESKY_SOLVE(b, factor, settings=(is_upper,))[0]


# ---------- determinants ----------
def _adjugate_gradient(settings, cotangents, results, arguments):
    """det(a) a^-1 differentiated as a product."""
    g, whole = cotangents[0], results[0]
    inner = INVERSE(arguments[0])[0]
    turned = adjoint(inner)
    share = sum_(conjugate(inner) * g, (g.ndim - 2, g.ndim - 1))
    share = reshape(share, (*share.shape, 1, 1))
    return [share * adjoint(whole) - product(adjoint(whole), g, turned)]


ADJUGATE = Factorisation("linear_algebra.adjugate", lambda s, a: [(a, SAME)], _adjugate_gradient)


def _determinant_gradient(settings, cotangents, results, arguments):
    g = cotangents[0]
    turned = adjoint(ADJUGATE(arguments[0])[0])
    return [reshape(g, (*g.shape, 1, 1)) * turned]


DETERMINANT = Factorisation(
    "linear_algebra.product_determinant", lambda s, a: [((), SAME)], _determinant_gradient
)


def determinant(a: Node) -> Node:
    return DETERMINANT(a)[0]


def _log_determinant_gradient(settings, cotangents, results, arguments):
    g_sign, g = cotangents
    if g_sign.dtype.is_complex:
        g = from_parts(g, -imaginary(conjugate(g_sign) * results[0]))
    turned = INVERSE(adjoint(arguments[0]))[0]
    return [reshape(g, (*g.shape, 1, 1)) * turned]


LOG_DETERMINANT = Factorisation(
    "linear_algebra.determinant", lambda s, a: [((), SAME), ((), REAL)], _log_determinant_gradient
)


def log_determinant(a: Node) -> tuple[Node, Node]:
    """(sign, log |det a|)."""
    sign, size = LOG_DETERMINANT(a)
    return sign, size


# ---------- lower and upper factors ----------
def _lu_layout(settings, a):
    m, n = a
    return [(a, SAME), ((min(m, n),), REAL), ((m,), REAL), ((), REAL)]


def _lu_gradient(settings, cotangents, results, arguments):
    """a = P L U with unit lower L: what the factors below and on the diagonal let through."""
    g, lu = cotangents[0], results[0]
    m, n = lu.shape[-2:]
    k = min(m, n)
    square, g_square = (first(first(x, k, -1), k, -2) for x in (lu, g))
    outer_l, outer_u = adjoint(square), adjoint(upper(square))
    inner_l = product(adjoint(_unit_lower(square)), lower(g_square, -1))
    inner_u = product(upper(g_square), outer_u)
    if n > m:
        rest, g_rest = part(lu, k, n - k, -1), part(g, k, n - k, -1)
        inner_l = inner_l - product(g_rest, adjoint(rest))
    if m > n:
        rest, g_rest = part(lu, k, m - k, -2), part(g, k, m - k, -2)
        inner_u = inner_u - product(adjoint(rest), g_rest)
    inner = lower(inner_l, -1) + upper(inner_u)
    inner = solve_triangular(outer_u, inner, False, left=False)
    found = solve_triangular(outer_l, inner, True, unit=True)
    if n > m:
        found = beside(found, solve_triangular(outer_l, g_rest, True, unit=True))
    if m > n:
        found = stacked(found, solve_triangular(outer_u, g_rest, False, left=False))
    return [product(exchange_matrix(results[2], found), found)]


LU = Factorisation("triangular.lu", _lu_layout, _lu_gradient)
ROW_ORDER = Host("triangular.row_order")


def lu_factor(a: Node, pivot: bool = True) -> tuple[Node, Node, Node, Node]:
    """(both factors in one, pivots from 1, order of the rows, info)."""
    factors, pivots, rows, info = LU(a, settings=(pivot,))
    return factors, cast(pivots, int64), cast(rows, int64), cast(info, int64)


def row_order(pivots: Node, m: int) -> Node:
    """Which of m rows lies where after exchanges numbered from 1."""
    row = ROW_ORDER((*pivots.shape[:-1], m), int64, cast(pivots, int64))
    return row


def exchange_matrix(rows: Node, like: Node) -> Node:
    """The matrix P of a = P L U, whose rows lie in this order in L U."""
    n = rows.shape[-1]
    shape = (*rows.shape, n)
    place = reshape(cast(rows, int64), (*rows.shape[:-1], 1, n))
    return like_type(cast(eq(place, iota(shape, rows.ndim - 1, int64)), int64), like)


def _unit_lower(x: Node) -> Node:
    """The square lower factor, ones on its diagonal."""
    return lower(x, -1) + unit_matrix(x.shape[-1], x)


def lu_parts(lu: Node) -> tuple[Node, Node]:
    """(L [m, k], U [k, n]) of both factors in one."""
    m, n = lu.shape[-2:]
    k = min(m, n)
    left, right = first(lu, k, -1), first(lu, k, -2)
    if m > k:
        top = _unit_lower(first(left, k, -2))
        return stacked(top, part(left, k, m - k, -2)), upper(right)
    return _unit_lower(left), upper(right)


def lu_solve(lu: Node, rows: Node, b: Node, left: bool, turned: bool) -> Node:
    """x of a x = b or x a = b; turned: of a^H in the place of a."""
    if not left:  # a^H x^H = b^H
        return adjoint(lu_solve(lu, rows, adjoint(b), True, not turned))
    lu, b = in_one_batch(lu, b, cores=(2, 2))
    exchanged = exchange_matrix(rows, lu)
    if turned:
        inner = solve_triangular(adjoint(lu), b, False)
        return product(exchanged, solve_triangular(adjoint(lu), inner, True, unit=True))
    inner = solve_triangular(lu, product(adjoint(exchanged), b), False, unit=True)
    return solve_triangular(lu, inner, True)


# ---------- symmetric factors ----------
LDL = Factorisation("symmetric.ldl", lambda s, a: [(a, SAME), ((a[0],), REAL), ((), REAL)])
LDL_SOLVE = Factorisation("symmetric.ldl_solve", lambda s, a, p, b: [(b, SAME)], cores=(2, 1, 2))


def ldl_factor(a: Node, hermitian: bool) -> tuple[Node, Node, Node]:
    """(factors in one, pivots as LAPACK has them, info)."""
    factors, pivots, info = LDL(a, settings=(hermitian,))
    return factors, cast(pivots, int64), cast(info, int64)


def ldl_solve(factors: Node, pivots: Node, b: Node, hermitian: bool) -> Node:
    from .complex import part_type

    pivots = cast(pivots, part_type(factors.dtype))
    return LDL_SOLVE(factors, pivots, b, settings=(hermitian,))[0]
