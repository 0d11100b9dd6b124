"""`torch.ops.aten`: operations by the names that PyTorch has for them inside."""

from __future__ import annotations

import importlib
from functools import cache

_PLACES = (
    "gemel.torch.nn.native",
    "gemel.torch.nn.dropping",
    "gemel.torch.nn.resizing",
    "gemel.torch",
    "gemel.torch.parts",
    "gemel.torch.nn.functional",
    "gemel.torch.special",
    "gemel.torch.linalg",
    "gemel.torch.fft",
)
_SPELT = {"slice": "slice_part"}  # where Python's own name is in the way


class Operation:
    """A function with its overloads as attributes, which here are one and the same."""

    def __init__(self, name: str, function):
        self.__name__ = name
        self._function = function

    def __call__(self, *args, **kwargs):
        return self._function(*args, **kwargs)

    def __getattr__(self, overload: str):
        if overload.startswith("__"):
            raise AttributeError(overload)
        return self

    def __repr__(self) -> str:
        return f"aten.{self.__name__}"


@cache
def _operation(name: str) -> Operation:
    for place in _PLACES:
        function = getattr(importlib.import_module(place), _SPELT.get(name, name), None)
        if callable(function):
            return Operation(name, function)
    from gemel.torch.tensor import Tensor

    method = getattr(Tensor, name, None)
    if method is None or name not in dir(Tensor):
        raise AttributeError(f"'torch.ops.aten' has no '{name}' in Gemel's PyTorch face")
    return Operation(name, method)


class _Namespace:
    def __getattr__(self, name: str) -> Operation:
        if name.startswith("__"):
            raise AttributeError(name)
        return _operation(name)


aten = _Namespace()
