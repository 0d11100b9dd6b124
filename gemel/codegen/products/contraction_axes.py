"""The axes of a contraction: in groups, merged where memory is contiguous, covered by tiles.

Role: the words in which `contraction_plan` plans. An axis has a size and a stride per array; a
group is what is walked in one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import NamedTuple

from gemel.codegen.blocks import covering, even_block
from gemel.codegen.sizes import hint, is_size


@dataclass(frozen=True)
class Axis:
    """A merged axis; `strides` has one entry per array: left ones, right ones, tile ones."""

    size: int
    strides: tuple[int, ...]


class Groups(NamedTuple):
    """The axes of a contraction by what they are for."""

    batch: tuple[Axis, ...]
    rows: tuple[Axis, ...]
    columns: tuple[Axis, ...]
    k: tuple[Axis, ...]


def plain_stride(stride: int) -> int:
    """A number for the stride, to decide by. One that varies is neither 0 nor 1."""
    return max(2, hint(stride)) if is_size(stride) else stride


def panels(group: Sequence[Axis], tile: int) -> int:
    """How many tiles cover a group whose last axis is tiled."""
    return prod(axis.size for axis in group[:-1]) * covering(group[-1].size, tile)


def merged_axes(axes: list[Axis], key: int, second: int | None = None) -> tuple[Axis, ...]:
    """Axes from large to small stride of array `key`, contiguous neighbours joined."""

    def order(axis: Axis) -> tuple[int, ...]:
        tie = abs(hint(axis.strides[second])) if second is not None else 0
        return -abs(hint(axis.strides[key])) if key < len(axis.strides) else 0, -tie

    merged: list[Axis] = []
    for axis in sorted(axes, key=order):
        if merged and all(
            wide == axis.size * near
            for wide, near in zip(merged[-1].strides, axis.strides, strict=True)
        ):
            merged[-1] = Axis(merged[-1].size * axis.size, axis.strides)
        else:
            merged.append(axis)
    return tuple(merged)


def k_chunk_of(size: int, most: int) -> int:
    """A length of blocks, all of them equal and a multiple of 4 where there is one not too short;
    loops then have known lengths."""
    count = ceil(size / most)
    for more in range(count, count * 3 // 2 + 1):
        if size % (4 * more) == 0:
            return size // more
    return even_block(size, most)
