"""`tf.linalg`: products and simple matrix functions. In and out: tensors."""

from __future__ import annotations

from . import calls_array, calls_products
from .array import eye as eye
from .array import matrix_band_part
from .array import transpose as _transpose
from .calls_math import NORM
from .convert import convert_to_tensor
from .dispatch import apply, operands_of_one_type, static
from .math import cast as _cast
from .math import global_norm as global_norm
from .math import l2_normalize as l2_normalize
from .math import reduce_sum as _reduce_sum

band_part = matrix_band_part


def matmul(
    a,
    b,
    transpose_a=False,
    transpose_b=False,
    adjoint_a=False,
    adjoint_b=False,
    a_is_sparse=False,
    b_is_sparse=False,
    output_type=None,
    name=None,
):
    """The matrix product of the last two axes; leading ones broadcast."""
    a, b = operands_of_one_type(a, b)
    attrs = (bool(transpose_a or adjoint_a), bool(transpose_b or adjoint_b))
    out = apply(calls_products.MATMUL, (a, b), attrs, name or "MatMul")
    return out if output_type is None else _cast(out, output_type)


def matvec(a, b, transpose_a=False, name=None):
    """Matrix times vector."""
    a, b = operands_of_one_type(a, b)
    a = matrix_transpose(a) if transpose_a else a
    return apply(calls_products.MATVEC, (a, b), (), name or "MatVec")


def tensordot(a, b, axes, name=None):
    """Products summed over axes: a number of last and first ones, or two lists."""
    a, b = operands_of_one_type(a, b)
    axes = static(axes)
    if isinstance(axes, int):
        ndim = a.shape.rank
        first, second = tuple(range(ndim - axes, ndim)), tuple(range(axes))
    else:
        first, second = ((x,) if isinstance(x, int) else x for x in axes)
    return apply(calls_products.TENSOR_DOT, (a, b), (first, second), name or "Tensordot")


def einsum(equation: str, *inputs, **kwargs):
    """Einstein's summation of one or two tensors, as 'ij,jk->ik'."""
    name = kwargs.pop("name", None)
    return apply(calls_products.EINSUM, inputs, (equation.replace(" ", ""),), name or "Einsum")


def matrix_transpose(a, name="matrix_transpose", conjugate=False):
    """The last two axes exchanged."""
    a = convert_to_tensor(a)
    order = list(range(a.shape.rank))
    order[-2:] = order[:-3:-1]
    return _transpose(a, order, name=name)


def norm(tensor, ord="euclidean", axis=None, keepdims=False, name=None):
    """The vector norm over the axes: 'euclidean', 1, 2 or inf."""
    if ord == float("inf"):
        ord = "inf"
    if ord not in ("euclidean", 1, 2, "inf"):
        raise ValueError(f"'ord' must be a supported vector norm, got {ord}")
    kind = "euclidean" if ord == 2 else ord
    attrs = (kind, static(axis), bool(keepdims))
    return apply(NORM, (tensor,), attrs, name or "norm")


def diag(diagonal, name="diag"):
    """Square matrices with the last axis on the diagonal."""
    return apply(calls_array.DIAGONAL, (diagonal,), (), name)


def diag_part(input, name="diag_part"):
    """The diagonals of the last two axes."""
    return apply(calls_array.DIAGONAL_PART, (input,), (), name)


def trace(x, name=None):
    """The sum of the diagonal."""
    return _reduce_sum(diag_part(x), -1, name=name)


def __getattr__(name: str):
    from ._missing import missing

    raise missing("linalg", name)
