"""Orthogonal factors, singular values, eigenvalues, and what `torch.linalg` makes of them."""

from __future__ import annotations

import builtins

from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops import spectra
from gemel.ops.complex import part_type
from gemel.ops.elementwise import ABS, cast, gt, lt, maximum, stop_gradient, where
from gemel.ops.movement import expand, full, reshape, stack, zeros
from gemel.ops.record import Call
from gemel.ops.reduction import amax, amin, sum_

from . import return_types as named
from .linear_solving import many, one
from .matrix_checks import (
    NO_EIGENVALUES,
    NO_SINGULAR_VALUES,
    check_float,
    check_matrix,
    check_square,
    finite,
    well,
)
from .tensor import Tensor


# ---------- orthogonal and upper factor ----------
def _qr(attrs, a):
    mode, name = attrs
    check_matrix(a, name)
    check_float(a, name)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), "
            "'r', or 'complete'"
        )
    q, r = spectra.qr(a, "reduced" if mode == "r" else mode)
    return (zeros((0,), a.dtype), r) if mode == "r" else (q, r)


QR = Call("linalg_qr", _qr)


def qr(A, mode="reduced"):
    """(Q, R) with A = Q R; Q is empty for mode 'r'."""
    return named.linalg_qr(*many(QR, A, attrs=(mode, "linalg.qr")))


def _geqrf(attrs, a):
    check_matrix(a, "torch.geqrf", "input")
    check_float(a, "torch.geqrf")
    return tuple(spectra.REFLECTORS(a))


GEQRF = Call("geqrf", _geqrf, False)


def geqrf(input):
    """(R with the reflectors below it, their factors) as LAPACK gives them."""
    return named.geqrf(*many(GEQRF, input))


def _check_reflectors(a: Node, tau: Node, name: str, given: str) -> None:
    check_matrix(a, name, given)
    if a.shape[-2] < a.shape[-1]:
        raise RuntimeError(
            f"{name}: {given}.shape[-2] must be greater than or equal to {given}.shape[-1]"
        )
    if a.shape[-1] < tau.shape[-1]:
        raise RuntimeError(
            f"{name}: {given}.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if a.ndim - tau.ndim != 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than {given}, but got tau.ndim equal "
            f"to {tau.ndim} and {given}.ndim is equal to {a.ndim}"
        )
    if tau.shape[:-1] != a.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to {given}.shape[:-2], but got "
            f"{list(tau.shape[:-1])}"
        )
    if a.dtype is not tau.dtype:
        from .dtypes import short_name

        raise RuntimeError(
            f"{name}: tau dtype {short_name(tau.dtype)} does not match {given} dtype "
            f"{short_name(a.dtype)}"
        )


def _householder_product(attrs, a, tau):
    check_float(a, "torch.linalg.householder_product")
    _check_reflectors(a, tau, "torch.linalg.householder_product", "input")
    return spectra.product_of_reflectors(a, tau)


HOUSEHOLDER = Call("linalg_householder_product", _householder_product)


def householder_product(A, tau) -> Tensor:
    """The first columns of the product of Householder reflectors."""
    return one(HOUSEHOLDER, A, tau)


def _check_same_batches(a: Node, tau: Node, other: Node, name: str) -> None:
    rows = (
        (tau, "tau", 1, "one dimension less than"),
        (other, "other", 2, "the same number of dimensions as"),
    )
    for x, given, own, wanted in rows:
        if x.ndim != a.ndim - 2 + own:
            raise RuntimeError(
                f"{name}: Expected {given} to have {wanted} input, but got {given}.ndim equal to "
                f"{x.ndim} and input.ndim is equal to {a.ndim}"
            )
        if x.shape[:-own] != a.shape[:-2]:
            raise RuntimeError(
                f"{name}: Expected batch dimensions of {given} to be equal to input.shape[:-2], "
                f"but got {list(x.shape[:-own])}"
            )


def _ormqr(attrs, a, tau, other):
    left, transpose = attrs
    name = "torch.ormqr"
    check_matrix(a, name, "input")
    check_matrix(other, name, "other")
    size = other.shape[-2 if left else -1]
    side = "-2" if left else "-1"
    if size < tau.shape[-1]:
        raise RuntimeError(
            f"{name}: other.shape[{side}] must be greater than or equal to tau.shape[-1]"
        )
    if size != a.shape[-2]:
        raise RuntimeError(f"{name}: other.shape[{side}] must be equal to input.shape[-2]")
    if tau.shape[-1] != min(size, a.shape[-1]):
        raise RuntimeError(
            f"{name}: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])"
        )
    _check_same_batches(a, tau, other, name)
    return spectra.times_reflectors(a, tau, other, left, transpose)


