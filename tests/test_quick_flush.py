"""The quick way of a flush gives what the usual way gives, and is taken where it can be."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.tensor import quick
from gemel.tensor.quick import Quick
from gemel.torch import nn

native = pytest.mark.skipif(
    default_device() != "cpu", reason="other devices have no quick way to take"
)
STEPS = 8
X = torch.tensor([[1.0, 2.0, -1.0], [0.5, -1.0, 2.0]])
Y = torch.tensor([0, 1])


@pytest.fixture
def taken(monkeypatch):
    """One truth value per try: did the quick way go to its end?"""
    found = []
    usual = Quick.run

    def run(self, tape):
        found.append(usual(self, tape))
        return found[-1]

    monkeypatch.setattr(Quick, "run", run)
    return found


def _train(between, monkeypatch=None, targets=Y):
    """Losses, weights and what `between(i, model, loss)` gave after each step."""
    if monkeypatch is not None:
        monkeypatch.setattr(quick, "LONG", -1.0)
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    losses, kept = [], []
    for i in range(STEPS):
        loss = nn.functional.cross_entropy(model(X), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        kept.append(between(i, model, loss))
        losses.append(loss.item())
    kept = [k.tolist() if isinstance(k, torch.Tensor) else k for k in kept]
    return losses, model.weight.tolist(), model.bias.tolist(), kept


CASES = {
    "nothing kept": lambda i, model, loss: None,
    "losses kept": lambda i, model, loss: loss,
    "gradients kept": lambda i, model, loss: model.weight.grad,
    "weights copied": lambda i, model, loss: model.weight.detach().clone(),
    "an array of the weights": lambda i, model, loss: model.weight.detach().numpy().tolist(),
    "an array held": lambda i, model, loss: i > 2 and model.__dict__.setdefault(
        "array", model.bias.detach().numpy()).tolist(),
    "weights written": lambda i, model, loss: model.weight.data.mul_(0.9) if i == 5 else None,
    "weights replaced": lambda i, model, loss: setattr(
        model.bias, "data", torch.ones(2)) if i == 5 else None,
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_both_ways_agree(case, monkeypatch):
    quickly = _train(CASES[case])
    usually = _train(CASES[case], monkeypatch)
    assert quickly == usually


@native
def test_a_steady_loop_goes_the_quick_way(taken):
    _train(CASES["losses kept"])
    assert taken.count(True) >= STEPS - 4


@native
def test_results_that_are_held_keep_their_memory(taken):
    a = torch.tensor([1.0, 2.0])
    held = []
    for i in range(STEPS):
        b = a * float(i)
        held.append(b.detach())
        b.tolist()
    assert [h.tolist() for h in held] == [[float(i), 2.0 * i] for i in range(STEPS)]
    assert True in taken


@native
def test_a_check_that_fails_raises_and_leaves_the_weights(taken):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    targets = torch.tensor([0, 1])

    def step():
        loss = nn.functional.cross_entropy(model(X), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(5):
        step()
    assert taken[-1]
    before = model.weight.tolist()
    targets = torch.tensor([0, 7])
    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        step()
    assert model.weight.tolist() == before
    targets = torch.tensor([0, 1])
    step()
    assert model.weight.tolist() != before


@native
def test_numbers_of_the_run_are_looked_up_anew():
    a = torch.tensor([1.0, 2.0])
    for i in range(STEPS):
        np.testing.assert_array_equal((a * (i + 0.5)).numpy(), np.float32([1, 2]) * (i + 0.5))


def test_memory_that_is_kept_is_counted():
    before = Quick.total
    way = object.__new__(Quick)
    way.nbytes = 100
    Quick.total += 100
    del way
    assert Quick.total == before
