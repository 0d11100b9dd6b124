"""`MixtureSameFamily`: several distributions of a kind, one of which is chosen each time."""

from __future__ import annotations

from ..autograd.modes import no_grad
from ..size import Size
from ..tensor import Tensor
from . import constraints
from .categorical import Categorical
from .distribution import Distribution


class _MixtureSupport(constraints.Constraint):
    """Values that all components can give."""

    def __init__(self, base_constraint):
        self.base_constraint = base_constraint

    @property
    def is_discrete(self):  # type: ignore[override]
        return self.base_constraint.is_discrete

    @property
    def event_dim(self):  # type: ignore[override]
        return self.base_constraint.event_dim

    def check(self, value: Tensor) -> Tensor:
        own = self.event_dim
        if value.dim() < own:
            raise ValueError(f"Expected value.dim() >= {own} but got {value.dim()}")
        held = self.base_constraint.check(value.unsqueeze(-1 - own))
        kept = value.dim() - own
        return held.reshape((*tuple(held.shape)[:kept], -1)).all(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamilyConstraint({self.base_constraint!r})"


class MixtureSameFamily(Distribution):
    """mixture_distribution: a Categorical over the last batch dimension of the other."""

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, mixture_distribution, component_distribution, validate_args=None):
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of "
                "torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution need to be an instance of "
                "torch.distributions.Distribution"
            )
        self._check_batches()
        events = component_distribution.event_shape
        self._event_ndims = len(events)
        batch = component_distribution.batch_shape[:-1]
        super().__init__(batch, events, validate_args=validate_args)

    def _check_batches(self) -> None:
        mixed = self.mixture_distribution.batch_shape
        batch = self.component_distribution.batch_shape
        for a, b in zip(reversed(mixed), reversed(batch[:-1]), strict=False):
            if a != 1 and b != 1 and a != b:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixed}) is not compatible with "
                    f"`component_distribution.batch_shape`({batch[:-1]})"
                )
        count, kinds = self.mixture_distribution.logits.shape[-1], batch[-1]
        if count != kinds:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({kinds})"
            )

    @property
    def mixture_distribution(self) -> Categorical:
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        return self._component_distribution

    def expand(self, batch_shape, _instance=None):
        shape = Size(batch_shape)
        kinds = self.component_distribution.batch_shape[-1:]
        new = self._get_checked_instance(MixtureSameFamily, _instance)
        new._component_distribution = self.component_distribution.expand(shape + kinds)
        new._mixture_distribution = self.mixture_distribution.expand(shape)
        new._event_ndims = self._event_ndims
        Distribution.__init__(new, shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property
    def support(self):
        return _MixtureSupport(self.component_distribution.support)

    def _weights(self) -> Tensor:
        probs = self.mixture_distribution.probs
        return probs.reshape(tuple(probs.shape) + (1,) * self._event_ndims)

    @property
    def mean(self) -> Tensor:
        return (self._weights() * self.component_distribution.mean).sum(-1 - self._event_ndims)

    @property
    def variance(self) -> Tensor:
        """The mean of the variances, and the variance of the means."""
        weights, parts, at = self._weights(), self.component_distribution, -1 - self._event_ndims
        off = parts.mean - self.mean.unsqueeze(at)
        return (weights * parts.variance).sum(at) + (weights * off.pow(2.0)).sum(at)

    def cdf(self, x) -> Tensor:
        x = self._padded(x)
        return (self.component_distribution.cdf(x) * self.mixture_distribution.probs).sum(-1)

    def log_prob(self, x) -> Tensor:
        x = self._padded(self._validate_sample(x))
        logs = self.component_distribution.log_prob(x)
        return (logs + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def _padded(self, x: Tensor) -> Tensor:
        return x.unsqueeze(-1 - self._event_ndims)

    def sample(self, sample_shape=()) -> Tensor:
        with no_grad():
            at = len(sample_shape) + len(self.batch_shape)
            chosen = self.mixture_distribution.sample(sample_shape)
            values = self.component_distribution.sample(sample_shape)
            ones = (1,) * (len(self._event_shape) + 1)
            places = chosen.reshape(tuple(chosen.shape) + ones)
            repeats = (1,) * (chosen.dim() + 1) + tuple(self.event_shape)
            return values.gather(at, places.repeat(repeats)).squeeze(at)

    def __repr__(self) -> str:
        return (
            f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
        )
