"""Calls recorded by the built-in function are those that are recorded in Python."""

from __future__ import annotations

import pytest

import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.runtime.builtins.instances import counts_are_words
from gemel.tensor import recorder
from gemel.tensor.tape import LOCAL, SEVERAL
from gemel.torch import nn
from gemel.torch.nn import functional as F

built_in = pytest.mark.skipif(not counts_are_words(), reason="this interpreter has no such calls")


@pytest.fixture(autouse=True)
def one_thread():
    """As in a process that had no second thread yet: other tests of this process may have."""
    before = SEVERAL[:]
    SEVERAL.clear()
    yield
    SEVERAL[:] = before + SEVERAL


@pytest.fixture(autouse=True)
def restored():
    before = recorder.RECORD[:], recorder.DEPOSIT[:]
    yield
    recorder.RECORD[:], recorder.DEPOSIT[:] = before


def _both(scenario):
    """What the scenario gives in Python alone, and with the built-in function; its uses."""
    recorder.RECORD.clear()
    recorder.DEPOSIT.clear()
    plain = [scenario(i) for i in range(4)]
    recorder._asked.clear()
    recorder.prepare()
    assert recorder.RECORD
    record = recorder.RECORD[0]
    used = []

    def counted(*arguments):
        out = record(*arguments)
        used.append(out is not None)
        return out

    recorder.RECORD[:] = [counted]
    assert [scenario(i) for i in range(4)] == plain
    return used


def _weights(i):
    torch.manual_seed(i)
    return nn.Parameter(torch.randn(3, 3)), nn.Parameter(torch.randn(3))


X = torch.tensor([[1.0, 2.0, -1.0], [0.5, -1.0, 2.0]])


def _training(i):
    w, b = _weights(i)
    loss = F.cross_entropy(F.relu(F.linear(X, w, b)), torch.tensor([0, 2]))
    loss.backward()
    return loss.item(), w.grad.tolist(), b.grad.tolist(), loss.requires_grad


def _tied(i):
    w, b = _weights(i)
    loss = (F.linear(F.linear(X, w, b), w, b) @ w).sum()
    loss.backward()
    return loss.item(), w.grad.tolist(), b.grad.tolist()


def _without_gradients(i):
    w, b = _weights(i)
    with torch.no_grad():
        y = torch.tanh(F.linear(X, w, b))
    return y.tolist(), y.requires_grad, torch.tanh(y).requires_grad


def _views(i):
    w, b = _weights(i)
    y = torch.relu(w[1:]) @ w.t() + b[:2].detach().view(2, 1)
    y.sum().backward()
    return y.tolist(), w.grad.tolist(), b.grad


def _writes(i):
    a = X.clone()
    b = torch.exp(a)
    a.add_(b)
    c = torch.exp(a) + b
    return c.tolist(), a.tolist(), a._version


def _shared_with_an_array(i):
    a = X.clone()
    array = a.numpy()
    b = torch.exp(a)
    array[0, 0] = i
    return b.tolist(), torch.exp(a).tolist()


def _accumulated(i):
    w, b = _weights(i)
    b.tolist()
    for k in range(3):
        F.linear(X, w, b).mean().backward()
        if k:
            b.grad = None
    return w.grad.tolist(), b.grad


def _hooked(i):
    w, b = _weights(i)
    seen = []
    b.register_hook(lambda g: seen.append(w.grad is None) or g * 2)
    w.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad is None))
    F.linear(X, w, b).mean().backward()
    return w.grad.tolist(), b.grad.tolist(), seen


def _history(i):
    w, b = _weights(i)
    y = torch.tanh(F.linear(X, w, b))
    y.tolist()
    z = torch.exp(y).sum()
    z.backward()
    return z.item(), w.grad.tolist()


def _numbers(i):
    return (X * i + 2 - X / 3.0).tolist(), torch.maximum(X, X * 0.5).tolist()


SCENARIOS = [
    _training, _accumulated, _hooked, _tied, _without_gradients, _views, _writes,
    _shared_with_an_array, _history, _numbers,
]  # fmt: skip


@built_in
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda f: f.__name__.strip("_"))
def test_both_ways_give_the_same(scenario):
    used = _both(scenario)
    assert any(used)


@built_in
def test_a_known_piece_is_recorded_without_python():
    w, b = _weights(0)
    (w + b).tolist()

    def piece(i):
        w.grad = None
        loss = F.cross_entropy(F.relu(F.linear(X, w, b)), torch.tensor([0, 2]))
        loss.backward()
        return loss.item(), w.grad.tolist()

    assert all(_both(piece))


@built_in
def test_a_class_of_a_user_stays_its_own():
    class Mine(torch.Tensor):
        pass

    recorder._asked.clear()
    recorder.prepare()
    for _ in range(3):
        made = torch.relu(X.as_subclass(Mine)) if hasattr(X, "as_subclass") else torch.relu(X)
        assert type(made) is type(made).kin
        made.tolist()


@built_in
@pytest.mark.skipif(default_device() != "cpu", reason="prepared with the first quick program")
def test_it_is_there_once_a_program_has_run_often():
    recorder.RECORD.clear()
    recorder._asked.clear()
    for _ in range(6):
        (torch.ones(5, 7) * 2.5).tolist()
    assert recorder.RECORD


@built_in
def test_a_loop_that_never_looks_runs_by_itself():
    recorder._asked.clear()
    recorder.prepare()
    x = torch.zeros(3)
    one = torch.ones(3)
    for _ in range(2000):
        x = torch.add(x, one)
    assert len(LOCAL.tape.made) < 1500
    assert x.tolist() == [2000.0] * 3
