"""Distributions of the PyTorch face against PyTorch's; checks that wait for the values."""

from __future__ import annotations

import pytest
import torch_distribution_cases
from torch_compare import cases_of, difference, recorded, run

import gemel.torch as torch
from gemel.tensor.tape import LOCAL
from gemel.torch.distributions import Categorical, Normal

CASES = cases_of(torch_distribution_cases)
TOLERANCE = 2e-5


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    expected = recorded("torch_distribution")[name]
    assert difference(run(CASES[name], torch), expected, TOLERANCE) == ""


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_case_live(name):
    original = pytest.importorskip("torch")
    expected = run(CASES[name], original)
    assert difference(run(CASES[name], torch), expected, TOLERANCE) == ""


def test_checks_of_pending_values_run_nothing():
    x = torch.tensor([0.3, 0.7])
    p = torch.softmax(x * 2.0, -1)
    given = Categorical(p)
    action = given.sample()
    given.log_prob(action)
    assert not LOCAL.tape.idle
    assert action.item() in (0, 1)


def test_what_pending_values_break_is_an_error_where_they_are_computed():
    x = torch.tensor([0.3, -0.7])
    with pytest.raises(ValueError, match="parameter probs .* constraint Simplex"):
        Categorical(x * 2.0).sample().item()
    with pytest.raises(ValueError, match="parameter scale .* GreaterThan"):
        Normal(torch.zeros(2), x * 2.0).rsample().tolist()
    with pytest.raises(ValueError, match="within the support"):
        Categorical(torch.ones(2)).log_prob(torch.tensor([1, 1]) * 2).tolist()
