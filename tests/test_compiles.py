"""The compile report: what was compiled, why again, and at what cost."""

from __future__ import annotations

import gemel
import gemel.torch as torch
from gemel.passes.compiles import compiles


def of(f):
    before = len(compiles())
    f()
    return compiles()[before:]


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