ORMQR = Call("ormqr", _ormqr)


def ormqr(input, tau, other, left=True, transpose=False) -> Tensor:
    """The product of `other` with the orthogonal matrix that reflectors describe."""
    return one(ORMQR, input, tau, other, attrs=(bool(left), bool(transpose)))


# ---------- singular values ----------
def _svd(attrs, a):
    full, name = attrs
    check_matrix(a, name)
    check_float(a, name)
    u, s, vh, info = spectra.svd(a, full)
    return tuple(well(info, name, NO_SINGULAR_VALUES, u, s, vh))


def _svdvals(attrs, a):
    check_matrix(a, "linalg.svdvals")
    check_float(a, "linalg.svdvals")
    s, info = spectra.singular_values(a)
    return well(info, "linalg.svd", NO_SINGULAR_VALUES, s)[0]


SVD = Call("linalg_svd", _svd)
SVDVALS = Call("linalg_svdvals", _svdvals)


def svd(A, full_matrices=True, *, driver=None):
    """(U, S, Vh) with A = U diag(S) Vh."""
    _no_driver(driver, "linalg.svd")
    return named.linalg_svd(*many(SVD, A, attrs=(bool(full_matrices), "linalg.svd")))


def svdvals(A, *, driver=None) -> Tensor:
    """The singular values, falling."""
    _no_driver(driver, "linalg.svdvals")
    return one(SVDVALS, A)


def _no_driver(driver, name: str) -> None:
    if driver is not None:
        raise RuntimeError(f"{name}: keyword argument `driver=` is only supported on CUDA inputs")


# ---------- eigenvalues ----------
def _check_uplo(uplo) -> str:
    found = str(uplo).upper()
    if len(found) != 1 or found not in "UL":
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")
    return found


def _eigh(attrs, a):
    check_square(a, "linalg.eigh")
    check_float(a, "linalg.eigh")
    w, v, info = spectra.eigh(a, attrs[0])
    return tuple(well(info, "linalg.eigh", NO_EIGENVALUES, w, v))


def _eigvalsh(attrs, a):
    check_square(a, "linalg.eigvalsh")
    check_float(a, "linalg.eigvalsh")
    w, info = spectra.eigvalsh(a, attrs[0])
    return well(info, "linalg.eigh", NO_EIGENVALUES, w)[0]


_NOT_FINITE = "torch.linalg.eig: input tensor should not contain infs or NaNs."


def _eig(attrs, a):
    check_square(a, "linalg.eig")
    check_float(a, "linalg.eig")
    w, v, info = spectra.eig(finite(a, _NOT_FINITE))
    return tuple(well(info, "linalg.eig", NO_EIGENVALUES, w, v))


def _eigvals(attrs, a):
    check_square(a, "linalg.eigvals")
    check_float(a, "linalg.eigvals")
    w, info = spectra.eigvals(finite(a, _NOT_FINITE))
    return well(info, "linalg.eig", NO_EIGENVALUES, w)[0]


EIGH = Call("linalg_eigh", _eigh)
EIGVALSH = Call("linalg_eigvalsh", _eigvalsh)
EIG = Call("linalg_eig", _eig)
EIGVALS = Call("linalg_eigvals", _eigvals)


def eigh(A, UPLO="L"):
    """(eigenvalues, rising; vectors in columns) of Hermitian matrices."""
    return named.linalg_eigh(*many(EIGH, A, attrs=(_check_uplo(UPLO),)))


def eigvalsh(A, UPLO="L") -> Tensor:
    """The eigenvalues of Hermitian matrices, rising."""
    return one(EIGVALSH, A, attrs=(_check_uplo(UPLO),))


def eig(A):
    """(eigenvalues, vectors in columns), both complex."""
    return named.linalg_eig(*many(EIG, A))


def eigvals(A) -> Tensor:
    """The eigenvalues, complex."""
    return one(EIGVALS, A)


