"""Fit the polynomials of gemel/codegen/polynomials.py (run by hand; needs mpmath).

Each table is the minimax polynomial of a function on an interval, found by the Remez exchange in
50-digit arithmetic with a weight, then rounded to the element type. Prints the module.
"""

from __future__ import annotations

import struct

import mpmath as mp

mp.mp.dps = 50
HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.01")
STEP = HALF_LN2 / 16
ROOT = mp.sqrt(2)
QUARTER = (mp.pi / 4) * mp.mpf("1.001")
# Pieces of erf around multiples of this, a float of which erf's values there are nearly floats;
# beyond the last multiple erf is 1.
PIECES = 16
PIECE = mp.mpf(0.2670868933200836)


def remez(function, low, high, degree, weight, rounds=12):
    """Coefficients (lowest first) and the largest weighted error."""
    low, high = mp.mpf(low), mp.mpf(high)
    count = degree + 2
    points = [
        (low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (count - 1)) for i in range(count)
    ]
    for _ in range(rounds):
        matrix = mp.matrix(count, count)
        right = mp.matrix(count, 1)
        for row, x in enumerate(points):
            for column in range(degree + 1):
                matrix[row, column] = x**column
            matrix[row, degree + 1] = (-1) ** row / weight(x)
            right[row] = function(x)
        solution = mp.lu_solve(matrix, right)
        coefficients = [solution[i] for i in range(degree + 1)]
        points, worst = exchange(function, low, high, coefficients, weight, count)
        if worst < abs(solution[degree + 1]) * mp.mpf("1.01"):
            break
    return coefficients, worst


def exchange(function, low, high, coefficients, weight, count):
    """The alternating extrema of the error on a Chebyshev grid."""
    size = 24 * count
    grid = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / size) for i in range(size + 1)]
    errors = [weight(x) * (mp.polyval(coefficients[::-1], x) - function(x)) for x in grid]
    peaks = []
    for i, error in enumerate(errors):
        if peaks and mp.sign(errors[peaks[-1]]) == mp.sign(error):
            if abs(error) > abs(errors[peaks[-1]]):
                peaks[-1] = i
        else:
            peaks.append(i)
    while len(peaks) > count:
        ends = (0, len(peaks) - 1)
        weakest = min(ends, key=lambda j: abs(errors[peaks[j]]))
        del peaks[weakest]
    if len(peaks) < count:
        raise ValueError(f"only {len(peaks)} of {count} extrema: the degree is too high")
    return [grid[i] for i in peaks], max(abs(error) for error in errors)


def exp_tail(r):
    return mp.fsum(r**i / mp.factorial(i + 2) for i in range(40))


def log1p_tail(t):
    """(log1p(t) - t + t*t/2) / t**3."""
    if abs(t) < mp.mpf("0.01"):
        return mp.fsum((-t) ** i / (i + 3) for i in range(40))
    return (mp.log1p(t) - t + t * t / 2) / t**3


def atanh_tail(first):
    """sum over i of 2 z**i / (2 i + first)."""
    return lambda z: mp.fsum(2 * z**i / (2 * i + first) for i in range(60))


def sin_tail(z):
    return mp.fsum((-1) ** (i + 1) * z**i / mp.factorial(2 * i + 3) for i in range(20))


def cos_tail(z):
    return mp.fsum((-1) ** i * z**i / mp.factorial(2 * i + 4) for i in range(20))


def erf_near(z):
    """erf(x) / x - 1 with z = x * x."""
    terms = ((-1) ** i * z**i / (mp.factorial(i) * (2 * i + 1)) for i in range(60))
    return 2 / mp.sqrt(mp.pi) * mp.fsum(terms) - 1


