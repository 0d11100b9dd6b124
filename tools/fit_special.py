"""Fit the Chebyshev series of gemel/ops/*_series.py (run by hand; needs mpmath).

Each series interpolates a smooth part of a special function, on the interval that its comment
gives, in 40-digit arithmetic. Terms below 1e-17 of the largest are dropped.

    python tools/fit_special.py gamma > gemel/ops/gamma_series.py
"""

from __future__ import annotations

import sys

import mpmath as mp

mp.mp.dps = 40
ROOT_PI = mp.sqrt(mp.pi)
FAR = mp.mpf(10) ** 12  # stands for infinity where a function has a limit there


def series(function, low, high, points=64):
    """The Chebyshev coefficients of the function on [low, high]."""
    low, high = mp.mpf(low), mp.mpf(high)
    angles = [mp.pi * (k + mp.mpf(1) / 2) / points for k in range(points)]
    values = [function((high - low) / 2 * mp.cos(a) + (low + high) / 2) for a in angles]
    found = []
    for j in range(points):
        terms = (v * mp.cos(j * a) for v, a in zip(values, angles, strict=True))
        found.append(mp.fsum(terms) * 2 / points)
    found[0] /= 2
    least = max(abs(c) for c in found) * mp.mpf("1e-17")
    return found[: max(i for i, c in enumerate(found) if abs(c) > least) + 1]


def erfcx_scaled(t):
    """(1 + 2 x) exp(x * x) erfc(x) for t = (x - 3.5) / (x + 3.5)."""
    x = mp.mpf("3.5") * (1 + t) / (1 - t)
    if x > 10**4:
        w = 1 / (2 * x * x)
        grown = (1 - w + 3 * w * w - 15 * w**3) / (x * ROOT_PI)
    else:
        grown = mp.exp(x * x) * mp.erfc(x)
    return (1 + 2 * x) * grown


def erfinv_ratio(w):
    """erfinv(x) / x for w = -log(1 - x * x)."""
    if w < mp.mpf("1e-15"):
        return ROOT_PI / 2
    complement = -mp.expm1(mp.log1p(-mp.exp(-w)) / 2)
    y = mp.sqrt(w) if w > 3 else mp.sqrt(mp.pi * w) / 2
    for _ in range(60):
        rest = mp.log(mp.erfc(y)) - mp.log(complement)
        step = rest * mp.erfc(y) * mp.exp(y * y) * ROOT_PI / 2
        y += step
        if abs(step) < mp.mpf("1e-38") * y:
            break
    return y / (1 - complement)


