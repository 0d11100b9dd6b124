"""`torch.distributions`: each case is a function of `torch`. Streams are PyTorch's, bit for bit
where the draw is; what is computed from it differs by rounding."""

from __future__ import annotations

import importlib

from torch_compare import kind, raised


def part(t):
    return importlib.import_module(f"{t.__name__}.distributions")


def row(t, *values):
    return t.tensor(values, requires_grad=True)


def facts(t, d, value):
    """Shapes, moments, densities and their gradients, samples."""
    t.manual_seed(5)
    found = {"repr": repr(d), "batch": list(d.batch_shape), "event": list(d.event_shape)}
    found["moments"] = [d.mean, d.variance, d.stddev, d.mode]
    found["entropy"] = d.entropy()
    found["samples"] = [d.sample(), d.sample((2,)), d.sample((3, 1))]
    found["log_prob"] = d.log_prob(value)
    return found


def with_gradients(total, *leaves):
    total.sum().backward()
    return [p.grad for p in leaves]


def case_normal(t):
    loc, scale = row(t, 0.5, -1.0, 2.0), row(t, 1.0, 0.3, 2.5)
    d = part(t).Normal(loc, scale)
    x = t.tensor([0.1, -1.2, 4.0])
    found = facts(t, d, x)
    found["cdf"] = [d.cdf(x), d.icdf(t.tensor([0.1, 0.5, 0.9]))]
    found["gradients"] = with_gradients(d.log_prob(x) + d.rsample(), loc, scale)
    wide = d.expand((2, 3))
    return found | {"expanded": [list(wide.batch_shape), wide.log_prob(x)]}


def case_numbers(t):
    d = part(t).Normal(0.0, 2.0)
    return [d.batch_shape, d.log_prob(t.tensor(1.0)), part(t).Uniform(1, 3).mean.dtype is t.float32]


def case_categorical(t):
    w = row(t, 0.2, 1.0, 0.8, 2.0)
    d = part(t).Categorical(probs=w)
    found = facts(t, d, t.tensor([0, 3, 1]))
    found["moments"] = [d.mode]
    found["gradients"] = with_gradients(d.log_prob(t.tensor(2)) * 2.0 + d.entropy(), w)
    found["all"] = [d.enumerate_support(), d.logits, d.probs]
    return found


def case_categorical_of_logits(t):
    z = t.tensor([[0.1, -2.0, 0.4], [1.5, 0.0, -0.7]], requires_grad=True)
    d = part(t).Categorical(logits=z)
    found = facts(t, d, t.tensor([[2, 1], [0, 0], [1, 2]]))
    found["moments"] = [d.mode]
    wide = part(t).Categorical(logits=t.linspace(-1.0, 1.0, 40))
    found["wide"] = wide.log_prob(t.tensor([0, 39, 17]))
    found["gradients"] = with_gradients(d.log_prob(t.tensor([1, 0])), z)
    return found


def case_bernoulli(t):
    p = row(t, 0.2, 0.9)
    d = part(t).Bernoulli(p)
    found = facts(t, d, t.tensor([1.0, 0.0]))
    found["gradients"] = with_gradients(d.log_prob(t.tensor([1.0, 0.0])), p)
    of_logits = part(t).Bernoulli(logits=t.tensor([0.3, -2.0]))
    return found | {"logits": [of_logits.probs, of_logits.entropy(), d.enumerate_support()]}


def case_uniform(t):
    low, high = row(t, -1.0, 2.0), row(t, 1.0, 5.0)
    d = part(t).Uniform(low, high)
    x = t.tensor([0.5, 4.5])
    found = facts(t, d, x)
    found["moments"] = [d.mean, d.variance]
    found["cdf"] = [d.cdf(x), d.icdf(t.tensor([0.2, 0.7]))]
    found["gradients"] = with_gradients(d.rsample(), low, high)
    return found


def case_exponential(t):
    rate = row(t, 0.5, 3.0)
    d = part(t).Exponential(rate)
    x = t.tensor([0.5, 4.5])
    found = facts(t, d, x)
    found["cdf"] = [d.cdf(x), d.icdf(t.tensor([0.2, 0.7]))]
    found["gradients"] = with_gradients(d.rsample() + d.log_prob(x), rate)
    return found


def case_laplace(t):
    d = part(t).Laplace(row(t, 0.5, -1.0), row(t, 1.0, 0.3))
    x = t.tensor([0.1, -1.2])
    return facts(t, d, x) | {"cdf": [d.cdf(x), d.icdf(t.tensor([0.2, 0.7]))]}


