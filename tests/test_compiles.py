"""The compile report: what was compiled, why again, and at what cost."""

from __future__ import annotations

import sys

import pytest

import gemel
import gemel.torch as torch
from gemel.passes import native, pipeline
from gemel.passes.compiles import compiles
from gemel.torch import nn

BOUND = 500  # calls of Python functions per node of a graph that is compiled


def of(f):
    before = compiles()  # of which the oldest may be forgotten
    f()
    return [c for c in compiles() if all(c is not other for other in before)]


def test_why_again(monkeypatch, capfd):
    monkeypatch.setenv("GEMEL_SHOW", "compiles")

    def f(rows, dtype, more=False):
        x = torch.ones(rows, 37, dtype=dtype).clone()
        x.numpy()
        y = x * 0.3125
        return ((y.sin() if more else y) + 0.0625).sum().item()

    f(5, torch.float32)
    size = of(lambda: f(9, torch.float32))[-1]
    assert "another size of argument 0 float32[9,37] (was float32[5,37])" in size.why
    kind = of(lambda: f(9, torch.float64))[-1]
    assert "another dtype of argument 0 float64[9,37] (was float32[9,37])" in kind.why
    other = of(lambda: f(9, torch.float32, True))[-1]
    assert "other operations from test_compiles.py:" in other.why
    assert size.line[0] == __file__ and size.kernels > 0 and size.seconds > 0
    shown = capfd.readouterr().err
    assert "gemel: " in shown and "another dtype of argument 0" in shown
    assert of(lambda: f(9, torch.float32)) == []


def test_explain_tells_of_its_first_call():
    x = torch.ones(11, 13).clone()

    def f():
        return (x.cos() * 0.4375).sum()

    told = gemel.explain(f, calls=0, compiles=True)
    assert told.compiles and told.compiles[0].how in ("compiled", "sizes", "disk", "memory")
    assert "the call compiled or loaded:" in str(told)
    again = gemel.explain(f, calls=0, compiles=True)
    assert "the call compiled nothing" in str(again)
    assert again.to_dict()["compiles"] == ()


@pytest.fixture
def nothing_known(monkeypatch):
    monkeypatch.setenv("GEMEL_CACHE", "off")
    monkeypatch.setattr(native, "_structures", {})
    monkeypatch.setattr(native, "_loaded", {})


def test_sizes_that_became_arguments_are_named(nothing_known):
    def f(rows):
        x = torch.ones(rows, 41).clone()
        x.numpy()
        return (x * 0.21875).sum().item()

    assert of(lambda: f(5))[-1].sizes == ""
    second, third = of(lambda: f(9))[-1], of(lambda: f(30))[-1]
    assert second.how == "compiled" and third.how == "sizes"
    assert third.sizes == "sizes are arguments: s0 = 30 in argument 0 float32[s0,41]"
    assert third.sizes in str(third)


def test_why_sizes_stay_constants_is_told(nothing_known):
    weight = torch.ones(4, 3, 3, 3).clone()

    def f(count):
        x = torch.ones(count, 3, 8, 8).clone()
        x.numpy()
        return torch.nn.functional.conv2d(x, weight).sum().item()

    f(2)
    again = of(lambda: f(3))[-1]
    assert again.how == "compiled"
    assert again.sizes == "sizes are constants: the code of windows takes no others"


def test_steps_of_the_passes_are_told(nothing_known):
    told = of(lambda: (torch.ones(6, 7).exp() @ torch.ones(7, 3)).sum().item())[-1]
    names = dict(told.steps)
    assert {"simplify", "lay_out", "schedule", "plan_memory", "emit"} <= names.keys()
    assert told.passes == pytest.approx(sum(names.values()))
    assert told.passes + told.llvm <= told.seconds
    assert f"LLVM {1e3 * told.llvm:.1f}, passes {1e3 * told.passes:.1f}: " in str(told)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 24), nn.Linear(24, 16)

    def forward(self, x):
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


def test_passes_take_as_long_as_their_graph_is(nothing_known, monkeypatch):
    """Calls of Python functions per node of a training step: a bound, and none that grows."""
    counted = []

    def build(entry, leaves, outputs, updates, *more, **options):
        calls = 0

        def count(frame, event, argument):
            nonlocal calls
            calls += event == "call"

        nodes = len(pipeline.show([*outputs, *updates.values()]).splitlines())
        sys.setprofile(count)
        try:
            return built(entry, leaves, outputs, updates, *more, **options)
        finally:
            sys.setprofile(None)
            counted.append(calls / nodes)

    def per_node(layers: int) -> float:
        model = nn.Sequential(*(Block() for _ in range(layers)))
        optimizer = torch.optim.Adam(model.parameters())
        loss = (model(torch.ones(4, 16)) ** 2).mean()
        loss.backward()
        optimizer.step()
        loss.item()
        return counted[-1]

    built = pipeline.build
    monkeypatch.setattr(pipeline, "build", build)
    monkeypatch.setattr(pipeline, "VERIFY", False)
    few, many = per_node(4), per_node(12)
    assert many <= few <= BOUND
