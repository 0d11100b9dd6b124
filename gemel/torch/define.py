"""From one line of a table to a function, a method and an in-place method.

    exp = unary("exp", ops.EXP)      ->  torch.exp(x, out=None), x.exp(), x.exp_()
    add = binary("add", ops.add)     ->  torch.add(x, y), x.add(y), x.add_(y), and its Call

In: a builder from nodes to a node (from `ops`). The promotion is put around it here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gemel.graph.node import Node
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.tensor import record1, record2

from .checks import check_broadcast, check_same_shape, wrong_argument
from .out import into as into
from .promotion import as_float, check_cast, promoted
from .tensor import Tensor
from .writing import inplace

NUMBERS = (int, float, bool, complex)
# Operators try the fast way first: `record2` fails with AttributeError on what is no tensor and no
# number, which costs nothing where it does not happen.


def stored(call: Call) -> Call:
    """The in-place form of a call: its result has the target's shape and goes into its type."""

    def expand(attrs, target, *others):
        value = call.expand(attrs, target, *others)
        check_same_shape(target, value)
        check_cast(value.dtype, target.dtype)
        return cast(value, target.dtype)

    return Call(call.name, expand, call.differentiable)


def _described(function, name: str, text: str):
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


def install(name: str, call: Call, method: Callable, in_place: bool, *aliases: str) -> None:
    """Put a method (and its in-place form) on Tensor under its names."""
    for n in (name, *aliases):
        setattr(Tensor, n, _described(method, name, f"See torch.{name}."))
    if not in_place:
        return
    target = stored(call)

    def write(self, *operands):
        if len(operands) == 1 and operands[0].__class__ in NUMBERS:
            return inplace(target, self, operands[0])
        return inplace(target, self, *[operand(name, o) for o in operands])

    text = f"{name} with the result written to this tensor; its shape and type stay."
    for n in (name, *aliases):
        setattr(Tensor, n + "_", _described(write, name + "_", text))


UNARY = {
    as_float: "Integers are computed in the default floating-point type.",
    promoted: "The result has the input's type.",
}


def unary_function(name: str, build: Callable[[Node], Node], types=as_float):
    """The function of an operation of one tensor."""

    def expand(attrs, x):
        (x,) = types(x)
        return build(x)

    call = Call(name, expand)

    def function(input, *, out=None):
        if not isinstance(input, Tensor):
            raise wrong_argument(name, "input", 1, input)
        result = record1(call, input)
        return result if out is None else into(out, result, input, name=name)

    function.call = call
    text = f"{name} of each element; same shape. {UNARY.get(types, '')}"
    return _described(function, name, text)


def unary(
    name: str, build: Callable[[Node], Node], types=as_float, in_place: bool = True, aliases=()
):
    """An operation of one tensor. Returns the function; the methods are put on Tensor."""
    function = unary_function(name, build, types)
    call = function.call

    def method(self):
        return record1(call, self)

    install(name, call, method, in_place, *aliases)
    return function


def operand(name: str, other, place: int = 2):
    """A second operand as `record2` takes it: NumPy scalars become Python numbers."""
    if isinstance(other, Tensor) or other.__class__ in NUMBERS:
        return other
    if isinstance(other, np.generic):
        return other.item()
    if isinstance(other, NUMBERS):
        kind = next(k for k in (float, complex, int) if isinstance(other, k))
        return kind(other)
    raise wrong_argument(name, "other", place, other)


def arithmetic(name: str, build: Callable, types=promoted) -> Call:
    """The Call of an operation of two operands that broadcast."""

    def expand(attrs, a, b):
        check_broadcast(a, b)
        return build(*types(a, b))

    return Call(name, expand)


