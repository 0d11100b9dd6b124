"""Tensors put together or repeated: cat, stack, tile, repeat, flip, roll, meshgrid."""

from __future__ import annotations

from gemel.ops import movement
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.tensor import record1, record_n

from .checks import dimension
from .define import into
from .dtypes import int64
from .promotion import result_type
from .size import shape_of
from .tensor import Tensor, attach


def _listed(name: str, tensors) -> tuple[Tensor, ...]:
    if isinstance(tensors, Tensor):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor"
        )
    tensors = tuple(tensors)
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}"
            )
    return tensors


def _cat(attrs, *xs):
    dtype = result_type(*xs)
    # PyTorch lets empty vectors take part in any concatenation
    xs = tuple(x for x in xs if x.shape != (0,)) or xs[:1]
    axis = dimension(attrs[0], xs[0].ndim)
    if not xs[0].ndim:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    for i, x in enumerate(xs[1:], 1):
        if x.ndim != xs[0].ndim:
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {xs[0].ndim} and {x.ndim}"
            )
        for d, (n, m) in enumerate(zip(xs[0].shape, x.shape, strict=True)):
            if d != axis and n != m:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size {n} "
                    f"but got size {m} for tensor number {i} in the list."
                )
    return movement.concat([cast(x, dtype) for x in xs], axis)


CAT = Call("cat", _cat)


def cat(tensors, dim=0, *, out=None) -> Tensor:
    """Tensors one after the other along an existing dimension."""
    tensors = _listed("cat", tensors)
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    return into(out, record_n(CAT, Tensor, tensors, (dim,)))


concat = concatenate = cat


def _stack(attrs, *xs):
    for i, x in enumerate(xs):
        if x.shape != xs[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(xs[0].shape)} at entry "
                f"0 and {list(x.shape)} at entry {i}"
            )
    axis = dimension(attrs[0], xs[0].ndim + 1)
    dtype = result_type(*xs)
    return movement.stack([cast(x, dtype) for x in xs], axis)


STACK = Call("stack", _stack)


