"""The linear algebra extension: factorisations, solutions and norms of stacks of matrices."""

from __future__ import annotations

import math
from typing import NamedTuple

from gemel.graph.errors import Fault
from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops import elementwise as el
from gemel.ops import linear_algebra as algebra
from gemel.ops import linear_systems as systems
from gemel.ops import movement, norms, reduction, spectra
from gemel.ops.record import Call
from gemel.tensor import look

from .array import Array, check_array
from .dtypes import promote
from .manipulation import matrix_transpose as matrix_transpose
from .products import matmul as matmul
from .products import tensordot as tensordot
from .products import vecdot as vecdot
from .recording import axes_of, check_broadcast, joined, kinds_of, one, require, several
from .reductions import sum as _sum

_FLOATS = "real floating, complex floating"


class EighResult(NamedTuple):
    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    Q: Array
    R: Array


class SlogdetResult(NamedTuple):
    sign: Array
    logabsdet: Array


class SVDResult(NamedTuple):
    U: Array
    S: Array
    Vh: Array


# ---------- checks ----------
def _matrices(name: str, *arrays, square: bool = False) -> None:
    """TypeError for wrong element types, ValueError for what are no (square) matrices."""
    check_array(name, *arrays)
    for x in arrays:
        require(name, x, kinds_of(_FLOATS), _FLOATS)
        if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
            kind = "square matrices" if square else "matrices"
            raise ValueError(f"{name} takes stacks of {kind}, not shape {x.shape}")


_SINGULAR = Fault(ValueError, "linalg: a matrix is singular")
_NOT_POSITIVE = Fault(ValueError, "linalg: a matrix is not positive definite")
_NOT_FOUND = Fault(ValueError, "linalg: the factorisation did not converge")


def _well(info: Node, fault: Fault, *values: Node) -> list[Node]:
    """The values, checked when the program runs: every info is 0."""
    if not info.form.size:
        return list(values)
    zero = el.cast(el.ne(info, 0), int64)
    flat = el.check_range(movement.reshape(zero, (info.form.size,)), 0, 1, fault)
    good = el.eq(movement.reshape(flat, info.shape), 0)
    return [_where_good(good, info.ndim, x) for x in values]


def _where_good(good: Node, lead: int, x: Node) -> Node:
    shape = (*x.shape[:lead], *(1,) * (x.ndim - lead))
    return el.where(movement.reshape(good, shape), x, movement.zeros((), x.dtype))


def _with_info(build, fault: Fault):
    """A factorisation whose last result says whether it went well."""

    def expand(attrs, *operands):
        *values, info = build(*operands, *attrs)
        found = _well(info, fault, *values)
        return tuple(found) if len(found) > 1 else found[0]

    return expand


# ---------- factorisations ----------
CHOLESKY = Call("cholesky", _with_info(systems.cholesky, _NOT_POSITIVE))
EIGH = Call("eigh", _with_info(lambda a: spectra.eigh(a, "L"), _NOT_FOUND))
EIGVALSH = Call("eigvalsh", _with_info(lambda a: spectra.eigvalsh(a, "L"), _NOT_FOUND))
SVD = Call("svd", _with_info(spectra.svd, _NOT_FOUND))
SVDVALS = Call("svdvals", _with_info(spectra.singular_values, _NOT_FOUND))
QR = Call("qr", lambda attrs, a: tuple(spectra.qr(a, attrs[0])))


def cholesky(x, /, *, upper: bool = False) -> Array:
    """L with L Lᴴ = x, or U with Uᴴ U = x. ValueError where x is not positive definite."""
    _matrices("cholesky", x, square=True)
    return one(CHOLESKY, x, (bool(upper),))


def eigh(x, /) -> EighResult:
    """Eigenvalues in ascending order and eigenvectors of symmetric or Hermitian matrices."""
    _matrices("eigh", x, square=True)
    return EighResult(*several(EIGH, x))


def eigvalsh(x, /) -> Array:
    """The eigenvalues of symmetric or Hermitian matrices, in ascending order."""
    _matrices("eigvalsh", x, square=True)
    return one(EIGVALSH, x)


def qr(x, /, *, mode: str = "reduced") -> QRResult:
    """x = Q R, Q with orthonormal columns; mode 'complete' makes Q square."""
    _matrices("qr", x)
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode is 'reduced' or 'complete', not {mode!r}")
    return QRResult(*several(QR, x, attrs=(mode,)))


def svd(x, /, *, full_matrices: bool = True) -> SVDResult:
    """x = U diag(S) Vh, S in descending order."""
    _matrices("svd", x)
    return SVDResult(*several(SVD, x, attrs=(bool(full_matrices),)))


def svdvals(x, /) -> Array:
    """The singular values, in descending order."""
    _matrices("svdvals", x)
    return one(SVDVALS, x)


