"""`keras.ops.numpy`: everything that this backend offers under that name, and the operators."""

from __future__ import annotations

from . import (
    arithmetic,
    contracting,
    creation,
    indexing,
    numeric,
    ordered,
    reductions,
    shaping,
)
from .arithmetic import OPS
from .contracting import matmul
from .indexing import getitem
from .missing import refuse
from .tensors import Tensor

_PARTS = (shaping, creation, arithmetic, reductions, contracting, indexing, ordered, numeric)
_missing = refuse("numpy", ("vectorize",))


def __getattr__(name: str):
    for part in reversed(_PARTS):
        found = vars(part).get(name)
        # what a part only imports is not its own
        if getattr(found, "__module__", None) == part.__name__:
            globals()[name] = found
            return found
    if name == "slogdet":
        from .linalg_ops import slogdet

        return slogdet
    return _missing(name)


def _swapped(op):
    return lambda a, b: op(b, a)


_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "mod",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}


def _install() -> None:
    """Python's operators on the face's tensors."""
    for symbol, name in _OPERATORS.items():
        setattr(Tensor, f"__{symbol}__", OPS[name])
        setattr(Tensor, f"__r{symbol}__", _swapped(OPS[name]))
    Tensor.__pow__ = arithmetic.power
    Tensor.__rpow__ = _swapped(arithmetic.power)
    Tensor.__matmul__ = matmul
    Tensor.__rmatmul__ = _swapped(matmul)
    for symbol, name in {"neg": "negative", "abs": "absolute", "invert": "bitwise_invert"}.items():
        setattr(Tensor, f"__{symbol}__", OPS[name])
    for symbol, name in {
        "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
        "eq": "equal", "ne": "not_equal",
    }.items():  # fmt: skip
        setattr(Tensor, f"__{symbol}__", OPS[name])
    Tensor.__pos__ = lambda a: a
    Tensor.__round__ = lambda a, n=None: arithmetic.round(a, n or 0)
    Tensor.__getitem__ = getitem
    Tensor.__iter__ = lambda a: iter(shaping.unstack(a))
    Tensor.T = property(shaping.transpose)
    Tensor.reshape = lambda a, *shape: shaping.reshape(a, shape[0] if len(shape) == 1 else shape)


_install()
