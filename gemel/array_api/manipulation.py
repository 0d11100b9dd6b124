"""Shapes: what moves elements about."""

from __future__ import annotations

from math import prod

from gemel.graph.errors import ShapeError
from gemel.ops import elementwise as el
from gemel.ops import movement, rearrange
from gemel.ops.record import Call
from gemel.tensor import COPY, look, record1

from .array import Array, check_array
from .dtypes import promote
from .recording import axes_of, axis_of, joined, one


# ---------- one shape for several ----------
def _shapes_together(name: str, *shapes) -> tuple[int, ...]:
    from gemel.graph.form import bool_, form

    try:
        return el.broadcast_shapes(name, *(form(tuple(s), bool_) for s in shapes))
    except ShapeError:
        text = " and ".join(map(str, shapes))
        raise ValueError(f"{name}: shapes {text} do not broadcast") from None


def broadcast_to(x, /, shape) -> Array:
    """x repeated to the shape. ValueError where it does not fit."""
    check_array("broadcast_to", x)
    if _shapes_together("broadcast_to", x.shape, shape) != tuple(shape):
        raise ValueError(f"broadcast_to: shape {x.shape} does not become {tuple(shape)}")
    return look(x, ("expand", tuple(shape)))


def broadcast_arrays(*arrays) -> tuple[Array, ...]:
    """All arrays repeated to their common shape."""
    check_array("broadcast_arrays", *arrays)
    shape = _shapes_together("broadcast_arrays", *(x.shape for x in arrays))
    return tuple(look(x, ("expand", shape)) for x in arrays)


def broadcast_shapes(*shapes) -> tuple[int, ...]:
    """The common shape."""
    return _shapes_together("broadcast_shapes", *shapes)


# ---------- several arrays ----------
CONCAT = Call("concat", lambda attrs, *xs: movement.concat(promote(*xs), attrs[0]))
STACK = Call("stack", lambda attrs, *xs: movement.stack(promote(*xs), attrs[0]))


def concat(arrays, /, *, axis: int | None = 0) -> Array:
    """The arrays one after the other along the axis; flattened first where it is None."""
    arrays = tuple(arrays)
    if not arrays:
        raise ValueError("concat needs at least one array")
    check_array("concat", *arrays)
    if axis is None:
        arrays = tuple(reshape(x, (-1,)) for x in arrays)
        axis = 0
    where = axis_of("concat", axis, arrays[0].ndim)
    rest = {(*x.shape[:where], *x.shape[where + 1 :]) for x in arrays}
    if len(rest) > 1 or not arrays[0].ndim:
        shapes = ", ".join(str(x.shape) for x in arrays)
        raise ValueError(f"concat: shapes {shapes} differ in more than axis {axis}")
    return joined(CONCAT, *arrays, attrs=(where,))


def stack(arrays, /, *, axis: int = 0) -> Array:
    """The arrays along a new axis."""
    arrays = tuple(arrays)
    if not arrays:
        raise ValueError("stack needs at least one array")
    check_array("stack", *arrays)
    if len({x.shape for x in arrays}) > 1:
        shapes = ", ".join(str(x.shape) for x in arrays)
        raise ValueError(f"stack takes arrays of one shape, not {shapes}")
    return joined(STACK, *arrays, attrs=(axis_of("stack", axis, arrays[0].ndim + 1),))


