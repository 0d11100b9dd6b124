"""`tf.TensorArray`: tensors by number, written one by one.

Role: a list of tensors where the numbers are known when the program is written down (eager mode,
loops that Python runs), and one tensor with a row for each where they are not: in the loops of a
graph and of tf.function, through which the rows are carried. In eager mode an array is changed in
place, elsewhere each change gives a new one, as in TensorFlow 2.
"""

from __future__ import annotations

import copy

import numpy as np

from gemel import tensor as engine

from . import array, context
from .convert import convert_to_tensor
from .dtypes import as_dtype, int32
from .eager import EagerTensor
from .errors import InvalidArgumentError, OutOfRangeError
from .math import cast
from .shape import TensorShape


class TensorArray:
    """size: how many tensors, an int or a scalar tensor. dynamic_size: writes behind the end make
    it longer, where Python knows their numbers. clear_after_read: in eager mode a tensor is read
    once (the default). element_shape: of each tensor; else it is that of the first one written,
    unless infer_shape is False."""

    def __init__(
        self, dtype, size=None, dynamic_size=None, clear_after_read=None, tensor_array_name=None,
        handle=None, flow=None, infer_shape=True, element_shape=None,
        colocate_with_first_write_call=True, name=None,
    ):  # fmt: skip
        if handle is not None or flow is not None:
            raise NotImplementedError(
                "TensorArray(handle=, flow=): there are no handles here; pass the array itself"
            )
        self.dtype = as_dtype(dtype)
        self.dynamic_size = bool(dynamic_size)
        self.element_shape = TensorShape(element_shape)
        self._clears = clear_after_read is None or bool(clear_after_read)
        self._infers = infer_shape
        count = _known(0 if size is None else size)
        self._cells: list | None = None if count is None else [None] * count
        self._rows = None  # instead of the cells; where both are None, rows are still to be made
        self._length = size  # how many there will be
        self._read: set[int] = set()

    def __repr__(self) -> str:
        return f"<tf.TensorArray of {self.dtype.name}, element_shape={self.element_shape}>"

    # ---------- one by one ----------
    def write(self, index, value, name=None) -> TensorArray:
        """The array with a tensor at `index`. OutOfRangeError behind the end of an array of fixed
        size, InvalidArgumentError for another type, ValueError for another shape."""
        value = self._checked(value)
        at = self._place(index)
        made = self._changed()
        made._learn(value.shape)
        if at is None or made._cells is None:
            rows = made._packed()
            places = array.reshape(cast(index, int32), [1, 1])
            return made._holding(
                array.tensor_scatter_nd_update(rows, places, array.expand_dims(value, 0))
            )
        if at >= len(made._cells):
            if not self.dynamic_size:
                raise OutOfRangeError(
                    None,
                    None,
                    f"Tried to write to index {at} but array is not resizeable and size is: "
                    f"{len(made._cells)}. Give it a larger size, or dynamic_size=True.",
                )
            made._cells += [None] * (at + 1 - len(made._cells))
        made._cells[at] = value
        made._read.discard(at)
        return made

    def read(self, index, name=None):
        """The tensor at `index`; zeros where nothing was written."""
        at = self._place(index)
        if at is None or self._cells is None:
            return array.gather(self._packed(), index)
        if at >= len(self._cells):
            raise OutOfRangeError(
                None,
                None,
                f"Tried to read from index {at} but array size is: {len(self._cells)}",
            )
        found = self._cells[at]
        if found is None and at in self._read:
            raise InvalidArgumentError(
                None,
                None,
                f"Could not read index {at} twice because it was cleared after a previous read "
                "(perhaps try setting clear_after_read = False?)",
            )
        if found is None:
            found = self._zero()
        if self._clears and _is_eager():
            self._cells[at] = None
            self._read.add(at)
        return found

    # ---------- all at once ----------
    def stack(self, name=None):
        """All tensors as rows of one."""
        return array.identity(self._packed())

    def gather(self, indices, name=None):
        """Some of them as rows of one."""
        return array.gather(self._packed(), indices)

    def concat(self, name=None):
        """All of them behind each other, along their first axis."""
        if self._cells is not None:
            return array.concat([self._zero() if x is None else x for x in self._cells], 0)
        rows = self._packed()
        return array.reshape(rows, [-1, *list(rows.shape)[2:]])

    def unstack(self, value, name=None) -> TensorArray:
        """The array of the rows of a tensor."""
        value = self._checked(value, rows=True)
        count = value.shape[0]
        made = self._changed()
        if not _is_eager():  # TensorFlow has it so
            made._learn(TensorShape(list(value.shape)[1:]))
        if made._cells is None or count is None:
            return made._holding(value)
        if count > len(made._cells) and not self.dynamic_size:
            raise ValueError(
                f"Cannot unstack {count} tensors into a TensorArray of static size "
                f"{len(made._cells)}"
            )
        rest = made._cells[count:]
        made._cells[:] = [*array.unstack(value), *rest]
        return made

    def scatter(self, indices, value, name=None) -> TensorArray:
        """The array with the rows of a tensor at these places."""
        value = self._checked(value, rows=True)
        places = _values(indices)
        if places is not None and self._cells is not None:
            made = self
            for at, row in zip(places.tolist(), array.unstack(value), strict=True):
                made = made.write(at, row)
            return made
        made = self._changed()
        made._learn(TensorShape(list(value.shape)[1:]))
        at = array.expand_dims(cast(indices, int32), 1)
        return made._holding(array.tensor_scatter_nd_update(made._packed(), at, value))

    def split(self, value, lengths, name=None) -> TensorArray:
        """The array of pieces of a tensor, along its first axis."""
        value = self._checked(value, rows=True)
        sizes = _values(lengths)
        if sizes is None:
            raise ValueError("TensorArray.split: the lengths have to be known, as numbers")
        made = self
        for at, piece in enumerate(array.split(value, sizes.tolist())):
            made = made.write(at, piece)
        return made

    def size(self, name=None):
        """How many tensors it holds, as a scalar of int32."""
        if self._cells is not None:
            return convert_to_tensor(np.int32(len(self._cells)))
        return array.shape(self._rows)[0] if self._rows is not None else cast(self._length, int32)

    def identity(self) -> TensorArray:
        """An array of the same tensors."""
        return copy.copy(self._changed())

    def close(self, name=None) -> None:
        """Nothing is held but the tensors."""

    # ---------- loops ----------
    def carried(self):
        """What a loop carries: all tensors as rows of one."""
        return self._packed()

    def after(self, rows) -> TensorArray:
        """The array of what a loop gives back."""
        return copy.copy(self)._holding(rows)

    def needs_shape(self) -> bool:
        """Is it not known yet of which shape its tensors are?"""
        return not self.element_shape.is_fully_defined()

    def with_shape_of(self, other: TensorArray) -> TensorArray:
        """The same with the element shape of another one."""
        made = copy.copy(self)
        made.element_shape = other.element_shape
        return made

    # ---------- parts ----------
    def _changed(self) -> TensorArray:
        """What a change is made in."""
        if _is_eager():
            return self
        made = copy.copy(self)
        made._cells = None if self._cells is None else list(self._cells)
        made._read = set()
        return made

    def _place(self, index) -> int | None:
        """A number that Python knows. OutOfRangeError for a negative one."""
        at = _known(index)
        if at is not None and at < 0:
            raise OutOfRangeError(None, None, f"index {at} is negative")
        return at

    def _checked(self, value, rows: bool = False):
        """A tensor to be written, or one whose rows are."""
        made = convert_to_tensor(value, dtype_hint=self.dtype)
        if as_dtype(made.dtype) != self.dtype:
            raise InvalidArgumentError(
                None,
                None,
                f"TensorArray dtype is {self.dtype.name} but Op is trying to write dtype "
                f"{as_dtype(made.dtype).name}",
            )
        shape = TensorShape(list(made.shape)[1:]) if rows else made.shape
        if self._infers and not self.element_shape.is_compatible_with(shape):
            raise ValueError(
                f"Incompatible shape for value ({shape}), expected ({self.element_shape})"
            )
        return made

    def _learn(self, shape) -> None:
        if self._infers and self.element_shape.rank is None:
            self.element_shape = TensorShape(shape)

    def _zero(self):
        written = next((x for x in self._cells or () if x is not None), None)
        if self.element_shape.rank is None and written is not None:
            return array.zeros(list(written.shape), self.dtype)
        if not self.element_shape.is_fully_defined():
            raise ValueError(
                "a TensorArray has places where nothing was written, and its element shape is "
                f"{self.element_shape}: give it element_shape="
            )
        return array.zeros(list(self.element_shape), self.dtype)

    def _packed(self):
        """All tensors as rows of one."""
        if self._rows is not None:
            return self._rows
        if self._cells is None:
            size = array.reshape(cast(self._length, int32), [1])
            shape = array.concat([size, np.array(list(self.element_shape), np.int32)], 0)
            return array.zeros(shape, self.dtype)
        if not self._cells:
            return array.zeros([0, *list(self.element_shape)], self.dtype)
        zero = self._zero() if any(x is None for x in self._cells) else None
        return array.stack([zero if x is None else x for x in self._cells])

    def _holding(self, rows) -> TensorArray:
        self._rows, self._cells = rows, None
        return self


def _is_eager() -> bool:
    return context.building() is None and not engine.tracing()


def _known(number) -> int | None:
    """A number that is known without running anything inside of a program; elsewhere by looking."""
    found = _values(number)
    return None if found is None else int(found)


def _values(numbers) -> np.ndarray | None:
    if isinstance(numbers, EagerTensor):
        return np.asarray(numbers.numpy()) if _is_eager() else engine.known(numbers)
    if getattr(numbers, "_is_graph_element", False):
        return None
    return np.asarray(numbers)
