"""Views: tensors that look at the storage of another. Reading sees later writes to either.

Everything here is arithmetic on shapes that ends in view specs for `look`; nothing is recorded
until the view is read. Invariant: a write through a view is a write to the base.
"""

from __future__ import annotations

from math import prod

from gemel import tensor as lazy
from gemel.tensor import look, viewable

from .checks import check_expands, dimension, inferred_shape, wrong_argument
from .size import as_int, shape_of
from .tensor import Tensor, attach


def viewing(function):
    """Decorator: a method of Tensor that is a function of `torch` too."""
    name = function.__name__

    def apply(input, *args, **options):
        if not isinstance(input, Tensor):
            raise wrong_argument(name, "input", 1, input)
        return function(input, *args, **options)

    setattr(Tensor, name, function)
    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = function.__doc__
    return apply


def whole(shape) -> tuple:
    """The slices that take everything."""
    return tuple([(0, n, 1) for n in shape])


# ---------- another shape ----------
_NO_VIEW = (
    "view size is not compatible with input tensor's size and stride (at least one dimension spans "
    "across two contiguous subspaces). Use .reshape(...) instead."
)
_SHAPES: dict[tuple, tuple[int, ...]] = {}


def _target(x: Tensor, shape: tuple) -> tuple[int, ...]:
    """The shape asked for, with -1 computed; remembered by form and request."""
    try:
        found = _SHAPES.get((x.form, shape))
    except TypeError:  # a list inside
        return inferred_shape(shape_of(shape), x.form.size)
    if found is None:
        if not shape:
            raise TypeError("view() received an invalid combination of arguments: no shape given")
        found = inferred_shape(shape_of(shape), x.form.size)
        if all(n.__class__ is int for n in shape) and len(_SHAPES) < 4096:
            _SHAPES[x.form, shape] = found
    return found


@attach()
def view(self, *shape) -> Tensor:
    """The same values in another shape, without a copy; RuntimeError where memory does not allow
    it. One size may be -1."""
    if len(shape) == 1 and hasattr(shape[0], "engine"):
        raise NotImplementedError("view(dtype) is not there yet in Gemel's PyTorch face")
    shape = _target(self, shape)
    if self.lens is not None and not viewable(self, shape):
        raise RuntimeError(_NO_VIEW)
    return look(self, ("reshape", shape))


@attach("reshape")
def _reshape(self, *shape) -> Tensor:
    shape = _target(self, shape)
    if self.lens is None or viewable(self, shape):
        return look(self, ("reshape", shape))
    return look(self.clone(), ("reshape", shape))


def reshape(input, shape) -> Tensor:
    """The values in another shape: a view where memory allows it, else a copy."""
    return input.reshape(shape)


@attach()
def view_as(self, other) -> Tensor:
    return self.view(other.form.shape)


@attach()
def reshape_as(self, other) -> Tensor:
    return self.reshape(other.form.shape)


@viewing
def ravel(input) -> Tensor:
    """The values in one dimension."""
    return input.reshape(-1)


@viewing
def flatten(input, start_dim=0, end_dim=-1) -> Tensor:
    """The dimensions start_dim to end_dim merged into one."""
    shape = input.form.shape
    if not shape:
        return input.reshape(1)
    first = dimension(start_dim, len(shape))
    last = dimension(end_dim, len(shape))
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if first == last:
        return input
    merged = prod(shape[first : last + 1])
    return input.reshape(shape[:first] + (merged,) + shape[last + 1 :])


@viewing
def unflatten(input, dim, sizes) -> Tensor:
    """One dimension split into several; one size may be -1."""
    shape = input.form.shape
    axis = dimension(dim, len(shape))
    try:
        split = inferred_shape(shape_of((sizes,)), shape[axis])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {axis} "
            f"({shape[axis]}) in the input tensor"
        ) from None
    return input.reshape(shape[:axis] + split + shape[axis + 1 :])


@viewing
def squeeze(input, dim=None) -> Tensor:
    """Dimensions of size 1 left out: all of them, or those named."""
    shape = input.form.shape
    if dim is None:
        kept = tuple(n for n in shape if n != 1)
    else:
        given = dim if isinstance(dim, (tuple, list)) else (dim,)
        gone = {dimension(d, len(shape)) for d in given}
        kept = tuple(n for i, n in enumerate(shape) if n != 1 or i not in gone)
    return look(input, ("reshape", kept))


@viewing
def unsqueeze(input, dim) -> Tensor:
    """A new dimension of size 1 before position dim."""
    shape = input.form.shape
    at = dimension(dim, len(shape) + 1)
    return look(input, ("reshape", shape[:at] + (1,) + shape[at:]))


# ---------- another order ----------
@attach("permute")
def _permute(self, *dims) -> Tensor:
    if len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = dims[0]
    n = self.form.ndim
    if len(dims) != n:
        raise RuntimeError(
            "permute: number of dimensions in the tensor input does not match the length of the "
            f"desired ordering of dimensions i.e. input.dim() = {n} is not equal to len(dims) = "
            f"{len(dims)}"
        )
    order = tuple([dimension(d, n) for d in dims])
    if len(set(order)) != n:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return look(self, ("permute", order))


