"""`torch.special`: special functions, one line each; the mathematics is in `ops`.

Functions that are methods too (erfc, digamma, igamma, ...) are installed here as well and appear in
`torch` under their names.
"""

from __future__ import annotations

from gemel.graph.form import float32
from gemel.graph.node import Node
from gemel.ops import (
    bessel,
    error_functions,
    gamma,
    incomplete_gamma,
    modified_bessel,
    orthogonal,
    transcendental,
)
from gemel.ops.record import Call
from gemel.ops.zeta import zeta as _hurwitz_zeta
from gemel.tensor import record1

from .arithmetic import logit as logit
from .arithmetic import round as round
from .define import arithmetic, binary, binary_function, into, stored, unary, unary_function
from .pointwise import erf as erf
from .pointwise import exp2 as exp2
from .pointwise import expm1 as expm1
from .pointwise import log1p as log1p
from .pointwise import sigmoid
from .pointwise import sinc as sinc
from .pointwise import xlogy as xlogy
from .promotion import as_float
from .reductions import log_softmax as log_softmax
from .reductions import logsumexp as logsumexp
from .reductions import softmax as softmax
from .tensor import Tensor, attach
from .writing import inplace

expit = sigmoid

# ---------- error functions ----------
erfc = unary("erfc", error_functions.erfc)
erfinv = unary("erfinv", error_functions.erfinv)
erfcx = unary_function("special_erfcx", error_functions.erfcx)
ndtr = unary_function("special_ndtr", error_functions.ndtr)
ndtri = unary_function("special_ndtri", error_functions.ndtri)
log_ndtr = unary_function("special_log_ndtr", error_functions.log_ndtr)
entr = unary_function("special_entr", error_functions.entropy)

# ---------- gamma functions ----------
lgamma = unary("lgamma", gamma.lgamma)
digamma = unary("digamma", gamma.digamma)
gammaln = lgamma
psi = digamma
igamma = binary("igamma", incomplete_gamma.lower, as_float, numbers=False)
igammac = binary("igammac", incomplete_gamma.upper, as_float, numbers=False)
gammainc = igamma
gammaincc = igammac
zeta = binary_function("special_zeta", arithmetic("special_zeta", _hurwitz_zeta, as_float))


def _polygamma(attrs, x):
    return gamma.polygamma(attrs[0], *as_float(x))


POLYGAMMA = Call("polygamma", _polygamma)
_POLYGAMMA_IN_PLACE = stored(POLYGAMMA)


def _order(n: int) -> tuple[int]:
    if not isinstance(n, int):
        raise TypeError(f"polygamma(): argument 'n' must be int, not {type(n).__name__}")
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return (n,)


def polygamma(n: int, input, *, out=None) -> Tensor:
    """The n-th derivative of digamma."""
    return into(out, record1(POLYGAMMA, input, _order(n)))


@attach("polygamma")
def _polygamma_method(self, n: int):
    return record1(POLYGAMMA, self, _order(n))


@attach("polygamma_")
def _polygamma_in_place(self, n: int):
    return inplace(_POLYGAMMA_IN_PLACE, self, attrs=_order(n))


def _mvlgamma(attrs, x):
    return gamma.multivariate_lgamma(*as_float(x), attrs[0])


MVLGAMMA = Call("mvlgamma", _mvlgamma)
_MVLGAMMA_IN_PLACE = stored(MVLGAMMA)


def _variables(p: int) -> tuple[int]:
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    return (p,)


@attach()
def mvlgamma(input, p: int, *, out=None) -> Tensor:
    """The logarithm of the gamma function of p variables."""
    return into(out, record1(MVLGAMMA, input, _variables(p)))


@attach("mvlgamma_")
def _mvlgamma_in_place(self, p: int):
    return inplace(_MVLGAMMA_IN_PLACE, self, attrs=_variables(p))


multigammaln = mvlgamma

# ---------- Bessel functions ----------
i0 = unary("i0", modified_bessel.i0)
i0e = unary_function("special_i0e", modified_bessel.i0e)
i1 = unary_function("special_i1", modified_bessel.i1)
i1e = unary_function("special_i1e", modified_bessel.i1e)
modified_bessel_i0 = unary_function("special_modified_bessel_i0", modified_bessel.i0)
modified_bessel_i1 = unary_function("special_modified_bessel_i1", modified_bessel.i1)
modified_bessel_k0 = unary_function("special_modified_bessel_k0", modified_bessel.k0)
modified_bessel_k1 = unary_function("special_modified_bessel_k1", modified_bessel.k1)
scaled_modified_bessel_k0 = unary_function("special_scaled_modified_bessel_k0", modified_bessel.k0e)
scaled_modified_bessel_k1 = unary_function("special_scaled_modified_bessel_k1", modified_bessel.k1e)
bessel_j0 = unary_function("special_bessel_j0", bessel.j0)
bessel_j1 = unary_function("special_bessel_j1", bessel.j1)
bessel_y0 = unary_function("special_bessel_y0", bessel.y0)
bessel_y1 = unary_function("special_bessel_y1", bessel.y1)
spherical_bessel_j0 = unary_function("special_spherical_bessel_j0", bessel.spherical_j0)
airy_ai = unary_function("special_airy_ai", bessel.airy)


# ---------- products with logarithms ----------
xlog1py = binary_function(
    "special_xlog1py", arithmetic("special_xlog1py", transcendental.x_log1p_y, as_float)
)


# ---------- orthogonal polynomials ----------
def _polynomial(name: str, build):
    """A function of (x, n); either may be a number."""
    name = f"special_{name}"
    return binary_function(name, arithmetic(name, build, as_float))


def _chebyshev(kind: str):
    return _polynomial(
        f"chebyshev_polynomial_{kind}", lambda x, n: orthogonal.chebyshev(kind, x, n)
    )


def _shifted(kind: str):
    return _polynomial(
        f"shifted_chebyshev_polynomial_{kind}", lambda x, n: orthogonal.chebyshev(kind, x, n, True)
    )


def _by_recurrence(name: str, family: str, limited: bool = False):
    """Hermite's are NaN above a degree that depends on the type."""

    def build(x: Node, n: Node) -> Node:
        limit = (128 if x.dtype is float32 else 512) if limited else None
        return orthogonal.by_recurrence(family, x, n, limit)

    return _polynomial(name, build)


chebyshev_polynomial_t = _chebyshev("t")
chebyshev_polynomial_u = _chebyshev("u")
chebyshev_polynomial_v = _chebyshev("v")
chebyshev_polynomial_w = _chebyshev("w")
shifted_chebyshev_polynomial_t = _shifted("t")
shifted_chebyshev_polynomial_u = _shifted("u")
shifted_chebyshev_polynomial_v = _shifted("v")
shifted_chebyshev_polynomial_w = _shifted("w")
hermite_polynomial_h = _by_recurrence("hermite_polynomial_h", "hermite_h", True)
hermite_polynomial_he = _by_recurrence("hermite_polynomial_he", "hermite_he", True)
laguerre_polynomial_l = _by_recurrence("laguerre_polynomial_l", "laguerre")
legendre_polynomial_p = _by_recurrence("legendre_polynomial_p", "legendre")
