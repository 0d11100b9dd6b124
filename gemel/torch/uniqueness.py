"""Different values: unique, unique_consecutive. The result's shape depends on the values, so these
run what is pending and look."""

from __future__ import annotations

import math

import numpy as np

from gemel.tensor import from_array, glance

from .checks import dimension, wrong_argument
from .tensor import Tensor, attach


def _results(values, inverse, counts, shape, return_inverse: bool, return_counts: bool):
    """The values, with the inverse (in `shape`) and the counts where asked for."""
    found = [from_array(np.ascontiguousarray(values), Tensor)]
    if return_inverse:
        found.append(from_array(inverse.reshape(shape).astype(np.int64), Tensor))
    if return_counts:
        found.append(from_array(counts.astype(np.int64), Tensor))
    return found[0] if len(found) == 1 else tuple(found)


def _array(name: str, input) -> np.ndarray:
    if not isinstance(input, Tensor):
        raise wrong_argument(name, "input", 1, input)
    return glance(input.detach())


def _axis(name: str, input: Tensor, dim) -> int:
    axis = dimension(dim, input.form.ndim)
    if input.form.ndim and input.form.shape[axis] == 0:
        rest = [n for a, n in enumerate(input.form.shape) if a != axis]
        if 0 not in rest:
            return axis
        raise RuntimeError(
            "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"
        )
    return axis


def _different(array: np.ndarray) -> np.ndarray:
    """The different values in order; NaN differs from itself."""
    found = np.sort(array, axis=None)
    first = np.empty(found.size, bool)
    first[:1] = True
    np.not_equal(found[1:], found[:-1], out=first[1:])
    return found[first]


@attach()
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different values in order, or the different slices along dim, with inverse indices and
    counts where asked for."""
    array = _array("unique", input)
    if dim is None and not return_inverse and not return_counts:
        return from_array(_different(array), Tensor)
    axis = None if dim is None else _axis("unique", input, dim)
    if axis is not None and not array.ndim:
        array, axis = array.reshape(1), 0
    values, inverse, counts = np.unique(
        array, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    shape = input.form.shape if axis is None else (-1,)
    return _results(values, inverse, counts, shape, return_inverse, return_counts)


@attach()
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """Runs of equal values, or of equal slices along dim, shortened to one."""
    array = _array("unique_consecutive", input)
    if dim is None:
        rows, axis, shape = array.reshape(-1), 0, input.form.shape
    else:
        axis = _axis("unique_consecutive", input, dim)
        rows, shape = array if array.ndim else array.reshape(1), (-1,)
    turned = np.moveaxis(rows, axis, 0)
    flat = turned.reshape(len(turned), math.prod(turned.shape[1:]))
    begins = np.ones(len(flat), bool)
    begins[1:] = (flat[1:] != flat[:-1]).any(1)
    values = np.moveaxis(turned[begins], 0, axis)
    starts = np.append(np.flatnonzero(begins), len(flat))
    inverse, counts = np.cumsum(begins) - 1, np.diff(starts)
    return _results(values, inverse, counts, shape, return_inverse, return_counts)
