"""Orthogonal factors, singular values and eigenvalues, and what is made of them.

Rules of gradients: Wan and Zhang, Automatic differentiation for complex valued SVD (2019);
Boeddeker et al., On the computation of complex-valued gradients (2017). Where two values are equal
the vectors are not determined; the part of the gradient that would divide by their difference is
left out.
"""

from __future__ import annotations

from gemel.graph.form import int64
from gemel.graph.node import Node

from .complex import imaginary, real, times_i
from .elementwise import cast, where
from .linear_algebra import (
    COMPLEX,
    REAL,
    SAME,
    Factorisation,
    adjoint,
    beside,
    columns_times,
    diagonal_matrix,
    diagonal_of,
    first,
    halved,
    hermitian_part,
    like_type,
    off_diagonal,
    on_diagonal,
    part,
    product,
    real_as,
    rows_times,
    stacked,
    unit_matrix,
    upper,
    where_not_zero,
)
from .linear_systems import solve, solve_triangular
from .movement import reshape, zeros


def _differences(values: Node) -> Node:
    """[i, j]: value j less value i."""
    lead, n = values.shape[:-1], values.shape[-1]
    return reshape(values, (*lead, 1, n)) - reshape(values, (*lead, n, 1))


# ---------- orthogonal and upper factor ----------
def _qr_layout(settings, a):
    m, n = a
    k = m if settings[0] == "complete" else min(m, n)
    return [((m, k), SAME), ((k, n), SAME)]


def _qr_gradient(settings, cotangents, results, arguments):
    (mode,) = settings
    (q, r), (gq, gr), (a,) = results, cotangents, arguments
    m, n = a.shape[-2:]
    if mode == "complete" and m > n:
        raise NotImplementedError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols"
        )
    if m >= n:
        return [_square_qr_gradient(q, r, gq, gr)]
    # a = [x, y], r = [u, v]: q and u are factors of x, v = q^H y
    y, gv = part(a, m, n - m, -1), part(gr, m, n - m, -1)
    gx = _square_qr_gradient(q, first(r, m, -1), gq + product(y, adjoint(gv)), first(gr, m, -1))
    return [beside(gx, product(q, gv))]


def _square_qr_gradient(q: Node, r: Node, gq: Node, gr: Node) -> Node:
    inner = upper(product(gr, adjoint(r)) - product(adjoint(q), gq))
    spread = inner + adjoint(inner)
    spread = spread - halved(diagonal_matrix(diagonal_of(spread)))
    outer = gq + product(q, spread)
    return adjoint(solve_triangular(r, adjoint(outer), True))


QR = Factorisation("linear_algebra.qr", _qr_layout, _qr_gradient)
REFLECTORS = Factorisation("linear_algebra.reflectors", lambda s, a: [(a, SAME), ((min(a),), SAME)])


def qr(a: Node, mode: str) -> tuple[Node, Node]:
    """mode: 'reduced' or 'complete'."""
    q, r = QR(a, settings=(mode,))
    return q, r


def reflected(vectors: Node, tau: Node) -> tuple[Node, Node]:
    """(V, T): the product of the reflectors 1 - tau v v^H is 1 - V T V^H. v: unit lower columns.

    Schreiber and Van Loan, A storage-efficient WY representation (1989).
    """
    m, n = vectors.shape[-2:]
    k = tau.shape[-1]
    columns = first(vectors, k, -1)
    square = first(columns, k, -2)
    top = off_diagonal(square - upper(square)) + unit_matrix(k, square)
    v = top if m == k else stacked(top, part(columns, k, m - k, -2))
    meets = upper(product(adjoint(v), v), 1)
    system = unit_matrix(k, square) + rows_times(tau, meets)
    return v, solve_triangular(system, diagonal_matrix(tau), True, unit=True)


def product_of_reflectors(vectors: Node, tau: Node) -> Node:
    """The first columns of the product of all reflectors, as many as there are vectors."""
    m, n = vectors.shape[-2:]
    if not tau.shape[-1]:
        return first(unit_matrix(m, vectors), n, -1)
    v, t = reflected(vectors, tau)
    return first(unit_matrix(m, vectors), n, -1) - product(v, t, adjoint(first(v, n, -2)))


