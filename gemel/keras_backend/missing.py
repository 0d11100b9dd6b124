"""Ops that Gemel does not have yet: asking for one is an error that names it."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def refuse(part: str, names: Sequence[str]) -> Callable[[str], Callable]:
    """A module's `__getattr__` for ops to come: they exist, and calling them is the error.

    Raises AttributeError for every name that is not in `names`.
    """
    known = frozenset(names)

    def __getattr__(name: str) -> Callable:
        if name not in known:
            raise AttributeError(f"the gemel backend's {part} part has no {name!r}")

        def op(*args, **kwargs):
            raise NotImplementedError(
                f"keras.ops.{name} is not available in Gemel yet: it needs a primitive that is "
                "still to come"
            )

        op.__name__ = op.__qualname__ = name
        op.refused = True
        return op

    return __getattr__
