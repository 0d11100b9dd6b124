"""Movement: values that only change place. Read as views, written back by `update_slice`.

A slice is a tuple of (start, stop, step) per axis, already normalised: step may be negative (start
then lies above stop, stop may be -1 for "down to the first").
"""

from __future__ import annotations

from math import prod

import numpy as np

from gemel.graph.errors import DTypeError, ShapeError
from gemel.graph.form import DType, Form, form
from gemel.graph.node import Node

from .record import Primitive, const


def _reshape_infer(attrs, f: Form) -> Form:
    if prod(attrs[0]) != f.size:
        raise ShapeError("reshape", f"{f.size} values do not fill {list(attrs[0])}", (f,))
    return form(attrs[0], f.dtype)


RESHAPE = Primitive(
    "reshape",
    "movement",
    1,
    _reshape_infer,
    (lambda g, y, x: reshape(g, x.shape),),
    lambda attrs, x: np.reshape(x, attrs[0]),
)


def _permute_infer(attrs, f: Form) -> Form:
    if sorted(attrs[0]) != list(range(f.ndim)):
        raise ShapeError("permute", f"{list(attrs[0])} is no order of {f.ndim} axes", (f,))
    return form(tuple(f.shape[a] for a in attrs[0]), f.dtype)


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order that undoes `axes`."""
    out = [0] * len(axes)
    for i, a in enumerate(axes):
        out[a] = i
    return tuple(out)


PERMUTE = Primitive(
    "permute",
    "movement",
    1,
    _permute_infer,
    (lambda g, y, x: permute(g, inverse(y.attrs[0])),),
    lambda attrs, x: np.transpose(x, attrs[0]),
)


def _expand_infer(attrs, f: Form) -> Form:
    shape = attrs[0]
    tail = shape[len(shape) - f.ndim :] if f.ndim else ()
    if len(shape) < f.ndim or any(a != b and a != 1 for a, b in zip(f.shape, tail, strict=True)):
        raise ShapeError("expand", f"{list(f.shape)} does not expand to {list(shape)}", (f,))
    return form(shape, f.dtype)


def sum_to(x: Node, shape: tuple[int, ...]) -> Node:
    """Sum over the axes along which `shape` was expanded to x's shape."""
    from .reduction import sum_

    if x.shape == shape:
        return x
    lead = x.ndim - len(shape)
    axes = [*range(lead)]
    axes += [lead + i for i, n in enumerate(shape) if n == 1 and x.shape[lead + i] != 1]
    return reshape(sum_(x, tuple(axes), True), shape)


EXPAND = Primitive(
    "expand",
    "movement",
    1,
    _expand_infer,
    (lambda g, y, x: sum_to(g, x.shape),),
    lambda attrs, x: np.broadcast_to(x, attrs[0]),
)


