"""Distributions of absolute values: half of a normal, half of a Cauchy."""

from __future__ import annotations

import math

from ..arithmetic import where
from ..creation import zeros_like
from ..tensor import Tensor
from . import constraints
from .heavy_tails import Cauchy
from .normal import Normal
from .transformed import TransformedDistribution
from .transforms import AbsTransform


class _Folded(TransformedDistribution):
    """The absolute value of what is symmetric around 0."""

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    @property
    def scale(self) -> Tensor:
        return self.base_dist.scale

    @property
    def mode(self) -> Tensor:
        return zeros_like(self.scale)

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        found = self.base_dist.log_prob(value) + math.log(2)
        return where(value >= 0, found, -math.inf)

    def cdf(self, value) -> Tensor:
        value = self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, prob) -> Tensor:
        return self.base_dist.icdf((prob + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(_Folded):
    """The absolute value of a normal around 0."""

    def __init__(self, scale, validate_args=None):
        base = Normal(0, scale, validate_args=False)
        super().__init__(base, AbsTransform(), validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._spread(HalfNormal, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (1 - 2 / math.pi)


class HalfCauchy(_Folded):
    """The absolute value of a Cauchy around 0."""

    def __init__(self, scale, validate_args=None):
        base = Cauchy(0, scale, validate_args=False)
        super().__init__(base, AbsTransform(), validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._spread(HalfCauchy, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        return self.base_dist.variance

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance
