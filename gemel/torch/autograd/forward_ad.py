"""`torch.autograd.forward_ad`: tensors with a tangent.

A dual tensor is a value with a history of its own; the tangent of what was computed from it is
found when it is asked for, by the transposed reverse pass.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from gemel import tensor as lazy

from ..tensor import Tensor
from .levels import ALIAS, Level
from .pushing import Push


class UnpackedDualTensor(NamedTuple):
    """A tensor without its tangent, and the tangent or None."""

    primal: Tensor
    tangent: Tensor | None


class _Dual:
    """A level under way: its inputs with their tangents, and what gradients were before."""

    def __init__(self):
        self.before = lazy.set_grad_enabled(True)
        self.level = Level("forward_ad")
        self.level.outer = self.before
        self.inputs: list[Tensor] = []
        self.tangents: list[Tensor] = []
        self.duals: list[Tensor] = []


class _Levels(threading.local):
    """Of this thread: one at most."""

    def __init__(self):
        self.open: list[_Dual] = []


_LEVELS = _Levels()


def enter_dual_level() -> int:
    """Begin a level; its number. One at a time."""
    if _LEVELS.open:
        raise RuntimeError(
            "Nested forward mode AD is not supported at the moment (use torch.func.jvp)"
        )
    _LEVELS.open.append(_Dual())
    return len(_LEVELS.open) - 1


def exit_dual_level(*, level: int | None = None) -> None:
    """End a level: its tangents are forgotten."""
    if not _LEVELS.open or (level is not None and level != len(_LEVELS.open) - 1):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This "
            "is not supported."
        )
    lazy.set_grad_enabled(_LEVELS.open.pop().before)


class dual_level:
    """A block in which `make_dual` and `unpack_dual` work."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *error) -> None:
        exit_dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A tensor with this tangent, of the same shape and type."""
    if not _LEVELS.open:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    if not (tensor.form.dtype.is_smooth and tangent.form.dtype.is_smooth):
        bad, what = (tensor, "primal") if not tensor.form.dtype.is_smooth else (tangent, "tangent")
        raise ValueError(f"Expected {what} to be floating point or complex, but got: {bad.dtype}")
    from ..func.derivatives import check_tangent

    check_tangent(tensor, tangent)
    at = _LEVELS.open[-1]
    start = at.level.input(tensor)
    dual = lazy.record1(ALIAS, start)
    at.inputs.append(start)
    at.tangents.append(tangent)
    at.duals.append(dual)
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """(the tensor without tangent, its tangent); None for a tensor that has none."""
    if not _LEVELS.open:
        return UnpackedDualTensor(tensor, None)
    at = _LEVELS.open[-1]
    if not lazy.requires_grad(tensor) or not at.inputs:
        return UnpackedDualTensor(tensor, None)
    push = Push([tensor], at.inputs)
    at.level.leaves += push.leaves
    traced = any(map(lazy.requires_grad, at.tangents))
    create = at.before and (at.level.kept(tensor) or traced)
    (found,) = push(at.tangents, create)
    if found is None:
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(at.level.sealed(tensor), found if create else found.detach())
