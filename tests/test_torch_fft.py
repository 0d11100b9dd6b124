"""`torch.fft` against NumPy: sizes, normalisation, gradients as adjoints, errors."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.torch as torch

SHAPE = (3, 4, 6)
ONE = ("fft", "ifft", "hfft", "irfft", "rfft", "ihfft")
SEVERAL = ("fft2", "ifft2", "fftn", "ifftn", "rfft2", "rfftn", "irfft2", "irfftn")
REAL = ("rfft", "ihfft", "rfft2", "rfftn")


def values(name: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(SHAPE)
    return x if name in REAL else x + 1j * rng.standard_normal(SHAPE)


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("name", ONE)
def test_one_dimension(name, norm):
    x = values(name)
    for n, axis in ((None, -1), (5, 1), (9, 0)):
        got = getattr(torch.fft, name)(torch.tensor(x), n, axis, norm).numpy()
        np.testing.assert_allclose(got, getattr(np.fft, name)(x, n, axis, norm), atol=1e-12)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_dimensions(name):
    x = values(name)
    for s, dim in ((None, (0, 2)), ((5, 3), (1, 0)), ((2, 8), (-1, -2))):
        got = getattr(torch.fft, name)(torch.tensor(x), s, dim, "ortho").numpy()
        want = getattr(np.fft, name)(x, s, dim, "ortho")
        np.testing.assert_allclose(got, want, atol=1e-12)


@pytest.mark.parametrize("name", ONE)
def test_gradient_is_the_adjoint(name):
    """<f(x), w> = <x, gradient> for a linear f, also where values are cut off or zeros added."""
    rng = np.random.default_rng(1)
    for n in (None, 4, 9):
        x = torch.tensor(values(name), requires_grad=True)
        y = getattr(torch.fft, name)(x, n, 1)
        w = rng.standard_normal(y.shape)
        w = torch.tensor(w + 1j * w[::-1] if y.is_complex() else w.copy())
        (g,) = torch.autograd.grad(y, x, w)
        left = (y.conj() * w).real.sum().item()
        assert (x.conj() * g).real.sum().item() == pytest.approx(left, rel=1e-10)


def test_single_precision_and_whole_numbers():
    assert torch.fft.fft(torch.arange(5)).dtype is torch.complex64
    assert torch.fft.rfft(torch.ones(5)).dtype is torch.complex64
    assert torch.fft.irfft(torch.ones(5, dtype=torch.complex64)).dtype is torch.float32


def test_frequencies_and_shifts():
    np.testing.assert_allclose(torch.fft.fftfreq(5, 0.5).numpy(), np.fft.fftfreq(5, 0.5), 1e-6)
    np.testing.assert_allclose(torch.fft.rfftfreq(6).numpy(), np.fft.rfftfreq(6), 1e-6)
    x = np.arange(20.0).reshape(4, 5)
    for name in ("fftshift", "ifftshift"):
        for dim in (None, 1, (0, 1)):
            got = getattr(torch.fft, name)(torch.tensor(x), dim).numpy()
            np.testing.assert_array_equal(got, getattr(np.fft, name)(x, dim))


@pytest.mark.parametrize(
    "call,text",
    [
        (lambda f, x: f.rfft(x), "expects a real input tensor"),
        (lambda f, x: f.fft(x, 0), "Invalid number of data points"),
        (lambda f, x: f.fft(x, norm="none"), "Invalid normalization mode"),
        (lambda f, x: f.fft2(x, dim=(0, 0)), "dims must be unique"),
        (lambda f, x: f.fftn(x, (2, 2, 2, 2)), "input tensor only has 3 dimensions"),
        (lambda f, x: f.fftn(x, (2,), (0, 1)), "must have the same length"),
    ],
)
def test_errors(call, text):
    with pytest.raises(RuntimeError, match=text):
        call(torch.fft, torch.tensor(values("fft")))


def test_reference_interpreter():
    from gemel.passes.compile import device

    with device("reference"):
        got = torch.fft.rfft(torch.tensor(values("rfft")) * 1.0).numpy()
    np.testing.assert_allclose(got, np.fft.rfft(values("rfft")), atol=1e-12)
