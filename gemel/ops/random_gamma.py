"""TensorFlow's gamma samples as a native function: Marsaglia and Tsang's rejection (2000).

The words that a sample takes depend on its values, so it is no composite. Every sample has counters
of its own; normals and uniforms come in pairs, and the second of a pair is used first.
"""

from __future__ import annotations

import math

import numpy as np

from gemel.codegen.random.constants import GAMMA_RESERVE
from gemel.graph.errors import DTypeError, ShapeError
from gemel.graph.form import DType, Form, float64, form
from gemel.graph.node import Node

from .elementwise import cast
from .movement import reshape
from .random import Native, box_muller, check_source, libm, philox_blocks, unit64


class _Pairs:
    """Doubles from the blocks at a shared place."""

    def __init__(self, blocks, doubles):
        self.blocks = blocks
        self.doubles = doubles
        self.ready: list[float] = []

    def next(self) -> float:
        if not self.ready:
            self.ready = self.doubles(next(self.blocks)).tolist()
        return self.ready.pop()


def _blocks(state, first: int):
    for counter in range(first, first + GAMMA_RESERVE):
        yield philox_blocks(state, np.array([counter]))[0]


def _uniforms(words):
    return unit64(words[0::2], words[1::2])


def _call(name: str, x: float) -> float:
    return float(libm(name, "float64")(x))


def _sample(state, first: int, alpha: float) -> float:
    blocks = _blocks(state, first)
    uniforms = _Pairs(blocks, _uniforms)
    if alpha == 1.0:
        return -_call("log1p", -uniforms.next())
    normals = _Pairs(blocks, lambda words: box_muller(words, "float64"))
    d = alpha + (2.0 / 3 if alpha < 1 else -1.0 / 3)
    c = 1.0 / 3 / math.sqrt(d)
    while True:
        x = normals.next()
        v = 1 + c * x
        if v <= 0:
            continue
        v = v * v * v
        u = uniforms.next()
        if u < 1 - 0.0331 * (x * x) * (x * x):
            break
        if u == 0 or _call("log", u) < 0.5 * x * x + d * (1 - v + _call("log", v)):
            break
    return d * v * math.pow(uniforms.next(), 1 / alpha) if alpha < 1 else d * v


def _infer(attrs, state: Form, alpha: Form) -> Form:
    samples, dtype = attrs
    check_source("gamma", state, 0, 6)
    if alpha.dtype is not float64:
        raise DTypeError("gamma", "alpha in float64 is needed", (state, alpha))
    if alpha.ndim != 1:
        raise ShapeError("gamma", "a vector of alphas is needed", (state, alpha))
    return form((samples, alpha.size), dtype)


def _reference(attrs, state, alpha):
    samples, dtype = attrs
    out = np.empty((samples, len(alpha)), dtype.numpy)
    for k, a in enumerate(alpha.tolist()):
        for i in range(samples):
            out[i, k] = _sample(state, (k * samples + i) * GAMMA_RESERVE, a)
    return out


# attrs: (samples, float DType): samples [samples, k] for alphas float64 [k], scale 1
GAMMA = Native("gamma", _infer, _reference)


def gamma(state: Node, alpha: Node, samples: int, dtype: DType) -> Node:
    """`samples` for each alpha [...]: [samples, ...]. Arithmetic is in float64 throughout."""
    flat = reshape(cast(alpha, float64), (alpha.form.size,))
    drawn = GAMMA(state, flat, attrs=(samples, dtype))
    return reshape(drawn, (samples, *alpha.shape))
