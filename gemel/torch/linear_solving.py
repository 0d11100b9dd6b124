"""Linear systems of `torch.linalg`: inverses, solutions, determinants, triangular factors.

Functions whose names end in `_ex` give a number per matrix that says what went wrong; the others
raise `LinAlgError` when their values are computed.
"""

from __future__ import annotations

from gemel.graph.form import int32
from gemel.graph.node import Node
from gemel.ops import linear_systems as systems
from gemel.ops.elementwise import LOG, cast, eq, where
from gemel.ops.linear_algebra import in_one_batch, like_type
from gemel.ops.movement import full, reshape, swap, zeros
from gemel.ops.record import Call
from gemel.tensor import record_many, record_n

from . import return_types as named
from .checks import wrong_argument
from .matrix_checks import (
    NOT_POSITIVE,
    SINGULAR,
    SINGULAR_INVERSE,
    ZERO_BLOCK,
    ZERO_PIVOT,
    check_float,
    check_matrix,
    check_same_type,
    check_square,
    check_system,
    well,
)
from .tensor import Tensor


def many(call: Call, *operands, attrs: tuple = ()) -> list[Tensor]:
    """Record a call with several results."""
    _check_tensors(call, operands)
    return record_many(call, Tensor, operands, attrs)


def one(call: Call, *operands, attrs: tuple = ()) -> Tensor:
    """Record a call with one result."""
    _check_tensors(call, operands)
    return record_n(call, Tensor, operands, attrs)


def _check_tensors(call: Call, operands: tuple) -> None:
    for place, x in enumerate(operands, 1):
        if not isinstance(x, Tensor):
            raise wrong_argument(call.name, "input" if place == 1 else "other", place, x)


# ---------- inverses ----------
def _inv_ex(attrs, a):
    check_square(a, "linalg.inv")
    check_float(a, "linalg.inv")
    x, info = systems.inverse(a)
    return x, cast(info, int32)


def _inv(attrs, a):
    x, info = _inv_ex((), a)
    return well(info, "linalg.inv", SINGULAR_INVERSE, x)[0]


INV = Call("linalg_inv", _inv)
INV_EX = Call("linalg_inv_ex", _inv_ex)


def inv(A) -> Tensor:
    """The inverse of square matrices."""
    return one(INV, A)


def inv_ex(A, *, check_errors=False):
    """(inverse, info)."""
    if check_errors:
        return named.linalg_inv_ex(inv(A), one(_INFO_ZERO, A))
    return named.linalg_inv_ex(*many(INV_EX, A))


_INFO_ZERO = Call("info", lambda attrs, a: zeros(a.shape[:-2], int32), False)


# ---------- solutions ----------
def is_vector(a: Node, b: Node) -> bool:
    """Is b a stack of vectors, as many as a has matrices, and not of matrices?"""
    return b.ndim == 1 or b.shape == a.shape[:-1]


def _columns(x: Node, left: bool) -> Node:
    return reshape(x, (*x.shape, 1) if left else (*x.shape[:-1], 1, x.shape[-1]))


def _solve_ex(attrs, a, b):
    (left,) = attrs
    check_float(a, "linalg.solve")
    check_square(a, "linalg.solve")
    check_same_type(a, b, "linalg.solve")
    vector = is_vector(a, b)
    if vector and not left and b.ndim != 1:
        raise RuntimeError("linalg.solve: Vector broadcasting of the left hand side is not "
                           "supported for left=False. In this case linalg.solve is equivalent to "
                           "B / A.squeeze(-1)")  # fmt: skip
    right = _columns(b, left) if vector else b
    check_system(a, right, left, "linalg.solve")
    if left:
        x, info = systems.solve(a, right)
    else:
        x, info = systems.solve(swap(a), swap(right))
        x = swap(x)
    if vector:
        x = reshape(
            x, (*x.shape[:-2], max(x.shape[-2:], default=0) if x.form.size else a.shape[-1])
        )
    return x, cast(info, int32)


def _solve(attrs, a, b):
    x, info = _solve_ex(attrs, a, b)
    return well(info, "linalg.solve", SINGULAR, x)[0]


