"""`TransformedDistribution`: what a chain of transforms makes of a distribution's samples."""

from __future__ import annotations

from ..autograd.modes import no_grad
from ..size import Size
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .independent import Independent
from .parameters import sum_rightmost
from .transforms import ComposeTransform, Transform


class TransformedDistribution(Distribution):
    """base_distribution, and the transforms that are applied to its samples in order."""

    arg_constraints: dict = {}

    def __init__(self, base_distribution, transforms, validate_args=None):
        self.transforms = _chain(transforms)
        whole = ComposeTransform(self.transforms)
        shape = base_distribution.batch_shape + base_distribution.event_shape
        if len(shape) < whole.domain.event_dim:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {whole.domain.event_dim}"
                f", but got {shape}."
            )
        forward = Size(whole.forward_shape(shape))
        spread = Size(whole.inverse_shape(forward))
        if tuple(spread) != tuple(shape):
            batch = spread[: len(spread) - len(base_distribution.event_shape)]
            base_distribution = base_distribution.expand(batch)
        own = len(base_distribution.event_shape)
        more = whole.domain.event_dim - own
        self.base_dist = Independent(base_distribution, more) if more > 0 else base_distribution
        change = whole.codomain.event_dim - whole.domain.event_dim
        events = max(whole.codomain.event_dim, own + change)
        cut = len(forward) - events
        super().__init__(forward[:cut], forward[cut:], validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._spread(TransformedDistribution, batch_shape, _instance)

    def _spread(self, kind, batch_shape, _instance):
        """`expand` of this kind."""
        new = self._get_checked_instance(kind, _instance)
        new.transforms = self.transforms
        shape = Size(batch_shape) + self.event_shape
        for transform in reversed(self.transforms):
            shape = transform.inverse_shape(shape)
        own = len(self.base_dist.event_shape)
        new.base_dist = self.base_dist.expand(tuple(shape)[: len(shape) - own])
        Distribution.__init__(new, Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @constraints.dependent_property(is_discrete=False)
    def support(self):
        if not self.transforms:
            return self.base_dist.support
        region, dims = self.transforms[-1].codomain, len(self.event_shape)
        more = dims - region.event_dim
        return constraints.independent(region, more) if more > 0 else region

    def sample(self, sample_shape=()) -> Tensor:
        with no_grad():
            return self._applied(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape=()) -> Tensor:
        return self._applied(self.base_dist.rsample(sample_shape))

    def _applied(self, x: Tensor) -> Tensor:
        for transform in self.transforms:
            x = transform(x)
        return x

    def log_prob(self, value) -> Tensor:
        if self._validate_args:
            value = self._validate_sample(value)
        dims, found = len(self.event_shape), None
        y = value
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            dims += transform.domain.event_dim - transform.codomain.event_dim
            term = transform.log_abs_det_jacobian(x, y)
            term = sum_rightmost(term, dims - transform.domain.event_dim)
            found = -term if found is None else found - term
            y = x
        base = self.base_dist.log_prob(y)
        base = sum_rightmost(base, dims - len(self.base_dist.event_shape))
        return base if found is None else found + base

    def _sign(self):
        sign = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        return sign

    def _mirrored(self, p: Tensor) -> Tensor:
        """1 - p where the transforms turn the order round."""
        sign = self._sign()
        return p if isinstance(sign, int) and sign == 1 else sign * (p - 0.5) + 0.5

    def cdf(self, value) -> Tensor:
        value = self._validate_sample(value)
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return self._mirrored(self.base_dist.cdf(value))

    def icdf(self, value) -> Tensor:
        return self._applied(self.base_dist.icdf(self._mirrored(value)))


def _chain(transforms) -> list[Transform]:
    if isinstance(transforms, Transform):
        return [transforms]
    if not isinstance(transforms, list):
        raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
    if not all(isinstance(t, Transform) for t in transforms):
        raise ValueError("transforms must be a Transform or a list of Transforms")
    return transforms
