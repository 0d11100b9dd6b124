"""`Parameter`: a tensor that a module finds by itself; `Buffer`: one that is saved, not trained."""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.torch.tensor import Tensor


def _over(data: Tensor, cls: type) -> Tensor:
    """A tensor of class `cls` that shares the storage of `data` and has no history."""
    plain = lazy.detach(data)
    made = object.__new__(cls)
    made.st = plain.st
    made.form = plain.form
    if plain.lens is not None:
        made.lens = plain.lens
    return made


class Parameter(Tensor):
    """A tensor over the values of `data` that becomes a parameter when set on a module.

    RuntimeError where gradients are asked for values that are not floating point.
    """

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True):
        if data is None:
            from gemel.torch.creation import empty

            data = empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(
                f"Parameter: data must be a torch.Tensor, not {type(data).__name__}"
            )
        made = _over(data, cls)
        if requires_grad:
            made.requires_grad_(True)
        return made

    def __init__(self, data=None, requires_grad: bool = True):
        pass

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            with lazy.no_grad():
                values = self.detach().clone()
            copied = type(self)(values, self.requires_grad)
            if self.grad is not None:
                copied.grad = self.grad.__deepcopy__(memo)
            memo[id(self)] = copied
        return memo[id(self)]

    def __repr__(self, *, tensor_contents=None) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that becomes a buffer when set on a module; `persistent`: is it saved?"""

    __slots__ = ()
    persistent = True

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True):
        if data is None:
            from gemel.torch.creation import empty

            data = empty(0)
        made = _over(data, cls)
        made.persistent = persistent
        return made

    def __init__(self, data=None, *, persistent: bool = True):
        pass