def tanh_tail(z):
    """(tanh(x) - x) / x**3 with z = x * x."""
    if z < mp.mpf("1e-6"):
        return mp.mpf(-1) / 3 + z * 2 / 15 - z * z * 17 / 315
    return (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z


def erf_piece(number):
    """Minimax fit of (erf(m + t) - erf(m)) / t, m the middle of a piece; of erf(t) / t - 1 in the
    first. Coefficients with erf(m) before them."""
    middle, half = number * PIECE, PIECE / 2
    start = mp.erf(middle)

    def slope(t):
        if abs(t) < mp.mpf("1e-15"):
            t = mp.mpf("1e-15")
        return (mp.erf(middle + t) - start) / t - (number == 0)

    def weight(t):
        t = max(abs(t), mp.mpf("1e-9"))
        return t / mp.erf(t) if number == 0 else t / mp.erf(middle + t)

    low = mp.mpf(0) if number == 0 else -half
    high = mp.mpf(0) if number == PIECES - 1 else half
    coefficients, worst = remez(slope, low, high, 4, weight)
    return [start, *coefficients], worst


def erf_pieces():
    """The coefficients of all pieces by power, rounded to floats; the largest error."""
    pieces = [erf_piece(number) for number in range(PIECES)]
    rows = [[rounded(x, "float") for x in row] for row, _ in pieces]
    rows[-1][0] = 1.0
    return list(zip(*rows, strict=True)), max(worst for _, worst in pieces)


def log_erfc(x):
    return mp.log(mp.erfc(x))


def one(_):
    return mp.mpf(1)


def first(z):
    return max(z, mp.mpf("1e-9"))


def square(r):
    return max(r * r, mp.mpf("1e-18"))


S_LIMIT = ((ROOT - 1) / (ROOT + 1)) ** 2 * mp.mpf("1.01")
T_LOW, T_HIGH = 1 / ROOT - 1 - mp.mpf("1e-3"), ROOT - 1 + mp.mpf("1e-3")

# name: (what it is, function, low, high, degree, weight, element)
FITS = {
    "EXP_FLOAT": ("(exp(r) - 1 - r) / r^2", exp_tail, -HALF_LN2, HALF_LN2, 5, one, "float"),
    "EXP_SHORT": ("(exp(r) - 1 - r) / r^2", exp_tail, -STEP, STEP, 1, square, "float"),
    "EXP_DOUBLE": ("(exp(r) - 1 - r) / r^2", exp_tail, -HALF_LN2, HALF_LN2, 9, one, "double"),
    "LOG_FLOAT": ("(log1p(t) - t + t^2/2) / t^3", log1p_tail, T_LOW, T_HIGH, 8, one, "float"),
    "LOG_DOUBLE": ("(atanh(s) - s) 2 / s^3, z = s^2", atanh_tail(3), 0, S_LIMIT, 6, one, "double"),
    "LOG_LONG": (
        "(atanh(s) - s - s^3/3) 2 / s^5, z = s^2",
        atanh_tail(5),
        0,
        S_LIMIT,
        6,
        one,
        "double",
    ),
    "SIN": ("(sin(r) - r) / r^3, z = r^2", sin_tail, 0, QUARTER**2, 5, one, "double"),
    "COS": ("(cos(r) - 1 + r^2/2) / r^4, z = r^2", cos_tail, 0, QUARTER**2, 5, one, "double"),
    "SIN_SHORT": ("(sin(r) - r) / r^3, z = r^2", sin_tail, 0, QUARTER**2, 2, one, "double"),
    "COS_SHORT": ("(cos(r) - 1 + r^2/2) / r^4, z = r^2", cos_tail, 0, QUARTER**2, 2, one, "double"),
    "TANH_NEAR": ("(tanh(x) - x) / x^3, z = x^2", tanh_tail, 0, "0.3026", 4, first, "float"),
    "ERF_NEAR_FLOAT": ("erf(x) / x - 1, z = x^2", erf_near, 0, "0.8650", 6, one, "float"),
    "ERF_FAR_FLOAT": ("log(erfc(x))", log_erfc, "0.925", 4, 6, mp.erfc, "float"),
    "ERF_NEAR_DOUBLE": ("erf(x) / x - 1, z = x^2", erf_near, 0, "0.8650", 10, one, "double"),
    "ERF_FAR_DOUBLE": ("log(erfc(x))", log_erfc, "0.925", 6, 18, mp.erfc, "double"),
}

HEADER = '''"""Polynomial coefficients of `codegen.vector_math`, lowest power first.

Minimax fits (Remez exchange, 50 digits) made by tools/fit_polynomials.py and rounded to the
element type; each comment gives the function, the interval and the largest error before rounding
(weighted by erfc for the logarithm of erfc).
"""
'''


def rounded(value, elem):
    if elem == "double":
        return float(value)
    return struct.unpack("<f", struct.pack("<f", float(value)))[0]


def print_pieces():
    powers, worst = erf_pieces()
    print("# erf in pieces around multiples m of a step, by powers of x - m; the first one less x.")
    print(f"# Relative error {mp.nstr(worst, 2)}.")
    print(f"ERF_STEP = {rounded(PIECE, 'float')!r}")
    print("ERF_PIECES = (")
    for row in powers:
        print("    (")
        for value in row:
            print(f"        {value!r},")
        print("    ),")
    print(")\n")


def main():
    print(HEADER)
    for name, (label, function, low, high, degree, weight, elem) in FITS.items():
        coefficients, worst = remez(function, low, high, degree, weight)
        print(f"# {label} on [{mp.nstr(mp.mpf(low), 6)}, {mp.nstr(mp.mpf(high), 6)}],", end=" ")
        print(f"error {mp.nstr(worst, 2)}")
        print(f"{name} = (")
        for value in coefficients:
            print(f"    {rounded(value, elem)!r},")
        print(")\n")
    print_pieces()
    print("# 2**(i / 16), rounded to floats")
    print("ROOTS_OF_TWO = tuple(2.0 ** (i / 16) for i in range(16))")


if __name__ == "__main__":
    main()
