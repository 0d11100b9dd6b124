"""`OneHotCategorical`: one of k values as a row of zeros with a one."""

from __future__ import annotations

from ..tensor import Tensor
from . import constraints
from .categorical import Categorical
from .distribution import Distribution


class Weighted(Distribution):
    """A kind of events of k numbers, given by the chances of k values: probs or logits."""

    _categorical: Categorical

    @property
    def _param(self) -> Tensor:
        return self._categorical._param

    @property
    def probs(self) -> Tensor:
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        return self._categorical.logits

    @property
    def param_shape(self):
        return self._categorical.param_shape

    def _of_chances(self, probs, logits, validate_args) -> None:
        self._categorical = Categorical(probs, logits, validate_args=validate_args)
        batch, events = self._categorical.batch_shape, self._categorical.param_shape[-1:]
        super().__init__(batch, events, validate_args=validate_args)


class OneHotCategorical(Weighted):
    """probs [*batch, k], normalised to a sum of 1, or logits; samples [*batch, k]."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._of_chances(probs, logits, validate_args)

    def expand(self, batch_shape, _instance=None):
        new = self._expanded(OneHotCategorical, batch_shape, (), 1, _instance)
        new._categorical = self._categorical.expand(batch_shape)
        return new

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return self._row(self.probs.argmax(dim=-1))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def _row(self, index: Tensor) -> Tensor:
        from ..nn.functional import one_hot

        return one_hot(index, self._event_shape[-1]).to(self._param.dtype)

    def sample(self, sample_shape=()) -> Tensor:
        return self._row(self._categorical.sample(sample_shape))

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        return self._categorical.log_prob(value.argmax(dim=-1))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def enumerate_support(self, expand=True) -> Tensor:
        from ..sequences import eye

        n = self._event_shape[0]
        values = eye(n, dtype=self._param.dtype)
        values = values.view((n,) + (1,) * len(self._batch_shape) + (n,))
        return values.expand((n, *self._batch_shape, n)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """The same, whose samples let gradients through to the chances."""

    has_rsample = True

    def rsample(self, sample_shape=()) -> Tensor:
        return self.sample(sample_shape) + (self.probs - self.probs.detach())