# ---------- solutions ----------
def _solution(attrs, a, b):
    a, b = promote(a, b)
    vector = b.ndim == 1
    b = movement.reshape(b, (*b.shape, 1)) if vector else b
    lead = el.broadcast_shapes("solve", *(_leading(x) for x in (a, b)))
    a, b = (movement.expand(x, (*lead, *x.shape[-2:])) for x in (a, b))
    x, info = systems.solve(a, b)
    x = _well(info, _SINGULAR, x)[0]
    return movement.reshape(x, x.shape[:-1]) if vector else x


def _leading(x: Node):
    from gemel.graph.form import form

    return form(x.shape[:-2], x.dtype)


SOLVE = Call("solve", _solution)
INVERSE = Call("inv", _with_info(systems.inverse, _SINGULAR))
DETERMINANT = Call("det", lambda attrs, a: systems.determinant(a))
LOG_DETERMINANT = Call("slogdet", lambda attrs, a: tuple(systems.log_determinant(a)))


def solve(x1, x2, /) -> Array:
    """y with x1 y = x2; x2 is one vector, or matrices. ValueError where x1 is singular."""
    _matrices("solve", x1, square=True)
    check_array("solve", x2)
    require("solve", x2, kinds_of(_FLOATS), _FLOATS)
    rows = x2.shape[0 if x2.ndim == 1 else -2] if x2.ndim else -1
    if rows != x1.shape[-1]:
        raise ValueError(f"solve: shapes {x1.shape} and {x2.shape} do not fit")
    return joined(SOLVE, x1, x2)


def inv(x, /) -> Array:
    """The inverse of square matrices. ValueError where one is singular."""
    _matrices("inv", x, square=True)
    return one(INVERSE, x)


def det(x, /) -> Array:
    """The determinant of square matrices."""
    _matrices("det", x, square=True)
    return one(DETERMINANT, x)


def slogdet(x, /) -> SlogdetResult:
    """Sign (or phase) of the determinant, and the logarithm of its size."""
    _matrices("slogdet", x, square=True)
    return SlogdetResult(*several(LOG_DETERMINANT, x))


def _pseudo(attrs, a, *rtol):
    lead, real = a.shape[:-2], algebra.real_as(a, a).dtype
    relative = el.cast(rtol[0], real) if rtol else _smallest(a, real)
    relative = movement.expand(movement.reshape(relative, (*relative.shape, 1)), (*lead, 1))
    least = movement.concat([movement.zeros((*lead, 1), real), relative], len(lead))
    return spectra.pseudo_inverse(a, least)


def _smallest(a: Node, real) -> Node:
    """The relative size of a singular value that counts as 0."""
    import numpy as np

    return movement.full((), max(a.shape[-2:]) * float(np.finfo(real.numpy).eps), real)


PSEUDO = Call("pinv", _pseudo)


def pinv(x, /, *, rtol=None) -> Array:
    """The Moore-Penrose inverse. rtol: singular values below its product with the largest one
    count as 0; unless said otherwise, the larger side times the machine's epsilon."""
    _matrices("pinv", x)
    return joined(PSEUDO, x, *_given(rtol, x))


def _given(rtol, x: Array) -> tuple:
    if rtol is None:
        return ()
    return (rtol,) if isinstance(rtol, Array) else (float(rtol),)


def _rank(attrs, a, *rtol):
    values = spectra.singular_values(a)[0]
    relative = el.cast(rtol[0], values.dtype) if rtol else _smallest(a, values.dtype)
    top = reduction.amax(values, (values.ndim - 1,), True)
    relative = movement.reshape(relative, (*relative.shape, 1))
    return reduction.sum_(el.cast(el.gt(values, top * relative), int64), (values.ndim - 1,))


RANK = Call("matrix_rank", _rank)


def matrix_rank(x, /, *, rtol=None) -> Array:
    """How many singular values are above rtol times the largest one."""
    _matrices("matrix_rank", x)
    return joined(RANK, x, *_given(rtol, x))


def matrix_power(x, n: int, /) -> Array:
    """The product of n times the matrix; of its inverse where n is negative."""
    _matrices("matrix_power", x, square=True)
    if n < 0:
        x, n = inv(x), -n
    found, square = None, x
    while n:
        if n & 1:
            found = square if found is None else matmul(found, square)
        n >>= 1
        square = matmul(square, square) if n else square
    return one(UNIT, x) if found is None else found


UNIT = Call("unit", lambda attrs, a: movement.expand(algebra.unit_matrix(a.shape[-1], a), a.shape))


# ---------- products ----------
def _cross(attrs, a, b):
    a, b = promote(a, b)
    check_broadcast("cross", a, b)
    shape = el.broadcast_shapes("cross", a.form, b.form)
    axis = len(shape) + attrs[0]
    a, b = movement.expand(a, shape), movement.expand(b, shape)
    (a0, a1, a2), (b0, b1, b2) = ([movement.narrow(x, axis, i, 1) for i in range(3)]
                                  for x in (a, b))  # fmt: skip
    parts = (a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0)
    return movement.concat(parts, axis)