def slice_size(start: int, stop: int, step: int) -> int:
    return max(0, -(-(stop - start) // step)) if step > 0 else max(0, -(-(start - stop) // -step))


def slice_shape(spec) -> tuple[int, ...]:
    return tuple(slice_size(*s) for s in spec)


def as_slices(spec) -> tuple[slice, ...]:
    """The spec in Python's slices (where stop None means past the first, going down)."""
    return tuple(slice(a, b if b >= 0 else None, c) for a, b, c in spec)


def _inside(op: str, f: Form, spec) -> None:
    if len(spec) != f.ndim:
        raise ShapeError(op, f"{len(spec)} slices for {f.ndim} axes", (f,))
    for n, (start, stop, step) in zip(f.shape, spec, strict=True):
        size = slice_size(start, stop, step)
        if step == 0 or size and not (0 <= start < n and 0 <= start + (size - 1) * step < n):
            raise ShapeError(op, f"slice {start}:{stop}:{step} of {n}", (f,))


def _slice_infer(attrs, f: Form) -> Form:
    _inside("slice", f, attrs[0])
    return form(slice_shape(attrs[0]), f.dtype)


SLICE = Primitive(
    "slice",
    "movement",
    1,
    _slice_infer,
    (lambda g, y, x: update_slice(zeros(x.shape, x.dtype), g, y.attrs[0]),),
    lambda attrs, x: x[as_slices(attrs[0])],
)


def _update_infer(attrs, base: Form, value: Form) -> Form:
    _inside("update_slice", base, attrs[0])
    if slice_shape(attrs[0]) != value.shape:
        raise ShapeError("update_slice", f"the slice is {slice_shape(attrs[0])}", (base, value))
    if base.dtype is not value.dtype:
        raise DTypeError("update_slice", "one element type is needed", (base, value))
    return base


def _update_reference(attrs, base, value):
    out = np.array(base)
    out[as_slices(attrs[0])] = value
    return out


# attrs: (spec,): `base` with `value` written at the slice
UPDATE_SLICE = Primitive(
    "update_slice",
    "movement",
    2,
    _update_infer,
    (
        lambda g, y, b, v: update_slice(g, zeros(v.shape, v.dtype), y.attrs[0]),
        lambda g, y, b, v: slice_(g, y.attrs[0]),
    ),
    _update_reference,
)


def _concat_infer(attrs, *forms: Form) -> Form:
    axis = attrs[0]
    rest = {(f.shape[:axis], f.shape[axis + 1 :], f.dtype) for f in forms}
    if not forms or len(rest) != 1 or axis >= forms[0].ndim:
        raise ShapeError("concat", f"values differ elsewhere than along axis {axis}", forms)
    f = forms[0]
    size = sum(x.shape[axis] for x in forms)
    return form(f.shape[:axis] + (size,) + f.shape[axis + 1 :], f.dtype)


def _concat_gradient(g: Node, y: Node, *xs: Node) -> list[Node]:
    axis = y.attrs[0]
    out = []
    at = 0
    for x in xs:
        out.append(narrow(g, axis, at, x.shape[axis]))
        at += x.shape[axis]
    return out


CONCAT = Primitive(
    "concat",
    "movement",
    -1,
    _concat_infer,
    _concat_gradient,
    lambda attrs, *xs: np.concatenate(xs, attrs[0]),
)


def _iota_infer(attrs) -> Form:
    shape, axis, dtype = attrs
    return form(shape, dtype)


def _iota_reference(attrs):
    shape, axis, dtype = attrs
    row = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return np.broadcast_to(row, shape).astype(dtype.numpy)


# attrs: (shape, axis, DType): each cell is its position along the axis
IOTA = Primitive("iota", "source", 0, _iota_infer, (), _iota_reference)


# the value itself, in row-major memory of its own; passes insert it where a view must be stored
COPY = Primitive(
    "copy",
    "elementwise",
    1,
    lambda attrs, f: f,
    (lambda g, y, x: g,),
    lambda attrs, x: x,
    lambda e, attrs, x: x,
)

# the first argument; what is computed of it is computed once the second is known, and not together
# with what is computed of the argument itself
AFTER = Primitive(
    "after",
    "movement",
    2,
    lambda attrs, f, other: f,
    (lambda g, y, x, other: g, None),
    lambda attrs, x, other: x,
)


# ---------- functions over nodes ----------
def reshape(x: Node, shape) -> Node:
    shape = tuple(shape)
    return x if x.shape == shape else RESHAPE(x, attrs=(shape,))


def permute(x: Node, axes) -> Node:
    axes = tuple(axes)
    return x if axes == tuple(range(x.ndim)) else PERMUTE(x, attrs=(axes,))


def swap(x: Node, a: int = -1, b: int = -2) -> Node:
    """x with two axes exchanged."""
    axes = list(range(x.ndim))
    axes[a], axes[b] = axes[b], axes[a]
    return permute(x, axes)


def expand(x: Node, shape) -> Node:
    shape = tuple(shape)
    return x if x.shape == shape else EXPAND(x, attrs=(shape,))


def slice_(x: Node, spec) -> Node:
    spec = tuple(tuple(s) for s in spec)
    whole = all(s == (0, n, 1) for s, n in zip(spec, x.shape, strict=True))
    return x if whole else SLICE(x, attrs=(spec,))


def narrow(x: Node, axis: int, start: int, size: int) -> Node:
    spec = [(0, n, 1) for n in x.shape]
    spec[axis] = (start, start + size, 1)
    return slice_(x, spec)


def flip(x: Node, axes) -> Node:
    spec = [(n - 1, -1, -1) if i in axes and n else (0, n, 1) for i, n in enumerate(x.shape)]
    return slice_(x, spec)


def update_slice(base: Node, value: Node, spec) -> Node:
    return UPDATE_SLICE(base, value, attrs=(tuple(tuple(s) for s in spec),))


def concat(xs, axis: int) -> Node:
    xs = tuple(xs)
    return xs[0] if len(xs) == 1 else CONCAT(*xs, attrs=(axis,))


def stack(xs, axis: int) -> Node:
    return concat([reshape(x, x.shape[:axis] + (1,) + x.shape[axis:]) for x in xs], axis)


def full(shape, value, dtype: DType) -> Node:
    return expand(const(value, dtype), shape)


def zeros(shape, dtype: DType) -> Node:
    return full(shape, 0, dtype)


def pad(x: Node, widths, value=0) -> Node:
    """x with (before, after) cells of `value` around each axis; both may be 0, none negative."""
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
    spec = [(a, a + n, 1) for n, (a, b) in zip(x.shape, widths, strict=True)]
    return x if shape == x.shape else update_slice(full(shape, value, x.dtype), x, spec)


def iota(shape, axis: int, dtype: DType) -> Node:
    return IOTA(attrs=(tuple(shape), axis, dtype))


def arange(size: int, dtype: DType) -> Node:
    return iota((size,), 0, dtype)
