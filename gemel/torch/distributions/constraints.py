"""What the parameters of a distribution, and the values it gives, must be.

A constraint's `check(value)` is a tensor of truth values: which events of the value hold. It is one
recorded call where the bounds are numbers. `holds(array)` asks the same of numbers that are known.
"""

from __future__ import annotations

import numpy as np

from gemel.ops import supports
from gemel.ops.record import Call
from gemel.tensor import array_of, record1

from ..tensor import Tensor

_IN_RANGE = Call("in_range", lambda attrs, x: supports.in_range(x, *attrs))
_ON_SIMPLEX = Call("on_simplex", lambda attrs, x: supports.on_simplex(x))
_NO_NAN = Call("no_nan", lambda attrs, x: supports.no_nan(x))


class Constraint:
    """A region of values. event_dim: how many last dimensions are one event."""

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """Truth values of the shape of value, less the event's dimensions."""
        raise NotImplementedError(f"{self!r} does not say which values it holds")

    def holds(self, value: Tensor, array: np.ndarray) -> bool:
        """Do all events hold? The value is known: `array`."""
        return bool(array_of(self.check(value)).all())

    def __repr__(self) -> str:
        return type(self).__name__.lstrip("_") + "()"


class _Dependent(Constraint):
    """A region that depends on other parameters, so that it is known of an instance only."""

    def __init__(self, *, is_discrete=NotImplemented, event_dim=NotImplemented):
        self._is_discrete = is_discrete
        self._event_dim = event_dim

    @property
    def is_discrete(self):  # type: ignore[override]
        if self._is_discrete is NotImplemented:
            raise NotImplementedError(".is_discrete cannot be determined statically")
        return self._is_discrete

    @property
    def event_dim(self):  # type: ignore[override]
        if self._event_dim is NotImplemented:
            raise NotImplementedError(".event_dim cannot be determined statically")
        return self._event_dim

    def __call__(self, *, is_discrete=NotImplemented, event_dim=NotImplemented):
        """A constraint of this kind that knows more."""
        discrete = self._is_discrete if is_discrete is NotImplemented else is_discrete
        dims = self._event_dim if event_dim is NotImplemented else event_dim
        return _Dependent(is_discrete=discrete, event_dim=dims)

    def check(self, value):
        raise ValueError("Cannot determine validity of dependent constraint")


class _DependentProperty(property, _Dependent):
    """A property of a distribution that gives its constraint; on the class, a dependent one."""

    def __init__(self, function=None, *, is_discrete=NotImplemented, event_dim=NotImplemented):
        super().__init__(function)
        self._is_discrete = is_discrete
        self._event_dim = event_dim

    def __call__(self, function=None, *, is_discrete=NotImplemented, event_dim=NotImplemented):
        if callable(function):
            return _DependentProperty(
                function, is_discrete=self._is_discrete, event_dim=self._event_dim
            )
        return super().__call__(is_discrete=is_discrete, event_dim=event_dim)


def is_dependent(constraint) -> bool:
    """Is it known of an instance only?"""
    return isinstance(constraint, _Dependent)


class _Real(Constraint):
    """Numbers; not NaN."""

    def check(self, value):
        return record1(_NO_NAN, value)

    def holds(self, value, array):
        return not np.isnan(array).any()


class _Range(Constraint):
    """Between two bounds, which are numbers or tensors; None: no bound.

    open: sides whose bound does not belong to it;  whole: only whole numbers."""

    open = ""
    whole = False

    def __init__(self, lower_bound=None, upper_bound=None):
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def check(self, value):
        low, high = self.lower_bound, self.upper_bound
        if not isinstance(low, Tensor) and not isinstance(high, Tensor):
            bounds = (None if x is None else float(x) for x in (low, high))
            return record1(_IN_RANGE, value, (*bounds, self.open, self.whole))
        return self._between(value, low, high)

    def holds(self, value, array):
        low, high = self.lower_bound, self.upper_bound
        if isinstance(low, Tensor) or isinstance(high, Tensor):
            return super().holds(value, array)
        return bool(np.all(self._between(array, low, high)))

    def _between(self, x, low, high):
        """The same of arrays and of tensors."""
        held = x % 1 == 0 if self.whole else x == x
        if low is not None:
            held = held & (x > low if "low" in self.open else x >= low)
        if high is not None:
            held = held & (x < high if "high" in self.open else x <= high)
        return held

    def __repr__(self) -> str:
        bounds = ("lower_bound", self.lower_bound), ("upper_bound", self.upper_bound)
        given = ", ".join(f"{name}={bound}" for name, bound in bounds if bound is not None)
        return f"{type(self).__name__.lstrip('_')}({given})"


class _GreaterThan(_Range):
    open = "low"

    def __init__(self, lower_bound):
        super().__init__(lower_bound)


class _GreaterThanEq(_Range):
    def __init__(self, lower_bound):
        super().__init__(lower_bound)


class _LessThan(_Range):
    open = "high"

    def __init__(self, upper_bound):
        super().__init__(None, upper_bound)


class _Interval(_Range):
    pass


class _HalfOpenInterval(_Range):
    open = "high"


class _IntegerInterval(_Range):
    whole = is_discrete = True


class _IntegerLessThan(_Range):
    whole = is_discrete = True

    def __init__(self, upper_bound):
        super().__init__(None, upper_bound)


