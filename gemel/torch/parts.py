"""Parts of a tensor as views: slices, rows, pieces along a dimension, diagonals."""

from __future__ import annotations

from itertools import accumulate, pairwise

from gemel.tensor import look, look_often

from .checks import dimension
from .size import as_int, shape_of
from .tensor import Tensor
from .views import viewing, whole


def sliced(x: Tensor, axis: int, start: int, stop: int, step: int = 1) -> Tensor:
    """A part along one axis; start and stop inside."""
    spec = list(whole(x.form.shape))
    spec[axis] = (start, stop, step)
    return look(x, ("slice", tuple(spec)))


def slice_part(input, dim=0, start=None, end=None, step=1) -> Tensor:
    """The part that `input[start:end:step]` is along dim."""
    if not input.form.ndim:
        raise RuntimeError("slice() cannot be applied to a 0-dim tensor.")
    axis = dimension(dim, input.form.ndim)
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return input[(slice(None),) * axis + (slice(start, end, step),)]


def _start(start, n: int) -> int:
    if isinstance(start, Tensor):
        if start.form.ndim or start.form.dtype.kind not in "ui":
            raise RuntimeError("start must be an 0-dim integral Tensor.")
        start = start.item()
    start = as_int(start)
    if not -n <= start <= n:
        raise IndexError(
            f"start out of range (expected to be in range of [{-n}, {n}], but got {start})"
        )
    return start + n if start < 0 else start


@viewing
def narrow(input, dim, start, length) -> Tensor:
    """`length` elements along dim from `start` on."""
    shape = input.form.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    length = as_int(length)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    axis = dimension(dim, len(shape))
    n = shape[axis]
    start = _start(start, n)
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return sliced(input, axis, start, start + length)


@viewing
def select(input, dim, index) -> Tensor:
    """One slice along dim; the dimension goes."""
    shape = input.form.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = dimension(dim, len(shape))
    n = shape[axis]
    index = as_int(index)
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(shape)} at dimension "
            f"{axis}"
        )
    at = index + n if index < 0 else index
    spec = list(whole(shape))
    spec[axis] = (at, at + 1, 1)
    return look(input, ("slice", tuple(spec)), ("reshape", shape[:axis] + shape[axis + 1 :]))


@viewing
def unbind(input, dim=0) -> tuple[Tensor, ...]:
    """All slices along dim."""
    if not input.form.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = dimension(dim, input.form.ndim)
    return look_often(input, ("unbind", axis), lambda: _slices(input.form.shape, axis))


def _slices(shape: tuple[int, ...], axis: int) -> list[tuple]:
    """View specs of each place along an axis, which goes."""
    rows = [*whole(shape)]
    kept = ("reshape", shape[:axis] + shape[axis + 1 :])
    places = [(i, i + 1, 1) for i in range(shape[axis])]
    return [(("slice", (*rows[:axis], at, *rows[axis + 1 :])), kept) for at in places]


# ---------- pieces one after the other ----------
def _pieces(input, sizes, axis: int) -> tuple[Tensor, ...]:
    sizes = tuple(sizes)
    return look_often(input, (axis, sizes), lambda: _cut(input.form.shape, sizes, axis))


def _cut(shape: tuple[int, ...], sizes: tuple[int, ...], axis: int) -> list[tuple]:
    """View specs of parts of these sizes along an axis."""
    rows = [*whole(shape)]
    ends = [0, *accumulate(sizes)]
    pieces = [(a, b, 1) for a, b in pairwise(ends)]
    return [(("slice", (*rows[:axis], piece, *rows[axis + 1 :])),) for piece in pieces]


def _length(name: str, input, dim) -> tuple[int, int]:
    """(axis, its size) of what is cut."""
    if not input.form.ndim:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor")
    axis = dimension(dim, input.form.ndim)
    return axis, input.form.shape[axis]


@viewing
def split_with_sizes(input, split_sizes, dim=0) -> tuple[Tensor, ...]:
    """Parts of the sizes listed, which sum to the dimension's."""
    axis, n = _length("split", input, dim)
    sizes = shape_of((list(split_sizes),))
    if sum(sizes) != n or min(sizes, default=0) < 0:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size "
            f"at dimension {axis}), but got split_sizes={list(sizes)}"
        )
    return _pieces(input, sizes, axis)


