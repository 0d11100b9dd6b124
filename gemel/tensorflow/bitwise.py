"""`tf.bitwise`: operations on the bits of integers."""

from __future__ import annotations

from . import calls_math as calls
from .dispatch import apply
from .math import bitwise_and as bitwise_and
from .math import bitwise_or as bitwise_or
from .math import bitwise_xor as bitwise_xor


def invert(x, name=None):
    """Each bit the other way."""
    return apply(calls.INVERT, (x,), (), name or "Invert")


def __getattr__(name: str):
    from ._missing import missing

    raise missing("bitwise", name)
