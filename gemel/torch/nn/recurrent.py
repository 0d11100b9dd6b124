"""`torch.lstm`, `gru`, `rnn_tanh`, `rnn_relu` and their cells: several layers, both directions."""

from __future__ import annotations

from gemel.graph.node import Node
from gemel.ops import recurrent as ops
from gemel.ops.record import Call
from gemel.tensor import record_many
from gemel.torch.joining import cat, stack
from gemel.torch.tensor import Tensor

from .dropping import dropout
from .operands import present, split


def _layer(attrs, *operands: Node):
    """operands: input, the state, weights, lengths; gives (hidden states, *last state)."""
    kind, backwards, states, flags = attrs
    x, state = operands[0], operands[1 : 1 + states]
    *weights, lengths = split(list(operands[1 + states :]), flags)
    y, last = ops.layer(kind, x, state, ops.Weights(*weights), backwards, lengths)
    return y, *last


def _cell(attrs, *operands: Node):
    kind, states, flags = attrs
    x, state = operands[0], operands[1 : 1 + states]
    weights = split(list(operands[1 + states :]), flags)
    return tuple(ops.cell(kind, x, state, ops.Weights(*weights)))


LAYER = Call("recurrent_layer", _layer)
CELL = Call("recurrent_cell", _cell)


# ---------- whole networks ----------
def _weights_of(params, biases: bool, projected: bool, index: int) -> list:
    """The five weights of a direction, None for what it does not have."""
    per = 2 + 2 * biases + projected
    own = list(params[index * per : (index + 1) * per])
    found = own[:2] + (own[2:4] if biases else [None, None])
    return found + ([own[-1]] if projected else [None])


def _directions(kind: str, x: Tensor, states, weights, lengths) -> tuple[Tensor, list]:
    """One layer: outputs of its directions side by side, and their last states."""
    outputs, lasts = [], []
    for backwards, (state, own) in enumerate(zip(states, weights, strict=True)):
        given, flags = present(*own, lengths)
        attrs = (kind, bool(backwards), len(state), flags)
        y, *last = record_many(LAYER, Tensor, [x, *state, *given], attrs)
        outputs.append(y)
        lasts.append(last)
    return (outputs[0] if len(outputs) == 1 else cat(outputs, 2)), lasts


def network(kind: str, x: Tensor, state: tuple[Tensor, ...], params, biases: bool, layers: int,
            drop: float, train: bool, both: bool, lengths: Tensor | None = None, drops=dropout):
    """(outputs [T, N, D P], *last states [layers D, N, ...]) of x [T, N, I]. drops: as `dropout`,
    between layers."""
    directions = 2 if both else 1
    per = 2 + 2 * biases
    projected = len(params) == layers * directions * (per + 1)
    lasts: list = []
    for i in range(layers):
        at = range(i * directions, (i + 1) * directions)
        own = [[s[j] for s in state] for j in at]
        weights = [_weights_of(params, biases, projected, j) for j in at]
        x, last = _directions(kind, x, own, weights, lengths)
        lasts += last
        if drop and train and i < layers - 1:
            x = drops(x, drop, True)
    return x, *(stack([last[k] for last in lasts]) for k in range(len(state)))


def _lengths(batch_sizes: Tensor) -> list[int]:
    """The length of each sequence, the longest first."""
    sizes = batch_sizes.tolist()
    return [sum(1 for n in sizes if n > i) for i in range(sizes[0])]


def _packed(kind, data, batch_sizes, state, *settings):
    """`network` over a packed sequence: it is padded, and its results are packed again. Random
    numbers are drawn for what is packed."""
    from gemel.torch.creation import tensor

    from .utils.rnn import packed_places, padded

    lengths = _lengths(batch_sizes)
    x = padded(data, batch_sizes, 0.0)
    places = packed_places(batch_sizes)

    def packed(y: Tensor) -> Tensor:
        return y.reshape(-1, y.shape[2]).index_select(0, places)

    def drops(y: Tensor, drop: float, train: bool) -> Tensor:
        return padded(dropout(packed(y), drop, train), batch_sizes, 0.0)

    y, *last = network(kind, x, state, *settings, tensor(lengths), drops)
    return packed(y), *last


def _run(kind: str, first: Tensor, args: tuple, several: bool):
    """Both forms of arguments: (input, state, params, has_biases, num_layers, dropout, train,
    bidirectional, batch_first), and (data, batch_sizes, state, ..., bidirectional)."""
    if isinstance(args[1], tuple | list) and isinstance(args[2], bool):
        state, params, biases, layers, drop, train, both, batch_first = args
        state = tuple(state) if several else (state,)
        x = first.transpose(0, 1) if batch_first else first
        y, *last = network(kind, x, state, params, biases, layers, drop, train, both)
        y = y.transpose(0, 1) if batch_first else y
    else:
        batch_sizes, state, *settings = args
        state = tuple(state) if several else (state,)
        y, *last = _packed(kind, first, batch_sizes, state, *settings)
    return y, *last


def lstm(input: Tensor, *args) -> tuple[Tensor, Tensor, Tensor]:
    """Long short-term memory; see torch.nn.LSTM."""
    return _run("lstm", input, args, True)


def gru(input: Tensor, *args) -> tuple[Tensor, Tensor]:
    """Gated recurrent units; see torch.nn.GRU."""
    return _run("gru", input, args, False)


def rnn_tanh(input: Tensor, *args) -> tuple[Tensor, Tensor]:
    """Elman's network with tanh; see torch.nn.RNN."""
    return _run("tanh", input, args, False)


def rnn_relu(input: Tensor, *args) -> tuple[Tensor, Tensor]:
    """Elman's network with max(x, 0); see torch.nn.RNN."""
    return _run("relu", input, args, False)


# ---------- cells ----------
def _one_step(kind: str, x: Tensor, state: tuple, *weights):
    given, flags = present(*weights)
    attrs = (kind, len(state), flags)
    return record_many(CELL, Tensor, [x, *state, *given], attrs)


def lstm_cell(input: Tensor, hx, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
              b_hh: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """One step of an LSTM: (hidden, cell)."""
    return tuple(_one_step("lstm", input, tuple(hx), w_ih, w_hh, b_ih, b_hh))


def gru_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
             b_hh: Tensor | None = None) -> Tensor:
    """One step of gated recurrent units."""
    return _one_step("gru", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


def rnn_tanh_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor,
                  b_ih: Tensor | None = None, b_hh: Tensor | None = None) -> Tensor:
    """One step of an Elman network with tanh."""
    return _one_step("tanh", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


def rnn_relu_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor,
                  b_ih: Tensor | None = None, b_hh: Tensor | None = None) -> Tensor:
    """One step of an Elman network with max(x, 0)."""
    return _one_step("relu", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]
