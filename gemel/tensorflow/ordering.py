"""Sorting, segments, sequences: the less common array operations of `tf` and `tf.math`."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from gemel.ops import ordering as ops
from gemel.ops.elementwise import cast
from gemel.ops.indexing import scatter_add
from gemel.ops.movement import zeros

from . import context, math
from .array import expand_dims
from .array import range as _range
from .calls_array import axis_of
from .calls_math import FaceCall, require
from .convert import convert_to_tensor
from .dispatch import apply, static
from .dtypes import as_dtype, int32
from .eager import EagerTensor
from .errors import ShapeMismatch


def _sorting_order(attrs, x):
    """attrs: (axis, descending)"""
    axis = axis_of(attrs[0], x.ndim)
    return cast(ops.sorting_order(x, axis, attrs[1]), int32.engine)


def _sorted(attrs, x):
    axis = axis_of(attrs[0], x.ndim)
    return ops.take_along(x, ops.sorting_order(x, axis, attrs[1]), axis)


def _segment_sum(attrs, x, index):
    """attrs: (number of segments,)"""
    require("UnsortedSegmentSum", index, "i", "segment_ids")
    if index.ndim != 1 or index.shape[0] != x.shape[0]:
        raise ShapeMismatch("data.shape must start with segment_ids.shape")
    return scatter_add(zeros((attrs[0], *x.shape[1:]), x.dtype), index, x, 0)


_ORDER = FaceCall("ArgSort", _sorting_order, False, result_dtype=lambda attrs: int32)
_SORT = FaceCall("Sort", _sorted)
_SEGMENT_SUM = FaceCall("UnsortedSegmentSum", _segment_sum)


def _descending(direction: str) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(f"`direction` should be one of 'ASCENDING' or 'DESCENDING', got "
                         f"{direction!r}")
    return direction == "DESCENDING"


def argsort(values, axis=-1, direction="ASCENDING", stable=False, name=None):
    """The positions that sort along the axis; equal values keep their order."""
    return apply(_ORDER, (values,), (static(axis), _descending(direction)), name or "argsort")


def sort(values, axis=-1, direction="ASCENDING", name=None):
    """The values in order along the axis."""
    return apply(_SORT, (values,), (static(axis), _descending(direction)), name or "sort")


def unsorted_segment_sum(data, segment_ids, num_segments, name=None):
    """The sum of the rows with each segment number."""
    attrs = (static(num_segments),)
    return apply(_SEGMENT_SUM, (data, segment_ids), attrs, name or "UnsortedSegmentSum")


def segment_sum(data, segment_ids, name=None):
    """The same for sorted numbers; their count is looked at (eager mode only)."""
    if context.building() is not None:
        raise NotImplementedError("segment_sum in a graph: use unsorted_segment_sum")
    ids = convert_to_tensor(segment_ids)
    count = int(ids.numpy().max()) + 1 if ids.form.size else 0
    return unsorted_segment_sum(data, ids, count, name)


def sequence_mask(lengths, maxlen=None, dtype="bool", name=None):
    """True before each length along a new last axis."""
    lengths = convert_to_tensor(lengths)
    if maxlen is None:
        if context.building() is not None:
            raise ValueError("sequence_mask in a graph needs maxlen: it is part of the shape")
        maxlen = int(lengths.numpy().max())
    row = _range(maxlen, dtype=lengths.dtype)
    mask = math.less(row, expand_dims(lengths, -1))
    return mask if as_dtype(dtype).is_bool else math.cast(mask, dtype, name)


def unique(x, out_idx=int32, name=None):
    """(values in order of first appearance, each cell's position among them): eager mode only."""
    if context.building() is not None:
        raise NotImplementedError("tf.unique in a graph: its shape depends on values")
    array = convert_to_tensor(x).numpy()
    values, first, inverse = np.unique(array, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    index = place[inverse.reshape(-1)].astype(as_dtype(out_idx).as_numpy_dtype)
    return namedtuple("Unique", "y idx")(EagerTensor.of(values[order]), EagerTensor.of(index))


def bincount(arr, weights=None, minlength=None, maxlength=None, dtype=int32, name=None):
    """How often each number appears (eager mode only)."""
    if context.building() is not None:
        raise NotImplementedError("bincount in a graph: its shape depends on values")
    array = convert_to_tensor(arr).numpy().reshape(-1)
    if maxlength is not None:
        array = array[array < maxlength]
    length = max(int(array.max(initial=-1)) + 1, minlength or 0)
    if weights is None:
        ones = np.ones(len(array), as_dtype(dtype).as_numpy_dtype)
        return unsorted_segment_sum(ones, array, length)
    return unsorted_segment_sum(weights, array, length)
