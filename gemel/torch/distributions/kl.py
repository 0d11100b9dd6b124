"""How far one distribution is from another: the Kullback-Leibler divergence."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..tensor import Tensor
from .bernoulli import Bernoulli
from .categorical import Categorical
from .continuous import Exponential, Gamma, Gumbel, Laplace, Uniform
from .counts import Binomial, Geometric, Poisson
from .distribution import Distribution
from .folded import HalfNormal
from .heavy_tails import Cauchy
from .independent import Independent
from .multivariate_normal import MultivariateNormal, mahalanobis, solved
from .normal import Normal
from .one_hot import OneHotCategorical
from .parameters import euler_constant, sum_rightmost
from .shares import Beta, Dirichlet
from .transformed import TransformedDistribution

_RULES: dict[tuple[type, type], Callable] = {}


def register_kl(type_p, type_q):
    """Decorator: the function gives the divergence of such a p from such a q."""
    for kind in (type_p, type_q):
        if not (isinstance(kind, type) and issubclass(kind, Distribution)):
            raise TypeError(f"Expected a subclass of Distribution but got {kind}")

    def put(function):
        _RULES[type_p, type_q] = function
        return function

    return put


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The divergence of p from q, of the batch shape.

    Raises NotImplementedError where there is no rule for the two kinds.
    """
    kinds = [(a, b) for a in type(p).__mro__ for b in type(q).__mro__ if (a, b) in _RULES]
    if not kinds:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type "
            f"{type(q).__name__}"
        )
    return _RULES[kinds[0]](p, q)


@register_kl(Normal, Normal)
def _normals(p, q):
    ratio = (p.scale / q.scale).pow(2)
    off = ((p.loc - q.loc) / q.scale).pow(2)
    return 0.5 * (ratio + off - 1 - ratio.log())


@register_kl(Bernoulli, Bernoulli)
def _bernoullis(p, q):
    from ..nn.functional import softplus

    ones = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    ones = ones.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0)
    zeros = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    return ones + zeros.masked_fill(q.probs == 1, math.inf).masked_fill(p.probs == 1, 0)


@register_kl(Categorical, Categorical)
def _categoricals(p, q):
    parts = p.probs * (p.logits - q.logits)
    impossible = (q.probs == 0).expand_as(parts)
    parts = parts.masked_fill(impossible, math.inf)
    return parts.masked_fill((p.probs == 0).expand_as(parts), 0).sum(-1)


@register_kl(Uniform, Uniform)
def _uniforms(p, q):
    found = ((q.high - q.low) / (p.high - p.low)).log()
    return found.masked_fill((q.low > p.low) | (q.high < p.high), math.inf)


@register_kl(Exponential, Exponential)
def _exponentials(p, q):
    ratio = q.rate / p.rate
    return ratio - ratio.log() - 1


@register_kl(Laplace, Laplace)
def _laplaces(p, q):
    ratio = p.scale / q.scale
    off = (p.loc - q.loc).abs()
    return -ratio.log() + off / q.scale + ratio * (-off / p.scale).exp() - 1


@register_kl(Gamma, Gamma)
def _gammas(p, q):
    a, b = p.concentration, q.concentration
    rates = b * (p.rate / q.rate).log()
    return (
        rates + b.lgamma() - a.lgamma() + (a - b) * a.digamma() + (q.rate - p.rate) * (a / p.rate)
    )


@register_kl(Dirichlet, Dirichlet)
def _dirichlets(p, q):
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    norms = (total.lgamma() - b.sum(-1).lgamma()) - (a.lgamma() - b.lgamma()).sum(-1)
    return norms + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(Beta, Beta)
def _betas(p, q):
    return _dirichlets(p._pair, q._pair)


@register_kl(Independent, Independent)
def _independents(p, q):
    more = p.reinterpreted_batch_ndims
    if more != q.reinterpreted_batch_ndims:
        raise NotImplementedError("the two have events of different numbers of dimensions")
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), more)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hots(p, q):
    return _categoricals(p._categorical, q._categorical)


@register_kl(Poisson, Poisson)
def _poissons(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Geometric, Geometric)
def _geometrics(p, q):
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Binomial, Binomial)
def _binomials(p, q):
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    each = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return (p.total_count * each).masked_fill(p.total_count > q.total_count, math.inf)


@register_kl(Cauchy, Cauchy)
def _cauchys(p, q):
    square = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return square.log() - (4 * p.scale * q.scale).log()


@register_kl(Gumbel, Gumbel)
def _gumbels(p, q):
    ratio, off = p.scale / q.scale, (q.loc - p.loc) / q.scale
    rest = (off + (ratio + 1).lgamma()).exp() - (1 + euler_constant)
    return ratio * euler_constant - ratio.log() - off + rest


@register_kl(HalfNormal, HalfNormal)
def _half_normals(p, q):
    return _normals(p.base_dist, q.base_dist)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normals(p, q):
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Multivariate Normals with different event shapes cannot "
            "be computed"
        )
    spread = solved(q._factor, p._factor).pow(2).sum((-2, -1))
    off = mahalanobis(q._factor, q.loc - p.loc)
    return q._half_log() - p._half_log() + 0.5 * (spread + off - p.event_shape[0])


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p, q):
    if p.transforms != q.transforms:
        raise NotImplementedError("the two have other transforms")
    if p.event_shape != q.event_shape:
        raise NotImplementedError("the two have events of different shapes")
    more = len(p.event_shape) - len(p.base_dist.event_shape)
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), more)
