"""All distributions beside PyTorch's, in a table: densities, moments, gradients, samples."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest

import gemel.torch as gemel_torch

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle
D = "distributions"


def part(t):
    return importlib.import_module(f"{t.__name__}.{D}")


def normals(t, d, *p):
    return d.Normal(*p)


# name -> (parameters, maker, values, what the kind does not have)
ROWS = {
    "normal": ([[0.5, -1.0], [1.0, 0.3]], normals, [0.1, -1.2], ""),
    "laplace": ([[0.5, -1.0], [1.0, 0.3]], lambda t, d, *p: d.Laplace(*p), [0.1, -1.2], ""),
    "gumbel": ([[0.5, -1.0], [1.0, 0.3]], lambda t, d, *p: d.Gumbel(*p), [0.1, -1.2], "icdf"),
    "cauchy": ([[0.5, -1.0], [1.0, 0.3]], lambda t, d, *p: d.Cauchy(*p), [0.1, -1.2], ""),
    "student": (
        [[0.7, 1.5, 5.0], [0.1, 0.2, -1.0], [1.0, 2.0, 0.5]],
        lambda t, d, *p: d.StudentT(*p), [0.1, -1.2, 2.0], "cdf icdf rsample"),
    "chi2": ([[1.5, 4.0]], lambda t, d, *p: d.Chi2(*p), [0.7, 3.0], "cdf icdf rsample"),
    "half normal": ([[0.5, 2.0]], lambda t, d, *p: d.HalfNormal(*p), [0.7, 3.0], ""),
    "half cauchy": ([[0.5, 2.0]], lambda t, d, *p: d.HalfCauchy(*p), [0.7, 3.0], ""),
    "log normal": ([[0.5, -1.0], [1.0, 0.3]], lambda t, d, *p: d.LogNormal(*p), [0.4, 1.2], ""),
    "logistic normal": (
        [[0.5, -1.0], [1.0, 0.3]], lambda t, d, *p: d.LogisticNormal(*p), [0.2, 0.5, 0.3],
        "mean variance mode entropy cdf icdf"),
    "poisson": ([[0.5, 7.0]], lambda t, d, *p: d.Poisson(*p), [0.0, 5.0], "entropy cdf icdf"),
    "geometric": ([[0.3, 0.9]], lambda t, d, *p: d.Geometric(*p), [0.0, 5.0], "cdf icdf"),
    "geometric of logits": (
        [[0.3, -0.9]], lambda t, d, p: d.Geometric(logits=p), [0.0, 5.0], "cdf icdf"),
    "binomial": ([[0.3, 0.9]], lambda t, d, p: d.Binomial(10, p), [0.0, 5.0], "cdf icdf"),
    "binomial of logits": (
        [[0.3, -0.9]], lambda t, d, p: d.Binomial(10, logits=p), [10.0, 5.0], "cdf icdf"),
    "negative binomial": (
        [[2.0, 9.0], [0.3, 0.6]], lambda t, d, *p: d.NegativeBinomial(*p), [0.0, 5.0],
        "entropy cdf icdf"),
    "one hot": (
        [[[0.3, 0.5, 0.2]]], lambda t, d, p: d.OneHotCategorical(p), [[0.0, 1.0, 0.0]], "cdf icdf"),
    "straight through": (
        [[[0.3, 0.5, 0.2]]], lambda t, d, p: d.OneHotCategoricalStraightThrough(logits=p),
        [[0.0, 1.0, 0.0]], "cdf icdf"),
    "multinomial": (
        [[[0.3, 0.5, 0.2]]], lambda t, d, p: d.Multinomial(6, p), [[1.0, 3.0, 2.0]],
        "mode cdf icdf"),
    "covariance": (
        [[0.5, -1.0], [[2.0, 0.3], [0.3, 0.5]]], lambda t, d, m, c: d.MultivariateNormal(m, c),
        [[0.1, 0.4], [1.0, -2.0]], "cdf icdf"),
    "precision": (
        [[0.5, -1.0], [[2.0, 0.3], [0.3, 0.5]]],
        lambda t, d, m, c: d.MultivariateNormal(m, precision_matrix=c), [[0.1, 0.4]], "cdf icdf"),
    "factor": (
        [[0.5, -1.0], [[2.0, 0.0], [0.3, 0.5]]],
        lambda t, d, m, c: d.MultivariateNormal(m, scale_tril=c), [[0.1, 0.4]], "cdf icdf"),
    "logit": (
        [[0.5, -1.0], [1.0, 0.3]],
        lambda t, d, *p: d.TransformedDistribution(
            d.Normal(*p), [d.AffineTransform(0.2, -2.0), d.SigmoidTransform()]),
        [0.4, 0.9], "mean variance mode entropy"),
    "squashed": (
        [[0.5, -1.0], [1.0, 0.3]],
        lambda t, d, *p: d.Independent(
            d.TransformedDistribution(d.Normal(*p), d.TanhTransform(cache_size=1)), 1),
        [0.4, -0.9], "mean variance mode entropy cdf icdf"),
    "mixture": (
        [[0.3, 0.7], [0.5, -1.0], [1.0, 0.3]],
        lambda t, d, w, *p: d.MixtureSameFamily(d.Categorical(w), d.Normal(*p)),
        [0.4, -0.9], "mode entropy icdf"),
    "mixture of vectors": (
        [[0.3, 0.7], [[0.5, -1.0], [0.1, 0.2]], [[1.0, 0.3], [2.0, 1.0]]],
        lambda t, d, w, *p: d.MixtureSameFamily(
            d.Categorical(w), d.Independent(d.Normal(*p), 1)),
        [[0.4, -0.9]], "mode entropy cdf icdf"),
}  # fmt: skip


def made(t, row):
    given, maker, value, lacks = ROWS[row]
    parameters = [t.tensor(p, requires_grad=True) for p in given]
    return maker(t, part(t), *parameters), parameters, t.tensor(value), lacks.split()


def facts(t, row):
    d, parameters, value, lacks = made(t, row)
    found = {"repr": repr(d), "batch": tuple(d.batch_shape), "event": tuple(d.event_shape)}
    found["support"] = str(d.support)
    for name in ("mean", "variance", "mode"):
        if name not in lacks:
            found[name] = getattr(d, name)
    found["log_prob"] = d.log_prob(value)
    if "entropy" not in lacks:
        found["entropy"] = d.entropy()
    if "cdf" not in lacks:
        found["cdf"] = d.cdf(value)
    if "icdf" not in lacks:
        found["icdf"] = d.icdf(t.full(tuple(d.batch_shape), 0.3))
    total = sum(found[n].sum() for n in ("log_prob", "entropy", "cdf", "icdf") if n in found)
    t.manual_seed(3)
    if d.has_rsample and "rsample" not in lacks:
        found["rsample"] = d.rsample((2,))
        total = total + found["rsample"][1].sum()
    total.backward()
    found["gradients"] = [p.grad for p in parameters if p.grad is not None]
    t.manual_seed(4)
    with t.no_grad():
        found["samples"] = [d.sample(), d.sample((3,))]
    wide = d.expand((2, *d.batch_shape))
    found["wide"] = [tuple(wide.batch_shape), wide.log_prob(value)]
    return found


def assert_same(a, b, what):
    if isinstance(b, list | tuple):
        assert len(a) == len(b), what
        for x, y in zip(a, b, strict=True):
            assert_same(x, y, what)
    elif isinstance(b, torch.Tensor):
        assert tuple(a.shape) == tuple(b.shape), what
        x, y = a.detach().numpy(), b.detach().numpy()
        np.testing.assert_allclose(x, y, rtol=3e-5, atol=3e-6, err_msg=what)
    else:
        assert a == b, what


@pytest.mark.parametrize("row", ROWS)
def test_it_is_pytorchs(row):
    found, expected = facts(gemel_torch, row), facts(torch, row)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert_same(found[name], value, name)


# name -> (maker of p, maker of q)
PAIRS = {
    "poisson": lambda t, d, a, b: d.Poisson(a),
    "geometric": lambda t, d, a, b: d.Geometric(a / 9),
    "binomial": lambda t, d, a, b: d.Binomial(7, a / 9),
    "cauchy": lambda t, d, a, b: d.Cauchy(b, a),
    "gumbel": lambda t, d, a, b: d.Gumbel(b, a),
    "half normal": lambda t, d, a, b: d.HalfNormal(a),
    "log normal": lambda t, d, a, b: d.LogNormal(b, a),
    "chi2": lambda t, d, a, b: d.Chi2(a),
    "one hot": lambda t, d, a, b: d.OneHotCategorical(a),
    "vectors": lambda t, d, a, b: d.MultivariateNormal(b, t.diag(a) + 0.1),
    "independent": lambda t, d, a, b: d.Independent(d.Normal(b, a), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_divergences_are_pytorchs(name):
    found = []
    for t in (gemel_torch, torch):
        a = t.tensor([0.5, 2.0, 3.0], requires_grad=True)
        p = PAIRS[name](t, part(t), a, t.tensor([0.1, -0.4, 1.0]))
        q = PAIRS[name](t, part(t), t.tensor([0.7, 1.0, 2.5]), t.tensor([0.3, 0.4, -1.0]))
        value = part(t).kl_divergence(p, q)
        value.sum().backward()
        found.append([value, a.grad])
    assert_same(*found, name)


TRANSFORMS = {
    "exp": lambda d: d.ExpTransform(),
    "sigmoid": lambda d: d.SigmoidTransform(),
    "tanh": lambda d: d.TanhTransform(),
    "softplus": lambda d: d.SoftplusTransform(),
    "affine": lambda d: d.AffineTransform(1.0, -2.0),
    "power": lambda d: d.ComposeTransform([d.ExpTransform(), d.PowerTransform(0.5)]),
    "stick": lambda d: d.StickBreakingTransform(),
    "vectors": lambda d: d.IndependentTransform(d.ExpTransform(), 1),
    "chain": lambda d: d.ComposeTransform(
        [d.AffineTransform(1.0, 2.0, event_dim=1), d.StickBreakingTransform()]),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_are_pytorchs(name):
    found = []
    for t in (gemel_torch, torch):
        f = TRANSFORMS[name](part(t))
        x = t.tensor([[0.3, -0.7, 1.1], [0.0, 0.2, -2.0]], requires_grad=True)
        y = f(x)
        volume = f.log_abs_det_jacobian(x, y)
        (y * y).sum().backward(retain_graph=True)
        regions = [str(f.domain), str(f.codomain), f.bijective, tuple(f.forward_shape((2, 3)))]
        assert f.inv.inv is f and f == f
        found.append([y, volume, f.inv(y), x.grad, repr(f), regions])
    assert_same(*found, name)


BROKEN = {
    "scale": lambda t, d: d.Cauchy(t.zeros(2), t.tensor([1.0, -1.0])),
    "rate": lambda t, d: d.Poisson(t.tensor([-1.0])),
    "never": lambda t, d: d.Geometric(t.tensor([0.0, 0.5])),
    "both": lambda t, d: d.Binomial(3),
    "counts": lambda t, d: d.Multinomial(t.tensor([3]), t.ones(2)),
    "two matrices": lambda t, d: d.MultivariateNormal(t.zeros(2), t.eye(2), t.eye(2)),
    "no vector": lambda t, d: d.MultivariateNormal(t.tensor(1.0), t.eye(1)),
    "flat": lambda t, d: d.MultivariateNormal(t.zeros(2), t.ones(2)),
    "not definite": lambda t, d: d.MultivariateNormal(
        t.zeros(2), t.tensor([[1.0, 2.0], [2.0, 1.0]])),
    "transforms": lambda t, d: d.TransformedDistribution(d.Normal(0.0, 1.0), [1]),
    "mixture": lambda t, d: d.MixtureSameFamily(d.Categorical(t.ones(3)), d.Normal(t.zeros(2), 1)),
    "no mixture": lambda t, d: d.MixtureSameFamily(d.Normal(0.0, 1.0), d.Normal(t.zeros(2), 1)),
    "value": lambda t, d: d.Poisson(t.ones(2)).log_prob(t.tensor([0.5, 1.0])),
    "no pair": lambda t, d: d.kl_divergence(d.Poisson(1.0), d.Cauchy(0.0, 1.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_errors_are_pytorchs(name):
    said = []
    for t in (gemel_torch, torch):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            BROKEN[name](t, part(t))
        said.append((caught.type, str(caught.value)))
    assert said[0] == said[1]


def test_many_samples_have_the_moments():
    gemel_torch.manual_seed(0)
    d = part(gemel_torch)
    for made in (d.StudentT(9.0, 1.0, 2.0), d.NegativeBinomial(4.0, 0.4), d.Chi2(3.0)):
        drawn = made.sample((20000,))
        deviation = float(made.stddev)
        assert abs(float(drawn.mean() - made.mean)) < 5 * deviation / math.sqrt(20000)
        assert float(drawn.std()) == pytest.approx(deviation, rel=0.05)
