"""NumPy's LAPACK for stacks of matrices.

NumPy stops at the first matrix that a factorisation fails for. Here the others are still computed,
and a number tells which went wrong: 0, or LAPACK's position of what was wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import host_call
from .triangular import flat, lu_factors, pack


def _each(function: Callable, count: int, *arrays: np.ndarray) -> list[np.ndarray]:
    """`function` of the whole stacks; where one matrix fails, of one after the other with NaN for
    those that do. count: how many arrays it gives."""
    try:
        found = function(*arrays)
        return list(found) if count > 1 else [found]
    except np.linalg.LinAlgError:
        pass
    lead = arrays[0].shape[:-2]
    results = {at: _one(function, [x[at] for x in arrays]) for at in np.ndindex(*lead)}
    good = next((r for r in results.values() if r is not None), None)
    if good is None:  # the shapes and kinds, from a matrix that cannot fail
        eye = [np.broadcast_to(np.eye(*x.shape[-2:], dtype=x.dtype), x.shape[-2:]) for x in arrays]
        good = _one(function, eye)
    assert good is not None
    stacks = [np.full((*lead, *part.shape), np.nan, part.dtype) for part in good]
    for at, result in results.items():
        for stack, part in zip(stacks, result or (), strict=False):
            stack[at] = part
    return stacks


def _one(function: Callable, arrays: list[np.ndarray]) -> tuple | None:
    try:
        found = function(*arrays)
    except np.linalg.LinAlgError:
        return None
    return tuple(found) if isinstance(found, tuple) else (found,)


def _failed(x: np.ndarray, axes: int) -> np.ndarray:
    """1 where a result has NaN, with an axis for `pack`."""
    return np.isnan(x).any(tuple(range(-axes, 0)))[..., None].astype(np.int64)


# ---------- systems ----------
@host_call
def inverse(settings, out, a) -> None:
    """A row of the inverse and info: the first zero pivot."""
    with np.errstate(all="ignore"):
        (x,) = _each(np.linalg.inv, 1, a)
    pack(out, flat(x), _zero_pivot(x, a))


@host_call
def solve(settings, out, a, b) -> None:
    """A row of x of a x = b, and info: the first zero pivot."""
    with np.errstate(all="ignore"):
        (x,) = _each(np.linalg.solve, 1, a, b)
    pack(out, flat(x), _zero_pivot(x, a))


def _zero_pivot(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """LAPACK's number for matrices whose solution is NaN, looked for only where there is one."""
    bad = np.isnan(x).any((-2, -1)) if x.size else np.zeros(x.shape[:-2], bool)
    info = np.zeros(bad.shape, np.int64)
    if not x.size or not bad.any():
        if not x.shape[-1] and a.size:
            info = lu_factors(a)[2]
        return info[..., None]
    info[bad] = lu_factors(a[bad])[2]
    return info[..., None]


@host_call
def cholesky(settings, out, a) -> None:
    """settings: (upper,): a row of the factor and info: the order of the first minor that is not
    positive definite. Reads the triangle that the factor lies in."""
    (upper,) = settings
    lower = np.swapaxes(a, -2, -1).conj() if upper else a
    with np.errstate(all="ignore"):
        (x,) = _each(np.linalg.cholesky, 1, lower)
    bad = np.isnan(x).any((-2, -1)) if x.size else np.zeros(x.shape[:-2], bool)
    info = np.zeros(bad.shape, np.int64)
    for at in np.argwhere(bad):
        info[tuple(at)] = _bad_minor(lower[tuple(at)])
        x[tuple(at)] = 0
    x = np.swapaxes(x, -2, -1).conj() if upper else x
    pack(out, flat(x), info[..., None])


def _bad_minor(a: np.ndarray) -> int:
    for n in range(1, len(a) + 1):
        try:
            np.linalg.cholesky(a[:n, :n])
        except np.linalg.LinAlgError:
            return n
    return 0


@host_call
def determinant(settings, out, a) -> None:
    """A row of the determinant's sign, and of the logarithm of its absolute value."""
    with np.errstate(all="ignore"):
        sign, size = np.linalg.slogdet(a)
    pack(out, sign[..., None], size[..., None])


@host_call
def product_determinant(settings, out, a) -> None:
    """The determinant itself, as the product of the pivots."""
    with np.errstate(all="ignore"):
        found = np.linalg.det(a)
    pack(out, np.asarray(found)[..., None])


@host_call
def adjugate(settings, out, a) -> None:
    """det(a) a^-1, which singular matrices have too: u and v of the singular value decomposition
    around the products of all values but one."""
    with np.errstate(all="ignore"):
        u, s, vh = _each(np.linalg.svd, 3, a)
        n = s.shape[-1]
        others = np.where(np.eye(n, dtype=bool), 1, s[..., None, :]).prod(-1)
        sign = np.linalg.det(u) * np.linalg.det(vh)
        x = (vh.conj().swapaxes(-2, -1) * others[..., None, :]) @ u.conj().swapaxes(-2, -1)
    pack(out, flat(x * np.asarray(sign)[..., None, None].astype(x.dtype)))


