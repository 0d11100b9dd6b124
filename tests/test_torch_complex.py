"""Complex tensors of the PyTorch face: functions against NumPy, views, gradients, errors."""

from __future__ import annotations

import numpy as np
import pytest
from complex_rows import FUNCTIONS, GRID, REFUSED, SPECIAL

import gemel.torch as torch

TOLERANCE = {"complex64": 2e-5, "complex128": 1e-12}


def near(got, want, tolerance: float) -> None:
    for part in ("real", "imag"):
        a, b = getattr(got, part), getattr(want, part)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name,theirs", FUNCTIONS)
def test_function(name, theirs, dtype):
    x = GRID.astype(dtype)
    if name == "reciprocal" or name.startswith("log"):
        x = x[(x != 0) & (x != -1)]
    if name in ("atanh", "exp", "expm1"):
        x = x[abs(x) != 1]
    with np.errstate(all="ignore"):
        want = getattr(np, theirs)(x)
    got = getattr(torch, name)(torch.tensor(x)).resolve_conj().numpy()
    assert got.dtype == want.dtype
    keep = np.isfinite(want)
    near(got[keep], want[keep], TOLERANCE[dtype])


@pytest.mark.parametrize("name,x,want", SPECIAL)
def test_special_values(name, x, want):
    got = getattr(torch, name)(torch.tensor(x, dtype=torch.complex128)).item()
    for part in ("real", "imag"):
        a, b = getattr(got, part), getattr(want, part)
        assert a == pytest.approx(b, rel=1e-14, abs=1e-300)
        assert np.signbit(a) == np.signbit(b) or name == "tanh"


def test_arithmetic_and_promotion():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(8) + 1j * rng.standard_normal(8) for _ in range(2))
    x, y = torch.tensor(a), torch.tensor(b)
    for got, want in (
        (x + y, a + b), (x * y, a * b), (x / y, a / b), (x**y, a**b), (x**3, a**3),
        (x * 2, a * 2), (1j - x, 1j - a), (x / 2j, a / 2j), (x.real * 1j, a.real * 1j),
        (x.sum(), a.sum()), (x.prod(), a.prod()), (x.mean(), a.mean()), (x.var(), a.var(ddof=1)),
        (x @ y, a @ b), (torch.vdot(x, y), np.vdot(a, b)), (x.cumsum(0), a.cumsum()),
        (torch.outer(x, y), np.outer(a, b)), (x.reshape(2, 4).mH, a.reshape(2, 4).conj().T),
        (torch.polar(x.abs(), x.angle()), a), (torch.complex(x.real, x.imag), a),
        (torch.sgn(x), a / abs(a)), (torch.linalg.vector_norm(x), np.linalg.norm(a)),
    ):  # fmt: skip
        near(got.resolve_conj().numpy(), want, 1e-13)
    assert (torch.ones(2) + 1j).dtype is torch.complex64
    assert (torch.ones(2, dtype=torch.int64) * 1j).dtype is torch.complex64
    assert (torch.ones(2, dtype=torch.float64) * 1j).dtype is torch.complex128
    assert (torch.ones(2, dtype=torch.complex64) * torch.ones(2).double()).dtype is torch.complex128


def test_views_share_memory():
    z = torch.zeros(3, dtype=torch.complex64)
    z.real[1] = 5
    z.imag.add_(2)
    torch.view_as_real(z)[2] = 7
    assert z.tolist() == [2j, 5 + 2j, 7 + 7j]
    pairs = torch.arange(8.0).reshape(4, 2)
    c = torch.view_as_complex(pairs)[1:]
    c.mul_(1j)
    assert pairs.tolist() == [[0, 1], [-3, 2], [-5, 4], [-7, 6]]
    assert c.stride() == (1,) and c.storage_offset() == 1
    assert torch.view_as_real(c).stride() == (2, 1) and c.imag.storage_offset() == 3
    z.real = torch.ones(3)
    assert z.real.tolist() == [1, 1, 1]


def test_gradients_are_of_the_parts():
    """The gradient of a real loss is dL/d re + i dL/d im, in all orders."""
    z = torch.tensor([1 + 2j, -0.5 + 1j], dtype=torch.complex128, requires_grad=True)
    (z.abs() ** 2).sum().backward()
    near(z.grad.numpy(), 2 * z.detach().numpy(), 1e-14)
    (g,) = torch.autograd.grad((z**3).real.sum(), z, create_graph=True)
    near(g.detach().numpy(), np.conj(3 * z.detach().numpy() ** 2), 1e-13)
    (h,) = torch.autograd.grad(g.imag.sum(), z)
    near(h.numpy(), -6j * z.detach().numpy().conj(), 1e-13)
    x = torch.tensor([0.5, 2.0], requires_grad=True)
    torch.exp(1j * x).imag.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos([0.5, 2.0]), rtol=1e-6)
    with pytest.raises(RuntimeError, match="real scalar outputs"):
        z.sum().backward()


def test_gradient_after_the_value_was_looked_at():
    z = torch.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    y = z * z
    assert y.tolist() == [-3 + 4j, 8 - 6j]
    y.abs().sum().backward()
    assert z.grad.tolist() == [2 + 4j, 6 - 2j]


def test_second_gradient_after_values_were_looked_at():
    """The gradient of |z|^2 is 2 z; that of the sum of its parts' squares 8 z."""
    z = torch.tensor([1 + 2j, -0.5 + 1j], dtype=torch.complex128, requires_grad=True)
    loss = (z.abs() ** 2).sum()
    assert loss.item() == pytest.approx(6.25)
    (g,) = torch.autograd.grad(loss, z, create_graph=True)
    near(g.detach().numpy(), 2 * z.detach().numpy(), 1e-14)
    (h,) = torch.autograd.grad((torch.view_as_real(g) ** 2).sum(), z)
    near(h.numpy(), 8 * z.detach().numpy(), 1e-14)


def test_a_value_written_after_it_was_used_is_noticed():
    z = torch.tensor([1 + 2j], requires_grad=True)
    w = z * 1
    y = w * w
    w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.real.sum().backward()


def test_conjugates_say_what_they_are():
    z = torch.tensor([1 + 2j])
    assert z.conj().is_conj() and not z.conj().conj().is_conj() and not z.is_conj()
    assert not z.conj().resolve_conj().is_conj() and z.conj().imag.is_neg()
    x = torch.ones(2)
    assert x.conj() is x and x.real is x and x.resolve_neg() is x


@pytest.mark.parametrize("operation,text", REFUSED)
def test_refused(operation, text):
    with pytest.raises(RuntimeError, match=text):
        operation(torch, torch.tensor([1 + 2j, 3 - 1j])).tolist()


def test_printing():
    z = torch.tensor([1 + 2j, 3.5 - 1j])
    assert repr(z) == "tensor([1.0000+2.j, 3.5000-1.j])"
    assert (
        repr(torch.tensor(1j, dtype=torch.complex128)) == "tensor(0.+1.j, dtype=torch.complex128)"
    )


def test_reference_interpreter():
    from gemel.passes.compile import device

    with device("reference"):
        z = torch.tensor([3 + 4j]) * 2j
        assert z.tolist() == [-8 + 6j] and z.abs().item() == 10