def binary_function(name: str, call: Call, numbers: bool = True):
    """The function of a Call of two operands, either of which may be a number."""

    def function(input, other, *, out=None):
        if not isinstance(input, Tensor):
            input, other = _first_number(name, input, other, numbers)
        if other.__class__ not in NUMBERS and not isinstance(other, Tensor):
            other = operand(name, other)
        if not numbers and not isinstance(other, Tensor):
            raise wrong_argument(name, "other", 2, other)
        if isinstance(input, Tensor):
            result = record2(call, input, other)
        else:
            result = record2(call, other, input, None, True)
        return result if out is None else into(out, result, input, other, name=name)

    function.call = call
    text = f"{name} of each pair of elements; the operands broadcast and are promoted."
    return _described(function, name, text)


# operations of which both operands may be numbers, and those of which only the second may
_TWO_NUMBERS = frozenset("add sub mul div floor_divide".split())
_SECOND_NUMBER = frozenset("eq ne lt le gt ge copysign fmod".split())


def _first_number(name: str, input, other, numbers: bool):
    """A number as first operand; the second is then a tensor (two numbers make a tensor)."""
    from .creation import tensor

    numbers = numbers and name not in _SECOND_NUMBER
    if not numbers or not isinstance(input, (*NUMBERS, np.generic)):
        raise wrong_argument(name, "input", 1, input)
    if not isinstance(other, Tensor) and name not in _TWO_NUMBERS:
        raise wrong_argument(name, "other", 2, other)
    input = operand(name, input)
    return (input, other) if isinstance(other, Tensor) else (tensor(input), other)


def binary(name: str, build, types=promoted, in_place: bool = True, numbers: bool = True,
           aliases=()):  # fmt: skip
    """An operation of two operands. Returns the function; the methods are put on Tensor."""
    call = build if isinstance(build, Call) else arithmetic(name, build, types)

    def method(self, other):
        if not numbers and not isinstance(other, Tensor):
            raise wrong_argument(name, "other", 1, other)
        if other.__class__ not in NUMBERS and not isinstance(other, Tensor):
            other = operand(name, other, 1)
        return record2(call, self, other)

    install(name, call, method, in_place, *aliases)
    return binary_function(name, call, numbers)


def with_factor(call: Call, times: Call) -> Call:
    """The call of two operands with a factor of the second one, as one call of three."""

    def expand(attrs, a, b, factor):
        return call.expand((), a, times.expand((), b, factor))

    return Call(call.name, expand)


def is_factor(factor, other) -> bool:
    """Is it a real number, and what it is a factor of a tensor of floats?"""
    tensor = isinstance(other, Tensor) and other.form.dtype.kind == "f"
    return tensor and factor.__class__ in (float, int)


def operator(call: Call):
    """The method of a Python operator: `a + b`."""

    def apply(self, other):
        try:
            return record2(call, self, other)
        except AttributeError:
            return _foreign(call, self, other, False)

    return apply


def reflected(call: Call):
    """The method of a reflected operator: `2 + b`."""

    def apply(self, other):
        if not isinstance(self, Tensor):
            kind = type(self).__name__
            raise TypeError(f"__r{call.name}__ is for a tensor, not for a '{kind}' object")
        try:
            return record2(call, self, other, None, True)
        except AttributeError:
            return _foreign(call, self, other, True)

    return apply


def _foreign(call: Call, self: Tensor, other, swap: bool):
    """An operand of another library: NumPy scalars and arrays are taken in."""
    if isinstance(other, Tensor):
        raise  # the call itself went wrong
    if isinstance(other, np.generic):
        other = other.item()
    elif isinstance(other, np.ndarray):
        from .exchange import from_numpy

        other = from_numpy(other)
    elif isinstance(other, NUMBERS):
        other = operand(call.name, other)
    else:
        return NotImplemented
    return record2(call, self, other, None, swap)


def assigning(call: Call):
    """The method of an assigning operator: `a += b`."""
    target = stored(call)

    def apply(self, other):
        if not isinstance(other, Tensor) and other.__class__ not in NUMBERS:
            if not isinstance(other, (np.generic, *NUMBERS)):
                return NotImplemented
            other = operand(call.name, other)
        return inplace(target, self, other)

    return apply
