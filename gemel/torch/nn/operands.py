"""Operands of the functions of `torch.nn`: which are tensors, and which are given at all."""

from __future__ import annotations

from gemel.torch.checks import wrong_argument
from gemel.torch.tensor import Tensor


def checked(name: str, input) -> Tensor:
    """The input; TypeError where it is no tensor."""
    if not isinstance(input, Tensor):
        raise wrong_argument(name, "input", 1, input)
    return input


def present(*tensors):
    """(the tensors that are given, which are given)."""
    given = [t for t in tensors if t is not None]
    return given, tuple([t is not None for t in tensors])


def split(operands: list, flags: tuple) -> list:
    """The optional operands in their places: None where the flag says there is none."""
    rest = iter(operands)
    return [next(rest) if there else None for there in flags]
