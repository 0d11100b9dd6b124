"""Numbers for people: three digits and a unit."""

from __future__ import annotations

_TIMES = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
_COUNTS = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))


def duration(seconds: float) -> str:
    """0.00123 is '1.23 ms'."""
    unit, size = next((u for u in _TIMES if seconds >= u[1]), _TIMES[-1])
    return f"{_digits(seconds / size)} {unit}"


def count(number: float, of: str = "") -> str:
    """1230000 is '1.23 M'; `of` is the unit's own name."""
    unit, size = next((u for u in _COUNTS if number >= u[1]), _COUNTS[-1])
    return f"{_digits(number / size)} {unit}{of}".rstrip()


def _digits(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"
