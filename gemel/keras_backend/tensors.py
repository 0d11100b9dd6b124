"""The tensor that Keras holds: creation, conversion, promotion of element types, recording.

Keras's tensors never change: every op gives a new one. In: tensors (of any face), NumPy arrays,
Python numbers and nested lists, Keras variables. Out: tensors of the face's own class.
Invariant: `dtype` is Keras's name of the element type, `shape` a plain tuple.
"""

from __future__ import annotations

import numpy as np
from keras.src.backend import config
from keras.src.backend.common import dtypes
from keras.src.backend.common.variables import Variable as KerasVariable
from keras.src.backend.common.variables import standardize_dtype

from gemel import tensor as lazy
from gemel.graph.form import DTYPES, DType, bool_, int32, int64
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.movement import expand
from gemel.ops.record import Call, const

NUMBERS = (bool, int, float)


class Tensor(lazy.Tensor):
    """A value of Keras over Gemel. Operators are those of `keras.ops`, installed by numpy_ops."""

    __slots__ = ()
    __array_priority__ = 100

    @property
    def shape(self) -> tuple[int, ...]:
        return self.form.shape

    @property
    def ndim(self) -> int:
        return self.form.ndim

    @property
    def size(self) -> int:
        return self.form.size

    @property
    def dtype(self) -> str:
        return self.form.dtype.name

    def numpy(self) -> np.ndarray:
        """A NumPy array of the values, the caller's own."""
        return lazy.array_of(self).copy()

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        found = lazy.array_of(self)
        if dtype is not None and found.dtype != dtype:
            return found.astype(dtype)
        return found.copy() if copy or copy is None else found

    def item(self):
        """The one value, as a Python number."""
        return lazy.item(self)

    def tolist(self) -> list:
        return lazy.array_of(self).tolist()

    def astype(self, dtype) -> Tensor:
        return cast(self, dtype)

    def __float__(self) -> float:
        return float(lazy.item(self))

    def __int__(self) -> int:
        return int(lazy.item(self))

    def __bool__(self) -> bool:
        if self.form.size != 1:
            raise ValueError(
                f"the truth value of a tensor of shape {self.shape} is ambiguous; "
                "use keras.ops.any() or keras.ops.all()"
            )
        return bool(lazy.item(self))

    def __index__(self) -> int:
        if self.form.dtype.kind not in "ui":
            raise TypeError(f"a {self.dtype} tensor is not an index")
        return int(lazy.item(self))

    def __len__(self) -> int:
        if not self.form.shape:
            raise TypeError("len() of a tensor without axes")
        return self.form.shape[0]

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        if lazy.tracing():
            return f"<Tensor: shape={self.shape}, dtype={self.dtype}>"
        return f"<Tensor: shape={self.shape}, dtype={self.dtype}, numpy={lazy.array_of(self)!r}>"

    def __format__(self, spec: str) -> str:
        if self.form.shape or not spec:
            return format(repr(self), spec) if spec else str(lazy.array_of(self))
        return format(lazy.item(self), spec)


Tensor.kin = Tensor
_classes: list[type[lazy.Tensor]] = [Tensor]
_shapes: list[type] = [tuple]


def adopt(cls: type[lazy.Tensor], shapes: type) -> None:
    """From now on the backend makes tensors of this class (TensorFlow's face has its own), and
    shapes of variables are of that one."""
    _classes[0] = cls
    _shapes[0] = shapes


def shape_class() -> type:
    return _shapes[0]


def tensor_class() -> type[lazy.Tensor]:
    return _classes[0]


def dtype_of(name) -> DType:
    """The engine's element type of a Keras dtype; TypeError for those it does not hold."""
    name = standardize_dtype(name)
    found = DTYPES.get(name)
    if found is None:
        raise TypeError(
            f"dtype {name!r} is not supported by Gemel yet; there are: {', '.join(DTYPES)}"
        )
    return found


# ---------- promotion ----------
_promoted: dict = {}


def kind_of(x):
    """What promotion looks at: a Python number's type, else the name of the element type."""
    return type(x) if type(x) in NUMBERS else x.form.dtype.name


def result_dtype(*kinds) -> DType:
    """Keras's promotion of names of element types and Python types (those are weak)."""
    key = (config.floatx(), kinds)
    found = _promoted.get(key)
    if found is None:
        found = _promoted[key] = dtype_of(dtypes.result_type(*kinds))
    return found


def float_dtype(x) -> DType:
    """The floating-point type that a function of x is computed in."""
    return x.form.dtype if x.form.dtype.is_float else result_dtype(x.form.dtype.name, float)


# ---------- conversion ----------
CAST = Call("cast", lambda attrs, x: cast_node(x, attrs[0]))
COPY = Call("value", lambda attrs, x: x)


# attrs: (shape, spelled number, DType): every cell the same number
CONSTANT = Call("full", lambda attrs: expand(spoken(attrs[1], attrs[2]), attrs[0]))


