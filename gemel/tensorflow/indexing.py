"""`tensor[...]`: Python's indexing as one call.

Role: turns a key (numbers, slices, None, an ellipsis, tensors as numbers or as bounds) into a
static specification and index operands. Out: a tensor.
"""

from __future__ import annotations

from gemel import tensor as engine
from gemel.graph.errors import Fault
from gemel.ops import elementwise as el
from gemel.ops import movement as mv
from gemel.ops.indexing import gather
from gemel.tensor import tracing

from . import context
from .calls_math import FaceCall
from .dispatch import apply, static
from .eager import EagerTensor
from .errors import InvalidArgumentError, ShapeMismatch
from .symbolic import Tensor
from .variables import Variable

INT, SLICE, NEW, REST, CHOSEN = "int", "slice", "new", "rest", "chosen"


def getitem(tensor, key):
    """tensor[key]. TypeError for keys that TensorFlow does not take."""
    parts = key if isinstance(key, tuple) else (key,)
    if tensor.__class__ is EagerTensor:
        rows = _cut(tensor, parts)
        if rows is not None:
            return rows
    spec = []
    chosen = []
    for part in parts:
        if isinstance(part, (Tensor, Variable)) and part.dtype.is_bool:
            from .array import boolean_mask

            return boolean_mask(tensor, part)
        spec.append(_part(part, chosen))
    return apply(STRIDED_SLICE, (tensor, *chosen), (tuple(spec),), "strided_slice")


def _cut(tensor: EagerTensor, parts: tuple) -> EagerTensor | None:
    """A copy of the cells where the value is at hand: a loop over rows or batches of data makes no
    program for each place. None for other keys, values still to be computed, and gradients."""
    buffer = tensor.st.buf
    if buffer is None or tensor.lens is not None or engine.requires_grad(tensor):
        return None
    if not all(_is_plain(p) for p in parts) or tracing() or context.building() is not None:
        return None
    try:
        return EagerTensor.of(buffer.array(tensor.form)[parts])
    except (IndexError, ValueError):
        return None  # the recorded call says what is wrong


def _is_plain(part) -> bool:
    if isinstance(part, slice):
        return all(x is None or x.__class__ is int for x in (part.start, part.stop, part.step))
    return part.__class__ is int or part is None or part is Ellipsis


def _part(part, chosen: list) -> tuple:
    if part is None:
        return (NEW,)
    if part is Ellipsis:
        return (REST,)
    if isinstance(part, slice):
        return SLICE, static(part.start), static(part.stop), static(part.step)
    if isinstance(part, (Tensor, Variable)) and part.dtype.is_integer and part.ndim == 0:
        chosen.append(part)
        return (CHOSEN,)
    if hasattr(part, "__index__") and not isinstance(part, (bool, Tensor, Variable)):
        return INT, part.__index__()
    raise TypeError(
        f"Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar "
        f"tf.int32/tf.int64 tensors are valid indices, got {part!r}"
    )


def _expand(attrs, x, *chosen):
    (spec,) = attrs
    taken = sum(1 for s in spec if s[0] in (INT, SLICE, CHOSEN))
    if taken > x.ndim:
        raise ShapeMismatch(
            f"Index out of range using input dim {x.ndim}; input has only {x.ndim} dims"
        )
    spec = _without_rest(spec, x.ndim - taken)
    cut = []
    shape = []
    picks = []
    dim = 0
    for s in spec:
        if s[0] == NEW:
            shape.append(1)
            continue
        n = x.shape[dim]
        if s[0] == INT:
            cut.append(_whole(s[1], n, dim))
        elif s[0] == CHOSEN:
            cut.append((0, n, 1))
            picks.append((len(shape), n))
            shape.append(n)
        else:
            start, stop, step = slice(*s[1:]).indices(n)
            size = mv.slice_size(start, stop, step)
            cut.append((start, stop, step) if size else (0, 0, 1))
            shape.append(size)
        dim += 1
    out = mv.reshape(mv.slice_(x, cut), shape)
    for (axis, n), index in reversed(list(zip(picks, chosen, strict=True))):
        out = gather(out, _checked(index, n, axis), axis)
    return out


def _whole(i: int, n: int, dim: int) -> tuple[int, int, int]:
    if not -n <= i < n:
        raise ShapeMismatch(f"slice index {i} of dimension {dim} out of bounds.")
    at = i % n
    return at, at + 1, 1


def _checked(index, n: int, axis: int):
    """A run-time index, counted from either end."""
    index = el.where(el.lt(index, 0), index + n, index)
    text = f"slice index {{value}} of dimension {axis} out of bounds."
    return el.check_range(index, 0, n, Fault(InvalidArgumentError, text))


def _without_rest(spec, missing: int) -> list:
    """The ellipsis, or the end, stands for whole axes."""
    whole = [(SLICE, None, None, None)] * missing
    places = [i for i, s in enumerate(spec) if s[0] == REST]
    if len(places) > 1:
        raise ShapeMismatch("Multiple ellipses in slice spec not allowed")
    if not places:
        return [*spec, *whole]
    return [*spec[: places[0]], *whole, *spec[places[0] + 1 :]]


STRIDED_SLICE = FaceCall("StridedSlice", _expand)
