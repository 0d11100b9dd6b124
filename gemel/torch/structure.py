"""Arguments of compiled functions as tensors and a signature.

The signature says everything but the values of the tensors: structure, forms, which of them need
gradients, and Python values with their types. Equal signatures: the same record is good.
"""

from __future__ import annotations

from collections.abc import Iterator

from .tensor import Tensor

_SIMPLE = (int, float, str, bool, bytes, complex, type(None), type(...))


def signature(args: tuple, grad: bool) -> tuple | None:
    """The key of positional tensors; None where something else is among them."""
    key: list = [grad]
    for a in args:
        if not isinstance(a, Tensor):
            return None
        st = a.st
        key.append(a.form)
        key.append(a.lrg or st.rg or st.hist is not None)
    return tuple(key)


def flatten(value, grad: bool) -> tuple[list[Tensor], tuple]:
    """(tensors in order, key) of any structure of tuples, lists and dicts."""
    tensors: list[Tensor] = []
    key: list = ["structure", grad]
    _walk(value, tensors, key)
    return tensors, tuple(key)


def _walk(value, tensors: list, key: list) -> None:
    if isinstance(value, Tensor):
        st = value.st
        tensors.append(value)
        key += (value.form, value.lrg or st.rg or st.hist is not None)
    elif isinstance(value, tuple | list):
        key += (type(value), len(value))
        for item in value:
            _walk(item, tensors, key)
    elif isinstance(value, dict):
        key += (type(value), len(value))
        for name, item in value.items():
            key.append(name)
            _walk(item, tensors, key)
    elif isinstance(value, _SIMPLE):
        # the text, because 1, 1.0 and True are equal, and NaN is not equal to itself
        key += (type(value), repr(value))
    else:
        key += (type(value), _Same(value))


class _Same:
    """Another object counts as another argument."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value  # held, so that its address is not used again

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other) -> bool:
        return isinstance(other, _Same) and self.value is other.value


def unflatten(value, tensors):
    """The same structure with the tensors replaced in order."""
    return _replaced(value, iter(tensors))


def _replaced(value, tensors: Iterator):
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, tuple | list):
        items = [_replaced(v, tensors) for v in value]
        if hasattr(value, "_fields"):
            return type(value)(*items)
        return type(value)(items)
    if isinstance(value, dict):
        made = {k: _replaced(v, tensors) for k, v in value.items()}
        return made if type(value) is dict else type(value)(made)
    return value