def to_dtype(x: lazy.Tensor, dtype: DType) -> lazy.Tensor:
    """x in an element type; x itself where it has that type."""
    return x if x.form.dtype is dtype else lazy.record1(CAST, x, (dtype,))


def is_tensor(x) -> bool:
    return isinstance(x, lazy.Tensor)


def tensor(x) -> lazy.Tensor:
    """Anything array-like as a tensor, its element type kept."""
    return x if isinstance(x, lazy.Tensor) else convert_to_tensor(x)


def convert_to_tensor(x, dtype=None, sparse=None, ragged=None) -> lazy.Tensor:
    """A tensor of x. `dtype` casts; sparse and ragged tensors are ValueError."""
    if sparse or ragged:
        word = "sparse" if sparse else "ragged"
        raise ValueError(f"`{word}=True` is not supported with the gemel backend")
    wanted = None if dtype is None else dtype_of(dtype)
    if isinstance(x, KerasVariable):
        x = x.value
    if not isinstance(x, lazy.Tensor):
        x = _taken(x, wanted)
    return x if wanted is None else to_dtype(x, wanted)


def _taken(x, wanted: DType | None) -> lazy.Tensor:
    if isinstance(x, (list, tuple)) and _holds_tensors(x):
        from .shaping import stack

        return stack([convert_to_tensor(part, wanted and wanted.name) for part in x])
    array = np.asarray(x)
    if array.dtype.kind in "OSU" or array.dtype.name not in DTYPES:
        array = _plain(array, x)
    if wanted is not None:
        array = array.astype(wanted.numpy)
    elif not hasattr(x, "dtype"):
        array = array.astype(_python_dtype(array).numpy)
    if array.size == 1 and lazy.tracing():
        # part of the program, where it can be folded, rather than one more input
        attrs = (array.shape, spelled(array.item()), DTYPES[array.dtype.name])
        return lazy.record_n(CONSTANT, tensor_class(), (), attrs)
    return lazy.from_array(np.ascontiguousarray(array).reshape(array.shape), tensor_class())


def _plain(array: np.ndarray, x) -> np.ndarray:
    """An array of a supported type: half precision widens, anything else is an error."""
    if array.dtype.kind in "OSU" or array.dtype.kind == "c":
        raise ValueError(
            f"cannot make a tensor of {type(x).__name__} with elements of type {array.dtype}; "
            f"the gemel backend holds: {', '.join(DTYPES)}"
        )
    raise TypeError(
        f"dtype {array.dtype.name!r} is not supported by Gemel yet; there are: {', '.join(DTYPES)}"
    )


def _holds_tensors(x) -> bool:
    for part in x:
        if isinstance(part, (lazy.Tensor, KerasVariable)):
            return True
        if isinstance(part, (list, tuple)) and _holds_tensors(part):
            return True
    return False


def _python_dtype(array: np.ndarray) -> DType:
    """The type of Python numbers: floatx, int32 where they fit, bool."""
    if array.dtype.kind == "f" or not array.size:
        return dtype_of(config.floatx())
    if array.dtype.kind == "b":
        return bool_
    low, high = -(2**31), 2**31 - 1
    return int32 if low <= array.min() and array.max() <= high else int64


def convert_to_numpy(x) -> np.ndarray:
    """A NumPy array of the values, the caller's own."""
    if isinstance(x, KerasVariable):
        x = x.value
    if isinstance(x, lazy.Tensor):
        return lazy.array_of(x).copy()
    if isinstance(x, (list, tuple)):
        return np.array([convert_to_numpy(part) for part in x])
    return np.array(x)


def cast(x, dtype) -> lazy.Tensor:
    return convert_to_tensor(x, dtype=dtype)


def shape(x) -> tuple[int, ...]:
    return x.form.shape if isinstance(x, lazy.Tensor) else tuple(x.shape)


# ---------- recording ----------
def apply(call: Call, *operands: lazy.Tensor, attrs: tuple | None = None) -> lazy.Tensor:
    """Record a call with one result on tensors."""
    if len(operands) == 1:
        return lazy.record1(call, operands[0], attrs)
    if len(operands) == 2:
        return lazy.record2(call, *operands, attrs=attrs)
    if len(operands) == 3:
        return lazy.record3(call, *operands, attrs=attrs)
    return lazy.record_n(call, tensor_class(), operands, attrs=attrs)


def apply_many(call: Call, *operands: lazy.Tensor, attrs: tuple | None = None) -> list:
    """Record a call with several results."""
    return lazy.record_many(call, tensor_class(), operands, attrs=attrs)


def spelled(number) -> str:
    """A number as a key: equal spellings mean equal numbers, -0.0 and NaN included."""
    return float(number).hex() if isinstance(number, float) else str(number)


def spoken(text: str, dtype: DType):
    """The constant node that `spelled` wrote down."""
    if text in ("True", "False"):
        return const(text == "True", dtype)
    return const(float.fromhex(text) if "x" in text or "n" in text else int(text), dtype)
