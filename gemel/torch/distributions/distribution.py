"""The base of all distributions: shapes, validation, and what follows from a few methods."""

from __future__ import annotations

from ..autograd.modes import no_grad
from ..size import Size
from ..tensor import Tensor
from . import constraints, validation


class Distribution:
    """A distribution over events of event_shape, for each place of batch_shape."""

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Are parameters and samples checked, where an instance does not say?"""
        if value not in (True, False):
            raise ValueError(f"expected True or False, not {value!r}")
        Distribution._validate_args = value

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        try:
            regions = self.arg_constraints
        except NotImplementedError:
            return  # the kind does not say
        given = self.__dict__
        for name, region in regions.items():
            if name in given and not constraints.is_dependent(region):
                value = given[name]
                checked = validation.parameter(value, name, region, self)
                if checked is not value:
                    given[name] = checked

    # ---------- what a kind says of itself ----------
    @property
    def batch_shape(self) -> Size:
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Which values each parameter may have."""
        raise NotImplementedError

    @property
    def support(self):
        """Which values the distribution gives."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    def expand(self, batch_shape, _instance=None) -> Distribution:
        """The same with its parameters spread over a larger batch shape."""
        raise NotImplementedError

    def sample(self, sample_shape=()) -> Tensor:
        """Values [*sample_shape, *batch_shape, *event_shape], without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()) -> Tensor:
        """The same as functions of the parameters, through which gradients flow."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Tensor:
        return self.sample(Size((n,)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density (or probability) of each event."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of a discrete distribution, along a new first dimension."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        return self.entropy().exp()

    # ---------- for the kinds ----------
    def _extended_shape(self, sample_shape=()) -> Size:
        """The shape of samples."""
        if not sample_shape:
            return self._batch_shape + self._event_shape if self._event_shape else self._batch_shape
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def _validate_sample(self, value: Tensor) -> Tensor:
        """The value, checked where samples are; its shape must fit."""
        if not self._validate_args:
            return value
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        actual, wanted = value.form.shape, self._batch_shape + self._event_shape
        own = len(self._event_shape)
        if own and tuple(actual[-own:]) != tuple(self._event_shape):
            raise ValueError(
                f"The right-most size of value must match event_shape: {value.shape} vs "
                f"{self._event_shape}."
            )
        for i, j in zip(reversed(actual), reversed(wanted), strict=False):
            if i not in (1, j) and j != 1:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {value.shape} vs "
                    f"{wanted}."
                )
        try:
            region = self.support
        except NotImplementedError:
            return value
        return validation.sample(value, region, self) if region is not None else value

    def _get_checked_instance(self, cls, _instance=None):
        """A bare instance of the kind for `expand`; subclasses with another constructor must say
        how they expand."""
        if _instance is None and type(self).__init__ is not cls.__init__:
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ "
                "method must also define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    def _expanded(self, cls, batch_shape, names, event_dims: int = 0, _instance=None):
        """`expand` of a kind that is given by these parameters, of which the last event_dims
        dimensions belong to one event."""
        new = self._get_checked_instance(cls, _instance)
        shape = Size(batch_shape)
        for name in names:
            if name in self.__dict__:
                value = self.__dict__[name]
                own = tuple(value.shape)[value.dim() - event_dims :] if event_dims else ()
                new.__dict__[name] = value.expand(shape + own)
        Distribution.__init__(new, shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def __repr__(self) -> str:
        names = [k for k in self.arg_constraints if k in self.__dict__]
        shown = [f"{p}: {self.__dict__[p] if _is_number(self.__dict__[p]) else self._size(p)}"
                 for p in names]  # fmt: skip
        return f"{type(self).__name__}({', '.join(shown)})"

    def _size(self, name: str) -> Size:
        return self.__dict__[name].size()


def _is_number(value) -> bool:
    return not isinstance(value, Tensor) or value.numel() == 1
