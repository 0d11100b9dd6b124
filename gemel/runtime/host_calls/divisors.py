"""Common divisors and multiples of whole numbers."""

from __future__ import annotations

import numpy as np

from . import host_call


@host_call
def gcd(settings, out, a, b):
    """The greatest common divisor of each pair, not negative."""
    np.gcd(a, b, out=out)


@host_call
def lcm(settings, out, a, b):
    """The least common multiple of each pair, not negative."""
    np.lcm(a, b, out=out)
