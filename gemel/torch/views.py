"""Views: tensors that look at the storage of another. Reading sees later writes to either.

Everything here is arithmetic on shapes that ends in view specs for `look`; nothing is recorded
until the view is read. Invariant: a write through a view is a write to the base.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

from gemel.graph.form import int64
from gemel.ops import movement
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.tensor import answers_again, look, record1, viewable

from .bits import in_bits
from .checks import (
    broadcast_shape,
    check_expands,
    dimension,
    dimensions,
    inferred_shape,
    wrong_argument,
)
from .size import Size, as_int, shape_of
from .tensor import Tensor, attach


def viewing(function):
    """Decorator: a method of Tensor that is a function of `torch` too."""
    name = function.__name__
    function = answers_again(function)

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
@answers_again
def view(self, *shape, size=None, dtype=None) -> Tensor:
    """The same values in another shape, without a copy; RuntimeError where memory does not allow
    it. One size may be -1. `view(dtype)` reads the same bits as another type."""
    if dtype is not None:
        return in_bits(self, dtype)
    if len(shape) == 1 and hasattr(shape[0], "engine"):
        return in_bits(self, shape[0])
    shape = _target(self, shape if size is None else (size,))
    if self.lens is not None and not viewable(self, shape):
        raise RuntimeError(_NO_VIEW)
    return look(self, ("reshape", shape))


@attach("reshape")
@answers_again
def _reshape(self, *sizes, shape=None) -> Tensor:
    shape = _target(self, sizes if shape is None else (shape,))
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
    merged = _merged_shape(input.form.shape, start_dim, end_dim)
    return input if merged == input.form.shape else input.reshape(merged)


@lru_cache(maxsize=1024)
def _merged_shape(shape: tuple[int, ...], start, end) -> tuple[int, ...]:
    """The shape with the dimensions start to end merged."""
    if not shape:
        return (1,)
    first, last = dimension(start, len(shape)), dimension(end, len(shape))
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    return shape[:first] + (prod(shape[first : last + 1]),) + shape[last + 1 :]


@viewing
def unflatten(input, dim, sizes) -> Tensor:
    """One dimension split into several; one size may be -1."""
    shape = input.form.shape
    axis = dimension(dim, len(shape))
    if not len(sizes if isinstance(sizes, (tuple, list)) else (sizes,)):
        raise RuntimeError("unflatten: sizes must be non-empty")
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
        gone = dimensions(dim if isinstance(dim, (tuple, list)) else (dim,), len(shape))
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
@answers_again
def _permute(self, *order, dims=None) -> Tensor:
    dims = order if dims is None else dims
    if len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = dims[0]
    n = self.form.ndim
    if len(dims) != n:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {n} is not equal to "
            f"len(dims) = {len(dims)}"
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
    given = (source,) if isinstance(source, int) else tuple(source)
    wanted = (destination,) if isinstance(destination, int) else tuple(destination)
    return look(input, ("permute", _moved_order(input.form.ndim, given, wanted)))


@lru_cache(maxsize=256)
def _moved_order(n: int, given: tuple, wanted: tuple) -> tuple[int, ...]:
    """The order of n dimensions of which some were moved."""
    if len(given) != len(wanted):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(given)} dims) should "
            f"contain the same number of dims as destination ({list(wanted)} dims)"
        )
    moved = {}
    for a, b in zip(given, wanted, strict=True):
        moved[dimension(b, n)] = dimension(a, n)
    _once("source", given, n)
    _once("destination", wanted, n)
    rest = iter([d for d in range(n) if d not in moved.values()])
    return tuple([moved[i] if i in moved else next(rest) for i in range(n)])


def _once(what: str, dims: tuple, n: int) -> None:
    if len({dimension(d, n) for d in dims}) != len(dims):
        raise RuntimeError(f"movedim: repeated dim in `{what}` ({list(dims)})")


moveaxis = movedim
Tensor.moveaxis = Tensor.movedim


# ---------- repetition without copies ----------
@attach()
@answers_again
def expand(self, *sizes, size=None, implicit=False) -> Tensor:
    """Dimensions of size 1 repeated without a copy; -1 keeps a size."""
    shape = self.form.shape
    given = shape_of(sizes if size is None else (size,))
    if len(given) < len(shape):
        raise RuntimeError(
            f"expand({self.type()}{{{list(shape)}}}, size={list(given)}): the number of sizes "
            f"provided ({len(given)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({len(shape)})"
        )
    return look(self, ("expand", _expanded(shape, given)))


@lru_cache(maxsize=1024)
def _expanded(shape: tuple[int, ...], given: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that is asked for, without -1."""
    lead = len(given) - len(shape)
    if any(n < 0 for n in given[:lead]):
        hole = next(d for d, n in enumerate(given) if n < 0)
        raise RuntimeError(
            f"The expanded size of the tensor ({given[hole]}) isn't allowed in a leading, "
            f"non-existing dimension {hole}"
        )
    if -1 in given:
        rest = zip(shape, given[lead:], strict=True)
        given = given[:lead] + tuple([n if m == -1 else m for n, m in rest])
    check_expands(shape, given)
    return given


@attach()
def expand_as(self, other) -> Tensor:
    return self.expand(other.form.shape)


@viewing
def broadcast_to(input, size) -> Tensor:
    """The tensor expanded to a shape."""
    return input.expand(size)


def broadcast_tensors(*tensors) -> tuple[Tensor, ...]:
    """All tensors expanded to their common shape."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    shape: tuple[int, ...] = ()
    for x in tensors:
        shape = broadcast_shape(shape, x.form.shape)
    return tuple(x.expand(shape) for x in tensors)


def broadcast_shapes(*shapes) -> Size:
    """The shape that shapes broadcast to; RuntimeError naming the one that does not fit."""
    found: tuple[int, ...] = ()
    for place, s in enumerate(shapes):
        shape = (as_int(s),) if not isinstance(s, (tuple, list)) else shape_of((s,))
        if any(n < 0 for n in shape):
            raise ValueError("Attempting to broadcast a dimension with negative length!")
        try:
            found = broadcast_shape(found, shape)
        except RuntimeError:
            pairs = zip(reversed(found), reversed(shape), strict=False)
            at = next(i for i, (n, m) in enumerate(pairs, 1) if n != m and 1 not in (n, m))
            raise RuntimeError(
                f"Attempting to broadcast a dimension of length {shape[-at]} at -{at}! Mismatching "
                f"argument at index {place} had {shape}; but expected shape should be "
                f"broadcastable to {list(found)}"
            ) from None
    return Size(found)


@attach()
def sum_to_size(self, *size) -> Tensor:
    """The sums over the dimensions along which a tensor of this size would be expanded."""
    wanted = shape_of(size)
    shape = self.form.shape
    lead = len(shape) - len(wanted)
    pairs = zip(wanted, shape[max(lead, 0) :], strict=False)
    if lead < 0 or any(n not in (1, m) for n, m in pairs):
        raise RuntimeError(f"size {{{list(wanted)}}} is not expandable to size {{{list(shape)}}}.")
    if wanted == shape and shape:
        return self
    return record1(SUM_TO_SIZE, self, (wanted,))


def _sum_to_size(attrs, x):
    """Truth values and integers are summed in int64, as by `sum`."""
    return movement.sum_to(x if x.dtype.kind in "fc" else cast(x, int64), attrs[0])


SUM_TO_SIZE = Call("sum_to_size", _sum_to_size)


# ---------- the tensor itself looks otherwise ----------
def looking_in_place(name: str) -> None:
    """The method that makes the tensor itself what the view `name` gives."""
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
    looking_in_place(_name)
