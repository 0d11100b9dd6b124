"""`tf.assign` and its kin: TensorFlow 1's functions on variables."""

from __future__ import annotations


def assign(ref, value, validate_shape=None, use_locking=None, name=None):
    """Replace the variable's value."""
    return ref.assign(value, name=name)


def assign_add(ref, value, use_locking=None, name=None):
    return ref.assign_add(value, name=name)


def assign_sub(ref, value, use_locking=None, name=None):
    return ref.assign_sub(value, name=name)
