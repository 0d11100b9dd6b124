"""Reading images at places between the pixels: `map_coordinates` and affine transformations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

from keras.src import backend

from gemel import tensor as lazy
from gemel.graph.form import int64
from gemel.ops import elementwise as E
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.indexing import gather
from gemel.ops.record import Call, const

from .arithmetic import OPS, where
from .arithmetic import round as to_whole
from .creation import arange, broadcast_to
from .shaping import expand_dims, moveaxis, reshape, squeeze
from .tensors import apply, float_dtype, tensor, to_dtype

FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
ORDERS = {"nearest": 0, "bilinear": 1}


# ---------- places ----------
def _inside(attrs, index):
    """A whole place brought into [0, n) as the fill mode has it."""
    n, mode = attrs
    index = cast_node(index, int64)
    if mode == "wrap":
        return E.mod(index, const(n, int64))
    if mode in ("mirror", "reflect"):
        period = 2 * n if mode == "reflect" else max(1, 2 * (n - 1))
        turned = E.mod(index, const(period, int64))
        back = const(period - (mode == "reflect"), int64) - turned
        index = E.minimum(turned, back)
    return E.minimum(E.maximum(index, 0), n - 1)


_INSIDE = Call("place", _inside, differentiable=False)
_PICK = Call("take", lambda attrs, x, index: gather(x, index, 0))


def _neighbours(at: lazy.Tensor, n: int, order: int, mode: str) -> list[tuple]:
    """(place, weight or None, does it lie inside or None) of the pixels that count."""
    if not at.form.dtype.is_float:
        found = [(at, None)]
    elif order == 0:
        found = [(to_whole(at), None)]
    else:
        low = OPS["floor"](at)
        share = at - low
        found = [(low, 1.0 - share), (low + 1.0, share)]
    rows = []
    for place, weight in found:
        valid = None
        if mode == "constant":
            valid = OPS["logical_and"](place >= 0, place < n)
        rows.append((lazy.record1(_INSIDE, place, (n, mode)), weight, valid))
    return rows


def sample(x: lazy.Tensor, coordinates: Sequence[lazy.Tensor], order: int, mode: str, fill):
    """x at coordinates over its first axes; the other axes are taken whole."""
    if mode not in FILL_MODES:
        raise ValueError(
            f"Invalid value for argument `fill_mode`. Expected one of {set(FILL_MODES)}. "
            f"Received: fill_mode={mode}"
        )
    sizes = x.form.shape[: len(coordinates)]
    rest = x.form.shape[len(coordinates) :]
    flat = reshape(x, (prod(sizes), *rest))
    corners = [_neighbours(c, n, order, mode) for c, n in zip(coordinates, sizes, strict=True)]
    total = None
    for corner in product(*corners):
        index, weight, valid = corner[0]
        for n, (i, w, v) in zip(sizes[1:], corner[1:], strict=True):
            index = index * n + i
            weight = w if weight is None else weight if w is None else weight * w
            valid = v if valid is None else OPS["logical_and"](valid, v)
        part = apply(_PICK, flat, index)
        part = part if valid is None else where(_wide(valid, rest), part, fill)
        part = part if weight is None else part * _wide(weight, rest)
        total = part if total is None else total + part
    return total


def _wide(x: lazy.Tensor, rest) -> lazy.Tensor:
    return reshape(x, x.form.shape + (1,) * len(rest))


def _rounded(found: lazy.Tensor, like: lazy.Tensor) -> lazy.Tensor:
    if like.form.dtype.is_float or not found.form.dtype.is_float:
        return to_dtype(found, like.form.dtype)
    return to_dtype(to_whole(found), like.form.dtype)


def map_coordinates(inputs, coordinates, order, fill_mode="constant", fill_value=0.0):
    """x at fractional coordinates, one tensor of them per axis. order: 0 or 1."""
    x = tensor(inputs)
    places = [tensor(c) for c in coordinates]
    if len(places) != x.form.ndim:
        raise ValueError(
            "First dim of `coordinates` must be the same as the rank of `inputs`. Received inputs "
            f"with shape: {x.form.shape} and coordinate leading dim of {len(places)}"
        )
    if not places[0].form.ndim:
        raise ValueError(
            "Invalid coordinates rank: expected at least rank 2. Received input with shape: "
            f"{(len(places),)}"
        )
    if order not in (0, 1):
        raise NotImplementedError("map_coordinates currently requires order<=1")
    return _rounded(sample(x, places, order, fill_mode, fill_value), x)


# ---------- affine ----------
def affine_transform(
    images,
    transform,
    interpolation="bilinear",
    fill_mode="constant",
    fill_value=0,
    data_format=None,
) -> lazy.Tensor:
    """Each output pixel (x, y) is the input's pixel at the transform of (x, y).

    transform  [8] or [batch, 8]: a0, a1, a2, b0, b1, b2, c0, c1, of which the last two must be 0
    """
    if interpolation not in ORDERS:
        raise ValueError(
            f"Invalid value for argument `interpolation`. Expected of one {set(ORDERS)}. Received: "
            f"interpolation={interpolation}"
        )
    x, t = tensor(images), tensor(transform)
    if x.form.ndim not in (3, 4):
        raise ValueError(
            "Invalid images rank: expected rank 3 (single image) or rank 4 (batch of images). "
            f"Received input with shape: images.shape={x.form.shape}"
        )
    if t.form.ndim not in (1, 2):
        raise ValueError(
            "Invalid transform rank: expected rank 1 (single transform) or rank 2 (batch of "
            f"transforms). Received input with shape: transform.shape={t.form.shape}"
        )
    single = x.form.ndim == 3
    x = expand_dims(x, 0) if single else x
    first = backend.standardize_data_format(data_format) == "channels_first"
    x = moveaxis(x, 1, -1) if first else x
    t = reshape(t, (-1, 8))
    t = to_dtype(t, float_dtype(t))
    found = _rounded(sample(x, _moved(x, t), ORDERS[interpolation], fill_mode, fill_value), x)
    found = moveaxis(found, -1, 1) if first else found
    return squeeze(found, 0) if single else found


def _moved(x: lazy.Tensor, t: lazy.Tensor) -> list[lazy.Tensor]:
    """Batch, row and column that every output pixel reads."""
    batch, height, width = x.form.shape[:3]
    rows = reshape(arange(height, dtype=t.form.dtype.name), (1, height, 1))
    columns = reshape(arange(width, dtype=t.form.dtype.name), (1, 1, width))
    a0, a1, a2, b0, b1, b2 = (reshape(t[:, i], (-1, 1, 1)) for i in range(6))
    across = a0 * columns + a1 * rows + a2
    down = b0 * columns + b1 * rows + b2
    shape = (batch, height, width)
    image = broadcast_to(reshape(arange(batch, dtype="int64"), (batch, 1, 1)), shape)
    return [image, broadcast_to(down, shape), broadcast_to(across, shape)]