SOLVE = Call("linalg_solve", _solve)
SOLVE_EX = Call("linalg_solve_ex", _solve_ex)


def solve(A, B, *, left=True) -> Tensor:
    """x of A x = B, or of x A = B."""
    return one(SOLVE, A, B, attrs=(bool(left),))


def solve_ex(A, B, *, left=True, check_errors=False):
    """(x, info)."""
    if check_errors:
        return named.linalg_solve_ex(solve(A, B, left=left), one(_INFO_ZERO, A))
    return named.linalg_solve_ex(*many(SOLVE_EX, A, B, attrs=(bool(left),)))


def _solve_triangular(attrs, a, b):
    is_upper, left, unit = attrs
    name = "linalg.solve_triangular"
    check_same_type(a, b, name)
    check_square(a, name)
    check_matrix(b, name, "B")
    check_float(a, name)
    check_system(a, b, left, name)
    return systems.solve_triangular(a, b, is_upper, unit, left)


SOLVE_TRIANGULAR = Call("linalg_solve_triangular", _solve_triangular)


def solve_triangular(A, B, *, upper, left=True, unitriangular=False) -> Tensor:
    """x of A x = B, or of x A = B, for triangular A."""
    attrs = (bool(upper), bool(left), bool(unitriangular))
    return one(SOLVE_TRIANGULAR, A, B, attrs=attrs)


# ---------- determinants ----------
def _det(attrs, a):
    check_square(a, "linalg.det")
    check_float(a, "linalg.det")
    return systems.determinant(a)


def _slogdet(attrs, a):
    check_square(a, attrs[0])
    check_float(a, attrs[0])
    return systems.log_determinant(a)


def _logdet(attrs, a):
    sign, size = _slogdet(("logdet",), a)
    if sign.dtype.is_complex:
        return like_type(size, sign) + LOG(sign)
    return where(eq(sign, -1.0), full((), float("nan"), size.dtype), size)


DET = Call("linalg_det", _det)
SLOGDET = Call("linalg_slogdet", _slogdet)
LOGDET = Call("logdet", _logdet)


def det(A) -> Tensor:
    """The determinants of square matrices."""
    return one(DET, A)


def slogdet(A):
    """(sign, logarithm of the absolute value) of the determinants."""
    return named.linalg_slogdet(*many(SLOGDET, A, attrs=("linalg.slogdet",)))


def logdet(input) -> Tensor:
    """The logarithm of the determinants; NaN for negative ones."""
    return one(LOGDET, input)


# ---------- Cholesky ----------
def _cholesky_ex(attrs, a):
    (is_upper,) = attrs
    check_square(a, "linalg.cholesky")
    check_float(a, "linalg.cholesky")
    factor, info = systems.cholesky(a, is_upper)
    return factor, cast(info, int32)


def _cholesky(attrs, a):
    factor, info = _cholesky_ex(attrs[:1], a)
    return well(info, attrs[1], NOT_POSITIVE, factor)[0]


CHOLESKY = Call("linalg_cholesky", _cholesky)
CHOLESKY_EX = Call("linalg_cholesky_ex", _cholesky_ex)


def cholesky(A, *, upper=False) -> Tensor:
    """The triangular factor L of A = L L^H, or its conjugate transpose."""
    return one(CHOLESKY, A, attrs=(bool(upper), "linalg.cholesky"))


def cholesky_ex(A, *, upper=False, check_errors=False):
    """(factor, info)."""
    if check_errors:
        return named.linalg_cholesky_ex(cholesky(A, upper=upper), one(_INFO_ZERO, A))
    return named.linalg_cholesky_ex(*many(CHOLESKY_EX, A, attrs=(bool(upper),)))


def _cholesky_solve(attrs, b, factor):
    for x, name in ((b, "b"), (factor, "u")):
        if x.ndim < 2:
            raise RuntimeError(
                f"{name} should have at least 2 dimensions, but has {x.ndim} dimensions instead"
            )
    check_square(factor, "cholesky_solve")
    check_system(factor, b, True, "cholesky_solve")
    check_same_type(factor, b, "cholesky_solve")
    return systems.cholesky_solve(b, factor, attrs[0])


