"""TensorFlow 1's optimizers and schedules, step by step against TensorFlow's."""

from __future__ import annotations

import pytest
import tensorflow_cases
from tensorflow_compare import TOLERANCE, case_of, difference, original, recorded
from torch_compare import cases_of

import gemel.tensorflow as tf

PARTS = ("optimizer", "schedules", "training")
CASES = {n: c for n, c in cases_of(tensorflow_cases).items() if n.startswith(PARTS)}


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    found = case_of(tf, CASES[name])
    assert difference(found, recorded("tensorflow_cases")[name], TOLERANCE) == ""


@pytest.mark.oracle_tf
@pytest.mark.parametrize("name", CASES)
def test_case_live(name):
    found = case_of(tf, CASES[name])
    assert difference(found, case_of(original(), CASES[name]), TOLERANCE) == ""