# ---------- orthogonal factors ----------
@host_call
def qr(settings, out, a) -> None:
    """settings: (mode,), 'reduced' or 'complete': a row of Q and R."""
    q, r = np.linalg.qr(a, settings[0])
    pack(out, flat(q), flat(r))


@host_call
def reflectors(settings, out, a) -> None:
    """A row of LAPACK's R with the reflectors below it, and their factors."""
    h, tau = np.linalg.qr(a, "raw")
    pack(out, flat(np.swapaxes(h, -2, -1)), tau)


# ---------- values and vectors ----------
@host_call
def svd(settings, out, a) -> None:
    """settings: (full,): a row of U, S, Vh and info."""
    u, s, vh = _each(lambda x: np.linalg.svd(x, settings[0]), 3, a)
    pack(out, flat(u), s, flat(vh), _failed(s, 1))


@host_call
def singular_values(settings, out, a) -> None:
    """A row of the singular values and info."""
    (s,) = _each(lambda x: np.linalg.svd(x, compute_uv=False), 1, a)
    pack(out, s, _failed(s, 1))


@host_call
def eigh(settings, out, a) -> None:
    """settings: (uplo,): a row of eigenvalues, rising, their vectors and info."""
    w, v = _each(lambda x: np.linalg.eigh(x, settings[0]), 2, a)
    pack(out, w, flat(v), _failed(w, 1))


@host_call
def eigvalsh(settings, out, a) -> None:
    """settings: (uplo,): a row of eigenvalues, rising, and info."""
    (w,) = _each(lambda x: np.linalg.eigvalsh(x, settings[0]), 1, a)
    pack(out, w, _failed(w, 1))


@host_call
def eig(settings, out, a) -> None:
    """A row of complex eigenvalues, their vectors, and info."""
    wide = _complex(a)
    w, v = _each(np.linalg.eig, 2, a) if _all_finite(a) else (None, None)
    if w is None or v is None:
        w = np.full(a.shape[:-1], np.nan, wide)
        v = np.full(a.shape, np.nan, wide)
    pack(out, w.astype(wide), flat(v.astype(wide)), _failed(w, 1))


@host_call
def eigvals(settings, out, a) -> None:
    """A row of complex eigenvalues and info."""
    wide = _complex(a)
    nothing = np.full(a.shape[:-1], np.nan, wide)
    (w,) = _each(np.linalg.eigvals, 1, a) if _all_finite(a) else (nothing,)
    pack(out, w.astype(wide), _failed(w, 1))


def _complex(a: np.ndarray) -> type:
    return np.complex64 if a.dtype.itemsize * (1 + (a.dtype.kind != "c")) == 8 else np.complex128


def _all_finite(a: np.ndarray) -> bool:
    return bool(np.isfinite(a).all())


# ---------- functions of matrices ----------
@host_call
def pseudo_inverse(settings, out, a, least) -> None:
    """settings: (hermitian,). least [..., 2]: absolute and relative bound, below which singular
    values count as zero."""
    (hermitian,) = settings
    u, s, vh = _each(lambda x: np.linalg.svd(x, full_matrices=False, hermitian=hermitian), 3, a)
    bound = least[..., 0]
    if s.shape[-1]:
        bound = np.maximum(bound, least[..., 1] * s.max(-1))
    with np.errstate(all="ignore"):
        turned = np.where(s > bound[..., None], 1 / s, 0).astype(s.dtype)
    x = (vh.conj().swapaxes(-2, -1) * turned[..., None, :]) @ u.conj().swapaxes(-2, -1)
    pack(out, flat(x))


@host_call
def exponential(settings, out, a) -> None:
    """The matrix exponential: Pade's approximation of order 13 with scaling and squaring."""
    pack(out, flat(_exponential(a)))


_PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000,
    10559470521600, 670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
_REACH = 5.371920351148152  # of the approximation in float64


def _exponential(a: np.ndarray) -> np.ndarray:
    """Higham, The scaling and squaring method for the matrix exponential revisited (2005)."""
    n = a.shape[-1]
    wide = a.astype(np.complex128 if a.dtype.kind == "c" else np.float64)
    if not a.size:
        return a
    good = np.asarray(np.isfinite(wide).all((-2, -1)))
    wide = np.where(good[..., None, None], wide, 0)
    norm = np.abs(wide).sum(-2).max(-1)
    times = np.maximum(0, np.ceil(np.log2(np.maximum(norm, 1e-300) / _REACH))).astype(np.int64)
    wide = wide / (2.0**times)[..., None, None]
    eye = np.eye(n)
    a2 = wide @ wide
    a4 = a2 @ a2
    a6 = a4 @ a2
    b = _PADE
    odd = a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2
    odd = wide @ (odd + b[1] * eye)
    even = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2
    even = even + b[0] * eye
    x = np.linalg.solve(even - odd, even + odd)
    with np.errstate(all="ignore"):
        for k in range(int(times.max(initial=0))):
            x = np.where((times > k)[..., None, None], x @ x, x)
    x = np.where(good[..., None, None], x, np.nan)
    return x.astype(a.dtype)
