"""TensorFlow's array operations as calls: shapes, slices, joining, gathering.

Role: as `calls_math`. Static things (shapes, axes, slices) are attributes, normalised here, because
a graph may know them only when it runs. In: nodes. Out: nodes, or a tuple of them.
"""

from __future__ import annotations

from math import prod

import numpy as np

from gemel.graph.errors import Fault
from gemel.graph.form import int32
from gemel.graph.node import Node
from gemel.ops import elementwise as el
from gemel.ops import movement as mv
from gemel.ops.indexing import gather, linear_index, merge_axes, scatter_add, scatter_set
from gemel.ops.record import const

from .calls_math import FaceCall, paired, require, same_type
from .dtypes import BY_ENGINE
from .errors import InvalidArgumentError, ShapeMismatch, TypeMismatch
from .shape import show


def axis_of(axis: int, ndim: int, what: str = "axis") -> int:
    """A position counted from either end as one from the start."""
    if not -ndim <= axis < ndim:
        raise ShapeMismatch(f"{what} {axis} is out of range [{-ndim}, {ndim})")
    return axis % ndim


def _given_dtype(attrs):
    return BY_ENGINE[attrs[-1]]


# ---------- shapes ----------
def _reshape(attrs, x):
    shape = list(attrs[0] if isinstance(attrs[0], tuple) else (attrs[0],))
    if shape.count(-1) > 1 or any(n < -1 for n in shape):
        raise ShapeMismatch(f"Only one input size may be -1, and none lower, not {show(shape)}")
    size = x.form.size
    if -1 in shape:
        rest = prod(n for n in shape if n != -1)
        if rest == 0 or size % rest:
            raise ShapeMismatch(
                f"Input to reshape is a tensor with {size} values, but the requested shape "
                f"requires a multiple of {rest}"
            )
        shape[shape.index(-1)] = size // rest
    if prod(shape) != size:
        raise ShapeMismatch(
            f"Input to reshape is a tensor with {size} values, but the requested shape has "
            f"{prod(shape)}"
        )
    return mv.reshape(x, shape)


def _expand_dims(attrs, x):
    if not -x.ndim - 1 <= attrs[0] <= x.ndim:
        raise ShapeMismatch(
            f"Tried to expand dim index {attrs[0]} for tensor with {x.ndim} dimensions."
        )
    at = attrs[0] % (x.ndim + 1)
    return mv.reshape(x, x.shape[:at] + (1,) + x.shape[at:])


def _squeeze(attrs, x):
    axes = attrs[0]
    if axes is None or axes == ():
        return mv.reshape(x, [n for n in x.shape if n != 1])
    given = (axes,) if isinstance(axes, int) else axes
    found = {axis_of(a, x.ndim, "squeeze dimension") for a in given}
    for a in sorted(found):
        if x.shape[a] != 1:
            raise ShapeMismatch(
                f"Can not squeeze dim[{a}], expected a dimension of 1, got {x.shape[a]}"
            )
    return mv.reshape(x, [n for i, n in enumerate(x.shape) if i not in found])


def _transpose(attrs, x):
    order = attrs[0]
    if order is None:
        return mv.permute(x, range(x.ndim)[::-1])
    if len(order) != x.ndim:
        raise ShapeMismatch(
            f"transpose expects a vector of size {x.ndim}. But input(1) is a vector of size "
            f"{len(order)}"
        )
    order = tuple(axis_of(a, x.ndim, "transpose axis") for a in order)
    for a in range(x.ndim):
        if a not in order:
            raise ShapeMismatch(f"{a} is missing from {{{','.join(map(str, order))}}}.")
    return mv.permute(x, order)


def _broadcast_to(attrs, x):
    shape = attrs[0]
    lead = len(shape) - x.ndim
    tail = shape[lead:]
    if lead < 0 or any(a not in (1, b) for a, b in zip(x.shape, tail, strict=True)):
        raise ShapeMismatch(f"Incompatible shapes: {show(x.shape)} vs. {show(shape)}")
    return mv.expand(x, shape)


