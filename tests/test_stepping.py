"""An optimizer's step that is looked at by one function gives what any step gives."""

from __future__ import annotations

import pytest

import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.tensor import Stepping
from gemel.tensor.tape import SEVERAL
from gemel.torch import nn

native = pytest.mark.skipif(default_device() != "cpu", reason="counts what native steps do")
X = torch.tensor([[1.0, 2.0, -1.0], [0.5, -1.0, 2.0]])
Y = torch.tensor([0, 1])
STEPS = 8


@pytest.fixture(autouse=True)
def one_thread():
    """As in a process that had no second thread yet: other tests of this process may have."""
    before = SEVERAL[:]
    SEVERAL.clear()
    yield
    SEVERAL[:] = before + SEVERAL


def _train(between, usual: bool, monkeypatch, make=torch.optim.Adam):
    """Weights and `_version` after steps with `between(i, model, optimizer)` before each update."""
    with monkeypatch.context() as patch:
        if usual:
            patch.setattr(Stepping, "look", lambda self: None)
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = make(model.parameters(), lr=0.1)
        versions = []
        for i in range(STEPS):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X), Y).backward()
            between(i, model, optimizer)
            optimizer.step()
            versions.append((model.weight._version, model.bias._version))
        state = [v.tolist() for own in optimizer.state.values() for v in own.values()
                 if isinstance(v, torch.Tensor)]  # fmt: skip
        return model.weight.tolist(), model.bias.tolist(), versions, state


def _replace(i, model, optimizer):
    if i == 4:
        model.bias.data = torch.ones(2)


def _forget(i, model, optimizer):
    if i in (3, 6):
        model.bias.grad = None


def _read_state(i, model, optimizer):
    if i > 2:
        optimizer.state[model.weight].get("exp_avg", model.weight).sum().item()


def _write_state(i, model, optimizer):
    if i == 4:
        optimizer.state[model.weight]["exp_avg"].mul_(0.5)


def _share_state(i, model, optimizer):
    if i == 4:
        model.__dict__["array"] = optimizer.state[model.weight]["exp_avg"].numpy()


def _other_rate(i, model, optimizer):
    optimizer.param_groups[0]["lr"] = 1 if i == 4 else 0.1 / (i + 1)


def _decay(i, model, optimizer):
    optimizer.param_groups[0]["weight_decay"] = 0.1 if i > 4 else 0


def _clip(i, model, optimizer):
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)


def _own_gradient(i, model, optimizer):
    if i == 4:
        model.weight.grad = torch.ones(3, 2).t()


def _look(i, model, optimizer):
    model.weight.grad.tolist()


def _reload(i, model, optimizer):
    if i == 4:
        optimizer.load_state_dict(optimizer.state_dict())


CASES = [
    lambda i, model, optimizer: None, _replace, _forget, _read_state, _write_state, _share_state,
    _other_rate, _decay, _clip, _own_gradient, _look, _reload,
]  # fmt: skip


@pytest.mark.parametrize("between", CASES, ids=lambda f: f.__name__.strip("_<>"))
def test_both_ways_agree(between, monkeypatch):
    if between is _read_state or between is _write_state:

        def started(i, model, optimizer):
            if i > 0:
                between(i, model, optimizer)
    else:
        started = between
    quickly = _train(started, False, monkeypatch)
    assert quickly == _train(started, True, monkeypatch)


@native
def test_most_steps_are_looked_at(monkeypatch):
    found = []
    usual = Stepping.look

    def look(self):
        found.append(usual(self))
        return found[-1]

    monkeypatch.setattr(Stepping, "look", look)
    _train(lambda i, model, optimizer: None, False, monkeypatch)
    assert len([f for f in found if f is not None]) == STEPS - 1
