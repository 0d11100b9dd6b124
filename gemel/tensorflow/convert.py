"""Values of Python and NumPy as arrays and tensors of a TensorFlow element type.

Role: `tf.constant` and `tf.convert_to_tensor`, and the conversion of each operand. In: numbers,
lists, arrays, tensors, variables, objects with a conversion. Out: an eager tensor, or in graph mode
a symbolic one. Python numbers are int32 (int64 where they do not fit), float32 or bool; arrays keep
their type.
"""

from __future__ import annotations

import numpy as np

from . import context
from .dtypes import BY_ENGINE, DType, as_dtype, float32, int32, int64
from .dtypes import bool_ as bool_type
from .eager import EagerTensor
from .shape import TensorShape
from .symbolic import Operation, SymbolicTensor, Tensor
from .variables import Variable

_INT32 = range(-(2**31), 2**31)
_LEFT_TO_NUMPY = (np.ndarray, np.generic)


def natural_type(value) -> DType:
    """The element type that a value has by itself."""
    if isinstance(value, bool):
        return bool_type
    if isinstance(value, int) and not isinstance(value, np.generic):
        return int32 if value in _INT32 else int64
    if isinstance(value, float) and not isinstance(value, np.generic):
        return float32
    dtype = getattr(value, "dtype", None)
    if dtype is not None:
        return as_dtype(dtype)
    if isinstance(value, (list, tuple)):
        return _type_of_items(value)
    return as_dtype(np.asarray(value).dtype)


def _type_of_items(items) -> DType:
    types = list(dict.fromkeys(natural_type(v) for v in items)) or [float32]
    if len(types) == 1:
        return types[0]
    if set(types) == {int32, int64}:
        return int64
    if float32 in types and set(types) <= {int32, int64, float32}:
        return float32
    if bool_type in types:
        raise ValueError("Can't convert Python sequence with mixed types to Tensor.")
    return as_dtype(np.result_type(*(t.as_numpy_dtype for t in types)))


def as_array(value, dtype: DType | None = None) -> np.ndarray:
    """The value as an array. TypeError where numbers of it do not fit the type, ValueError where
    it is not rectangular or None."""
    if isinstance(value, _LEFT_TO_NUMPY):
        wanted = dtype or as_dtype(value.dtype)
        return np.asarray(value).astype(wanted.as_numpy_dtype, copy=False)
    if value is None:
        raise ValueError(
            "Attempt to convert a value (None) with an unsupported type "
            "(<class 'NoneType'>) to a Tensor."
        )
    if isinstance(value, SymbolicTensor):
        raise TypeError(f"Expected any non-tensor type, but got a tensor instead: {value}")
    if isinstance(value, (Tensor, Variable)):
        return as_array(value.numpy(), dtype)
    if isinstance(value, TensorShape):
        value = value.as_list()
    array = _listed(value)
    natural = natural_type(value)
    wanted = dtype or natural
    if not _fits(natural, wanted):
        raise TypeError(f"Cannot convert {value} to EagerTensor of dtype {wanted.name}")
    with np.errstate(over="ignore"):
        return array.astype(wanted.as_numpy_dtype)


def _listed(value) -> np.ndarray:
    if isinstance(value, (str, bytes)):
        raise TypeError(f"Cannot convert {value!r}: Gemel's TensorFlow face has no string tensors")
    try:
        array = np.array(_plain(value))
    except ValueError:
        raise ValueError("Can't convert non-rectangular Python sequence to Tensor.") from None
    if array.dtype == object or array.dtype.kind not in "buifc":
        raise ValueError(
            f"Attempt to convert a value ({value!r}) with an unsupported type ({type(value)}) to a "
            "Tensor."
        )
    return array


def _plain(value):
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.numpy() if isinstance(value, (Tensor, Variable)) else value


def _fits(natural: DType, wanted: DType) -> bool:
    """May Python numbers of this natural type be taken as `wanted`?"""
    if natural is wanted:
        return True
    if natural.is_bool or wanted.is_bool:
        return False
    if natural.is_complex or wanted.is_complex:
        return wanted.is_complex
    return wanted.is_floating or natural.is_integer


def fits_number(value, dtype: DType) -> bool:
    """May this Python number be an operand of a tensor of that type?"""
    if value.__class__ is bool:
        return dtype.is_bool
    if value.__class__ is int:
        smooth = dtype.is_floating or dtype.is_complex
        return smooth or (dtype.is_integer and _in_bounds(value, dtype))
    return dtype.is_floating or dtype.is_complex


def _in_bounds(value: int, dtype: DType) -> bool:
    return dtype.min <= value <= dtype.max


