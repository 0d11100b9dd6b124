"""Complex numbers: pairs of real ones. One primitive reads the bits of the ones as the others.

A complex value of shape S lies in memory as a real one of shape S + (2,): the real and the
imaginary part next to each other. Only leaves, results and views are of a complex type; what is
computed is computed on the parts (`complex_rules` says how for each primitive), and programs are
compiled without it (`over_reals`).

The gradient of a real loss for a complex value is the pair of its gradients for the two parts.
"""

from __future__ import annotations

import numpy as np

from gemel.graph.errors import DTypeError, ShapeError
from gemel.graph.form import DType, Form, complex64, complex128, float32, float64, form
from gemel.graph.node import Node, order, rebuild, recorded_at

from .elementwise import STOP_GRADIENT, broadcast_shapes, cast
from .movement import concat, expand, reshape, slice_, zeros
from .record import LEAF, Primitive, leaf

_REAL = {complex64: float32, complex128: float64}
_COMPLEX = {real: whole for whole, real in _REAL.items()}


def part_type(dtype: DType) -> DType:
    """The element type of the parts; a real type is its own."""
    return _REAL.get(dtype, dtype)


def complex_type(dtype: DType) -> DType:
    """The complex type with parts of this type; complex64 for types that are no parts."""
    return dtype if dtype.is_complex else _COMPLEX.get(dtype, complex64)


def real_form(f: Form) -> Form:
    """The form of a complex value read as pairs."""
    return form((*f.shape, 2), _REAL[f.dtype])


def _infer(attrs, f: Form) -> Form:
    if f.dtype.is_complex:
        return real_form(f)
    if f.dtype not in _COMPLEX:
        raise DTypeError("pairs", f"{f.dtype} is no part of a complex type", (f,))
    if f.shape[-1:] != (2,):
        raise ShapeError("pairs", "the last axis must be a pair", (f,))
    return form(f.shape[:-1], _COMPLEX[f.dtype])


def _reference(attrs, x):
    if x.dtype.kind == "c":
        return np.stack((x.real, x.imag), -1)
    return np.ascontiguousarray(x).view(np.result_type(x, np.complex64))[..., 0]


# complex S read as real S + (2,), and the other way round: its own inverse and its own gradient
PAIRS = Primitive("pairs", "movement", 1, _infer, (lambda g, y, x: PAIRS(g),), _reference)


def as_real(z: Node) -> Node:
    """The pairs of a complex value."""
    if not z.dtype.is_complex:
        raise DTypeError("as_real", f"{z.dtype} is not complex", (z.form,))
    return PAIRS(z)


def as_complex(x: Node) -> Node:
    """The complex value of real pairs."""
    if x.dtype.is_complex:
        raise DTypeError("as_complex", f"{x.dtype} is complex", (x.form,))
    return PAIRS(x)


def _part(z: Node, which: int) -> Node:
    pairs = as_real(z)
    spec = (*((0, n, 1) for n in z.shape), (which, which + 1, 1))
    return reshape(slice_(pairs, spec), z.shape)


def real(z: Node) -> Node:
    """The real part; a real value is its own."""
    return _part(z, 0) if z.dtype.is_complex else z


def imaginary(z: Node) -> Node:
    """The imaginary part."""
    return _part(z, 1) if z.dtype.is_complex else zeros(z.shape, z.dtype)


def parts(z: Node) -> tuple[Node, Node]:
    return real(z), imaginary(z)


def from_parts(re: Node, im: Node) -> Node:
    """re + i im; the parts broadcast."""
    shape = broadcast_shapes("complex", re.form, im.form)
    halves = [reshape(expand(x, shape), (*shape, 1)) for x in (re, im)]
    return as_complex(concat(halves, len(shape)))


def from_real(x: Node, dtype: DType) -> Node:
    """A real value as a complex one of an element type."""
    re = cast(x, part_type(dtype))
    return from_parts(re, zeros((), re.dtype))


def conjugate(z: Node) -> Node:
    """re - i im; a real value is its own."""
    if not z.dtype.is_complex:
        return z
    re, im = parts(z)
    return from_parts(re, -im)


def times_i(z: Node) -> Node:
    """i z, exactly."""
    re, im = parts(z)
    return from_parts(-im, re)


def over_i(z: Node) -> Node:
    """z / i, exactly."""
    re, im = parts(z)
    return from_parts(im, -re)


def over_reals(leaves: list[Node], outputs: list[Node]) -> tuple[list[Node], list[Node]]:
    """The same graph without complex types: leaves and outputs are given and returned as pairs,
    which is what lies in their memory."""
    nodes = order([*leaves, *outputs])
    if not any(n.dtype.is_complex for n in nodes):
        return leaves, outputs
    done: dict[Node, Node] = {}
    for node in nodes:
        with recorded_at(node.where):
            done[node] = _over_reals(node, done)
    return [done[n] for n in leaves], [done[n] for n in outputs]


def _over_reals(node: Node, done: dict[Node, Node]) -> Node:
    if node.op is PAIRS:
        return done[node.args[0]]
    if node.op is LEAF and node.dtype.is_complex:
        return leaf(node.attrs[0], real_form(node.form))
    if node.op is STOP_GRADIENT:
        return STOP_GRADIENT(done[node.args[0]])
    return rebuild(node, tuple(done[a] for a in node.args))
