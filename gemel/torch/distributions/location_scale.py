"""What distributions that are moved and stretched have in common: loc and scale."""

from __future__ import annotations

from ..size import Size
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .parameters import broadcast_all


class LocationScale(Distribution):
    """A kind given by loc and scale, whose mode is loc."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    loc: Tensor
    scale: Tensor

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.form.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    def expand(self, batch_shape, _instance=None):
        kind = next(k for k in type(self).__mro__ if k.__bases__[0] is LocationScale)
        return self._expanded(kind, Size(batch_shape), ("loc", "scale"), 0, _instance)
