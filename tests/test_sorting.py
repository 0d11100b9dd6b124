"""Sorting and ranks: lengths around those where the way changes, ties, NaN, element types."""

import numpy as np
import pytest
from test_ops import leaves_of, run

import gemel.torch as torch
from gemel.ops.ordering import sorting_order
from gemel.ops.selection import LONG, of_rank

SHAPES = [(1,), (2,), (7, 3), (9, 64), (33, 100), (3, 512), (3, 513), (2, 769), (1, 20_000), (0, 5)]
DTYPES = ["float32", "float16", "int32", "uint32", "int16", "uint8", "bool", "float64", "int64"]


def values(shape, dtype):
    """Few different values, so that most are tied; NaN and infinities among floats."""
    rng = np.random.default_rng(1)
    if dtype == "bool":
        return rng.random(shape) > 0.5
    if dtype == "uint32":
        return rng.integers(0, 2**32, shape, dtype=np.uint32)
    x = (rng.normal(size=shape) * 20).astype(dtype)
    if np.dtype(dtype).kind == "f" and x.size > 8:
        x.reshape(-1)[::5], x.reshape(-1)[1::7], x.reshape(-1)[2::9] = np.nan, np.inf, -0.0
    return x


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_order_is_stable(shape, dtype):
    x = values(shape, dtype)
    found, order = torch.sort(torch.from_numpy(x.copy()), dim=-1, stable=True)
    right = np.argsort(x, axis=-1, kind="stable")
    np.testing.assert_array_equal(order.numpy(), right)
    np.testing.assert_array_equal(found.numpy(), np.take_along_axis(x, right, -1))


@pytest.mark.parametrize("shape", [(9, 64), (2, 769)], ids=str)
def test_descending_keeps_the_order_of_ties(shape):
    x = values(shape, "int16")
    order = torch.argsort(torch.from_numpy(x), dim=-1, descending=True, stable=True)
    np.testing.assert_array_equal(order.numpy(), np.argsort(-x, axis=-1, kind="stable"))


@pytest.mark.parametrize("shape", [(4, 64), (4, 600), (2, 769)], ids=str)
def test_reference_device_agrees(shape):
    x = values(shape, "float32")
    (leaf,) = leaves = leaves_of([x])
    found = [run(leaves, [sorting_order(leaf, 1)], [x], d)[0] for d in ("cpu", "reference")]
    np.testing.assert_array_equal(*found)


RANKED = [d for d in DTYPES if d != "bool"]


@pytest.mark.parametrize("n", [LONG - 1, LONG, 5001])
@pytest.mark.parametrize("dtype", RANKED)
def test_median_of_all_is_the_middle_of_the_sorted_values(n, dtype):
    x = np.nan_to_num(values((n,), dtype), nan=3.0)
    found = torch.from_numpy(x.reshape(1, n).copy()).median()
    assert found.shape == () and found.item() == np.sort(x)[(n - 1) // 2]
    if np.dtype(dtype).kind == "f":
        x[17] = np.nan
        assert np.isnan(torch.from_numpy(x).median().item())


@pytest.mark.parametrize("dtype", RANKED)
def test_ranks_at_the_ends_and_nan_last(dtype):
    x = values((LONG,), dtype)
    (leaf,) = leaves = leaves_of([x])
    wanted = np.sort(x)
    for k in (0, 1, LONG // 3, LONG - 1):
        for device in ("cpu", "reference"):
            (found,) = run(leaves, [of_rank(leaf, k)], [x], device)
            np.testing.assert_array_equal(found, wanted[k])


def test_gradient_of_a_rank_goes_to_its_element_and_maps_over_rows():
    x = torch.randn(3, LONG, requires_grad=True)
    torch.func.vmap(torch.median)(x).sum().backward()
    at = x.detach().median(dim=1).indices
    assert torch.equal(x.grad, torch.nn.functional.one_hot(at, LONG).float())
