"""What a contraction computes: axes, operands, results.

Role: the task, as those who emit kernels put it; `contraction_plan` says how it is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# For the left and the right operand: does a prologue compute on what is loaded?
Joined = tuple[bool, bool]
PLAIN: Joined = (False, False)


@dataclass(frozen=True)
class Bound:
    """An index of an array that may fall outside of it (`steps` has one entry per axis).

    An element exists where `0 <= start + sum(index * step) < size`; elsewhere it reads as 0.
    """

    steps: tuple[int, ...]
    start: int
    size: int


@dataclass(frozen=True)
class Access:
    """One array seen by the contraction: its element and one stride (in elements) per axis.

    A stride of 0 repeats the array along the axis. `signed` tells how a narrower integer widens.
    Only operands have bounds. Their pointer is the address at all indices 0, which may lie outside
    of the array.
    """

    elem: str
    strides: tuple[int, ...]
    signed: bool = True
    bounds: tuple[Bound, ...] = ()


@dataclass(frozen=True)
class Contraction:
    """result[...] = sum over the reduced axes of left * right, one entry of `sizes` per axis.

    `left` and `right` are the arrays each operand is computed from (usually one; a prologue joins
    several), `tile` the arrays the epilogue reads and writes. `elem` is the type of the sum.
    `lasting`: is the left, the right operand the same whenever this is computed? Then it is packed
    once. `bfloat16`: both operands are single arrays of bfloat16 (whose element is i16).
    """

    sizes: tuple[int, ...]
    reduced: tuple[bool, ...]
    elem: str
    left: tuple[Access, ...]
    right: tuple[Access, ...]
    tile: tuple[Access, ...]
    lasting: tuple[bool, bool] = (False, False)
    bfloat16: bool = False


def runs_along(strides: Sequence[int]) -> bool:
    """Is at least one of several arrays contiguous, and do the others repeat?"""
    return set(strides) in ({1}, {0, 1})


def check(contraction: Contraction) -> None:
    """Errors: ValueError where the axes are not the same for all arrays."""
    count = len(contraction.sizes)
    if len(contraction.reduced) != count:
        raise ValueError(f"{count} sizes but {len(contraction.reduced)} reduced flags")
    for access in (*contraction.left, *contraction.right, *contraction.tile):
        if len(access.strides) != count:
            raise ValueError(f"{count} axes but {len(access.strides)} strides in {access}")