def _cholesky_inverse(attrs, factor):
    check_square(factor, "cholesky_inverse")
    check_float(factor, "cholesky_inverse")
    eye = systems.unit_matrix(factor.shape[-1], factor)
    return systems.cholesky_solve(eye, factor, attrs[0])


CHOLESKY_SOLVE = Call("cholesky_solve", _cholesky_solve)
CHOLESKY_INVERSE = Call("cholesky_inverse", _cholesky_inverse)


def cholesky_solve(B, L, upper=False) -> Tensor:
    """x of A x = B, for A given by its Cholesky factor."""
    return one(CHOLESKY_SOLVE, B, L, attrs=(bool(upper),))


def cholesky_inverse(L, upper=False) -> Tensor:
    """The inverse of A, given by its Cholesky factor."""
    return one(CHOLESKY_INVERSE, L, attrs=(bool(upper),))


# ---------- lower and upper factors ----------
def _lu_factor_ex(attrs, a):
    pivot, name = attrs
    check_matrix(a, name)
    check_float(a, name)
    factors, pivots, _, info = systems.lu_factor(a, pivot)
    return factors, cast(pivots, int32), cast(info, int32)


def _lu_factor(attrs, a):
    factors, pivots, info = _lu_factor_ex(attrs, a)
    return (*well(info, "torch.linalg.lu_factor", ZERO_PIVOT, factors), pivots)


def _lu(attrs, a):
    (pivot,) = attrs
    check_matrix(a, "linalg.lu")
    check_float(a, "linalg.lu")
    factors, _, rows, _ = systems.lu_factor(a, pivot)
    exchanges = systems.exchange_matrix(rows, a) if pivot else zeros((0,), a.dtype)
    return (exchanges, *systems.lu_parts(factors))


LU = Call("linalg_lu", _lu)
LU_FACTOR = Call("linalg_lu_factor", _lu_factor)
LU_FACTOR_EX = Call("linalg_lu_factor_ex", _lu_factor_ex)


def lu(A, *, pivot=True):
    """(P, L, U) with A = P L U."""
    return named.linalg_lu(*many(LU, A, attrs=(bool(pivot),)))


def lu_factor(A, *, pivot=True):
    """(L and U in one, row exchanges from 1)."""
    return named.linalg_lu_factor(*many(LU_FACTOR, A, attrs=(bool(pivot), "linalg.lu_factor")))


def lu_factor_ex(A, *, pivot=True, check_errors=False):
    """(L and U in one, row exchanges from 1, info)."""
    attrs = (bool(pivot), "torch.lu_factor")
    if check_errors:
        found = many(LU_FACTOR, A, attrs=attrs)
        return named.linalg_lu_factor_ex(*found, one(_INFO_ZERO, A))
    return named.linalg_lu_factor_ex(*many(LU_FACTOR_EX, A, attrs=attrs))


def _check_factors(lu: Node, pivots: Node, name: str) -> None:
    if pivots.dtype is not int32:
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32. ")
    check_square(lu, name, "LU")
    if lu.shape[-1] != pivots.shape[-1]:
        raise RuntimeError(
            f"{name}: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if lu.shape[:-2] != pivots.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )


def _lu_solve(attrs, lu, pivots, b):
    left, turned, name = attrs
    check_float(lu, name)
    check_same_type(lu, b, name)
    _check_factors(lu, pivots, name)
    check_matrix(b, name, "B")
    check_system(lu, b, left, name)
    rows = systems.row_order(pivots, lu.shape[-1])
    return systems.lu_solve(lu, rows, b, left, turned)


LU_SOLVE = Call("linalg_lu_solve", _lu_solve)


def lu_solve(LU, pivots, B, *, left=True, adjoint=False) -> Tensor:
    """x of A x = B or x A = B, for A given by `lu_factor`; adjoint: of A^H."""
    return one(LU_SOLVE, LU, pivots, B, attrs=(bool(left), bool(adjoint), "linalg.lu_solve"))


def _lu_unpack(attrs, lu, pivots):
    data, exchanges = attrs
    if pivots.dtype is not int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
            "dtype.\nNote: this function is intended to be used with the output produced by "
            "torch.linalg.lu_factor"
        )
    nothing = zeros((0,), lu.dtype)
    found = [nothing, nothing, nothing]
    if exchanges:
        rows = systems.row_order(pivots, lu.shape[-2])
        found[0] = systems.exchange_matrix(rows, lu)
    if data:
        found[1:] = systems.lu_parts(lu)
    return tuple(found)


