"""Tensors that change their storage or the way they look at it: resize_, set_, apply_."""

from __future__ import annotations

from math import prod

from gemel.tensor import look, no_grad, rebind
from gemel.tensor.lens import contiguous as row_major

from .checks import wrong_argument
from .creation import empty
from .dtypes import FACE
from .size import as_int, shape_of
from .tensor import Tensor, attach


@attach()
def resize_(self, *sizes, memory_format=None) -> Tensor:
    """Change the shape; elements are kept in memory order, new ones are 0. A storage that is large
    enough stays, so other views of it see what is written."""
    shape = shape_of(sizes)
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if any(n < 0 for n in shape):
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}"
        )
    if shape == self.form.shape:
        return self
    at = self.storage_offset()
    if at + prod(shape) > self.st.form.nbytes // self.form.dtype.itemsize:
        return _moved(self, shape)
    seen = look(self, ("as_strided", shape, row_major(shape), at if prod(shape) else 0))
    return _become(self, seen)


def _moved(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    """t in a new, larger storage, which begins with what the old one holds."""
    with no_grad():
        old = look(t, ("as_strided", (_room(t),), (1,), t.storage_offset()))
        new = empty(shape, dtype=FACE[t.form.dtype])
        new.view(-1)[: _room(t)] = old
    return _become(t, new)


def _room(t: Tensor) -> int:
    """Cells of the storage from t's first one on."""
    return max(t.st.form.nbytes // t.form.dtype.itemsize - t.storage_offset(), 0)


def _become(t: Tensor, other: Tensor) -> Tensor:
    t.st = other.st
    t.form = other.form
    t.lens = other.lens
    t.cmark = None
    return t


@attach()
def resize_as_(self, the_template, *, memory_format=None) -> Tensor:
    """Change the shape to that of another tensor."""
    if not isinstance(the_template, Tensor):
        raise wrong_argument("resize_as_", "the_template", 1, the_template)
    return self.resize_(the_template.form.shape)


@attach()
def set_(self, source=None, storage_offset=0, size=None, stride=None) -> Tensor:
    """Look at the storage of another tensor from now on: as it does, or by size and stride."""
    if source is None:
        return _become(self, empty(0, dtype=self.dtype))
    row = getattr(source, "_row", None)  # a storage
    if row is not None:
        source = look(row)
        if size is None:
            size = (row.form.size,)
    if source.form.dtype is not self.form.dtype:
        raise RuntimeError(
            f"Could not set tensor of type {source.dtype!r} to a tensor of type {self.dtype!r}"
        )
    if size is not None:
        shape = shape_of((tuple(size) if not isinstance(size, int) else (size,),))
        steps = row_major(shape) if stride is None else shape_of((tuple(stride),))
        source = source.as_strided(shape, steps, as_int(storage_offset))
    rebind(self, source)
    return self
