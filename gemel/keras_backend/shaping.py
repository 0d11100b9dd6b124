"""Ops of `keras.ops` that move values: reshape, transpose, concatenate, split, pad, repeat."""

from __future__ import annotations

from math import prod

import numpy as np

from gemel import tensor as lazy
from gemel.graph.form import bool_, int64
from gemel.ops import elementwise as E
from gemel.ops import movement as M
from gemel.ops import rearrange as P
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.indexing import gather
from gemel.ops.record import Call

from .creation import sizes
from .tensors import (
    apply,
    dtype_of,
    kind_of,
    result_dtype,
    spelled,
    spoken,
    tensor,
    tensor_class,
    to_dtype,
)


def position(axis, ndim: int) -> int:
    """An axis as a non-negative position; ValueError out of range."""
    axis = int(axis)
    if not -ndim <= axis < ndim:
        raise ValueError(
            f"axis {axis} is out of bounds for a tensor of dimension {ndim}"
        )
    return axis % ndim


def positions(axis, ndim: int) -> tuple[int, ...]:
    """One axis, several or None (all) as sorted positions."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(sorted({position(a, ndim) for a in given}))


_RESHAPE = Call("reshape", lambda attrs, x: M.reshape(x, attrs[0]))
_PERMUTE = Call("transpose", lambda attrs, x: M.permute(x, attrs[0]))
_SLICE = Call("slice", lambda attrs, x: M.slice_(x, attrs[0]))
_FLIP = Call("flip", lambda attrs, x: M.flip(x, attrs[0]))


def _reshaped(x: lazy.Tensor, shape: tuple[int, ...]) -> lazy.Tensor:
    return x if shape == x.form.shape else lazy.record1(_RESHAPE, x, (shape,))


def reshape(x, newshape) -> lazy.Tensor:
    x = tensor(x)
    wanted = sizes(newshape)
    rest = prod(n for n in wanted if n != -1)
    if -1 in wanted and rest:
        wanted = tuple(x.form.size // rest if n == -1 else n for n in wanted)
    elif -1 in wanted:
        wanted = tuple(0 if n == -1 else n for n in wanted)
    if prod(wanted) != x.form.size:
        raise ValueError(
            f"cannot reshape a tensor of shape {x.form.shape} ({x.form.size} values) "
            f"into shape {tuple(sizes(newshape))}"
        )
    return _reshaped(x, wanted)


def ravel(x) -> lazy.Tensor:
    x = tensor(x)
    return _reshaped(x, (x.form.size,))


def transpose(x, axes=None) -> lazy.Tensor:
    x = tensor(x)
    n = x.form.ndim
    order = tuple(range(n))[::-1] if axes is None else tuple(position(a, n) for a in axes)
    if sorted(order) != list(range(n)):
        raise ValueError(f"axes {tuple(axes)} do not match a tensor of shape {x.form.shape}")
    return x if order == tuple(range(n)) else lazy.record1(_PERMUTE, x, (order,))


def swapaxes(x, axis1, axis2) -> lazy.Tensor:
    x = tensor(x)
    order = list(range(x.form.ndim))
    a, b = (position(axis, len(order)) for axis in (axis1, axis2))
    order[a], order[b] = order[b], order[a]
    return transpose(x, order)


def moveaxis(x, source, destination) -> lazy.Tensor:
    x = tensor(x)
    n = x.form.ndim
    pairs = [
        [position(a, n) for a in (given if isinstance(given, (tuple, list)) else (given,))]
        for given in (source, destination)
    ]
    order = [a for a in range(n) if a not in pairs[0]]
    for to, come in sorted(zip(pairs[1], pairs[0], strict=True)):
        order.insert(to, come)
    return transpose(x, order)


def expand_dims(x, axis) -> lazy.Tensor:
    x = tensor(x)
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    n = x.form.ndim + len(given)
    new = {position(a, n) for a in given}
    old = iter(x.form.shape)
    return _reshaped(x, tuple(1 if i in new else next(old) for i in range(n)))


def squeeze(x, axis=None) -> lazy.Tensor:
    x = tensor(x)
    shape = x.form.shape
    gone = positions(axis, len(shape))
    if axis is None:
        gone = tuple(i for i in gone if shape[i] == 1)
    for i in gone:
        if shape[i] != 1:
            raise ValueError(f"cannot squeeze axis {i} of shape {shape}: its size is not 1")
    return _reshaped(x, tuple(n for i, n in enumerate(shape) if i not in gone))


def flip(x, axis=None) -> lazy.Tensor:
    x = tensor(x)
    return lazy.record1(_FLIP, x, (positions(axis, x.form.ndim),))


def fliplr(x) -> lazy.Tensor:
    return flip(x, 1)


def flipud(x) -> lazy.Tensor:
    return flip(x, 0)


def rot90(array, k=1, axes=(0, 1)) -> lazy.Tensor:
    x = tensor(array)
    if x.form.ndim < 2:
        raise ValueError(
            f"Input array must have at least 2 dimensions. Received: array.ndim={x.form.ndim}"
        )
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ValueError(f"Invalid axes: {axes}. Axes must be a tuple of two different dimensions.")
    k %= 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, axes)
    if k == 1:
        return swapaxes(flip(x, axes[1]), *axes)
    return flip(swapaxes(x, *axes), axes[1])


_ROLL = Call("roll", lambda attrs, x: P.roll(x, *attrs))


def roll(x, shift, axis=None) -> lazy.Tensor:
    x = tensor(x)
    if axis is None:
        return _reshaped(roll(ravel(x), shift, 0), x.form.shape)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for n, a in zip(shifts * (len(axes) // len(shifts)), axes, strict=True):
        x = lazy.record1(_ROLL, x, (int(n), position(a, x.form.ndim)))
    return x


# ---------- joining ----------
def _joined(attrs, *xs):
    return M.concat([cast_node(x, attrs[1]) for x in xs], attrs[0])


_CONCAT = Call("concatenate", _joined)


def together(xs) -> list[lazy.Tensor]:
    """Tensors of one element type."""
    xs = [tensor(x) for x in xs]
    dtype = xs[0].form.dtype
    if any(x.form.dtype is not dtype for x in xs):
        dtype = result_dtype(*(kind_of(x) for x in xs))
    return [to_dtype(x, dtype) for x in xs]


def concatenate(xs, axis=0) -> lazy.Tensor:
    xs = together(xs)
    axis = position(axis, xs[0].form.ndim)
    for x in xs[1:]:
        a, b = (list(v.form.shape) for v in (xs[0], x))
        if len(a) != len(b) or a[:axis] + a[axis + 1 :] != b[:axis] + b[axis + 1 :]:
            raise ValueError(
                f"tensors of shapes {[v.form.shape for v in xs]} differ elsewhere than along "
                f"axis {axis} and cannot be concatenated"
            )
    if len(xs) == 1:
        return xs[0]
    return lazy.record_n(_CONCAT, tensor_class(), tuple(xs), (axis, xs[0].form.dtype))


def stack(x, axis=0) -> lazy.Tensor:
    xs = together(x)
    if any(v.form.shape != xs[0].form.shape for v in xs):
        raise ValueError(
            f"stack needs tensors of one shape. Received: {[v.form.shape for v in xs]}"
        )
    axis = position(axis, xs[0].form.ndim + 1)
    return concatenate([expand_dims(v, axis) for v in xs], axis)


def _at_least(x, n: int) -> lazy.Tensor:
    """At least n axes, as NumPy's atleast_nd places them."""
    x = tensor(x)
    shape = x.form.shape
    if n == 3 and len(shape) < 3:
        shape = {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}[len(shape)]
    return _reshaped(x, (1,) * (n - len(shape)) + shape)


