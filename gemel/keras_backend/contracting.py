"""Products of `keras.ops`: matmul, einsum, tensordot and what they are made of."""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.graph.errors import ShapeError
from gemel.graph.form import bool_, float32, float64, int32
from gemel.ops import contraction as C
from gemel.ops.einsum import einsum as einsum_nodes
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.record import Call

from .arithmetic import OPS
from .reductions import REDUCTIONS, total_dtype
from .shaping import diagonal, expand_dims, flip, moveaxis, narrow, pad, ravel, reshape
from .shaping import stack as stack_all
from .tensors import dtype_of, kind_of, result_dtype, tensor, to_dtype


def _wide_dtype(*xs):
    """The rule of matmul and einsum: int8 alone gives int32, else the promoted type."""
    names = [kind_of(x) for x in xs]
    return dtype_of("int32") if set(names) == {"int8"} else result_dtype(*names)


def _pair(x1, x2):
    a, b = tensor(x1), tensor(x2)
    dtype = result_dtype(kind_of(a), kind_of(b))
    return to_dtype(a, dtype), to_dtype(b, dtype)


def _of_truth(build):
    """Products of truth values: is there a pair where both hold?"""

    def run(attrs, *xs):
        if xs[0].dtype is not bool_:
            return build(attrs, *xs)
        return cast_node(build(attrs, *(cast_node(x, int32) for x in xs)), bool_)

    return run


def _matmul(attrs, a, b):
    try:
        return C.matmul(a, b)
    except ShapeError as error:
        raise ValueError(
            f"matmul: shapes {a.shape} and {b.shape} do not fit: {error.reason}"
        ) from None


_MATMUL = Call("matmul", _of_truth(_matmul))


def matmul(x1, x2) -> lazy.Tensor:
    a, b = tensor(x1), tensor(x2)
    dtype = _wide_dtype(a, b)
    return lazy.record2(_MATMUL, to_dtype(a, dtype), to_dtype(b, dtype))


def _einsum(attrs, *xs):
    try:
        return einsum_nodes(attrs[0], *xs)
    except ShapeError as error:
        raise ValueError(str(error)) from None


_EINSUM = Call("einsum", _of_truth(_einsum))


def einsum(subscripts, *operands, **kwargs) -> lazy.Tensor:
    xs = [tensor(x) for x in operands]
    dtype = _wide_dtype(*xs)
    operands = tuple(to_dtype(x, dtype) for x in xs)
    return lazy.record_n(_EINSUM, operands[0].kin, operands, (subscripts,))


def _tensordot(attrs, a, b):
    left, right = attrs
    la = list(range(a.ndim))
    lb = list(range(a.ndim, a.ndim + b.ndim))
    for i, j in zip(left, right, strict=True):
        lb[j] = la[i]
    lo = [v for v in la if v not in lb] + [v for v in lb if v not in la]
    try:
        return C.contract(a, b, la, lb, lo)
    except ShapeError as error:
        raise ValueError(
            f"tensordot: axes {left} of {a.shape} and {right} of {b.shape} do not fit: "
            f"{error.reason}"
        ) from None


_TENSORDOT = Call("tensordot", _of_truth(_tensordot))


def tensordot(x1, x2, axes=2) -> lazy.Tensor:
    a, b = _pair(x1, x2)
    if isinstance(axes, int):
        left, right = range(a.form.ndim - axes, a.form.ndim), range(axes)
    else:
        left, right = ((v,) if isinstance(v, int) else v for v in axes)
    attrs = (tuple(int(i) % a.form.ndim for i in left), tuple(int(i) % b.form.ndim for i in right))
    return lazy.record2(_TENSORDOT, a, b, attrs)


def dot(x1, x2) -> lazy.Tensor:
    a, b = _pair(x1, x2)
    if not a.form.ndim or not b.form.ndim:
        return OPS["multiply"](a, b)
    return tensordot(a, b, ((-1,), (-1 if b.form.ndim == 1 else -2,)))


def vdot(x1, x2) -> lazy.Tensor:
    return dot(ravel(x1), ravel(x2))


def inner(x1, x2) -> lazy.Tensor:
    a, b = _pair(x1, x2)
    if not a.form.ndim or not b.form.ndim:
        return OPS["multiply"](a, b)
    return tensordot(a, b, ((-1,), (-1,)))


def outer(x1, x2) -> lazy.Tensor:
    a, b = _pair(x1, x2)
    return expand_dims(ravel(a), 1) * expand_dims(ravel(b), 0)


def kron(x1, x2) -> lazy.Tensor:
    a, b = _pair(x1, x2)
    n = a.form.ndim if a.form.ndim > b.form.ndim else b.form.ndim
    left, right = ((1,) * (n - x.form.ndim) + x.form.shape for x in (a, b))
    a = reshape(a, [v for size in left for v in (size, 1)])
    b = reshape(b, [v for size in right for v in (1, size)])
    return reshape(a * b, [p * q for p, q in zip(left, right, strict=True)])


def cross(x1, x2, axisa=-1, axisb=-1, axisc=-1, axis=None) -> lazy.Tensor:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = _pair(x1, x2)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    sizes = {a.form.shape[-1], b.form.shape[-1]}
    if not sizes <= {2, 3}:
        raise ValueError(
            "Both `x1` and `x2` must have 2 or 3 components along the crossed axis. Received: "
            f"x1.shape={a.form.shape}, x2.shape={b.form.shape}"
        )
    ax, ay, az = _components(a)
    bx, by, bz = _components(b)
    z = ax * by - ay * bx
    if sizes == {2}:
        return z
    found = [_term(ay, bz, az, by), _term(az, bx, ax, bz), z]
    return moveaxis(stack_all(found, -1), -1, axisc)


def _components(x):
    last = x.form.ndim - 1
    parts = [reshape(narrow(x, last, i, 1), x.form.shape[:-1]) for i in range(x.form.shape[-1])]
    return parts if len(parts) == 3 else [*parts, 0]


def _term(a, b, c, d):
    """a b - c d, where a missing third component counts as 0."""
    zero = [type(v) is int for v in (a, b, c, d)]
    if zero[0] or zero[1]:
        return -(c * d)
    return a * b if zero[2] or zero[3] else a * b - c * d


def trace(x, offset=0, axis1=0, axis2=1) -> lazy.Tensor:
    x = tensor(x)
    x = to_dtype(x, total_dtype(x.form.dtype))
    return REDUCTIONS["sum"](diagonal(x, offset, axis1, axis2), -1)


def correlate(x1, x2, mode="valid") -> lazy.Tensor:
    """Cross-correlation of two vectors, by windows of the longer one."""
    a, b = tensor(x1), tensor(x2)
    dtype = result_dtype(kind_of(a), kind_of(b))
    if dtype.name == "int64":
        dtype = float64
    elif not dtype.is_float:
        dtype = float32
    a, b = to_dtype(a, dtype), to_dtype(b, dtype)
    n, m = a.form.size, b.form.size
    widths = {"valid": (0, 0), "same": (m // 2, m - 1 - m // 2), "full": (m - 1, m - 1)}
    if mode not in widths:
        raise ValueError(f"`mode` must be valid, same or full. Received: mode={mode}")
    if m > n:
        return flip(correlate(b, a, mode), 0)
    a = pad(a, (widths[mode],))
    size = a.form.size - m + 1
    return matmul(stack_all([narrow(a, 0, i, size) for i in range(m)], 1), b)

