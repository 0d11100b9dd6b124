"""Distributions of shares of a whole: Beta of two, Dirichlet of several."""

from __future__ import annotations

from ..drawing import _sample_dirichlet
from ..joining import stack
from ..special import digamma, lgamma
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .parameters import broadcast_all


class Dirichlet(Distribution):
    """concentration [*batch, k]. Samples have no gradient."""

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex

    def __init__(self, concentration, validate_args=None):
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        shape = concentration.form.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        less = (self.concentration - 1).clamp(min=0.0)
        mode = less / less.sum(-1, True)
        flat = (self.concentration < 1).all(dim=-1)
        from ..nn.functional import one_hot

        highest = one_hot(mode.argmax(dim=-1), self.concentration.size(-1)).to(mode.dtype)
        return highest.where(flat.unsqueeze(-1), mode)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        rest = total - self.concentration
        return self.concentration * rest / (total.pow(2) * (total + 1))

    def expand(self, batch_shape, _instance=None):
        return self._expanded(Dirichlet, batch_shape, ("concentration",), 1, _instance)

    def sample(self, sample_shape=()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return _sample_dirichlet(self.concentration.detach().expand(shape))

    def rsample(self, sample_shape=()) -> Tensor:
        if self.concentration.requires_grad:
            raise NotImplementedError(
                f"samples of a {type(self).__name__} distribution have no gradient here; "
                "use sample()"
            )
        return self.sample(sample_shape)

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        a = self.concentration
        return (a - 1.0).xlogy(value).sum(-1) + lgamma(a.sum(-1)) - lgamma(a).sum(-1)

    def entropy(self) -> Tensor:
        a = self.concentration
        total, k = a.sum(-1), a.size(-1)
        return (
            lgamma(a).sum(-1)
            - lgamma(total)
            - (k - total) * digamma(total)
            - ((a - 1.0) * digamma(a)).sum(-1)
        )


class Beta(Distribution):
    """The first of two shares, by the concentrations of both. Samples have no gradient."""

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval

    def __init__(self, concentration1, concentration0, validate_args=None):
        one, zero = broadcast_all(concentration1, concentration0)
        self._pair = Dirichlet(stack([one, zero], -1), validate_args=validate_args)
        super().__init__(self._pair.batch_shape, validate_args=validate_args)

    @property
    def concentration1(self) -> Tensor:
        return self._pair.concentration[..., 0]

    @property
    def concentration0(self) -> Tensor:
        return self._pair.concentration[..., 1]

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        return self._pair.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.pow(2) * (total + 1))

    def expand(self, batch_shape, _instance=None):
        new = self._expanded(Beta, batch_shape, (), 0, _instance)
        new._pair = self._pair.expand(batch_shape)
        return new

    def sample(self, sample_shape=()) -> Tensor:
        return self._pair.sample(sample_shape).select(-1, 0)

    def rsample(self, sample_shape=()) -> Tensor:
        return self._pair.rsample(sample_shape).select(-1, 0)

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        return self._pair.log_prob(stack([value, 1.0 - value], -1))

    def entropy(self) -> Tensor:
        return self._pair.entropy()
