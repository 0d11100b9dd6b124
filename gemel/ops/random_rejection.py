"""PyTorch's samplers by rejection: how many words they take depends on the values.

Role: one Call per distribution, as in `random_torch`: the state first, then the parameters; gives
(new state, values). `gamma` also gives float64 [2]: whether a normal is left over, and that normal.
"""

from __future__ import annotations

from gemel.graph.form import DType, float64, uint32
from gemel.graph.node import Node
from gemel.runtime.host_calls.rejection import HEAD, STATE

from .elementwise import BITCAST, cast
from .host import Host
from .movement import concat, narrow, reshape
from .random_torch import ending, pairs
from .record import call

POISSON = Host("rejection.poisson")
BINOMIAL = Host("rejection.binomial")
GAMMA = Host("rejection.gamma")


def _doubles(words: Node, start: int, count: int) -> Node:
    """float64 [count] from two words each."""
    held = reshape(narrow(words, 0, start, 2 * count), (count, 2))
    return BITCAST(pairs(held), attrs=(float64,))


def _parameter(x: Node, n: int) -> Node:
    return reshape(cast(x, float64), (n,))


def _drawn(host: Host, state: Node, dtype: DType, *given: Node, settings: tuple = ()):
    """(new state, values shaped as the first parameter)."""
    shape, n = given[0].shape, given[0].form.size
    parameters = [_parameter(x, n) for x in given]
    words = host((HEAD + 2 * n,), uint32, state, *parameters, settings=settings)
    values = reshape(_doubles(words, HEAD, n), shape)
    return narrow(words, 0, 0, STATE), ending(values, dtype)


@call
def poisson(attrs, state, rates):
    """attrs: (DType,)."""
    return _drawn(POISSON, state, attrs[0], rates)


@call
def binomial(attrs, state, counts, probabilities):
    """attrs: (DType,). Counts and probabilities of one shape."""
    return _drawn(BINOMIAL, state, attrs[0], counts, probabilities, settings=(attrs[0].name,))


@call
def gamma(attrs, state, alphas, *left):
    """attrs: (DType,)."""
    shape, n = alphas.shape, alphas.form.size
    words = GAMMA(
        (HEAD + 2 * n,), uint32, state, _parameter(alphas, n), *left, settings=(alphas.dtype.name,)
    )
    valid = reshape(cast(narrow(words, 0, STATE, 1), float64), (1,))
    kept = concat([valid, _doubles(words, STATE + 1, 1)], 0)
    values = reshape(_doubles(words, HEAD, n), shape)
    return narrow(words, 0, 0, STATE), ending(values, attrs[0]), kept
