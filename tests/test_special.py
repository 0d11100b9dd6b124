"""Special functions against values and slopes in 30 digits (`tools/record_special.py`)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import gemel.torch as torch
from gemel.passes.compile import device

RECORDED = Path(__file__).parent / "recorded" / "special_values.json"
TABLE = json.loads(RECORDED.read_text())
UNARY = [name for name, rows in TABLE.items() if not isinstance(rows[0][0], list)]
BINARY = [name for name in TABLE if name not in UNARY]
# relative and absolute: float32 loses digits near zeros and poles
CLOSE = {"float64": (3e-13, 1e-15), "float32": (2e-5, 2e-6)}


def applied(name: str, x):
    name, *order = name.split()
    if name == "polygamma":
        return torch.special.polygamma(int(order[0]), x)
    if name == "mvlgamma":
        return torch.mvlgamma(x, int(order[0]))
    return getattr(torch.special, name, None)(x) if name != "lgamma" else torch.lgamma(x)


def check(name: str, got, want, dtype: str) -> None:
    relative, absolute = CLOSE[dtype]
    with np.errstate(over="ignore"):
        want = np.array(want, dtype).astype(np.float64)
    np.testing.assert_allclose(got.numpy(), want, relative, absolute, err_msg=name)


@pytest.mark.parametrize("where", ["cpu", "reference"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_and_slopes(dtype, where):
    names = UNARY if where == "reference" else UNARY[:: 1 if dtype == "float64" else 3]
    with device(where):
        for name in names:
            rows = TABLE[name]
            x = torch.tensor([r[0] for r in rows], dtype=getattr(torch, dtype))
            if dtype == "float32":  # the recorded points are float64's
                check(name, applied(name, x), applied(name, x.double()).tolist(), dtype)
                continue
            check(name, applied(name, x), [r[1] for r in rows], dtype)
            if rows[0][2] is None:
                continue
            x.requires_grad_()
            (slope,) = torch.autograd.grad(applied(name, x).sum(), x)
            check(name + "'s slope", slope, [r[2] for r in rows], dtype)


@pytest.mark.parametrize("where", ["cpu", "reference"])
@pytest.mark.parametrize("name", BINARY)
def test_values_of_pairs(name, where):
    rows = TABLE[name]
    a, x = (torch.tensor([r[0][k] for r in rows], dtype=torch.float64) for k in (0, 1))
    with device(where):
        found = getattr(torch.special, name)(a + (1 if name == "zeta" else 0), x)
        np.testing.assert_allclose(found.numpy(), [r[1] for r in rows], 2e-12, 1e-15)


def test_slopes_of_higher_order():
    x = torch.tensor([0.7, 2.5, -1.3], dtype=torch.float64, requires_grad=True)
    y = torch.lgamma(x)
    for n in range(4):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        want = torch.special.polygamma(n, x.detach())
        np.testing.assert_allclose(y.detach().numpy(), want.numpy(), 1e-10)


def test_incomplete_gamma_has_a_slope_in_its_second_argument_only():
    a = torch.tensor([2.0], requires_grad=True)
    x = torch.tensor([1.5], requires_grad=True)
    (slope,) = torch.autograd.grad(torch.igamma(a.detach(), x), x)
    np.testing.assert_allclose(slope.numpy(), [1.5 * np.exp(-1.5)], 1e-5)
    with pytest.raises(NotImplementedError, match="igamma"):
        torch.autograd.grad(torch.igamma(a, x), a)


# ---------- polynomials ----------
def test_chebyshev_polynomials_follow_their_recurrence():
    x = torch.linspace(-1.8, 1.8, 37, dtype=torch.float64)
    starts = {"t": x, "u": 2 * x, "v": 2 * x - 1, "w": 2 * x + 1}
    for kind, first in starts.items():
        function = getattr(torch.special, f"chebyshev_polynomial_{kind}")
        before, current = torch.ones_like(x), first
        for n in range(1, 9):
            np.testing.assert_allclose(function(x, n).numpy(), current.numpy(), 1e-9, 1e-11)
            before, current = current, 2 * x * current - before
        assert function(x, -1).abs().max() == 0


def test_recurrences_end_where_the_degree_says():
    x = torch.tensor([0.3, -0.7, 1.2], dtype=torch.float64)
    n = torch.tensor([0, 3, 2])
    h = torch.special.hermite_polynomial_h(x, n)
    want = [1.0, 8 * -(0.7**3) + 12 * 0.7, 4 * 1.2**2 - 2]
    np.testing.assert_allclose(h.numpy(), want, 1e-12)
    legendre = torch.special.legendre_polynomial_p(x, n)
    want = [1.0, (5 * -(0.7**3) + 3 * 0.7) / 2, (3 * 1.44 - 1) / 2]
    np.testing.assert_allclose(legendre.numpy(), want, 1e-12)


# ---------- parts of numbers ----------
def test_frexp_and_nextafter_know_the_smallest_numbers():
    x = torch.tensor([1e-310, -3.0, 0.0, float("inf"), 1.0], dtype=torch.float64)
    mantissa, exponent = torch.frexp(x)
    want = np.frexp(x.numpy())
    np.testing.assert_array_equal(mantissa.numpy(), want[0])
    np.testing.assert_array_equal(exponent.numpy()[:3], want[1][:3])
    up = torch.nextafter(x, torch.tensor(2.0, dtype=torch.float64))
    np.testing.assert_array_equal(up.numpy(), np.nextafter(x.numpy(), 2.0))


def test_divisors():
    a, b = torch.tensor([12, -18, 0, 7]), torch.tensor([[18], [0]])
    np.testing.assert_array_equal(torch.gcd(a, b).numpy(), np.gcd(a.numpy(), b.numpy()))
    np.testing.assert_array_equal(torch.lcm(a, b).numpy(), np.lcm(a.numpy(), b.numpy()))
