"""How `gemel.compile(step, steps=n)` records a TensorFlow step: as `tf.function` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .array import concat, stack
from .eager import EagerTensor
from .function import Function


class Way:
    """`find` gives (traced function, what makes the results of its values and arguments, None)."""

    def __init__(self, function: Callable):
        self.function = Function(function)

    def find(self, examples: tuple) -> tuple | None:
        recording, _ = self.function._recording(examples, {})
        if recording is None:
            return None
        return recording.traced, lambda values, given: recording.structured(values), None

    def plain(self, args: tuple):
        """One step as it stands."""
        return self.function(*args)

    def stacked(self, results: list):
        """The structures of several steps as one, with a leading axis."""
        return _along(results, stack)

    def joined(self, pieces: list):
        """Stacked structures one behind the other."""
        return _along(pieces, lambda parts: concat(parts, 0))


def _along(results: list, join: Callable):
    """Structures of one kind joined tensor by tensor; of anything else the last one stays."""
    last = results[-1]
    if isinstance(last, EagerTensor):
        return join(results)
    if isinstance(last, Mapping):
        return {k: _along([r[k] for r in results], join) for k in last}
    if isinstance(last, tuple | list):
        items = [_along(list(parts), join) for parts in zip(*results, strict=True)]
        return type(last)(*items) if hasattr(last, "_fields") else type(last)(items)
    return last
