"""Remainders and floored quotients of floating-point numbers: the bits of NumPy's."""

import numpy as np
import pytest

import gemel.torch as torch

SPECIAL = [0, -0.0, 1, -1, 2, 3.5, -3.5, np.inf, -np.inf, np.nan, 1e-45, 1e-39, 1e30, -1e30, 1e38]


def pairs(dtype):
    """Special values by each other; numbers near each other, far apart, and whole halves."""
    rng = np.random.default_rng(0)
    a, b = (v.ravel() for v in np.meshgrid(SPECIAL, SPECIAL))
    n = 5000
    x = [a, rng.normal(size=n), np.exp(rng.normal(size=n) * 15), rng.integers(-1000, 1000, n) * 0.5]
    y = [b, rng.normal(size=n), np.exp(rng.normal(size=n) * 15), rng.integers(-10, 10, n) * 0.5]
    return np.concatenate(x).astype(dtype), np.concatenate(y).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name, wanted", [("fmod", np.fmod), ("remainder", np.mod), ("floor_divide", np.floor_divide)]
)
def test_bits(name, wanted, dtype):
    x, y = pairs(dtype)
    found = getattr(torch, name)(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    with np.errstate(all="ignore"):
        right = wanted(x, y)
    np.testing.assert_array_equal(found, right)
    numbers = ~np.isnan(right)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(right[numbers]))
