"""Checkpoints: the same numbers from less memory, computed again once the gradient has come."""

from __future__ import annotations

import pytest

import gemel.torch as torch
from gemel.passes import compile as driver
from gemel.torch import nn
from gemel.torch.utils.checkpoint import checkpoint, checkpoint_sequential

WAYS = ["plain", "again", "reentrant", "sequential", "sequential reentrant"]


@pytest.fixture
def arenas(monkeypatch):
    """Bytes of the arenas of the programs that are compiled."""
    found = []
    usual = driver.compile_graph

    def noted(*arguments):
        program = usual(*arguments)
        found.append(getattr(program, "_arena_bytes", 0))
        return program

    monkeypatch.setattr("gemel.tensor.plan.compile_graph", noted)
    return found


def layers(count, width, drop):
    return nn.ModuleList(
        [
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(drop),
                          nn.Linear(2 * width, width))
            for _ in range(count)
        ]
    )  # fmt: skip


def through(parts, x, way):
    reentrant = way.endswith("reentrant")
    if way.startswith("sequential"):
        return checkpoint_sequential(nn.Sequential(*parts), 3, x, use_reentrant=reentrant)
    for part in parts:
        x = part(x) if way == "plain" else checkpoint(part, x, use_reentrant=reentrant)
    return x


def gradients(way, look=False, drop=0.25):
    torch.manual_seed(3)
    parts = layers(6, 32, drop)
    x = torch.randn(16, 32, requires_grad=True)
    loss = (through(parts, x, way) ** 2).sum()
    if look:
        loss.item()
    loss.backward()
    found = [loss, x.grad, *(p.grad for p in parts.parameters()), torch.rand(3)]
    return [t.detach().numpy().copy() for t in found]


@pytest.mark.parametrize("look", [False, True])
@pytest.mark.parametrize("way", WAYS[1:])
def test_the_same_gradients(way, look):
    """Dropout draws the same numbers again, and the stream goes on behind the first ones."""
    for mine, plain in zip(gradients(way, look), gradients("plain", look), strict=True):
        assert mine == pytest.approx(plain, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("way", ["again", "reentrant"])
@pytest.mark.parametrize("drop", [0.0, 0.25])
def test_less_memory(way, drop, arenas):
    peaks = {}
    for how in ("plain", way):
        torch.manual_seed(0)
        parts = layers(24, 64, drop)
        through(parts, torch.zeros(1, 64), how)
        x = torch.randn(512 + len(way), 64, requires_grad=True)
        arenas.clear()
        through(parts, x, how).sum().backward()
        x.grad.sum().item()
        peaks[how] = max(arenas)
    assert peaks[way] <= 0.6 * peaks["plain"]


def test_what_a_look_has_to_keep(arenas):
    """A look before the backward pass keeps what the regions read, not what is inside."""
    peaks = {}
    for way in ("plain", "again"):
        torch.manual_seed(0)
        parts = layers(4, 32, 0.0)
        x = torch.randn(64, 32, requires_grad=True)
        through(parts, x, way).sum().item()
        loss = through(parts, x, way).sum()
        loss.item()
        peaks[way] = sum(st.form.nbytes for st in loss.st.hist[0].saved)
    assert peaks["again"] <= 0.6 * peaks["plain"]


def test_gradients_of_gradients():
    torch.manual_seed(0)
    weight = torch.randn(4, 4, requires_grad=True)
    found = []
    for again in (False, True):
        x = torch.linspace(-1, 1, 4).requires_grad_()

        def f(x):
            return (x @ weight).tanh()

        y = checkpoint(f, x, use_reentrant=False) if again else f(x)
        (g,) = torch.autograd.grad((y**3).sum(), x, create_graph=True)
        found.append(torch.autograd.grad((g**2).sum(), [x, weight]))
    for one, other in zip(*found, strict=True):
        assert one.flatten().tolist() == pytest.approx(other.flatten().tolist(), rel=1e-5)


def test_checkpoints_inside_of_checkpoints():
    x = torch.linspace(-2, 2, 7).requires_grad_()

    def inner(x):
        return (x * 3).sin().exp()

    def outer(x, scale=1.0):
        return checkpoint(inner, x.cos() * scale, use_reentrant=False).tanh()

    outer(x, 2.0).sum().backward()
    plain = x.detach().clone().requires_grad_()
    (plain.cos() * 2.0 * 3).sin().exp().tanh().sum().backward()
    other = x.detach().clone().requires_grad_()
    checkpoint(outer, other, scale=2.0, use_reentrant=False).sum().backward()
    assert x.grad.tolist() == pytest.approx(plain.grad.tolist(), rel=1e-5)
    assert other.grad.tolist() == pytest.approx(plain.grad.tolist(), rel=1e-5)


def test_a_layer_of_recurrence_is_computed_again():
    found = []
    for again in (False, True):
        torch.manual_seed(1)
        cells = nn.LSTM(8, 8, batch_first=True)
        x = torch.randn(2, 5, 8, requires_grad=True)
        y = checkpoint(cells, x, use_reentrant=False)[0] if again else cells(x)[0]
        y.sum().backward()
        found.append([x.grad, *(p.grad for p in cells.parameters())])
    for one, other in zip(*found, strict=True):
        assert one.flatten().tolist() == pytest.approx(other.flatten().tolist(), rel=1e-4, abs=1e-6)


def test_tensorflow_computes_again():
    import gemel.tensorflow as tf

    weight = tf.Variable([[0.5, -1.0], [2.0, 0.25]])
    calls = []

    def block(x):
        calls.append(1)
        return tf.tanh(x @ weight)

    x = tf.constant([[1.0, 2.0]])
    found = []
    for f in (block, tf.recompute_grad(block), tf.function(tf.recompute_grad(block))):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(f(x) ** 2)
        found.append([g.numpy() for g in tape.gradient(y, [x, weight])])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert one == pytest.approx(two, rel=1e-6)
    assert len(calls) == 3
