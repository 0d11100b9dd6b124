"""Keras as it is where TensorFlow's face has not been imported, whatever else this process has."""

from __future__ import annotations

import pytest

import gemel.keras as keras
from gemel.keras_backend import errors, order, tensors


@pytest.fixture(autouse=True)
def keras_alone(monkeypatch):
    """The backend's own tensors, errors and seed, in all tests of a file that imports this."""
    monkeypatch.setattr(tensors, "_classes", [tensors.Tensor])
    monkeypatch.setattr(tensors, "_shapes", [tuple])
    monkeypatch.setattr(errors, "_invalid", [errors.InvalidArgumentError])
    monkeypatch.setattr(order, "_global_seed", [keras.src.utils.rng_utils.get_random_seed])
