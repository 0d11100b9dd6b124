"""Distributions of the PyTorch face: checks that wait for the values."""

from __future__ import annotations

import pytest

import gemel.torch as torch
from gemel.tensor.tape import LOCAL
from gemel.torch.distributions import Categorical, Normal


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
