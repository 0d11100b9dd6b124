"""Attention, recurrence, sampling, sequence losses and optimizers against PyTorch's."""

from __future__ import annotations

import pytest
import torch_layer_cases
from torch_compare import cases_of, difference, recorded, run

import gemel.torch as torch

CASES = cases_of(torch_layer_cases)
TOLERANCE = 5e-5


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    assert difference(run(CASES[name], torch), recorded("torch_layer")[name], TOLERANCE) == ""


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_case_live(name):
    original = pytest.importorskip("torch")
    found = run(CASES[name], torch)
    assert difference(found, run(CASES[name], original), TOLERANCE) == ""


def test_a_sparse_adam_refuses_dense_gradients():
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    with pytest.raises(RuntimeError, match="dense gradients"):
        torch.optim.SparseAdam([p]).step()
