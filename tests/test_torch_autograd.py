"""The cases of torch_autograd_cases, against numbers recorded from PyTorch (and live)."""

from __future__ import annotations

import pytest
import torch_autograd_cases
from torch_compare import cases_of, difference, recorded, run

import gemel.torch

CASES = cases_of(torch_autograd_cases)
TOLERANCE = 3e-5


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    expected = recorded("torch_autograd")[name]
    assert difference(run(CASES[name], gemel.torch), expected, TOLERANCE) == ""


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_case_live(name):
    torch = pytest.importorskip("torch")
    found = run(CASES[name], gemel.torch)
    assert difference(found, run(CASES[name], torch), TOLERANCE) == ""
