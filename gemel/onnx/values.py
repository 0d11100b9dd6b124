"""`Value`: what an operator is given: a tensor, a known array, or both.

Invariant: both stand for the same numbers. An array is made of a tensor only when somebody looks.
"""

from __future__ import annotations

import numpy as np

from gemel import tensor as engine
from gemel.graph.form import Form, dtype_of, form


class Array(engine.Tensor):
    """The tensors of a model that is given arrays."""

    __slots__ = ()


Array.kin = Array


class Value:
    __slots__ = ("_tensor", "_array")

    def __init__(self, tensor: engine.Tensor | None = None, array: np.ndarray | None = None):
        self._tensor = tensor
        self._array = array

    @property
    def known(self) -> bool:
        """Is the array there without running anything?"""
        return self._array is not None

    @property
    def form(self) -> Form:
        if self._tensor is not None:
            return self._tensor.form
        assert self._array is not None
        return form(self._array.shape, dtype_of(self._array.dtype))

    def array(self) -> np.ndarray:
        """The numbers. Looks: may run."""
        if self._array is None:
            assert self._tensor is not None
            self._array = engine.array_of(self._tensor)
        return self._array

    def tensor(self, kind: type) -> engine.Tensor:
        """The value as a tensor; `kind` is its class where it is made now."""
        if self._tensor is None:
            assert self._array is not None
            self._tensor = engine.from_array(self._array, kind)
        return self._tensor


def value_of(x, kind: type) -> Value:
    """A tensor of any face, an array or a number, given to a model: never taken for known."""
    if isinstance(x, Value):
        return x
    return Value(x if isinstance(x, engine.Tensor) else engine.from_array(np.asarray(x), kind))
