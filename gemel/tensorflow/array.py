"""Making, shaping, joining and picking: the array operations at `tf`'s top level.

Role: names and defaults; what they compute stands in `calls_array`. In: tensors or what becomes
one, shapes as lists, tensors or `TensorShape`. Out: tensors.
"""

from __future__ import annotations

import builtins

import numpy as np

from gemel.ops.attention import hides

from . import calls_array as calls
from . import context
from .calls_math import IDENTITY, STOP_GRADIENT
from .convert import as_array, constant_in, convert_to_tensor, dtype_of_operand, natural_type
from .dispatch import apply, operands_of_one_type, static
from .dtypes import as_dtype, float32, int32
from .eager import EagerTensor
from .shape import TensorShape
from .symbolic import SymbolicTensor


def constant(value, dtype=None, shape=None, name: str = "Const", verify_shape: bool = False):
    """A tensor with the value. shape: reshaped to it, or a single value repeated."""
    wanted = None if dtype is None else as_dtype(dtype)
    array = as_array(value, wanted)
    if shape is not None:
        array = _shaped(array, tuple(TensorShape(static(shape)).as_list()))
    graph = context.building()
    return EagerTensor.of(array) if graph is None else constant_in(graph, array, name)


def _shaped(array: np.ndarray, shape: tuple) -> np.ndarray:
    size = int(np.prod(shape, dtype=np.int64))
    if array.size == 1:
        return np.full(shape, array.reshape(())[()], array.dtype)
    if array.size != size:
        raise TypeError(
            f"Eager execution of tf.constant with unsupported shape. Tensor {array} (converted "
            f"from a value of shape {array.shape}) has {array.size} elements, but got `shape` "
            f"{shape} with {size} elements)."
        )
    return array.reshape(shape)


def _shape_of(shape):
    found = static(shape)
    return (found,) if isinstance(found, int) else found


def fill(dims, value, name=None):
    """Every cell the value."""
    return apply(calls.FILL, (value,), (_shape_of(dims),), name or "Fill")


def zeros(shape, dtype=float32, name=None):
    """Every cell 0."""
    return _filled(shape, 0, dtype, name or "zeros")


def ones(shape, dtype=float32, name=None):
    """Every cell 1."""
    return _filled(shape, 1, dtype, name or "ones")


def _filled(shape, value, dtype, name):
    wanted = as_dtype(dtype)
    cell = np.array(value, wanted.as_numpy_dtype)
    shape = _shape_of(shape)
    if context.building() is not None and _concrete(shape):
        return constant(np.full(shape, cell), name=name)
    return apply(calls.FILL, (cell,), (shape,), name)


def _concrete(shape) -> bool:
    return isinstance(shape, tuple) and all(isinstance(n, int) for n in shape)


def zeros_like(input, dtype=None, name=None, optimize=True):
    """Zeros in the shape of the input."""
    return _like(input, 0, dtype, name or "zeros_like")


def ones_like(input, dtype=None, name=None, optimize=True):
    """Ones in the shape of the input."""
    return _like(input, 1, dtype, name or "ones_like")


def _like(input, value, dtype, name):
    input = convert_to_tensor(input)
    wanted = input.dtype if dtype is None else dtype
    known = input.shape.is_fully_defined()
    return _filled(input.shape if known else shape(input), value, wanted, name)


def eye(num_rows, num_columns=None, batch_shape=None, dtype=float32, name=None):
    """Ones on the diagonal."""
    columns = num_rows if num_columns is None else num_columns
    attrs = (static(num_rows), static(columns), static(batch_shape or ()), as_dtype(dtype).engine)
    return apply(calls.EYE, (), attrs, name or "eye")


def range(start, limit=None, delta=1, dtype=None, name=None):
    """start, start + delta, ... below limit; from 0 where limit is not given."""
    if limit is None:
        start, limit = 0, start
    given = [start, limit, delta]
    wanted = as_dtype(dtype) if dtype is not None else _range_type(given)
    attrs = (*(_number(v) for v in given), wanted.engine)
    return apply(calls.RANGE, (), attrs, name or "range")


def _number(value):
    if isinstance(value, SymbolicTensor):
        return value
    return as_array(value).item()


def _range_type(values):
    types = [dtype_of_operand(v) or as_dtype(as_array(v).dtype) for v in values]
    order = ["int32", "int64", "float32", "float64"]
    return max(types, key=lambda t: order.index(t.name))


def linspace(start, stop, num, name=None, axis=0):
    """num values from start to stop, both included."""
    start, stop = operands_of_one_type(start, stop)
    if not as_dtype(start.dtype).is_floating:
        from .math import cast

        start, stop = cast(start, "float64"), cast(stop, "float64")
    return apply(calls.LINSPACE, (start, stop), (static(num),), name or "linspace")


lin_space = linspace


