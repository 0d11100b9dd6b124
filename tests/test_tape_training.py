"""Training scenarios on the tensor layer, against numbers recorded from PyTorch 2.13 (and live)."""

from __future__ import annotations

import json
import pathlib

import pytest
import training_scenarios as scenarios

RECORDED = pathlib.Path(__file__).parent / "recorded" / "tape_training.json"


def close(a, b) -> bool:
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(close, a, b))
    return abs(a - b) < 3e-5 * max(1, abs(b))


@pytest.fixture(scope="module")
def recorded():
    return json.loads(RECORDED.read_text())


@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_scenario(name, recorded):
    found = scenarios.SCENARIOS[name](scenarios.small_face())
    assert close(found, recorded[name])


@pytest.mark.oracle
@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_scenario_live(name):
    pytest.importorskip("torch")
    found = scenarios.SCENARIOS[name](scenarios.small_face())
    assert close(found, scenarios.SCENARIOS[name](scenarios.pytorch()))
