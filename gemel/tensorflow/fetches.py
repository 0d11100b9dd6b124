"""The structure of what a session fetches: nested lists, tuples, dicts around graph elements.

In: fetches as the user gave them. Out: the elements in order, once each, and `pack`, which puts
values back into the structure.
"""

from __future__ import annotations

from collections.abc import Mapping

from .symbolic import Operation, SymbolicTensor


class Structure:
    """elements   tensors and operations, in order of first appearance
    signature  equal for fetches of the same elements in the same structure
    flat       are the elements themselves, or a plain list or tuple of them, what was given?
    """

    def __init__(self, graph, fetches):
        self.elements: list = []
        self._places: dict = {}
        self._graph = graph
        self.pattern = self._walk(fetches)
        self.signature = repr(self.pattern), tuple(map(id, self.elements))
        flat_kind = type(fetches) in (list, tuple)
        parts = fetches if flat_kind else (fetches,)
        self.flat = not any(isinstance(p, (list, tuple, Mapping, str)) for p in parts)

    def _walk(self, fetch):
        if fetch is None:
            raise TypeError('Argument `fetch` = None has invalid type "NoneType". Cannot be None')
        if isinstance(fetch, Mapping):
            return type(fetch), [(k, self._walk(v)) for k, v in fetch.items()]
        if isinstance(fetch, (list, tuple)):
            return type(fetch), [self._walk(v) for v in fetch]
        return self._element(fetch)

    def _element(self, fetch) -> int:
        try:
            found = self._graph.as_graph_element(fetch)
        except TypeError as error:
            raise TypeError(
                f'Argument `fetch` = {fetch} has invalid type "{type(fetch).__name__}" must be a '
                f"string or Tensor. ({error})"
            ) from None
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"Argument `fetch` = {fetch} cannot be interpreted as a Tensor. ({error})"
            ) from None
        if found not in self._places:
            self._places[found] = len(self.elements)
            self.elements.append(found)
        return self._places[found]

    @property
    def tensors(self) -> list[SymbolicTensor]:
        return [e for e in self.elements if isinstance(e, SymbolicTensor)]

    @property
    def operations(self) -> list[Operation]:
        return [e.op if isinstance(e, SymbolicTensor) else e for e in self.elements]

    def packer(self):
        """A function from the elements' values to the structure filled with them."""
        pattern = self.pattern
        if isinstance(pattern, int):
            return lambda values: values[pattern]
        kind, parts = pattern
        if kind is list and parts == list(range(len(self.elements))):
            return list
        return lambda values: _filled(pattern, values)


def _filled(pattern, values):
    if isinstance(pattern, int):
        return values[pattern]
    kind, parts = pattern
    if parts and isinstance(parts[0], tuple) and issubclass(kind, Mapping):
        return kind((k, _filled(p, values)) for k, p in parts)
    made = [_filled(p, values) for p in parts]
    if kind is list:
        return made
    return kind(*made) if hasattr(kind, "_fields") else kind(made)
