"""Objects of kernels that this process has compiled, for other programs that have the same ones.

Role: between `codegen.parts`, which names a kernel's code by its text, and the compiler. Programs
of one process are much alike: a step with and without a choice, training and evaluation, the first
and the second size of a batch. Invariant: equal names are equal code.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple

KEPT = 1 << 25  # bytes of objects that are kept, at most
WANTED = 0.5  # the share of an object's code that makes it worth linking


class KernelObject(NamedTuple):
    """heads: the functions that it exports, and how many characters of IR each has"""

    image: bytes
    heads: dict[str, int]


_kept: list[KernelObject] = []  # those used last at the end
_lock = threading.Lock()


def holding(heads: Iterable[str]) -> list[KernelObject]:
    """Objects that hold some of the heads, each mostly what no other one of them holds."""
    missing = set(heads)
    found = []
    with _lock:
        for kept in reversed(_kept):
            here = missing.intersection(kept.heads)
            if sum(kept.heads[n] for n in here) > WANTED * sum(kept.heads.values()):
                found.append(kept)
                missing -= here
        used = set(map(id, found))
        _kept[:] = [o for o in _kept if id(o) not in used] + found[::-1]
    return found


def keep(made: list[KernelObject]) -> None:
    """Have objects at hand for later programs; the oldest ones go where there are too many."""
    with _lock:
        _kept.extend(made)
        total = sum(len(o.image) for o in _kept)
        while total > KEPT:
            total -= len(_kept.pop(0).image)


def held_bytes() -> int:
    """Of the objects that are kept."""
    with _lock:
        return sum(len(o.image) for o in _kept)


def clear() -> None:
    """Forget them all."""
    with _lock:
        _kept.clear()
