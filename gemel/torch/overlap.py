"""Memory that two tensors share in part: what is written may then not be read in the same call."""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.tensor.views import lens_of

from .tensor import Tensor

_PARTIAL = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a "
    "single memory location. Please clone() the tensor before performing the operation."
)


def check_no_partial_overlap(written: Tensor, read: Tensor) -> None:
    """RuntimeError where `read` shares some of `written`'s memory, but is not the same piece.

    As PyTorch, only tensors without holes are compared.
    """
    if written is read or not lazy.same_storage(written, read):
        return
    if not written.form.size or not read.form.size:
        return
    a, b = _piece(written), _piece(read)
    if a is None or b is None or a[1] <= b[0] or b[1] <= a[0]:
        return
    same = a == b and written.stride() == read.stride()
    if not same:
        raise RuntimeError(_PARTIAL)


def _piece(t: Tensor) -> tuple[int, int] | None:
    """(first cell, one past the last) of a tensor that fills its piece of memory, else None."""
    lens = lens_of(t)
    if lens.strides is None:
        return None
    step = 1
    for s, n in sorted((s, n) for n, s in zip(lens.form.shape, lens.strides, strict=True) if n > 1):
        if s != step:
            return None
        step *= n
    return lens.offset, lens.offset + lens.form.size
