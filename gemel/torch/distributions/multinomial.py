"""`Multinomial`: how often each of k values comes in a number of draws."""

from __future__ import annotations

import math

from ..creation import tensor, zeros
from ..size import Size
from ..special import lgamma
from ..tensor import Tensor
from . import constraints
from .counts import Binomial
from .one_hot import Weighted
from .parameters import broadcast_all


class Multinomial(Weighted):
    """total_count draws (one number for the whole batch), probs [*batch, k] or logits."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._of_chances(probs, logits, validate_args)

    def expand(self, batch_shape, _instance=None):
        new = self._expanded(Multinomial, batch_shape, (), 1, _instance)
        new.total_count = self.total_count
        new._categorical = self._categorical.expand(batch_shape)
        return new

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self):
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()) -> Tensor:
        drawn = self._categorical.sample(Size((self.total_count, *sample_shape)))
        drawn = drawn.permute(*range(1, drawn.dim()), 0)
        none = zeros(self._extended_shape(sample_shape), dtype=self._param.dtype)
        return none.scatter_add(-1, drawn, none.new_ones(drawn.shape))

    def entropy(self) -> Tensor:
        n = tensor(float(self.total_count), dtype=self._param.dtype)
        each = Binomial(self.total_count, probs=self.probs)
        counts = each.enumerate_support(expand=False)[1:]
        weights = each.log_prob(counts).exp() * lgamma(counts + 1)
        return n * self._categorical.entropy() - lgamma(n + 1) + weights.sum([0, -1])

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        logits = logits.masked_fill((value == 0) & (logits == -math.inf), 0)
        ways = lgamma(value.sum(-1) + 1) - lgamma(value + 1).sum(-1)
        return ways + (logits * value).sum(-1)
