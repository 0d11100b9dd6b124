"""`x[...]`: what a key means, as a view (ints, slices, None, Ellipsis) followed, where tensors are
in the key, by a gather. Writing takes the same way: a write through the view, or a scatter.

A mask is looked at, because the shape of the result depends on its values; `x[mask] = number` is
not, it becomes a choice.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gemel.graph.errors import Fault
from gemel.graph.form import bool_, int32, int64, uint8
from gemel.graph.node import Node
from gemel.ops import indexing, movement, scattered
from gemel.ops.elementwise import cast, check_range, lt, where
from gemel.ops.predicates import truth
from gemel.ops.record import Call
from gemel.tensor import (
    answered,
    array_of,
    from_array,
    from_values,
    glance,
    grad_enabled,
    keep_answer,
    look,
    record_n,
    rows_now,
    tracing,
)

from . import dtypes
from .checks import broadcast_shape, c_name, check_expands
from .define import NUMBERS, operand, stored
from .size import as_int
from .tensor import Tensor, attach
from .views import whole
from .writing import inplace, write


# ---------- indices on nodes ----------
@lru_cache(maxsize=1024)
def bounds_fault(exception: type, axis: int, size: int) -> Fault:
    """One object per text, so that equal calls stay equal."""
    return Fault(
        exception, f"index {{value}} is out of bounds for dimension {axis} with size {size}"
    )


def in_range(index: Node, size: int, fault: Fault, negative: bool = True) -> Node:
    """The index as int64 from 0 on; the program checks it when it runs."""
    index = check_range(cast(index, int64), -size if negative else 0, size, fault)
    return where(lt(index, 0), index + size, index) if negative else index


def _common(indices, exception=IndexError) -> list[Node]:
    shape: tuple[int, ...] = ()
    for i in indices:
        try:
            shape = broadcast_shape(shape, i.shape)
        except RuntimeError:
            shapes = ", ".join(str(list(x.shape)) for x in indices)
            raise exception(
                "shape mismatch: indexing tensors could not be broadcast together with shapes "
                f"{shapes}"
            ) from None
    return [movement.expand(i, shape) for i in indices]


def _merged(x: Node, axes: tuple[int, ...], indices) -> tuple[Node, Node, int, list[int] | None]:
    """(x with the indexed axes merged, linear index, the merged axis, order that brought the axes
    to the front or None where they were neighbours)."""
    sizes = tuple(x.shape[a] for a in axes)
    checked = [
        in_range(i, n, bounds_fault(IndexError, a, n))
        for a, n, i in zip(axes, sizes, _common(indices), strict=True)
    ]
    at = indexing.linear_index(checked, sizes)
    if axes == tuple(range(axes[0], axes[0] + len(axes))):
        return indexing.merge_axes(x, axes[0], len(axes)), at, axes[0], None
    order = [*axes, *(d for d in range(x.ndim) if d not in axes)]
    return indexing.merge_axes(movement.permute(x, order), 0, len(axes)), at, 0, order


def _index(attrs, x, *indices):
    merged, at, axis, _ = _merged(x, attrs, indices)
    return indexing.gather(merged, at, axis)


def _index_put(attrs, x, value, *indices):
    axes, adding = attrs
    merged, at, axis, order = _merged(x, axes, indices)
    shape = merged.shape[:axis] + at.shape + merged.shape[axis + 1 :]
    value = _fitted(cast(value, x.dtype), shape)
    if adding:
        made = scattered.rows(merged, at, value, axis, "sum", True)
    else:
        made = indexing.scatter_set(merged, at, value, axis)
    if order is None:
        return movement.reshape(made, x.shape)
    made = movement.reshape(made, tuple(x.shape[d] for d in order))
    return movement.permute(made, movement.inverse(tuple(order)))


def _fitted(value: Node, shape: tuple[int, ...]) -> Node:
    """The value expanded to what is indexed; leading sizes of 1 may be too many."""
    have = value.shape
    while len(have) > len(shape) and have[0] == 1:
        have = have[1:]
    lead = len(shape) - len(have)
    if lead < 0 or any(n not in (1, m) for n, m in zip(have, shape[lead:], strict=True)):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to "
            f"indexing result of shape {list(shape)}"
        )
    return movement.expand(movement.reshape(value, have), shape)


INDEX = Call("index", _index)
INDEX_PUT = Call("index_put", _index_put)


# ---------- what a key means ----------
_INDICES = (int64, int32)
_LONG = 32  # a longer list is a row of numbers


def as_key(key):
    """A list counts as a tuple where a tensor, a sequence, a slice, None or Ellipsis is in it."""
    if key.__class__ is not list or len(key) >= _LONG:
        return key
    several = (Tensor, list, tuple, range, slice, np.ndarray)
    many = any(k is None or k is Ellipsis or isinstance(k, several) for k in key)
    return tuple(key) if many else key


def _mask_size(key) -> int:
    """How many dimensions of the tensor an entry of the key takes."""
    if key is None or key is Ellipsis or isinstance(key, bool):
        return 0
    if isinstance(key, Tensor) and key.form.dtype in (bool_, uint8):
        return key.form.ndim
    return 1


def _entry(key):
    """An entry of a key with lists and arrays as tensors."""
    if key.__class__ in (int, slice) or key is None or key is Ellipsis:
        return key
    if isinstance(key, Tensor):
        if key.form.ndim == 0 and not tracing():
            if key.form.dtype in _INDICES:
                return int(key)
            if key.form.dtype in (bool_, uint8):
                return bool(key)
        return key
    if isinstance(key, np.bool_):
        return bool(key)
    if isinstance(key, bool):
        return key
    if isinstance(key, (list, tuple, range, np.ndarray)):
        from .creation import tensor

        made = tensor(list(key) if isinstance(key, range) else key)
        return made.long() if made.form.size == 0 else made
    if hasattr(key, "__index__"):
        return key.__index__()
    if isinstance(key, str):
        raise TypeError("new(): invalid data type 'str'")
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
        f"indices (got {type(key).__name__})"
    )


def _bounds(key: slice, n: int) -> tuple[int, int, int]:
    """A slice of n elements, as view specs have it."""
    step = 1 if key.step is None else as_int(key.step)
    if step <= 0:
        raise ValueError("step must be greater than zero")
    start, stop = (None if x is None else as_int(x) for x in (key.start, key.stop))
    start, stop, _ = slice(start, stop).indices(n)
    stop = max(start, stop)
    if step > 1 and stop > start:
        stop = start + (stop - start - 1) // step * step + 1
    return start, stop, step


class _Parsed:
    """The slices per axis of the tensor, the shape after dropping and adding axes, and the index
    tensors by their axis in that shape."""

    def __init__(self, shape: tuple[int, ...], keys: list):
        self.shape = shape
        self.slices: list = []
        self.kept: list[int] = []
        self.indices: dict[int, Tensor] = {}
        self.masks: dict[int, Tensor] = {}
        for key in keys:
            self.take(key)
        for n in shape[len(self.slices) :]:
            self.keep((0, n, 1), n)

    def keep(self, piece, size: int) -> None:
        self.slices.append(piece)
        self.kept.append(size)

    def take(self, key) -> None:
        axis = len(self.slices)
        if key is None:
            self.kept.append(1)
        elif isinstance(key, bool):
            self.indices[len(self.kept)] = _positions([0] if key else [])
            self.kept.append(1)
        elif isinstance(key, slice):
            piece = _bounds(key, self.shape[axis])
            self.keep(piece, movement.slice_size(*piece))
        elif isinstance(key, Tensor):
            self.take_tensor(key, axis)
        else:
            self.take_int(key, axis)

    def take_int(self, key: int, axis: int) -> None:
        n = self.shape[axis]
        if not -n <= key < n:
            raise IndexError(f"index {key} is out of bounds for dimension {axis} with size {n}")
        at = key + n if key < 0 else key
        self.slices.append((at, at + 1, 1))

    def take_tensor(self, key: Tensor, axis: int) -> None:
        if key.form.dtype not in (*_INDICES, bool_, uint8):
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        if key.form.dtype not in (bool_, uint8):
            self.indices[len(self.kept)] = key
            self.keep((0, self.shape[axis], 1), self.shape[axis])
            return
        for d, n in enumerate(key.form.shape):
            if self.shape[axis + d] != n:
                raise IndexError(
                    f"The shape of the mask {list(key.form.shape)} at index {d} does not match the "
                    f"shape of the indexed tensor {list(self.shape)} at index {axis + d}"
                )
        self.masks[len(self.kept)] = key
        for n in key.form.shape:
            self.keep((0, n, 1), n)

    def look(self, x: Tensor) -> Tensor:
        """The view that the ints, slices and Nones of the key make."""
        return look(x, *self.specs())

    def specs(self) -> list[tuple]:
        """The same as view specs."""
        specs: list[tuple] = []
        if tuple(self.slices) != whole(self.shape):
            specs.append(("slice", tuple(self.slices)))
        kept = tuple(self.kept)
        if kept != movement.slice_shape(self.slices):
            specs.append(("reshape", kept))
        return specs

    def positions(self) -> dict[int, Tensor]:
        """axis -> index tensor; masks are looked at here."""
        found = dict(self.indices)
        for axis, mask in self.masks.items():
            places = np.nonzero(array_of(mask))
            for d, row in enumerate(places):
                found[axis + d] = from_array(row, Tensor)
        return dict(sorted(found.items()))


def _positions(values: list) -> Tensor:
    return from_array(np.asarray(values, np.int64), Tensor)


def _parsed(x: Tensor, key) -> _Parsed:
    keys = [_entry(k) for k in (key if isinstance(key, tuple) else (key,))]
    shape = x.form.shape
    taken = sum(_mask_size(k) for k in keys)
    if taken > len(shape):
        if not shape and len(keys) == 1:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim "
                "tensor to a number"
            )
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    dots = [i for i, k in enumerate(keys) if k is Ellipsis]
    if dots:  # the first one stands for all axes that are not named
        rest = [slice(None)] * (len(shape) - taken)
        at = dots[0]
        keys = keys[:at] + rest + [k for k in keys[at + 1 :] if k is not Ellipsis]
    return _Parsed(shape, keys)


# ---------- keys of ints, slices, None and Ellipsis alone ----------
_SPECS: dict[tuple, list[tuple]] = {}
_ATOMS = {int: True, type(None): True, type(Ellipsis): True}
_SPECS_KEPT = 4096


def _plain_specs(x: Tensor, key: tuple) -> list[tuple] | None:
    """The view specs of a key without tensors, remembered; None for other keys."""
    try:
        name = tuple(
            [
                (k.start, k.stop, k.step) if k.__class__ is slice else _ATOMS[k.__class__] and k
                for k in key
            ]
        )
    except KeyError:
        return None
    found = _SPECS.get((x.form, name))
    if found is None:
        found = _parsed(x, key).specs()
        numbers = (n for part in name if part.__class__ is tuple for n in part)
        plain = all(n is None or n.__class__ is int for n in numbers)
        if plain and len(_SPECS) < _SPECS_KEPT:
            _SPECS[x.form, name] = found
    return found


# ---------- reading ----------
@attach("__getitem__")
def _get(self, key):
    kind = key.__class__
    if kind is int:
        found = answered(self, "[]", (key,))
        return _row(self, key) if found is None else found
    if kind is slice or kind is tuple:
        specs = _plain_specs(self, key if kind is tuple else (key,))
        if specs is not None:
            return look(self, *specs)
    if isinstance(key, Tensor) and key.form.dtype is int64 and key.form.ndim:
        if not self.form.ndim:
            raise IndexError("too many indices for tensor of dimension 0")
        if self.st.exported:
            taken = rows_now(self, key)
            if taken is not None:
                return taken
        return record_n(INDEX, Tensor, (self, key), (0,))
    if isinstance(key, Tensor) and key.form.dtype is bool_ and key.form.ndim:
        taken = _selected(self, key)
        if taken is not None:
            return taken
    parsed = _parsed(self, as_key(key))
    found = parsed.look(self)
    if not parsed.indices and not parsed.masks:
        return found
    at = parsed.positions()
    return record_n(INDEX, Tensor, (found, *at.values()), tuple(at))


def _selected(x: Tensor, mask: Tensor) -> Tensor | None:
    """x[mask] at once, where no gradient flows: the mask is looked at anyway. None elsewhere."""
    if tracing() or grad_enabled() and x.requires_grad:
        return None
    if mask.form.shape != x.form.shape[: mask.form.ndim]:
        return None
    return from_values(glance(x)[glance(mask)], x.form.dtype, Tensor)


def _row(x: Tensor, i: int) -> Tensor:
    """x[i]: the first axis goes."""
    shape = x.form.shape
    if not shape:
        _parsed(x, i)
    n = shape[0]
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of bounds for dimension 0 with size {n}")
    at = i + n if i < 0 else i
    rest = shape[1:]
    row = look(x, ("slice", ((at, at + 1, 1), *whole(rest))), ("reshape", rest))
    keep_answer(x, "[]", (i,), row)
    return row


# ---------- writing ----------
def _value(x: Tensor, value):
    """What is written, as a tensor or a number."""
    if isinstance(value, Tensor):
        return value
    if not (isinstance(value, NUMBERS) or hasattr(value, "item")):
        raise TypeError(f"can't assign a {type(value).__name__} to a {x.type()}")
    number = operand("__setitem__", value)
    if number.__class__ is complex and number.imag and not x.form.dtype.is_complex:
        name = c_name(x.form.dtype)
        raise RuntimeError(f"value cannot be converted to type {name} without overflow")
    return number


def _without_lead(value, shape: tuple[int, ...]):
    """Leading sizes of 1 may be too many in an assignment."""
    if not isinstance(value, Tensor):
        return value
    have = value.form.shape
    while len(have) > len(shape) and have[0] == 1:
        have = have[1:]
    check_expands(have, shape, "shape mismatch")
    return value if have == value.form.shape else value.reshape(have)


def _write_view(view: Tensor, value) -> None:
    if isinstance(value, Tensor):
        if value.st is view.st and value.lens is view.lens:
            return  # x[i] += 1 has already written through the view
        value = _without_lead(value, view.form.shape)
    write(view, value)


@attach("__setitem__")
def _set(self, key, value):
    value = _value(self, value)
    key = as_key(key)
    specs = _plain_specs(self, key if key.__class__ is tuple else (key,))
    if specs is not None:
        _write_view(look(self, *specs), value)
        return
    parsed = _parsed(self, key)
    view = parsed.look(self)
    if not parsed.indices and not parsed.masks:
        _write_view(view, value)
        return
    if not parsed.indices and len(parsed.masks) == 1:
        single = not isinstance(value, Tensor) or value.form.ndim == 0
        if single:
            (at, mask) = next(iter(parsed.masks.items()))
            inplace(_MASKED_ASSIGN, view, mask, value, attrs=(at,))
            return
    at = parsed.positions()
    inplace(_ASSIGN_AT, view, value, *at.values(), attrs=(tuple(at), False))


def _masked_assign(attrs, x, mask, value):
    """The mask covers the axes from attrs[0] on."""
    (at,) = attrs
    shape = (1,) * at + mask.shape + (1,) * (x.ndim - at - mask.ndim)
    return where(movement.reshape(truth(mask), shape), cast(value, x.dtype), x)


_MASKED_ASSIGN = Call("index_put", _masked_assign)
_ASSIGN_AT = Call("index_put", _index_put)


def _key(indices) -> tuple:
    """A list of index tensors as a key; None stands for a whole dimension."""
    if isinstance(indices, Tensor) or not isinstance(indices, (tuple, list)):
        raise TypeError("index_put(): argument 'indices' must be tuple of Tensors")
    return tuple(slice(None) if i is None else i for i in indices)


@attach()
def index_put_(self, indices, values, accumulate=False) -> Tensor:
    """Write (or add) values at the places that the index tensors name together."""
    if values.form.dtype is not self.form.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{dtypes.short_name(self.form.dtype)} for the destination and "
            f"{dtypes.short_name(values.form.dtype)} for the source."
        )
    at = _parsed(self, _key(indices)).positions()
    return inplace(
        stored_index_put, self, values, *at.values(), attrs=(tuple(at), bool(accumulate))
    )


stored_index_put = stored(INDEX_PUT)


@attach()
def index_put(input, indices, values, accumulate=False) -> Tensor:
    """The input with values written (or added) at the places of the index tensors."""
    return input.clone().index_put_(indices, values, accumulate)


# ---------- places that count only where a mask holds ----------
def _inside(input, indices) -> list:
    """Index tensors (or None) with what lies outside of the input moved to its border."""
    sizes = zip(indices, input.form.shape, strict=False)
    return [i if i is None else i.clamp(-n, n - 1) for i, n in sizes]


def _unsafe_masked_index(input, mask, indices, fill) -> Tensor:
    """input[indices] where the mask holds, else `fill`; elsewhere indices may be anything."""
    return input[_key(_inside(input, indices))].masked_fill(mask.logical_not(), fill)


def _unsafe_masked_index_put_accumulate(input, mask, indices, values) -> Tensor:
    """The input with values added at the indices where the mask holds."""
    kept = values.masked_fill(mask.logical_not(), 0)
    return index_put(input, _inside(input, indices), kept, True)