class _IntegerGreaterThan(_Range):
    whole = is_discrete = True

    def __init__(self, lower_bound):
        super().__init__(lower_bound)


class _Boolean(Constraint):
    """0 or 1."""

    is_discrete = True

    def check(self, value):
        return record1(_IN_RANGE, value, (0.0, 1.0, "", True))

    def holds(self, value, array):
        return bool(((array == 0) | (array == 1)).all())


class _OneHot(Constraint):
    """Zeros and a single one along the last dimension."""

    is_discrete = True
    event_dim = 1

    def check(self, value):
        return ((value == 0) | (value == 1)).all(-1) & value.sum(-1).eq(1)


class _Simplex(Constraint):
    """Shares along the last dimension: not negative, 1 in sum."""

    event_dim = 1

    def check(self, value):
        return record1(_ON_SIMPLEX, value)

    def holds(self, value, array):
        ends = abs(array.sum(-1) - 1) < supports.SIMPLEX_ERROR
        return bool((array >= 0).all() and ends.all())


class _Multinomial(Constraint):
    """Counts along the last dimension, at most upper_bound in sum."""

    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    def check(self, value):
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)


class _LowerTriangular(Constraint):
    event_dim = 2

    def check(self, value):
        return (value.tril() == value).flatten(-2).all(-1)


class _LowerCholesky(_LowerTriangular):
    """Lower triangular, with a positive diagonal."""

    def check(self, value):
        return super().check(value) & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class _CorrCholesky(_LowerCholesky):
    """Lower triangular, with a positive diagonal and rows of length 1."""

    def check(self, value):
        error = 10 * value.size(-1) * np.finfo(value.form.dtype.name).eps
        length = (value * value).sum(-1).sqrt()
        return super().check(value) & ((length - 1).abs() <= error).all(-1)


class _Square(Constraint):
    event_dim = 2

    def check(self, value):
        from ..creation import full

        square = value.size(-2) == value.size(-1)
        return full(value.shape[:-2], square)


class _Symmetric(_Square):
    def check(self, value):
        from ..arithmetic import isclose

        square = super().check(value)
        if value.size(-2) != value.size(-1):
            return square
        return isclose(value, value.mT, atol=1e-6).all(-2).all(-1)


class _PositiveSemidefinite(_Symmetric):
    def check(self, value):
        from ..linalg import eigvalsh

        symmetric = super().check(value)
        if not symmetric.all():
            return symmetric
        return eigvalsh(value).ge(0).all(-1)


class _PositiveDefinite(_Symmetric):
    def check(self, value):
        from ..linalg import cholesky_ex

        symmetric = super().check(value)
        if not symmetric.all():
            return symmetric
        return cholesky_ex(value).info.eq(0)


class _Independent(Constraint):
    """A constraint whose last dimensions beyond its own are part of the event."""

    def __init__(self, base_constraint, reinterpreted_batch_ndims):
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    @property
    def is_discrete(self):  # type: ignore[override]
        return self.base_constraint.is_discrete

    @property
    def event_dim(self):  # type: ignore[override]
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value):
        held = self.base_constraint.check(value)
        more = self.reinterpreted_batch_ndims
        if held.dim() < more:
            wanted = self.base_constraint.event_dim + more
            raise ValueError(f"Expected value.dim() >= {wanted} but got {value.dim()}")
        return held.reshape(*held.shape[: held.dim() - more], -1).all(-1) if more else held

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class _Parts(Constraint):
    """Constraints of the parts into which a dimension falls."""

    def __init__(self, constraints, dim: int):
        self.cseq = list(constraints)
        self.dim = dim

    @property
    def is_discrete(self):  # type: ignore[override]
        return any(c.is_discrete for c in self.cseq)


class _Cat(_Parts):
    """Each constraint holds a piece of the dimension, of the length given."""

    def __init__(self, cseq, dim=0, lengths=None):
        super().__init__(cseq, dim)
        self.lengths = list(lengths) if lengths is not None else [1] * len(self.cseq)

    @property
    def event_dim(self):  # type: ignore[override]
        return max(c.event_dim for c in self.cseq)

    def check(self, value):
        from ..joining import cat

        pieces = value.split(self.lengths, self.dim)
        return cat([c.check(v) for c, v in zip(self.cseq, pieces, strict=True)], self.dim)


class _Stack(_Parts):
    """Each constraint holds one place of the dimension."""

    def __init__(self, cseq, dim=0):
        super().__init__(cseq, dim)

    @property
    def event_dim(self):  # type: ignore[override]
        deepest = max(c.event_dim for c in self.cseq)
        return deepest + 1 if self.dim + deepest < 0 else deepest

    def check(self, value):
        from ..joining import stack

        pieces = value.unbind(self.dim)
        return stack([c.check(v) for c, v in zip(self.cseq, pieces, strict=True)], self.dim)


dependent = _Dependent()
dependent_property = _DependentProperty
independent = _Independent
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
integer_interval = _IntegerInterval
real = _Real()
real_vector = independent(real, 1)
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
multinomial = _Multinomial
unit_interval = _Interval(0.0, 1.0)
interval = _Interval
half_open_interval = _HalfOpenInterval
simplex = _Simplex()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
corr_cholesky = _CorrCholesky()
square = _Square()
symmetric = _Symmetric()
positive_semidefinite = _PositiveSemidefinite()
positive_definite = _PositiveDefinite()
cat = _Cat
stack = _Stack
