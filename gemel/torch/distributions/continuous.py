"""Continuous distributions of single values, with samples that are functions of the parameters."""

from __future__ import annotations

import math

from ..autograd.modes import is_grad_enabled
from ..drawing import rand
from ..special import digamma, lgamma
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .location_scale import LocationScale
from .parameters import broadcast_all, euler_constant


def _between(shape, like: Tensor) -> Tensor:
    """Uniform values of [0, 1)."""
    return rand(shape, dtype=like.dtype)


class Uniform(Distribution):
    """Of [low, high)."""

    has_rsample = True

    def __init__(self, low, high, validate_args=None):
        self.low, self.high = broadcast_all(low, high)
        super().__init__(self.low.form.shape, validate_args=validate_args)

    @property
    def arg_constraints(self):
        high, low = constraints.less_than(self.high), constraints.greater_than(self.low)
        return {"low": high, "high": low}

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        return constraints.interval(self.low, self.high)

    @property
    def mean(self) -> Tensor:
        return (self.high + self.low) / 2

    @property
    def mode(self) -> Tensor:
        return math.nan * self.high

    @property
    def stddev(self) -> Tensor:
        return (self.high - self.low) / math.sqrt(12.0)

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low).pow(2) / 12

    def expand(self, batch_shape, _instance=None):
        return self._expanded(Uniform, batch_shape, ("low", "high"), 0, _instance)

    def rsample(self, sample_shape=()) -> Tensor:
        unit = _between(self._extended_shape(sample_shape), self.low)
        return self.low + unit * (self.high - self.low)

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        inside = self.low.le(value).type_as(self.low) * self.high.gt(value).type_as(self.low)
        return inside.log() - (self.high - self.low).log()

    def cdf(self, value) -> Tensor:
        value = self._validate_sample(value)
        return ((value - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def icdf(self, value) -> Tensor:
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        return (self.high - self.low).log()


class Exponential(Distribution):
    """Waiting times of events with a rate."""

    arg_constraints = {"rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, rate, validate_args=None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.form.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate.reciprocal()

    @property
    def mode(self) -> Tensor:
        return self.rate * 0

    @property
    def stddev(self) -> Tensor:
        return self.rate.reciprocal()

    @property
    def variance(self) -> Tensor:
        return self.rate.pow(-2)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(Exponential, batch_shape, ("rate",), 0, _instance)

    def rsample(self, sample_shape=()) -> Tensor:
        from ..creation import empty

        shape = self._extended_shape(sample_shape)
        return empty(shape, dtype=self.rate.dtype).exponential_() / self.rate

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        return self.rate.log() - self.rate * value

    def cdf(self, value) -> Tensor:
        value = self._validate_sample(value)
        return 1 - (-self.rate * value).exp()

    def icdf(self, value) -> Tensor:
        return -(-value).log1p() / self.rate

    def entropy(self) -> Tensor:
        return 1.0 - self.rate.log()


class Laplace(LocationScale):
    """Two exponential tails around loc."""

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale.pow(2)

    @property
    def stddev(self) -> Tensor:
        return math.sqrt(2) * self.scale

    def rsample(self, sample_shape=()) -> Tensor:
        from ..creation import empty

        least = 2.0 ** (-24 if self.loc.form.dtype.itemsize == 4 else -53)
        u = empty(self._extended_shape(sample_shape), dtype=self.loc.dtype).uniform_(
            2 * least - 1, 1
        )
        return self.loc - self.scale * u.sign() * (-u.abs()).log1p()

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value) -> Tensor:
        value = self._validate_sample(value)
        off = value - self.loc
        return 0.5 - 0.5 * off.sign() * (-off.abs() / self.scale).expm1()

    def icdf(self, value) -> Tensor:
        off = value - 0.5
        return self.loc - self.scale * off.sign() * (-2 * off.abs()).log1p()

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()


class Gumbel(LocationScale):
    """The largest of many values with exponential tails."""

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * euler_constant

    @property
    def stddev(self) -> Tensor:
        return (math.pi / math.sqrt(6)) * self.scale

    @property
    def variance(self) -> Tensor:
        return self.stddev.pow(2)

    def rsample(self, sample_shape=()) -> Tensor:
        small = self.loc.form.dtype.itemsize == 4
        least, most = (2.0**-126, 1 - 2.0**-23) if small else (2.0**-1022, 1 - 2.0**-52)
        u = _between(self._extended_shape(sample_shape), self.loc) * (most - least) + least
        return self.loc - self.scale * (-u.log()).log()

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        y = (self.loc - value) / self.scale
        return (y - y.exp()) - self.scale.log()

    def cdf(self, value) -> Tensor:
        value = self._validate_sample(value)
        return (-((self.loc - value) / self.scale).exp()).exp()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + euler_constant)


class Gamma(Distribution):
    """By its shape (concentration) and its rate. Samples have a gradient for the rate only."""

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, concentration, rate, validate_args=None):
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.form.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate.pow(2)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(Gamma, batch_shape, ("concentration", "rate"), 0, _instance)

    def rsample(self, sample_shape=()) -> Tensor:
        from ..drawing import _standard_gamma

        if self.concentration.requires_grad and is_grad_enabled():
            raise NotImplementedError(
                "samples of a Gamma distribution have no gradient for its concentration here; "
                "use sample()"
            )
        shape = self._extended_shape(sample_shape)
        value = _standard_gamma(self.concentration.detach().expand(shape))
        drawn = value / self.rate.expand(shape)
        return drawn.clamp(min=2.0 ** (-126 if drawn.form.dtype.itemsize == 4 else -1022))

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        a, b = self.concentration, self.rate
        return a.xlogy(b) + (a - 1).xlogy(value) - b * value - lgamma(a)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + lgamma(a) + (1.0 - a) * digamma(a)


class Chi2(Gamma):
    """The sum of the squares of df standard normals."""

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df, validate_args=None):
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    @property
    def df(self) -> Tensor:
        return self.concentration * 2

    def expand(self, batch_shape, _instance=None):
        names = ("concentration", "rate")
        return self._expanded(Chi2, batch_shape, names, 0, _instance)