def one_hot(
    indices, depth, on_value=None, off_value=None, axis=None, dtype=None, name=None
):
    """on_value where the position along a new axis is the index, off_value elsewhere."""
    if dtype is None:
        dtype = next((natural_type(v) for v in (on_value, off_value) if v is not None), None)
    wanted = as_dtype(dtype or float32)
    on = convert_to_tensor(1 if on_value is None else on_value, dtype_hint=wanted)
    off = convert_to_tensor(0 if off_value is None else off_value, dtype_hint=wanted)
    attrs = (static(depth), -1 if axis is None else static(axis))
    return apply(calls.ONE_HOT, (indices, on, off), attrs, name or "one_hot")


# ---------- shapes ----------
def shape(input, out_type=int32, name=None):
    """The sizes as a tensor of integers."""
    return apply(calls.SHAPE, (input,), (as_dtype(out_type).engine,), name or "Shape")


def shape_n(input, out_type=int32, name=None):
    return [shape(x, out_type, name) for x in input]


def size(input, out_type=int32, name=None):
    """The number of cells."""
    return apply(calls.SIZE, (input,), (as_dtype(out_type).engine,), name or "Size")


def rank(input, name=None):
    """The number of axes."""
    return apply(calls.RANK, (input,), (), name or "Rank")


def reshape(tensor, shape, name=None):
    """The same cells in another shape; one size may be -1."""
    return apply(calls.RESHAPE, (tensor,), (_shape_of(shape),), name or "Reshape")


def expand_dims(input, axis=None, name=None, dim=None):
    """A new axis of size 1."""
    axis = dim if axis is None else axis
    return apply(calls.EXPAND_DIMS, (input,), (static(axis),), name or "ExpandDims")


def squeeze(input, axis=None, name=None, squeeze_dims=None):
    """Without the axes of size 1, or without those given."""
    axis = squeeze_dims if axis is None else axis
    return apply(calls.SQUEEZE, (input,), (static(axis),), name or "Squeeze")


def transpose(a, perm=None, conjugate=False, name=None):
    """The axes in another order; reversed where none is given."""
    return apply(calls.TRANSPOSE, (a,), (static(perm),), name or "transpose")


def broadcast_to(input, shape, name=None):
    return apply(calls.BROADCAST_TO, (input,), (_shape_of(shape),), name or "BroadcastTo")


def tile(input, multiples, name=None):
    """The input repeated along each axis."""
    return apply(calls.TILE, (input,), (_shape_of(multiples),), name or "Tile")


def repeat(input, repeats, axis=None, name=None):
    """Each row along the axis repeated a number of times."""
    input = convert_to_tensor(input)
    if axis is None:
        input, axis = reshape(input, [-1]), 0
    rows = static(repeats)
    at = axis % input.ndim
    n = input.shape[at]
    counts = (rows,) * n if isinstance(rows, int) else rows * (n if len(rows) == 1 else 1)
    return gather(input, np.repeat(np.arange(n), counts), axis=at, name=name)


def ensure_shape(x, shape, name=None):
    """x; an error where it has another shape."""
    return apply(calls.ENSURE_SHAPE, (x,), (static(shape),), name or "EnsureShape")


def pad(tensor, paddings, mode="CONSTANT", constant_values=0, name=None):
    """Cells around the tensor: constant, or mirrored with mode REFLECT or SYMMETRIC."""
    if mode.upper() not in ("CONSTANT", "REFLECT", "SYMMETRIC"):
        raise ValueError(
            "Value of argument `mode` expected to be one of 'CONSTANT', 'REFLECT', or 'SYMMETRIC'. "
            f"Received `mode` = {mode}"
        )
    tensor = convert_to_tensor(tensor)
    value = convert_to_tensor(constant_values, dtype_hint=tensor.dtype)
    return apply(calls.PAD, (tensor, value), (static(paddings), mode.upper()), name or "Pad")


def identity(input, name=None):
    """The input's value; in a graph after the present control dependencies."""
    return apply(IDENTITY, (input,), (), name or "Identity")


def stop_gradient(input, name=None):
    """The input's value, which gradients do not pass."""
    return apply(STOP_GRADIENT, (input,), (), name or "StopGradient")


# ---------- joining and cutting ----------
def concat(values, axis, name: str = "concat"):
    """The values one after the other along the axis."""
    values = list(values) if isinstance(values, (list, tuple)) else [values]
    return apply(calls.CONCAT, _of_one_type(values), (static(axis),), name)


def stack(values, axis=0, name: str = "stack"):
    """The values along a new axis."""
    values = unstack(values) if isinstance(values, (EagerTensor, SymbolicTensor)) else list(values)
    if not values:
        raise ValueError("Argument `values` must be a non-empty list of tensors")
    return apply(calls.STACK, _of_one_type(values), (static(axis),), name)


def _of_one_type(values) -> list:
    """Numbers and lists among the values take the tensors' element type."""
    hint = next((d for d in map(dtype_of_operand, values) if d is not None), None)
    return [convert_to_tensor(v, dtype_hint=hint) for v in values]


def unstack(value, num=None, axis=0, name: str = "unstack"):
    """The list of what lies along the axis."""
    value = convert_to_tensor(value)
    count = value.shape[axis] if num is None and value.shape.rank is not None else num
    if count is None:
        raise ValueError(f"Cannot infer argument `num` from shape {value.shape}")
    return apply(calls.UNSTACK, (value,), (count, axis), name, many=True)


