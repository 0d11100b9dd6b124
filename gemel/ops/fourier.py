"""Discrete Fourier transforms as nodes; a gradient is again a transform.

The transforms are linear, and the gradient of a linear function is its adjoint: for the complex
transform that with the other sign.
"""

from __future__ import annotations

from math import prod, sqrt

from gemel.graph.node import Node

from .complex import as_complex, as_real, complex_type, conjugate, from_real, real
from .complex_arithmetic import scaled
from .elementwise import const, eq, or_, where
from .host import Host
from .movement import iota, narrow, pad


def _from_end(axes, ndim: int) -> tuple[int, ...]:
    return tuple(a - ndim if a >= 0 else a for a in axes)


def _complex_gradient(g: Node, y: Node, x: Node) -> list[Node]:
    axes, forward = y.attrs[1]
    return [as_real(transform(as_complex(g), axes, not forward))]


def _real_gradient(g: Node, y: Node, x: Node) -> list[Node]:
    (axis,) = y.attrs[1]
    full = resized(as_complex(g), axis + x.ndim, x.shape[axis])
    return [real(transform(full, (axis,), False))]


def _half_gradient(g: Node, y: Node, x: Node) -> list[Node]:
    """Frequencies that stand for two count twice."""
    (axis,) = y.attrs[1]
    n = y.shape[axis]
    found = half_transform(g, axis)
    place = iota(found.shape, axis + found.ndim, g.dtype)
    alone = eq(place, 0.0)
    if n % 2 == 0:
        alone = or_(alone, eq(place, float(n // 2)))
    return [as_real(scaled(found, where(alone, const(1, g.dtype), 2.0)))]


_COMPLEX = Host("fourier.complex_to_complex", _complex_gradient)
_HALF = Host("fourier.real_to_complex", _real_gradient)
_REAL = Host("fourier.complex_to_real", _half_gradient)


def transform(z: Node, axes, forward: bool = True) -> Node:
    """sum over j of z_j exp(-+2 pi i j k / n) over the axes, minus where `forward`."""
    axes = _from_end(axes, z.ndim)
    if not axes:
        return z
    pairs = as_real(z)
    made = _COMPLEX(pairs.shape, pairs.dtype, pairs, settings=(axes, forward), paired=(True,))
    return as_complex(made)


def half_transform(x: Node, axis: int) -> Node:
    """The first n // 2 + 1 frequencies of a real value's transform; the others are conjugates."""
    (axis,) = _from_end((axis,), x.ndim)
    shape = list(x.shape)
    shape[axis] = shape[axis] // 2 + 1
    return as_complex(_HALF((*shape, 2), x.dtype, x, settings=(axis,)))


def real_transform(z: Node, axis: int, size: int) -> Node:
    """The transform (plus sign) of `size` values of which the first size // 2 + 1 are given and the
    others their conjugates. Real."""
    (axis,) = _from_end((axis,), z.ndim)
    pairs = as_real(resized(z, axis + z.ndim, size // 2 + 1))
    shape = list(z.shape)
    shape[axis] = size
    return _REAL(tuple(shape), pairs.dtype, pairs, settings=(axis,), paired=(True,))


def resized(x: Node, axis: int, size: int) -> Node:
    """The first `size` cells along an axis; zeros where there are fewer."""
    have = x.shape[axis]
    if have >= size:
        return narrow(x, axis, 0, size)
    return pad(x, [(0, size - have if i == axis else 0) for i in range(x.ndim)])


def as_complex_value(x: Node) -> Node:
    """x as a complex value of its own precision."""
    return x if x.dtype.is_complex else from_real(x, complex_type(x.dtype))


# ---------- of given sizes, with factors ----------
NORMS = ("backward", "ortho", "forward")  # which direction has the factor 1 / n, or both its root


def normalised(y: Node, count: int, norm: str, forward: bool) -> Node:
    """The transform of `count` values with its factor."""
    if norm == "ortho":
        factor = 1.0 / sqrt(count)
    elif (norm == "forward") == forward:
        factor = 1.0 / count
    else:
        return y
    return scaled(y, factor) if y.dtype.is_complex else y * factor


def _fitted(x: Node, sizes, axes) -> Node:
    for n, axis in zip(sizes, axes, strict=True):
        x = resized(x, axis, n)
    return x


def complex_to_complex(z: Node, sizes, axes, norm: str, forward: bool) -> Node:
    """The transform of a complex value, cut or padded to the sizes."""
    y = transform(_fitted(z, sizes, axes), axes, forward)
    return normalised(y, prod(sizes), norm, forward)


def real_to_complex(x: Node, sizes, axes, norm: str, forward: bool) -> Node:
    """That of a real value: one half of the frequencies along the last of the axes."""
    y = transform(half_transform(_fitted(x, sizes, axes), axes[-1]), axes[:-1])
    return normalised(y if forward else conjugate(y), prod(sizes), norm, forward)


def complex_to_real(z: Node, sizes, axes, norm: str, forward: bool) -> Node:
    """The real value of which one half of the frequencies along the last of the axes is given."""
    z = _fitted(z, sizes[:-1], axes[:-1])
    z = transform(conjugate(z) if forward else z, axes[:-1], False)
    return normalised(real_transform(z, axes[-1], sizes[-1]), prod(sizes), norm, forward)
