"""`tf.assign` and its kin: TensorFlow 1's functions on variables."""

from __future__ import annotations


def assign(ref, value, validate_shape=None, use_locking=None, name=None):
    """Replace the variable's value."""
    return ref.assign(value, name=name)


def assign_add(ref, value, use_locking=None, name=None):
    return ref.assign_add(value, name=name)


def assign_sub(ref, value, use_locking=None, name=None):
    return ref.assign_sub(value, name=name)


def _rows(indices):
    from .array import expand_dims

    return expand_dims(indices, -1)


def scatter_update(ref, indices, updates, use_locking=True, name=None):
    """Put rows in place of those at the indices."""
    return ref.scatter_nd_update(_rows(indices), updates, name=name)


def scatter_add(ref, indices, updates, use_locking=False, name=None):
    return ref.scatter_nd_add(_rows(indices), updates, name=name)


def scatter_sub(ref, indices, updates, use_locking=False, name=None):
    return ref.scatter_nd_sub(_rows(indices), updates, name=name)