def _tile(attrs, x):
    counts = attrs[0]
    if len(counts) != x.ndim:
        raise ShapeMismatch(
            f"Expected multiples argument to be a vector of length {x.ndim} but got length "
            f"{len(counts)}"
        )
    apart = [s for n in x.shape for s in (1, n)]
    wide = [s for n, k in zip(x.shape, counts, strict=True) for s in (k, n)]
    whole = [n * k for n, k in zip(x.shape, counts, strict=True)]
    return mv.reshape(mv.expand(mv.reshape(x, apart), wide), whole)


def _shape_node(attrs, x):
    parts = [mv.reshape(const(n, attrs[0]), (1,)) for n in x.shape]
    return mv.concat(parts, 0) if parts else mv.zeros((0,), attrs[0])


RESHAPE = FaceCall("Reshape", _reshape)
EXPAND_DIMS = FaceCall("ExpandDims", _expand_dims)
SQUEEZE = FaceCall("Squeeze", _squeeze)
TRANSPOSE = FaceCall("Transpose", _transpose)
BROADCAST_TO = FaceCall("BroadcastTo", _broadcast_to)
TILE = FaceCall("Tile", _tile)
# attrs: (engine dtype of the result,)
SHAPE = FaceCall(
    "Shape",
    _shape_node,
    False,
    lambda attrs, shape: np.array(shape, np.int64),
    result_dtype=_given_dtype,
)
SIZE = FaceCall(
    "Size",
    lambda attrs, x: const(x.form.size, attrs[0]),
    False,
    lambda attrs, shape: np.array(prod(shape), np.int64),
    result_dtype=_given_dtype,
)
RANK = FaceCall(
    "Rank",
    lambda attrs, x: const(x.ndim, int32),
    False,
    lambda attrs, shape: np.array(len(shape), np.int64),
    result_dtype=lambda attrs: BY_ENGINE[int32],
)


def _ensure_shape(attrs, x):
    wanted = attrs[0]
    fits = len(wanted) == x.ndim and all(
        n is None or n == m for n, m in zip(wanted, x.shape, strict=True)
    )
    if not fits:
        raise ShapeMismatch(
            f"Shape of tensor input {show(x.shape)} is not compatible with expected shape "
            f"{show(wanted)}."
        )
    return x


ENSURE_SHAPE = FaceCall("EnsureShape", _ensure_shape)


# ---------- making values: attrs end with the engine dtype ----------
def _fill(attrs, value):
    """attrs: (shape,)"""
    if value.ndim:
        raise ShapeMismatch(f"value must be a scalar, got shape {show(value.shape)}")
    return mv.expand(value, attrs[0])


def _range(attrs):
    start, limit, step, dtype = attrs
    if step == 0:
        raise ShapeMismatch("Requires delta != 0: 0")
    if (limit - start) * step < 0:
        sign = "<=" if step > 0 else ">="
        raise ShapeMismatch(f"Requires start {sign} limit when delta {sign[0]} 0: {start}/{limit}")
    count = max(0, int(np.ceil((limit - start) / step)))
    cells = mv.iota((count,), 0, dtype)
    cells = cells if step == 1 else cells * step
    return cells if start == 0 else cells + start


def _linspace(attrs, start, stop):
    """attrs: (number of cells,)"""
    same_type("LinSpace", start, stop, "stop", "start")
    n = attrs[0]
    if n < 1:
        raise ShapeMismatch(f"Requires num > 0: {n}")
    step = (stop - start) / float(max(n - 1, 1))
    return mv.expand(start, (n,)) + mv.iota((n,), 0, start.dtype) * mv.expand(step, (n,))


def _one_hot(attrs, index, on, off):
    """attrs: (depth, axis)"""
    require("OneHot", index, "iu", "indices")
    depth, axis = attrs
    at = axis_of(axis, index.ndim + 1)
    wide = index.shape[:at] + (depth,) + index.shape[at:]
    thin = index.shape[:at] + (1,) + index.shape[at:]
    hit = el.eq(mv.iota(wide, at, index.dtype), mv.reshape(index, thin))
    on, off = paired("OneHot", (), on, off)
    return el.where(hit, on, off)


def _eye(attrs):
    rows, columns, batch, dtype = attrs
    shape = (*batch, rows, columns)
    ndim = len(shape)
    hit = el.eq(mv.iota(shape, ndim - 2, int32), mv.iota(shape, ndim - 1, int32))
    return el.cast(hit, dtype)


