"""torch.compile of the PyTorch face: how many records and programs, and what breaks a graph."""

from __future__ import annotations

import pytest
from torch_training_cases import batches, loss_of, network

import gemel.torch as torch


def _records(function) -> int:
    return sum(map(len, function.records.values()))


def test_a_whole_step_is_one_record():
    model = network(torch)
    optimizer = torch.optim.Adam(model.parameters())

    @torch.compile
    def step(x, y):
        loss = loss_of(torch, model, x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for x, y in batches(torch):
        step(x, y)
        optimizer.param_groups[0]["lr"] *= 0.9
    assert _records(step) == 1
    step(*(t[:3] for t in batches(torch)[0]))
    assert _records(step) == 2
    model.eval()
    step(x, y)
    assert _records(step) == 3
    optimizer.param_groups[0]["weight_decay"] = 0.1
    step(x, y)
    assert _records(step) == 4


def test_accumulation_settles():
    w = torch.ones(3, requires_grad=True)

    @torch.compile
    def add(x):
        (w * x).sum().backward()

    for i in range(9):
        if i % 3 == 0:
            w.grad = None if i % 2 else torch.zeros(3)
        add(torch.ones(3))
        assert w.grad.tolist() == [i % 3 + 1] * 3
    assert _records(add) == 2


def test_clearing_gradients_by_hand_settles():
    w = torch.ones(3, requires_grad=True)

    @torch.compile
    def step(x):
        w.grad = None
        (w * x).sum().backward()

    for _ in range(5):
        step(torch.ones(3))
        assert w.grad.tolist() == [1, 1, 1]
    assert _records(step) == 2


def test_a_graph_break_with_fullgraph_is_an_error():
    @torch.compile(fullgraph=True)
    def f(x):
        return x if x.sum().item() else -x

    with pytest.raises(RuntimeError, match="looked at"):
        f(torch.ones(2))


def test_a_graph_break_runs_plainly_and_is_not_tried_again():
    calls = []

    @torch.compile
    def f(x):
        calls.append(1)
        return x * 2 if x.sum().item() > 0 else x

    for _ in range(3):
        f(torch.ones(2))
    assert len(calls) == 4


def test_a_compiled_module_is_the_module():
    model = network(torch)
    compiled = torch.compile(model)
    assert list(compiled.state_dict())[0] == "_orig_mod.a.weight"
    assert compiled.a is model.a
    compiled.eval()
    assert not model.training
    x = torch.ones(2, 8)
    assert torch.equal(compiled(x), model(x))


def test_modules_compile_themselves():
    model = network(torch)
    x = torch.ones(2, 8)
    before = model(x)
    model.compile()
    assert torch.equal(model(x), before)


@pytest.mark.parametrize(
    "options", [{"mode": "fast"}, {"backend": "other"}, {"mode": "default", "options": {}}]
)
def test_unknown_options_are_refused(options):
    with pytest.raises(RuntimeError):
        torch.compile(lambda x: x, **options)
