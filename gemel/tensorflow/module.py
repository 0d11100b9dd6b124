"""`tf.Module`: an object that finds the variables in its attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .control import name_scope
from .variables import Variable


class Module:
    """Collects variables and modules from its attributes, also in lists, tuples and dicts."""

    def __init__(self, name: str | None = None):
        self._name = name or re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def name(self) -> str:
        return self._name

    @property
    def name_scope(self):
        return name_scope(self._name)

    @property
    def variables(self) -> tuple:
        return tuple(x for x in self._parts() if isinstance(x, Variable))

    @property
    def trainable_variables(self) -> tuple:
        return tuple(v for v in self.variables if v.trainable)

    @property
    def non_trainable_variables(self) -> tuple:
        return tuple(v for v in self.variables if not v.trainable)

    @property
    def submodules(self) -> tuple:
        return tuple(x for x in self._parts() if isinstance(x, Module) and x is not self)

    def _parts(self) -> list:
        """Variables and modules below this one, each once, in order of the attributes' names."""
        seen: dict[int, object] = {}
        _collect(self, seen)
        return list(seen.values())

    @classmethod
    def with_name_scope(cls, method):
        """A decorator: the method runs in the module's name scope."""

        def run(self, *args, **kwargs):
            with self.name_scope:
                return method(self, *args, **kwargs)

        return run


def _collect(value, seen: dict[int, object]) -> None:
    if isinstance(value, Variable | Module):
        if id(value) in seen:
            return
        seen[id(value)] = value
    for part in _inside(value):
        _collect(part, seen)


def _inside(value) -> Iterator:
    if isinstance(value, Module):
        for name in sorted(vars(value)):
            yield vars(value)[name]
    elif isinstance(value, list | tuple):
        yield from value
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield value[key]
