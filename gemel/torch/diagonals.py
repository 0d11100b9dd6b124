"""Diagonals and triangles of matrices, and matrices made of diagonals and blocks."""

from __future__ import annotations

from gemel.graph.form import bool_
from gemel.graph.node import Node
from gemel.ops import movement, ordering
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.tensor import record1, record_n

from .autocasting import in_float32
from .checks import dimension, not_implemented, wrong_argument
from .promotion import result_type
from .tensor import Tensor, attach


# ---------- triangles ----------
def _triangle(name: str, lower: bool):
    def expand(attrs, x):
        if x.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        return ordering.triangle(x, attrs[0], lower)

    call = Call(name, expand)

    def function(input, diagonal=0) -> Tensor:
        return record1(call, input, (diagonal,))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "The triangle of the last two dimensions; the rest is 0."
    return function


tril = _triangle("tril", True)
triu = _triangle("triu", False)


# ---------- diagonals ----------
def diag(input, diagonal=0) -> Tensor:
    """The diagonal of a matrix (a copy), or the matrix with a vector on its diagonal."""
    if not isinstance(input, Tensor):
        raise wrong_argument("diag", "input", 1, input)
    ndim = input.form.ndim
    if ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {ndim}D")
    return diag_embed(input, diagonal) if ndim == 1 else input.diagonal(diagonal).clone()


def _on_diagonal(attrs, x):
    """Written into zeros, whose two dimensions are merged, with the step of one row and one."""
    offset, a, b = attrs
    *lead, n = x.shape
    side = n + abs(offset)
    rows = side * side
    start = max(-offset, 0) * side + max(offset, 0)
    spec = [(0, m, 1) for m in lead]
    last = start + (n - 1) * (side + 1) + 1 if n else start
    flat = movement.zeros((*lead, rows), x.dtype)
    flat = movement.update_slice(flat, x, [*spec, (start, last, side + 1)])
    square = movement.reshape(flat, (*lead, side, side))
    order = list(range(len(lead)))
    for axis, at in sorted(((a, len(lead)), (b, len(lead) + 1))):
        order.insert(axis, at)
    return movement.permute(square, order)


DIAG_EMBED = Call("diag_embed", _on_diagonal)


def diag_embed(input, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """Matrices (in dimensions dim1 and dim2 of the result) with the last dimension's values on a
    diagonal and 0 elsewhere."""
    ndim = input.form.ndim + 1
    a, b = dimension(dim1, ndim), dimension(dim2, ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return record1(DIAG_EMBED, input, (offset, a, b))


@attach()
def diagflat(input, offset=0) -> Tensor:
    """A matrix with all values of the input on a diagonal."""
    return diag_embed(input.reshape(-1), offset)


@in_float32
def trace(input) -> Tensor:
    """The sum of a matrix's diagonal."""
    if input.form.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.form.ndim}")
    if input.form.dtype is bool_:
        raise not_implemented("trace", input.form)
    return input.diagonal().sum()


# ---------- blocks ----------
def _blocks(attrs, *xs: Node):
    dtype = result_type(*xs)
    width = sum(x.shape[1] for x in xs)
    lines = []
    at = 0
    for x in xs:
        n = x.shape[1]
        lines.append(movement.pad(cast(x, dtype), [(0, 0), (at, width - at - n)]))
        at += n
    return movement.concat(lines, 0)


BLOCK_DIAG = Call("block_diag", _blocks)


def block_diag(*tensors) -> Tensor:
    """Matrices along the diagonal of one; vectors and numbers count as rows."""
    blocks = []
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}"
            )
        if x.form.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{i} has {x.form.ndim} dimensions"
            )
        blocks.append(x if x.form.ndim == 2 else x.reshape(1, -1))
    return record_n(BLOCK_DIAG, Tensor, blocks)
