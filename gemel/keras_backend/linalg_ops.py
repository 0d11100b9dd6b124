"""`keras.ops.linalg`: norms; factorisations are in `factorisations`."""

from __future__ import annotations

import math

import numpy as np
from keras.src.backend.config import floatx

from gemel import tensor as lazy

from .arithmetic import OPS, power
from .factorisations import cholesky as cholesky
from .factorisations import cholesky_inverse as cholesky_inverse
from .factorisations import det as det
from .factorisations import eigh as eigh
from .factorisations import inv as inv
from .factorisations import lstsq as lstsq
from .factorisations import matrix_rank as matrix_rank
from .factorisations import pinv as pinv
from .factorisations import qr as qr
from .factorisations import slogdet as slogdet
from .factorisations import solve as solve
from .factorisations import solve_triangular as solve_triangular
from .factorisations import svd as svd
from .missing import refuse
from .reductions import REDUCTIONS, max, min
from .shaping import moveaxis, positions, reshape
from .tensors import convert_to_tensor, dtype_of, tensor, to_dtype

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


# ---------- complex results ----------
def eig(x) -> tuple[lazy.Tensor, lazy.Tensor]:
    """Eigenvalues and vectors where these are real; the values are looked at."""
    x = tensor(x)
    if lazy.tracing() or lazy.requires_grad(x):
        raise NotImplementedError(
            "keras.ops.eig has no gradient and runs outside of compiled steps"
        )
    found = np.linalg.eig(lazy.array_of(x))
    if any(np.iscomplexobj(part) for part in found):
        raise ValueError("keras.ops.eig: the result is complex, which Gemel does not hold")
    values, vectors = (convert_to_tensor(part, x.form.dtype.name) for part in found)
    return values, vectors


__getattr__ = refuse("linalg", ("lu_factor", "jvp"))
