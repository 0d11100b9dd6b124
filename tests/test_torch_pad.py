"""`torch.nn.functional.pad` against NumPy's pad, values and gradients."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.torch as torch

F = torch.nn.functional
NUMPY = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
WIDTHS = [(1, 2), (0, 3), (2, 1, 1, 0), (1, 1, 2, 2)]


@pytest.mark.parametrize("mode", list(NUMPY))
@pytest.mark.parametrize("widths", WIDTHS)
def test_values_and_gradient(mode, widths):
    x = np.random.default_rng(0).random((4, 5, 6)).astype("f4")
    pairs = list(zip(widths[::2], widths[1::2], strict=True))[::-1]
    pairs = [(0, 0)] * (3 - len(pairs)) + pairs
    t = torch.tensor(x, requires_grad=True)
    y = F.pad(t, widths, mode)
    np.testing.assert_array_equal(y.detach().numpy(), np.pad(x, pairs, NUMPY[mode]))
    y.sum().backward()
    places = np.arange(x.size).reshape(x.shape)
    if mode == "constant":
        counts = np.ones(x.shape)
    else:
        counts = np.bincount(np.pad(places, pairs, NUMPY[mode]).ravel()).reshape(x.shape)
    np.testing.assert_array_equal(t.grad.numpy(), counts)


def test_value_and_negative_widths():
    x = np.arange(6, dtype="f4").reshape(2, 3)
    got = F.pad(torch.tensor(x), (-1, 2), value=7.5).numpy()
    np.testing.assert_array_equal(got, [[1, 2, 7.5, 7.5], [4, 5, 7.5, 7.5]])


@pytest.mark.parametrize(
    "widths, mode, error, words",
    [
        ((1,), "constant", RuntimeError, "divisible by 2"),
        ((1,) * 6, "constant", RuntimeError, "two times the input dimension"),
        ((3, 3), "reflect", RuntimeError, "should be less than"),
        ((4, 4), "circular", RuntimeError, "wrapping around"),
        ((1, 1), "mirror", NotImplementedError, "padding mode mirror"),
        ((-4, 0), "constant", RuntimeError, "negative output size"),
    ],
)
def test_errors(widths, mode, error, words):
    with pytest.raises(error, match=words):
        F.pad(torch.zeros(2, 3), widths, mode)