def stack(tensors, dim=0, *, out=None) -> Tensor:
    """Tensors of one shape as slices of a new dimension."""
    tensors = _listed("stack", tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    return into(out, record_n(STACK, Tensor, tensors, (dim,)))


def _at_least(x: Tensor, ndim: int) -> Tensor:
    shape = x.form.shape
    return x if len(shape) >= ndim else x.reshape((1,) * (ndim - len(shape)) + shape)


def atleast_1d(*tensors):
    """At least one dimension."""
    found = tuple(_at_least(x, 1) for x in _given(tensors))
    return found[0] if len(found) == 1 else found


def atleast_2d(*tensors):
    """At least two dimensions."""
    found = tuple(_at_least(x, 2) for x in _given(tensors))
    return found[0] if len(found) == 1 else found


def _given(tensors):
    return tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors


def hstack(tensors, *, out=None) -> Tensor:
    """Along dimension 1 (vectors: 0)."""
    tensors = [_at_least(x, 1) for x in _listed("hstack", tensors)]
    return cat(tensors, 0 if tensors[0].form.ndim == 1 else 1, out=out)


def vstack(tensors, *, out=None) -> Tensor:
    """Rows below each other."""
    return cat([_at_least(x, 2) for x in _listed("vstack", tensors)], 0, out=out)


def column_stack(tensors, *, out=None) -> Tensor:
    """Vectors as columns, matrices side by side."""
    columns = [
        x.reshape(-1, 1) if x.form.ndim <= 1 else x for x in _listed("column_stack", tensors)
    ]
    return cat(columns, 1, out=out)


row_stack = vstack


# ---------- repetition ----------
def _repeat(attrs, x):
    """As a new axis before each one, expanded, then merged with it."""
    times = attrs[0]
    shape = (1,) * (len(times) - x.ndim) + x.shape
    split = tuple(n for m in shape for n in (1, m))
    wide = tuple(n for k, m in zip(times, shape, strict=True) for n in (k, m))
    merged = tuple(k * m for k, m in zip(times, shape, strict=True))
    return movement.reshape(movement.expand(movement.reshape(x, split), wide), merged)


REPEAT = Call("repeat", _repeat)


@attach()
def repeat(self, *sizes) -> Tensor:
    """Copies side by side: sizes[i] times along dimension i."""
    times = shape_of(sizes)
    if len(times) < self.form.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    return record1(REPEAT, self, (times,))


@attach("tile")
def _tile(self, *dims) -> Tensor:
    times = shape_of(dims)
    return self.repeat((1,) * (self.form.ndim - len(times)) + times)


def tile(input, dims) -> Tensor:
    """Copies side by side; missing counts are 1."""
    return input.tile(dims)


@attach()
def repeat_interleave(input, repeats, dim=None, *, output_size=None) -> Tensor:
    """Each element (or slice along dim) several times in a row. Counts in a tensor are looked
    at, because the shape depends on them."""
    if dim is None:
        input, dim = input.reshape(-1), 0
    axis = dimension(dim, input.form.ndim)
    n = input.form.shape[axis]
    counts = repeats.tolist() if isinstance(repeats, Tensor) else repeats
    if isinstance(counts, list) and len(counts) == 1:
        counts = counts[0]
    if isinstance(counts, int):
        wide = input.unsqueeze(axis + 1)
        shape = (*input.form.shape[: axis + 1], counts, *input.form.shape[axis + 1 :])
        return wide.expand(shape).reshape(
            (*shape[:axis], n * counts, *input.form.shape[axis + 1 :])
        )
    if len(counts) != n:
        raise RuntimeError("repeats must have the same size as input along dim")
    from .creation import tensor

    index = [i for i, k in enumerate(counts) for _ in range(k)]
    return input.index_select(axis, tensor(index, dtype=int64))


# ---------- order ----------
FLIP = Call("flip", lambda attrs, x: movement.flip(x, attrs[0]))


@attach("flip")
def _flip(self, *dims) -> Tensor:
    axes = tuple(dimension(d, self.form.ndim) for d in shape_of(dims))
    return record1(FLIP, self, (axes,))


def flip(input, dims) -> Tensor:
    """The order of elements along the dimensions reversed (a copy)."""
    return input.flip(dims)


@attach()
def fliplr(input) -> Tensor:
    return input.flip(1)


@attach()
def flipud(input) -> Tensor:
    return input.flip(0)


def _roll(attrs, x):
    for shift, axis in attrs[0]:
        n = x.shape[axis]
        k = shift % n if n else 0
        if k:
            tail = movement.narrow(x, axis, n - k, k)
            x = movement.concat([tail, movement.narrow(x, axis, 0, n - k)], axis)
    return x


ROLL = Call("roll", _roll)


@attach()
def roll(input, shifts, dims=None) -> Tensor:
    """Elements moved along the dimensions; what leaves at one end comes in at the other."""
    if dims is None or dims == ():
        return roll(input.reshape(-1), shifts, 0).reshape(input.form.shape)
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(shifts) != len(dims):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}"
        )
    moves = zip(shifts, (dimension(d, input.form.ndim) for d in dims), strict=True)
    return record1(ROLL, input, (tuple(moves),))


def rot90(input, k=1, dims=(0, 1)) -> Tensor:
    """The tensor turned by k quarter turns in the plane of two dimensions."""
    a, b = dims
    k %= 4
    if k == 0:
        return input.clone()
    if k == 2:
        return input.flip(a, b)
    turned = input.transpose(a, b)
    return turned.flip(a) if k == 1 else turned.flip(b)


Tensor.rot90 = rot90


def meshgrid(*tensors, indexing="ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid from its axes; indexing 'ij' or 'xy'."""
    tensors = _given(tensors)
    if indexing not in ("ij", "xy"):
        raise RuntimeError(
            'torch.meshgrid: indexing must be one of "xy" or "ij", but received: ' + indexing
        )
    swap = indexing == "xy" and len(tensors) >= 2
    order = list(range(len(tensors)))
    if swap:
        order[0], order[1] = 1, 0
    shape = tuple(tensors[i].form.size for i in order)
    found = []
    for i, x in enumerate(tensors):
        place = order.index(i)
        side = tuple(x.form.size if d == place else 1 for d in range(len(shape)))
        found.append(x.reshape(side).expand(shape))
    return tuple(found)


def cartesian_prod(*tensors) -> Tensor:
    """All combinations of the vectors' values, one a row."""
    if len(tensors) == 1:
        return tensors[0]
    return stack([g.reshape(-1) for g in meshgrid(*tensors)], 1)
