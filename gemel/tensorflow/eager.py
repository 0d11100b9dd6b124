"""`EagerTensor`: a tensor with a value, computed when somebody looks.

Role: what operations give outside of graphs. Holds one of the engine's tensors by being one.
Invariant: its value never changes; variables hold theirs in a tensor of their own.
"""

from __future__ import annotations

from html import escape

import numpy as np

from gemel import tensor as engine
from gemel.graph.form import Form
from gemel.ops.movement import RESHAPE
from gemel.ops.record import Call
from gemel.tensor import dlpack
from gemel.tensor.html import html

from .dtypes import BY_ENGINE, DType
from .shape import TensorShape
from .symbolic import Tensor


class EagerTensor(Tensor, engine.Tensor):
    """A tensor whose value can be looked at."""

    __slots__ = ()

    @classmethod
    def of(cls, array: np.ndarray) -> EagerTensor:
        """A tensor with a copy of the array's values."""
        return engine.from_array(array, cls)

    @classmethod
    def sharing(cls, value) -> EagerTensor | None:
        """The present value of another face's tensor; None for no tensor. What the other face
        writes to its tensor later does not change it."""
        if not isinstance(value, engine.Tensor):
            return None
        return engine.present(value, cls)

    @property
    def dtype(self) -> DType:
        return BY_ENGINE[self.form.dtype]

    @property
    def shape(self) -> TensorShape:
        return _SHAPES[self.form]

    @property
    def ndim(self) -> int:
        return self.form.ndim

    @property
    def device(self) -> str:
        return "/job:localhost/replica:0/task:0/device:CPU:0"

    @property
    def backing_device(self) -> str:
        return self.device

    @property
    def graph(self):
        raise AttributeError("Tensor.graph is undefined when eager execution is enabled.")

    @property
    def op(self):
        raise AttributeError("Tensor.op is undefined when eager execution is enabled.")

    @property
    def name(self):
        raise AttributeError("Tensor.name is undefined when eager execution is enabled.")

    def get_shape(self) -> TensorShape:
        return self.shape

    def set_shape(self, shape) -> None:
        if not self.shape.is_compatible_with(shape):
            raise ValueError(
                f"Tensor's shape {self.form.shape} is not compatible with supplied shape {shape}"
            )

    def numpy(self):
        """The value: an array of its own, a NumPy number for a scalar."""
        array = engine.array_of(self)
        return array[()] if array.ndim == 0 else array.copy()

    def item(self):
        """The one value as a Python number."""
        return engine.item(self)

    def ref(self):
        from .variables import Reference

        return Reference(self)

    def eval(self, feed_dict=None, session=None):
        raise NotImplementedError(
            "eval is not supported when eager execution is enabled, is .numpy() what you're "
            "looking for?"
        )

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        array = engine.array_of(self)
        return array.copy() if dtype is None else array.astype(dtype)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """A capsule over the tensor's memory, which who takes it must not write."""
        return dlpack.capsule(self, max_version, copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CPU, 0

    def __bool__(self) -> bool:
        return bool(engine.array_of(self))

    def __int__(self) -> int:
        return int(self._only())

    def __float__(self) -> float:
        return float(self._only())

    def __complex__(self) -> complex:
        return complex(self._only())

    def __index__(self) -> int:
        if self.form.ndim or not self.form.dtype.is_integer:
            raise TypeError("only integer scalar arrays can be converted to a scalar index")
        return int(engine.item(self))

    def _only(self):
        if self.form.ndim:
            raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
        return engine.item(self)

    def __len__(self) -> int:
        if not self.form.ndim:
            raise TypeError("Scalar tensor has no `len()`")
        return self.form.shape[0]

    def __iter__(self):
        if not self.form.ndim:
            raise TypeError("Cannot iterate over a scalar tensor.")
        return (self[i] for i in range(self.form.shape[0]))

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec) if spec else str(self)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return EagerTensor.of, (self.numpy(),)

    def __str__(self) -> str:
        if engine.tracing():
            return f"Tensor({_described(self.form)})"
        array = engine.array_of(self)
        return f"tf.Tensor({_number(array)}, {_described(self.form)})"

    def __repr__(self) -> str:
        if engine.tracing():
            return f"<tf.Tensor {_described(self.form)}>"
        shown = shown_array(engine.array_of(self))
        return f"<tf.Tensor: {_described(self.form)}, numpy={shown}>"

    def _repr_html_(self) -> str:
        """The tensor in a notebook."""
        if engine.tracing():
            return escape(repr(self))
        return html("tf.Tensor", self.dtype.name, engine.array_of(self), repr(self))


EagerTensor.kin = EagerTensor
# a node of its own: the value read, whatever is written to the storage after
READ = Call("ReadVariableOp", lambda attrs, x: RESHAPE(x, attrs=(x.shape,)))


class _Shapes(dict):
    """form -> its TensorShape, made once."""

    def __missing__(self, form: Form) -> TensorShape:
        return self.setdefault(form, TensorShape(form.shape))


_SHAPES = _Shapes()


def _described(form: Form) -> str:
    return f"shape={form.shape}, dtype={form.dtype.name}"


def _number(array: np.ndarray) -> str:
    return str(array[()]) if array.ndim == 0 else ("\n" if array.ndim > 1 else "") + str(array)


def shown_array(array: np.ndarray) -> str:
    """The array as TensorFlow's reprs show it."""
    if array.ndim == 0:
        return str(array[()])
    text = repr(array)
    return "\n" + text if "\n" in text else text
