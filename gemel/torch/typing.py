"""`torch.result_type`, `promote_types`, `can_cast`: what promotion says, without an operation."""

from __future__ import annotations

from gemel.ops.record import placeholder, scalar

from . import promotion
from .dtypes import FACE, dtype
from .tensor import Tensor


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type that holds both."""
    return FACE[promotion.promote_types(type1.engine, type2.engine)]


def can_cast(from_: dtype, to: dtype) -> bool:
    """May a result of one type be written in place to the other?"""
    return promotion.can_cast(from_.engine, to.engine)


def _as_node(place: int, x):
    if isinstance(x, Tensor):
        return placeholder(place, x.form)
    return scalar(place, bool if isinstance(x, bool) else int if isinstance(x, int) else float)


def result_type(tensor1, tensor2) -> dtype:
    """The type of an arithmetic operation of two tensors or numbers."""
    return FACE[promotion.result_type(_as_node(0, tensor1), _as_node(1, tensor2))]
