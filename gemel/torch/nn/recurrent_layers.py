"""Recurrent layers: RNN, LSTM, GRU over sequences, and their cells."""

from __future__ import annotations

import math
import warnings

from gemel.torch.creation import empty
from gemel.torch.tensor import Tensor

from . import init, recurrent
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_FUNCTIONS = {
    "LSTM": recurrent.lstm,
    "GRU": recurrent.gru,
    "RNN_TANH": recurrent.rnn_tanh,
    "RNN_RELU": recurrent.rnn_relu,
}


class RNNBase(Module):
    """What all recurrent layers share: weights by layer and direction, and their checks."""

    def __init__(self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1,
                 bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
                 bidirectional: bool = False, proj_size: int = 0, device=None, dtype=None):
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_settings(dropout)
        self._names: list[list[str]] = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[: 1 + bool(bidirectional)]:
                self._add_weights(layer, suffix, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def _check_settings(self, dropout) -> None:
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an "
                "element being zeroed"
            )
        if dropout > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
                f"num_layers={self.num_layers}",
                stacklevel=4,
            )
        if not isinstance(self.hidden_size, int):
            raise TypeError(
                f"hidden_size should be of type int, got: {type(self.hidden_size).__name__}"
            )
        if self.hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if self.num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if self.proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections"
            )
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")

    def _add_weights(self, layer: int, suffix: str, made: dict) -> None:
        rows = _GATES[self.mode] * self.hidden_size
        output = self.proj_size or self.hidden_size
        width = self.input_size if layer == 0 else output * (1 + bool(self.bidirectional))
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, width), "weight_hh": (rows, output)
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        names = [f"{what}_l{layer}{suffix}" for what in shapes]
        for name, shape in zip(names, shapes.values(), strict=True):
            setattr(self, name, Parameter(empty(shape, **made)))
        self._names.append(names)

    def reset_parameters(self) -> None:
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: weights need not lie side by side here."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        return [[getattr(self, name) for name in names] for names in self._names]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [weight for weights in self.all_weights for weight in weights]

    # ---------- running ----------
    def check_input(self, input: Tensor, batch_sizes) -> None:
        if not input.is_floating_point():
            raise ValueError(
                f"RNN input dtype ({input.dtype}) is not a floating point dtype"
            )
        wanted = 2 if batch_sizes is not None else 3
        if input.dim() != wanted:
            raise RuntimeError(f"input must have {wanted} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {input.size(-1)}"
            )

    def _state_shapes(self, batch: int) -> list[tuple[int, ...]]:
        """The shapes of the state's parts."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        return [(count, batch, self.proj_size or self.hidden_size)]

    def check_hidden_size(self, hx: Tensor, expected_hidden_size, msg: str =
                          "Expected hidden size {}, got {}") -> None:
        if tuple(hx.size()) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def _check_state(self, state: tuple, shapes) -> None:
        self.check_hidden_size(state[0], shapes[0])

    def _started(self, input: Tensor, hx, batch: int, unsort) -> tuple:
        """The state to start with: the given one in the order of the batch, or zeros."""
        shapes = self._state_shapes(batch)
        if hx is None:
            return tuple(input.new_zeros(shape) for shape in shapes)
        state = hx if isinstance(hx, tuple | list) else (hx,)
        if unsort is not None:
            state = tuple(s.index_select(1, unsort) for s in state)
        self._check_state(tuple(state), shapes)
        return tuple(state)

    def forward(self, input, hx=None):
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.dim()}D instead"
            )
        batched = input.dim() == 3
        axis = 0 if self.batch_first else 1
        x = input if batched else input.unsqueeze(axis)
        hx = self._with_batch(hx, batched)
        self.check_input(x, None)
        state = self._started(x, hx, x.size(axis), None)
        y, *last = self._run(x, state, self.batch_first)
        if not batched:
            y, last = y.squeeze(axis), [s.squeeze(1) for s in last]
        return y, self._given_back(last)

    def _with_batch(self, hx, batched: bool):
        """The state with a batch axis; RuntimeError where its rank does not go with the input."""
        if hx is None:
            return None
        for s in hx if isinstance(hx, tuple | list) else (hx,):
            if s.dim() != (3 if batched else 2):
                what = "batched 3-D" if batched else "unbatched 2-D"
                raise RuntimeError(
                    f"For {what} input, hx should also be {3 if batched else 2}-D but got "
                    f"{s.dim()}-D tensor"
                )
        if batched:
            return hx
        if isinstance(hx, tuple | list):
            return tuple(s.unsqueeze(1) for s in hx)
        return hx.unsqueeze(1)

    def _forward_packed(self, packed: PackedSequence, hx):
        data, sizes, order, unorder = packed
        self.check_input(data, sizes)
        state = self._started(data, hx, int(sizes[0].item()), order)
        y, *last = self._run_packed(data, sizes, state)
        if unorder is not None:
            last = [s.index_select(1, unorder) for s in last]
        return PackedSequence(y, sizes, order, unorder), self._given_back(last)

    def _settings(self) -> tuple:
        return (self._flat_weights, bool(self.bias), self.num_layers, self.dropout, self.training,
                bool(self.bidirectional))  # fmt: skip

    def _run(self, x: Tensor, state: tuple, batch_first: bool):
        given = state if self.mode == "LSTM" else state[0]
        return _FUNCTIONS[self.mode](x, given, *self._settings(), bool(batch_first))

    def _run_packed(self, data: Tensor, sizes: Tensor, state: tuple):
        given = state if self.mode == "LSTM" else state[0]
        return _FUNCTIONS[self.mode](data, sizes, given, *self._settings())

    def _given_back(self, last: list):
        return last[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False,
                    "dropout": 0.0, "bidirectional": False}  # fmt: skip
        for name, usual in defaults.items():
            value = getattr(self, name)
            if value != usual:
                text += f", {name}={value}"
        return text


class RNN(RNNBase):
    """h' = tanh(W x + b + V h + c), or max(., 0): Elman's network of several layers."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1,
                 nonlinearity: str = "tanh", bias: bool = True, batch_first: bool = False,
                 dropout: float = 0.0, bidirectional: bool = False, device=None, dtype=None):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias,
                         batch_first, dropout, bidirectional, 0, device, dtype)  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) of several layers."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
                 proj_size: int = 0, device=None, dtype=None):
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, proj_size, device, dtype)  # fmt: skip

    def _state_shapes(self, batch: int) -> list[tuple[int, ...]]:
        (hidden,) = super()._state_shapes(batch)
        return [hidden, (hidden[0], batch, self.hidden_size)]

    def _check_state(self, state: tuple, shapes) -> None:
        for i, (part, shape) in enumerate(zip(state, shapes, strict=True)):
            self.check_hidden_size(part, shape, f"Expected hidden[{i}] size {{}}, got {{}}")

    def _given_back(self, last: list):
        return tuple(last)


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014) of several layers."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
                 device=None, dtype=None):
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, 0, device, dtype)  # fmt: skip


