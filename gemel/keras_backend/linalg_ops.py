"""`keras.ops.linalg`: norms, and factorisations as host calls."""

from __future__ import annotations

import math

import numpy as np
from keras.src.backend.config import floatx

from gemel import tensor as lazy

from .arithmetic import OPS, power
from .host_calls import host_call
from .missing import refuse
from .reductions import REDUCTIONS, max, min
from .shaping import moveaxis, positions, reshape
from .tensors import dtype_of, tensor, to_dtype

_MATRIX_NORMS = {1: (-2, max), -1: (-2, min), math.inf: (-1, max), -math.inf: (-1, min)}


def norm(x, ord=None, axis=None, keepdims=False) -> lazy.Tensor:
    x = tensor(x)
    if not x.form.dtype.is_float:
        x = to_dtype(x, dtype_of(floatx()))
    if axis is None and ord is None:
        total = REDUCTIONS["sum"](OPS["square"](x), None, keepdims)
        return OPS["sqrt"](total)
    axes = positions(axis, x.form.ndim)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axis if axis is not None else axes, keepdims)
    raise ValueError(f"`norm` takes one or two axes. Received: axis={axis} of shape {x.form.shape}")


def _vector_norm(x, ord, axis: int, keepdims: bool):
    size = OPS["absolute"](x)
    if ord is None or ord == 2:
        return OPS["sqrt"](REDUCTIONS["sum"](OPS["square"](x), axis, keepdims))
    if ord in (math.inf, "inf"):
        return max(size, axis, keepdims)
    if ord in (-math.inf, "-inf"):
        return min(size, axis, keepdims)
    if ord == 0:
        hits = to_dtype(OPS["not_equal"](x, 0), x.form.dtype)
        return REDUCTIONS["sum"](hits, axis, keepdims)
    if ord == 1:
        return REDUCTIONS["sum"](size, axis, keepdims)
    if isinstance(ord, str):
        raise ValueError(f"Invalid `ord` argument for vector norm. Received: ord={ord}")
    return power(REDUCTIONS["sum"](power(size, float(ord)), axis, keepdims), 1.0 / float(ord))


def _matrix_norm(x, ord, axis, keepdims: bool):
    row, column = (a % x.form.ndim for a in axis)
    if ord in (None, "fro"):
        return OPS["sqrt"](REDUCTIONS["sum"](OPS["square"](x), (row, column), keepdims))
    if ord not in _MATRIX_NORMS:
        if ord in (2, -2, "nuc"):
            return _spectral_norm(x, ord, (row, column), keepdims)
        raise ValueError(f"Invalid `ord` argument for matrix norm. Received: ord={ord}")
    side, extreme = _MATRIX_NORMS[ord]
    summed, kept = (row, column) if side == -2 else (column, row)
    found = extreme(REDUCTIONS["sum"](OPS["absolute"](x), summed, True), kept, True)
    if keepdims:
        return found
    return reshape(found, [n for i, n in enumerate(x.form.shape) if i not in (row, column)])


def _spectral_norm(x, ord, axes: tuple[int, int], keepdims: bool):
    moved = moveaxis(x, axes, (-2, -1))
    values = svd(moved, compute_uv=False)
    found = {2: max, -2: min, "nuc": REDUCTIONS["sum"]}[ord](values, -1)
    kept = [1 if i in axes else n for i, n in enumerate(x.form.shape)]
    return reshape(found, kept) if keepdims else found


# ---------- host calls ----------
def _real(function, name: str):
    def run(x):
        found = function(x)
        if any(np.iscomplexobj(part) for part in found):
            raise ValueError(f"keras.ops.{name}: the result is complex, which Gemel does not hold")
        return tuple(found)

    return run


def _cholesky(x, upper=False):
    lower = np.linalg.cholesky(x)
    return np.swapaxes(lower, -1, -2) if upper else lower


def _cholesky_inverse(x, upper=False):
    factor = np.swapaxes(x, -1, -2) if upper else x
    return np.linalg.inv(factor @ np.swapaxes(factor, -1, -2))


def _solve(a, b):
    if b.ndim == a.ndim - 1:
        return np.linalg.solve(a, b[..., None])[..., 0]
    return np.linalg.solve(a, b)


def _solve_triangular(a, b, lower=False):
    return _solve(np.tril(a) if lower else np.triu(a), b)


def _qr(x, mode="reduced"):
    if mode not in ("reduced", "complete"):
        raise ValueError(
            "`mode` argument value not supported. Expected one of {'reduced', 'complete'}. "
            f"Received: mode={mode}"
        )
    return tuple(np.linalg.qr(x, mode=mode))


def _svd(x, full_matrices=True, compute_uv=True):
    found = np.linalg.svd(x, full_matrices=full_matrices, compute_uv=compute_uv)
    return tuple(found) if compute_uv else found


cholesky = host_call("cholesky", _cholesky)
cholesky_inverse = host_call("cholesky_inverse", _cholesky_inverse)
det = host_call("det", np.linalg.det)
slogdet = host_call("slogdet", lambda x: tuple(np.linalg.slogdet(x)))
inv = host_call("inv", np.linalg.inv)
pinv = host_call("pinv", lambda x, rcond=None: np.linalg.pinv(x, rcond=rcond))
solve = host_call("solve", _solve)
solve_triangular = host_call("solve_triangular", _solve_triangular)
qr = host_call("qr", _qr)
svd = host_call("svd", _svd)
eigh = host_call("eigh", lambda x: tuple(np.linalg.eigh(x)))
eig = host_call("eig", _real(np.linalg.eig, "eig"))
lstsq = host_call("lstsq", lambda a, b, rcond=None: np.linalg.lstsq(a, b, rcond=rcond)[0])
matrix_rank = host_call(
    "matrix_rank", lambda x, tol=None: np.asarray(np.linalg.matrix_rank(x, tol=tol), "int32")
)
__getattr__ = refuse("linalg", ("lu_factor", "jvp"))
