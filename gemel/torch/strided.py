"""Where a tensor lies in its storage: strides, offsets, contiguity, views by strides, new storages
by strides."""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.tensor import look
from gemel.tensor.views import base_of

from .checks import dimension
from .creation import empty
from .memory_format import contiguous_format, in_format, lies_in, preserve_format
from .size import as_int, shape_of
from .tensor import Tensor, attach
from .views import looking_in_place, viewing


# ---------- views by strides ----------
@viewing
def as_strided(input, size, stride, storage_offset=None) -> Tensor:
    """The storage's cells by strides, whatever part of it the tensor looked at."""
    size, stride = shape_of((tuple(size),)), shape_of((tuple(stride),))
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    at = input.storage_offset() if storage_offset is None else as_int(storage_offset)
    if min(stride, default=0) < 0:
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{list(stride)}"
        )
    if at < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {at}")
    last = at + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    bytes_of = input.form.dtype.itemsize
    held = input.st.form.nbytes
    if 0 not in size and (last + 1) * bytes_of > held:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {at}, and "
            f"itemsize {bytes_of} requiring a storage size of {(last + 1) * bytes_of} are out of "
            f"bounds for storage of size {held}"
        )
    return look(input, ("as_strided", size, stride, at))


looking_in_place("as_strided")


@attach()
def unfold(self, dimension_=None, size=None, step=None, *, dimension=None) -> Tensor:
    """All windows of `size` along a dimension, `step` apart, as a new last dimension."""
    axis = _axis(self, dimension_ if dimension is None else dimension)
    ndim = self.form.ndim
    length = self.form.shape[axis] if ndim else 1
    size, step = as_int(size), as_int(step)
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > length:
        raise RuntimeError(
            f"maximum size for tensor at dimension {axis} is {length} but size is {size}"
        )
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if not ndim:
        return self.reshape(1)[:size]
    strides = self.stride()
    count = (length - size) // step + 1
    shape = self.form.shape[:axis] + (count,) + self.form.shape[axis + 1 :] + (size,)
    moved = (*strides[:axis], strides[axis] * step, *strides[axis + 1 :], strides[axis])
    return look(self, ("as_strided", shape, moved, self.storage_offset()))


def _axis(x: Tensor, dim) -> int:
    return dimension(dim, x.form.ndim)


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
def is_contiguous(self, memory_format=contiguous_format) -> bool:
    """Do the elements lie in the storage in C order, or in that of a memory format?"""
    if memory_format is not contiguous_format:
        return lies_in(self, memory_format)
    lens = self.lens
    return lens is None or getattr(lens, "is_contiguous", True)


@attach()
def contiguous(self, memory_format=contiguous_format) -> Tensor:
    """The tensor itself where it is contiguous (in a memory format), else a copy."""
    if memory_format is contiguous_format:
        lens = self.lens
        plain = lens is None or getattr(lens, "is_contiguous", True)
        return self if plain else self.clone()
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    if is_contiguous(self, memory_format):
        return self
    return in_format(self, memory_format)


@attach()
def dim_order(self, *, ambiguity_check=False) -> tuple[int, ...]:
    """The dimensions by their steps in memory, largest first."""
    steps = lazy.strides(self)
    return tuple(sorted(range(len(steps)), key=lambda d: -steps[d]))


@attach()
def _is_view(self) -> bool:
    """Does the tensor look at the storage of another?"""
    return base_of(self) is not None


Tensor._base = property(base_of)


def is_same_storage(a: Tensor, b: Tensor) -> bool:
    """Do two tensors look at one storage?"""
    return lazy.same_storage(a, b)


# ---------- new tensors by strides ----------
def empty_strided(size, stride, *, dtype=None, layout=None, device=None, requires_grad=False,
                  pin_memory=False) -> Tensor:  # fmt: skip
    """A tensor whose values do not matter, laid out by strides."""
    size, stride = shape_of((tuple(size),)), shape_of((tuple(stride),))
    if len(size) != len(stride):
        raise RuntimeError(
            f"dimensionality of sizes ({len(size)}) must match dimensionality of strides "
            f"({len(stride)})"
        )
    if min(stride, default=0) < 0 or min(size, default=0) < 0:
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(size)} and strides="
            f"{list(stride)}"
        )
    cells = 0 if 0 in size else 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    row = empty(cells, dtype=dtype, device=device)
    return look(row, ("as_strided", size, stride, 0)).requires_grad_(requires_grad)


def empty_permuted(size, physical_layout, *, dtype=None, layout=None, device=None,
                   requires_grad=False, pin_memory=False) -> Tensor:  # fmt: skip
    """A tensor whose values do not matter, its dimensions in memory in the order given."""
    size, order = shape_of((tuple(size),)), shape_of((tuple(physical_layout),))
    if len(size) != len(order):
        raise RuntimeError(
            f"Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(size)} is not equal to len(physical_layout) = {len(order)}"
        )
    for d in order:
        if not 0 <= d < len(size):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(size) - 1}, but got "
                f"{d} at index {order.index(d)}).  NB: negative dims not currently supported; "
                "file an issue if you want it."
            )
    if len(set(order)) != len(order):
        raise RuntimeError("Duplicate dim not allowed")
    row = empty([size[d] for d in order], dtype=dtype, device=device)
    back = tuple(order.index(d) for d in range(len(order)))
    return look(row, ("permute", back)).requires_grad_(requires_grad)


@attach()
def new_empty_strided(self, size, stride, *, dtype=None, layout=None, device=None,
                      requires_grad=False, pin_memory=False) -> Tensor:  # fmt: skip
    """`empty_strided` with this tensor's type unless another is given."""
    made = empty_strided(size, stride, dtype=dtype or self.dtype, device=device)
    return made.requires_grad_(requires_grad)
