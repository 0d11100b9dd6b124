"""`torch.Size`: the shape of a tensor, a tuple of ints with PyTorch's printing."""

from __future__ import annotations

from math import prod


class Size(tuple):
    """A tuple of sizes. Slices and sums of Sizes are Sizes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(repr, self))}])"

    def numel(self) -> int:
        return prod(self)

    def __getitem__(self, key):
        found = tuple.__getitem__(self, key)
        return Size(found) if found.__class__ is tuple else found

    def __add__(self, other):
        return Size(tuple(self) + tuple(other))

    def __radd__(self, other):
        return Size(tuple(other) + tuple(self))

    def __mul__(self, times):
        return Size(tuple(self) * times)

    def __reduce__(self):
        return Size, (tuple(self),)


def shape_of(given: tuple) -> tuple[int, ...]:
    """Sizes given as one sequence or one by one, as a tuple of ints.

    Raises TypeError for what is no integer.
    """
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    return tuple([n if n.__class__ is int else as_int(n) for n in given])


def as_int(n) -> int:
    """An int of an int-like object (NumPy integer, tensor of one integer)."""
    if isinstance(n, float):
        raise TypeError("'float' object cannot be interpreted as an integer")
    try:
        return n.__index__()
    except AttributeError:
        pass
    raise TypeError(f"'{type(n).__name__}' object cannot be interpreted as an integer")