def _band_part(attrs, x):
    lower, upper = attrs
    row, column = mv.iota(x.shape, x.ndim - 2, int32), mv.iota(x.shape, x.ndim - 1, int32)
    out = x
    if lower >= 0:
        out = el.where(el.le(row - column, lower), out, 0)
    return el.where(el.le(column - row, upper), out, 0) if upper >= 0 else out


def _diagonal(attrs, x):
    """The square matrices with x on their diagonals."""
    shape = (*x.shape, x.shape[-1])
    n = len(shape)
    hit = el.eq(mv.iota(shape, n - 2, int32), mv.iota(shape, n - 1, int32))
    return el.where(hit, mv.expand(mv.reshape(x, x.shape + (1,)), shape), 0)


def _diagonal_part(attrs, x):
    n = min(x.shape[-2:])
    x = mv.slice_(x, [(0, s, 1) for s in x.shape[:-2]] + [(0, n, 1)] * 2)
    hit = el.eq(mv.iota(x.shape, x.ndim - 2, int32), mv.iota(x.shape, x.ndim - 1, int32))
    from gemel.ops.reduction import sum_

    return sum_(el.where(hit, x, 0), -1)


FILL = FaceCall("Fill", _fill)
RANGE = FaceCall("Range", _range, False, result_dtype=_given_dtype)
LINSPACE = FaceCall("LinSpace", _linspace)
ONE_HOT = FaceCall("OneHot", _one_hot)
EYE = FaceCall("Eye", _eye, False, result_dtype=_given_dtype)
BAND_PART = FaceCall("MatrixBandPart", _band_part)
DIAGONAL = FaceCall("MatrixDiag", _diagonal)
DIAGONAL_PART = FaceCall("MatrixDiagPart", _diagonal_part)


# ---------- joining and cutting ----------
def _alike(name: str, xs) -> None:
    for i, x in enumerate(xs[1:], 1):
        if x.dtype is not xs[0].dtype:
            raise TypeMismatch(
                f"cannot compute {name} as input #{i}(zero-based) was expected to be a "
                f"{BY_ENGINE[xs[0].dtype].enum_name} tensor but is a "
                f"{BY_ENGINE[x.dtype].enum_name} tensor",
                f"Tensors in list passed to 'values' of '{name}' Op have types "
                f"[{', '.join(v.dtype.name for v in xs)}] that don't all match.",
            )


def _concat(attrs, *xs):
    _alike("ConcatV2", xs)
    at = axis_of(attrs[0], xs[0].ndim, "ConcatOp : Expected concatenating dimension: dimension")
    for i, x in enumerate(xs):
        if x.ndim != xs[0].ndim:
            raise ShapeMismatch(
                f"ConcatOp : Ranks of all input tensors should match: shape[0] = "
                f"{show(xs[0].shape)} vs. shape[{i}] = {show(x.shape)}"
            )
        for d in range(x.ndim):
            if d != at and x.shape[d] != xs[0].shape[d]:
                raise ShapeMismatch(
                    f"ConcatOp : Dimension {d} in both shapes must be equal: shape[0] = "
                    f"{show(xs[0].shape)} vs. shape[{i}] = {show(x.shape)}"
                )
    return mv.concat(xs, at)


def _stack(attrs, *xs):
    _alike("Pack", xs)
    for i, x in enumerate(xs):
        if x.shape != xs[0].shape:
            raise ShapeMismatch(
                f"Shapes of all inputs must match: values[0].shape = {show(xs[0].shape)} != "
                f"values[{i}].shape = {show(x.shape)}"
            )
    return mv.stack(xs, axis_of(attrs[0], xs[0].ndim + 1))


def _unstack(attrs, x):
    """attrs: (count, axis)"""
    count, axis = attrs
    at = axis_of(axis, x.ndim)
    if x.shape[at] != count:
        raise ShapeMismatch(f"Cannot unstack {x.shape[at]} values of axis {at} into {count}")
    rest = x.shape[:at] + x.shape[at + 1 :]
    return tuple(mv.reshape(mv.narrow(x, at, i, 1), rest) for i in range(count))


