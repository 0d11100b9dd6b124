"""`keras.ops.linalg`: norms. Factorisations are host calls that are still to come."""

from __future__ import annotations

import math

from keras.src.backend.config import floatx

from gemel import tensor as lazy

from .arithmetic import OPS, power
from .missing import refuse
from .reductions import REDUCTIONS, max, min
from .shaping import positions, reshape
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
            return svd(x)
        raise ValueError(f"Invalid `ord` argument for matrix norm. Received: ord={ord}")
    side, extreme = _MATRIX_NORMS[ord]
    summed, kept = (row, column) if side == -2 else (column, row)
    found = extreme(REDUCTIONS["sum"](OPS["absolute"](x), summed, True), kept, True)
    if keepdims:
        return found
    return reshape(found, [n for i, n in enumerate(x.form.shape) if i not in (row, column)])


__getattr__ = refuse(
    "linalg",
    (
        "cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "lu_factor", "qr", "solve",
        "solve_triangular", "svd", "lstsq", "matrix_rank", "pinv", "jvp", "slogdet",
    ),
)  # fmt: skip


def svd(x, full_matrices=True, compute_uv=True):
    raise NotImplementedError(
        "keras.ops.svd is not available in Gemel yet: it needs a primitive that is still to come"
    )


slogdet = __getattr__("slogdet")