def hstack(xs) -> lazy.Tensor:
    xs = [_at_least(x, 1) for x in xs]
    return concatenate(xs, 0 if xs[0].form.ndim == 1 else 1)


def vstack(xs) -> lazy.Tensor:
    return concatenate([_at_least(x, 2) for x in xs], 0)


def dstack(xs) -> lazy.Tensor:
    return concatenate([_at_least(x, 3) for x in xs], 2)


def append(x1, x2, axis=None) -> lazy.Tensor:
    if axis is None:
        return concatenate([ravel(x1), ravel(x2)], 0)
    return concatenate([x1, x2], axis)


# ---------- splitting ----------
def narrow(x: lazy.Tensor, axis: int, start: int, size: int) -> lazy.Tensor:
    """`size` rows from `start` on, along one axis."""
    spec = [(0, n, 1) for n in x.form.shape]
    if spec[axis] == (start, start + size, 1):
        return x
    spec[axis] = (start, start + size, 1) if size else (0, 0, 1)
    return lazy.record1(_SLICE, x, (tuple(spec),))


def _cut(x: lazy.Tensor, axis: int, at: list[int]) -> list[lazy.Tensor]:
    n = x.form.shape[axis]
    edges = [0, *(min(max(a + n if a < 0 else a, 0), n) for a in at), n]
    return [
        narrow(x, axis, a, max(0, b - a)) for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]


