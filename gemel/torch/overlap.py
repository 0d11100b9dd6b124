"""Memory that two tensors share: what is written may then not be read in the same call."""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.tensor.lens import Lens
from gemel.tensor.views import lens_of

from .tensor import Tensor

_AGAIN = "Please clone() the tensor before performing the operation."
BETWEEN = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a "
    f"single memory location. {_AGAIN}"
)
INSIDE = (
    "unsupported operation: more than one element of the written-to tensor refers to a single "
    f"memory location. {_AGAIN}"
)


def check_no_internal_overlap(written: Tensor) -> None:
    """RuntimeError where several elements are one place."""
    if type(written.lens) is Lens and written.lens.overlapping:
        raise RuntimeError(INSIDE)


def check_overlap(written: Tensor, inputs, partial: bool) -> None:
    """RuntimeError where an input (a tensor or a list of them) shares some of `written`'s memory;
    with `partial` only where it is not the same piece."""
    for x in inputs:
        if isinstance(x, Tensor):
            _check_pair(written, x, partial)
        elif isinstance(x, (tuple, list)):
            check_overlap(written, x, partial)


def _check_pair(written: Tensor, read: Tensor, partial: bool) -> None:
    """As PyTorch, only tensors without holes are compared."""
    if not lazy.same_storage(written, read) or not written.form.size or not read.form.size:
        return
    if written is read and partial:
        return
    a, b = _piece(written), _piece(read)
    if a is None or b is None or a[1] <= b[0] or b[1] <= a[0]:
        return
    if not partial or a != b or written.stride() != read.stride():
        raise RuntimeError(BETWEEN)


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
