"""What lies in a program's memory when most of it is in use: for people who look for room."""

from __future__ import annotations

from gemel.codegen.nest import Kernel
from gemel.codegen.sizes import is_size
from gemel.graph.node import Node

SHOWN = 12  # values that are named
LEAST = 1 << 20  # bytes of an arena whose contents are worth a list
LONG = 8  # kernels between writing a value and reading it last, for which it counts as kept


def at_peak(kernels: list[Kernel], elsewhere: set[Node], arena_bytes: int) -> dict:
    """Facts of the kernel before which most bytes are alive, of values that are not `elsewhere`.

    largest  (bytes, form, primitive, the user's line) of the largest values
    kept     how many values are alive there that were written long ago, and their bytes: what a
             backward pass reads of a forward pass
    """
    if is_size(arena_bytes) or arena_bytes < LEAST:
        return {"largest": [], "kept": [0, 0]}
    lives = _lives(kernels, elsewhere)
    at = _fullest(lives, len(kernels))
    alive = [n for n, (first, last) in lives.items() if first <= at <= last]
    alive.sort(key=lambda n: (-n.form.nbytes, n.serial))
    old = [n for n in alive if lives[n][1] - lives[n][0] >= LONG]
    largest = [[n.form.nbytes, str(n.form), n.op.name, n.where] for n in alive[:SHOWN]]
    return {"largest": largest, "kept": [len(old), sum(n.form.nbytes for n in old)]}


def _lives(kernels: list[Kernel], elsewhere: set[Node]) -> dict[Node, tuple[int, int]]:
    lives: dict[Node, tuple[int, int]] = {}
    for time, kernel in enumerate(kernels):
        for node in kernel.buffers:
            if node.op.name != "leaf" and node not in elsewhere:
                lives[node] = (lives.get(node, (time, time))[0], time)
    return lives


def _fullest(lives: dict[Node, tuple[int, int]], count: int) -> int:
    """The kernel at which most bytes are alive."""
    change = [0] * (count + 1)
    for node, (first, last) in lives.items():
        change[first] += node.form.nbytes
        change[last + 1] -= node.form.nbytes
    best, at, total = -1, 0, 0
    for time, more in enumerate(change[:count]):
        total += more
        if total > best:
            best, at = total, time
    return at