def times_reflectors(vectors: Node, tau: Node, x: Node, left: bool, turned: bool) -> Node:
    """Q x or x Q with the product Q of all reflectors; turned: Q^H."""
    if not tau.shape[-1]:
        return x
    v, t = reflected(vectors, tau)
    t = adjoint(t) if turned else t
    if left:
        return x - product(v, t, product(adjoint(v), x))
    return x - product(product(x, v), t, adjoint(v))


# ---------- singular values ----------
def _svd_layout(settings, a):
    m, n = a
    k = min(m, n)
    full = settings[0]
    u, v = (m, m if full else k), (n if full else k, n)
    return [(u, SAME), ((k,), REAL), (v, SAME), ((), REAL)]


def _svd_gradient(settings, cotangents, results, arguments):
    k = results[1].shape[-1]
    u, v, gu, gv = (
        x if x.shape[axis] == k else first(x, k, axis)
        for x, axis in (
            (results[0], -1), (results[2], -2), (cotangents[0], -1), (cotangents[2], -2),
        )
    )  # fmt: skip
    return [_vectors_gradient(u, results[1], v, gu, cotangents[1], gv)]


def _vectors_gradient(u: Node, s: Node, vh: Node, gu: Node, gs: Node, gvh: Node) -> Node:
    inner_u, inner_v = product(adjoint(u), gu), product(vh, adjoint(gvh))
    gaps = like_type(_differences(s * s), u)
    turn_u = where_not_zero(gaps, inner_u - adjoint(inner_u))
    turn_v = where_not_zero(gaps, inner_v - adjoint(inner_v))
    inner = columns_times(turn_u, s) + rows_times(s, turn_v) + diagonal_matrix(like_type(gs, u))
    if u.dtype.is_complex:  # what a common phase of both vectors does
        phase = where_not_zero(s, imaginary(diagonal_of(inner_u)))
        inner = inner + diagonal_matrix(times_i(like_type(phase, u)))
    found = product(u, inner, vh)
    turned = where_not_zero(s, zeros((), s.dtype) + 1.0)
    if u.shape[-2] > s.shape[-1]:
        outside = gu - product(u, inner_u)
        found = found + product(columns_times(outside, turned), vh)
    if vh.shape[-1] > s.shape[-1]:
        outside = gvh - product(adjoint(inner_v), vh)
        found = found + product(u, rows_times(turned, outside))
    return found


SVD = Factorisation("linear_algebra.svd", _svd_layout, _svd_gradient)


def svd(a: Node, full: bool) -> tuple[Node, Node, Node, Node]:
    """(U, S, V^H, info)."""
    u, s, vh, info = SVD(a, settings=(full,))
    return u, s, vh, cast(info, int64)


def _values_gradient(settings, cotangents, results, arguments):
    u, _, vh, _ = SVD(arguments[0], settings=(False,))
    return [product(columns_times(u, cotangents[0]), vh)]


SINGULAR_VALUES = Factorisation(
    "linear_algebra.singular_values",
    lambda s, a: [((min(a),), REAL), ((), REAL)],
    _values_gradient,
)


def singular_values(a: Node) -> tuple[Node, Node]:
    """(S, info)."""
    s, info = SINGULAR_VALUES(a)
    return s, cast(info, int64)


# ---------- eigenvalues of Hermitian matrices ----------
def _eigh_gradient(settings, cotangents, results, arguments):
    w, v = results[:2]
    inner = product(adjoint(v), cotangents[1])
    turn = where_not_zero(like_type(_differences(w), v), halved(inner - adjoint(inner)))
    inner = off_diagonal(turn) + diagonal_matrix(like_type(cotangents[0], v))
    return [product(v, inner, adjoint(v))]


EIGH = Factorisation(
    "linear_algebra.eigh",
    lambda s, a: [((a[0],), REAL), (a, SAME), ((), REAL)],
    _eigh_gradient,
)


def eigh(a: Node, uplo: str) -> tuple[Node, Node, Node]:
    """(eigenvalues, rising; vectors in columns; info)."""
    w, v, info = EIGH(a, settings=(uplo,))
    return w, v, cast(info, int64)


def _eigvalsh_gradient(settings, cotangents, results, arguments):
    _, v, _ = EIGH(arguments[0], settings=settings)
    return [product(columns_times(v, cotangents[0]), adjoint(v))]


