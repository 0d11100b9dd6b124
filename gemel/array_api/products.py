"""Products of matrices and vectors."""

from __future__ import annotations

from gemel.graph.errors import ShapeError
from gemel.graph.node import Node
from gemel.ops import contraction
from gemel.ops import elementwise as el
from gemel.ops.complex import conjugate
from gemel.ops.record import Call
from gemel.ops.reduction import sum_
from gemel.tensor import write

from .array import Array, check_array
from .dtypes import promote
from .manipulation import matrix_transpose
from .recording import axis_of, check_broadcast, joined, kinds_of, require

_NUMERIC = kinds_of("numeric")


def _checked(name: str, *arrays) -> None:
    check_array(name, *arrays)
    for x in arrays:
        require(name, x, _NUMERIC, "numeric")


def _matmul(attrs, a, b):
    a, b = promote(a, b)
    try:
        return contraction.matmul(a, b)
    except ShapeError:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit") from None


MATMUL = Call("matmul", _matmul)


def matmul(x1, x2, /) -> Array:
    """Products of matrices: (..., m, k) by (..., k, n); a single dimension is a vector."""
    _checked("matmul", x1, x2)
    if not x1.ndim or not x2.ndim:
        raise ValueError("matmul needs arrays of at least 1 dimension")
    inner = x2.shape[-2 if x2.ndim > 1 else 0]
    if x1.shape[-1] != inner:
        raise ValueError(f"matmul: shapes {x1.shape} and {x2.shape} do not fit")
    return joined(MATMUL, x1, x2)


def _matmul_into(self, other):
    """`x @= y`: the product has the shape and type of x."""
    found = matmul(self, other)
    if found.shape != self.shape or found.dtype is not self.dtype:
        raise ValueError(f"matmul: {found.form} does not go into {self.form}")
    return write(self, found)


def _if_array(function):
    return lambda a, b: function(a, b) if isinstance(b, Array) else NotImplemented


Array.__matmul__ = _if_array(matmul)
Array.__rmatmul__ = _if_array(lambda a, b: matmul(b, a))
Array.__imatmul__ = _if_array(_matmul_into)


def _tensordot(attrs, a, b):
    a, b = promote(a, b)
    first, second = attrs
    labels_a = list(range(a.ndim))
    labels_b = [a.ndim + i for i in range(b.ndim)]
    for i, j in zip(first, second, strict=True):
        labels_b[j] = i
    out = [x for x in labels_a if x not in first] + [x for x in labels_b if x >= a.ndim]
    return contraction.contract(a, b, tuple(labels_a), tuple(labels_b), tuple(out))


TENSORDOT = Call("tensordot", _tensordot)


def tensordot(x1, x2, /, *, axes=2) -> Array:
    """Products summed over axes of both: the last and first n, or two rows of axes."""
    _checked("tensordot", x1, x2)
    if isinstance(axes, int):
        if not 0 <= axes <= min(x1.ndim, x2.ndim):
            raise ValueError(f"tensordot: {axes} axes of {x1.ndim} and {x2.ndim} dimensions")
        first, second = tuple(range(x1.ndim - axes, x1.ndim)), tuple(range(axes))
    else:
        first = tuple(axis_of("tensordot", a, x1.ndim) for a in axes[0])
        second = tuple(axis_of("tensordot", a, x2.ndim) for a in axes[1])
    sizes = [x1.shape[a] for a in first], [x2.shape[a] for a in second]
    if sizes[0] != sizes[1] or len(set(first)) != len(first) or len(set(second)) != len(second):
        raise ValueError(f"tensordot: axes {axes} of shapes {x1.shape} and {x2.shape}")
    return joined(TENSORDOT, x1, x2, attrs=(first, second))


def _vecdot(attrs, a: Node, b: Node):
    a, b = promote(a, b)
    check_broadcast("vecdot", a, b)
    a = conjugate(a) if a.dtype.kind == "c" else a
    product = el.mul(a, b)
    return sum_(product, (product.ndim + attrs[0],))


VECDOT = Call("vecdot", _vecdot)


def vecdot(x1, x2, /, *, axis: int = -1) -> Array:
    """Scalar products along an axis, counted from the last; the first factor is conjugated."""
    _checked("vecdot", x1, x2)
    least = min(x1.ndim, x2.ndim)
    if not -least <= axis < 0:
        raise ValueError(f"vecdot: axis {axis} is not from -{least} to -1")
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot: {x1.shape[axis]} and {x2.shape[axis]} elements along {axis}")
    return joined(VECDOT, x1, x2, attrs=(axis,))


__all__ = ["matmul", "matrix_transpose", "tensordot", "vecdot"]
