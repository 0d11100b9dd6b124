"""Programs in the words of the TensorFlow face, against numbers recorded from it (and live)."""

from __future__ import annotations

import pytest
import tensorflow_cases
from tensorflow_compare import TOLERANCE, case_of, difference, original, recorded
from torch_compare import cases_of

import gemel.tensorflow as tf

CASES = cases_of(tensorflow_cases)


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    found = case_of(tf, CASES[name])
    assert difference(found, recorded("tensorflow_cases")[name], TOLERANCE) == ""


# Keras has one backend in a process, and here it is Gemel's: its cases have recorded values only.
@pytest.mark.oracle_tf
@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("keras")])
def test_case_live(name):
    found = case_of(tf, CASES[name])
    assert difference(found, case_of(original(), CASES[name]), TOLERANCE) == ""