# ---------- tensors ----------
def convert_to_tensor(
    value,
    dtype=None,
    name: str | None = None,
    as_ref: bool = False,
    preferred_dtype=None,
    dtype_hint=None,
):
    """A tensor of the value.

    dtype       the element type it must have; a tensor of another type is a ValueError
    dtype_hint  the element type it should have where that is possible
    """
    hint = dtype_hint or preferred_dtype
    dtype = None if dtype is None else as_dtype(dtype)
    hint = None if hint is None else as_dtype(hint)
    graph = context.building()
    if graph is not None:
        return in_graph(graph, value, dtype, hint, name or "Const")
    return eagerly(value, dtype, hint)


def eagerly(value, dtype: DType | None = None, hint: DType | None = None) -> EagerTensor:
    """The value as an eager tensor."""
    found = _tensor_of(value)
    if found is not None:
        if isinstance(found, SymbolicTensor):
            raise TypeError(
                f"{found} is a symbolic tensor of a graph: it has a value only in a session, and "
                "cannot be used in eager mode."
            )
        return _checked(found, dtype)
    if _has_tensors(value):
        from .array import stack

        return stack([convert_to_tensor(v, dtype, dtype_hint=hint) for v in value])
    return EagerTensor.of(_hinted(value, dtype, hint))


def _hinted(value, dtype, hint) -> np.ndarray:
    if dtype is None and hint is not None:
        try:
            return as_array(value, hint)
        except TypeError:
            pass
    return as_array(value, dtype)


def _tensor_of(value):
    """The tensor that a value is, or stands for; None where it is none."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Variable):
        return value.value()
    if hasattr(value, "_as_tensor"):
        value = value._as_tensor()
        if isinstance(value, Tensor):
            return value
    return EagerTensor.sharing(value)


def _has_tensors(value) -> bool:
    if not isinstance(value, (list, tuple)):
        return False
    return any(isinstance(v, (Tensor, Variable)) or _has_tensors(v) for v in value)


def _checked(tensor, dtype: DType | None):
    if dtype is not None and tensor.dtype is not dtype:
        raise ValueError(
            f"Tensor conversion requested dtype {dtype.name} for Tensor with dtype "
            f"{tensor.dtype.name}: {tensor!r}"
        )
    return tensor


def in_graph(
    graph, value, dtype: DType | None = None, hint: DType | None = None, name: str = "Const"
) -> SymbolicTensor:
    """The value as a tensor of the graph. Constants and eager tensors are taken in as constants;
    ValueError for what another graph computes."""
    if isinstance(value, Operation):
        raise TypeError(f"Can't convert Operation '{value.name}' to Tensor")
    if isinstance(value, Variable):
        return _checked(value._read_in(graph, name), dtype)
    if isinstance(value, SymbolicTensor):
        return _checked(_of_this_graph(graph, value), dtype)
    found = _tensor_of(value)
    if found is not None:
        return _checked(_captured(graph, found), dtype)
    if _has_tensors(value):
        from .array import stack

        return stack([in_graph(graph, v, dtype, hint, name) for v in value])
    return constant_in(graph, _hinted(value, dtype, hint), name)


def constant_in(graph, array: np.ndarray, name: str) -> SymbolicTensor:
    """A new constant of the graph."""
    from .bodies import Constant

    body = Constant(np.array(array), as_dtype(array.dtype))
    with graph.control_dependencies(None):
        return Operation(graph, graph.unique_name(name), body).outputs[0]


def _of_this_graph(graph, tensor: SymbolicTensor) -> SymbolicTensor:
    from .bodies import Constant

    if tensor.graph is graph:
        return tensor
    if isinstance(tensor.op.body, Constant):
        return _once(graph, tensor, tensor.op.body.value)
    raise ValueError(
        f"{tensor} must be from the same graph as the operation that uses it (graphs are "
        f"{tensor.graph} and {graph})."
    )


def _captured(graph, tensor: EagerTensor) -> SymbolicTensor:
    return _once(graph, tensor, tensor.numpy())


def _once(graph, tensor, value: np.ndarray) -> SymbolicTensor:
    """The constant that stands for a tensor from outside: one for each such tensor."""
    found = graph._captured.get(id(tensor))
    if found is None:
        made = constant_in(graph, np.asarray(value), "Const")
        found = graph._captured[id(tensor)] = (tensor, made)  # the tensor is held: its id stays
    return found[1]


def dtype_of_operand(value) -> DType | None:
    """The element type of a tensor, variable or array; None for other values."""
    if isinstance(value, (Tensor, Variable)):
        return value.dtype
    if isinstance(value, _LEFT_TO_NUMPY):
        return as_dtype(value.dtype)
    dtype = getattr(value, "dtype", None)
    engine = getattr(getattr(value, "form", None), "dtype", None)
    if engine is not None:
        return BY_ENGINE[engine]
    return as_dtype(dtype) if dtype is not None else None
