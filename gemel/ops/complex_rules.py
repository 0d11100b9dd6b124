"""What each primitive is on complex values: one small rule each, into primitives on the parts.

A rule is `(attrs, *args) -> Node` under the primitive's name; `Primitive.expand` looks it up where
an operand or the result is complex. A primitive without a rule has no meaning for complex numbers
(order, rounding, bits): NotForComplex.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.graph.form import bool_
from gemel.graph.node import Node

from . import complex_arithmetic, complex_functions, elementwise, movement
from .complex import (
    as_complex,
    as_real,
    from_parts,
    from_real,
    imaginary,
    part_type,
    parts,
    real,
    times_i,
)
from .contraction import CONTRACT
from .record import COMPLEX_RULES, PRIMITIVES, const
from .reduction import kept_shape

PAIR = (0, 2, 1)  # the whole of the last axis, as a slice


def rule(name: str):
    """Register a rule for a primitive."""

    def register(function: Callable) -> Callable:
        COMPLEX_RULES[name] = function
        return function

    return register


def _on_pairs(name: str, place: Callable | None = None) -> None:
    """The same primitive on the pairs, all operands complex. place: attrs -> attrs of the pairs."""
    op = PRIMITIVES[name]

    @rule(name)
    def apply(attrs, *args):
        moved = attrs if place is None else place(attrs)
        return as_complex(op(*map(as_real, args), attrs=moved))


for _name in ("neg", "add", "sub", "copy", "concat", "sum"):
    _on_pairs(_name)
for _name in ("reshape", "expand"):
    _on_pairs(_name, lambda attrs: ((*attrs[0], 2),))
_on_pairs("permute", lambda attrs: ((*attrs[0], len(attrs[0])),))
_on_pairs("slice", lambda attrs: ((*attrs[0], PAIR),))
_on_pairs("update_slice", lambda attrs: ((*attrs[0], PAIR),))


@rule("const")
def _const(attrs):
    value, dtype = attrs
    value = complex(value)
    kind = part_type(dtype)
    return from_parts(const(value.real, kind), const(value.imag, kind))


@rule("iota")
def _iota(attrs):
    shape, axis, dtype = attrs
    return from_real(movement.iota(shape, axis, part_type(dtype)), dtype)


@rule("cast")
def _cast(attrs, x):
    """To a real type the imaginary part is dropped; truth is to be other than zero."""
    (dtype,) = attrs
    if not x.dtype.is_complex:
        return from_real(x, dtype)
    if dtype.is_complex:
        return as_complex(elementwise.cast(as_real(x), part_type(dtype)))
    if dtype is bool_:
        re, im = parts(x)
        return elementwise.or_(elementwise.cast(re, bool_), elementwise.cast(im, bool_))
    return elementwise.cast(real(x), dtype)


@rule("where")
def _where(attrs, c, a, b):
    c = movement.reshape(c, (*c.shape, 1))
    return as_complex(elementwise.where(c, as_real(a), as_real(b)))


@rule("eq")
def _eq(attrs, a, b):
    same = elementwise.eq(real(a), real(b))
    return elementwise.and_(same, elementwise.eq(imaginary(a), imaginary(b)))


@rule("gather")
def _gather(attrs, x, index):
    return as_complex(PRIMITIVES["gather"](as_real(x), index, attrs=attrs))


@rule("scatter")
def _scatter(attrs, base, index, value):
    return as_complex(PRIMITIVES["scatter"](as_real(base), index, as_real(value), attrs=attrs))


@rule("prod")
def _prod(attrs, x):
    """Halves multiplied with each other until one is left."""
    axes, keepdims = attrs
    rest = [i for i in range(x.ndim) if i not in axes]
    moved = movement.permute(x, (*rest, *axes))
    lead = moved.shape[: len(rest)]
    count = x.form.size // max(1, _size(lead)) if x.form.size else _size(moved.shape[len(rest) :])
    y = movement.reshape(moved, (*lead, count))
    if not count:
        y = movement.full((*lead, 1), 1, x.dtype)
    while y.shape[-1] > 1:
        y = _halved(y)
    return movement.reshape(y, kept_shape(x.shape, axes) if keepdims else lead)


def _size(shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _halved(y: Node) -> Node:
    axis, n = y.ndim - 1, y.shape[-1]
    half = n // 2
    low, high = movement.narrow(y, axis, 0, half), movement.narrow(y, axis, half, half)
    found = low * high
    return movement.concat([found, movement.narrow(y, axis, n - 1, 1)], axis) if n % 2 else found


@rule("contract")
def _contract(attrs, a, b):
    """Two real contractions, each over the pairs of b: by the real and by the imaginary part
    of a."""
    la, lb, lo, windows = attrs
    pair = 1 + max((*la, *lb, *lo, *(x for w in windows for x in w[:3])), default=0)
    labels = (la, (*lb, pair), (*lo, pair), windows)
    pairs = as_real(b)
    by_real = as_complex(CONTRACT(real(a), pairs, attrs=labels))
    by_imaginary = as_complex(CONTRACT(imaginary(a), pairs, attrs=labels))
    return by_real + times_i(by_imaginary)


COMPLEX_RULES |= complex_arithmetic.RULES
COMPLEX_RULES |= complex_functions.RULES
