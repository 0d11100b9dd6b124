"""Reductions: sum, product, maximum, minimum, position of an extreme.

attrs: (axes, keepdims), axes a sorted tuple of non-negative positions; none reduces nothing.
"""

from __future__ import annotations

import numpy as np

from gemel.graph.errors import DTypeError, ShapeError
from gemel.graph.form import Form, bool_, form, int64
from gemel.graph.node import Node

from .elementwise import cast, eq, where
from .movement import expand, reshape
from .record import Primitive


def normal_axes(op: str, axes, ndim: int) -> tuple[int, ...]:
    """None, a position or several (negative ones count from the end) as sorted positions."""
    if axes is None:
        return tuple(range(ndim))
    given = (axes,) if isinstance(axes, int) else tuple(axes)
    found = set()
    for a in given:
        if not -max(ndim, 1) <= a < max(ndim, 1):
            raise ShapeError(op, f"axis {a} is out of range for {ndim} dimensions")
        if a % max(ndim, 1) in found:
            raise ShapeError(op, f"axis {a} is given twice")
        found.add(a % max(ndim, 1))
    return tuple(sorted(a for a in found if a < ndim))


def kept_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _reduced(f: Form, attrs) -> tuple[int, ...]:
    axes, keepdims = attrs
    if keepdims:
        return kept_shape(f.shape, axes)
    return tuple(n for i, n in enumerate(f.shape) if i not in axes)


def _infer(name: str, kinds: str, needs_items: bool = False):
    def infer(attrs, f: Form) -> Form:
        if f.dtype.kind not in kinds:
            raise DTypeError(name, f"not defined for {f.dtype}", (f,))
        if needs_items and any(f.shape[a] == 0 for a in attrs[0]):
            raise ShapeError(name, "an empty axis has no extreme", (f,))
        return form(_reduced(f, attrs), f.dtype)

    return infer


def _reference(function):
    def run(attrs, x):
        with np.errstate(all="ignore"):
            return function(x, axis=attrs[0], keepdims=attrs[1]).astype(x.dtype)

    return run


def spread(g: Node, y: Node, x: Node) -> Node:
    """A value per reduced cell, back over the reduced axes."""
    return expand(reshape(g, kept_shape(x.shape, y.attrs[0])), x.shape)


def _extreme_gradient(g, y, x):
    """Shared evenly among the cells that attain the extreme."""
    hit = eq(x, spread(y, y, x))
    count = sum_(cast(hit, x.dtype), *y.attrs)
    return where(hit, spread(g / count, y, x), 0.0)


def _product_gradient(g, y, x):
    """The product of the others, through the count of zeros so that one zero is not lost.

    Where it is 0 because of one other zero, that zero's sum stands in for it, so that second
    derivatives are right too.
    """
    zero = eq(x, 0.0)
    zeros = spread(sum_(cast(zero, x.dtype), *y.attrs), y, x)
    others = spread(PROD(where(zero, 1.0, x), attrs=y.attrs), y, x)
    nothing = spread(sum_(where(zero, x, 0.0), *y.attrs), y, x)  # 0, with a derivative of 1
    plain = others / where(zero, 1.0, x)
    plain = where(eq(zeros, 0.0), plain, where(eq(zeros, 1.0), plain * nothing, 0.0))
    hit = where(eq(zeros, 1.0), others, where(eq(zeros, 2.0), others * (nothing - x), 0.0))
    return spread(g, y, x) * where(zero, hit, plain)


SUM = Primitive(
    "sum",
    "reduction",
    1,
    _infer("sum", "uif"),
    (lambda g, y, x: spread(g, y, x),),
    _reference(np.sum),
)
PROD = Primitive(
    "prod", "reduction", 1, _infer("prod", "uif"), (_product_gradient,), _reference(np.prod)
)
MAX = Primitive(
    "max", "reduction", 1, _infer("max", "buif", True), (_extreme_gradient,), _reference(np.max)
)
MIN = Primitive(
    "min", "reduction", 1, _infer("min", "buif", True), (_extreme_gradient,), _reference(np.min)
)


def _position_infer(attrs, f: Form) -> Form:
    if any(f.shape[a] == 0 for a in attrs[0]):
        raise ShapeError("position", "an empty axis has no extreme", (f,))
    return form(_reduced(f, attrs), int64)


def _position_reference(attrs, x):
    (axis,), keepdims, largest = attrs
    return (np.argmax if largest else np.argmin)(x, axis=axis, keepdims=keepdims)


# attrs: ((axis,), keepdims, largest). The first position of the extreme; NaN counts as extreme.
POSITION = Primitive(
    "position",
    "reduction",
    1,
    lambda attrs, f: _position_infer(attrs[:2], f),
    (),
    _position_reference,
)


def sum_(x: Node, axes=None, keepdims: bool = False) -> Node:
    return SUM(x, attrs=(normal_axes("sum", axes, x.ndim), keepdims))


def prod(x: Node, axes=None, keepdims: bool = False) -> Node:
    return PROD(x, attrs=(normal_axes("prod", axes, x.ndim), keepdims))


def amax(x: Node, axes=None, keepdims: bool = False) -> Node:
    return MAX(x, attrs=(normal_axes("max", axes, x.ndim), keepdims))


def amin(x: Node, axes=None, keepdims: bool = False) -> Node:
    return MIN(x, attrs=(normal_axes("min", axes, x.ndim), keepdims))


def all_(x: Node, axes=None, keepdims: bool = False) -> Node:
    """True where every cell is; an empty axis gives True."""
    return eq(sum_(cast(eq(cast(x, bool_), False), int64), axes, keepdims), 0)


def any_(x: Node, axes=None, keepdims: bool = False) -> Node:
    """True where some cell is; an empty axis gives False."""
    return cast(sum_(cast(cast(x, bool_), int64), axes, keepdims), bool_)


def position(x: Node, axis: int | None, keepdims: bool, largest: bool) -> Node:
    """The first position of the maximum (largest) or minimum; axis None is over all values."""
    if axis is None:
        flat = position(reshape(x, (x.form.size,)), 0, False, largest)
        return reshape(flat, (1,) * x.ndim) if keepdims else flat
    axes = normal_axes("position", axis, x.ndim)
    if not axes:
        return cast(x, int64) * 0 if not x.dtype.is_smooth else cast(eq(x, x), int64) * 0
    return POSITION(x, attrs=(axes, keepdims, largest))


def argmax(x: Node, axis: int | None = None, keepdims: bool = False) -> Node:
    return position(x, axis, keepdims, True)


def argmin(x: Node, axis: int | None = None, keepdims: bool = False) -> Node:
    return position(x, axis, keepdims, False)