# ---------- inverses of any matrix ----------
def _spread(x, like: Node, value: float) -> Node:
    """A bound per matrix: a node, or a number."""
    dtype = part_type(like.dtype)
    lead = like.shape[:-2]
    found = full((), value, dtype) if x is None else cast(x, dtype)
    return expand(found, lead)


def default_tolerance(a: Node) -> float:
    """PyTorch's relative bound: epsilon times the larger size."""
    eps = 2.0**-52 if part_type(a.dtype).itemsize == 8 else 2.0**-23
    return eps * builtins.max(a.shape[-2:])


def _bounds(attrs, a: Node, given: tuple[Node, ...]) -> tuple[Node, Node]:
    """(absolute, relative) bounds. attrs: per bound None, a number, or True for the next node."""
    nodes = iter(given)
    found: list[Node | float | None] = [next(nodes) if g is True else g for g in attrs]
    absolute, relative = found
    if relative is None:
        default = full((), default_tolerance(a), part_type(a.dtype))
        if isinstance(absolute, Node):
            zero = zeros((), part_type(a.dtype))
            relative = where(gt(cast(absolute, zero.dtype), zero), zero, default)
        else:
            relative = 0.0 if absolute else default
    absolute = 0.0 if absolute is None else absolute
    both = [
        _spread(x, a, 0.0) if isinstance(x, Node) else _spread(None, a, float(x))
        for x in (absolute, relative)
    ]
    return both[0], both[1]


def _pinv(attrs, a, *given):
    atol, rtol, hermitian = attrs
    check_matrix(a, "linalg.pinv")
    check_float(a, "linalg.pinv")
    if hermitian:
        check_square(a, "linalg.pinv")
    absolute, relative = _bounds((atol, rtol), a, given)
    return spectra.pseudo_inverse(a, stack([absolute, relative], a.ndim - 2), hermitian)


PINV = Call("linalg_pinv", _pinv)


def _tolerances(name: str, *given) -> tuple[tuple, list[Tensor]]:
    """What `_bounds` takes: a mark per bound, and the tensors."""
    marks = []
    tensors = []
    for x in given:
        if isinstance(x, Tensor):
            if x.form.dtype.is_complex:
                raise RuntimeError(f"{name}: tol tensor of complex type is not supported.")
            tensors.append(x)
            marks.append(True)
        else:
            marks.append(None if x is None else float(x))
    return tuple(marks), tensors


def pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None) -> Tensor:
    """The Moore-Penrose inverse; singular values up to max(atol, rtol * largest) count as 0."""
    rtol = rcond if rtol is None else rtol
    for x, kind in ((atol, "atol"), (rtol, "rtol")):
        if isinstance(x, Tensor) and x.form.dtype.is_complex:
            raise RuntimeError(
                f"torch.linalg.pinv: {kind} tensor of complex type is not supported."
            )
    marks, tensors = _tolerances("linalg.pinv", atol, rtol)
    return one(PINV, A, *tensors, attrs=(*marks, bool(hermitian)))


def pinverse(input, rcond=1e-15) -> Tensor:
    """See torch.linalg.pinv."""
    return pinv(input, rcond)


def _matrix_rank(attrs, a, *given):
    atol, rtol, hermitian = attrs
    name = "linalg.matrix_rank"
    check_matrix(a, name)
    check_float(a, name)
    if hermitian:
        check_square(a, name)
        values = ABS(spectra.eigvalsh(a, "L")[0])
    else:
        values = spectra.singular_values(a)[0]
    if not values.shape[-1]:
        return zeros(a.shape[:-2], int64)
    absolute, relative = _bounds((atol, rtol), a, given)
    bound = maximum(absolute, relative * amax(values, values.ndim - 1))
    above = gt(values, reshape(bound, (*bound.shape, 1)))
    return sum_(cast(above, int64), values.ndim - 1)


MATRIX_RANK = Call("linalg_matrix_rank", _matrix_rank, False)


def matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None) -> Tensor:
    """How many singular values are above max(atol, rtol * largest)."""
    if tol is not None:
        atol, rtol = tol, 0.0
    marks, tensors = _tolerances("torch.linalg.matrix_rank: atol", atol, rtol)
    return one(MATRIX_RANK, A, *tensors, attrs=(*marks, bool(hermitian)))


# ---------- norms ----------
def _values(a: Node) -> Node:
    return spectra.singular_values(a)[0]


