"""Transforms: functions with an inverse, and the logarithm of how they stretch volume."""

from __future__ import annotations

import math
from functools import reduce

from ..creation import zeros_like
from ..dtypes import finfo
from ..tensor import Tensor
from . import constraints
from .parameters import sum_rightmost


class Transform:
    """A function from `domain` to `codomain`. bijective: has it an inverse? sign: of its slope."""

    bijective = False
    domain: constraints.Constraint
    codomain: constraints.Constraint

    def __init__(self, cache_size: int = 0):
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        self._cache_size = cache_size
        self._cached: tuple = (None, None)
        self._inverse: Transform | None = None

    @property
    def event_dim(self) -> int:
        if self.domain.event_dim != self.codomain.event_dim:
            raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")
        return self.domain.event_dim

    @property
    def inv(self) -> Transform:
        """The inverse; the inverse of that is this transform."""
        if self._inverse is None:
            self._inverse = _Inverse(self)
        return self._inverse

    @property
    def sign(self):
        name = type(self).__name__
        raise NotImplementedError(f"{name} has no sign: its slope is not of one sign everywhere")

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        if type(self).__init__ is Transform.__init__:
            return type(self)(cache_size=cache_size)
        raise NotImplementedError(f"{type(self)}.with_cache is not implemented")

    def __call__(self, x: Tensor) -> Tensor:
        if not self._cache_size:
            return self._call(x)
        if self._cached[0] is not x:
            self._cached = (x, self._call(x))
        return self._cached[1]

    def _inv_call(self, y: Tensor) -> Tensor:
        if self._cache_size and self._cached[1] is y:
            return self._cached[0]
        x = self._inverse_of(y)
        if self._cache_size:
            self._cached = (x, y)
        return x

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _inverse_of(self, y: Tensor) -> Tensor:
        raise NotImplementedError

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |dy/dx| of each event."""
        raise NotImplementedError

    def forward_shape(self, shape):
        return shape

    def inverse_shape(self, shape):
        return shape

    def __eq__(self, other) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __ne__(self, other) -> bool:
        return not self == other

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    """The inverse of a transform."""

    def __init__(self, transform: Transform):
        super().__init__(cache_size=transform._cache_size)
        self._inverse: Transform = transform

    @property
    def domain(self):  # type: ignore[override]
        return self._inverse.codomain

    @property
    def codomain(self):  # type: ignore[override]
        return self._inverse.domain

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return self._inverse.bijective

    @property
    def sign(self):
        return self._inverse.sign

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self.inv.with_cache(cache_size).inv

    def __eq__(self, other) -> bool:
        return isinstance(other, _Inverse) and self._inverse == other._inverse

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inverse!r})"

    def __call__(self, x: Tensor) -> Tensor:
        return self._inverse._inv_call(x)

    def _inv_call(self, y: Tensor) -> Tensor:
        return self._inverse(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._inverse.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape):
        return self._inverse.inverse_shape(shape)

    def inverse_shape(self, shape):
        return self._inverse.forward_shape(shape)


class ComposeTransform(Transform):
    """Several transforms, one after the other."""

    def __init__(self, parts: list[Transform], cache_size: int = 0):
        parts = [part.with_cache(cache_size) for part in parts] if cache_size else list(parts)
        super().__init__(cache_size=cache_size)
        self.parts = parts

    def __eq__(self, other) -> bool:
        return isinstance(other, ComposeTransform) and self.parts == other.parts

    __hash__ = object.__hash__

    @property
    def domain(self):  # type: ignore[override]
        if not self.parts:
            return constraints.real
        region, dims = self.parts[0].domain, self.parts[-1].codomain.event_dim
        for part in reversed(self.parts):
            dims = max(dims + part.domain.event_dim - part.codomain.event_dim,
                       part.domain.event_dim)  # fmt: skip
        more = dims - region.event_dim
        return constraints.independent(region, more) if more > 0 else region

    @property
    def codomain(self):  # type: ignore[override]
        if not self.parts:
            return constraints.real
        region, dims = self.parts[-1].codomain, self.parts[0].domain.event_dim
        for part in self.parts:
            dims = max(dims + part.codomain.event_dim - part.domain.event_dim,
                       part.codomain.event_dim)  # fmt: skip
        more = dims - region.event_dim
        return constraints.independent(region, more) if more > 0 else region

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(part.bijective for part in self.parts)

    @property
    def sign(self):
        return reduce(lambda sign, part: sign * part.sign, self.parts, 1)

    @property
    def inv(self) -> Transform:
        if self._inverse is None:
            self._inverse = ComposeTransform([part.inv for part in reversed(self.parts)])
            self._inverse._inverse = self
        return self._inverse

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        return ComposeTransform(self.parts, cache_size=cache_size)

    def __call__(self, x: Tensor) -> Tensor:
        return reduce(lambda value, part: part(value), self.parts, x)

    def _inv_call(self, y: Tensor) -> Tensor:
        return reduce(lambda value, part: part._inv_call(value), reversed(self.parts), y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.parts:
            return zeros_like(x)
        values = [x]
        for part in self.parts[:-1]:
            values.append(part(values[-1]))
        values.append(y)
        dims, terms = self.domain.event_dim, []
        for part, a, b in zip(self.parts, values, values[1:], strict=False):
            extra = dims - part.domain.event_dim
            terms.append(sum_rightmost(part.log_abs_det_jacobian(a, b), extra))
            dims += part.codomain.event_dim - part.domain.event_dim
        return reduce(lambda a, b: a + b, terms)

    def forward_shape(self, shape):
        return reduce(lambda s, part: part.forward_shape(s), self.parts, shape)

    def inverse_shape(self, shape):
        return reduce(lambda s, part: part.inverse_shape(s), reversed(self.parts), shape)

    def __repr__(self) -> str:
        inner = ",\n    ".join(p.__repr__() for p in self.parts)
        return f"{type(self).__name__}(\n    {inner}\n)"


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """A transform of which more dimensions belong to one event."""

    def __init__(self, base_transform, reinterpreted_batch_ndims: int, cache_size: int = 0):
        super().__init__(cache_size=cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        more = self.reinterpreted_batch_ndims
        return IndependentTransform(self.base_transform, more, cache_size=cache_size)

    @property
    def domain(self):  # type: ignore[override]
        return constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims)

    @property
    def codomain(self):  # type: ignore[override]
        region = self.base_transform.codomain
        return constraints.independent(region, self.reinterpreted_batch_ndims)

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return self.base_transform.bijective

    @property
    def sign(self):
        return self.base_transform.sign

    def _call(self, x: Tensor) -> Tensor:
        self._enough(x, self.domain)
        return self.base_transform(x)

    def _inverse_of(self, y: Tensor) -> Tensor:
        self._enough(y, self.codomain)
        return self.base_transform.inv(y)

    @staticmethod
    def _enough(x: Tensor, region) -> None:
        if x.dim() < region.event_dim:
            raise ValueError("Too few dimensions on input")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        found = self.base_transform.log_abs_det_jacobian(x, y)
        return sum_rightmost(found, self.reinterpreted_batch_ndims)

    def forward_shape(self, shape):
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape):
        return self.base_transform.inverse_shape(shape)

    def __repr__(self) -> str:
        name, more = type(self).__name__, self.reinterpreted_batch_ndims
        return f"{name}({self.base_transform!r}, {more})"


class _Alike(Transform):
    """A transform without parameters: all of its kind are equal."""

    def __eq__(self, other) -> bool:
        return type(other) is type(self)

    __hash__ = object.__hash__


class ExpTransform(_Alike):
    """y = exp(x)"""

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = +1

    def _call(self, x):
        return x.exp()

    def _inverse_of(self, y):
        return y.log()

    def log_abs_det_jacobian(self, x, y):
        return x


class SigmoidTransform(_Alike):
    """y = 1 / (1 + exp(-x)), kept inside of (0, 1)"""

    domain = constraints.real
    codomain = constraints.unit_interval
    bijective = True
    sign = +1

    def _call(self, x):
        return _inside(x.sigmoid())

    def _inverse_of(self, y):
        y = _inside(y)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x, y):
        from ..nn.functional import softplus

        return -softplus(-x) - softplus(x)


def _inside(p: Tensor) -> Tensor:
    limits = finfo(p.dtype)
    return p.clamp(min=limits.tiny, max=1.0 - limits.eps)


class TanhTransform(_Alike):
    """y = tanh(x)"""

    domain = constraints.real
    codomain = constraints.interval(-1.0, 1.0)
    bijective = True
    sign = +1

    def _call(self, x):
        return x.tanh()

    def _inverse_of(self, y):
        return y.atanh()

    def log_abs_det_jacobian(self, x, y):
        from ..nn.functional import softplus

        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class SoftplusTransform(_Alike):
    """y = log(1 + exp(x))"""

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = +1

    def _call(self, x):
        from ..nn.functional import softplus

        return softplus(x)

    def _inverse_of(self, y):
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x, y):
        from ..nn.functional import softplus

        return -softplus(-x)


class AbsTransform(_Alike):
    """y = |x|, of which the inverse is the positive side."""

    domain = constraints.real
    codomain = constraints.positive

    def _call(self, x):
        return x.abs()

    def _inverse_of(self, y):
        return y


class SoftmaxTransform(_Alike):
    """y = shares by exp(x); the inverse is a logarithm, up to a number added."""

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x):
        probs = (x - x.max(-1, True)[0]).exp()
        return probs / probs.sum(-1, True)

    def _inverse_of(self, y):
        return y.log()


class StickBreakingTransform(_Alike):
    """k numbers as k + 1 shares: each breaks a part off what is left of a stick."""

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    def _call(self, x):
        from ..nn.functional import pad

        parts = _inside((x - self._offset(x).log()).sigmoid())
        left = (1 - parts).cumprod(-1)
        return pad(parts, [0, 1], value=1) * pad(left, [1, 0], value=1)

    @staticmethod
    def _offset(x: Tensor) -> Tensor:
        """How many parts are still to come: all shares are equal at 0."""
        from ..creation import ones

        return x.shape[-1] + 1 - ones(x.shape[-1], dtype=x.dtype).cumsum(-1)

    def _inverse_of(self, y):
        y = y[..., :-1]
        left = (1 - y.cumsum(-1)).clamp(min=finfo(y.dtype).tiny)
        return y.log() - left.log() + self._offset(y).log()

    def log_abs_det_jacobian(self, x, y):
        from ..nn.functional import logsigmoid

        x = x - self._offset(x).log()
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape):
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape):
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return (*shape[:-1], shape[-1] - 1)


class PowerTransform(Transform):
    """y = x ** exponent, of positive numbers"""

    domain = constraints.positive
    codomain = constraints.positive
    bijective = True

    def __init__(self, exponent, cache_size: int = 0):
        super().__init__(cache_size=cache_size)
        from .parameters import broadcast_all

        (self.exponent,) = broadcast_all(exponent)

    def with_cache(self, cache_size: int = 1) -> Transform:
        same = self._cache_size == cache_size
        return self if same else PowerTransform(self.exponent, cache_size=cache_size)

    @property
    def sign(self):
        return self.exponent.sign()

    def __eq__(self, other) -> bool:
        if not isinstance(other, PowerTransform):
            return False
        return bool(self.exponent.eq(other.exponent).all())

    __hash__ = object.__hash__

    def _call(self, x):
        return x.pow(self.exponent)

    def _inverse_of(self, y):
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x, y):
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape):
        return _broadcast(shape, self.exponent)

    inverse_shape = forward_shape


class AffineTransform(Transform):
    """y = loc + scale * x; the last event_dim dimensions belong to one event."""

    bijective = True

    def __init__(self, loc, scale, event_dim: int = 0, cache_size: int = 0):
        super().__init__(cache_size=cache_size)
        self.loc = loc
        self.scale = scale
        self._event_dim = event_dim

    @property
    def event_dim(self) -> int:
        return self._event_dim

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        return AffineTransform(self.loc, self.scale, self.event_dim, cache_size=cache_size)

    @property
    def domain(self):  # type: ignore[override]
        dims = self._event_dim
        return constraints.independent(constraints.real, dims) if dims else constraints.real

    codomain = domain  # type: ignore[assignment]

    @property
    def sign(self):
        if isinstance(self.scale, Tensor):
            return self.scale.sign()
        return int(self.scale > 0) - int(self.scale < 0)

    def __eq__(self, other) -> bool:
        if not isinstance(other, AffineTransform):
            return False
        return _equal(self.loc, other.loc) and _equal(self.scale, other.scale)

    __hash__ = object.__hash__

    def _call(self, x):
        return self.loc + self.scale * x

    def _inverse_of(self, y):
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x, y):
        from ..creation import full_like

        if isinstance(self.scale, Tensor):
            found = self.scale.abs().log()
        else:
            found = full_like(x, math.log(abs(self.scale)))
        dims = self._event_dim
        if dims:
            found = found.reshape(tuple(found.shape)[:-dims] + (-1,)).sum(-1)
        return found.expand(tuple(x.shape)[: x.dim() - dims])

    def forward_shape(self, shape):
        return _broadcast(shape, self.loc, self.scale)

    inverse_shape = forward_shape


def _equal(a, b) -> bool:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        found = a == b
        return bool(found.all()) if isinstance(found, Tensor) else bool(found)
    return a == b


def _broadcast(shape, *values):
    from ..views import broadcast_shapes

    return broadcast_shapes(shape, *(getattr(v, "shape", ()) for v in values))
