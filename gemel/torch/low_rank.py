"""Approximations of low rank: Halko, Martinsson and Tropp, Finding structure with randomness
(2009), algorithms 4.4 and 5.1."""

from __future__ import annotations

from .drawing import randn
from .spectral import qr, svd
from .tensor import Tensor


def _basis(A, q: int, rounds: int, M) -> Tensor:
    """Orthonormal columns that nearly span those of A - M, by power iteration."""

    def times(turned: bool, x):
        own = A.mH if turned else A
        found = own @ x
        return found if M is None else found - (M.mH if turned else M) @ x

    found = qr(times(False, randn(A.form.shape[-1], q, dtype=A.dtype))).Q
    for _ in range(rounds):
        found = qr(times(True, found)).Q
        found = qr(times(False, found)).Q
    return found


def svd_lowrank(A, q=6, niter=2, M=None) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) of about the q largest singular values of A - M; draws random numbers."""
    q = 6 if q is None else q
    rows, columns = A.form.shape[-2:]
    wide = rows < columns
    if M is not None:
        M = M.broadcast_to(A.form.shape)
    if wide:
        A, M = A.mH, None if M is None else M.mH
    basis = _basis(A, q, niter, M)
    inner = basis.mH @ A
    if M is not None:
        inner = inner - basis.mH @ M
    found = svd(inner, full_matrices=False)
    left, right = basis @ found.U, found.Vh.mH
    return (right, found.S, left) if wide else (left, found.S, right)


def pca_lowrank(A, q=None, center=True, niter=2) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) of principal components of the rows of A; draws random numbers."""
    most = min(A.form.shape[-2:])
    if q is None:
        q = min(6, most)
    elif not 0 <= q <= most:
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={most}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if not A.form.dtype.is_float and not A.form.dtype.is_complex:
        raise ValueError(f"pca_lowrank: a floating-point tensor is needed, not {A.dtype}")
    return svd_lowrank(A - A.mean(-2, True) if center else A, q, niter)
