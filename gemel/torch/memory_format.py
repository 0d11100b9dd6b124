"""Orders of dimensions in memory: `torch.contiguous_format`, `channels_last` and others.

Results of operations are contiguous. `contiguous`, `clone` and `to` with a channels-last format
give a tensor whose memory is in that order, which `stride()` shows.
"""

from __future__ import annotations

from gemel.tensor import look
from gemel.tensor.views import strides

from .tensor import Tensor


class memory_format:
    """An order of dimensions in memory."""

    __slots__ = ("name", "order")

    def __init__(self, name: str, order: tuple[int, ...] | None):
        self.name = name
        self.order = order  # dimensions, the one with the largest steps first

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self):
        return named, (self.name,)


class layout:
    """How a tensor's elements are stored; tensors are `torch.strided`, the others are names."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


strided = layout("strided")
sparse_coo, sparse_csr, sparse_csc = map(layout, ("sparse_coo", "sparse_csr", "sparse_csc"))
Tensor.layout = strided
contiguous_format = memory_format("contiguous_format", None)
preserve_format = memory_format("preserve_format", None)
channels_last = memory_format("channels_last", (0, 2, 3, 1))
channels_last_3d = memory_format("channels_last_3d", (0, 2, 3, 4, 1))


def named(name: str) -> memory_format:
    """The object of 'channels_last' and the like; for pickling."""
    return globals()[name]


def check_rank(x: Tensor, wanted: memory_format) -> None:
    """RuntimeError where the format is for tensors of another rank."""
    if wanted.order is not None and x.form.ndim != len(wanted.order):
        raise RuntimeError(f"required rank {len(wanted.order)} tensor to use {wanted.name} format")


def in_format(x: Tensor, wanted) -> Tensor:
    """A copy of x (made contiguous) laid out in memory in a format."""
    if wanted is None or wanted.order is None:
        return x.clone()
    check_rank(x, wanted)
    back = tuple(wanted.order.index(d) for d in range(len(wanted.order)))
    moved = look(x, ("permute", wanted.order)).clone()
    return look(moved, ("permute", back))


def lies_in(x: Tensor, wanted: memory_format) -> bool:
    """Are x's elements in memory without holes in the format's order?"""
    order = wanted.order
    if order is None or x.form.ndim != len(order):
        return False
    if not x.form.size:
        return True
    step = 1
    steps = strides(x)
    for d in reversed(order):
        n = x.form.shape[d]
        if n != 1 and steps[d] != step:
            return False
        step *= n
    return True
