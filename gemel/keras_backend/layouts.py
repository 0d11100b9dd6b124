"""The nested structure of a batch, apart from its tensors."""

from __future__ import annotations

from keras.src import tree


class Layout:
    """The nested structure of a batch. Leaves that are no tensors (None) are part of it."""

    __slots__ = ("structure", "places", "rest", "key")

    def __init__(self, structure) -> None:
        flat = tree.flatten(structure)
        self.structure = structure
        self.places = [i for i, x in enumerate(flat) if x is not None]
        self.rest = [None] * len(flat)
        self.key = outline(structure)

    def filled(self, tensors):
        """The structure with tensors in their places."""
        flat = list(self.rest)
        for i, t in zip(self.places, tensors, strict=True):
            flat[i] = t
        return tree.pack_sequence_as(self.structure, flat)


def outline(x):
    """The structure as a hashable value."""
    if isinstance(x, dict):
        return ("dict", tuple((k, outline(v)) for k, v in x.items()))
    if isinstance(x, (list, tuple)):
        return (type(x).__name__, tuple(outline(v) for v in x))
    return None if x is None else "."
