"""How depthwise work is cut, and how vectors of results leave registers.

Role: what the kernels of this folder share around their walks. Input: estimated cycles, vectors.
Output: numbers of pieces; calls of an epilogue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gemel.codegen.llvm import Function, Operand, Value

PIECES = 128  # of one stage, at most
PARTS = 64  # of a sum that is shared out, at most: each has partial sums of its own
CELLS = 1500  # results (or vectors of them) that a piece adds up in the end
INLINE_LINES = 12  # a longer epilogue is not repeated for each vector
_PIECE = 60_000  # cycles that a piece takes at least, if there is a choice


def wanted_pieces(cycles: float, most: int) -> int:
    """How many pieces so much work makes."""
    return min(most, int(cycles / _PIECE))


def each_vector(
    f: Function, values: Sequence[Value], deliver: Callable[[Operand, Value], None]
) -> None:
    """`deliver(number, value)` for all vectors: one after the other, or in a loop over memory
    where the epilogue is long."""
    if len(values) == 1 or f.trial(lambda: deliver(0, values[0])) <= INLINE_LINES:
        for number, value in enumerate(values):
            deliver(number, value)
        return
    elem, lanes = values[0].elem, values[0].lanes
    stage = f.alloca(elem, len(values) * lanes)
    for number, value in enumerate(values):
        f.store(value, f.gep(stage, number * lanes, elem))
    with f.loop(0, len(values)) as loop:
        value = f.load(f.gep(stage, f.mul(loop.index, lanes), elem), elem, lanes)
        deliver(loop.index, value)