def split(value, num_or_size_splits, axis=0, num=None, name: str = "split"):
    """A list of parts along the axis: so many equal ones, or of the given sizes."""
    attrs = (static(num_or_size_splits), static(axis))
    return apply(calls.SPLIT, (value,), attrs, name, many=True)


def reverse(tensor, axis, name=None):
    """The order along the axes reversed."""
    return apply(calls.REVERSE, (tensor,), (_shape_of(axis),), name or "ReverseV2")


def roll(input, shift, axis, name=None):
    """Cells moved along the axes; what leaves at one end comes in at the other."""
    return apply(calls.ROLL, (input,), (_shape_of(shift), _shape_of(axis)), name or "roll")


def meshgrid(*args, indexing: str = "xy", name=None):
    """Coordinate grids of vectors."""
    vectors = [convert_to_tensor(v) for v in args]
    order = list(builtins.range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        order[:2] = [1, 0]
    sizes = [vectors[i].shape[0] for i in order]
    out = []
    for i, v in enumerate(vectors):
        thin = [1] * len(vectors)
        thin[order.index(i)] = -1
        out.append(broadcast_to(reshape(v, thin), sizes))
    return out


# ---------- picking ----------
def gather(params, indices, validate_indices=None, axis=None, batch_dims=0, name=None):
    """The rows of params at the indices, along the axis."""
    axis = batch_dims if axis is None else axis
    attrs = (static(axis), static(batch_dims))
    return apply(calls.GATHER, (params, indices), attrs, name or "GatherV2")


def gather_nd(params, indices, batch_dims=0, name=None):
    """The cells or rows at positions given by the indices' last axis."""
    if batch_dims:
        raise NotImplementedError("gather_nd with batch_dims is not supported")
    return apply(calls.GATHER_ND, (params, indices), (), name or "GatherNd")


def scatter_nd(indices, updates, shape, name=None):
    """Zeros, with the updates added at the indices."""
    return apply(calls.SCATTER_ND, (indices, updates), (_shape_of(shape),), name or "ScatterNd")


def tensor_scatter_nd_update(tensor, indices, updates, name=None):
    return apply(calls.SCATTER_UPDATE, (tensor, indices, updates), (), name)


def tensor_scatter_nd_add(tensor, indices, updates, name=None):
    return apply(calls.SCATTER_ADD, (tensor, indices, updates), (), name)


def tensor_scatter_nd_sub(tensor, indices, updates, name=None):
    return apply(calls.SCATTER_SUB, (tensor, indices, updates), (), name)


def where(condition, x=None, y=None, name=None):
    """x where the condition holds, else y. With the condition alone: the positions where it holds,
    [n, rank] int64 (eager mode only: their number is known by looking)."""
    if (x is None) != (y is None):
        raise ValueError("x and y must both be non-None or both be None.")
    if x is None:
        return _positions(condition)
    if hides(y) and x.__class__ is EagerTensor and x.dtype.is_floating and not context.building():
        return apply(calls.WHERE_LOW, (condition, x), (y,), name or "SelectV2")
    x, y = operands_of_one_type(x, y)
    return apply(calls.WHERE, (condition, x, y), (), name or "SelectV2")


def _positions(condition):
    if context.building() is not None:
        raise NotImplementedError(
            "tf.where(condition) alone has a result whose shape depends on values, which graph "
            "mode does not support; use tf.where(condition, x, y)."
        )
    return EagerTensor.of(np.argwhere(convert_to_tensor(condition).numpy()).astype(np.int64))


def boolean_mask(tensor, mask, axis=None, name="boolean_mask"):
    """The rows at which the mask holds (eager mode only)."""
    tensor = convert_to_tensor(tensor)
    mask = convert_to_tensor(mask)
    at = static(axis) or 0
    if context.building() is not None:
        raise NotImplementedError("boolean_mask in graph mode: its shape depends on values")
    if tuple(tensor.shape[at : at + mask.ndim]) != tuple(mask.shape):
        raise ValueError(f"Shapes {tensor.shape[at : at + mask.ndim]} and {mask.shape} are "
                         "incompatible")
    lead, rest = list(tensor.shape[:at]), list(tensor.shape[at + mask.ndim :])
    flat = reshape(tensor, [*lead, -1, *rest])
    return gather(flat, np.flatnonzero(mask.numpy()), axis=at)


def slice(input_, begin, size, name=None):
    """The block from `begin` of the given size; -1 is all that is left."""
    attrs = (_shape_of(begin), _shape_of(size))
    return apply(calls.SLICE, (input_,), attrs, name or "Slice")


def matrix_band_part(input, num_lower, num_upper, name=None):
    """The band around the diagonal, zeros elsewhere; -1 keeps all of that side."""
    return apply(calls.BAND_PART, (input,), (static(num_lower), static(num_upper)), name)


def is_tensor(x) -> bool:
    """Is it a tensor or a variable?"""
    from .symbolic import Tensor
    from .variables import Variable

    return isinstance(x, (Tensor, Variable))
