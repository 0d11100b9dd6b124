"""Products of `torch.linalg`, and inverses of tensors seen as matrices."""

from __future__ import annotations

from math import prod

from .autocasting import in_lower
from .checks import broadcast_shape, dimension
from .dtypes import short_name
from .tensor import Tensor


def cross(input, other, *, dim=-1) -> Tensor:
    """The cross product along a dimension of size 3; the operands broadcast."""
    if input.form.ndim != other.form.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    shape = broadcast_shape(input.form.shape, other.form.shape)
    given, dim = dim, dimension(dim, len(shape))
    if input.form.shape[dim] != 3 or other.form.shape[dim] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {given} must have length 3. Got "
            f"{input.form.shape[dim]} and {other.form.shape[dim]}"
        )
    a, b = input.expand(shape), other.expand(shape)
    return a.roll(-1, dim) * b.roll(-2, dim) - a.roll(-2, dim) * b.roll(-1, dim)


@in_lower
def vecdot(x, y, *, dim=-1) -> Tensor:
    """The dot products along a dimension; of complex vectors, with x conjugated."""
    return (x.conj() * y).sum(dim)


def matrix_power(A, n) -> Tensor:
    """Square matrices to a whole power, by squaring; negative powers of the inverse."""
    from .linear_solving import inv
    from .sequences import eye

    shape = A.form.shape
    if len(shape) < 2:
        raise RuntimeError(
            "linalg.matrix_power: The input tensor A must have at least 2 dimensions."
        )
    if shape[-1] != shape[-2]:
        raise RuntimeError(
            "linalg.matrix_power: A must be batches of square matrices, but they are "
            f"{shape[-2]} by {shape[-1]} matrices"
        )
    if n < 0:
        A, n = inv(A), -n
    if n == 0:
        made = eye(shape[-1], dtype=A.dtype)
        return made.where(made == made, A)  # A has a gradient, which is zero
    result = None
    while n:
        if n & 1:
            result = A if result is None else result @ A
        n >>= 1
        A = A @ A if n else A
    return result.clone() if result is A else result


# ---------- chains ----------
def multi_dot(tensors) -> Tensor:
    """The product of several matrices in the order that needs the least work; the first and the
    last may be vectors."""
    tensors = list(tensors)
    _check_chain(tensors)
    shapes = [x.form.shape for x in tensors]
    first, last = tensors[0], tensors[-1]
    if len(tensors) > 1:
        tensors[0] = first if first.form.ndim == 2 else first.unsqueeze(0)
        tensors[-1] = last if last.form.ndim == 2 else last.unsqueeze(-1)
    else:
        return first
    sizes = [x.form.shape[0] for x in tensors] + [tensors[-1].form.shape[1]]
    found = _multiplied(tensors, _splits(sizes), 0, len(tensors) - 1)
    shape = (*shapes[0][:-1], *shapes[-1][1:])
    return found.reshape(shape)


def _check_chain(tensors: list) -> None:
    name = "multi_dot()"
    if len(tensors) < 2:
        raise RuntimeError(f"{name}: expected at least 2 tensors but got {len(tensors)}")
    for i, x in enumerate(tensors):
        inner = 0 < i < len(tensors) - 1
        if inner and x.form.ndim != 2:
            raise RuntimeError(f"{name}: tensor {i} must be 2D but got {x.form.ndim}D")
        if x.form.ndim not in (1, 2):
            which = "the first" if i == 0 else "the last"
            raise RuntimeError(f"{name}: {which} tensor must be 1D or 2D but got {x.form.ndim}D")
        if x.form.dtype is not tensors[0].form.dtype:
            raise RuntimeError(
                f"{name}: all tensors must have be the same dtype but tensor 0 is "
                f"{short_name(tensors[0].form.dtype)} and tensor {i} "
                f"{short_name(x.form.dtype)}"
            )
    for i, (a, b) in enumerate(zip(tensors, tensors[1:], strict=False)):
        if a.form.shape[-1] != b.form.shape[0]:
            raise RuntimeError(
                f"{name}: tensors {i} and {i + 1} with shapes {list(a.form.shape)} and "
                f"{list(b.form.shape)} cannot be multiplied"
            )


def _splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to cut each part of the chain: Hu and Shing's problem by dynamic programming."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    cut: dict[tuple[int, int], int] = {}
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length - 1
            options = [
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            ]
            cost[i, j], cut[i, j] = min(options)
    return cut


def _multiplied(tensors: list, cut: dict, i: int, j: int) -> Tensor:
    if i == j:
        return tensors[i]
    k = cut[i, j]
    return _multiplied(tensors, cut, i, k) @ _multiplied(tensors, cut, k + 1, j)


# ---------- tensors as matrices ----------
def tensorinv(A, ind=2) -> Tensor:
    """The inverse of A as a map from its last dimensions to its first `ind`."""
    from .linear_solving import inv

    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    left, right = A.form.shape[:ind], A.form.shape[ind:]
    if prod(left) != prod(right):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {prod(right)} != {prod(left)}"
        )
    return inv(A.reshape(prod(left), prod(right))).reshape(*right, *left)


def tensorsolve(A, B, dims=None) -> Tensor:
    """X with tensordot(A, X) = B."""
    from .linear_solving import solve

    if dims is not None:
        rest = [d for d in range(A.form.ndim) if d not in [k % A.form.ndim for k in dims]]
        A = A.permute(*rest, *[k % A.form.ndim for k in dims])
    shape = A.form.shape[B.form.ndim :]
    if prod(shape) != prod(A.form.shape[: B.form.ndim]):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {prod(shape)} != "
            f"{prod(A.form.shape[: B.form.ndim])}"
        )
    x = solve(A.reshape(B.form.size, prod(shape)), B.reshape(-1))
    return x.reshape(shape)


def vander(x, *, N=None) -> Tensor:
    """Powers 0, 1, ... N - 1 of each value, in rows."""
    from .joining import cat

    x = x.unsqueeze(-1) if x.form.ndim == 0 else x
    count = x.form.shape[-1] if N is None else N
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    kind = x if x.form.dtype.kind in "fc" else x.long()
    powers = kind.unsqueeze(-1).expand(*x.form.shape, count - 1).cumprod(-1)
    return cat([powers.new_ones((*x.form.shape, 1)), powers], -1)
