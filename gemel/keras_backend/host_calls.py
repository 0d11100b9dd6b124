"""Factorisations as host calls: LAPACK through NumPy, on values that are looked at.

They run outside of programs: inside a compiled step, and where a gradient would have to flow
through, they are errors that say so.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras.src.backend.config import floatx

from gemel import tensor as lazy

from .tensors import convert_to_tensor, dtype_of, tensor, to_dtype


def host_call(name: str, function: Callable) -> Callable:
    """An op that hands arrays to a NumPy function and takes arrays back.

    Raises NotImplementedError inside a compiled step or where gradients are recorded.
    """

    def op(*args, **settings):
        given = [tensor(a) for a in args]
        given = [x if x.form.dtype.is_float else to_dtype(x, dtype_of(floatx())) for x in given]
        _check(name, given)
        try:
            found = function(*(lazy.array_of(x) for x in given), **settings)
        except np.linalg.LinAlgError as error:
            raise ValueError(f"keras.ops.{name}: {error}") from None
        if isinstance(found, tuple):
            return tuple(_back(x, given[0]) for x in found)
        return _back(found, given[0])

    op.__name__ = op.__qualname__ = name
    return op


def _check(name: str, given: list[lazy.Tensor]) -> None:
    if lazy.tracing():
        raise NotImplementedError(
            f"keras.ops.{name} runs in LAPACK on the host and cannot be part of a compiled step "
            "yet; compile the model with run_eagerly=True"
        )
    if any(lazy.requires_grad(x) for x in given):
        raise NotImplementedError(f"keras.ops.{name} has no gradient in Gemel yet")


def _back(found, like: lazy.Tensor) -> lazy.Tensor:
    found = np.asarray(found)
    dtype = like.form.dtype.name if found.dtype.kind == "f" else None
    return convert_to_tensor(found, dtype)
