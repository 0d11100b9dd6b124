"""Which modules a function calls while it is recorded, and which tensors it sets on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gemel.tensor import no_grad, write
from gemel.torch.tensor import Tensor

from .module import Module


class Calls:
    """modules called, and the tensors among their attributes when they were first called."""

    def __init__(self):
        self.found: dict[int, tuple[Module, dict]] = {}

    @property
    def modules(self) -> list[Module]:
        return [module for module, _ in self.found.values()]

    def note(self, module: Module) -> None:
        if id(module) not in self.found:
            attributes = module.__dict__
            tensors = {n: v for n, v in attributes.items() if isinstance(v, Tensor)}
            self.found[id(module)] = module, tensors

    def _changed(self) -> Iterator[tuple[Module, str, Tensor | None, Tensor]]:
        """(module, name, tensor before, tensor now) of attributes that are another tensor now."""
        for module, before in self.found.values():
            for name, now in list(module.__dict__.items()):
                if isinstance(now, Tensor) and before.get(name) is not now:
                    yield module, name, before.get(name), now

    def write_back(self) -> None:
        """`self.mean = ...` as a write into the tensor that was there, so that the next call of
        the record reads it. Others stay as they are set."""
        for module, name, old, now in self._changed():
            if old is None or old.form is not now.form or old.requires_grad or now.requires_grad:
                continue
            with no_grad():
                write(old, now)
            setattr(module, name, old)

    def undo(self) -> None:
        """The function was not recorded to its end: its tensors will never have values."""
        for module, name, old, _ in self._changed():
            if old is None:
                delattr(module, name)
            else:
                setattr(module, name, old)


@contextmanager
def watched_calls():
    """The `Calls` made inside."""
    calls = Calls()
    plain = Module.__call__

    def watching(self, *args, **kwargs):
        calls.note(self)
        return plain(self, *args, **kwargs)

    Module.__call__ = watching
    try:
        yield calls
    except BaseException:
        calls.undo()
        raise
    finally:
        Module.__call__ = plain
