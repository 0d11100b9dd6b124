"""`functionalize`: what is recorded knows no writes in the first place."""

from __future__ import annotations

import functools
from collections.abc import Callable

from ..tensor import Tensor


def functionalize(func, *, remove="mutations") -> Callable:
    """`func` without writes in between. Values here never change: what a function records has no
    writes, but new values of the tensors that it wrote, which get them at the end. So this is the
    function itself."""
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}. "
            "Valid options are:\n     remove='mutations'\n     remove='mutations_and_views'"
        )

    @functools.wraps(func)
    def run(*args, **options):
        return func(*args, **options)

    return run


def debug_unwrap(tensor: Tensor, *, recurse: bool = True) -> Tensor:
    """The tensor itself: transformations wrap nothing here."""
    return tensor