def split(x, indices_or_sections, axis=0) -> list[lazy.Tensor]:
    x = tensor(x)
    axis = position(axis, x.form.ndim)
    if not isinstance(indices_or_sections, int):
        return _cut(x, axis, list(sizes(indices_or_sections)))
    n = x.form.shape[axis]
    if n % indices_or_sections:
        raise ValueError(
            f"{n} rows along axis {axis} do not split into {indices_or_sections} equal parts"
        )
    part = n // indices_or_sections
    return _cut(x, axis, [part * i for i in range(1, indices_or_sections)])


def array_split(x, indices_or_sections, axis=0) -> list[lazy.Tensor]:
    x = tensor(x)
    axis = position(axis, x.form.ndim)
    if not isinstance(indices_or_sections, int):
        return _cut(x, axis, list(sizes(indices_or_sections)))
    small, more = divmod(x.form.shape[axis], indices_or_sections)
    ends = [small * i + min(i, more) for i in range(1, indices_or_sections)]
    return _cut(x, axis, ends)


def hsplit(x, indices_or_sections) -> list[lazy.Tensor]:
    x = tensor(x)
    return split(x, indices_or_sections, 0 if x.form.ndim == 1 else 1)


def vsplit(x, indices_or_sections) -> list[lazy.Tensor]:
    return split(x, indices_or_sections, 0)


def dsplit(x, indices_or_sections) -> list[lazy.Tensor]:
    return split(x, indices_or_sections, 2)


def unstack(x, num=None, axis=0) -> list[lazy.Tensor]:
    x = tensor(x)
    axis = position(axis, x.form.ndim)
    return [squeeze(narrow(x, axis, i, 1), axis) for i in range(x.form.shape[axis])]


# ---------- repeating ----------
def tile(x, repeats) -> lazy.Tensor:
    x = tensor(x)
    times = sizes(repeats)
    n = max(len(times), x.form.ndim)
    times = (1,) * (n - len(times)) + times
    shape = (1,) * (n - x.form.ndim) + x.form.shape
    return lazy.record1(_TILE, x, (shape, times))


def _tiled(attrs, x):
    shape, times = attrs
    thin = tuple(v for n in shape for v in (1, n))
    wide = tuple(v for n, t in zip(shape, times, strict=True) for v in (t, n))
    return M.reshape(
        M.expand(M.reshape(x, thin), wide), [n * t for n, t in zip(shape, times, strict=True)]
    )


_TILE = Call("tile", _tiled)


def _repeated(attrs, x):
    times, axis = attrs
    shape = x.shape
    thin = shape[: axis + 1] + (1,) + shape[axis + 1 :]
    wide = shape[: axis + 1] + (times,) + shape[axis + 1 :]
    full = shape[:axis] + (shape[axis] * times,) + shape[axis + 1 :]
    return M.reshape(M.expand(M.reshape(x, thin), wide), full)


_REPEAT = Call("repeat", _repeated)
_ROWS = Call("take", lambda attrs, x, index: gather(x, index, attrs[0]))


def repeat(x, repeats, axis=None) -> lazy.Tensor:
    x = tensor(x)
    if axis is None:
        return repeat(ravel(x), repeats, 0)
    axis = position(axis, x.form.ndim)
    times = sizes(np.asarray(repeats).reshape(-1))
    if len(times) == 1:
        return lazy.record1(_REPEAT, x, (times[0], axis))
    rows = [i for i, t in enumerate(times) for _ in range(t)]
    return apply(_ROWS, x, tensor(rows), attrs=(axis,))


# ---------- padding ----------
def _padded(attrs, x):
    widths, text = attrs
    value = spoken(text, x.dtype)
    shape = [n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)]
    spec = [(a, a + n, 1) for n, (a, _) in zip(x.shape, widths, strict=True)]
    return M.update_slice(M.expand(value, shape), x, spec)


_PAD = Call("pad", _padded)


def pad(x, pad_width, mode="constant", constant_values=None) -> lazy.Tensor:
    x = tensor(x)
    if constant_values is not None and mode != "constant":
        raise ValueError(
            "Argument `constant_values` can only be provided when `mode == 'constant'`. "
            f"Received: mode={mode}"
        )
    widths = _pad_widths(pad_width, x.form.ndim)
    if mode == "constant":
        value = constant_values if constant_values is not None else 0
        value = value.item() if hasattr(value, "item") else value
        return lazy.record1(_PAD, x, (widths, spelled(value)))
    for axis, (before, after) in enumerate(widths):
        x = _reflected(x, axis, before, after, mode)
    return x


