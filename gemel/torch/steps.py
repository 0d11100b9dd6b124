"""How `gemel.compile(step, steps=n)` records a PyTorch step: as `torch.compile` does."""

from __future__ import annotations

from collections.abc import Callable

from . import cat, stack
from .compiling import Compiled
from .tensor import Tensor


class Way:
    """`find` gives (traced function, what makes the results of its values and arguments, and, where
    the record is good for one call only, that call)."""

    def __init__(self, function: Callable):
        self.compiled = Compiled(function, False, False)

    def find(self, examples: tuple) -> tuple | None:
        record, _ = self.compiled.record_for(examples)
        if record is None:
            return None
        if record.kept:
            return record.run.traced, None, self._only(record)
        record.run.forget()  # its names for the parameters' memory would make it look shared
        return record.run.traced, record.rebuild, None

    def _only(self, record) -> Callable:
        def only(args: tuple):
            return record.answer([a for a in args if isinstance(a, Tensor)])

        return only

    def plain(self, args: tuple):
        """One step as it stands."""
        return self.compiled(*args)

    def stacked(self, results: list):
        """The structures of several steps as one, with a leading axis."""
        return _along(results, stack)

    def joined(self, pieces: list):
        """Stacked structures one behind the other."""
        return _along(pieces, cat)


def _along(results: list, join: Callable):
    """Structures of one kind joined tensor by tensor; of anything else the last one stays."""
    last = results[-1]
    if isinstance(last, Tensor):
        return join(results)
    if isinstance(last, dict):
        return {k: _along([r[k] for r in results], join) for k in last}
    if isinstance(last, tuple | list):
        items = [_along(list(parts), join) for parts in zip(*results, strict=True)]
        return type(last)(*items) if hasattr(last, "_fields") else type(last)(items)
    return last
