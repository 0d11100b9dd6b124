"""Optimizers and schedulers of the PyTorch face: compilations, warnings, pickles, refusals."""

from __future__ import annotations

import pickle
import warnings

import pytest

import gemel.torch as torch
from gemel.tensor.plan import program_count


def _model_and_step(**options):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), **options)

    def step():
        optimizer.zero_grad()
        model(torch.ones(4, 3)).sum().backward()
        optimizer.step()

    return model, optimizer, step


def test_schedulers_compile_nothing():
    _, optimizer, step = _model_and_step(weight_decay=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 30)
    for _ in range(3):
        step()
        scheduler.step()
    before = program_count()
    for _ in range(20):
        step()
        scheduler.step()
        optimizer.param_groups[0]["weight_decay"] *= 0.9
    assert program_count() == before


def test_a_step_out_of_order_warns():
    _, optimizer, step = _model_and_step()
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    with pytest.warns(UserWarning, match="lr_scheduler.step"):
        scheduler.step()
    step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()


def test_an_optimizer_can_be_pickled():
    _, optimizer, step = _model_and_step()
    step()
    back = pickle.loads(pickle.dumps(optimizer))
    own = back.state[back.param_groups[0]["params"][0]]
    assert float(own["step"]) == 1.0
    assert set(own) == {"step", "exp_avg", "exp_avg_sq"}


def test_unsupported_options_are_refused():
    with pytest.raises(NotImplementedError, match="differentiable"):
        torch.optim.Adam([torch.zeros(1, requires_grad=True)], differentiable=True)


def test_a_sparse_adam_refuses_dense_gradients():
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    with pytest.raises(RuntimeError, match="dense gradients"):
        torch.optim.SparseAdam([p]).step()