CROSS = Call("cross", _cross)


def cross(x1, x2, /, *, axis: int = -1) -> Array:
    """Vector products of vectors of 3 elements along an axis, counted from the last."""
    check_array("cross", x1, x2)
    for x in (x1, x2):
        require("cross", x, kinds_of("numeric"), "numeric")
    least = min(x1.ndim, x2.ndim)
    if not -least <= axis < least:
        raise ValueError(f"cross: axis {axis} of arrays of {x1.ndim} and {x2.ndim} dimensions")
    axis = axis - least if axis >= 0 else axis
    if (x1.shape[axis], x2.shape[axis]) != (3, 3):
        raise ValueError(f"cross takes 3 elements along axis {axis}, not those of {x1.shape} "
                         f"and {x2.shape}")  # fmt: skip
    return joined(CROSS, x1, x2, attrs=(axis,))


def _outer(attrs, a, b):
    a, b = promote(a, b)
    return el.mul(movement.reshape(a, (a.form.size, 1)), b)


OUTER = Call("outer", _outer)


def outer(x1, x2, /) -> Array:
    """All products of elements of two vectors."""
    check_array("outer", x1, x2)
    for x in (x1, x2):
        require("outer", x, kinds_of("numeric"), "numeric")
        if x.ndim != 1:
            raise ValueError(f"outer takes vectors, not {x.ndim} dimensions")
    return joined(OUTER, x1, x2)


def diagonal(x, /, *, offset: int = 0) -> Array:
    """Diagonal number `offset` of the matrices."""
    check_array("diagonal", x)
    if x.ndim < 2:
        raise ValueError(f"diagonal needs at least 2 dimensions, not {x.ndim}")
    return look(x, ("diagonal", offset, x.ndim - 2, x.ndim - 1))


def trace(x, /, *, offset: int = 0, dtype=None) -> Array:
    """The sum of diagonal number `offset` of the matrices."""
    return _sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


# ---------- norms ----------
def _vector_norm(attrs, x):
    axes, keepdims, order = attrs
    x = el.ABS(x) if x.dtype.kind == "c" else x
    if not axes:
        x, axes, keepdims = movement.reshape(x, (*x.shape, 1)), (x.ndim,), False
    if order == math.inf:
        return _largest(el.ABS(x), axes, keepdims)
    return norms.vector_norm(x, order, axes, keepdims)


def _largest(x: Node, axes, keepdims: bool) -> Node:
    """The maximum of sizes; 0 where there are none."""
    if any(x.shape[a] == 0 for a in axes):
        return reduction.sum_(x, axes, keepdims)
    return reduction.amax(x, axes, keepdims)


VECTOR_NORM = Call("vector_norm", _vector_norm)


def vector_norm(x, /, *, axis=None, keepdims: bool = False, ord: float = 2) -> Array:
    """The norm of order `ord` over the axes as one vector."""
    check_array("vector_norm", x)
    require("vector_norm", x, kinds_of(_FLOATS), _FLOATS)
    axes = axes_of("vector_norm", axis, x.ndim)
    return one(VECTOR_NORM, x, (axes, bool(keepdims), float(ord)))


def _matrix_norm(attrs, a):
    order, keepdims = attrs
    rows, columns = a.ndim - 2, a.ndim - 1
    if order == "fro":
        return _vector_norm(((rows, columns), keepdims, 2.0), a)
    if order == "nuc" or abs(order) == 2:
        values = spectra.singular_values(a)[0]
        best = {"nuc": reduction.sum_, 2: _largest, -2: reduction.amin}[order]
        found = best(values, (values.ndim - 1,), False)
        return movement.reshape(found, (*found.shape, 1, 1)) if keepdims else found
    summed, kept = (rows, columns) if abs(order) == 1 else (columns, rows)
    sums = reduction.sum_(el.ABS(a), (summed,), True)
    found = (_largest if order > 0 else reduction.amin)(sums, (kept,), True)
    return found if keepdims else movement.reshape(found, found.shape[:-2])


MATRIX_NORM = Call("matrix_norm", _matrix_norm)
_ORDERS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def matrix_norm(x, /, *, keepdims: bool = False, ord="fro") -> Array:
    """The norm of matrices: 'fro', 'nuc', or of order 1, 2, infinity, or minus one of these."""
    _matrices("matrix_norm", x)
    if ord not in _ORDERS:
        raise ValueError(f"matrix_norm: ord is one of {_ORDERS}, not {ord!r}")
    return one(MATRIX_NORM, x, (ord, bool(keepdims)))


__all__ = [
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve",
    "svd", "svdvals", "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip
