"""How the functions of this namespace are recorded.

`define(name, kinds, build)` makes the function of one line of a table: it checks and promotes its
operands and records one call of the engine.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.graph.errors import ShapeError
from gemel.graph.node import Node
from gemel.ops.elementwise import broadcast_shapes
from gemel.ops.record import Call
from gemel.tensor import record1, record_many, record_n

from .array import Array, check_array
from .dtypes import KINDS, promote

NUMBERS = (bool, int, float, complex)


def kinds_of(names: str) -> str:
    """The engine's kinds of several kind names of the standard: 'bool, integral'."""
    return "".join(KINDS[name.strip()] for name in names.split(","))


def require(name: str, x: Node | Array, kinds: str, names: str) -> None:
    """TypeError where the element type is of none of the kinds."""
    dtype = x.form.dtype
    if dtype.kind not in kinds:
        raise TypeError(f"{name} takes arrays of kind {names}, not {dtype}")


def unary(name: str, names: str, build: Callable[[Node], Node], text: str) -> Callable:
    """The function of an operation of one array."""
    kinds = kinds_of(names)

    def expand(attrs, x):
        require(name, x, kinds, names)
        return build(x)

    call = Call(name, expand)

    def function(x, /):
        check_array(name, x)
        return record1(call, x)

    return described(function, name, text)


def binary(name: str, names: str, build: Callable[[Node, Node], Node], text: str) -> Callable:
    """The function of an operation of two operands, one of which may be a Python number."""
    kinds = kinds_of(names)

    def expand(attrs, a, b):
        a, b = promote(a, b)
        require(name, a, kinds, names)
        check_broadcast(name, a, b)
        return build(a, b)

    call = Call(name, expand)

    def function(x1, x2, /):
        return record_n(call, Array, operands(name, x1, x2))

    function.call = call
    return described(function, name, text)


def operands(name: str, *values) -> tuple:
    """Arrays and Python numbers, at least one of them an array."""
    if not any(isinstance(x, Array) for x in values):
        raise TypeError(f"{name} needs an array among its operands")
    for x in values:
        if not isinstance(x, (Array, *NUMBERS)):
            raise TypeError(f"{name} takes arrays and Python numbers, not {type(x).__name__}")
    return tuple(_plain(x) for x in values)


def _plain(x):
    """Subclasses of Python's numbers as these."""
    for kind in NUMBERS:
        if isinstance(x, kind):
            return x if type(x) is kind else kind(x)
    return x


def check_broadcast(name: str, *nodes: Node) -> None:
    """ValueError where the shapes do not broadcast."""
    try:
        broadcast_shapes(name, *(n.form for n in nodes))
    except ShapeError:
        shapes = " and ".join(str(n.shape) for n in nodes)
        raise ValueError(f"{name}: shapes {shapes} do not broadcast") from None


def described(function: Callable, name: str, text: str) -> Callable:
    """The function under its name, with its docstring."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


def one(call: Call, x: Array, attrs: tuple = ()) -> Array:
    """Record a call on one array."""
    return record1(call, x, attrs)


def several(call: Call, *arrays: Array, attrs: tuple = ()) -> tuple[Array, ...]:
    """Record a call with several results."""
    return tuple(record_many(call, Array, arrays, attrs))


def joined(call: Call, *arrays, attrs: tuple = ()) -> Array:
    """Record a call on several operands with one result."""
    return record_n(call, Array, arrays, attrs)


def axis_of(name: str, axis, ndim: int) -> int:
    """The axis from 0 on. IndexError outside, TypeError for what is no number."""
    where = axis.__index__()
    if not -ndim <= where < ndim:
        raise IndexError(f"{name}: axis {axis} of an array of {ndim} dimensions")
    return where % ndim if ndim else 0


def axes_of(name: str, axis, ndim: int) -> tuple[int, ...]:
    """All axes for None, one, or several without repetition."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    found = tuple(axis_of(name, a, ndim) for a in given)
    if len(set(found)) != len(found):
        raise ValueError(f"{name}: axes {axis} repeat")
    return found
