"""Tensors saved for the backward pass of Python functions, and hooks that pack them.

What built-in operations keep for their gradients is decided when a program is compiled, and is no
tensor: hooks see what Functions save.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

from gemel.tensor.leaves import version

from ..tensor import Tensor

# (pack, unpack), innermost last
_HOOKS: list[tuple[Callable, Callable]] = []
_DISABLED: list[str] = []


class saved_tensors_hooks:
    """Inside, tensors that Functions save go through pack_hook(tensor), and what it gives through
    unpack_hook when the backward pass asks for them."""

    def __init__(self, pack_hook: Callable, unpack_hook: Callable):
        self.pair = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if _DISABLED:
            raise RuntimeError(_DISABLED[-1])
        _HOOKS.append(self.pair)

    def __exit__(self, *error) -> None:
        _HOOKS.pop()


class save_on_cpu(saved_tensors_hooks):
    """Saved tensors are in the CPU's memory, as they are anyway."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        super().__init__(lambda t: t, lambda t: t)


@contextmanager
def disable_saved_tensors_hooks(error_message: str):
    """Inside, using hooks for saved tensors is an error with this text."""
    _DISABLED.append(error_message)
    try:
        yield
    finally:
        _DISABLED.pop()


class Saved:
    """One saved tensor. Once it was an output, it is the tied one that a backward pass sees."""

    __slots__ = ("tensor", "packed", "unpack", "place", "seen")

    @classmethod
    def of(cls, t: Tensor | None) -> Saved:
        made = cls()
        made.tensor = t
        made.unpack = None
        made.seen = None if t is None else version(t)
        if t is not None and _HOOKS:
            pack, made.unpack = _HOOKS[-1]
            made.packed = pack(t)
            made.tensor = None
        return made

    def value(self, link) -> Tensor | None:
        if self.unpack is not None:
            return self.unpack(self.packed)
        t = self.tensor
        if t is None or link is None:
            return t
        place = link.raw.get(id(t))
        if place is not None and place < len(link.tied):
            t = link.tied[place]
        elif version(t) != self.seen:
            from gemel.tensor.errors import ModifiedInPlace

            raise ModifiedInPlace(t.form, version(t), self.seen)
        return t
