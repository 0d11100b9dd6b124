"""Functions of matrices in `torch` itself, beside those of `torch.linalg`."""

from __future__ import annotations

from gemel.ops.contraction import contract
from gemel.ops.record import Call

from . import linear_solving as solving
from . import matrix_products, spectral
from . import return_types as named
from .checks import broadcast_shape, times
from .creation import zeros
from .dtypes import short_name
from .joining import cat
from .linear import _summed, _with_sum
from .linear_solving import many, one
from .out import into
from .tensor import Tensor

inverse = solving.inv
orgqr = spectral.householder_product
_CHOLESKY = Call("cholesky", lambda attrs, a: solving.CHOLESKY.function((*attrs, "cholesky"), a))


def cholesky(input, upper=False) -> Tensor:
    """See torch.linalg.cholesky."""
    return one(_CHOLESKY, input, attrs=(bool(upper),))


def lu_solve(b, LU_data, LU_pivots) -> Tensor:
    """See torch.linalg.lu_solve."""
    return one(solving.LU_SOLVE, LU_data, LU_pivots, b, attrs=(True, False, "lu_solve"))


def slogdet(input):
    """See torch.linalg.slogdet."""
    return named.slogdet(*many(solving.SLOGDET, input, attrs=("linalg.slogdet",)))


def qr(input, some=True):
    """See torch.linalg.qr."""
    mode = "reduced" if some else "complete"
    return named.qr(*many(spectral.QR, input, attrs=(mode, "linalg.qr")))


def svd(input, some=True, compute_uv=True):
    """(U, S, V); without `compute_uv`, U and V are zeros."""
    if not compute_uv:
        s = one(spectral.SVDVALS, input)
        lead = input.form.shape[:-2]
        u, v = (zeros((*lead, n, n), dtype=input.dtype) for n in input.form.shape[-2:])
        return named.svd(u, s, v)
    u, s, vh = many(spectral.SVD, input, attrs=(not some, "linalg.svd"))
    return named.svd(u, s, vh.mH)


def lu(input, pivot=True, get_infos=False, out=None):
    """(both factors in one, pivots), and with `get_infos` a number per matrix."""
    attrs = (bool(pivot), "torch.lu")
    found = many(solving.LU_FACTOR_EX if get_infos else solving.LU_FACTOR, input, attrs=attrs)
    return into(out, tuple(found), input)


def cross(input, other, dim=None) -> Tensor:
    """The cross product along a dimension of size 3, the first such one unless given."""
    if dim is None:
        shape = broadcast_shape(input.form.shape, other.form.shape)
        if 3 not in shape:
            raise RuntimeError("no dimension of size 3 in input")
        dim = shape.index(3)
    return matrix_products.cross(input, other, dim=dim)


def _sum_of_products(attrs, a, b):
    for x, name in ((a, "batch1"), (b, "batch2")):
        if x.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    if a.shape[0] != b.shape[0]:
        raise RuntimeError(
            f"batch1 and batch2 must have same number of batches, got {a.shape[0]} and {b.shape[0]}"
        )
    if a.shape[2] != b.shape[1]:
        raise RuntimeError(
            f"Incompatible matrix sizes for bmm ({times(a.shape[1:])} and {times(b.shape[1:])})"
        )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            "batch1 and batch2 must have the same dtype, got "
            f"{short_name(a.dtype)} and {short_name(b.dtype)}"
        )
    return contract(a, b, (0, 1, 2), (0, 2, 3), (1, 3))


_ADDBMM = _summed(_with_sum("addbmm", _sum_of_products))


def addbmm(input, batch1, batch2, *, beta=1, alpha=1, out=None) -> Tensor:
    """beta * input + alpha * the sum of the products of two stacks of matrices."""
    return _ADDBMM(input, batch1, batch2, beta=beta, alpha=alpha, out=out)


def vander(x, N=None, increasing=False) -> Tensor:
    """Powers of each value of a vector in rows, falling unless `increasing`."""
    if x.form.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.form.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    kind = x if x.form.dtype.kind in "fc" else x.long()
    powers = kind.unsqueeze(-1).expand(-1, max(count - 1, 0)).cumprod(-1)
    rows = cat([powers.new_ones((x.form.shape[0], 1)), powers], -1)[:, :count]
    return rows if increasing else rows.flip(-1)


def frobenius_norm(input, dim=(), keepdim=False) -> Tensor:
    """The root of the sum of squares over two dimensions or all."""
    return input.norm("fro", dim or None, keepdim)


def nuclear_norm(input, dim=(-2, -1), keepdim=False) -> Tensor:
    """The sum of the singular values over two dimensions."""
    return input.norm("nuc", dim, keepdim)
