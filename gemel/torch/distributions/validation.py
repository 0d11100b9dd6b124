"""Parameters and samples that a distribution does not take are errors.

Values that are known are looked at at once. For values still to be computed the check becomes part
of the program that computes them: looking would run it in the middle of a step. The error then
comes when the program runs, as for everything that only numbers decide.
"""

from __future__ import annotations

from functools import lru_cache

from gemel.graph.errors import Fault
from gemel.ops import requirements
from gemel.ops.record import Call
from gemel.tensor import known, record2

from ..tensor import Tensor
from .constraints import Constraint

_REQUIRED = Call(
    "required",
    lambda attrs, value, holds: requirements.required(value, holds, Fault(ValueError, attrs[0])),
)


def parameter(value, name: str, constraint: Constraint, owner):
    """The parameter as it is to be used. ValueError where it is outside of its region."""
    array = known(value) if isinstance(value, Tensor) else None
    if array is None:
        kind = type(owner).__name__
        return _checked(value, constraint, name, kind, tuple(value.shape))
    if constraint.holds(value, array):
        return value
    raise refused(value, name, constraint, owner)


def refused(value, name: str, constraint: Constraint, owner) -> ValueError:
    """The error of a parameter that is known."""
    return ValueError(
        f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of "
        f"distribution {owner!r} to satisfy the constraint {constraint!r}, "
        f"but found invalid values:\n{value}"
    )


def sample(value: Tensor, constraint: Constraint, owner) -> Tensor:
    """A value whose probability is asked for, as it is to be used. ValueError where the
    distribution cannot give it."""
    array = known(value)
    if array is None:
        kind = type(owner).__name__
        return _checked(value, constraint, "", kind, tuple(value.shape))
    if constraint.holds(value, array):
        return value
    raise ValueError(
        f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be "
        f"within the support ({constraint!r}) of the distribution {owner!r}, "
        f"but found invalid values:\n{value}"
    )


def _checked(value, constraint: Constraint, name: str, kind: str, shape: tuple[int, ...]) -> Tensor:
    attrs = message(name, constraint, kind, shape)
    return record2(_REQUIRED, value, constraint.check(value), attrs)


@lru_cache(512)
def message(name: str, constraint: Constraint, kind: str, shape: tuple[int, ...]) -> tuple[str]:
    """Of a check inside a program. (As the attributes of a call.)"""
    what = f"(Tensor of shape {shape})"
    if name:
        text = (
            f"Expected parameter {name} {what} of distribution {kind} "
            f"to satisfy the constraint {constraint!r}, but found invalid values"
        )
    else:
        text = (
            f"Expected value argument {what} to be within the support ({constraint!r}) "
            f"of the distribution {kind}, but found invalid values"
        )
    return (text.replace("{", "{{").replace("}", "}}"),)