@viewing
def split(input, split_size_or_sections=None, dim=0, *, split_size=None) -> tuple[Tensor, ...]:
    """Parts of one size along dim (the last may be smaller), or of the sizes listed."""
    given = split_size if split_size_or_sections is None else split_size_or_sections
    if isinstance(given, (tuple, list)):
        return split_with_sizes(input, given, dim)
    axis, n = _length("split", input, dim)
    size = as_int(given)
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0:
        if n:
            raise RuntimeError(
                f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}"
            )
        return (look(input),)
    return _pieces(input, [min(size, n - i) for i in range(0, n, size)] or [0], axis)


@viewing
def chunk(input, chunks, dim=0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of equal size along dim (the last may be smaller)."""
    axis, n = _length("chunk", input, dim)
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    if not n:
        return _pieces(input, [0] * chunks, axis)
    return input.split(max(-(-n // chunks), 1), axis)


def _unsafe(name: str, cut):
    def function(input, *args, **options) -> tuple[Tensor, ...]:
        return cut(input, *args, **options)

    function.__name__ = name
    function.__doc__ = f"As `{cut.__name__}`; writes to the parts are seen by the input, too."
    return viewing(function)


unsafe_split = _unsafe("unsafe_split", split)
unsafe_split_with_sizes = _unsafe("unsafe_split_with_sizes", split_with_sizes)
unsafe_chunk = _unsafe("unsafe_chunk", chunk)


@viewing
def tensor_split(input, indices_or_sections=None, dim=0, *, tensor_indices_or_sections=None,
                 indices=None, sections=None) -> tuple[Tensor, ...]:  # fmt: skip
    """Parts along dim: a number of nearly equal ones, or cut at the indices listed."""
    ways = (indices_or_sections, tensor_indices_or_sections, indices, sections)
    given = next(w for w in ways if w is not None)
    if not input.form.ndim:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    axis, n = _length("tensor_split", input, dim)
    if isinstance(given, Tensor):
        if given.form.dtype.name != "int64":
            raise RuntimeError("tensor_split expected tensor_indices_or_sections to be on cpu and "
                               f"to have long dtype, but got {given.dtype!r}")  # fmt: skip
        if given.form.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or "
                f"one-dimensional tensor, but got a tensor with {given.form.ndim} dims"
            )
        given = given.tolist()
    if isinstance(given, int):
        if given <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {given}")
        least, more = divmod(n, given)
        return _pieces(input, [least + (i < more) for i in range(given)], axis)
    cuts = [0, *[min(max(i + n if i < 0 else i, 0), n) for i in given], n]
    pairs = zip(cuts, cuts[1:], strict=False)
    return tuple(sliced(input, axis, a, max(a, b)) for a, b in pairs)


def _split_along(name: str, axis: int):
    """vsplit and its like: equal parts along dimension `axis`, or cuts at indices."""
    needed = (2, 1, 3)[axis]

    def function(input, indices_or_sections=None, *, indices=None, sections=None):
        given = next(w for w in (indices_or_sections, indices, sections) if w is not None)
        ndim = input.form.ndim
        if ndim < needed:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {needed} dimension, but got a "
                f"tensor with {ndim} dimensions!"
            )
        if not isinstance(given, (int, tuple, list)):
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got (Tensor, "
                f"{type(given).__name__}), but expected (Tensor input, int sections) or (Tensor "
                "input, tuple of ints indices)"
            )
        along = 0 if ndim == 1 else axis
        n = input.form.shape[along]
        if isinstance(given, int) and (given <= 0 or n % given):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {along}, but the size of the "
                f"dimension {n} is not divisible by the split_size {given}!"
            )
        return input.tensor_split(given, along)

    function.__name__ = name
    function.__doc__ = f"Parts along dimension {axis}: equal ones, or cut at the indices listed."
    return viewing(function)


vsplit = _split_along("vsplit", 0)
hsplit = _split_along("hsplit", 1)
dsplit = _split_along("dsplit", 2)


# ---------- diagonals ----------
@viewing
def diagonal(input, offset=0, dim1=0, dim2=1) -> Tensor:
    """The diagonal of two dimensions, as last dimension of the result."""
    n = input.form.ndim
    a, b = dimension(dim1, n), dimension(dim2, n)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return look(input, ("diagonal", as_int(offset), a, b))