def permute(input, dims) -> Tensor:
    """The dimensions in another order."""
    return input.permute(*dims)


@viewing
def transpose(input, dim0, dim1) -> Tensor:
    """Two dimensions exchanged."""
    n = input.form.ndim
    a, b = dimension(dim0, n), dimension(dim1, n)
    if not n:
        return look(input)
    order = list(range(n))
    order[a], order[b] = b, a
    return look(input, ("permute", tuple(order)))


swapaxes = swapdims = transpose
attach("swapaxes", "swapdims")(Tensor.transpose)


@viewing
def t(input) -> Tensor:
    """The transpose of a matrix; vectors as they are."""
    n = input.form.ndim
    if n > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {n}D")
    return look(input, ("permute", tuple(range(n))[::-1]))


def _all_reversed(self) -> Tensor:
    """The dimensions in reverse order."""
    return look(self, ("permute", tuple(range(self.form.ndim))[::-1]))


def _last_two(self) -> Tensor:
    """The last two dimensions exchanged."""
    if self.form.ndim < 2:
        raise RuntimeError(
            "tensor.mT is only supported on matrices or batches of matrices. Got "
            f"{self.form.ndim}-D tensor."
        )
    return self.transpose(-2, -1)


Tensor.T = property(_all_reversed)
Tensor.mT = property(_last_two)


@viewing
def movedim(input, source, destination) -> Tensor:
    """Dimensions moved from source to destination; the others keep their order."""
    n = input.form.ndim
    given = (source,) if isinstance(source, int) else source
    wanted = (destination,) if isinstance(destination, int) else destination
    if len(given) != len(wanted):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source and destination dims should "
            "contain the same number of dims"
        )
    moved = {dimension(b, n): dimension(a, n) for a, b in zip(given, wanted, strict=True)}
    rest = iter([d for d in range(n) if d not in moved.values()])
    return input.permute([moved[i] if i in moved else next(rest) for i in range(n)])


moveaxis = movedim
Tensor.moveaxis = Tensor.movedim


# ---------- repetition without copies ----------
@attach()
def expand(self, *sizes) -> Tensor:
    """Dimensions of size 1 repeated without a copy; -1 keeps a size."""
    shape = self.form.shape
    given = shape_of(sizes)
    lead = len(given) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"expand({list(shape)}, size={list(given)}): the number of sizes provided "
            f"({len(given)}) must be greater or equal to the number of dimensions in the tensor "
            f"({len(shape)})"
        )
    if -1 in given:
        if -1 in given[:lead]:
            raise RuntimeError(
                "expand: the expanded size of the tensor (-1) isn't allowed in a leading, "
                "non-existing dimension 0"
            )
        given = given[:lead] + tuple(
            [n if m == -1 else m for n, m in zip(shape, given[lead:], strict=True)]
        )
    check_expands(shape, given)
    return look(self, ("expand", given))


@attach()
def expand_as(self, other) -> Tensor:
    return self.expand(other.form.shape)


@viewing
def broadcast_to(input, size) -> Tensor:
    """The tensor expanded to a shape."""
    return input.expand(size)


def broadcast_tensors(*tensors) -> tuple[Tensor, ...]:
    """All tensors expanded to their common shape."""
    shape = broadcast_shapes(*[x.form.shape for x in tensors])
    return tuple(x.expand(shape) for x in tensors)


def broadcast_shapes(*shapes):
    """The shape that shapes broadcast to."""
    from .checks import broadcast_shape
    from .size import Size

    found: tuple[int, ...] = ()
    for s in shapes:
        found = broadcast_shape(found, (s,) if isinstance(s, int) else tuple(s))
    return Size(found)


# ---------- parts ----------
def sliced(x: Tensor, axis: int, start: int, stop: int, step: int = 1) -> Tensor:
    """A part along one axis; start and stop inside."""
    spec = list(whole(x.form.shape))
    spec[axis] = (start, stop, step)
    return look(x, ("slice", tuple(spec)))


@viewing
def narrow(input, dim, start, length) -> Tensor:
    """`length` elements along dim from `start` on."""
    shape = input.form.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    axis = dimension(dim, len(shape))
    n = shape[axis]
    start = as_int(start)
    if not -n <= start <= n:
        raise IndexError(
            f"start out of range (expected to be in range of [{-n}, {n}], but got {start})"
        )
    start = start + n if start < 0 else start
    if length < 0 or start + length > n:
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
    axis = dimension(dim, input.form.ndim)
    if not input.form.ndim:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    return tuple([input.select(axis, i) for i in range(input.form.shape[axis])])


def _pieces(input, sizes, axis: int) -> tuple[Tensor, ...]:
    found = []
    at = 0
    for n in sizes:
        found.append(sliced(input, axis, at, at + n))
        at += n
    return tuple(found)


