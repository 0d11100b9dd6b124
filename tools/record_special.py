"""Record values and slopes of special functions in 30 digits (run by hand; needs mpmath).

python tools/record_special.py          writes tests/recorded/special_values.json
"""

from __future__ import annotations

import json
from pathlib import Path

import mpmath as mp

TARGET = Path(__file__).resolve().parent.parent / "tests" / "recorded" / "special_values.json"
mp.mp.dps = 30
ALL = (-8.75, -3.3, -1.5, -0.6, -0.1, 0.1, 0.45, 0.9, 1.5, 2.6, 4.5, 7.9, 8.25, 30.0)
POSITIVE = (0.01, 0.3, 1.0, 1.9, 2.1, 5.5, 7.99, 8.01, 40.0)
INSIDE = (-0.999999, -0.95, -0.6, -0.01, 0.2, 0.5, 0.99, 0.99999999)
PARTS = (1e-200, 1e-20, 1e-5, 0.02, 0.3, 0.6, 0.97, 0.9999999)
PAIRS = ((0.5, 0.2), (0.5, 3.0), (2.5, 2.0), (9.0, 12.0), (19.0, 19.0), (25.0, 24.0), (25.0, 33.0),
         (300.0, 310.0), (300.0, 130.0), (4000.0, 4100.0))  # fmt: skip


def normal_area(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def inverse_area(p):
    return mp.findroot(lambda x: mp.log(normal_area(x)) - mp.log(p),
                       -mp.sqrt(-2 * mp.log(p)) if p < 0.3 else 2 * p - 1)  # fmt: skip


def multivariate(x):
    return 3 * mp.log(mp.pi) / 2 + sum(mp.loggamma(x - mp.mpf(j) / 2) for j in range(3))


# name -> (function, arguments, is there a slope)
UNARY = {
    "erfc": (mp.erfc, ALL, True),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), ALL, True),
    "erfinv": (mp.erfinv, INSIDE, True),
    "ndtr": (normal_area, ALL, True),
    "log_ndtr": (lambda x: mp.log(normal_area(x)), ALL, True),
    "ndtri": (inverse_area, PARTS, False),
    "lgamma": (lambda x: mp.log(abs(mp.gamma(x))), ALL, True),
    "digamma": (mp.digamma, ALL, True),
    "polygamma 1": (lambda x: mp.psi(1, x), ALL, False),
    "polygamma 3": (lambda x: mp.psi(3, x), ALL, False),
    "mvlgamma 3": (multivariate, POSITIVE[4:], False),
    "i0": (lambda x: mp.besseli(0, x), ALL, True),
    "i1": (lambda x: mp.besseli(1, x), ALL, True),
    "i0e": (lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), ALL, True),
    "i1e": (lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), ALL, True),
    "modified_bessel_k0": (lambda x: mp.besselk(0, x), POSITIVE, False),
    "modified_bessel_k1": (lambda x: mp.besselk(1, x), POSITIVE, False),
    "scaled_modified_bessel_k0": (lambda x: mp.besselk(0, x) * mp.exp(x), POSITIVE, False),
    "scaled_modified_bessel_k1": (lambda x: mp.besselk(1, x) * mp.exp(x), POSITIVE, False),
    "bessel_j0": (lambda x: mp.besselj(0, x), ALL, False),
    "bessel_j1": (lambda x: mp.besselj(1, x), ALL, False),
    "bessel_y0": (lambda x: mp.bessely(0, x), POSITIVE, False),
    "bessel_y1": (lambda x: mp.bessely(1, x), POSITIVE, False),
    "spherical_bessel_j0": (lambda x: mp.sin(x) / x, ALL, False),
    "airy_ai": (mp.airyai, ALL, False),
}
BINARY = {
    "gammainc": lambda a, x: mp.gammainc(a, 0, x, regularized=True),
    "gammaincc": lambda a, x: mp.gammainc(a, x, mp.inf, regularized=True),
    "zeta": lambda s, q: mp.zeta(s + 1, q),
}


def main() -> None:
    """Write the table: name -> rows of arguments, value and slope (or null)."""
    found = {}
    for name, (function, arguments, smooth) in UNARY.items():
        found[name] = [
            [x, float(function(mp.mpf(x))), float(mp.diff(function, mp.mpf(x))) if smooth else None]
            for x in arguments
        ]
    for name, function in BINARY.items():
        found[name] = [[list(p), float(function(*map(mp.mpf, p))), None] for p in PAIRS]
    rows = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
    TARGET.write_text(f"{{\n{rows}\n}}\n")


if __name__ == "__main__":
    main()