def stirling_rest(u):
    """x (lgamma(x) - (x - 1/2) log(x) + x - log(2 pi) / 2) for u = (8 / x)**2."""
    if u < mp.mpf("1e-20"):
        return mp.mpf(1) / 12
    x = 8 / mp.sqrt(u)
    return x * (mp.loggamma(x) - (x - mp.mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2)


def digamma_rest(u):
    """x * x (digamma(x) - log(x) + 1 / (2 x)) for u = (8 / x)**2."""
    if u < mp.mpf("1e-16"):
        return -mp.mpf(1) / 12
    x = 8 / mp.sqrt(u)
    return x * x * (mp.digamma(x) - mp.log(x) + 1 / (2 * x))


def over_zero(function, zero):
    """function(x) / (x - zero), smooth through the zero."""
    return lambda x: function(x) / (x - zero)


def bessel_j(order):
    """J(x) / x**order for u = x * x."""
    return lambda u: mp.besselj(order, mp.sqrt(u)) / mp.sqrt(u) ** order


def bessel_y0(u):
    """Y0(x) - (2 / pi) log(x) J0(x) for u = x * x."""
    x = mp.sqrt(u)
    return mp.bessely(0, x) - 2 / mp.pi * mp.log(x) * mp.besselj(0, x)


def bessel_y1(u):
    """(Y1(x) - (2 / pi) (log(x) J1(x) - 1 / x)) / x for u = x * x."""
    x = mp.sqrt(u)
    known = 2 / mp.pi * (mp.log(x) * mp.besselj(1, x) - 1 / x)
    return (mp.bessely(1, x) - known) / x


def phase_parts(order, shift):
    """The two amplitudes of sqrt(pi x / 2) J(x) = P cos(x - shift) - Q sin(x - shift) / x, of
    u = (8 / x)**2."""

    def both(u):
        x = 8 / mp.sqrt(u) if u > mp.mpf("1e-20") else FAR
        j, y = mp.besselj(order, x), mp.bessely(order, x)
        c, s, root = mp.cos(x - shift), mp.sin(x - shift), mp.sqrt(mp.pi * x / 2)
        return root * (j * c + y * s), x * root * (y * c - j * s)

    return lambda u: both(u)[0], lambda u: both(u)[1]


def bessel_i_near(order):
    """exp(-x) I(x) / x**order."""
    return lambda x: mp.exp(-x) * mp.besseli(order, x) / x**order


def bessel_i_far(order):
    """sqrt(x) exp(-x) I(x) for v = 8 / x."""

    def scaled(v):
        if v < mp.mpf("1e-3"):  # the asymptotic series
            return asymptotic(order, v / 8, -1) / mp.sqrt(2 * mp.pi)
        x = 8 / v
        return mp.sqrt(x) * mp.exp(-x) * mp.besseli(order, x)

    return scaled


def asymptotic(order, inverse, sign):
    """The sum of products of (4 order**2 - (2 k - 1)**2) / (8 k x), DLMF 10.40."""
    total, term = mp.mpf(1), mp.mpf(1)
    for k in range(1, 12):
        term *= sign * (4 * order**2 - (2 * k - 1) ** 2) * inverse / (8 * k)
        total += term
    return total


def bessel_k_near(order):
    """x**order (K(x) -+ log(x / 2) I(x)) for u = x * x."""

    def rest(u):
        x = mp.sqrt(u)
        sign = 1 if order == 0 else -1
        return x**order * (mp.besselk(order, x) + sign * mp.log(x / 2) * mp.besseli(order, x))

    return rest


def bessel_k_far(order):
    """sqrt(x) exp(x) K(x) for v = 2 / x."""

    def scaled(v):
        if v < mp.mpf("1e-3"):
            return asymptotic(order, v / 2, 1) * mp.sqrt(mp.pi / 2)
        x = 2 / v
        return mp.sqrt(x) * mp.exp(x) * mp.besselk(order, x)

    return scaled


ZETA = mp.mpf(2) / 3 * mp.sqrt(8)  # (2/3) x**1.5 at 2
ZETA_WAVES = mp.mpf(2) / 3 * mp.sqrt(216)  # at 6


def airy_decay(v):
    """2 sqrt(pi) x**(1/4) exp(z) Ai(x) for z = (2/3) x**1.5 = ZETA / v."""
    z = ZETA / v if v > mp.mpf("1e-12") else FAR
    if z > 10**6:
        return 1 - mp.mpf(5) / (72 * z) + mp.mpf(385) / (10368 * z * z)
    x = (z * 3 / 2) ** (mp.mpf(2) / 3)
    return 2 * ROOT_PI * mp.sqrt(mp.sqrt(x)) * mp.exp(z) * mp.airyai(x)


def airy_waves():
    """The amplitudes of sqrt(pi) z**(1/4) Ai(-x) = sin(z + pi/4) P - cos(z + pi/4) Q / z, of
    u = (ZETA_WAVES / z)**2."""

    def both(u):
        z = ZETA_WAVES / mp.sqrt(u)
        x = (z * 3 / 2) ** (mp.mpf(2) / 3)
        root = ROOT_PI * mp.sqrt(mp.sqrt(x))
        a, b = root * mp.airyai(-x), root * mp.airybi(-x)
        s, c = mp.sin(z + mp.pi / 4), mp.cos(z + mp.pi / 4)
        return a * s + b * c, z * (b * s - a * c)

    return lambda u: both(u)[0], lambda u: both(u)[1]


def gamma_tables():
    """(name, comment, function, low, high) of the error function's and the gamma function's."""
    psi_zero = mp.findroot(mp.digamma, mp.mpf("1.46"))
    middle, far = mp.sqrt(5), mp.sqrt(40)

    def of_root(s):
        return erfinv_ratio(s * s)

    yield "ERFCX", "(1 + 2 x) erfcx(x) of (x - 3.5) / (x + 3.5) in [-1, 1]", erfcx_scaled, -1, 1
    yield "ERFINV_NEAR", "erfinv(x) / x of w = -log(1 - x x) in [0, 5]", erfinv_ratio, 0, 5
    yield "ERFINV_MIDDLE", "the same of sqrt(w), w in [5, 40]", of_root, middle, far
    yield "ERFINV_FAR", "the same, w in [40, 750]", of_root, far, mp.sqrt(750)
    yield "LGAMMA", "lgamma(x) / (x - 2) of x in [2, 3]", over_zero(mp.loggamma, 2), 2, 3
    yield "STIRLING", "x (lgamma(x) - Stirling) of (8 / x)**2 in [0, 1]", stirling_rest, 0, 1
    near = over_zero(mp.digamma, psi_zero)
    yield "DIGAMMA", "digamma(x) / (x - its zero) of x in [1, 2]", near, 1, 2
    yield "DIGAMMA_FAR", "x x (digamma(x) - log(x) + 1/2x), (8 / x)**2", digamma_rest, 0, 1


def bessel_tables():
    """The same of Bessel's and Airy's functions."""
    tail = mp.mpf("1e-24")
    p0, q0 = phase_parts(0, mp.pi / 4)
    p1, q1 = phase_parts(1, 3 * mp.pi / 4)
    wave_p, wave_q = airy_waves()
    yield "J0", "J0(x) of x x in [0, 64]", bessel_j(0), 0, 64
    yield "J1", "J1(x) / x of x x in [0, 64]", bessel_j(1), 0, 64
    yield "Y0", "Y0(x) - (2/pi) log(x) J0(x) of x x", bessel_y0, 0, 64
    yield "Y1", "(Y1(x) - (2/pi) (log(x) J1(x) - 1/x)) / x of x x", bessel_y1, 0, 64
    yield "WAVE_P0", "amplitudes of J0 and Y0 for x > 8 of (8 / x)**2", p0, 0, 1
    yield "WAVE_Q0", "", q0, 0, 1
    yield "WAVE_P1", "of J1 and Y1", p1, 0, 1
    yield "WAVE_Q1", "", q1, 0, 1
    yield "I0_NEAR", "exp(-x) I0(x) of x in [0, 8]", bessel_i_near(0), 0, 8
    yield "I0_FAR", "sqrt(x) exp(-x) I0(x) of 8 / x in [0, 1]", bessel_i_far(0), 0, 1
    yield "I1_NEAR", "exp(-x) I1(x) / x of x in [0, 8]", bessel_i_near(1), 0, 8
    yield "I1_FAR", "sqrt(x) exp(-x) I1(x) of 8 / x in [0, 1]", bessel_i_far(1), 0, 1
    yield "K0_NEAR", "K0(x) + log(x / 2) I0(x) of x x in [0, 4]", bessel_k_near(0), tail, 4
    yield "K0_FAR", "sqrt(x) exp(x) K0(x) of 2 / x in [0, 1]", bessel_k_far(0), 0, 1
    yield "K1_NEAR", "x (K1(x) - log(x / 2) I1(x)) of x x in [0, 4]", bessel_k_near(1), tail, 4
    yield "K1_FAR", "sqrt(x) exp(x) K1(x) of 2 / x in [0, 1]", bessel_k_far(1), 0, 1
    yield "AIRY", "Ai(x) of x in [-6, 2]", mp.airyai, -6, 2
    yield "AIRY_DECAY", "2 sqrt(pi) x**(1/4) exp(z) Ai(x) of z2 / z", airy_decay, 0, 1
    yield "AIRY_P", "amplitudes of Ai(-x) for x > 6 of (z6 / z)**2", wave_p, tail, 1
    yield "AIRY_Q", "", wave_q, tail, 1


FAMILIES = {"gamma": gamma_tables, "bessel": bessel_tables}


# ---------- the incomplete gamma function near x = a ----------
ETA = (mp.mpf("-0.63"), mp.mpf("0.44"))  # where 0.5 <= x / a <= 1.5
LEAST = 20  # a


def ratio_of(eta):
    """The r with r - 1 - log(r) = eta * eta / 2 and the sign of eta."""
    r = 1 + eta + eta * eta / 3
    for _ in range(60):
        step = (r - 1 - mp.log(r) - eta * eta / 2) / (1 - 1 / r)
        r -= step
        if abs(step) < mp.mpf(10) ** -36:
            break
    return r


def temme_rest(eta, u):
    """(Q(a, x) - erfc(eta sqrt(a / 2)) / 2) sqrt(2 pi a) exp(a eta eta / 2) for a = LEAST / u."""
    a = LEAST / u
    x = a * ratio_of(eta)
    scale = mp.sqrt(2 * mp.pi * a) * mp.exp(a * eta * eta / 2)
    normal = mp.erfc(abs(eta) * mp.sqrt(a / 2)) / 2
    if eta < 0:
        return (normal - mp.gammainc(a, 0, x, regularized=True)) * scale
    return (mp.gammainc(a, x, mp.inf, regularized=True) - normal) * scale


def product_series(function, first, second, points):
    """Coefficients [i][j] of T_i(s) T_j(t) for a function of two variables."""
    (low, high), (under, over) = first, second
    n, m = points
    around = [[mp.pi * (k + mp.mpf(1) / 2) / c for k in range(c)] for c in points]
    values = [
        [
            function(
                (high - low) / 2 * mp.cos(a) + (high + low) / 2,
                (over - under) / 2 * mp.cos(b) + (over + under) / 2,
            )
            for b in around[1]
        ]
        for a in around[0]
    ]
    inner = [[mp.fsum(v * mp.cos(j * b) for v, b in zip(row, around[1], strict=True))
              for j in range(m)] for row in values]  # fmt: skip
    found = []
    for i in range(n):
        weights = [mp.cos(i * a) for a in around[0]]
        row = [mp.fsum(w * r[j] for w, r in zip(weights, inner, strict=True)) for j in range(m)]
        halves = [(1 if i == 0 else 2) * (1 if j == 0 else 2) for j in range(m)]
        found.append([c * h / (n * m) for c, h in zip(row, halves, strict=True)])
    return found


def print_temme() -> None:
    """The table of `incomplete_gamma`."""
    print("# (Q(a, x) - erfc(y sqrt(a / 2)) / 2) sqrt(2 pi a) exp(a y y / 2): rows by order in y,")
    print("# columns by order in 20 / a")
    print(f"ETA = ({float(ETA[0])!r}, {float(ETA[1])!r})")
    print("TEMME = (")
    for row in product_series(temme_rest, ETA, (mp.mpf(0), mp.mpf(1)), (20, 11)):
        while row and abs(row[-1]) < mp.mpf("3e-18"):
            row.pop()
        if row:
            print(f"    ({', '.join(repr(float(c)) for c in row)},),")
    print(")")


def main(family: str) -> None:
    """Print the module of a family's series."""
    print('"""Chebyshev series of smooth parts of special functions, written by')
    print(
        "tools/fit_special.py: lowest order first, on the interval [-1, 1] to which the variable of"
    )
    print('the comment is mapped."""')
    print()
    if family == "temme":
        print_temme()
        return
    for name, comment, function, low, high in FAMILIES[family]():
        if comment:
            print(f"# {comment}")
        print(f"{name} = (")
        for c in series(function, low, high):
            print(f"    {float(c)!r},")
        print(")")


if __name__ == "__main__":
    main(sys.argv[1])
