"""Places of values in sorted rows: searchsorted, bucketize; and membership: isin."""

from __future__ import annotations

from gemel.graph.node import Node
from gemel.ops import sorted_rows
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.tensor import record2, record3

from . import dtypes
from .creation import tensor
from .out import into
from .promotion import promoted
from .requirements import require
from .tensor import Tensor


def _searched(attrs, row: Node, values: Node, *sorter: Node) -> Node:
    right, int32 = attrs
    row, values = promoted(row, values)
    found = sorted_rows.places(row, values, right, *sorter)
    return cast(found, dtypes.int32.engine) if int32 else found


SEARCH = Call("searchsorted", _searched, False)


def _check_rows(row: Tensor, values: Tensor, sorter: Tensor | None) -> None:
    lead = row.form.shape[:-1]
    if not values.form.ndim and row.form.ndim != 1:
        raise RuntimeError(
            "torch.searchsorted(): input value can be a scalar only when boundaries tensor "
            f"dimension is 1, but we got boundaries tensor dim({row.form.ndim}) and input value's "
            f"dim({values.form.ndim}) numel({values.form.size})"
        )
    if row.form.ndim == 0:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 "
            "dimension"
        )
    if row.form.ndim != 1 and lead != values.form.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor and input value tensor must match, but we got "
            f"boundaries tensor {list(row.form.shape)} and input value tensor "
            f"{list(values.form.shape)}"
        )
    if sorter is None:
        return
    if sorter.form.shape != row.form.shape:
        raise RuntimeError(
            "torch.searchsorted(): boundary and sorter must have the same size, but got boundary "
            f"tensor {list(row.form.shape)} and got sorter tensor {list(sorter.form.shape)}"
        )
    if sorter.dtype is not dtypes.int64:
        raise RuntimeError(
            "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype "
            f"{dtypes.short_name(sorter.form.dtype)}"
        )


def _check_side(right: bool, side) -> bool:
    if side not in (None, "left", "right"):
        raise RuntimeError(
            f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}"
        )
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left "
            "while right was True"
        )
    return right or side == "right"


def _given(values, like: Tensor) -> Tensor:
    return values if isinstance(values, Tensor) else tensor(values, dtype=like.dtype)


def searchsorted(
    sorted_sequence, input=None, *, out_int32=False, right=False, side=None, sorter=None, out=None,
    values=None,
) -> Tensor:  # fmt: skip
    """The position at which each value would be inserted to keep the last dimension sorted."""
    right = _check_side(right, side)
    values = _given(input if values is None else values, sorted_sequence)
    _check_rows(sorted_sequence, values, sorter)
    if sorter is not None:
        inside = (sorter >= 0) & (sorter < sorted_sequence.form.shape[-1])
        sorter = require(sorter, inside, "torch.searchsorted(): sorter index out of range")
    return _placed(sorted_sequence, values, sorter, right, out_int32, out)


def _placed(row, values, sorter, right, out_int32, out) -> Tensor:
    if out is not None:
        wanted = dtypes.int32 if out_int32 else dtypes.int64
        if out.dtype is not wanted:
            raise RuntimeError(
                "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) "
                "or Long(int64) depending on whether out_int32 flag is True, but we got output "
                f"tensor's dtype {dtypes.short_name(out.form.dtype)} and out_int32 flag is "
                f"{out_int32}"
            )
    attrs = (bool(right), bool(out_int32))
    if sorter is None:
        return into(out, record2(SEARCH, row, values, attrs))
    return into(out, record3(SEARCH, row, values, sorter, attrs))


def bucketize(input, boundaries, *, out_int32=False, right=False, out=None) -> Tensor:
    """The interval between boundaries into which each value falls."""
    if boundaries.form.ndim != 1:
        raise RuntimeError(
            f"boundaries tensor must be 1 dimension, but got dim({boundaries.form.ndim})"
        )
    values = _given(input, boundaries)
    return _placed(boundaries, values, None, bool(right), bool(out_int32), out)


def isin(elements, test_elements, *, assume_unique=False, invert=False, out=None) -> Tensor:
    """Is each element among the test elements?"""
    if not isinstance(test_elements, Tensor):
        test_elements = tensor(test_elements)
    if not isinstance(elements, Tensor):
        elements = tensor(elements)
    found = (elements.unsqueeze(-1) == test_elements.reshape(-1)).any(-1)
    found = ~found if invert else found
    return into(out, found)
