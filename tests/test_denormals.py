"""Tiny numbers as zeros: in the thread that asks for it, its team, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.keras as keras
import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.runtime.denormals import Flushed, known

pytestmark = pytest.mark.skipif(
    default_device() != "cpu" or not known(), reason="a mode of the processor's"
)


@pytest.mark.parametrize("size", [4, 3_000_000])
def test_native_code_takes_them_as_zero_only_inside(size):
    x = torch.full((size,), 1e-40)
    halved = torch.compile(lambda x: x * 0.5)
    halved(x)
    with Flushed():
        inside = halved(x).numpy().copy()
    outside = halved(x).numpy()
    assert not inside.any() and outside.all()


def test_averages_of_an_optimizer_stay_normal_numbers():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.Adam(), "mse")
    x = np.zeros((64, 2), "float32")
    model.fit(x[:1] + 1, x[:1, :1], verbose=0)
    assert all(np.array(v).any() for v in model.optimizer.variables if "momentum" in v.path)
    model.fit(x, x[:, :1], batch_size=1, epochs=20, verbose=0)
    averages = [np.array(v) for v in model.optimizer.variables if "momentum" in v.path]
    small = np.finfo(np.float32).tiny
    assert averages and all(((a == 0) | (np.abs(a) >= small)).all() for a in averages)
