"""Exception classes of data-dependent errors, which the original raises from its runtime."""

from __future__ import annotations


class InvalidArgumentError(ValueError):
    """A value that an op cannot take, found when the program ran."""


_invalid = [InvalidArgumentError]


def invalid_argument() -> type[BaseException]:
    """The class that is raised: TensorFlow's own when its face has adopted Keras."""
    return _invalid[0]


def adopt_invalid_argument(cls: type[BaseException]) -> None:
    _invalid[0] = cls
