"""`Categorical`: one of k values, by their probabilities or logits."""

from __future__ import annotations

import math
from functools import lru_cache

from gemel.graph.errors import Fault
from gemel.ops import chances, requirements, supports
from gemel.ops.record import Call
from gemel.tensor import known, random, record1, record2

from ..creation import full
from ..random import stream
from ..size import Size
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .parameters import lazy_property, logits_to_probs, probs_to_logits
from .validation import message, refused

_SHARES = Call("shares", lambda attrs, p: chances.shares(p))
_NORMALISED = Call("normalised", lambda attrs, x: chances.normalised(x))


def _expand_checked(attrs, p):
    p = chances.shares(p)
    return requirements.required(p, supports.on_simplex(p), Fault(ValueError, attrs[0]))


_CHECKED = Call("checked_shares", _expand_checked)
_PICKED = Call(
    "log_prob", lambda attrs, x, value: chances.picked(x, value, Fault(ValueError, attrs[0]))
)


@lru_cache(512)
def _positions(count: int) -> constraints.Constraint:
    return constraints.integer_interval(0, count - 1)


class Categorical(Distribution):
    """probs [*batch, k], normalised to a sum of 1, or logits."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        given = logits if probs is None else probs
        if given.form.ndim < 1:
            name = "logits" if probs is None else "probs"
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        shape = given.form.shape
        self._num_events = shape[-1]
        if validate_args is not None:
            self._validate_args = validate_args
        if probs is None:
            self.logits = record1(_NORMALISED, logits)
            super().__init__(shape[:-1])
            return
        self._batch_shape, self._event_shape = Size(shape[:-1]), Size()
        self._of_weights(probs)

    def _of_weights(self, weights: Tensor) -> None:
        """Normalise and check the probabilities: what `Distribution` would do in three calls."""
        region, array = constraints.simplex, known(weights)
        if self._validate_args and array is None:
            said = message("probs", region, "Categorical", weights.form.shape)
            self.probs = record1(_CHECKED, weights, said)
            return
        self.probs = record1(_SHARES, weights)
        if self._validate_args and not region.holds(weights, array / array.sum(-1, keepdims=True)):
            raise refused(self.probs, "probs", region, self)

    @property
    def _param(self) -> Tensor:
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]

    @property
    def param_shape(self) -> Size:
        return self._param.size()

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self):
        return _positions(self._num_events)

    def expand(self, batch_shape, _instance=None):
        new = self._expanded(Categorical, batch_shape, ("probs", "logits"), 1, _instance)
        new._num_events = self._num_events
        return new

    @property
    def mean(self) -> Tensor:
        return full(self._extended_shape(), math.nan, dtype=self.probs.dtype)

    @property
    def variance(self) -> Tensor:
        return full(self._extended_shape(), math.nan, dtype=self.probs.dtype)

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(dim=-1)

    def sample(self, sample_shape=()) -> Tensor:
        if not sample_shape:
            return random.one_choice(stream(None), self.probs)
        shape = self._extended_shape(sample_shape)
        rows = self.probs.detach().reshape(-1, self._num_events)
        count = Size(sample_shape).numel()
        return random.choice(stream(None), rows, count, True).T.reshape(shape)

    def log_prob(self, value) -> Tensor:
        region = self.support
        if not self._validate_args or known(value) is not None:
            value = self._validate_sample(value)
        # the value is looked up, so whether it can be is checked in any case
        said = message("", region, "Categorical", tuple(value.form.shape))
        return record2(_PICKED, self.logits, value, said)

    def entropy(self) -> Tensor:
        logits = self.logits
        least = -3.4028234663852886e38 if logits.form.dtype.itemsize == 4 else -math.inf
        return -(logits.clamp(min=least) * self.probs).sum(-1)

    def enumerate_support(self, expand=True) -> Tensor:
        from ..sequences import arange

        values = arange(self._num_events).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values