LU_UNPACK = Call("lu_unpack", _lu_unpack)


def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    """(P, L, U) of what `lu_factor` gives; empty where not asked for."""
    attrs = (bool(unpack_data), bool(unpack_pivots))
    return named.lu_unpack(*many(LU_UNPACK, LU_data, LU_pivots, attrs=attrs))


# ---------- symmetric factors ----------
def _ldl_factor_ex(attrs, a):
    (hermitian,) = attrs
    name = "torch.linalg.ldl_factor_ex"
    check_square(a, name)
    check_float(a, name)
    factors, pivots, info = systems.ldl_factor(a, hermitian)
    return factors, cast(pivots, int32), cast(info, int32)


def _ldl_factor(attrs, a):
    factors, pivots, info = _ldl_factor_ex(attrs, a)
    return (*well(info, "torch.linalg.ldl_factor", ZERO_BLOCK, factors), pivots)


def _ldl_solve(attrs, factors, pivots, b):
    (hermitian,) = attrs
    name = "torch.linalg.ldl_solve"
    check_square(factors, name)
    check_float(factors, name)
    check_matrix(b, name, "B")
    check_system(factors, b, True, name)
    if pivots.ndim < 1 or pivots.shape != factors.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    if not pivots.dtype.is_integer:
        from .dtypes import short_name

        raise RuntimeError(
            f"{name}: Expected pivots to be integers. Got {short_name(pivots.dtype)}"
        )
    check_same_type(factors, b, name)
    return systems.ldl_solve(factors, pivots, b, hermitian)


LDL_FACTOR = Call("linalg_ldl_factor", _ldl_factor, False)
LDL_FACTOR_EX = Call("linalg_ldl_factor_ex", _ldl_factor_ex, False)
LDL_SOLVE = Call("linalg_ldl_solve", _ldl_solve, False)


def ldl_factor(A, *, hermitian=False):
    """(L and D in one, pivots) as LAPACK's sytrf gives them."""
    return named.linalg_ldl_factor(*many(LDL_FACTOR, A, attrs=(bool(hermitian),)))


def ldl_factor_ex(A, *, hermitian=False, check_errors=False):
    """(L and D in one, pivots, info)."""
    if check_errors:
        found = ldl_factor(A, hermitian=hermitian)
        return named.linalg_ldl_factor_ex(*found, one(_INFO_ZERO, A))
    return named.linalg_ldl_factor_ex(*many(LDL_FACTOR_EX, A, attrs=(bool(hermitian),)))


def ldl_solve(LD, pivots, B, *, hermitian=False) -> Tensor:
    """x of A x = B, for A given by `ldl_factor`."""
    return one(LDL_SOLVE, LD, pivots, B, attrs=(bool(hermitian),))


def _triangular_solve(attrs, b, a):
    is_upper, transpose, unit = attrs
    check_square(a, "triangular_solve")
    check_system(a, b, True, "triangular_solve")
    check_same_type(a, b, "triangular_solve")
    given_a, given_b = in_one_batch(a, b, cores=(2, 2))
    used = swap(given_a) if transpose else given_a
    solution = systems.solve_triangular(used, given_b, is_upper != transpose, unit)
    return solution, given_a


TRIANGULAR_SOLVE = Call("triangular_solve", _triangular_solve)


def triangular_solve(b, A, upper=True, transpose=False, unitriangular=False):
    """(x of A x = b, A) for triangular A."""
    attrs = (bool(upper), bool(transpose), bool(unitriangular))
    return named.triangular_solve(*many(TRIANGULAR_SOLVE, b, A, attrs=attrs))