@viewing
def split(input, split_size, dim=0) -> tuple[Tensor, ...]:
    """Parts of split_size along dim (the last may be smaller), or of the sizes listed."""
    axis = dimension(dim, input.form.ndim)
    n = input.form.shape[axis]
    if not isinstance(split_size, int):
        sizes = shape_of((list(split_size),))
        if sum(sizes) != n or min(sizes, default=0) < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size "
                f"at dimension {axis}), but got split_sizes={list(sizes)}"
            )
        return _pieces(input, sizes, axis)
    if split_size < 0:
        raise RuntimeError(
            f"split expects split_size be non-negative, but got split_size={split_size}"
        )
    if split_size == 0:
        if n:
            raise RuntimeError(
                f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}"
            )
        return (look(input),)
    return _pieces(input, [min(split_size, n - i) for i in range(0, n, split_size)] or [0], axis)


@viewing
def chunk(input, chunks, dim=0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of equal size along dim (the last may be smaller)."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input.form.shape[dimension(dim, input.form.ndim)]
    return input.split(max(-(-n // chunks), 1), dim)


@viewing
def tensor_split(input, indices_or_sections, dim=0) -> tuple[Tensor, ...]:
    """Parts along dim: a number of nearly equal ones, or cut at the indices listed."""
    axis = dimension(dim, input.form.ndim)
    n = input.form.shape[axis]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        base, more = divmod(n, indices_or_sections)
        sizes = [base + (i < more) for i in range(indices_or_sections)]
        return _pieces(input, sizes, axis)
    cuts = [0, *[min(max(i + n if i < 0 else i, 0), n) for i in indices_or_sections], n]
    pairs = zip(cuts, cuts[1:], strict=False)
    return tuple(sliced(input, axis, a, max(a, b)) for a, b in pairs)


@viewing
def diagonal(input, offset=0, dim1=0, dim2=1) -> Tensor:
    """The diagonal of two dimensions, as last dimension of the result."""
    n = input.form.ndim
    a, b = dimension(dim1, n), dimension(dim2, n)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return look(input, ("diagonal", offset, a, b))


@viewing
def as_strided(input, size, stride, storage_offset=None) -> Tensor:
    """The storage's cells by strides, whatever part of it the tensor looked at."""
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    at = input.storage_offset() if storage_offset is None else storage_offset
    last = at + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    cells = input.st.form.size
    if 0 not in size and (min(stride, default=0) < 0 or last >= cells):
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {at} are out "
            f"of bounds for storage of {cells} elements"
        )
    return look(input, ("as_strided", tuple(size), tuple(stride), at))


@attach()
def unfold(self, dimension_, size, step) -> Tensor:
    """All windows of `size` along a dimension, `step` apart, as a new last dimension."""
    n = self.form.ndim
    axis = dimension(dimension_, n)
    if not n:
        return self.reshape(1) if size else self.reshape(1)[:0]
    length = self.form.shape[axis] if n else 1
    if size > length:
        raise RuntimeError(
            f"maximum size for tensor at dimension {axis} is {length} but size is {size}"
        )
    strides = self.stride()
    count = (length - size) // step + 1
    shape = self.form.shape[:axis] + (count,) + self.form.shape[axis + 1 :] + (size,)
    moved = (*strides[:axis], strides[axis] * step, *strides[axis + 1 :], strides[axis])
    return look(self, ("as_strided", shape, moved, self.storage_offset()))


def _split_along(name: str, axis: int):
    def function(input, indices_or_sections) -> tuple[Tensor, ...]:
        return input.tensor_split(indices_or_sections, axis if input.form.ndim > 1 else 0)

    function.__name__ = name
    setattr(Tensor, name, function)
    return function


vsplit = _split_along("vsplit", 0)
hsplit = _split_along("hsplit", 1)


# ---------- the tensor itself looks otherwise ----------
def _looking_in_place(name: str) -> None:
    plain = getattr(Tensor, name)

    def method(self, *args, **options):
        if self.lrg:
            raise RuntimeError(
                f"a leaf Variable that requires grad is being used in an in-place operation: "
                f"{name}_"
            )
        view = plain(self, *args, **options)
        self.lens = view.lens
        self.form = view.form
        self.cmark = None
        return self

    method.__name__ = name + "_"
    setattr(Tensor, name + "_", method)


for _name in ("squeeze", "unsqueeze", "transpose", "t", "swapaxes", "swapdims"):
    _looking_in_place(_name)


# ---------- memory ----------
@attach()
def stride(self, dim=None):
    """Steps in the storage, in elements, per dimension or of one."""
    found = tuple(lazy.strides(self))
    return found if dim is None else found[dimension(dim, len(found))]


@attach()
def storage_offset(self) -> int:
    """The place of the first element in the storage."""
    return lazy.offset(self)


@attach()
def is_contiguous(self, memory_format=None) -> bool:
    """Do the elements lie in the storage in C order?"""
    lens = self.lens
    return lens is None or getattr(lens, "is_contiguous", True)


@attach()
def contiguous(self, memory_format=None) -> Tensor:
    """The tensor itself where it is contiguous, else a copy."""
    return self if self.is_contiguous() else self.clone()


def is_same_storage(a: Tensor, b: Tensor) -> bool:
    """Do two tensors look at one storage?"""
    return lazy.same_storage(a, b)
