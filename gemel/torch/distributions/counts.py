"""Distributions of counts: Poisson, Geometric, Binomial, NegativeBinomial."""

from __future__ import annotations

from ..creation import empty, zeros_like
from ..drawing import binomial, poisson
from ..dtypes import finfo
from ..special import lgamma
from ..tensor import Tensor
from . import constraints
from .continuous import Gamma
from .distribution import Distribution
from .parameters import broadcast_all, lazy_property, logits_to_probs, probs_to_logits


class Poisson(Distribution):
    """Events in a unit of time, at a rate."""

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate, validate_args=None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.form.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def mode(self) -> Tensor:
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        return self.rate

    def expand(self, batch_shape, _instance=None):
        return self._expanded(Poisson, batch_shape, ("rate",), 0, _instance)

    def sample(self, sample_shape=()) -> Tensor:
        return poisson(self.rate.detach().expand(self._extended_shape(sample_shape)))

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        rate, value = broadcast_all(self.rate, value)
        return value.xlogy(rate) - rate - lgamma(value + 1)


class Trials(Distribution):
    """A kind given by the probability of a success, or by the logarithm of its odds."""

    def _take(self, probs, logits, *others) -> tuple[Tensor, ...]:
        """Keep what was given; returns the others, in the shape of all."""
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        name = "logits" if probs is None else "probs"
        *others, given = broadcast_all(*others, logits if probs is None else probs)
        setattr(self, name, given)
        return tuple(x.type_as(given) for x in others)

    @property
    def _param(self) -> Tensor:
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]

    @property
    def param_shape(self):
        return self._param.size()

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, is_binary=True)


class Geometric(Trials):
    """Failures before the first success."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._take(probs, logits)
        super().__init__(self._param.form.shape, validate_args=validate_args)
        if self._validate_args and probs is not None:
            self._refuse_zero(self.probs)

    def _refuse_zero(self, value: Tensor) -> None:
        if not bool((value > 0).all()):
            raise ValueError(
                f"Expected parameter probs ({type(value).__name__} of shape {tuple(value.shape)}) "
                f"of distribution {self!r} to be positive but found invalid values:\n"
                f"{value[value <= 0]}"
            )

    @property
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    def expand(self, batch_shape, _instance=None):
        return self._expanded(Geometric, batch_shape, ("probs", "logits"), 0, _instance)

    def sample(self, sample_shape=()) -> Tensor:
        shape, p = self._extended_shape(sample_shape), self.probs.detach()
        u = empty(shape, dtype=p.dtype).uniform_(finfo(p.dtype).tiny, 1)
        return (u.log() / (-p).log1p()).floor()

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        value, p = broadcast_all(value, self.probs)
        sure = p.masked_fill((p == 1) & (value == 0), 0)
        return value * (-sure).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        from ..nn.functional import binary_cross_entropy_with_logits

        found = binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")
        return found / self.probs


class Binomial(Trials):
    """Successes among total_count trials."""

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        (self.total_count,) = self._take(probs, logits, total_count)
        super().__init__(self._param.form.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self):
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def expand(self, batch_shape, _instance=None):
        names = ("total_count", "probs", "logits")
        return self._expanded(Binomial, batch_shape, names, 0, _instance)

    def sample(self, sample_shape=()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return binomial(self.total_count.detach().expand(shape), self.probs.detach().expand(shape))

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        n, x = self.total_count, self.logits
        ways = lgamma(n + 1) - lgamma(value + 1) - lgamma(n - value + 1)
        return value * x - n * (_positive_part(x) + (-x.abs()).exp().log1p()) + ways

    def entropy(self) -> Tensor:
        self._one_count("entropy")
        logs = self.log_prob(self.enumerate_support(False))
        return -(logs.exp() * logs).sum(0)

    def _one_count(self, name: str) -> int:
        most = int(self.total_count.max())
        if int(self.total_count.min()) != most:
            raise NotImplementedError(f"Inhomogeneous total count not supported by `{name}`.")
        return most

    def enumerate_support(self, expand=True) -> Tensor:
        from ..sequences import arange

        values = arange(1 + self._one_count("enumerate_support"), dtype=self._param.dtype)
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values


def _positive_part(x: Tensor) -> Tensor:
    """x where it is positive, else 0; its slope at 0 is a half."""
    return (x.clamp(min=0) + x - x.clamp(max=0)) / 2


class NegativeBinomial(Trials):
    """Successes before total_count failures."""

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(self, total_count, probs=None, logits=None, validate_args=None):
        (self.total_count,) = self._take(probs, logits, total_count)
        super().__init__(self._param.form.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / (-self.logits).sigmoid()

    def expand(self, batch_shape, _instance=None):
        names = ("total_count", "probs", "logits")
        return self._expanded(NegativeBinomial, batch_shape, names, 0, _instance)

    def sample(self, sample_shape=()) -> Tensor:
        rates = Gamma(self.total_count, (-self.logits).exp(), validate_args=False)
        return poisson(rates.sample(sample_shape))

    def log_prob(self, value) -> Tensor:
        from ..nn.functional import logsigmoid

        value = self._validate_sample(value)
        n = self.total_count
        chance = n * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        ways = lgamma(n + value) - lgamma(1.0 + value) - lgamma(n)
        return chance + ways.masked_fill(n + value == 0.0, 0.0)