# ---------- cells ----------
class RNNCellBase(Module):
    """What all cells share: their weights."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int,
                 device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        made = {"device": device, "dtype": dtype}
        self.weight_ih = Parameter(empty((rows, input_size), **made))
        self.weight_hh = Parameter(empty((rows, hidden_size), **made))
        if bias:
            self.bias_ih = Parameter(empty(rows, **made))
            self.bias_hh = Parameter(empty(rows, **made))
        else:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _prepared(self, input: Tensor, hx, count: int):
        """(input [N, I], state parts [N, H], was there a batch axis?)."""
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(
                f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead"
            )
        parts = () if hx is None else hx if isinstance(hx, tuple | list) else (hx,)
        for i, part in enumerate(parts):
            if part.dim() not in (1, 2):
                where = f"hx[{i}]" if count > 1 else "hidden"
                raise ValueError(
                    f"{name}: Expected {where} to be 1D or 2D, got {part.dim()}D instead"
                )
        batched = input.dim() == 2
        x = input if batched else input.unsqueeze(0)
        if hx is None:
            zeros = x.new_zeros((x.size(0), self.hidden_size))
            return x, (zeros,) * count, batched
        return x, tuple(p if batched else p.unsqueeze(0) for p in parts), batched

    def _weights(self) -> tuple:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """One step of an Elman network."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True,
                 nonlinearity: str = "tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        x, (hidden,), batched = self._prepared(input, hx, 1)
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        cell = getattr(recurrent, f"rnn_{self.nonlinearity}_cell")
        y = cell(x, hidden, *self._weights())
        return y if batched else y.squeeze(0)


class LSTMCell(RNNCellBase):
    """One step of an LSTM: (hidden, cell)."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None,
                 dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        x, state, batched = self._prepared(input, hx, 2)
        found = recurrent.lstm_cell(x, state, *self._weights())
        return found if batched else tuple(s.squeeze(0) for s in found)


class GRUCell(RNNCellBase):
    """One step of gated recurrent units."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None,
                 dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        x, (hidden,), batched = self._prepared(input, hx, 1)
        y = recurrent.gru_cell(x, hidden, *self._weights())
        return y if batched else y.squeeze(0)
