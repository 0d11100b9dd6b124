"""`torch.lobpcg`: some eigenvalues of symmetric matrices."""

from __future__ import annotations

from gemel.ops import eigenpairs
from gemel.ops.record import Call

from .checks import wrong_argument
from .drawing import randn
from .linear_solving import many
from .tensor import Tensor

_TOLERANCE = {"float32": 1.2e-07**0.5, "float64": 2.23e-16**0.5}


def _pairs(attrs, a, x, *others):
    has_b, has_inverse, *rest = attrs
    b = others[0] if has_b else None
    inverse = others[has_b] if has_inverse else None
    return tuple(eigenpairs.extreme_pairs(a, x, b, inverse, *rest))


LOBPCG = Call("lobpcg", _pairs)


def _check(A: Tensor, B: Tensor | None, n: int, tracker) -> None:
    if not isinstance(A, Tensor):
        raise wrong_argument("lobpcg", "A", 1, A)
    if A.form.ndim < 2 or A.form.shape[-2] != A.form.shape[-1]:
        raise AssertionError(f"A must be square, got shape {A.shape}")
    if B is not None and B.form.shape != A.form.shape:
        raise AssertionError(f"A and B must have same shape, got {A.shape} vs {B.shape}")
    if A.form.dtype.name not in _TOLERANCE:
        raise RuntimeError(f"lobpcg: a matrix of float32 or float64 is needed, not {A.dtype}")
    if A.form.shape[-1] < 3 * n:
        raise ValueError(
            f"LOBPCG algorithm is not applicable when the number of A rows (={A.form.shape[-1]}) "
            f"is smaller than 3 x the number of requested eigenpairs (={n})"
        )
    if tracker is not None:
        raise NotImplementedError(
            "lobpcg: no tracker is called, since the iteration runs with the program; call it with "
            "niter=1 and X of the call before to look at each step"
        )


def lobpcg(A, k=None, B=None, X=None, n=None, iK=None, niter=None, tol=None, largest=None,
           method=None, tracker=None, ortho_iparams=None, ortho_fparams=None,
           ortho_bparams=None) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(E [..., k], V [..., m, k]): the largest (or smallest) eigenvalues e of A v = e B v for
    symmetric A and positive B, with their vectors. X: vectors to begin with; iK: an approximate
    inverse of A. Knyazev 2001. Both methods are the robust one, which has no parameters."""
    if method not in (None, "ortho", "basic"):
        raise ValueError(f"lobpcg: method must be 'ortho' or 'basic', not {method!r}")
    k = (1 if X is None else X.form.shape[-1]) if k is None else k
    n = (k if n is None else n) if X is None else X.form.shape[-1]
    _check(A, B, n, tracker)
    shape = A.form.shape
    X = randn(*shape[:-1], n, dtype=A.dtype) if X is None else X
    if X.form.shape != (*shape[:-1], n):
        raise AssertionError(f"X shape mismatch: got {X.shape}, expected {(*shape[:-1], n)}")
    tol = _TOLERANCE[A.form.dtype.name] if tol is None else tol
    attrs = (
        int(B is not None), int(iK is not None), k, 1000 if niter is None else niter, float(tol),
        True if largest is None else bool(largest),
    )  # fmt: skip
    given = [A, X, *(t for t in (B, iK) if t is not None)]
    return tuple(many(LOBPCG, *given, attrs=attrs))
