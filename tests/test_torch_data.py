"""Loaders of the PyTorch face: who owns batches, what is recorded, what is refused."""

from __future__ import annotations

import pytest

import gemel.torch as torch
from gemel.tensor.tape import LOCAL
from gemel.torch.utils.data import DataLoader, TensorDataset


def test_batches_of_tensors_record_nothing():
    data = TensorDataset(torch.arange(10).float().reshape(5, 2), torch.arange(5))
    loader = DataLoader(data, 2, shuffle=True)
    for _ in loader:
        assert LOCAL.tape.idle


def test_batches_are_nobody_elses():
    x = torch.arange(4.0)
    (first,) = next(iter(DataLoader(TensorDataset(x), 4)))
    first.zero_()
    assert x.tolist() == [0, 1, 2, 3]


def test_other_start_methods_are_refused():
    with pytest.raises(NotImplementedError, match="forked"):
        DataLoader([1], num_workers=1, multiprocessing_context="spawn")
