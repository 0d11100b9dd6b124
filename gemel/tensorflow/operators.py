"""Python's operators on tensors and variables.

Role: puts `+`, `[...]`, `==` and their kin on `Tensor` and `Variable`. Importing it does so once.
"""

from __future__ import annotations

from . import calls_math as calls
from . import math
from .convert import convert_to_tensor
from .dispatch import apply, binary
from .indexing import getitem
from .linalg import matmul
from .symbolic import Tensor
from .variables import Variable


def _pair(call, name: str):
    def forward(x, y):
        return binary(call, x, y, name) if _is_operand(y) else NotImplemented

    def backward(x, y):
        return binary(call, y, x, name) if _is_operand(y) else NotImplemented

    return forward, backward


def _is_operand(y) -> bool:
    """Other classes may know better what to do with a tensor."""
    return y is None or hasattr(y, "dtype") or not hasattr(type(y), "__array_ufunc__")


_PAIRS = {
    "add": (calls.ADD, "add"),
    "sub": (calls.SUB, "sub"),
    "mul": (calls.MUL, "mul"),
    "truediv": (calls.TRUE_DIVIDE, "truediv"),
    "floordiv": (calls.FLOOR_DIVIDE, "floordiv"),
    "mod": (calls.FLOOR_MOD, "mod"),
}
_COMPARISONS = {
    "lt": (calls.LESS, "Less"),
    "le": (calls.LESS_EQUAL, "LessEqual"),
    "gt": (calls.GREATER, "Greater"),
    "ge": (calls.GREATER_EQUAL, "GreaterEqual"),
}
_LOGICAL = {
    "and": (calls.BITWISE_AND, calls.LOGICAL_AND),
    "or": (calls.BITWISE_OR, calls.LOGICAL_OR),
    "xor": (calls.BITWISE_XOR, calls.LOGICAL_XOR),
}


def _logical_pair(whole, logical):
    def forward(x, y):
        return math.bitwise_or_logical(x, y, whole, logical)

    def backward(x, y):
        return math.bitwise_or_logical(y, x, whole, logical)

    return forward, backward


def _invert(x):
    x = convert_to_tensor(x)
    return apply(calls.LOGICAL_NOT if x.dtype.is_bool else calls.INVERT, (x,), ())


def _power(x, y):
    return math.pow(x, y, "pow")


def _install(cls: type) -> None:
    for name, (call, graph_name) in _PAIRS.items():
        forward, backward = _pair(call, graph_name)
        setattr(cls, f"__{name}__", forward)
        setattr(cls, f"__r{name}__", backward)
    for name, (call, graph_name) in _COMPARISONS.items():
        setattr(cls, f"__{name}__", _pair(call, graph_name)[0])
    for name, both in _LOGICAL.items():
        forward, backward = _logical_pair(*both)
        setattr(cls, f"__{name}__", forward)
        setattr(cls, f"__r{name}__", backward)
    cls.__matmul__ = lambda a, b: matmul(a, b, name="matmul")
    cls.__rmatmul__ = lambda a, b: matmul(b, a, name="matmul")
    cls.__pow__ = _power
    cls.__rpow__ = lambda x, y: math.pow(y, x, "pow")
    cls.__neg__ = lambda x: math.negative(x)
    cls.__pos__ = lambda x: x
    cls.__abs__ = lambda x: math.abs(x)
    cls.__round__ = lambda x, digits=None: math.round(x)
    cls.__invert__ = _invert
    cls.__getitem__ = getitem
    cls.__eq__ = math.eq
    cls.__ne__ = math.ne
    cls.__hash__ = _hash
    # NumPy leaves operators with an array on the left to us
    cls.__array_priority__ = 100
    cls.__array_ufunc__ = None


def _hash(x) -> int:
    """Values compare elementwise, so they cannot be keys (graph elements can: see there)."""
    kind = "Variable" if isinstance(x, Variable) else "Tensor"
    raise TypeError(f"{kind} is unhashable. Instead, use {kind.lower()}.ref() as the key.")


_install(Tensor)
_install(Variable)
