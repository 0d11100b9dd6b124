"""Ranges in blocks: how long blocks are, and code that walks them.

Role: what the generators of contractions and of windows share where they cut work. Sizes are Python
numbers, known when code is emitted; an index is an operand. What is known is folded: a range of one
block has no loop and no remainder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil

from gemel.codegen.llvm import Function, Operand
from gemel.codegen.sizes import divides

LINE = 64  # bytes


def even_block(total: int, most: int) -> int:
    """The size of equal blocks, none above `most`."""
    return ceil(total / ceil(total / max(1, most))) if total else 1


def covering(size: int, block: int) -> int:
    """How many blocks cover so many things."""
    return -(-size // block)


def lines(size: int, slack: int = 0) -> int:
    """Bytes up to the next cache line; nothing needs no slack."""
    return (size + slack + LINE - 1) // LINE * LINE if size else 0


def split(f: Function, index: Operand, inner: Sequence[int]) -> list[Operand]:
    """A flat index as several: an outermost one, which may be overrun, and one per inner size."""
    out: list[Operand] = []
    for size in reversed(inner):
        out.append(f.urem(index, size))
        index = f.udiv(index, size)
    return [index, *reversed(out)]


def extent(f: Function, block: Operand, size: int, total: int) -> tuple[Operand, Operand]:
    """Where a block of at most `size` of `total` things starts, and how many it has."""
    first = f.mul(block, size)
    return first, size if divides(size, total) else f.min(f.sub(total, first), size)


def stepped(
    f: Function, offsets: Sequence[Operand], strides: Sequence[int], index: Operand
) -> list[Operand]:
    """Offsets, one per array, `index` steps further."""
    pairs = zip(offsets, strides, strict=True)
    return [f.add(offset, f.mul(index, stride)) for offset, stride in pairs]


def remaining(f: Function, total: int, step: int, first: Operand) -> Operand:
    """How many of `total` are left for a group of `step` that begins at `first`."""
    if total <= step:
        return total
    return step if total % step == 0 else f.min(f.sub(total, first), step)


@contextmanager
def each(f: Function, count: Operand) -> Iterator[Operand]:
    """A loop from 0, or nothing around a single turn."""
    if type(count) is int and count == 1:
        yield 0
    else:
        with f.loop(0, count, nonempty=True) as loop:
            yield loop.index


def product(f: Function, sizes: Sequence[Operand]) -> Operand:
    """All sizes multiplied."""
    out: Operand = 1
    for size in sizes:
        out = f.mul(out, size)
    return out
