"""Convolution, pooling and their layers of the PyTorch face against PyTorch's."""

from __future__ import annotations

import pytest
import torch_window_cases
from torch_compare import cases_of, difference, recorded, run

import gemel.torch as torch

CASES = cases_of(torch_window_cases)
TOLERANCE = 1e-4


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    assert difference(run(CASES[name], torch), recorded("torch_window")[name], TOLERANCE) == ""


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_case_live(name):
    original = pytest.importorskip("torch")
    found = run(CASES[name], torch)
    assert difference(found, run(CASES[name], original), TOLERANCE) == ""