def _pad_widths(given, ndim: int) -> tuple[tuple[int, int], ...]:
    if isinstance(given, int):
        given = ((given, given),)
    given = tuple((p, p) if isinstance(p, int) else tuple(p) for p in given)
    if len(given) == 1:
        given *= ndim
    if len(given) != ndim:
        raise ValueError(f"`pad_width` {given} does not match a tensor of dimension {ndim}")
    return tuple((int(a), int(b)) for a, b in given)


def _reflected(x: lazy.Tensor, axis: int, before: int, after: int, mode: str) -> lazy.Tensor:
    """Padding that repeats the tensor's own rows: the row each place takes is known at once."""
    n = x.form.shape[axis]
    if not before and not after:
        return x
    rows = []
    for i in range(-before, n + after):
        if mode == "reflect":
            i = i % (2 * (n - 1)) if n > 1 else 0
            rows.append(min(i, 2 * (n - 1) - i) if n > 1 else 0)
        elif mode == "symmetric":
            i %= 2 * n
            rows.append(min(i, 2 * n - 1 - i))
        elif mode == "edge":
            rows.append(min(max(i, 0), n - 1))
        elif mode == "wrap":
            rows.append(i % n)
        else:
            raise ValueError(
                f"pad mode {mode!r} is not available; there are: constant, reflect, symmetric, "
                "edge, wrap"
            )
    return apply(_ROWS, x, tensor(rows), attrs=(axis,))


# ---------- diagonals ----------
_DIAGONAL = Call("diagonal", lambda attrs, x: P.diagonal(x, *attrs))


def diagonal(x, offset=0, axis1=0, axis2=1) -> lazy.Tensor:
    x = tensor(x)
    n = x.form.ndim
    if n < 2:
        raise ValueError("diagonal requires a tensor of at least two dimensions")
    return lazy.record1(_DIAGONAL, x, (int(offset), position(axis1, n), position(axis2, n)))


def _on_diagonal(attrs, x):
    """A matrix with x on its k-th diagonal."""
    k = attrs[0]
    n = x.shape[0] + abs(k)
    if not x.shape[0]:
        return M.zeros((n, n), x.dtype)
    start = max(0, -k) * n + max(0, k)
    stop = start + (x.shape[0] - 1) * (n + 1) + 1
    flat = M.update_slice(M.zeros((n * n,), x.dtype), x, [(start, stop, n + 1)])
    return M.reshape(flat, (n, n))


_DIAG = Call("diag", _on_diagonal)


def diag(x, k=0) -> lazy.Tensor:
    x = tensor(x)
    if x.form.ndim == 1:
        return lazy.record1(_DIAG, x, (int(k),))
    if x.form.ndim == 2:
        return diagonal(x, k)
    raise ValueError(f"`x` must be 1-d or 2-d. Received: x.shape={x.form.shape}")


def diagflat(x, k=0) -> lazy.Tensor:
    return diag(ravel(x), k)


# ---------- differences ----------
def diff(a, n=1, axis=-1) -> lazy.Tensor:
    x = tensor(a)
    axis = position(axis, x.form.ndim)
    for _ in range(n):
        size = x.form.shape[axis]
        late, early = narrow(x, axis, 1, size - 1), narrow(x, axis, 0, size - 1)
        x = late != early if x.form.dtype is bool_ else late - early
    return x


def unravel_index(indices, shape) -> tuple[lazy.Tensor, ...]:
    x = tensor(indices)
    found = []
    rest = prod(shape)
    for n in shape:
        rest //= n
        found.append(lazy.record1(_UNRAVEL, x, (rest, n)))
    return tuple(found)


_UNRAVEL = Call(
    "unravel_index",
    lambda attrs, x: E.mod(
        cast_node(x, int64) / E.const(attrs[0], int64), E.const(attrs[1], int64)
    ),
)


def vander(x, N=None, increasing=False) -> lazy.Tensor:
    from .arithmetic import power
    from .creation import arange

    x = tensor(x)
    dtype = x.form.dtype
    n = x.form.size if N is None else int(N)
    exponents = arange(n, dtype="float32")
    if not increasing:
        exponents = flip(exponents, 0)
    rows = power(expand_dims(to_dtype(x, result_dtype(kind_of(x), "float32")), 1), exponents)
    return to_dtype(rows, dtype_of(dtype.name))
