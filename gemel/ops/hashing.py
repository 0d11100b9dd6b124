"""Values as one 64-bit word: the exclusive or of their bits."""

from __future__ import annotations

import math

from gemel.graph.form import float64, int64, uint64
from gemel.graph.node import Node

from .elementwise import BITCAST, cast, xor
from .movement import narrow, pad, permute, reshape


def folded(x: Node, axes: tuple[int, ...]) -> Node:
    """The exclusive or over the axes of the cells' bits, widened to 64; uint64."""
    kept = [a for a in range(x.ndim) if a not in axes]
    lead = tuple(x.shape[a] for a in kept)
    count = math.prod(x.shape[a] for a in axes)
    words = BITCAST(cast(x, float64), attrs=(int64,)) if x.dtype.is_float else cast(x, int64)
    words = reshape(permute(words, [*kept, *axes]), (*lead, count))
    last = len(lead)
    size = 1 << max(count - 1, 0).bit_length()
    words = pad(words, [(0, 0)] * last + [(0, size - count)])
    while size > 1:
        size //= 2
        words = xor(narrow(words, last, 0, size), narrow(words, last, size, size))
    return cast(reshape(words, lead), uint64)
