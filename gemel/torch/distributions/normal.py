"""`Normal`: by its mean and its standard deviation."""

from __future__ import annotations

import math

from gemel.ops import normal_density as density
from gemel.ops.record import Call
from gemel.tensor import no_grad, record_n

from ..drawing import normal
from ..tensor import Tensor
from .location_scale import LocationScale

_LOG = Call("normal_log_prob", lambda attrs, x, mean, dev: density.log_density(x, mean, dev))
_CDF = Call("normal_cdf", lambda attrs, x, mean, dev: density.cumulative(x, mean, dev))
_ICDF = Call("normal_icdf", lambda attrs, p, mean, dev: density.quantile(p, mean, dev))


class Normal(LocationScale):
    """loc: mean; scale: standard deviation."""

    _mean_carrier_measure = 0

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2)

    def sample(self, sample_shape=()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return normal(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape=()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.loc + standard_normal(shape, self.loc.dtype) * self.scale

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        return record_n(_LOG, Tensor, (value, self.loc, self.scale))

    def cdf(self, value) -> Tensor:
        value = self._validate_sample(value)
        return record_n(_CDF, Tensor, (value, self.loc, self.scale))

    def icdf(self, value) -> Tensor:
        return record_n(_ICDF, Tensor, (value, self.loc, self.scale))

    def entropy(self) -> Tensor:
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()


def standard_normal(shape, dtype) -> Tensor:
    """Values of mean 0 and deviation 1."""
    from ..drawing import randn

    return randn(shape, dtype=dtype)
