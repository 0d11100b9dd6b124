"""Programs in the words of the PyTorch face, against numbers recorded from PyTorch (and live)."""

from __future__ import annotations

from importlib import import_module

import pytest
from torch_compare import cases_of, difference, recorded, run

import gemel.torch

# What differs between the two at most, relative to numbers above 1, in the cases of each module.
TOLERANCES = {
    "torch_amp": 1e-4,
    "torch_autograd": 3e-5,
    "torch_compile": 3e-5,
    "torch_data": 0,
    "torch_distribution": 2e-5,
    "torch_layer": 5e-5,
    "torch_loop": 1e-4,
    "torch_nn": 2e-5,
    "torch_optim": 1e-5,
    "torch_training": 3e-5,
    "torch_transforms": 3e-5,
    "torch_window": 1e-4,
}
CASES = {part: cases_of(import_module(f"{part}_cases")) for part in TOLERANCES}
NAMES = [(part, name) for part, cases in CASES.items() for name in cases]


@pytest.mark.parametrize(("part", "name"), NAMES)
def test_case(part, name):
    found = run(CASES[part][name], gemel.torch)
    assert difference(found, recorded(part)[name], TOLERANCES[part]) == ""


def _where_it_can(outcomes, known):
    """What PyTorch refuses on this CPU and did not where it was recorded (bfloat16 in an LSTM needs
    AVX-512 there) stands as recorded."""
    if not isinstance(outcomes, dict) or not isinstance(known, dict):
        return outcomes
    return {k: known.get(k, v) if v == "RuntimeError" else v for k, v in outcomes.items()}


@pytest.mark.oracle
@pytest.mark.parametrize(("part", "name"), NAMES)
def test_case_live(part, name):
    torch = pytest.importorskip("torch")
    found = run(CASES[part][name], gemel.torch)
    wanted = _where_it_can(run(CASES[part][name], torch), recorded(part)[name])
    assert difference(found, wanted, TOLERANCES[part]) == ""