def case_gumbel(t):
    d = part(t).Gumbel(t.tensor([0.5, -1.0]), t.tensor([1.0, 0.3]))
    found = facts(t, d, t.tensor([0.1, -1.2]))
    return {k: v for k, v in found.items() if k != "repr"}


def case_gamma(t):
    return facts(t, part(t).Gamma(t.tensor([0.7, 3.0]), t.tensor([1.0, 0.5])), t.tensor([0.4, 7.0]))


def case_beta(t):
    d = part(t).Beta(t.tensor([0.7, 3.0]), t.tensor([1.5, 2.0]))
    found = facts(t, d, t.tensor([0.4, 0.9]))
    return {k: v for k, v in found.items() if k != "repr"}


def case_dirichlet(t):
    d = part(t).Dirichlet(t.tensor([[0.7, 3.0, 1.1], [2.0, 2.0, 1.5]]))
    return facts(t, d, t.tensor([0.2, 0.5, 0.3]))


def case_independent(t):
    d = part(t)
    base = d.Normal(t.zeros(2, 3), t.ones(2, 3) * 0.5)
    joint = d.Independent(base, 1)
    return facts(t, joint, t.tensor([0.2, 0.5, 0.3])) | {
        "wide": joint.expand((4, 2)).sample().shape
    }


def case_divergences(t):
    d = part(t)
    a, b = t.tensor([0.2, 0.6]), t.tensor([0.5, 0.3])
    rows = [t.tensor([[0.2, 0.3, 0.5]]), t.tensor([[0.6, 0.2, 0.2]])]
    pairs = [
        (d.Normal(a, b), d.Normal(b, a)),
        (d.Bernoulli(a), d.Bernoulli(b)),
        (d.Categorical(rows[0]), d.Categorical(rows[1])),
        (d.Uniform(a, a + 1), d.Uniform(a - 1, a + 2)),
        (d.Exponential(a), d.Exponential(b)),
        (d.Laplace(a, b), d.Laplace(b, a)),
        (d.Gamma(a, b), d.Gamma(b, a)),
        (d.Beta(a, b), d.Beta(b, a)),
        (d.Dirichlet(rows[0]), d.Dirichlet(rows[1])),
        (d.Independent(d.Normal(a, b), 1), d.Independent(d.Normal(b, a), 1)),
    ]
    found = [d.kl_divergence(p, q) for p, q in pairs]
    return [*found, kind(lambda: d.kl_divergence(pairs[0][0], pairs[1][0]))]


def case_errors(t):
    d = part(t)
    return [
        raised(lambda: d.Normal(t.tensor(0.0), t.tensor(-1.0))),
        raised(lambda: d.Categorical(t.tensor([0.5, -0.5, 1.0]))),
        raised(lambda: d.Categorical(t.tensor(0.5))),
        raised(lambda: d.Categorical()),
        raised(lambda: d.Bernoulli(t.tensor([0.5, 1.5]))),
        raised(lambda: d.Normal(0.0, 1.0).log_prob(t.tensor(float("nan")))),
        raised(lambda: d.Categorical(t.ones(3)).log_prob(t.tensor(3))),
        raised(lambda: d.Normal(t.zeros(2), t.ones(2)).log_prob(t.zeros(3))),
        kind(lambda: d.Uniform(t.tensor(1.0), t.tensor(0.0))),
        kind(lambda: d.Gamma(t.tensor(0.0), t.tensor(1.0))),
        raised(lambda: d.Normal(0.0, -1.0, validate_args=False).scale.item()),
    ]


def case_constraints(t):
    c = part(t).constraints
    x = t.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])
    rows = t.tensor([[0.2, 0.8], [0.5, 0.6], [-0.1, 1.1]])
    square = t.tensor([[2.0, 0.0], [0.5, 1.0]])
    names = "real positive nonnegative unit_interval nonnegative_integer boolean".split()
    found = {n: [repr(getattr(c, n)), getattr(c, n).check(x)] for n in names}
    found["simplex"] = c.simplex.check(rows)
    found["interval"] = [c.interval(0, t.tensor(0.7)).check(x), repr(c.interval(0, 1))]
    names = "lower_triangular lower_cholesky positive_definite symmetric".split()
    found["matrices"] = [
        [getattr(c, n).check(m) for n in names] for m in (square, square @ square.mT)
    ]
    found["independent"] = c.independent(c.positive, 1).check(rows)
    return found
