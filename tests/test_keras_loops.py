"""Recurrent layers and loops of Keras as loops of a program: what they compute is what the steps
written out compute (`unroll=True`, or outside of a trace)."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.keras as keras
from gemel import tensor as lazy
from gemel.keras_backend import rnn_ops

X = np.random.default_rng(0).standard_normal((4, 6, 5)).astype("f4")
Y = np.random.default_rng(1).standard_normal((4, 3)).astype("f4")
LAYERS = ["LSTM", "GRU", "SimpleRNN"]
SETTINGS = [{}, {"go_backwards": True}, {"return_sequences": True}, {"masked": True},
            {"masked": True, "go_backwards": True, "return_sequences": True}]  # fmt: skip


def model_of(kind: str, settings: dict, unroll: bool):
    given = {k: v for k, v in settings.items() if k != "masked"}
    layers = [keras.layers.Masking()] if "masked" in settings else []
    layers.append(getattr(keras.layers, kind)(3, unroll=unroll, **given))
    made = keras.Sequential([keras.layers.Input((6, 5)), *layers])
    for i, weight in enumerate(made.trainable_weights):
        weight.assign(np.random.default_rng(i).standard_normal(weight.shape).astype("f4") * 0.3)
    return made


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(s) or "plain")
@pytest.mark.parametrize("kind", LAYERS)
def test_layers(kind, settings, monkeypatch):
    x = X.copy()
    x[0, 3:] = x[2, :2] = 0
    y = np.broadcast_to(Y[:, None], (4, 6, 3)) if "return_sequences" in settings else Y
    looped = []
    usual = rnn_ops.Recurrence.looped

    def watched(self, *args):
        found = usual(self, *args)
        looped.append(True)
        return found

    monkeypatch.setattr(rnn_ops.Recurrence, "looped", watched)
    found = []
    for unroll in (False, True):
        looped.clear()
        model = model_of(kind, settings, unroll)
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
        before = model.predict(x, verbose=0)
        losses = model.fit(x, y, epochs=3, batch_size=4, verbose=0, shuffle=False).history["loss"]
        found.append((before, losses, model.predict(x, verbose=0)))
        assert bool(looped) is not unroll
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def traced(function, *arrays):
    """What a function gives outside of a trace, and inside of one."""
    given = [keras.ops.convert_to_tensor(a) for a in arrays]
    inside = lazy.trace(lambda *a: list(function(*a)), given)(*given)
    return [[np.asarray(t) for t in found] for found in (function(*given), inside)]


@pytest.mark.parametrize("most", [None, 3, 50])
def test_while_loop(most):
    ops = keras.ops

    def function(x):
        return ops.while_loop(
            lambda n, a: ops.sum(a * a) < 90.0,
            lambda n, a: (n + 1, a * 1.7 + 0.1),
            (ops.convert_to_tensor(0), x),
            maximum_iterations=most,
        )

    outside, inside = traced(function, X[0, 0])
    for a, b in zip(outside, inside, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    assert outside[0] > 1


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse):
    ops = keras.ops

    def function(x, h):
        last, rows = ops.scan(lambda c, r: (ops.tanh(c + r), c * r), h, x, reverse=reverse)
        return last, rows

    for a, b in zip(*traced(function, X[0], X[1, 0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
