"""Functions made of several calls, under `torch.autocast`: their operands are cast before.

Single calls are cast by the recorder, by the lists in `amp/cast_lists.py`.
"""

from __future__ import annotations

from functools import wraps

from gemel.tensor.casting import current_casting

from .dtypes import FACE, float32
from .tensor import Tensor


def in_lower(function):
    """Decorator: under autocast the function computes in the lower type."""
    return _cast(function, True)


def in_float32(function):
    """Decorator: under autocast the function computes in float32."""
    return _cast(function, False)


def _cast(function, lower: bool):
    @wraps(function)
    def run(*args, **options):
        mode = current_casting()
        if mode is not None:
            to = FACE[mode.dtype] if lower else float32
            args = [_as(x, to, mode.rules.floats) for x in args]
            options = {name: _as(x, to, mode.rules.floats) for name, x in options.items()}
        return function(*args, **options)

    return run


def _as(x, to, floats):
    return x.to(to) if isinstance(x, Tensor) and x.form.dtype in floats else x
