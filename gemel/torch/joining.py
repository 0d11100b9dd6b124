"""Tensors put together or repeated: cat, stack, tile, repeat, flip, roll, meshgrid."""

from __future__ import annotations

from math import prod

from gemel.ops import movement
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.tensor import joined, record1, record_n

from .checks import dimension, dimensions
from .define import into
from .dtypes import int64, short_name
from .overlap import BETWEEN, check_overlap
from .promotion import can_cast, result_type
from .size import shape_of
from .tensor import Tensor, attach


def _listed(name: str, tensors, some: bool = False) -> tuple[Tensor, ...]:
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
    if some and not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
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


def cat(tensors=None, dim=0, *, axis=None, out=None) -> Tensor:
    """Tensors one after the other along an existing dimension."""
    tensors = _listed("cat", tensors)
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    dim = dim if axis is None else axis
    made = joined(CAT, tensors, dim, False)
    if made is None:
        made = record_n(CAT, Tensor, tensors, (dim,))
    return made if out is None else _cat_into(out, made, tensors)


def _cat_into(out: Tensor, made: Tensor, tensors: tuple[Tensor, ...]) -> Tensor:
    if not can_cast(made.form.dtype, out.form.dtype):
        raise TypeError(
            "torch.cat(): input types can't be cast to the desired output type "
            f"{short_name(out.form.dtype)}"
        )
    if any(x is out for x in tensors):
        raise RuntimeError(BETWEEN)
    check_overlap(out, tensors, partial=False)
    return into(out, made, *tensors, name="cat")


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
    tensors = _listed("stack", tensors, True)
    made = joined(STACK, tensors, dim, True)
    return into(out, record_n(STACK, Tensor, tensors, (dim,)) if made is None else made)


# ---------- at least so many dimensions ----------
def _row(x: Tensor) -> Tensor:
    return x if x.form.ndim else x.reshape(1)


def _matrix(x: Tensor) -> Tensor:
    return x if x.form.ndim > 1 else x.reshape(1, -1)


def _block(x: Tensor) -> Tensor:
    if x.form.ndim > 2:
        return x
    return _matrix(x).unsqueeze(-1) if x.form.ndim < 2 else x.unsqueeze(-1)


def _at_least(name: str, shaped, what: str):
    def function(*tensors):
        given = tensors
        if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
            given = tuple(tensors[0])
        for x in given:
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"{name}() received an invalid combination of arguments - got "
                    f"({type(x).__name__}), but expected (Tensor input) or (tuple of Tensors "
                    "tensors)"
                )
        found = tuple(shaped(x) for x in given)
        return found[0] if given is tensors and len(found) == 1 else found

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"At least {what}: the tensor, or a tuple where several are given."
    return function


atleast_1d = _at_least("atleast_1d", _row, "one dimension")
atleast_2d = _at_least("atleast_2d", _matrix, "two dimensions")
atleast_3d = _at_least("atleast_3d", _block, "three dimensions")


def hstack(tensors, *, out=None) -> Tensor:
    """Along dimension 1 (vectors: 0)."""
    rows = [_row(x) for x in _listed("hstack", tensors, True)]
    return cat(rows, 0 if rows[0].form.ndim == 1 else 1, out=out)


def vstack(tensors, *, out=None) -> Tensor:
    """Rows below each other."""
    return cat([_matrix(x) for x in _listed("vstack", tensors, True)], 0, out=out)


def dstack(tensors, *, out=None) -> Tensor:
    """Along dimension 2."""
    return cat([_block(x) for x in _listed("dstack", tensors, True)], 2, out=out)


def column_stack(tensors, *, out=None) -> Tensor:
    """Vectors as columns, matrices side by side."""
    given = _listed("column_stack", tensors, True)
    return cat([x.reshape(-1, 1) if x.form.ndim <= 1 else x for x in given], 1, out=out)


row_stack = vstack


def _chunk_cat(tensors, dim, num_chunks) -> Tensor:
    """Each tensor in num_chunks parts along dim (the last filled up with 0), flattened from there
    on, part beside part: [..., num_chunks, all of them]."""
    tensors = _listed("_chunk_cat", tensors)
    if not tensors:
        raise RuntimeError("_chunk_cat expects a non-empty input tensor list")
    if num_chunks < 1:
        raise RuntimeError("_chunk_cat expects positive num_chunks")
    ranks = {x.form.ndim for x in tensors}
    if not all(x.form.size for x in tensors):
        raise RuntimeError("_chunk_cat expects non-empty tensor")
    if len(ranks) > 1 and dim < 0:
        raise RuntimeError(
            "_chunk_cat expects non-negative dim when input tensors have different ndims"
        )
    if dim >= min(ranks):
        raise RuntimeError("_chunk_cat expects dim < ndim for all input tensors")
    axis = dimension(dim, tensors[0].form.ndim)
    found = []
    for x in tensors:
        lead, n, rest = x.form.shape[:axis], x.form.shape[axis], x.form.shape[axis + 1 :]
        if lead != tensors[0].form.shape[:axis]:
            raise RuntimeError(
                "_chunk_cat expects same sizes of 0,...,dim-1 dimensions for all tensors"
            )
        size = -(-n // num_chunks)
        widths = [(0, 0)] * axis + [(0, size * num_chunks - n)] + [(0, 0)] * len(rest)
        wide = record1(PAD, x, (tuple(widths), 0))
        found.append(wide.reshape(*lead, num_chunks, size * prod(rest)))
    return cat(found, axis + 1)


# ---------- borders ----------
PAD = Call("constant_pad_nd", lambda attrs, x: movement.pad(x, *attrs))


def constant_pad_nd(input, pad, value=0) -> Tensor:
    """`value` around the input: (before, after) of the last dimension, then of the one before it
    and so on. Negative widths cut."""
    pad = shape_of((tuple(pad),))
    ndim = input.form.ndim
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) > 2 * ndim:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. Pad "
            f"length is {len(pad)} while the input has {ndim} dimensions."
        )
    widths = [(0, 0)] * (ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    for axis, (before, after) in enumerate(widths):
        n = input.form.shape[axis]
        if n + before + after < 0:
            raise RuntimeError(
                f"The input size {n}, plus negative padding {before} and {after} resulted in a "
                f"negative output size, which is invalid. Check dimension {axis} of your input."
            )
        start = min(max(-before, 0), n)
        input = input.narrow(axis, start, max(n - start - max(-after, 0), 0))
    kept = tuple((max(a, 0), max(b, 0)) for a, b in widths)
    if not any(map(any, kept)):
        return input.clone()
    return record1(PAD, input, (kept, value))


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
def repeat(self, *sizes, repeats=None) -> Tensor:
    """Copies side by side: sizes[i] times along dimension i."""
    times = shape_of(sizes if repeats is None else (repeats,))
    if len(times) < self.form.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    if min(times, default=0) < 0:
        shape = (1,) * (len(times) - self.form.ndim) + self.form.shape
        made = [k * n for k, n in zip(times, shape, strict=True)]
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(made)}: {made}")
    return record1(REPEAT, self, (times,))


