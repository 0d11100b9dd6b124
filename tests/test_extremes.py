"""Ends of the ranges: NaN wins in maximum and minimum wherever it stands, shifts by any count."""

import numpy as np
import pytest

import gemel.array_api as xp

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 2.5, -3.0])
PAIRS = np.array(np.meshgrid(SPECIAL, SPECIAL)).reshape(2, -1)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_wins(name, dtype):
    a, b = PAIRS.astype(dtype)
    ours, theirs = getattr(xp, name), getattr(np, name)
    assert np.array_equal(ours(xp.asarray(a), xp.asarray(b)), theirs(a, b), equal_nan=True)
    for number in SPECIAL.astype(dtype):
        for x, y in ((a, number), (number, a)):
            found = ours(xp.asarray(x), xp.asarray(y))
            assert np.array_equal(found, theirs(x, y), equal_nan=True), (x, y)
    for number in (0.0, 1.5, float("nan")):  # a constant of the program
        assert np.array_equal(ours(xp.asarray(a), number), theirs(a, dtype_(number, dtype)), True)


def dtype_(number, dtype):
    return np.dtype(dtype).type(number)


def test_places_beside_nan():
    row = np.array([-3.0, -1.0, 0.0, 1.0, np.inf, np.nan])
    wanted = np.array([-1.0, 0.5, np.inf, np.nan])
    for long in (1, 9):  # short rows are compared whole, long ones bisected
        rows = np.sort(np.tile(row, long))
        for side in ("left", "right"):
            found = xp.searchsorted(xp.asarray(rows), xp.asarray(wanted), side=side)
            assert np.asarray(found).tolist() == np.searchsorted(rows, wanted, side).tolist()


@pytest.mark.parametrize("name", ["int8", "uint8", "int16", "int32", "int64"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_shifts_by_any_count(name, side):
    """By as many bits as there are, by more, by negative numbers: what NumPy says, on every CPU."""
    info = np.iinfo(name)
    counts = [0, 1, info.bits - 1, info.bits, info.bits + 1, info.max, info.min]
    x, count = (a.ravel() for a in np.meshgrid([0, 1, 100, info.max, info.min], counts))
    x, count = x.astype(name), count.astype(name)
    ours = getattr(xp, f"bitwise_{side}_shift")(xp.asarray(x), xp.asarray(count))
    np.testing.assert_array_equal(np.asarray(ours), getattr(np, f"{side}_shift")(x, count))