def unstack(x, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The arrays that lie along the axis."""
    check_array("unstack", x)
    where = axis_of("unstack", axis, x.ndim)
    key = (slice(None),) * where
    return tuple(x[(*key, i, ...)] for i in range(x.shape[where]))


# ---------- another shape ----------
def reshape(x, /, shape, *, copy=None) -> Array:
    """The same elements in another shape; one size may be -1.

    copy: True always copies, False never (ValueError where it would have to), None if need be.
    """
    check_array("reshape", x)
    shape = _filled(x, tuple(shape) if isinstance(shape, tuple | list) else (shape,))
    found = look(x, ("reshape", shape))
    if copy is False and found.lens is not None and getattr(found.lens, "strides", 0) is None:
        raise ValueError("reshape: this shape cannot be had without a copy")
    return record1(COPY, found) if copy else found


def _filled(x: Array, shape) -> tuple[int, ...]:
    known = prod(n for n in shape if n != -1)
    if shape.count(-1) > 1:
        raise ValueError(f"reshape: only one size may be -1, not as in {shape}")
    if -1 in shape and known:
        shape = tuple(x.size // known if n == -1 else n for n in shape)
    if prod(shape) != x.size or min(shape, default=0) < 0:
        raise ValueError(f"reshape: {x.size} elements do not fill {tuple(shape)}")
    return shape


def expand_dims(x, /, *, axis: int | tuple[int, ...] = 0) -> Array:
    """New axes of size 1 at these places of the result."""
    check_array("expand_dims", x)
    count = len(axis) if isinstance(axis, tuple) else 1
    at = set(axes_of("expand_dims", axis, x.ndim + count))
    rest = iter(x.shape)
    shape = tuple(1 if i in at else next(rest) for i in range(x.ndim + count))
    return look(x, ("reshape", shape))


def squeeze(x, /, axis) -> Array:
    """Without these axes, which have size 1."""
    check_array("squeeze", x)
    at = axes_of("squeeze", axis, x.ndim)
    if any(x.shape[a] != 1 for a in at):
        raise ValueError(f"squeeze: axis {axis} of shape {x.shape} is not of size 1")
    shape = tuple(n for i, n in enumerate(x.shape) if i not in at)
    return look(x, ("reshape", shape))


def permute_dims(x, /, axes) -> Array:
    """The axes in another order."""
    check_array("permute_dims", x)
    order = axes_of("permute_dims", tuple(axes), x.ndim)
    if len(order) != x.ndim:
        raise ValueError(f"permute_dims: {tuple(axes)} for an array of {x.ndim} dimensions")
    return look(x, ("permute", order))


def matrix_transpose(x, /) -> Array:
    """The last two axes exchanged."""
    check_array("matrix_transpose", x)
    return x.mT


def moveaxis(x, source, destination, /) -> Array:
    """Axes at other places, the rest in their order."""
    check_array("moveaxis", x)
    taken = axes_of("moveaxis", source, x.ndim)
    put = axes_of("moveaxis", destination, x.ndim)
    if len(taken) != len(put):
        raise ValueError(f"moveaxis: {source} and {destination} are of different lengths")
    order = [a for a in range(x.ndim) if a not in taken]
    for place, axis in sorted(zip(put, taken, strict=True)):
        order.insert(place, axis)
    return look(x, ("permute", tuple(order)))


def flip(x, /, *, axis=None) -> Array:
    """The elements in reverse order along the axes."""
    check_array("flip", x)
    at = axes_of("flip", axis, x.ndim)
    spec = tuple((n - 1, -1, -1) if i in at and n else (0, n, 1) for i, n in enumerate(x.shape))
    return look(x, ("slice", spec))


# ---------- repetition ----------
def _roll(attrs, x):
    for axis, shift in attrs[0]:
        x = rearrange.roll(x, shift, axis)
    return x


ROLL = Call("roll", _roll)


def roll(x, /, shift, *, axis=None) -> Array:
    """The elements moved on along the axes, the last ones coming back in front."""
    check_array("roll", x)
    if axis is None:
        flat = reshape(x, (-1,))
        return reshape(one(ROLL, flat, (((0, int(shift)),),)), x.shape)
    at = axis if isinstance(axis, tuple) else (axis,)
    shifts = shift if isinstance(shift, tuple) else (shift,) * len(at)
    if len(at) != len(shifts):
        raise ValueError(f"roll: {len(shifts)} shifts for {len(at)} axes")
    pairs = [(axis_of("roll", a, x.ndim), int(s)) for a, s in zip(at, shifts, strict=True)]
    return one(ROLL, x, (tuple(pairs),))


def tile(x, repetitions, /) -> Array:
    """x beside itself so often along each axis."""
    check_array("tile", x)
    times = tuple(repetitions)
    rank = max(len(times), x.ndim)
    times = (1,) * (rank - len(times)) + times
    shape = (1,) * (rank - x.ndim) + x.shape
    between = tuple(n for t, s in zip(times, shape, strict=True) for n in (t, s))
    folded = tuple(n for s in shape for n in (1, s))
    spread = look(x, ("reshape", folded), ("expand", between))
    return look(spread, ("reshape", tuple(t * s for t, s in zip(times, shape, strict=True))))


def repeat(x, repeats, /, *, axis: int | None = None) -> Array:
    """Each element so often along the axis (of the flattened array where it is None)."""
    from .subscripts import take

    check_array("repeat", x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    where = axis_of("repeat", axis, x.ndim)
    return take(x, _positions(repeats, x.shape[where]), axis=where)


def _positions(repeats, size: int) -> Array:
    import numpy as np

    from gemel.tensor import array_of, from_array

    counts = array_of(repeats) if isinstance(repeats, Array) else np.asarray(repeats)
    if counts.ndim > 1 or counts.size not in (1, size):
        raise ValueError(f"repeat: {counts.size} counts for {size} elements")
    if counts.size and counts.min() < 0:
        raise ValueError("repeat: a count is negative")
    counts = np.broadcast_to(counts.reshape(-1), (size,))
    return from_array(np.repeat(np.arange(size, dtype=np.int64), counts), Array)