@attach("tile")
def _tile(self, *counts, dims=None) -> Tensor:
    times = shape_of(counts if dims is None else (dims,))
    return self.repeat((1,) * (self.form.ndim - len(times)) + times)


def tile(input, dims) -> Tensor:
    """Copies side by side; missing counts are 1."""
    return input.tile(dims)


@attach()
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None) -> Tensor:
    """Each element (or slice along dim) several times in a row. Counts in a tensor are looked
    at, because the shape depends on them. Of counts alone: the number of each, so often."""
    if repeats is None:
        return _counted(input)
    if dim is None:
        input, dim = input.reshape(-1), 0
    axis = dimension(dim, input.form.ndim)
    if not input.form.ndim:
        input = input.reshape(1)
    n = input.form.shape[axis]
    counts = _counts(repeats)
    if isinstance(counts, list) and len(counts) == 1:
        counts = counts[0]
    if isinstance(counts, int):
        if counts < 0:
            raise RuntimeError("Repeats must be non-negative")
        wide = input.unsqueeze(axis + 1)
        shape = (*input.form.shape[: axis + 1], counts, *input.form.shape[axis + 1 :])
        return wide.expand(shape).reshape(
            (*shape[:axis], n * counts, *input.form.shape[axis + 1 :])
        )
    if len(counts) != n:
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{len(counts)} and input.size({axis}) = {n}"
        )
    if output_size is not None and output_size != sum(counts):
        raise RuntimeError("allocated size does not match required size")
    return input.index_select(axis, _counted(counts))


def _counts(repeats):
    """Counts as numbers, checked."""
    if not isinstance(repeats, Tensor):
        return list(repeats) if isinstance(repeats, (tuple, list)) else repeats
    if repeats.form.dtype.name not in ("int32", "int64"):
        raise NotImplementedError(
            f"\"repeat_interleave_cpu\" not implemented for '{short_name(repeats.form.dtype)}'"
        )
    if repeats.form.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    counts = repeats.tolist()
    if isinstance(counts, list) and min(counts, default=0) < 0:
        raise RuntimeError("repeats can not be negative")
    return counts


def _counted(counts) -> Tensor:
    """0 counts[0] times, 1 counts[1] times and so on."""
    from .creation import tensor

    numbers = _counts(counts)
    return tensor([i for i, k in enumerate(numbers) for _ in range(k)], dtype=int64)


# ---------- order ----------
FLIP = Call("flip", lambda attrs, x: movement.flip(x, attrs[0]))


@attach("flip")
def _flip(self, *axes, dims=None) -> Tensor:
    given = shape_of(axes if dims is None else (dims,))
    found = dimensions(given, self.form.ndim)
    return record1(FLIP, self, (found if self.form.ndim else (),))


def flip(input, dims) -> Tensor:
    """The order of elements along the dimensions reversed (a copy)."""
    return input.flip(dims)


@attach("__reversed__")
def _reversed(self) -> Tensor:
    return self.flip(0) if self.form.ndim else self


@attach()
def fliplr(input) -> Tensor:
    """Columns in reverse order."""
    if input.form.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return input.flip(1)


@attach()
def flipud(input) -> Tensor:
    """Rows in reverse order."""
    if not input.form.ndim:
        raise RuntimeError("Input must be >= 1-d.")
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
    shifts = (shifts,) if isinstance(shifts, int) else shape_of((tuple(shifts),))
    dims = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not dims and len(shifts) == 1:
        return roll(input.reshape(-1), shifts, 0).reshape(input.form.shape)
    if not input.form.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    if len(shifts) != len(dims):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}"
        )
    moves = zip(shifts, (dimension(d, input.form.ndim) for d in dims), strict=True)
    return record1(ROLL, input, (tuple(moves),))


def rot90(input, k=1, dims=(0, 1)) -> Tensor:
    """The tensor turned by k quarter turns in the plane of two dimensions."""
    dims = shape_of((tuple(dims),))
    ndim = input.form.ndim
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    a, b = dims
    if a == b or abs(a - b) == ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {a} and dim1 = {b}"
        )
    a, b = dimension(a, ndim), dimension(b, ndim)
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
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for x in tensors:
        if x.form.ndim > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
                f"{list(x.form.shape)}"
            )
        if x.form.dtype is not tensors[0].form.dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
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
    for x in tensors:
        if x.form.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x.form.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([g.reshape(-1) for g in meshgrid(*tensors)], 1)
