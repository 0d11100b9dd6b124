"""Views, indexing and writing in the PyTorch face, against PyTorch.

Rows are in `torch_rows`; their recorded outcomes in `recorded/torch_indexing.json`.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch_outcomes
from hypothesis import given, settings
from hypothesis import strategies as st
from test_torch_ops import differences, pieces, recorded

import gemel.torch as torch
from gemel.passes.compile import device

PIECES = pieces("indexing")


@pytest.mark.parametrize("where", ["cpu", "reference"])
@pytest.mark.parametrize("name, rows", PIECES, ids=[name for name, _ in PIECES])
def test_rows_are_as_recorded(name, rows, where):
    with device(where):
        outcomes = recorded("indexing")
        assert not (bad := differences("indexing", rows, outcomes.__getitem__)), "\n".join(bad)


@pytest.mark.oracle
@pytest.mark.parametrize("name, rows", PIECES, ids=[name for name, _ in PIECES])
def test_rows_are_as_pytorch_says(name, rows):
    oracle = pytest.importorskip("torch")
    bad = differences("indexing", rows, lambda row: torch_outcomes.outcome(oracle, row))
    assert not bad, "\n".join(bad)


def _keys(shape):
    """Keys of ints, slices and Ellipsis for a shape."""

    def axis(n):
        part = st.builds(
            slice,
            st.none() | st.integers(-n - 1, n + 1),
            st.none() | st.integers(-n - 1, n + 1),
            st.none() | st.integers(1, 3),
        )
        return st.integers(-n, n - 1) | part

    return st.integers(0, len(shape)).flatmap(lambda k: st.tuples(*[axis(n) for n in shape[:k]]))


@settings(max_examples=60, deadline=None)
@given(_keys((3, 4, 5)))
def test_basic_keys_read_and_write_as_numpy(key):
    with device("reference"):
        array = np.arange(60.0, dtype=np.float32).reshape(3, 4, 5)
        x = torch.tensor(array)
        assert np.array_equal(x[key].numpy(), array[key])
        x[key] += 0.5
        array[key] += 0.5
        assert np.array_equal(x.numpy(), array)
        x[key] = -1
        array[key] = -1
        assert np.array_equal(x.numpy(), array)


def test_an_index_out_of_range_names_the_users_line():
    x = torch.arange(3.0)
    with pytest.raises(IndexError, match=r"index 7 is out of bounds.*test_torch_indexing\.py:\d+"):
        x[torch.tensor([7])].sum().item()


def test_a_fault_writes_nothing():
    x = torch.zeros(3)
    x.sum().item()
    with pytest.raises(IndexError):
        x[torch.tensor([5])] = 1.0
        x.sum().item()


def test_older_readers_keep_the_older_value():
    x = torch.tensor([1.0, 2.0, 3.0])
    view = x[1:]
    before = view * 1
    x.mul_(10)
    after = view * 1
    view.add_(1)
    assert before.tolist() == [2.0, 3.0]
    assert after.tolist() == [20.0, 30.0]
    assert x.tolist() == [10.0, 21.0, 31.0]


def test_numpy_shares_memory_both_ways():
    x = torch.zeros(3)
    array = x.numpy()
    x.add_(1)
    array[0] = 7
    assert x.tolist() == [7.0, 1.0, 1.0] and array.tolist() == [7.0, 1.0, 1.0]


def test_sharing_memory_keeps_the_history():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = x.abs()
    array = y.detach().numpy()
    y.sum().backward()
    assert x.grad.tolist() == [1.0, -1.0] and array.tolist() == [1.0, 2.0]
