"""Samples of one measurement, and what is said of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def summary(seconds: Sequence[float]) -> dict:
    """Median, 10th and 90th percentile, least, and how many; seconds. Raises on no samples."""
    ordered = sorted(seconds)
    return {
        "median": statistics.median(ordered),
        "p10": quantile(ordered, 0.1),
        "p90": quantile(ordered, 0.9),
        "least": ordered[0],
        "samples": len(ordered),
    }


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the samples lie, interpolated; `ordered` ascends."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
