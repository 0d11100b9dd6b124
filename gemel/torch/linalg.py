"""`torch.linalg`: factorisations, solutions, norms and products of matrices."""

from __future__ import annotations

import math

from . import reductions
from .checks import dimension
from .define import stored as stored
from .dtypes import short_name
from .forms import add_out
from .linear import matmul as matmul
from .linear_solving import cholesky as cholesky
from .linear_solving import cholesky_ex as cholesky_ex
from .linear_solving import det as det
from .linear_solving import inv as inv
from .linear_solving import inv_ex as inv_ex
from .linear_solving import ldl_factor as ldl_factor
from .linear_solving import ldl_factor_ex as ldl_factor_ex
from .linear_solving import ldl_solve as ldl_solve
from .linear_solving import lu as lu
from .linear_solving import lu_factor as lu_factor
from .linear_solving import lu_factor_ex as lu_factor_ex
from .linear_solving import lu_solve as lu_solve
from .linear_solving import one
from .linear_solving import slogdet as slogdet
from .linear_solving import solve as solve
from .linear_solving import solve_ex as solve_ex
from .linear_solving import solve_triangular as solve_triangular
from .matrix_checks import LinAlgError as LinAlgError
from .matrix_products import cross as cross
from .matrix_products import matrix_power as matrix_power
from .matrix_products import multi_dot as multi_dot
from .matrix_products import tensorinv as tensorinv
from .matrix_products import tensorsolve as tensorsolve
from .matrix_products import vander as vander
from .matrix_products import vecdot as vecdot
from .spectral import COND, NORM_BY_VALUES
from .spectral import eig as eig
from .spectral import eigh as eigh
from .spectral import eigvals as eigvals
from .spectral import eigvalsh as eigvalsh
from .spectral import householder_product as householder_product
from .spectral import lstsq as lstsq
from .spectral import matrix_exp as matrix_exp
from .spectral import matrix_rank as matrix_rank
from .spectral import pinv as pinv
from .spectral import qr as qr
from .spectral import svd as svd
from .spectral import svdvals as svdvals
from .tensor import Tensor

_INFINITE = float("inf")


# ---------- norms ----------
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The norm of the values over dim as one vector."""
    return reductions.norm(x, ord, dim, keepdim, dtype=dtype)


def _check_norm(A, name: str, dtype) -> None:
    kind = A.form.dtype.kind
    if kind not in "fc":
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got "
            f"{short_name(A.form.dtype)}"
        )


def _two_dimensions(A, dim) -> tuple[int, int]:
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {list(dim)}")
    if A.form.ndim < 2:
        raise RuntimeError(
            "linalg.matrix_norm: The input tensor A must have at least 2 dimensions."
        )
    rows, columns = (dimension(d, A.form.ndim) for d in dim)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    return rows, columns


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None) -> Tensor:
    """'fro' and 'nuc'; 2 and -2: the largest and smallest singular value; 1, -1, inf and -inf: the
    largest and smallest sum of a column or row."""
    _check_norm(A, "linalg.matrix_norm", dtype)
    rows, columns = _two_dimensions(A, dim)
    if isinstance(ord, str):
        if ord not in ("fro", "nuc"):
            raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    elif abs(ord) not in (1, 2, _INFINITE):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if dtype is not None:
        A = A.to(dtype)
    if ord == "fro":
        return vector_norm(A, 2, (rows, columns), keepdim)
    if ord in (2, -2, "nuc"):
        found = one(NORM_BY_VALUES, A.movedim((rows, columns), (-2, -1)), attrs=(ord,))
    else:
        summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = A.abs().sum(summed)
        kept -= kept > summed
        if ord > 0 and not sums.form.shape[kept]:
            found = sums.sum(kept)  # of nothing
        else:
            found = sums.amax(kept) if ord > 0 else sums.amin(kept)
    if keepdim:
        for d in sorted((rows, columns)):
            found = found.unsqueeze(d)
    return found


def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The vector norm, or the matrix norm where two dimensions or a name are given."""
    pair = isinstance(dim, (tuple, list)) and len(dim) == 2
    if isinstance(dim, int):
        dim = (dim,)
    if ord is not None:
        if dim is not None and len(dim) not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dim)}"
            )
        if dim is None and A.form.ndim not in (1, 2):
            raise RuntimeError(
                "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
                f"{A.form.ndim}D."
            )
    if ord is not None and (pair or (dim is None and A.form.ndim == 2)):
        return matrix_norm(A, ord, dim if pair else (0, 1), keepdim, dtype=dtype)
    if isinstance(ord, str):
        return matrix_norm(A, ord, dim if dim is not None else (0, 1), keepdim, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


def cond(A, p=None) -> Tensor:
    """How much a system amplifies errors: the norm times that of the inverse."""
    if A.form.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor A must have at least 2 dimensions.")
    if p in (None, 2, -2):
        return one(COND, A, attrs=(-2 if p == -2 else 2,))
    if isinstance(p, str):
        if p not in ("fro", "nuc"):
            raise RuntimeError(f"linalg.cond: got an invalid norm type: {p}")
    elif abs(p) not in (1, _INFINITE):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if A.form.shape[-1] != A.form.shape[-2]:
        raise RuntimeError(
            f"linalg.cond: A must be batches of square matrices, but they are "
            f"{A.form.shape[-2]} by {A.form.shape[-1]} matrices"
        )
    if not A.form.size:
        return matrix_norm(A, p) if p not in ("fro", "nuc") else A.new_zeros(A.form.shape[:-2])
    turned, info = inv_ex(A)
    result = matrix_norm(A, p) * matrix_norm(turned, p)
    return result.where(info == 0, math.inf)


def diagonal(A, *, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """The diagonals of the last two dimensions."""
    return A.diagonal(offset, dim1, dim2)


add_out(
    globals(),
    """
cholesky cholesky_ex cond cross det eig eigh eigvals eigvalsh householder_product inv inv_ex
ldl_factor ldl_factor_ex ldl_solve lstsq lu lu_factor lu_factor_ex lu_solve matmul matrix_norm
matrix_power matrix_rank multi_dot norm pinv qr slogdet solve solve_ex solve_triangular svd svdvals
tensorinv tensorsolve vecdot vector_norm
""".split(),
)
