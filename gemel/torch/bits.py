"""`view(dtype)`: the same bits read as another element type."""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.tensor import look

from .dtypes import FACE, engine_dtype, short_name
from .tensor import Tensor


def in_bits(x: Tensor, dtype) -> Tensor:
    """A view of x's memory as cells of dtype; the last dimension grows or shrinks with them.

    RuntimeError where sizes or strides do not divide.
    """
    held = engine_dtype(dtype)
    have = x.form.dtype
    if held is have:
        return look(x)
    if have.is_complex and FACE[have].to_real().engine is held and x.form.ndim:
        pairs = look(x, ("as_real",))
        return pairs.flatten(-2)
    size, new = have.itemsize, held.itemsize
    if size != new:
        _check(x, short_name(have), short_name(held), size, new)
    return look(x, ("bits", held))


def _check(x: Tensor, have: str, want: str, size: int, new: int) -> None:
    text = f"to view {have} as {want} (different element sizes), but got"
    if not x.form.ndim:
        raise RuntimeError(f"self.dim() cannot be 0 to view {have} as {want} (different element "
                           "sizes)")  # fmt: skip
    strides = lazy.strides(x)
    if strides[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {text} {strides[-1]}")
    if new < size:
        return
    times = new // size
    if x.form.shape[-1] % times:
        raise RuntimeError(f"self.size(-1) must be divisible by {times} {text} {x.form.shape[-1]}")
    if lazy.offset(x) % times:
        raise RuntimeError(
            f"self.storage_offset() must be divisible by {times} {text} {lazy.offset(x)}"
        )
    for d, step in enumerate(strides[:-1]):
        if step % times:
            raise RuntimeError(f"self.stride({d}) must be divisible by {times} {text} {step}")
