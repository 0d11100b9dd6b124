"""Recurrent networks: RNN, GRU and LSTM; a turn is the body of a loop.

Weights are [directions, gates * hidden, inputs]; values are [steps, batch, inputs], or batch first
with `layout`. A sequence that is over keeps its state, and its outputs are 0.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops import activations as a
from gemel.ops import elementwise as e
from gemel.ops import movement as m
from gemel.ops.contraction import matmul
from gemel.ops.loops import scan

from .indexing import reversed_rows
from .operators import operator

_PLAIN: dict[str, Callable[[Node], Node]] = {
    "tanh": e.TANH,
    "sigmoid": e.SIGMOID,
    "relu": a.relu,
    "softsign": a.softsign,
    "softplus": lambda x: a.softplus(x),
}
_WITH_NUMBERS: dict[str, Callable[..., Node]] = {
    "leakyrelu": lambda x, alpha=0.01, beta=0.0: a.leaky_relu(x, alpha),
    "elu": lambda x, alpha=1.0, beta=0.0: a.elu(x, alpha),
    "thresholdedrelu": lambda x, alpha=1.0, beta=0.0: e.where(e.gt(x, alpha), x, 0.0),
    "scaledtanh": lambda x, alpha=1.0, beta=1.0: e.TANH(x * beta) * alpha,
    "hardsigmoid": lambda x, alpha=0.2, beta=0.5: e.maximum(e.minimum(x * alpha + beta, 1), 0),
    "affine": lambda x, alpha=1.0, beta=0.0: x * alpha + beta,
}


class _Direction:
    """The weights and functions of one direction."""

    def __init__(self, node, number: int, w, r, b, defaults: tuple[str, ...]):
        self.w, self.r = m.swap(_row(w, number)), m.swap(_row(r, number))
        bias = None if b is None else _row(b, number)
        half = None if bias is None else bias.shape[0] // 2
        self.wb = None if bias is None else m.narrow(bias, 0, 0, half)
        self.rb = None if bias is None else m.narrow(bias, 0, half, half)
        self.hidden = node.get("hidden_size") or r.shape[-1]
        self.clip = node.get("clip")
        self.functions = _functions(node, number, defaults)

    def inputs(self, x: Node) -> Node:
        return _plus(matmul(x, self.w), self.wb)

    def states(self, h: Node) -> Node:
        return _plus(matmul(h, self.r), self.rb)

    def gate(self, x: Node, place: int) -> Node:
        return m.narrow(x, x.ndim - 1, place * self.hidden, self.hidden)

    def apply(self, function: int, x: Node) -> Node:
        if self.clip is not None:
            x = e.maximum(e.minimum(x, self.clip), -self.clip)
        return self.functions[function](x)


def _row(x: Node, number: int) -> Node:
    return m.reshape(m.narrow(x, 0, number, 1), x.shape[1:])


def _plus(x: Node, bias: Node | None) -> Node:
    return x if bias is None else x + bias


def _functions(node, number: int, defaults: tuple[str, ...]) -> list:
    names = node.get("activations") or list(defaults) * 2
    names = names[number * len(defaults) : (number + 1) * len(defaults)]
    alphas = iter(node.get("activation_alpha") or ())
    betas = iter(node.get("activation_beta") or ())
    found = []
    for name in map(str.lower, names):
        if name in _PLAIN:
            found.append(_PLAIN[name])
        elif name in _WITH_NUMBERS:
            found.append(_with_numbers(name, next(alphas, None), next(betas, None)))
        else:
            raise NotImplementedError(f"ONNX activation {name!r} is not supported")
    return found


def _with_numbers(name: str, alpha, beta):
    given = {k: v for k, v in (("alpha", alpha), ("beta", beta)) if v is not None}
    return lambda x: _WITH_NUMBERS[name](x, **given)


# ---------- cells: (direction, input parts, state) -> state ----------
def _rnn_cell(d: _Direction, x: Node, state: tuple) -> tuple:
    return (d.apply(0, x + d.states(state[0])),)


def _gru_cell(reset_after: bool):
    def cell(d: _Direction, x: Node, state: tuple) -> tuple:
        h = state[0]
        parts = d.states(h)
        update = d.apply(0, d.gate(x, 0) + d.gate(parts, 0))
        reset = d.apply(0, d.gate(x, 1) + d.gate(parts, 1))
        if reset_after:
            inner = reset * d.gate(parts, 2)
        else:
            inner = matmul(reset * h, d.gate(d.r, 2))
            inner = inner if d.rb is None else inner + d.gate(d.rb, 2)
        new = d.apply(1, d.gate(x, 2) + inner)
        return ((1 - update) * new + update * h,)

    return cell


def _lstm_cell(peepholes: Node | None, coupled: bool):
    def cell(d: _Direction, x: Node, state: tuple) -> tuple:
        h, c = state
        gates = x + d.states(h)
        i, o, f, g = (d.gate(gates, k) for k in range(4))
        if peepholes is not None:
            pi, po, pf = (m.narrow(peepholes, 0, k * d.hidden, d.hidden) for k in range(3))
            i, f = i + pi * c, f + pf * c
        i, f = d.apply(0, i), d.apply(0, f)
        c = (1 - i if coupled else f) * c + i * d.apply(1, g)
        o = d.apply(0, o + po * c if peepholes is not None else o)
        return o * d.functions[2](c), c

    return cell


# ---------- all turns ----------
def _turns(d: _Direction, cell, x: Node, lengths, state: tuple, back: bool):
    """(outputs [steps, batch, hidden], last state) of one direction."""
    turned = back and lengths is not None
    x = reversed_rows(x, lengths, 0, 1) if turned else x

    def turn(number: Node, slices: tuple, before: tuple):
        new = cell(d, slices[0], before)
        if lengths is None:
            return new, new[:1]
        on = m.reshape(e.lt(number, lengths), (lengths.shape[0], 1))
        after = tuple(e.where(on, n, s) for n, s in zip(new, before, strict=True))
        return after, (e.where(on, new[0], e.const(0, x.dtype)),)

    last, (made,) = scan(turn, [d.inputs(x)], state, x.shape[0], backwards=back and not turned)
    return (reversed_rows(made, lengths, 0, 1) if turned else made), tuple(last)


def _run(node, x, w, r, b, lengths, initial: list, defaults, cell_of):
    """Y and the last states, per direction."""
    first = bool(node.get("layout", 0))
    x = m.permute(x, (1, 0, 2)) if first else x
    hidden = node.get("hidden_size") or r.shape[-1]
    lengths = None if lengths is None else e.cast(lengths, int64)
    outputs, states = [], []
    for number in range(w.shape[0]):
        back = node.get("direction", "forward") == "reverse" or number == 1
        d = _Direction(node, number, w, r, b, defaults)
        state = tuple(_start(s, number, x, hidden, first) for s in initial)
        made, state = _turns(d, cell_of(number), x, lengths, state, back)
        outputs.append(made)
        states.append(state)
    y = m.stack(outputs, 1)
    last = [m.stack([s[k] for s in states], 0) for k in range(len(initial))]
    if first:
        y = m.permute(y, (2, 0, 1, 3))
        last = [m.permute(s, (1, 0, 2)) for s in last]
    return (y, *last)[: max(1, len(node.outputs))]


def _start(initial, number: int, x: Node, hidden: int, first: bool) -> Node:
    if initial is None:
        return m.zeros((x.shape[1], hidden), x.dtype)
    return _row(m.permute(initial, (1, 0, 2)) if first else initial, number)


@operator("RNN")
def rnn(node, x, w, r, b=None, lengths=None, h=None):
    return _run(node, x, w, r, b, lengths, [h], ("Tanh",), lambda n: _rnn_cell)


@operator("GRU")
def gru(node, x, w, r, b=None, lengths=None, h=None):
    """Cho et al. 2014."""
    cell = _gru_cell(bool(node.get("linear_before_reset", 0)))
    return _run(node, x, w, r, b, lengths, [h], ("Sigmoid", "Tanh"), lambda n: cell)


@operator("LSTM")
def lstm(node, x, w, r, b=None, lengths=None, h=None, c=None, peepholes=None):
    """Hochreiter and Schmidhuber 1997; peepholes: Gers and Schmidhuber 2000."""

    def cell(number: int):
        p = None if peepholes is None else _row(peepholes, number)
        return _lstm_cell(p, bool(node.get("input_forget", 0)))

    return _run(node, x, w, r, b, lengths, [h, c], ("Sigmoid", "Tanh", "Tanh"), cell)
