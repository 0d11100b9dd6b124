"""`torch.linalg`: norms and products. What needs a factorisation (inv, det, solve, svd, ...) is
not there yet and raises AttributeError.
"""

from __future__ import annotations

from . import linear, reductions
from .checks import dimensions
from .linear import cross as cross
from .linear import matmul as matmul
from .linear import matrix_power as matrix_power
from .tensor import Tensor


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The norm of the values over dim as one vector."""
    return reductions.norm(x, ord, dim, keepdim, dtype=dtype)


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None) -> Tensor:
    """Frobenius norm, largest (ord 1, inf) or smallest (-1, -inf) sum of a column or row."""
    if ord == "fro":
        return reductions.norm(A, 2, dim, keepdim, dtype=dtype)
    if ord not in (1, -1, float("inf"), -float("inf")):
        raise NotImplementedError(f"matrix_norm of order {ord!r} needs a singular value problem")
    rows, columns = (d % A.form.ndim for d in dim)
    summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = A.abs().sum(summed, True)
    found = sums.amax(kept, True) if ord > 0 else sums.amin(kept, True)
    return found if keepdim else found.squeeze(dimensions((rows, columns), A.form.ndim))


def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The vector norm, or the matrix norm where two dimensions or 'fro' are given."""
    pair = isinstance(dim, (tuple, list)) and len(dim) == 2
    if ord is not None and (pair or (dim is None and A.form.ndim == 2)):
        return matrix_norm(A, ord, dim if pair else (-2, -1), keepdim, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


def vecdot(x, y, *, dim=-1) -> Tensor:
    """The dot products along a dimension."""
    return (x * y).sum(dim)


def multi_dot(tensors) -> Tensor:
    """The product of several matrices."""
    return linear.chain_matmul(*tensors)


def diagonal(A, *, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """The diagonals of the last two dimensions."""
    return A.diagonal(offset, dim1, dim2)
