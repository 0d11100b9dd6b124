"""Recurrent layers against PyTorch's, where that is installed: values and gradients over a table of
options, packed sequences, element types, lanes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gemel import torch as gemel

original = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

KINDS = {"LSTM": {}, "GRU": {}, "RNN": {}, "ReLU": {"nonlinearity": "relu"}}
OPTIONS = [
    {"num_layers": layers, "bidirectional": both, "bias": bias, "batch_first": first}
    for layers, both, bias, first in itertools.product(
        (1, 2), (False, True), (False, True), (False,)
    )
] + [{"batch_first": True, "num_layers": 2}]
TIME, BATCH, INPUTS, WIDTH = 5, 3, 4, 6


def layer_of(torch, kind: str, options: dict, dtype=None):
    """The layer with weights by their names."""
    name = "RNN" if kind == "ReLU" else kind
    layer = getattr(torch.nn, name)(INPUTS, WIDTH, **KINDS[kind], **options)
    random = np.random.default_rng(0)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.tensor(random.standard_normal(tuple(p.shape)).astype("f4") * 0.4))
    return layer if dtype is None else layer.to(getattr(torch, dtype))


def outcome(torch, kind: str, options: dict, lengths=None, dtype="float32", state=False):
    """Outputs, last states and gradients, as float32 arrays."""
    layer = layer_of(torch, kind, options, dtype)
    random = np.random.default_rng(1)
    first = options.get("batch_first", False)
    shape = (BATCH, TIME, INPUTS) if first else (TIME, BATCH, INPUTS)
    kinds = {"dtype": getattr(torch, dtype)}
    x = torch.tensor(random.standard_normal(shape).astype("f4"), **kinds).requires_grad_()
    given = x
    if lengths is not None:
        pack = torch.nn.utils.rnn.pack_padded_sequence
        given = pack(x, torch.tensor(lengths), batch_first=first, enforce_sorted=False)
    start: tuple = ()
    if state:
        rows = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
        parts = [WIDTH] if kind != "LSTM" else [options.get("proj_size", 0) or WIDTH, WIDTH]
        start = tuple(
            torch.tensor(random.standard_normal((rows, BATCH, n)).astype("f4"), **kinds)
            .requires_grad_()
            for n in parts
        )  # fmt: skip
    hx = () if not start else (start,) if kind == "LSTM" else start
    y, last = layer(given, *hx)
    y = y if lengths is None else y.data
    lasts = last if isinstance(last, tuple) else (last,)
    total = (y * y).sum() + sum((s * s * 0.5).sum() for s in lasts)
    total.backward()
    slopes = [t.grad for t in (x, *start, *layer.parameters())]
    return [t.detach().to(torch.float32).numpy() for t in (y, *lasts, *slopes)]


def compare(kind: str, options: dict, tolerance: float = 2e-5, **settings) -> None:
    found = [outcome(torch, kind, options, **settings) for torch in (gemel, original)]
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max()))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
@pytest.mark.parametrize("kind", KINDS)
def test_options(kind, options):
    compare(kind, options)


@pytest.mark.parametrize("kind", KINDS)
def test_given_states(kind):
    compare(kind, {"num_layers": 2, "bidirectional": True}, state=True)


@pytest.mark.parametrize("both", [False, True])
def test_projections(both):
    compare("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": both}, state=True)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences(kind, both):
    compare(kind, {"bidirectional": both, "num_layers": 2}, lengths=[2, 5, 3])


@pytest.mark.parametrize("kind", KINDS)
def test_float64(kind):
    compare(kind, {}, dtype="float64")


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_bfloat16(kind):
    compare(kind, {}, tolerance=6e-2, dtype="bfloat16")


def test_one_step_and_one_sequence():
    for torch in (gemel, original):
        layer = layer_of(torch, "LSTM", {})
        one, _ = layer(torch.ones(1, BATCH, INPUTS))
        alone, (h, c) = layer(torch.ones(TIME, INPUTS))
        assert tuple(one.shape) == (1, BATCH, WIDTH)
        assert tuple(alone.shape) == (TIME, WIDTH) and tuple(h.shape) == (1, WIDTH)
        np.testing.assert_allclose(alone[0].detach().numpy(), one[0, 0].detach().numpy(), rtol=1e-5)


def test_lanes_and_forward_mode():
    """A gradient per sequence, and a directional derivative, of a GRU."""
    found = []
    for torch in (gemel, original):
        layer = layer_of(torch, "GRU", {})
        x = torch.tensor(
            np.random.default_rng(2).standard_normal((BATCH, TIME, INPUTS)), dtype=torch.float32
        )

        def total(one, layer=layer):
            return (layer(one)[0] ** 2).sum()

        rows = torch.stack([torch.func.grad(total)(one) for one in x])
        if torch is gemel:
            lanes = torch.func.vmap(torch.func.grad(total))(x)
            np.testing.assert_allclose(
                lanes.detach().numpy(), rows.detach().numpy(), rtol=1e-5, atol=1e-6
            )
            slope = torch.func.jvp(total, (x[0],), (x[1],))[1]
            expected = (rows[0] * x[1]).sum()
            np.testing.assert_allclose(slope.item(), expected.item(), rtol=1e-4)
        found.append(rows.detach().numpy())
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


def test_values_looked_at_before_the_gradient():
    """The loss is read between the passes: two programs, which hand over what the loop stacked."""
    found = []
    for torch in (gemel, original):
        layer = layer_of(torch, "LSTM", {"num_layers": 2})
        y, _ = layer(torch.ones(TIME, BATCH, INPUTS))
        loss = (y * y).mean()
        value = loss.item()
        loss.backward()
        found.append([np.array(value), *(p.grad.numpy() for p in layer.parameters())])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
