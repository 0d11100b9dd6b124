"""Repeated calls of a traced function: the short way gives what the usual way gives."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.runtime.builtins import call as builtin_call
from gemel.tensor import steady, unchanged
from gemel.tensor.straight import MISSED, short_way
from gemel.tensor.tape import SEVERAL
from gemel.torch import compiling

native = pytest.mark.skipif(
    default_device() == "reference", reason="the reference device has no short way to take"
)


@pytest.fixture(autouse=True, params=["in words", "by ctypes", "directly"])
def way(request, monkeypatch):
    """Both where the interpreter's memory can be looked at, and where it cannot; and without any
    Python as soon as that is possible."""
    monkeypatch.setattr(compiling, "DIRECT", 1 if request.param == "directly" else 1 << 62)
    if request.param == "by ctypes":
        monkeypatch.setattr(unchanged, "counts_are_words", lambda: False)
        monkeypatch.setattr(builtin_call, "_maker", lambda text, name: None)


@pytest.fixture(autouse=True)
def one_thread():
    """As in a process that had no second thread yet: other tests of this process may have."""
    before = SEVERAL[:]
    SEVERAL.clear()
    yield
    SEVERAL[:] = before + SEVERAL


def _setting(momentum: float = 0.9):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)

    def step(x, y):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return model, optimizer, step


X = torch.tensor([[1.0, 2.0, -1.0], [0.5, -1.0, 2.0]])
Y = torch.tensor([0, 1])


def _short_calls(monkeypatch) -> list:
    """One entry for each call that went the short way to its end."""
    monkeypatch.setattr(compiling, "DIRECT", 1 << 62)
    made = []

    def counted(steady, front):
        short = short_way(steady, front)

        def call(tensors):
            out = short(tensors)
            if out is not MISSED:
                made.append(1)
            return out

        return call

    monkeypatch.setattr(steady, "short_way", counted)
    return made


def _compare(between, calls: int = 6):
    """Losses and weights with `between(i, model)` before each step: plain and compiled."""
    found = []
    for compiled in (False, True):
        model, _, step = _setting()
        step = torch.compile(step) if compiled else step
        kept = []
        losses = []
        for i in range(calls):
            kept.append(between(i, model))
            losses.append(step(X, Y).item())
        found.append((losses, model.weight.tolist(), model.bias.tolist(), kept))
    plain, short = found
    np.testing.assert_allclose(plain[0], short[0], rtol=1e-6)
    np.testing.assert_allclose(plain[1], short[1], rtol=1e-6)
    np.testing.assert_allclose(plain[2], short[2], rtol=1e-6)
    return plain[3], short[3]


@native
def test_the_short_way_is_taken(monkeypatch):
    made = _short_calls(monkeypatch)
    _compare(lambda i, model: None, 6)
    assert len(made) == 5  # all but the first


def test_a_gradient_that_is_kept_keeps_its_values():
    def between(i, model):
        return None if model.weight.grad is None else model.weight.grad

    plain, short = _compare(between)
    for a, b in zip(plain[1:], short[1:], strict=True):
        np.testing.assert_allclose(a.tolist(), b.tolist(), rtol=1e-6)
    assert short[1].tolist() != short[3].tolist()


def test_a_copy_of_a_parameter_keeps_its_values():
    plain, short = _compare(lambda i, model: model.weight.detach().clone())
    for a, b in zip(plain, short, strict=True):
        np.testing.assert_allclose(a.tolist(), b.tolist(), rtol=1e-6)
    assert short[1].tolist() != short[3].tolist()


def test_an_array_of_a_parameter_follows_it():
    model, _, step = _setting()
    step = torch.compile(step)
    array = model.weight.detach().numpy()
    for _ in range(4):
        step(X, Y)
        np.testing.assert_array_equal(array, model.weight.detach().tolist())


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.weight.data.mul_(0.5),
        lambda model: model.load_state_dict({k: v * 0.5 for k, v in model.state_dict().items()}),
        lambda model: setattr(model.weight, "grad", None),
        lambda model: model.bias.grad.zero_() if model.bias.grad is not None else None,
        lambda model: model.weight.data.fill_(0.1),
        lambda model: (model.weight * 2).sum(),
    ],
)
def test_changes_between_the_calls(change):
    _compare(lambda i, model: change(model) if i in (2, 4) else None)


def test_versions_rise():
    model, _, step = _setting()
    step = torch.compile(step)
    step(X, Y)
    before = model.weight._version
    for _ in range(3):
        step(X, Y)
    assert model.weight._version == before + 3


@native
def test_a_fault_leaves_the_weights(monkeypatch):
    model, _, step = _setting()
    step = torch.compile(step)
    made = _short_calls(monkeypatch)
    for _ in range(3):
        step(X, Y)
    before = model.weight.tolist()
    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        step(X, torch.tensor([0, 7]))
    assert made
    assert model.weight.tolist() == before
    assert np.isfinite(step(X, Y).item())


def test_views_and_arrays_as_inputs():
    wide = torch.arange(12.0).reshape(4, 3) / 10
    arrays = [np.full((2, 3), float(i), np.float32) for i in range(4)]

    @torch.compile
    def double(x):
        return x * 2

    for i in range(3):
        assert double(wide[i : i + 2]).tolist() == (wide[i : i + 2] * 2).tolist()
        assert double(wide.t()[:2, :3]).tolist() == (wide.t()[:2, :3] * 2).tolist()
    for a in arrays:
        assert double(torch.from_numpy(a)).tolist() == (a * 2).tolist()


def test_calls_of_several_threads():
    @torch.compile
    def f(x):
        return (x * 2).sum()

    f(torch.ones(8))
    right = []

    def work(k):
        for _ in range(50):
            if f(torch.full((8,), float(k))).item() == 16.0 * k:
                right.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(right) == 4 * 50


def test_results_that_are_kept_keep_their_values():
    _, _, step = _setting()
    _, _, plain = _setting()
    step = torch.compile(step)
    kept = [step(X, Y) for _ in range(6)]
    views = [kept[-1].detach(), step(X, Y).reshape(1)]
    arrays = [step(X, Y).numpy()]
    for _ in range(4):
        step(X, Y)
    wanted = [plain(X, Y).item() for _ in range(8)]
    found = [t.item() for t in [*kept, views[1], arrays[0]]]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert views[0].item() == found[5]


def test_arguments_that_change_in_kind():
    """The record that served last is not taken for arguments that it was not made for."""

    @torch.compile
    def f(x):
        return x * 2

    x = torch.tensor([1.0, 2.0])
    for _ in range(3):
        assert f(x).tolist() == [2.0, 4.0]
    assert f(torch.tensor([1, 2])).tolist() == [2, 4]
    assert f(torch.tensor([[1.0], [2.0]])).tolist() == [[2.0], [4.0]]
    assert f(3) == 6
    assert f(x + 1).tolist() == [4.0, 6.0]
    x.requires_grad_()
    f(x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    with torch.no_grad():
        assert not f(x).requires_grad
    with pytest.raises(TypeError):
        f(x, x)


def test_a_variable_that_changes():
    scale = 2.0

    @torch.compile
    def f(x):
        return x * scale  # noqa: F821

    x = torch.tensor([1.0])
    for _ in range(3):
        assert f(x).item() == 2.0
    scale = float("2")  # equal, but another object
    for _ in range(3):
        assert f(x).item() == 2.0
    scale = 5.0
    for _ in range(3):
        assert f(x).item() == 5.0
    del scale
    with pytest.raises(NameError):
        f(x)


def test_gradients_forgotten_between_all_calls():
    _compare(lambda i, model: setattr(model.weight, "grad", None), 24)


def test_one_gradient_forgotten_while_another_is_kept():
    def between(i, model):
        kept = model.bias.grad
        model.weight.grad = None
        return kept

    plain, short = _compare(between, 12)
    for a, b in zip(plain[1:], short[1:], strict=True):
        np.testing.assert_allclose(a.tolist(), b.tolist(), rtol=1e-6)


@pytest.mark.parametrize("kind", ["Adam", "AdamW"])
def test_settings_of_adam_that_change(kind):
    found = []
    for compiled in (False, True):
        model, _, _ = _setting()
        optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.1)
        group = optimizer.param_groups[0]

        def step(x, y, model=model, optimizer=optimizer):
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        step = torch.compile(step) if compiled else step
        for i in range(24):
            changes = {3: ("lr", 0.05), 6: ("betas", (0.8, 0.9)), 9: ("eps", 1e-3),
                       12: ("weight_decay", 0.1), 15: ("maximize", True), 18: ("betas", [0.5, 0.9]),
                       21: ("lr", torch.tensor(0.2))}  # fmt: skip
            if i in changes:
                name, value = changes[i]
                group[name] = value
            if i == 20:
                group["betas"][0] = 0.7
            step(X, Y)
        found.append(model.weight.tolist())
    np.testing.assert_allclose(*found, rtol=1e-5)


@native
def test_gradients_forgotten_outside_are_filled_again(monkeypatch):
    made = _short_calls(monkeypatch)

    def between(i, model):
        kept = model.weight.grad if i in (4, 5) else None
        model.zero_grad()
        return kept

    plain, short = _compare(between, 12)
    assert len(made) >= 6
    for k in (4, 5):
        np.testing.assert_allclose(plain[k].tolist(), short[k].tolist(), rtol=1e-6)
    model, _, step = _setting()
    step = torch.compile(step)
    for _ in range(4):
        model.zero_grad()
        step(X, Y)
        assert model.weight.grad is not None and model.bias.grad is not None
