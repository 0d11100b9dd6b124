"""Random numbers of the faces, bit for bit: the rows of `random_rows` against recorded outcomes."""

from pathlib import Path

import numpy as np
import pytest
import random_rows

RECORDED = Path(__file__).parent / "recorded" / "random_faces.npz"


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as file:
        return dict(file)


def assert_equal(row, ours, recorded):
    count = int(recorded[f"{row}/count"])
    assert len(ours) == count
    for i, array in enumerate(ours):
        theirs = recorded[f"{row}/{i}"]
        assert array.dtype == theirs.dtype
        assert np.array_equal(array, theirs)


@pytest.mark.parametrize("row", random_rows.TORCH)
def test_torch(row, recorded):
    import gemel.torch as torch

    assert_equal(row, random_rows.torch_outcome(torch, row), recorded)


@pytest.mark.parametrize("row", random_rows.TENSORFLOW)
def test_tensorflow(row, recorded):
    import gemel.tensorflow as tf

    tf.random.set_seed(random_rows.SEED)
    assert_equal(row, random_rows.outcome(row, {"tf": tf}), recorded)


def test_state_leaves_and_comes_back_as_a_pickle():
    import pickle

    import gemel.torch as torch

    g = torch.Generator().manual_seed(4)
    torch.randn(3, generator=g)
    other = pickle.loads(pickle.dumps(g))
    assert torch.equal(torch.randn(5, generator=g), torch.randn(5, generator=other))


def test_a_fork_leaves_the_stream_as_it_was():
    import gemel.torch as torch

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    with torch.random.fork_rng():
        torch.randn(5)
    assert torch.equal(torch.rand(3), expected)
