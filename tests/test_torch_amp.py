"""`torch.amp` of the PyTorch face: modes in compiled functions, scalers, pickling."""

from __future__ import annotations

import pickle

import gemel.torch as torch
from gemel import tensor as lazy
from gemel.tensor.flush import flush


def test_compiled_functions_know_the_mode():
    product = torch.compile(lambda a: a @ a)
    m = torch.ones(2, 2)
    for _ in range(40):
        plain = product(m)
        with torch.autocast("cpu"):
            lower = product(m)
    assert plain.dtype is torch.float32 and lower.dtype is torch.bfloat16


def test_transforms_know_the_mode():
    m = torch.ones(3, 2, 2)
    with torch.autocast("cpu"):
        assert torch.vmap(torch.mm)(m, m).dtype is torch.bfloat16
        (g,) = torch.func.grad(lambda a: (a @ a).sum().float(), argnums=(0,))(m[0])
    assert g.dtype is torch.float32


def test_a_step_is_skipped_without_looking_before(monkeypatch):
    looked = []
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    scaler = torch.amp.GradScaler("cpu")
    x = torch.ones(4, 2)
    for _ in range(2):
        with torch.autocast("cpu"):
            loss = model(x).float().sum()
        scaler.scale(loss).backward()
        monkeypatch.setattr(torch.Tensor, "item", _noting(looked, torch.Tensor.item))
        scaler.step(optimizer)
        monkeypatch.undo()
        scaler.update()
    assert looked == [0, 0]  # what was pending then: the program had run


def _noting(looked: list, item):
    def noted(self):
        looked.append(lazy.tape.LOCAL.tape.state.ops)
        return item(self)

    return noted


def test_a_scaler_is_saved_with_its_scale():
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(torch.ones(()))
    assert pickle.loads(pickle.dumps(scaler)).get_scale() == 4.0


def test_modes_survive_runs():
    m = torch.ones(2, 2)
    with torch.autocast("cpu"):
        for _ in range(3):
            a = m @ m
            flush()
            assert a.dtype is torch.bfloat16
            assert a.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert (m @ m).dtype is torch.float32


def test_one_object_is_entered_twice():
    mode = torch.autocast("cpu")
    m = torch.ones(2, 2)
    with mode, mode:
        assert (m @ m).dtype is torch.bfloat16
    assert (m @ m).dtype is torch.float32
