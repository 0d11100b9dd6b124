"""`MultivariateNormal`: several normals that depend on each other."""

from __future__ import annotations

import math

from ..linalg import cholesky, solve_triangular
from ..size import Size
from ..tensor import Tensor
from ..views import broadcast_shapes
from . import constraints
from .distribution import Distribution
from .normal import standard_normal
from .parameters import lazy_property

_NAMES = ("covariance_matrix", "precision_matrix", "scale_tril")


class MultivariateNormal(Distribution):
    """loc [*batch, k], and one of covariance_matrix, precision_matrix (its inverse) and scale_tril
    (its Cholesky factor), each [*batch, k, k]."""

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None,
        validate_args=None,
    ):  # fmt: skip
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        matrices = (covariance_matrix, precision_matrix, scale_tril)
        given = [(n, m) for n, m in zip(_NAMES, matrices, strict=True) if m is not None]
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        ((name, matrix),) = given
        if matrix.dim() < 2:
            more = ", with optional leading batch dimensions"
            raise ValueError(
                f"{name} matrix must be at least two-dimensional{more}"
                if name == "scale_tril"
                else f"{name} must be at least two-dimensional{more}"
            )
        batch = broadcast_shapes(tuple(matrix.shape)[:-2], tuple(loc.shape)[:-1])
        setattr(self, name, matrix.expand((*batch, -1, -1)))
        self.loc = loc.expand((*batch, -1))
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)
        self._factor = _factor(name, matrix)

    def expand(self, batch_shape, _instance=None):
        new = self._get_checked_instance(MultivariateNormal, _instance)
        shape, k = Size(batch_shape), tuple(self.event_shape)
        new.loc = self.loc.expand(shape + k)
        new._factor = self._factor.expand(shape + k + k)
        for name in _NAMES:
            if name in self.__dict__:
                setattr(new, name, self.__dict__[name].expand(shape + k + k))
        Distribution.__init__(new, shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._spread(self._factor)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return self._spread(self._factor @ self._factor.mT)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        inverse = solve_triangular(self._factor, _identity(self._factor), upper=False)
        return self._spread(inverse.mT @ inverse)

    def _spread(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        found = self._factor.pow(2).sum(-1)
        return found.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape=()) -> Tensor:
        drawn = standard_normal(self._extended_shape(sample_shape), self.loc.dtype)
        return self.loc + (self._factor @ drawn.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value) -> Tensor:
        value = self._validate_sample(value)
        length = mahalanobis(self._factor, value - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + length) - self._half_log()

    def _half_log(self) -> Tensor:
        """Half of the logarithm of the covariance's determinant."""
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def entropy(self) -> Tensor:
        found = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._half_log()
        return found if not self._batch_shape else found.expand(self._batch_shape)


def _factor(name: str, matrix: Tensor) -> Tensor:
    """The Cholesky factor of the covariance."""
    if name == "scale_tril":
        return matrix
    if name == "covariance_matrix":
        return cholesky(matrix)
    # the inverse's factor turned over is an upper one; the covariance has it as a lower one
    turned = cholesky(matrix.flip((-2, -1))).flip((-2, -1)).mT
    return solve_triangular(turned, _identity(matrix), upper=False)


def _identity(like: Tensor) -> Tensor:
    from ..sequences import eye

    return eye(like.shape[-1], dtype=like.dtype)


def solved(factor: Tensor, right: Tensor) -> Tensor:
    """The inverse of a lower triangular factor times a matrix; both spread over all batches."""
    batch = broadcast_shapes(tuple(factor.shape)[:-2], tuple(right.shape)[:-2])
    sides = (x.expand((*batch, *tuple(x.shape)[-2:])) for x in (factor, right))
    return solve_triangular(*sides, upper=False)


def mahalanobis(factor: Tensor, off: Tensor) -> Tensor:
    """Squares of offs [..., k], measured by the covariance of which this is the factor."""
    return solved(factor, off.unsqueeze(-1)).pow(2).sum((-2, -1))
