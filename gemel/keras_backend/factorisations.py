"""Factorisations of `keras.ops.linalg`: recorded like any op, so they have gradients and run inside
of compiled steps. What NumPy computes is a host call of the program (`gemel.ops.host`)."""

from __future__ import annotations

from collections.abc import Callable

from keras.src.backend.config import floatx

from gemel import tensor as lazy
from gemel.graph.errors import Fault
from gemel.graph.form import float64, int32
from gemel.graph.node import Node
from gemel.ops import linear_systems as systems
from gemel.ops import spectra
from gemel.ops.contraction import matmul
from gemel.ops.elementwise import cast, gt
from gemel.ops.linear_algebra import guarded
from gemel.ops.movement import full, reshape, stack
from gemel.ops.record import Call
from gemel.ops.reduction import amax, sum_

from .tensors import dtype_of, tensor, to_dtype


def _recorded(name: str, build: Callable, several: bool = False) -> Callable:
    """An op of tensors; `build(settings, *nodes)` gives a node or a tuple of nodes."""
    call = Call(name, build)

    def op(*args, **settings):
        given = [tensor(a) for a in args]
        given = [x if x.form.dtype.is_float else to_dtype(x, dtype_of(floatx())) for x in given]
        attrs = tuple(sorted(settings.items()))
        if several:
            return tuple(lazy.record_many(call, given[0].kin, given, attrs))
        return lazy.record_n(call, given[0].kin, given, attrs)

    op.__name__ = op.__qualname__ = name
    return op


def _well(name: str, text: str, info: Node, *values: Node) -> list[Node]:
    return guarded(info, Fault(ValueError, f"keras.ops.{name}: {text}"), *values)


def _inv(attrs, a):
    x, info = systems.inverse(a)
    return _well("inv", "Singular matrix", info, x)[0]


def _solve(attrs, a, b):
    vector = b.ndim == a.ndim - 1
    x, info = systems.solve(a, reshape(b, (*b.shape, 1)) if vector else b)
    (x,) = _well("solve", "Singular matrix", info, x)
    return reshape(x, x.shape[:-1]) if vector else x


def _solve_triangular(attrs, a, b):
    vector = b.ndim == a.ndim - 1
    right = reshape(b, (*b.shape, 1)) if vector else b
    x = systems.solve_triangular(a, right, not dict(attrs)["lower"])
    return reshape(x, x.shape[:-1]) if vector else x


def _cholesky(attrs, a):
    factor, info = systems.cholesky(a, dict(attrs)["upper"])
    return _well("cholesky", "Matrix is not positive definite", info, factor)[0]


def _cholesky_inverse(attrs, factor):
    eye = systems.unit_matrix(factor.shape[-1], factor)
    return systems.cholesky_solve(eye, factor, dict(attrs)["upper"])


def _svd(attrs, a):
    u, s, vh, info = spectra.svd(a, dict(attrs)["full_matrices"])
    return tuple(_well("svd", "SVD did not converge", info, u, s, vh))


def _singular_values(attrs, a):
    s, info = spectra.singular_values(a)
    return _well("svd", "SVD did not converge", info, s)[0]


def _eigh(attrs, a):
    w, v, info = spectra.eigh(a, "L")
    return tuple(_well("eigh", "Eigenvalues did not converge", info, w, v))


def _least(a: Node, relative: float | None) -> Node:
    """Bounds of singular values that count: none absolute, one relative to the largest."""
    if relative is None:
        eps = 2.0**-52 if a.dtype is float64 else 2.0**-23
        relative = eps * max(a.shape[-2:])
    lead = a.shape[:-2]
    return stack([full(lead, 0.0, a.dtype), full(lead, relative, a.dtype)], len(lead))


def _pinv(attrs, a):
    return spectra.pseudo_inverse(a, _least(a, dict(attrs)["rcond"]))


def _lstsq(attrs, a, b):
    vector = b.ndim == a.ndim - 1
    inverse = spectra.pseudo_inverse(a, _least(a, dict(attrs)["rcond"]))
    x = matmul(inverse, reshape(b, (*b.shape, 1)) if vector else b)
    return reshape(x, x.shape[:-1]) if vector else x


def _matrix_rank(attrs, a):
    tol = dict(attrs)["tol"]
    values, _ = spectra.singular_values(a)
    axis = values.ndim - 1
    if tol is None:
        eps = 2.0**-52 if a.dtype is float64 else 2.0**-23
        above = gt(values, amax(values, axis, True) * (eps * max(a.shape[-2:])))
    else:
        above = gt(values, float(tol))
    return sum_(cast(above, int32), axis)


_CHOLESKY = _recorded("cholesky", _cholesky)
_CHOLESKY_INVERSE = _recorded("cholesky_inverse", _cholesky_inverse)
_TRIANGULAR = _recorded("solve_triangular", _solve_triangular)
_QR = _recorded("qr", lambda attrs, a: spectra.qr(a, dict(attrs)["mode"]), True)
_SVD = _recorded("svd", _svd, True)
_SINGULAR_VALUES = _recorded("svd", _singular_values)
_PINV = _recorded("pinv", _pinv)
_LSTSQ = _recorded("lstsq", _lstsq)
_RANK = _recorded("matrix_rank", _matrix_rank)

det = _recorded("det", lambda attrs, a: systems.determinant(a))
slogdet = _recorded("slogdet", lambda attrs, a: systems.log_determinant(a), True)
inv = _recorded("inv", _inv)
solve = _recorded("solve", _solve)
eigh = _recorded("eigh", _eigh, True)


def cholesky(x, upper=False) -> lazy.Tensor:
    """The triangular factor of positive definite matrices."""
    return _CHOLESKY(x, upper=bool(upper))


def cholesky_inverse(x, upper=False) -> lazy.Tensor:
    """The inverse of the matrices that have these factors."""
    return _CHOLESKY_INVERSE(x, upper=bool(upper))


def solve_triangular(a, b, lower=False) -> lazy.Tensor:
    """x of a x = b for triangular a."""
    return _TRIANGULAR(a, b, lower=bool(lower))


def qr(x, mode="reduced") -> tuple[lazy.Tensor, lazy.Tensor]:
    """(Q, R)."""
    if mode not in ("reduced", "complete"):
        raise ValueError(
            "`mode` argument value not supported. Expected one of {'reduced', 'complete'}. "
            f"Received: mode={mode}"
        )
    return _QR(x, mode=mode)


def svd(x, full_matrices=True, compute_uv=True):
    """(U, S, V^H), or S alone."""
    return _SVD(x, full_matrices=bool(full_matrices)) if compute_uv else _SINGULAR_VALUES(x)


def pinv(x, rcond=None) -> lazy.Tensor:
    """The Moore-Penrose inverse."""
    return _PINV(x, rcond=None if rcond is None else float(rcond))


def lstsq(a, b, rcond=None) -> lazy.Tensor:
    """The solution of least squares."""
    return _LSTSQ(a, b, rcond=None if rcond is None else float(rcond))


def matrix_rank(x, tol=None) -> lazy.Tensor:
    """How many singular values count."""
    return _RANK(x, tol=None if tol is None else float(tol))