def _split(attrs, x):
    """attrs: (number of parts or their sizes, axis)"""
    parts, axis = attrs
    at = axis_of(axis, x.ndim, "split dimension")
    size = x.shape[at]
    sizes = list(parts) if isinstance(parts, tuple) else _even(parts, at, size)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = size - sum(n for n in sizes if n != -1)
    if sum(sizes) != size or min(sizes, default=0) < 0:
        raise ShapeMismatch(
            f"Determined shape must either match input shape along split_dim exactly if fully "
            f"specified, or be less than the size of the input along split_dim if not fully "
            f"specified. Got: {sizes} for a size of {size}"
        )
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return tuple(mv.narrow(x, at, a, n) for a, n in zip(starts, sizes, strict=True))


def _even(parts: int, at: int, size: int) -> list[int]:
    if parts < 1 or size % parts:
        raise ShapeMismatch(
            f"Number of ways to split should evenly divide the split dimension, but got split_dim "
            f"{at} (size = {size}) and num_split {parts}"
        )
    return [size // parts] * parts


def _pad(attrs, x, value):
    """attrs: (((before, after), ...), mode)"""
    widths, mode = attrs
    if len(widths) != x.ndim or any(len(w) != 2 for w in widths):
        raise ShapeMismatch(
            f"The first dimension of paddings must be the rank of inputs: [{len(widths)},2] "
            f"{show(x.shape)}"
        )
    if mode != "CONSTANT":
        return _mirrored(x, widths, 1 if mode == "REFLECT" else 0)
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
    spec = [(a, a + n, 1) for n, (a, b) in zip(x.shape, widths, strict=True)]
    return mv.update_slice(mv.expand(el.cast(value, x.dtype), shape), x, spec)


def _mirrored(x: Node, widths, edge: int) -> Node:
    """Rows of the border repeated outwards, without (edge 1) or with the outermost one."""
    for axis, (before, after) in enumerate(widths):
        n = x.shape[axis]
        if max(before, after) > n - edge:
            raise ShapeMismatch(f"paddings must be no greater than the dimension size: {widths}")
        first = mv.flip(mv.narrow(x, axis, edge, before), (axis,))
        last = mv.flip(mv.narrow(x, axis, n - edge - after, after), (axis,))
        x = mv.concat([p for p in (first, x, last) if p.shape[axis]], axis)
    return x


def _reverse(attrs, x):
    return mv.flip(x, tuple(axis_of(a, x.ndim) for a in attrs[0]))


def _roll(attrs, x):
    shifts, axes = attrs
    for shift, axis in zip(shifts, axes, strict=True):
        at = axis_of(axis, x.ndim)
        n = x.shape[at]
        cut = -shift % n if n else 0
        parts = [mv.narrow(x, at, cut, n - cut), mv.narrow(x, at, 0, cut)]
        x = mv.concat([p for p in parts if p.shape[at]], at)
    return x


def _slice(attrs, x):
    begin, size = attrs
    if len(begin) != x.ndim or len(size) != x.ndim:
        raise ShapeMismatch(
            f"Expected begin and size arguments to be 1-D tensors of size {x.ndim}, but got "
            f"shapes [{len(begin)}] and [{len(size)}] instead."
        )
    spec = []
    for i, (a, n, whole) in enumerate(zip(begin, size, x.shape, strict=True)):
        n = whole - a if n == -1 else n
        if not 0 <= a <= whole or not 0 <= n <= whole - a:
            raise ShapeMismatch(
                f"Expected size[{i}] in [0, {whole - a}], but got {n}, from {a} of {whole}"
            )
        spec.append((a, a + n, 1) if n else (0, 0, 1))
    return mv.slice_(x, spec)


SLICE = FaceCall("Slice", _slice)
CONCAT = FaceCall("ConcatV2", _concat)
STACK = FaceCall("Pack", _stack)
UNSTACK = FaceCall("Unpack", _unstack)
SPLIT = FaceCall("Split", _split)
PAD = FaceCall("Pad", _pad)
REVERSE = FaceCall("ReverseV2", _reverse)
ROLL = FaceCall("Roll", _roll)


# ---------- picking ----------
def _in_range(index: Node, size: int, text: str) -> Node:
    fault = Fault(InvalidArgumentError, text)
    return el.check_range(index, 0, size, fault)


def _gather(attrs, x, index):
    """attrs: (axis, batch_dims)"""
    axis, batch = attrs
    require("GatherV2", index, "i", "indices")
    at = axis_of(axis, x.ndim)
    size = x.shape[at]
    text = f"indices = {{value}} is not in [0, {size})"
    index = _in_range(index, size, text)
    return _gather_batched(x, index, at, batch) if batch else gather(x, index, at)


def _gather_batched(x: Node, index: Node, at: int, batch: int) -> Node:
    """The leading axes of x and index run together: they become part of a linear index."""
    order = (*range(batch), at, *(a for a in range(batch, x.ndim) if a != at))
    x = mv.permute(x, order)
    sizes = x.shape[: batch + 1]
    parts = [mv.iota(index.shape, a, index.dtype) for a in range(batch)]
    linear = linear_index([*parts, index], sizes)
    out = gather(merge_axes(x, 0, batch + 1), linear, 0)
    picked = range(batch, index.ndim)
    middle = range(index.ndim, index.ndim + at - batch)
    rest = range(index.ndim + at - batch, out.ndim)
    return mv.permute(out, (*range(batch), *middle, *picked, *rest))


def _rows(x: Node, index: Node) -> tuple[Node, int]:
    """gather_nd's last axis of indices as one linear index over the merged leading axes."""
    depth = index.shape[-1]
    if depth > x.ndim:
        raise ShapeMismatch(
            f"index innermost dimension length must be <= params rank; saw: {depth} vs. {x.ndim}"
        )
    lead = index.shape[:-1]
    columns = []
    for d in range(depth):
        column = mv.reshape(mv.narrow(index, index.ndim - 1, d, 1), lead)
        text = f"indices column {d} = {{value}} does not index into param shape {show(x.shape)}"
        columns.append(_in_range(column, x.shape[d], text))
    return linear_index(columns, x.shape[:depth]), depth


def _gather_nd(attrs, x, index):
    require("GatherNd", index, "i", "indices")
    if index.shape[-1] == 0:
        return mv.expand(x, index.shape[:-1] + x.shape)
    linear, depth = _rows(x, index)
    return gather(merge_axes(x, 0, depth), linear, 0)


def _scatter_rows(adding: bool, flip: bool = False):
    def expand(attrs, base, index, value):
        same_type("TensorScatter", base, value, "updates", "tensor")
        linear, depth = _rows(base, index)
        flat = merge_axes(base, 0, depth)
        rows = prod(linear.shape)
        value = mv.reshape(-value if flip else value, (rows, *flat.shape[1:]))
        put = scatter_add if adding else scatter_set
        return mv.reshape(put(flat, mv.reshape(linear, (rows,)), value, 0), base.shape)

    return expand


def _scatter_nd(attrs, index, value):
    """attrs: (shape,)"""
    base = mv.zeros(attrs[0], value.dtype)
    return _scatter_rows(True)(attrs, base, index, value)


def _where(attrs, c, x, y):
    side = attrs[0] if attrs else 0
    require("SelectV2", c, "b", "condition")
    x, y = paired("SelectV2", (side,), x, y)
    paired("SelectV2", (), el.cast(c, x.dtype), x)
    return el.where(c, x, y)


def _where_low(attrs, c, x):
    """attrs: the number where the condition does not hold, as part of the program."""
    return _where((), c, x, el.const(attrs[0], x.dtype))


GATHER = FaceCall("GatherV2", _gather)
GATHER_ND = FaceCall("GatherNd", _gather_nd)
SCATTER_ND = FaceCall("ScatterNd", _scatter_nd)
SCATTER_UPDATE = FaceCall("TensorScatterUpdate", _scatter_rows(False))
SCATTER_ADD = FaceCall("TensorScatterAdd", _scatter_rows(True))
SCATTER_SUB = FaceCall("TensorScatterSub", _scatter_rows(True, True))
WHERE = FaceCall("SelectV2", _where)
WHERE_LOW = FaceCall("SelectV2", _where_low)
