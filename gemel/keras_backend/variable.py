"""Keras variables over Gemel: each owns one storage for life; `assign` replaces its value.

Reading gives the value of that moment: a later `assign` does not change what was read.
"""

from __future__ import annotations

import numpy as np
from keras.src.backend.common.stateless_scope import get_stateless_scope, in_stateless_scope
from keras.src.backend.common.variables import Variable as KerasVariable
from keras.src.backend.common.variables import get_autocast_scope

from gemel import tensor as lazy

from .gradient import WATCHERS
from .tensors import COPY, convert_to_tensor, dtype_of, shape_class, to_dtype


class Variable(KerasVariable):
    """A Keras variable. `_value` is the tensor over its storage, which is never handed out."""

    @property
    def shape(self):
        """As TensorFlow's face gives shapes, where Keras is part of it."""
        return shape_class()(super().shape)

    def _initialize(self, value) -> None:
        value = to_dtype(convert_to_tensor(value), dtype_of(self._dtype))
        self._value = lazy.record1(COPY, value)

    def _initialize_with_initializer(self, initializer) -> None:
        # a variable that is made inside a step outlives it
        with lazy.outside():
            super()._initialize_with_initializer(initializer)

    def _direct_assign(self, value) -> None:
        lazy.write(self._value, value)

    def _convert_to_tensor(self, value, dtype=None):
        return convert_to_tensor(value, dtype=dtype)

    @property
    def value(self):
        """The value of this moment."""
        if WATCHERS and self._trainable:
            for watch in WATCHERS:
                watch(self)
        if self._value is None or in_stateless_scope() or get_autocast_scope() is not None:
            return self._value_in_scope()
        return lazy.record1(COPY, self._value)

    def _value_in_scope(self):
        if in_stateless_scope():
            value = get_stateless_scope().get_current_value(self)
            if value is not None:
                return self._maybe_autocast(value)
        if self._value is None:
            return self._maybe_autocast(self._initializer(self._shape, dtype=self._dtype))
        return self._maybe_autocast(lazy.record1(COPY, self._value))

    def _as_tensor(self):
        """What TensorFlow's functions take for the variable, also while a step is recorded."""
        return self.value

    def numpy(self) -> np.ndarray:
        return np.array(self)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        found = np.array(lazy.array_of(self.value))
        return found if dtype is None else found.astype(dtype)


