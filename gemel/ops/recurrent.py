"""Recurrent layers as composites: one direction of one layer over a whole sequence, as a loop.

Sequences are [T, N, I]. Weights stand as (input [G H, I], hidden [G H, P], their biases or None,
projection [P, H] or None) with G gates.
"""

from __future__ import annotations

from typing import NamedTuple

from gemel.graph.node import Node

from .activations import relu
from .elementwise import SIGMOID, TANH, cast, lt, where
from .linear import linear
from .loops import scan
from .movement import narrow, reshape


class Weights(NamedTuple):
    """Of one direction of one layer."""

    of_input: Node
    of_hidden: Node
    input_bias: Node | None = None
    hidden_bias: Node | None = None
    projection: Node | None = None


State = tuple[Node, ...]  # (hidden,) or (hidden, cell)


def _gates(x: Node, count: int) -> list[Node]:
    width = x.shape[-1] // count
    return [narrow(x, x.ndim - 1, i * width, width) for i in range(count)]


def _plain_step(kind: str, x: Node, state: State, w: Weights) -> State:
    """h' = f(x + W h + b), f being tanh or max(., 0)."""
    total = x + linear(state[0], w.of_hidden, w.hidden_bias)
    return (TANH(total) if kind == "tanh" else relu(total),)


def _lstm_step(x: Node, state: State, w: Weights) -> State:
    """Hochreiter and Schmidhuber 1997, with forget gates; gates in the order i, f, g, o."""
    hidden, cell = state
    i, f, g, o = _gates(x + linear(hidden, w.of_hidden, w.hidden_bias), 4)
    cell = SIGMOID(f) * cell + SIGMOID(i) * TANH(g)
    hidden = SIGMOID(o) * TANH(cell)
    return (hidden if w.projection is None else linear(hidden, w.projection)), cell


def _gru_step(x: Node, state: State, w: Weights) -> State:
    """Cho et al. 2014, with the reset gate after the product; gates in the order r, z, n."""
    (hidden,) = state
    own = _gates(linear(hidden, w.of_hidden, w.hidden_bias), 3)
    r, z, n = _gates(x, 3)
    update = SIGMOID(z + own[1])
    new = TANH(n + SIGMOID(r + own[0]) * own[2])
    return ((hidden - new) * update + new,)


def step(kind: str, x: Node, state: State, w: Weights) -> State:
    """One step from the projected input x [N, G H]; kind 'tanh', 'relu', 'lstm' or 'gru'."""
    if kind == "lstm":
        return _lstm_step(x, state, w)
    if kind == "gru":
        return _gru_step(x, state, w)
    return _plain_step(kind, x, state, w)


def cell(kind: str, x: Node, state: State, w: Weights) -> State:
    """One step from the input x [N, I]."""
    return step(kind, linear(x, w.of_input, w.input_bias), state, w)


def layer(
    kind: str, x: Node, state: State, w: Weights, backwards: bool, lengths: Node | None = None
) -> tuple[Node, State]:
    """(hidden states [T, N, P], last state). Beyond a sequence's length its state stays."""
    inputs = linear(x, w.of_input, w.input_bias)

    def one(number: Node, slices: State, before: State) -> tuple[State, State]:
        new = step(kind, slices[0], before, w)
        if lengths is not None:
            goes_on = reshape(lt(number, cast(lengths, number.dtype)), (x.shape[1], 1))
            new = tuple(where(goes_on, n, old) for n, old in zip(new, before, strict=True))
        return new, new[:1]

    last, (found,) = scan(one, [inputs], state, x.shape[0], backwards=backwards)
    return found, tuple(last)