EIGVALSH = Factorisation(
    "linear_algebra.eigvalsh", lambda s, a: [((a[0],), REAL), ((), REAL)], _eigvalsh_gradient
)


def eigvalsh(a: Node, uplo: str) -> tuple[Node, Node]:
    w, info = EIGVALSH(a, settings=(uplo,))
    return w, cast(info, int64)


# ---------- eigenvalues ----------
def _eig_gradient(settings, cotangents, results, arguments):
    w, v = results[:2]
    inner = product(adjoint(v), cotangents[1])
    lengths = like_type(real(diagonal_of(inner)), v)
    inner = inner - product(adjoint(v), columns_times(v, lengths))
    gaps = adjoint(_differences_of(w))
    inner = off_diagonal(where_not_zero(gaps, inner)) + diagonal_matrix(cotangents[0])
    found, _ = solve(adjoint(v), product(inner, adjoint(v)))
    return [real_as(found, arguments[0])]


def _differences_of(w: Node) -> Node:
    """[i, j]: value i less value j."""
    return -_differences(w)


EIG = Factorisation(
    "linear_algebra.eig",
    lambda s, a: [((a[0],), COMPLEX), (a, COMPLEX), ((), REAL)],
    _eig_gradient,
)


def eig(a: Node) -> tuple[Node, Node, Node]:
    """(eigenvalues; vectors of length 1 in columns; info), all complex."""
    w, v, info = EIG(a)
    return w, v, cast(info, int64)


def _eigvals_gradient(settings, cotangents, results, arguments):
    _, v, _ = EIG(arguments[0])
    inner = rows_times(cotangents[0], adjoint(v))
    return [real_as(solve(adjoint(v), inner)[0], arguments[0])]


EIGVALS = Factorisation(
    "linear_algebra.eigvals", lambda s, a: [((a[0],), COMPLEX), ((), REAL)], _eigvals_gradient
)


def eigvals(a: Node) -> tuple[Node, Node]:
    w, info = EIGVALS(a)
    return w, cast(info, int64)


# ---------- functions of matrices ----------
def _pseudo_gradient(settings, cotangents, results, arguments):
    """Golub and Pereyra, The differentiation of pseudo-inverses (1973)."""
    g, x, a = adjoint(cotangents[0]), results[0], arguments[0]
    xh = adjoint(x)
    if a.shape[-2] <= a.shape[-1]:
        k = product(g, x)
        kx = product(k, xh)
        found = kx - adjoint(product(x, k)) - product(a, x, kx)
        return [found + product(xh, x, g - product(k, a)), None]
    k = product(x, g)
    xk = product(xh, k)
    found = product(g - product(a, k), x, xh) - adjoint(product(k, x))
    return [found + xk - product(xk, x, a), None]


PSEUDO_INVERSE = Factorisation(
    "linear_algebra.pseudo_inverse",
    lambda s, a, least: [((a[1], a[0]), SAME)],
    _pseudo_gradient,
    cores=(2, 1),
)


def pseudo_inverse(a: Node, least: Node, hermitian: bool = False) -> Node:
    """least [..., 2]: absolute and relative bounds of singular values that count."""
    return PSEUDO_INVERSE(a, least, settings=(hermitian,))[0]


def _exponential_gradient(settings, cotangents, results, arguments):
    """The derivative in a direction is a block of the exponential of a block matrix. Mathias,
    A chain rule for matrix functions and applications (1996)."""
    turned, n = adjoint(arguments[0]), arguments[0].shape[-1]
    nothing = zeros(turned.shape, turned.dtype)
    blocks = stacked(beside(turned, cotangents[0]), beside(nothing, turned))
    whole = exponential(blocks)
    return [part(first(whole, n, -2), n, n, -1)]


EXPONENTIAL = Factorisation(
    "linear_algebra.exponential", lambda s, a: [(a, SAME)], _exponential_gradient
)


def exponential(a: Node) -> Node:
    return EXPONENTIAL(a)[0]


def hermitian_of(a: Node, uplo: str) -> Node:
    """The Hermitian matrix of which one triangle is given."""
    lower_half = uplo == "L"
    half = a if lower_half else adjoint(a)
    inside = where(on_diagonal(a.shape), halved(hermitian_part(half)), half - upper(half))
    return inside + adjoint(inside)