def _norm_by_values(attrs, a):
    """attrs: (order,): 2, -2 or 'nuc', of the last two axes."""
    (order,) = attrs
    values = _values(a)
    axis = values.ndim - 1
    if order != "nuc" and order < 0 and not values.shape[axis]:
        raise IndexError("amin(): Expected reduction dim -1 to have non-zero size.")
    if order == "nuc" or order > 0 and not values.shape[axis]:
        return sum_(values, axis)
    return amax(values, axis) if order > 0 else amin(values, axis)


NORM_BY_VALUES = Call("linalg_matrix_norm", _norm_by_values)


def _cond(attrs, a):
    (order,) = attrs
    values = _values(a)
    axis = values.ndim - 1
    large, small = amax(values, axis), amin(values, axis)
    return large / small if order > 0 else small / large


COND = Call("linalg_cond", _cond)


# ---------- functions of matrices ----------
def _matrix_exp(attrs, a):
    check_square(a, "linalg.matrix_exp")
    check_float(a, "linalg.matrix_exp", half=True)
    if a.dtype.half:
        from gemel.graph.form import float32

        return cast(spectra.exponential(cast(a, float32)), a.dtype)
    return spectra.exponential(a)


MATRIX_EXP = Call("linalg_matrix_exp", _matrix_exp)


def matrix_exp(A) -> Tensor:
    """The matrix exponential."""
    return one(MATRIX_EXP, A)


# ---------- least squares ----------
def _lstsq(attrs, a, b):
    rcond, driver = attrs
    vector = b.ndim == a.ndim - 1 and b.shape == a.shape[:-1]
    right = reshape(b, (*b.shape, 1)) if vector else b
    relative = default_tolerance(a) if rcond is None else rcond
    if driver == "gels":
        relative = 0.0
    bounds = stack([_spread(None, a, 0.0), _spread(None, a, relative)], a.ndim - 2)
    from gemel.ops.contraction import matmul

    x = matmul(spectra.pseudo_inverse(a, bounds), right)
    m, n = a.shape[-2:]
    real_type = part_type(a.dtype)
    residuals = zeros((0,), real_type)
    values = spectra.singular_values(a)[0] if driver in ("gelsd", "gelss", "gelsy") else None
    rank = zeros((0,), int64)
    if values is not None:
        if values.shape[-1]:
            top = amax(values, values.ndim - 1, True)
            rank = sum_(cast(lt(top * relative, values), int64), values.ndim - 1)
        else:
            rank = zeros(a.shape[:-2], int64)
    if m > n and driver != "gelsy":
        gap = ABS(matmul(a, x) - right)
        residuals = sum_(gap * gap, gap.ndim - 2)
    if driver not in ("gelsd", "gelss") or values is None:
        values = zeros((0,), real_type)
    if vector:
        x = reshape(x, x.shape[:-1])
        if residuals.ndim > 1:
            residuals = reshape(residuals, residuals.shape[:-1])
    return x, residuals, rank, stop_gradient(values)


LSTSQ = Call("linalg_lstsq", _lstsq)
_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _check_lstsq(a: Tensor, b: Tensor, driver) -> None:
    name = "torch.linalg.lstsq"
    if a.form.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if b.form.ndim < 1:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if a.form.dtype is not b.form.dtype:
        raise RuntimeError(f"{name}: Expected input and other to have the same dtype, but got "
                           f"input's dtype {a.dtype} and other's dtype {b.dtype}")  # fmt: skip
    if not 0 <= a.form.ndim - b.form.ndim <= 1:
        raise RuntimeError(f"{name}: input.dim() must be greater or equal to other.dim() and "
                           "(input.dim() - other.dim()) <= 1")  # fmt: skip
    vector = b.form.ndim == a.form.ndim - 1 and b.form.shape == a.form.shape[:-1]
    if a.form.shape[-2] != b.form.shape[-1 if vector else -2]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-2)")
    if driver is not None and driver not in _DRIVERS:
        raise RuntimeError(
            f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
        )


def lstsq(A, B, rcond=None, *, driver=None):
    """(solution, residuals, rank, singular values) of least squares."""
    _check_lstsq(A, B, driver)
    rcond = None if rcond is None else float(rcond)
    return named.linalg_lstsq(*many(LSTSQ, A, B, attrs=(rcond, driver or "gelsy")))
